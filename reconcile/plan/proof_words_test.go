package plan

import (
	"strings"
	"testing"
	"time"
)

// Why a pair is not proved, and what asks the provider, is said as it is: where no run
// asks nothing offers to, and where this run asked its answer counts.
func TestWhyAPairIsNotProved(t *testing.T) {
	const ask = "reconcile --dry-run --probe --env production"
	now := time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC)
	planned := func(unasked, required string, asks bool, probe Probe) Change {
		in := facts{
			Now: now, Asks: asks, Environment: Environment{Name: "production", DevID: "prod", RevertDrift: true, Origin: "production/environment.yaml:1",
				Windows: []Window{{Days: []time.Weekday{time.Sunday}, From: 60, To: 120, Location: time.UTC}}, CapCount: 5, CapPercent: 100, MaxRotations: 5},
			Desired: []Desired{{Provider: "strava", State: Active, Origin: "production/strava.yaml:1", Credentials: true, Unasked: unasked, ProbeRequired: required,
				ClientID: Setting[string]{Mode: Given, Value: "1"}, Secret: Setting[Secret]{Mode: Given, Value: Secret{Sealed: "sealed", Digest: "new", Key: 2}}}},
			Observed: map[string]Observed{"strava": {Active: true, Variant: "byo", Credentials: &Credentials{Set: true, ClientID: "1", Mask: "****1"}, Secret: Comparison{Result: Differs, LiveKey: 1}}},
			Memory:   Memory{Known: true, Connections: map[string]Remembered{"strava": {Fields: map[string]string{FieldClientSecret: "old", FieldClientID: "1"}}}},
			Probes:   map[string]Probe{}, Users: map[string]Users{"strava": {Count: 3, Exact: true}},
		}
		if probe.Verdict != "" {
			in.Probes["strava"] = probe
		}
		p := planOf(in)
		if len(p.Changes) != 1 {
			t.Fatalf("got %+v", p.Changes)
		}
		return p.Changes[0]
	}
	for name, row := range map[string]struct {
		change       Change
		gate         Gate
		guard        string
		reason, asks string
	}{
		"this run does not ask":           {planned("", "", false, Probe{}), Waiting, "window", "the pair is not proved (the provider is asked when this is applied)", ask},
		"nobody can ask":                  {planned("no way to ask", "", false, Probe{}), Waiting, "window", "the pair is not proved (no way to ask)", ""},
		"nobody can ask, and it is tried": {planned("no way to ask", "", true, Probe{}), Waiting, "window", "the pair is not proved (no way to ask)", ""},
		"asked, and not known":            {planned("", "", true, Probe{Verdict: ProbeUnknown, Reason: "HTTP 503"}), Waiting, "window", "the pair is not proved (HTTP 503)", ""},
		"demanded, and not asked":         {planned("", "strava.yaml:9", false, Probe{}), Waiting, "probe-required", "the pair is not proved (the provider is asked when this is applied)", ask},
		"demanded, and nobody can ask":    {planned("no way to ask", "strava.yaml:9", false, Probe{}), Approval, "probe-required", "the pair is not proved (no way to ask)", ""},
		"demanded, asked, and not known":  {planned("", "strava.yaml:9", true, Probe{Verdict: ProbeUnknown, Reason: "HTTP 503"}), Approval, "probe-required", "the pair is not proved (HTTP 503)", ""},
	} {
		c := row.change
		if c.Gate != row.gate || c.Guard != row.guard || !strings.HasPrefix(c.ClassReason, row.reason+";") || probeOf(c) != row.asks {
			t.Errorf("%s: got %s by %s (%s), %q, asks %q", name, c.Gate, c.Guard, c.GateReason, c.ClassReason, probeOf(c))
		}
	}
}

// probeOf is the command that asks the provider, "" for none.
func probeOf(c Change) string {
	for _, r := range c.Remediations {
		if r.Kind == ByProbe {
			return r.Command.String()
		}
	}
	return ""
}
