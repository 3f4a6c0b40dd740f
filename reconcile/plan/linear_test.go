package plan

import (
	"fmt"
	"testing"
	"time"
)

// largest is the largest input that files can make of one environment: each of n
// connections changes, with as many allows and windows as a file may have.
func largest(n int) Input {
	in := Input{Now: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC), Environment: Environment{Name: "production", DevID: "d", CapCount: 1, CapPercent: 1}}
	for i := range 50 {
		in.Environment.Windows = append(in.Environment.Windows, Window{Days: []time.Weekday{time.Sunday}, From: i, To: i + 1, Location: time.UTC})
	}
	for i := range n {
		provider := fmt.Sprintf("provider%05d", i)
		for range 100 {
			in.Environment.Allow = append(in.Environment.Allow, Allow{Provider: provider, Change: "scopes", Until: in.Now})
		}
		in.Connections = append(in.Connections, Connection{Provider: provider, Observed: &Observed{Active: true, Variant: "standard"},
			Desired: &Desired{Provider: provider, State: Paused}, Remembered: &Remembered{}})
	}
	return in
}

// TestPlanningIsLinear: the largest files that there may be are planned and guarded in
// the time that they take to be read, not in minutes. What bounds the counts is package
// spec.
func TestPlanningIsLinear(t *testing.T) {
	in := largest(400)
	began := time.Now()
	p := Guard(in, Classify(in, Make(in)))
	took := time.Since(began)
	if len(p.Changes) != 400 || p.Ready() != 0 {
		t.Fatalf("%d changes, %d of them ready", len(p.Changes), p.Ready())
	}
	t.Logf("400 changes, %d allows and 50 windows: %s", len(in.Environment.Allow), took)
	if took > time.Minute { // it takes some milliseconds; each allow for each change takes minutes
		t.Errorf("it takes %s", took)
	}
}
