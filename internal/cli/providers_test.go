package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
)

// TestWalkthroughBelievesTerra: where Terra and the catalogue disagree, a person reads
// what Terra says, and that it differs; offline, what the catalogue has.
func TestWalkthroughBelievesTerra(t *testing.T) {
	t.Parallel()
	e := newExample(t, time.Now())
	e.terra.SetSourceType("", terratest.SourceType{Provider: "strava", DisplayName: "Strava", AuthType: "oauth2", DataTypes: []string{}, CustomCredentialsAllowed: true})
	const differs = "Terra says that own keys for strava are optional; our catalogue says required. Terra is believed"
	args := []string{"providers", "strava", "--repo", e.repository()}
	if out := e.run(0, args...); !strings.Contains(out, "Own keys: optional.") || strings.Count(e.outputs.String(), differs) != 1 {
		t.Errorf("Terra is not believed:\n%s", e.outputs.String())
	}
	e.outputs.Reset()
	if out := e.run(0, append(args, "--offline")...); !strings.Contains(out, "Own keys: required.") || strings.Contains(e.outputs.String(), differs) {
		t.Errorf("offline:\n%s", e.outputs.String())
	}
	e.outputs.Reset()
	if e.run(0, "providers", "huawei", "--repo", e.repository()); strings.Contains(e.outputs.String(), "Terra is believed") {
		t.Errorf("they agree, yet\n%s", e.outputs.String())
	}
}
