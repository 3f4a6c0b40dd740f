package emulator

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"github.com/terra-reconcile/terra-reconcile/internal/terra"
)

// The emulator serves exactly the operations of the contract, each under its
// method, path and scope.
func TestRoutesAreTheContract(t *testing.T) {
	type operation struct{ Method, Path, Scope string }
	var contract struct {
		Paths map[string]map[string]yaml.Node `yaml:"paths"`
	}
	if err := yaml.Unmarshal(terra.Contract(), &contract); err != nil {
		t.Fatal(err)
	}
	scope := regexp.MustCompile(`scope ([a-z]+:[a-z]+)`)
	want := map[string]operation{}
	for path, methods := range contract.Paths {
		for method, node := range methods {
			var o struct {
				ID      string `yaml:"operationId"`
				Summary string `yaml:"summary"`
			}
			if method == "parameters" {
				continue
			}
			if err := node.Decode(&o); err != nil {
				t.Fatal(err)
			}
			found := ""
			if m := scope.FindStringSubmatch(o.Summary); m != nil {
				found = m[1]
			}
			want[o.ID] = operation{strings.ToUpper(method), strings.TrimPrefix(path, "/"), found}
		}
	}
	have := map[string]operation{}
	for _, r := range routes() {
		if (r.read == nil) == (r.write == nil) {
			t.Errorf("%s: want exactly one of read and write", r.id)
		}
		if r.write == nil != (r.method == "GET") {
			t.Errorf("%s: a %s that is a read or a GET that is a write", r.id, r.method)
		}
		have[r.id] = operation{r.method, strings.Join(r.path, "/"), r.scope}
	}
	if len(want) == 0 {
		t.Fatal("the contract has no operation")
	}
	if d := cmp.Diff(want, have); d != "" {
		t.Errorf("routes (-contract +emulator):\n%s", d)
	}
}

func TestCatalogue(t *testing.T) {
	all := catalogue()
	flags := func(provider string) string {
		e, ok := all[provider]
		if !ok {
			return "absent"
		}
		out := ""
		if e.CustomerCredentialsRequired {
			out += "R"
		}
		if e.CustomCredentialsAllowed {
			out += "C"
		}
		if e.BYOSupported {
			out += "B"
		}
		if e.Deprecated {
			out += "D"
		}
		if e.CustomScopesSupported {
			out += "S"
		}
		return out + " " + e.AuthType + "/" + *e.Setup
	}
	for provider, want := range map[string]string{
		"strava":         "RCS oauth2/api_keys_required",
		"virtuagym":      "RC login/api_keys_required",
		"huawei":         "RCS oauth2/api_keys_required",
		"garmin":         "RC oauth2/api_keys_required",
		"whoop":          "RCS oauth2/api_keys_required",
		"dexcom":         "RCS oauth2/api_keys_required",
		"dexcom_eu":      "RCS oauth2/api_keys_required",
		"dexcom_jp":      "RCS oauth2/api_keys_required",
		"freestylelibre": " login/api_keys_managed",
		"samsung":        " sdk/sdk",
		"apple_health":   " sdk/sdk",
		"fitbit":         "CBDS oauth2/api_keys_managed",
		"oura":           "S oauth2/api_keys_managed",
		"polar":          "CBS oauth2/api_keys_managed",
		"fatsecret":      "C oauth1/api_keys_managed",
		"inbody":         " login/setup_not_required",
	} {
		if have := flags(provider); have != want {
			t.Errorf("%s: got %q, want %q", provider, have, want)
		}
	}
	for provider, e := range all {
		if provider != strings.ToLower(provider) || e.DisplayName == "" || len(e.DataTypes) == 0 {
			t.Errorf("%s: incomplete: %+v", provider, e.SourceType)
		}
		if e.CustomerCredentialsRequired != (*e.Setup == required) {
			t.Errorf("%s: setup %s contradicts customer_credentials_required %v", provider, *e.Setup, e.CustomerCredentialsRequired)
		}
		if e.CustomerCredentialsRequired && !e.CustomCredentialsAllowed {
			t.Errorf("%s: own credentials are required and not allowed", provider)
		}
	}
}
