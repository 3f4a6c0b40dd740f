package reconcile

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// TestHostileShown lets a server show a secret that was not sent in this run, and that
// nothing else opens, where something else belongs.
func TestHostileShown(t *testing.T) {
	t.Parallel()
	const hidden = "5f1d3e0c9b8a7f6e5d4c3b2a190807060504f0aa"
	for _, c := range []struct {
		attack string
		shown  string
		field  string
	}{
		{"the secret as the client id", hidden, "provider_client_id"},
		{"half of the secret as the client id", hidden[:22], "provider_client_id"},
		{"the secret as the client id, in base64", base64.StdEncoding.EncodeToString([]byte(hidden)), "provider_client_id"},
		{"the secret in the redirect", "https://access.tryterra.co/" + hidden, "redirect_url"},
	} {
		t.Run(c.attack, func(t *testing.T) {
			w := newWorld(t)
			w.strava(hidden, "")
			w.applied()
			w.answers("/strava/credentials", func(document map[string]any) { document["credential"].(map[string]any)[c.field] = c.shown })
			for _, mode := range []report.Mode{report.DryRun, report.Apply} {
				r := w.run(Run{Mode: mode})
				text, _ := json.Marshal(r)
				shown := w.show(r) + string(text)
				if strings.Contains(shown, c.shown[:min(len(c.shown), 20)]) && c.field == "provider_client_id" || strings.Contains(shown, hidden[:12]) {
					t.Errorf("the report holds it: %s", shown)
				}
				if !strings.Contains(shown, "it shows a secret of the files") && !strings.Contains(shown, "it repeats a secret that it was sent") {
					t.Errorf("nothing is said: %s", shown)
				}
			}
		})
	}
}

// TestHostileShownElsewhere lets a server show a secret of one connection where another
// connection is shown.
func TestHostileShownElsewhere(t *testing.T) {
	t.Parallel()
	const hidden = "q8Zt3LmX0vRw7NcY5bKd2HsG9jPf4TaE6uQi1oBxWk"
	as := func(field string) func(map[string]any, string) {
		return func(document map[string]any, shown string) { document["credential"].(map[string]any)[field] = shown }
	}
	asScope := func(document map[string]any, shown string) {
		scopes := document["scopes"].([]any)
		scopes[0].(map[string]any)["scope"] = shown
	}
	asSource := func(document map[string]any, shown string) {
		sources := document["data"].([]any)
		source := maps.Clone(sources[0].(map[string]any))
		source["provider"] = shown
		document["data"] = append(sources, source)
	}
	for _, c := range []struct {
		attack   string
		of       string // whose answer
		set      func(document map[string]any, shown string)
		shown    string
		unopened bool // nothing is opened in this run: all digests are known
	}{
		{attack: "another's secret as the client id", of: "/strava/credentials", set: as("provider_client_id"), shown: hidden},
		{attack: "half of another's secret as the client id", of: "/strava/credentials", set: as("provider_client_id"), shown: hidden[:22]},
		{attack: "another's secret as the client id, in base64", of: "/strava/credentials", set: as("provider_client_id"), shown: base64.StdEncoding.EncodeToString([]byte(hidden))},
		{attack: "another's secret in the redirect", of: "/strava/credentials", set: as("redirect_url"), shown: "https://access.tryterra.co/" + hidden},
		{attack: "another's secret as a scope", of: "/strava/scopes", set: asScope, shown: hidden},
		{attack: "another's secret as the name of a connection", of: "/sources", set: asSource, shown: strings.ToLower(hidden)},
		{attack: "another's secret as the client id, and nothing is opened", of: "/strava/credentials", set: as("provider_client_id"), shown: hidden, unopened: true},
		{attack: "another's secret as a scope, and nothing is opened", of: "/strava/scopes", set: asScope, shown: hidden, unopened: true},
		{attack: "another's secret as the name of a connection, and nothing is opened", of: "/sources", set: asSource, shown: hidden, unopened: true},
	} {
		t.Run(c.attack, func(t *testing.T) {
			w := newWorld(t)
			w.strava("5f1d3e0c9b8a7f6e5d4c3b2a190807060504f0aa", "scopes: [read]\n")
			w.own("withings", "an-id", hidden, "")
			w.applied()
			if !c.unopened {
				w.stateDir = t.TempDir()
			}
			w.answers(c.of, func(document map[string]any) { c.set(document, c.shown) })
			for _, mode := range []report.Mode{report.DryRun, report.Apply} {
				r := w.run(Run{Mode: mode})
				shown := w.show(r)
				if strings.Contains(strings.ToLower(shown), strings.ToLower(c.shown[len(c.shown)-12:])) {
					t.Errorf("the report holds it: %s", shown)
				}
				if !strings.Contains(shown, "it shows a secret of the files") && !strings.Contains(shown, "it repeats a secret that it was sent") {
					t.Errorf("nothing is said: %s", shown)
				}
			}
		})
	}
}

// TestHostileShownEarly lets a server show a secret before it is opened: the connection
// that shows it is compared before the one whose secret it is was even read.
func TestHostileShownEarly(t *testing.T) {
	t.Parallel()
	const hidden = "q8Zt3LmX0vRw7NcY5bKd2HsG9jPf4TaE6uQi1oBxWk"
	for _, c := range []struct{ attack, shown string }{{attack: "half of a secret that is opened later", shown: hidden[:22]}} {
		w := newWorld(t)
		w.strava("5f1d3e0c9b8a7f6e5d4c3b2a190807060504f0aa", "")
		w.own("withings", "an-id", hidden, "")
		w.applied()
		file := string(w.files["production/withings.yaml"].Data)
		w.write("production/withings.yaml", file+"state: disabled\n")
		w.applied()
		w.write("production/withings.yaml", file)
		w.terra.Enable(devID, "withings")
		w.at("2026-11-26T09:00:00Z") // what is remembered is verified again
		compared := make(chan struct{})
		w.progress = func(p Progress) {
			if p.Done == 1 {
				close(compared)
			}
		}
		w.answers("/strava/credentials", func(document map[string]any) { document["credential"].(map[string]any)["provider_client_id"] = c.shown })
		answers := w.wrap
		w.wrap = func(next http.RoundTripper) http.RoundTripper {
			next = answers(next)
			return tripper(func(r *http.Request) (*http.Response, error) {
				if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/withings/credentials") {
					<-compared
				}
				return next.RoundTrip(r)
			})
		}
		if shown := w.show(w.dryRun()); strings.Contains(shown, c.shown) || !strings.Contains(shown, "it shows a secret of the files") {
			t.Errorf("%s: %s", c.attack, shown)
		}
	}
}

// TestSecretsAreOpenedOnce looks, compares and asks, and opens each secret once.
func TestSecretsAreOpenedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.strava("5f1d3e0c9b8a7f6e5d4c3b2a190807060504f0aa", "")
	w.own("withings", "an-id", "q8Zt3LmX0vRw7NcY5bKd2HsG9jPf4TaE6uQi1oBxWk", "")
	w.applied()
	w.answers("/strava/credentials", func(document map[string]any) {
		document["credential"].(map[string]any)["redirect_url"] = "https://x1y2z3.example/"
	})
	for _, stateDir := range []string{w.stateDir, t.TempDir()} {
		w.stateDir = stateDir
		engine, store := w.engine(report.DryRun)
		env := w.planned(engine, report.DryRun)
		if open := env.cache.identities.Opened(); len(open) == 0 || len(open) > 2 {
			t.Errorf("2 secrets were opened %d times", len(open))
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestPublicIDsOfOthers shows what many share: a client id that begins the secret of
// another connection, and one app for two connections.
func TestPublicIDsOfOthers(t *testing.T) {
	t.Parallel()
	const id = "acme-production-2026"
	w := newWorld(t)
	w.own("dexcom", id, "5f1d3e0c9b8a7f6e5d4c3b2a190807060504f0aa", "")
	w.own("dexcom_eu", id, id+"-0f1e2d3c", "")
	w.applied()
	w.answers("/dexcom/credentials", func(document map[string]any) {
		document["credential"].(map[string]any)["redirect_url"] = "https://auth.acme.example/" + id
	})
	w.inSync()
	w.stateDir = t.TempDir()
	w.inSync()
}

// answers lets Terra change its answers to reading what a path ends with.
func (w *world) answers(path string, change func(document map[string]any)) {
	w.wrap = func(next http.RoundTripper) http.RoundTripper {
		return tripper(func(r *http.Request) (*http.Response, error) {
			answer, err := next.RoundTrip(r)
			if err != nil || r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, path) {
				return answer, err
			}
			var document map[string]any
			body, _ := io.ReadAll(answer.Body)
			_ = json.Unmarshal(body, &document)
			change(document)
			body, _ = json.Marshal(document)
			answer.Body, answer.ContentLength = io.NopCloser(strings.NewReader(string(body))), int64(len(body))
			answer.Header.Set("Content-Length", fmt.Sprint(len(body)))
			return answer, nil
		})
	}
}

// TestAddressesOfTerraOpenNoSecret has addresses that hold more signs of a secret than
// words do only because the name of the provider has some: they are no reason to open one.
func TestAddressesOfTerraOpenNoSecret(t *testing.T) {
	t.Parallel()
	f := familiar{names: map[string]bool{"ihealth_2024": true}}
	for text, familiar := range map[string]bool{
		"https://access.tryterra.co/api/v2/auth/ihealth_2024/oauth2":     true,
		"https://access.tryterra.co/api/v2/auth/ihealth_2025/oauth2":     false,
		"https://access.tryterra.co/api/v2/ihealth_2024/9c0e5f1d3e0c9b8": false,
	} {
		if got := len(f.unfamiliar(text)) == 0; got != familiar {
			t.Errorf("%s: familiar %t, want %t", text, got, familiar)
		}
	}
}
