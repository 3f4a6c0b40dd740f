package providers

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/spec"
)

// TestEvidenceThatCannotBeRight is told of with the next step, ticks nothing, and
// does not lift a gate.
func TestEvidenceThatCannotBeRight(t *testing.T) {
	libre := func(s setup) spec.Connection { return spec.Connection{Options: options("regions", "DE"), Setup: s} }
	huawei := func(s setup) spec.Connection { return spec.Connection{App: given("own"), Setup: s} }
	tests := []struct {
		name, slug, step string
		c                spec.Connection
		warns, hint      string
		gated            bool
	}{
		{"a day to come", "samsung", "partner_approval",
			spec.Connection{Options: options("route", "direct", "sdk_version", "1-samsung"), Setup: setup{"partner_approval": {Done: on(31), Value: "x"}}},
			"setup.partner_approval.done is 2026-08-31, a day to come, and shows nothing", "write the day on which it was done, once it is", true},
		{"a day to come of what a key proves", "huawei", "huawei_id", huawei(setup{"huawei_id": {Done: on(31)}}),
			"setup.huawei_id.done is 2026-08-31, a day to come, and shows nothing", "write the day on which it was done, once it is", false},
		{"an unknown word", "huawei", "identity_verification",
			huawei(setup{"identity_verification": {Done: on(1), Fields: map[string]string{"as": "company"}}}),
			`setup.identity_verification.as "company" is not known`, "write business-duns, business-licence, individual", false},
		{"a near miss", "huawei", "identity_verification",
			huawei(setup{"identity_verification": {Done: on(1), Fields: map[string]string{"as": "individuals"}}}),
			`setup.identity_verification.as "individuals" is not known`, "did you mean `individual`? known here: business-duns, business-licence, individual", false},
		{"another address", "huawei", "url_allowlist", huawei(setup{"url_allowlist": {Value: "x"}}),
			`setup.url_allowlist is "x", but Huawei Health Kit must have `, "change it in the provider's portal, then here", false},
		{"an unknown state", "freestylelibre", "activation",
			libre(setup{"activation": {State: "done", Fields: map[string]string{"ticket": "T-1"}}}),
			`setup.activation.state "done" is not known`, "write requested, active", true},
		{"an unknown state of an own app", "oura", "terra_support", spec.Connection{App: given("own"), Setup: setup{"terra_support": {State: "done", Fields: map[string]string{"ticket": "T-1"}}}},
			`setup.terra_support.state "done" is not known`, "write requested, active", true},
		{"an entry by another name", "freestylelibre", "practice",
			libre(setup{"practice": {Fields: map[string]string{"practice": "P", "doctor_licence": "L"}}}),
			`setup.practice has no entry "practice", so nobody reads it`, "did you mean `practice_id`?", true},
		{"an entry of another step", "freestylelibre", "practice", libre(setup{"practice": {State: "active"}}),
			`setup.practice has no entry "state", so nobody reads it`, "known here: done, practice_id, doctor_licence", true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p, _ := Lookup(test.slug)
			seen := Seen{Now: on(9)}
			if !slices.ContainsFunc(p.Check(test.c, seen), func(f Finding) bool {
				return f.Severity == spec.Warning && strings.HasPrefix(f.Message, test.warns) && f.Hint == test.hint
			}) {
				t.Errorf("told %q, want %q with the hint %q", told(p.Check(test.c, seen)), test.warns, test.hint)
			}
			if p.Marks(test.c, seen)[test.step] != StepOpen || !slices.Contains(p.OpenSteps(test.c, seen), test.step) {
				t.Error("counts as done")
			}
			gates, warnings := p.Prerequisites(test.c, seen, false)
			if slices.ContainsFunc(warnings, func(u Unrecorded) bool { return strings.Contains(u.Text, test.step+": {") }) {
				t.Errorf("asks to record what is recorded: %q", warnings)
			}
			if got := slices.ContainsFunc(gates, func(w Prerequisite) bool { return w.Step == test.step }); got != test.gated {
				t.Errorf("gated = %v, want %v: %v", got, test.gated, gates)
			}
		})
	}
}

// TestDayThatHasBegunSomewhere counts: a person east of here may write it.
func TestDayThatHasBegunSomewhere(t *testing.T) {
	c := spec.Connection{Options: options("route", "direct", "sdk_version", "1-samsung"), Setup: setup{"partner_approval": {Done: on(9), Value: "SHP-1"}}}
	begins := on(9).Add(-14 * time.Hour)
	for now, waits := range map[time.Time]bool{begins.Add(-time.Second): true, begins: false, on(10): false} {
		gates, _ := samsung().Prerequisites(c, Seen{Now: now}, false)
		if got := len(gates) > 0; got != waits {
			t.Errorf("at %s waits = %v, want %v", now, got, waits)
		}
		if waits && !strings.Contains(gates[0].Reason, "setup.partner_approval.done is 2026-08-09, a day to come") {
			t.Errorf("does not say why: %s", gates[0].Reason)
		}
	}
}

// TestWrongEvidenceUnderRequireSetup holds the connection back, save for an
// address, of which Terra knows more than the catalogue.
func TestWrongEvidenceUnderRequireSetup(t *testing.T) {
	p, _ := Lookup("huawei")
	steps := setup{"identity_verification": {Done: on(1), Fields: map[string]string{"as": "company"}}, "url_allowlist": {Value: "x"}}
	gates, _ := p.Prerequisites(spec.Connection{Setup: steps}, Seen{Now: on(9)}, true)
	var names []string
	for _, g := range gates {
		names = append(names, g.Step)
	}
	if !slices.Contains(names, "identity_verification") || slices.Contains(names, "url_allowlist") {
		t.Errorf("waits for %q", names)
	}
	live := Seen{Now: on(9), AuthRedirectURL: "x"}
	if p.Marks(spec.Connection{Setup: steps}, live)["url_allowlist"] != StepDone {
		t.Error("the address that Terra shows does not count")
	}
}

func TestRegionThatIsNoCode(t *testing.T) {
	found := freeStyleLibre().Check(spec.Connection{Options: options("regions", "DE,uk,Germany,EL,GB")}, Seen{Now: on(9)})
	got := told(found)
	for _, want := range []string{`regions "uk" is not a two-letter country code`, `regions "Germany" is not a two-letter`, `regions "EL" is not`} {
		if !strings.Contains(got, want) {
			t.Errorf("told %q, want %q", got, want)
		}
	}
	if len(found) != 3 || found[0].Hint != "did you mean `GB`?" || found[0].Severity != spec.Warning || found[1].Severity != spec.Error {
		t.Errorf("found %+v", found)
	}
}
