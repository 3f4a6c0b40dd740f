package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

// TestHistoryIsCutOnTerminalsAlone: another program gets each line whole, and one a line.
func TestHistoryIsCutOnTerminalsAlone(t *testing.T) {
	t.Parallel()
	e := state.Entry{Event: state.EventEnvironmentRefused, Environment: "production-of-a-rather-long-name", Outcome: "failed",
		Error: "list sources of prod-x81LmQ: 503 Service Unavailable, three times\nwithin the deadline", Author: "Somebody With A Long Name <a@b>"}
	terminal, pipe := &page{}, &page{wide: anyWidth}
	entryLine(terminal, e, longestWhere)
	entryLine(pipe, e, 40)
	if got := terminal.out.String(); len([]rune(got)) > width+1 || !strings.Contains(got, "…") {
		t.Errorf("on a terminal: %q", got)
	}
	got := pipe.out.String()
	for _, want := range []string{e.Environment + " ", "the run failed: list sources of prod-x81LmQ: 503 Service Unavailable, three times; within the deadline  Somebody With A Long Name\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in %q", want, got)
		}
	}
	entryText(pipe, e)
	if got := pipe.out.String(); !strings.Contains(got, "production-of-a-rather-long-name: no plan could be made, the run failed\n") {
		t.Errorf("with -v: %q", got)
	}
}

// TestHistoryWords: what happened, and no span of nothing.
func TestHistoryWords(t *testing.T) {
	t.Parallel()
	fields := []plan.FieldChange{{Field: plan.FieldScopes}}
	for want, e := range map[string]state.Entry{
		"refused, nothing of it is used":                                    {Event: state.EventEnvironmentRefused, Error: "terra.yaml:1:1: unknown field"},
		"no plan could be made, the run failed":                             {Event: state.EventEnvironmentRefused, Error: "503", Outcome: "failed"},
		"a plan can be made again after 3 minutes":                          {Event: state.EventEnvironmentAccepted, LastedMS: (3 * time.Minute).Milliseconds()},
		"not refused any more after 3 minutes":                              {Event: state.EventEnvironmentAccepted, LastedMS: (3 * time.Minute).Milliseconds(), Reason: "the environment has another dev_id"},
		"drift of scopes ended in the run that found it: written back":      {Event: state.EventDriftResolved, Fields: fields, Outcome: "reverted"},
		"drift of scopes ended after 1.0 s: Terra and the repository agree": {Event: state.EventDriftResolved, Fields: fields, Outcome: "no-longer-differs", LastedMS: 1000},
	} {
		if got := entryWords(e); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
