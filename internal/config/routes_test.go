package config

import (
	"strings"
	"testing"
)

// TestUnmatchedRoutes: a name that no environment has is said with what may be meant, a pattern
// that matches one is not, and nothing is said while no environment is known.
func TestUnmatchedRoutes(t *testing.T) {
	t.Parallel()
	n := &Notify{Routes: []Route{{Environments: []string{"prod*", "stagin"}}, {Environments: []string{"eu/*"}}, {}}}
	var got []string
	for _, p := range n.Unmatched([]string{"production", "staging", "eu/west/one"}) {
		got = append(got, p.Message+"; "+p.Hint)
	}
	want := []string{"notify.routes names the environment `stagin`, and none is called so; did you mean `staging`?",
		"notify.routes names the environment `eu/*`, and none is called so; there is"}
	if len(got) != 2 || got[0] != want[0] || !strings.HasPrefix(got[1], want[1]) {
		t.Errorf("got %q", got)
	}
	if more := append(n.Unmatched(nil), (*Notify)(nil).Unmatched([]string{"production"})...); len(more) > 0 {
		t.Errorf("got %v where nothing is known", more)
	}
}
