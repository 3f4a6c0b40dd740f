package state

import (
	"testing"

	"github.com/terra-reconcile/terra-reconcile/reconcile/keys"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

// TestForget: one connection is gone with its keys and what is open about it, also after
// a restart; others stay, and a second time there is nothing.
func TestForget(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	must(t, s.SaveMemory(here(), plan.Memory{Known: true, Connections: map[string]plan.Remembered{"strava": {Enabled: true}, "whoop": {Enabled: true}}}))
	must(t, s.SaveKeyHistory(here(), "strava", keys.History{Refused: map[string]keys.Refusal{"a": {Reason: "no"}}}))
	must(t, s.SaveOpenEvents(here(), OpenEvents{Gated: map[string]GatedChange{"a": {Provider: "strava"}, "b": {Provider: "whoop"}},
		Drifts: map[string]Drift{"strava/scopes": {Provider: "strava"}}}, nil))
	line := Entry{ID: "1", At: noon(), Event: EventForgotten}
	for _, want := range []bool{true, false} {
		if forgotten, err := s.Forget(here(), "strava", line); forgotten != want || err != nil {
			t.Errorf("forgotten %v, %v, want %v", forgotten, err, want)
		}
	}
	closed(t, s)
	s = opened(t, dir)
	defer closed(t, s)
	memory, err := s.Memory(here())
	must(t, err)
	histories, err := s.KeyHistory(here())
	must(t, err)
	open, err := s.OpenEvents(here())
	must(t, err)
	if _, there := memory.Connections["whoop"]; !there || len(memory.Connections) != 1 || len(histories) != 0 || len(open.Gated) != 1 || len(open.Drifts) != 0 || !memory.Known {
		t.Errorf("left: %+v, keys %v, open %+v", memory, histories, open)
	}
	lines, _, err := History(dir, HistoryFilter{})
	must(t, err)
	if len(lines) != 1 || lines[0].Event != EventForgotten {
		t.Errorf("history: %+v", lines)
	}
}
