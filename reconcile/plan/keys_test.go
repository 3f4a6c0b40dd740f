package plan

import (
	"slices"
	"testing"
	"time"
)

// rulesOfKeys says again, from the decision on rotation, what a plan must never
// do with keys.
func rulesOfKeys(in Input, p Plan) []string {
	out := each(p, "writes a key that was rejected", func(c Change) bool {
		d := desiredOf(in, c.Provider)
		return c.Gate == Ready && d.Refused != nil && slices.ContainsFunc(c.Fields, func(f FieldChange) bool { return f.To.Sealed == d.Refused.Sealed })
	})
	out = append(out, each(p, "goes back without a yes to a pair that is not proved to be good", func(c Change) bool {
		d, live := desiredOf(in, c.Provider), in.Observed[c.Provider].Secret.LiveKey
		back := c.Action == RotateSecret && d.Refused != nil && d.Refused.Key == live
		probe := in.Probes[c.Provider]
		proved := d.WasLive && probe.Verdict == Good && !probe.At.Before(d.WatchedSince)
		return c.Gate == Ready && back && !proved && !isApproved(in, c)
	})...)
	return append(out, each(p, "writes a pair without the proof that its file demands", func(c Change) bool {
		writes := has(c.Fields, FieldClientSecret)
		return c.Gate == Ready && writes && desiredOf(in, c.Provider).ProbeRequired != "" && in.Probes[c.Provider].Verdict != Good && !isApproved(in, c)
	})...)
}

func TestFell(t *testing.T) {
	exact := func(n int) Users { return Users{Count: n, Exact: true} }
	for _, row := range []struct {
		before, now Users
		percent     int
		want        bool
	}{
		{exact(100), exact(90), 10, true},
		{exact(100), exact(91), 10, false},
		{exact(20), exact(15), 10, true},
		{exact(20), exact(16), 10, false}, // 20 %, but only four people
		{exact(4), exact(0), 10, false},
		{exact(5), exact(0), 100, true},
		{exact(100), exact(120), 10, false},
		{Users{Count: 100}, exact(10), 10, false},
		{exact(100), Users{Count: 10}, 10, false},
	} {
		if got := Fell(row.before, row.now, row.percent); got != row.want {
			t.Errorf("Fell(%v, %v, %d) = %t, want %t", row.before, row.now, row.percent, got, row.want)
		}
	}
}

func TestKeyLife(t *testing.T) {
	var life KeyLife
	for _, id := range []string{"1", "2", "3", "1", "4", "5", "6"} {
		life.Saw(Pair{ClientID: id, Digest: "d"})
	}
	life.Saw(Pair{ClientID: "7"}) // no digest: nothing to recognise it by
	if len(life.Seen) != pairsKept || life.WasLive(Pair{ClientID: "2", Digest: "d"}) || !life.WasLive(Pair{ClientID: "1", Digest: "d"}) || life.WasLive(Pair{ClientID: "7"}) {
		t.Errorf("seen %v", life.Seen)
	}
	life.Soak = &Soak{Entry: "e"}
	life.Reject("e", Rejection{At: time.Unix(0, 0), Reason: "r"})
	clone := life.Clone()
	if !clone.Equal(life) {
		t.Error("a clone differs")
	}
	clone.Soak.Entry = "f"
	clone.Reject("f", Rejection{})
	if life.Soak.Entry != "e" || len(life.Rejected) != 1 || clone.Equal(life) {
		t.Error("a clone shares what it should not")
	}
	if !(KeyLife{}).Equal(KeyLife{Rejected: map[string]Rejection{}}) {
		t.Error("two empty ones differ")
	}
}
