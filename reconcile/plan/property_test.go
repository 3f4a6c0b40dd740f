package plan

import (
	"bytes"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/terra-reconcile/terra-reconcile/internal/walk"
)

// randomPlans is how many inputs a property is tried on.
func randomPlans() int { return walk.Times(10_000) }

// random runs a property over random inputs.
func random(t *testing.T, property func(*testing.T, dice, facts)) {
	t.Helper()
	randomUntil(t, func() bool { return true }, property)
}

// randomUntil goes on, fifty times as long at most, until enough of what is rare was
// among the inputs: a test that something occurs may not depend on its seed.
func randomUntil(t *testing.T, enough func() bool, property func(*testing.T, dice, facts)) {
	t.Helper()
	r := dice{rand.New(rand.NewPCG(uint64(walk.Seed(t)), 1))}
	for n := range 50 * randomPlans() {
		if t.Failed() || n >= randomPlans() && enough() {
			return
		}
		property(t, r, r.input())
	}
}

func asJSON(t *testing.T, v Plan) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRandomPlansKeepTheLaw(t *testing.T) {
	changes := 0
	random(t, func(t *testing.T, r dice, in facts) {
		p := planOf(in)
		changes += len(p.Changes)
		if problems := broken(in, p); len(problems) > 0 {
			t.Fatalf("%q\nfrom %+v", problems, in)
		}
		if got, want := asJSON(t, planOf(r.shuffled(in))), asJSON(t, p); !bytes.Equal(got, want) {
			t.Fatalf("another order of the input gives another plan:\n%s", cmp.Diff(string(want), string(got)))
		}
	})
	if changes < randomPlans() {
		t.Errorf("changes: got %d, want at least one a plan", changes)
	}
	t.Logf("COUNT plan_random=%d", randomPlans())
	t.Logf("COUNT plan_random_changes=%d", changes)
}

// TestRandomPlansConverge applies all that is ready. Where everything was, the
// next plan is empty; where not, what was held is still there, for the same cause.
func TestRandomPlansConverge(t *testing.T) {
	whole, held := 0, 0
	random(t, func(t *testing.T, r dice, in facts) {
		if r.chance(60) {
			in = r.friendly(in)
		}
		p, applied := planOf(in), map[string]bool{}
		for _, c := range p.Changes {
			applied[c.ID] = c.Gate == Ready
		}
		next := in
		next.Memory, next.Observed, next.ApprovedAll = rememberOf(in, p, applied), terraAfter(in, p, applied), false
		next.ApprovedEach = false
		next.Domains = domainsAfter(in, p, applied)
		again := planOf(next)
		held += staysHeld(t, in, p, next, applied)
		if allReady(p) {
			whole += min(1, len(p.Changes))
			again.Changes = slices.DeleteFunc(again.Changes, Change.ShowsRejected) // stays to be seen until another key is sealed
			if len(again.Changes) > 0 {
				t.Fatalf("after applying everything: got %+v, want no change\nfrom %s", again.Changes, asJSON(t, p))
			}
			return
		}
		sameCause(t, p, again, applied)
	})
	if whole < randomPlans()/20 || held < randomPlans() {
		t.Errorf("plans applied whole %d, changes held %d: too few to prove anything", whole, held)
	}
	t.Logf("COUNT plan_random_converged=%d", whole)
}

func allReady(p Plan) bool {
	return !slices.ContainsFunc(p.Changes, func(c Change) bool { return c.Gate != Ready })
}

// staysHeld wants what needs a yes, or is refused, in one run not to pass in the
// next only because memory has changed. What is seen for the first time once it is
// enabled may turn out to be safe, and a cap in percent grows with what is live.
func staysHeld(t *testing.T, in facts, p Plan, next facts, applied map[string]bool) int {
	t.Helper()
	next.ApprovedAll = in.ApprovedAll
	again, held := map[string]Change{}, 0
	for _, c := range planOf(next).Changes {
		for _, f := range c.Fields {
			again[c.Connection+f.Field] = c
		}
	}
	for _, c := range p.Changes {
		grown := (c.Guard == "max-changes" || c.Guard == "empty-list") && len(next.Observed) != len(in.Observed)
		if applied[c.ID] || c.Gate == Waiting || grown || c.ShowsRejected() {
			continue
		}
		held++
		for _, f := range c.Fields {
			now, there := again[c.Connection+f.Field]
			if !there || now.Gate != Ready || now.Class == Safe && c.Class != Safe || besideKeys(c, f.Field) {
				continue
			}
			t.Fatalf("%s was held by %s and passes in the next run:\n%+v\n%+v\nmemory %+v\nthen %+v\nobserved %+v\nthen %+v", c.ID, c.Guard, c, now,
				in.Memory.of(c.Provider), next.Memory.of(c.Provider), in.Observed[c.Provider], next.Observed[c.Provider])
		}
	}
	return held
}

// besideKeys: a field that was held only because it travelled with the keys may
// become a change of its own.
func besideKeys(c Change, field string) bool {
	return (c.Guard == "on-secret-drift" || c.Guard == "destructive") && c.Action == UpdateCredentials &&
		!slices.Contains([]string{FieldClientID, FieldClientSecret, FieldSandbox, FieldSecretRef}, field)
}

// sameCause compares the held changes of connections of which nothing was applied.
func sameCause(t *testing.T, p, again Plan, applied map[string]bool) {
	t.Helper()
	touched, causes := map[string]bool{}, map[string]Cause{}
	for _, c := range p.Changes {
		touched[c.Connection] = touched[c.Connection] || applied[c.ID]
	}
	for _, c := range again.Changes {
		causes[c.ID] = c.Cause
	}
	for _, c := range p.Changes {
		if touched[c.Connection] {
			continue
		}
		if causes[c.ID] != c.Cause {
			t.Fatalf("%s, held by %s: got cause %q in the next plan, want %q", c.ID, c.Guard, causes[c.ID], c.Cause)
		}
	}
}

// TestRandomMemoryIsHonest applies some changes and not others.
func TestRandomMemoryIsHonest(t *testing.T) {
	random(t, func(t *testing.T, r dice, in facts) {
		p, applied, failed := planOf(in), map[string]bool{}, map[string]bool{}
		for _, c := range p.Changes { // after one that failed the rest of its connection is not attempted
			failed[c.Connection] = failed[c.Connection] || c.Gate == Ready && r.chance(20)
			applied[c.ID] = c.Gate == Ready && !failed[c.Connection]
		}
		after, live := rememberOf(in, p, applied), terraAfter(in, p, applied)
		for provider, m := range after.Connections {
			old, enabled := in.Memory.of(provider), applied["production/"+provider+":enable"]
			_, wasLive := in.Observed[provider]
			if m.Enabled && !enabled && !(old.Enabled && wasLive) {
				t.Fatalf("%s: called ours although we did not enable it", provider)
			}
			if _, isLive := live[provider]; m.Enabled && !isLive {
				t.Fatalf("%s: called ours although Terra does not have it", provider)
			}
			if old.Protected && !m.Protected && desiredOf(in, provider).Protect.Mode != Given {
				t.Fatalf("%s: protection is gone and no file lifted it", provider)
			}
			if m.Paused && live[provider].Active {
				t.Fatalf("%s: remembered as paused by us, and active", provider)
			}
			onlySeen(t, in, p, applied, provider, m)
		}
	})
}

// onlySeen wants a token remembered only where it was remembered, written, or
// compared: live, readable, and without an open change of the field.
func onlySeen(t *testing.T, in facts, p Plan, applied map[string]bool, provider string, m Remembered) {
	t.Helper()
	written := map[string]bool{}
	for _, c := range p.Changes {
		for _, f := range c.Fields {
			if c.Provider == provider && applied[c.ID] {
				written[f.Field] = true
			}
		}
	}
	o, live := in.Observed[provider]
	old := in.Memory.of(provider).Fields
	for field, token := range m.Fields {
		disabled := desiredOf(in, provider).State == Disabled && field == FieldState
		if old[field] != token && !written[field] && (!live || o.Failed != "") && !disabled {
			t.Fatalf("%s: %s is remembered as agreed, and was neither seen nor written", provider, field)
		}
		isDigest := field == FieldClientSecret || field == FieldVerificationSecret
		if token == "" && isDigest && old[field] != "" {
			t.Fatalf("%s: %s is remembered without a digest", provider, field)
		}
	}
}

// TestRandomHashes changes all that must stay out of the hash.
func TestRandomHashes(t *testing.T) {
	random(t, func(t *testing.T, r dice, in facts) {
		p, other := planOf(in), in
		other.Now = in.Now.Add(90 * 24 * time.Hour)
		other.ApprovedAll, other.NowFlag, other.Users, other.Probes = !in.ApprovedAll, !in.NowFlag, nil, nil
		env := r.environment(other.Now)
		env.PruneDisable = in.Environment.PruneDisable
		other.Environment = env
		other.Desired, other.Observed = slices.Clone(in.Desired), maps.Clone(in.Observed)
		for i := range other.Desired {
			d := &other.Desired[i]
			d.Secret.Value.Key += 2
			d.Secret.Value.Digest, d.Warnings, d.Suspend, d.Prerequisites = "x", []Warning{{Text: "w"}}, nil, nil
			if d.Rejected != nil {
				shifted := *d.Rejected
				shifted.Key, d.Rejected = shifted.Key+2, &shifted
			}
		}
		for provider, o := range other.Observed {
			o.Secret.LiveKey += 2
			other.Observed[provider] = o
		}
		other.Memory.Connections = map[string]Remembered{}
		for provider, m := range in.Memory.Connections {
			other.Memory.Connections[provider] = Remembered{Enabled: m.Enabled, Protected: !m.Protected, Paused: !m.Paused}
		}
		q := planOf(other)
		if Hash(p) != Hash(q) {
			t.Fatalf("hash: got %s, want %s\n%s", Hash(q), Hash(p), cmp.Diff(p.Changes, q.Changes))
		}
		if len(p.Changes) > 0 {
			before, one := Hash(p), pick(r, p.Changes...)
			one.Fields[0].To = text("another")
			if Hash(p) == before {
				t.Fatalf("%s: another target gives the same hash", one.ID)
			}
		}
	})
}
