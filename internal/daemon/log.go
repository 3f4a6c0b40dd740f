package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// repeatAfter is how often a line that stays true is logged.
const repeatAfter = 24 * time.Hour

// logged is what the log said of the last run of an environment, and when it first did.
type logged map[string]time.Time

// runLog writes what one run has to say.
type runLog struct {
	log  *slog.Logger
	last logged
	next logged
	now  time.Time
}

// logRun writes one line for the run and one for each change, warning and event,
// with the keys of the JSON report. What only stays as it was in the last run is
// logged once a day. It returns what to give it after the next run.
func logRun(ctx context.Context, log *slog.Logger, name string, r report.Report, last logged) logged {
	l := &runLog{log: log, last: last, next: logged{}, now: time.Now()}
	level := slog.LevelInfo
	if r.ExitCode == report.ExitError || r.ExitCode == report.ExitFailed {
		level = slog.LevelError
	}
	for _, w := range r.Warnings {
		l.lasting(slog.LevelWarn, w.Text, "environment", name, "next", report.Words(w.Remediations))
	}
	for _, env := range r.Environments {
		l.environment(env)
		s := env.Summary
		log.Log(ctx, level, "run", "environment", env.Name, "mode", string(r.Mode), "commit", r.Commit, "plan_hash", env.PlanHash,
			"error", env.Error, "exit_code", r.ExitCode, "duration_ms", r.DurationMS, "unchanged", s.Unchanged, "changes", s.Changes,
			"gated", s.Gated, "not_compared", s.NotCompared, "applied", s.Applied, "failed", s.Failed, "unknown", s.Unknown)
	}
	if r.Error != "" {
		log.Error("run", "environment", name, "commit", r.Commit, "error", r.Error, "exit_code", r.ExitCode)
	}
	return l.next
}

func (l *runLog) environment(env report.Environment) {
	for _, w := range env.Warnings {
		l.lasting(slog.LevelWarn, w.Text, "environment", env.Name, "next", report.Words(w.Remediations))
	}
	for _, n := range env.NotCompared {
		l.lasting(slog.LevelWarn, "not compared", "connection", n.Connection, "field", n.Field, "reason", n.Reason)
	}
	for _, c := range env.Changes {
		line := []any{"id", c.ID, "class", string(c.Class), "cause", string(c.Cause), "gate", string(c.Gate), "guard", c.Guard,
			"gate_reason", c.GateReason, "outcome", string(c.Outcome), "error", c.Error, "duration_ms", c.DurationMS}
		switch c.Outcome {
		case report.Applied, report.Failed, report.Unknown, report.NotAttempted:
			l.log.Info("change", line...)
		default:
			l.lasting(slog.LevelInfo, "change", line...)
		}
	}
	for _, e := range env.Events {
		l.lasting(slog.LevelWarn, "event", "kind", string(e.Kind), "connection", e.Connection, "change", e.Change, "since", e.Since, "text", e.Text,
			"next", report.Words(e.Remediations))
	}
}

// lasting is a line that may be true for weeks.
func (l *runLog) lasting(level slog.Level, text string, line ...any) {
	key := text + fmt.Sprint(line...)
	at, known := l.last[key]
	if !known || l.now.Sub(at) >= repeatAfter {
		at = l.now
		l.log.Log(context.Background(), level, text, line...)
	}
	l.next[key] = at
}
