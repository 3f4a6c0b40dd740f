package walk

import (
	"fmt"
	"slices"
	"testing"
)

func points(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

func third(i int) string { return fmt.Sprint(i % 3) }

func TestSampleHasEachKindAndIsRepeatedByItsSeed(t *testing.T) {
	t.Setenv("WALK", "ci")
	for seed := range 50 {
		t.Setenv("WALK_SEED", fmt.Sprint(seed))
		chosen, said := Sample(t, points(30), 3, third)
		again, _ := Sample(t, points(30), 3, third)
		if said != int64(seed) || !slices.Equal(chosen, again) {
			t.Fatalf("seed %d: said %d, chose %v, then %v", seed, said, chosen, again)
		}
		kinds := map[string]bool{}
		for _, i := range chosen {
			kinds[third(i)] = true
		}
		if len(chosen) != 3 || len(kinds) != 3 {
			t.Fatalf("seed %d: %v lacks a kind", seed, chosen)
		}
	}
}

// TestSampleForPeopleIsSmall: an eighth, and each kind still.
func TestSampleForPeopleIsSmall(t *testing.T) {
	t.Setenv("WALK", "")
	chosen, _ := Sample(t, points(100), 40, third)
	kinds := map[string]bool{}
	for _, i := range chosen {
		kinds[third(i)] = true
	}
	if len(chosen) != 5 || len(kinds) != 3 {
		t.Errorf("got %v", chosen)
	}
	if chosen, _ := Sample(t, points(100), 8, third); len(chosen) != 3 {
		t.Errorf("got %v, want one of each kind", chosen)
	}
	if got := Few(t, points(7), 2); len(got) != 2 {
		t.Errorf("got %v", got)
	}
	t.Setenv("WALK", "ci")
	if got := Few(t, points(7), 2); !slices.Equal(got, points(7)) {
		t.Errorf("got %v, want all", got)
	}
}

func TestWholeWalkIsAllInOrder(t *testing.T) {
	t.Setenv("WALK", "all")
	if chosen, _ := Sample(t, points(30), 3, third); !slices.Equal(chosen, points(30)) {
		t.Errorf("got %v", chosen)
	}
}

// asked stands for the test that asks, and notes that it failed.
type asked struct {
	testing.TB
	failed bool
}

func (a *asked) Helper()               {}
func (a *asked) Logf(string, ...any)   {}
func (a *asked) Errorf(string, ...any) { a.failed = true }

func TestSampleThatProvesTooLittleFails(t *testing.T) {
	t.Setenv("WALK", "")
	for name, c := range map[string]struct{ all, some int }{"too few points": {4, 5}, "more kinds than places": {30, 2}} {
		a := &asked{TB: t}
		if Sample(a, points(c.all), c.some, third); !a.failed {
			t.Errorf("%s: nothing was said", name)
		}
	}
}
