package plan

import (
	"maps"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// inputs are all stories, and random inputs that nobody has approved.
func inputs(t *testing.T, property func(name string, in Input)) {
	t.Helper()
	for name, archive := range stories(t) {
		property(filepath.Base(name), inputOf(t, archive))
	}
	random(t, func(_ *testing.T, _ dice, in Input) { property("random", in) })
}

// TestEveryCellOfTheOverrides plans each change that a guard holds once more with
// each override: those that the table lists lift the guard, the others do not.
func TestEveryCellOfTheOverrides(t *testing.T) {
	with := map[string]func(Input, Plan) Input{
		"allow": func(in Input, p Plan) Input {
			in.Environment.Allow = slices.Clone(in.Environment.Allow)
			for _, c := range p.Changes {
				in.Environment.Allow = append(in.Environment.Allow, allowsFor(in, c)...)
			}
			return in
		},
		"hash": func(in Input, _ Plan) Input { in.ApprovedAll, in.NowFlag = true, false; return in },
		"now":  func(in Input, _ Plan) Input { in.ApprovedAll, in.NowFlag = true, true; return in },
	}
	proved := map[string]int{}
	inputs(t, func(name string, in Input) {
		if in.ApprovedAll {
			return
		}
		p := Make(in)
		for override, apply := range with {
			after := changesByID(Make(apply(in, p)))
			for _, c := range p.Changes {
				if c.Gate == Ready {
					continue
				}
				row, ok := OverrideOf(c.Guard)
				if !ok {
					t.Fatalf("%s: guard %q has no row in the table", name, c.Guard)
				}
				lifts := map[string]bool{"allow": row.Allow, "hash": row.Hash, "now": row.Now}[override]
				if now := after[c.ID]; (now.Guard != c.Guard) != lifts {
					t.Fatalf("%s: %s is held by %s; with %s it is %s by %q, the table says lifts %t\n%+v", name, c.ID, c.Guard, override, now.Gate, now.Guard, lifts, c)
				}
				proved[c.Guard+" "+override]++
			}
		}
	})
	for _, o := range Overrides() {
		for override := range with {
			if proved[o.Guard+" "+override] == 0 {
				t.Errorf("%s, %s: no input proves this cell", o.Guard, override)
			}
		}
	}
	t.Logf("COUNT plan_override_cells=%d", len(proved))
}

func changesByID(p Plan) map[string]Change {
	out := map[string]Change{}
	for _, c := range p.Changes {
		out[c.ID] = c
	}
	return out
}

// ends are what the columns "a commit of" and "what else" name, by guard, done to
// one held change.
func ends() map[string][]func(*Input, Change) {
	file := func(change func(*Desired)) func(*Input, Change) {
		return func(in *Input, c Change) {
			in.Desired = slices.Clone(in.Desired)
			for i := range in.Desired {
				if in.Desired[i].Provider == c.Provider {
					change(&in.Desired[i])
				}
			}
		}
	}
	terra := func(change func(*Observed)) func(*Input, Change) {
		return func(in *Input, c Change) {
			in.Observed = maps.Collect(maps.All(in.Observed))
			o := in.Observed[c.Provider]
			change(&o)
			in.Observed[c.Provider] = o
		}
	}
	accepted := func(in *Input, c Change) {
		in.Asks, in.Probes = true, maps.Clone(in.Probes)
		if in.Probes == nil {
			in.Probes = map[string]Probe{}
		}
		in.Probes[c.Provider] = Probe{Verdict: Good, At: in.Now.Add(time.Hour)}
	}
	otherKey := func(in *Input, c Change) {
		file(func(d *Desired) { d.Refused, d.ProbeRequired = nil, "" })(in, c)
		in.Probes = nil
	}
	sameKeys := func(in *Input, c Change) {
		if in.Observed[c.Provider].Credentials == nil || !in.Observed[c.Provider].Credentials.Set {
			return
		}
		terra(func(o *Observed) { o.Secret = Comparison{Result: Equal} })(in, c)
		file(func(d *Desired) { d.ClientID.Value = in.Observed[c.Provider].Credentials.ClientID })(in, c)
	}
	serves := func(in *Input, c Change) {
		terra(func(o *Observed) { o.Domain = &Domain{Hostname: desiredOf(*in, c.Provider).Domain.Value, Live: true} })(in, c)
	}
	later := func(in *Input, _ Change) { in.Now = in.Now.AddDate(1, 0, 0) }
	return map[string][]func(*Input, Change){
		"pause":          {later, func(in *Input, _ Change) { in.KillSwitches = nil }},
		"suspend":        {later},
		"observe":        {func(in *Input, _ Change) { in.Environment.Observe = false }},
		"protect":        {file(func(d *Desired) { d.Protect = Setting[bool]{Mode: Given} })},
		"on_drift":       {func(in *Input, _ Change) { in.Environment.RevertDrift = true }},
		"probe":          {accepted, otherKey},
		"probe-required": {accepted, file(func(d *Desired) { d.ProbeRequired = "" })},
		"roll-back":      {otherKey},
		guardRedirectHost: {
			file(func(d *Desired) {
				d.RedirectURL, d.Domain = Setting[string]{Mode: Default}, Setting[string]{Mode: Default}
			}),
			func(in *Input, _ Change) {
				in.RedirectHosts = []string{"evil.example", "*.evil.example", "auth.evil.example"}
			},
		},
		guardOlderCommit:  {func(in *Input, _ Change) { in.OlderCommit = "" }},
		"empty-list":      {func(in *Input, _ Change) { in.Observed = map[string]Observed{"nobody-names-it": {}} }},
		"on_secret_drift": {accepted, sameKeys, func(in *Input, _ Change) { in.Environment.RevertSecretDrift = true }},
		"window":          {func(in *Input, _ Change) { in.Environment.Windows = nil }},
		"max_changes":     {func(in *Input, _ Change) { in.Environment.CapCount, in.Environment.CapPercent = 99, 100 }},
		"max_rotations":   {func(in *Input, _ Change) { in.Environment.MaxRotations = 99 }},
		"setup":           {file(func(d *Desired) { d.Waits = nil })},
		"domain":          {terra(func(o *Observed) { o.Domain = &Domain{} }), serves},
		GuardRejected:     {file(func(d *Desired) { d.Refused = nil })},
	}
}

// TestEveryEndOfAGuard does to the stories what the last two columns of the table
// name, and wants each to lift its guard.
func TestEveryEndOfAGuard(t *testing.T) {
	lifted := map[string][]int{}
	for _, archive := range stories(t) {
		in := inputOf(t, archive)
		for _, c := range Make(in).Changes {
			for i, end := range ends()[c.Guard] {
				after := in
				end(&after, c)
				if lifted[c.Guard] == nil {
					lifted[c.Guard] = make([]int, len(ends()[c.Guard]))
				}
				if changesByID(Make(after))[c.ID].Guard != c.Guard {
					lifted[c.Guard][i]++
				}
			}
		}
	}
	count := 0
	for guard, list := range ends() {
		for i := range list {
			if lifted[guard] == nil || lifted[guard][i] == 0 {
				t.Errorf("%s: end %d lifts it in no story", guard, i)
			}
			count++
		}
	}
	for _, o := range Overrides() {
		byTerra := slices.Contains([]string{"provider", "credentials", "order", "adopt"}, o.Guard) // their stories show the rest
		if _, ok := ends()[o.Guard]; ok != (o.Commit != "" || o.Else != "") && !byTerra {
			t.Errorf("%s: the table and this test name different ends", o.Guard)
		}
	}
	t.Logf("COUNT plan_guard_ends=%d", count)
}
