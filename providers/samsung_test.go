package providers

import (
	"strings"
	"testing"

	"github.com/terra-reconcile/terra-reconcile/spec"
)

func TestSamsungHasNoCredentials(t *testing.T) {
	found := samsung().Check(spec.Connection{Credentials: spec.Credentials{Present: true}}, Seen{Now: on(1)})
	if len(found) != 1 || found[0].Severity != spec.Error || found[0].Field != "credentials" ||
		!strings.Contains(found[0].Hint, "Samsung Health has no web API: the data comes through Terra's mobile SDK") {
		t.Errorf("found %+v, want one error that says why", found)
	}
}

func TestSamsungOptions(t *testing.T) {
	for option, values := range map[string]map[string]bool{
		"route":     {"direct": true, "health_connect": true, "cloud": false, "Direct": false},
		"framework": {"android": true, "react-native": true, "flutter": true, "ios": false},
	} {
		for value, allowed := range values {
			found := samsung().Check(spec.Connection{Options: options(option, value)}, Seen{Now: on(1)})
			if (len(found) == 0) != allowed {
				t.Errorf("%s: %s: %q", option, value, told(found))
			}
		}
	}
}

// TestSamsungDirectSaysWhatToDoMeanwhile holds that each open step names the way
// that is open.
func TestSamsungDirectSaysWhatToDoMeanwhile(t *testing.T) {
	gates, _ := samsung().Prerequisites(spec.Connection{Options: options("route", "direct", "sdk_version", "2.0.0-beta.1")}, Seen{Now: on(9)}, false)
	if len(gates) != 2 {
		t.Fatalf("waits for %v, want approval and SDK", gates)
	}
	for _, g := range gates {
		if !strings.HasSuffix(g.Reason, "; until then `route: health_connect` works") {
			t.Errorf("%s: %q", g.Step, g.Reason)
		}
	}
}
