package daemon

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

func TestEventsAreLogged(t *testing.T) {
	var out bytes.Buffer
	r := report.Report{Environments: []report.Environment{{Name: "production", Events: []report.Event{
		{Kind: report.KeyOverdueEvent, Connection: "production/strava", Text: "key 1 is 95 days old"},
	}}}}
	logRun(t.Context(), slog.New(slog.NewJSONHandler(&out, nil)), "production", r)
	for _, want := range []string{`"level":"WARN"`, `"msg":"event"`, `"kind":"key-overdue"`, `"connection":"production/strava"`, `"text":"key 1 is 95 days old"`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("got %s, want %s in it", out.String(), want)
		}
	}
}
