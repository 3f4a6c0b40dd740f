package plan

import (
	"maps"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// inputs are all stories, and random inputs until there were enough.
func inputs(t *testing.T, enough func() bool, property func(name string, in facts)) {
	t.Helper()
	for name, archive := range stories(t) {
		property(filepath.Base(name), inputOf(t, archive))
	}
	randomUntil(t, enough, func(_ *testing.T, _ dice, in facts) { property("random", in) })
}

// TestEveryCellOfTheOverrides plans each change that a guard holds once more with
// each override: those that the table lists lift the guard, the others do not.
func TestEveryCellOfTheOverrides(t *testing.T) {
	with := map[string]func(facts, Plan) facts{
		"allow": func(in facts, p Plan) facts {
			in.Environment.Allow = slices.Clone(in.Environment.Allow)
			for _, c := range p.Changes {
				in.Environment.Allow = append(in.Environment.Allow, allowsFor(in.input(), c)...)
			}
			return in
		},
		"hash":  func(in facts, _ Plan) facts { in.ApprovedAll, in.NowFlag = true, false; return in },
		"now":   func(in facts, _ Plan) facts { in.ApprovedAll, in.NowFlag = true, true; return in },
		"alone": func(in facts, _ Plan) facts { in.ApprovedEach, in.NowFlag = true, false; return in },
	}
	proved := map[string]int{}
	all := func() bool { return len(proved) == len(Guards())*len(with) }
	inputs(t, all, func(name string, in facts) {
		if in.ApprovedAll {
			return
		}
		p := planOf(in)
		for override, apply := range with {
			after := changesByID(planOf(apply(in, p)))
			for _, c := range p.Changes {
				if c.Gate == Ready {
					continue
				}
				row, ok := GuardOf(c.Guard)
				if !ok {
					t.Fatalf("%s: guard %q has no row in the table", name, c.Guard)
				}
				lifts := map[string]bool{"allow": row.Lifts.Allow, "hash": row.Lifts.Hash, "now": row.Lifts.Now, "alone": row.Lifts.Hash || row.Lifts.Alone}[override]
				if now := after[c.ID]; (now.Guard != c.Guard) != lifts {
					t.Fatalf("%s: %s is held by %s; with %s it is %s by %q, the table says lifts %t\n%+v", name, c.ID, c.Guard, override, now.Gate, now.Guard, lifts, c)
				}
				proved[c.Guard+" "+override]++
			}
		}
	})
	for _, o := range Guards() {
		for override := range with {
			if proved[o.Name+" "+override] == 0 {
				t.Errorf("%s, %s: no input proves this cell", o.Name, override)
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
func ends() map[string][]func(*facts, Change) {
	file := func(change func(*Desired)) func(*facts, Change) {
		return func(in *facts, c Change) {
			in.Desired = slices.Clone(in.Desired)
			for i := range in.Desired {
				if in.Desired[i].Provider == c.Provider {
					change(&in.Desired[i])
				}
			}
		}
	}
	terra := func(change func(*Observed)) func(*facts, Change) {
		return func(in *facts, c Change) {
			in.Observed = maps.Collect(maps.All(in.Observed))
			o := in.Observed[c.Provider]
			change(&o)
			in.Observed[c.Provider] = o
		}
	}
	accepted := func(in *facts, c Change) {
		in.Asks, in.Probes = true, maps.Clone(in.Probes)
		if in.Probes == nil {
			in.Probes = map[string]Probe{}
		}
		in.Probes[c.Provider] = Probe{Verdict: Good, At: in.Now.Add(time.Hour)}
	}
	otherKey := func(in *facts, c Change) {
		file(func(d *Desired) { d.Rejected, d.ProbeRequired = nil, "" })(in, c)
		in.Probes = nil
	}
	sameKeys := func(in *facts, c Change) {
		if in.Observed[c.Provider].Credentials == nil || !in.Observed[c.Provider].Credentials.Set {
			return
		}
		terra(func(o *Observed) { o.Secret = Comparison{Result: Equal} })(in, c)
		file(func(d *Desired) { d.ClientID.Value = in.Observed[c.Provider].Credentials.ClientID })(in, c)
	}
	serves := func(in *facts, c Change) {
		terra(func(o *Observed) { o.Domain = &Domain{Hostname: desiredOf(*in, c.Provider).Domain.Value, Live: true} })(in, c)
	}
	later := func(in *facts, _ Change) { in.Now = in.Now.AddDate(1, 0, 0) }
	return map[string][]func(*facts, Change){
		"pause":       {later, func(in *facts, _ Change) { in.KillSwitches = nil }},
		"suspend":     {later},
		"observe":     {func(in *facts, _ Change) { in.Environment.Observe = false }},
		"protect":     {file(func(d *Desired) { d.Protect = Setting[bool]{Mode: Given} })},
		"on-drift":    {func(in *facts, _ Change) { in.Environment.RevertDrift = true }},
		"probe":       {accepted, otherKey},
		"probe-again": {accepted},
		"inconsistent": {func(in *facts, c Change) {
			live := in.Observed[c.Provider].Credentials.RedirectURL
			file(func(d *Desired) {
				if d.RedirectURL = (Setting[string]{Mode: Default}); live != nil {
					d.RedirectURL = Setting[string]{Mode: Given, Value: *live}
				}
			})(in, c)
		}},
		GuardConflict:    {later, file(func(d *Desired) { d.State = Paused })},
		"probe-required": {accepted, file(func(d *Desired) { d.ProbeRequired = "" })},
		"roll-back":      {otherKey},
		"redirect-host": {
			file(func(d *Desired) {
				d.RedirectURL, d.Domain = Setting[string]{Mode: Default}, Setting[string]{Mode: Default}
			}),
			func(in *facts, _ Change) {
				in.RedirectHosts = []string{"evil.example", "*.evil.example", "auth.evil.example"}
			},
		},
		"rewound":         {func(in *facts, _ Change) { in.Rewound = "" }},
		"empty-list":      {func(in *facts, _ Change) { in.Observed = map[string]Observed{"nobody-names-it": {}} }},
		"on-secret-drift": {accepted, sameKeys, func(in *facts, _ Change) { in.Environment.RevertSecretDrift = true }},
		GuardKeysGone:     {later},
		GuardNoWayBack:    {sameKeys, accepted},
		GuardPromotion: {
			later,
			func(in *facts, _ Change) { in.After = nil },
			func(in *facts, c Change) {
				in.After = maps.Clone(in.After)
				after, ago := in.After[c.Provider], in.Now.AddDate(-1, 0, 0)
				there := Remembered{Fields: desiredTokens(desiredOf(*in, c.Provider)), Since: map[string]time.Time{}, Synced: ago}
				for field := range there.Fields {
					there.Since[field] = ago
				}
				after.Unknown, after.Wants, after.There, after.Gone = "", nil, &there, ago
				if wants := desiredOf(*in, c.Provider); c.Cause != Prune {
					after.Wants = &wants
				}
				in.After[c.Provider] = after
			},
		},
		"window":        {func(in *facts, _ Change) { in.Environment.Windows = nil }},
		"max-changes":   {func(in *facts, _ Change) { in.Environment.CapCount, in.Environment.CapPercent = 99, 100 }},
		"max-rotations": {func(in *facts, _ Change) { in.Environment.MaxRotations = 99 }},
		"setup":         {file(func(d *Desired) { d.Prerequisites = nil })},
		"domain":        {terra(func(o *Observed) { o.Domain = &Domain{} }), serves},
		GuardRejected:   {file(func(d *Desired) { d.Rejected = nil })},
	}
}

// TestEveryEndOfAGuard does to the stories what the last two columns of the table
// name, and wants each to lift its guard.
func TestEveryEndOfAGuard(t *testing.T) {
	lifted := map[string][]int{}
	for _, archive := range stories(t) {
		in := inputOf(t, archive)
		for _, c := range planOf(in).Changes {
			for i, end := range ends()[c.Guard] {
				after := in
				end(&after, c)
				if lifted[c.Guard] == nil {
					lifted[c.Guard] = make([]int, len(ends()[c.Guard]))
				}
				if changesByID(planOf(after))[c.ID].Guard != c.Guard {
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
	for _, o := range Guards() {
		byTerra := slices.Contains([]string{"provider", "credentials", "order", "adopt"}, o.Name) // their stories show the rest
		if _, ok := ends()[o.Name]; ok != (o.Commit != "" || o.Else != "") && !byTerra {
			t.Errorf("%s: the table and this test name different ends", o.Name)
		}
	}
	t.Logf("COUNT plan_guard_ends=%d", count)
}

// TestPassesAreApart: what Make gives may not be applied, and Approve takes a consent
// back as if there never had been one.
func TestPassesAreApart(t *testing.T) {
	released := 0
	for name, archive := range stories(t) {
		in := inputOf(t, archive).input()
		made := Make(in)
		if made.Ready() > 0 {
			t.Errorf("%s: a change is ready that no guard has seen", name)
		}
		guarded := Guard(in, Classify(in, made))
		approved := Approve(in, guarded, Consent{Plan: true, Now: true})
		if d := cmp.Diff(guarded, Approve(in, approved, Consent{})); d != "" {
			t.Errorf("%s: after a consent was taken back (-guarded +got):\n%s", name, d)
		}
		n := Releases(in, guarded, Consent{Plan: true, Now: true})
		if n != approved.Ready()-guarded.Ready() {
			t.Errorf("%s: got %d released, want %d", name, n, approved.Ready()-guarded.Ready())
		}
		released += n
		if Hash(made) != Hash(approved) {
			t.Errorf("%s: a gate changes the hash", name)
		}
	}
	if released == 0 {
		t.Error("no story has anything to release")
	}
}
