package plan

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A run that changes nothing must leave nothing to save.
func TestWhatDidNotChangeIsNotUpdated(t *testing.T) {
	first := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	in := facts{
		Environment: Environment{Name: "production"}, Now: first,
		Desired:  []Desired{{Provider: "polar", State: Active}},
		Observed: map[string]Observed{"polar": {Active: true, Variant: "standard"}},
	}
	in.Memory = rememberOf(in, planOf(in), nil)
	if got := in.Memory.Connections["polar"].UpdatedAt; !got.Equal(first) {
		t.Fatalf("UpdatedAt after the first run: got %v, want %v", got, first)
	}
	in.Now = first.Add(time.Hour)
	if d := cmp.Diff(in.Memory, rememberOf(in, planOf(in), nil)); d != "" {
		t.Errorf("memory after a run that changed nothing (-before +after):\n%s", d)
	}
	in.Environment.Protect = []string{"polar"}
	if got := rememberOf(in, planOf(in), nil).Connections["polar"].UpdatedAt; !got.Equal(in.Now) {
		t.Errorf("UpdatedAt after it was protected: got %v, want %v", got, in.Now)
	}
}
