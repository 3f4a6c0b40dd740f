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
	log = log.With("run", r.RunID, "commit", r.Commit, "environment", name)
	l := &runLog{log: log, last: last, next: logged{}, now: time.Now()}
	level := slog.LevelInfo
	switch {
	case r.EndedEarly != "": // and another one follows, which says how it stands
		l.next = last
		log.Info("run", "mode", string(r.Mode), "ended_early", r.EndedEarly, "exit_code", r.ExitCode, "duration_ms", r.DurationMS)
		for _, env := range r.Environments {
			l.outcomes(env)
		}
		return l.next
	case r.ExitCode == report.ExitError || r.ExitCode == report.ExitFailed:
		level = slog.LevelError
	}
	for _, w := range r.Warnings {
		l.warning(w.Connection, w.Text, report.Words(w.Remediations))
	}
	for _, env := range r.Environments {
		l.environment(env)
		s := env.Summary
		log.Log(ctx, level, "run", "mode", string(r.Mode), "plan_hash", env.PlanHash,
			"error", env.Error, "exit_code", r.ExitCode, "duration_ms", r.DurationMS, "unchanged", s.Unchanged, "changes", s.Changes,
			"gated", s.Gated, "not_compared", s.NotCompared, "applied", s.Applied, "failed", s.Failed, "unknown", s.Unknown)
	}
	if r.Error != "" {
		log.Error("run", "mode", string(r.Mode), "error", r.Error, "exit_code", r.ExitCode, "duration_ms", r.DurationMS)
	}
	return l.next
}

func (l *runLog) environment(env report.Environment) {
	for _, w := range env.Warnings {
		l.warning(w.Connection, w.Text, report.Words(w.Remediations))
	}
	for _, n := range env.NotCompared {
		l.lasting(slog.LevelWarn, "not compared", "connection", n.Connection, "field", n.Field, "reason", n.Reason)
	}
	l.outcomes(env)
	for _, c := range env.Changes {
		if !tried(c) {
			l.lasting(slog.LevelInfo, "change", lineOf(c)...)
		}
	}
	for _, e := range env.Events {
		line := []any{"kind", string(e.Kind), "connection", e.Connection, "change", e.Change}
		if !e.Since.IsZero() { // where it only is of this run nobody knows
			line = append(line, "since", e.Since)
		}
		l.lasting(slog.LevelWarn, "event", append(line, "text", e.Text, "next", report.Words(e.Remediations))...)
	}
}

// outcomes tells of what the run was to do, each time.
func (l *runLog) outcomes(env report.Environment) {
	for _, c := range env.Changes {
		if tried(c) {
			l.log.Info("change", lineOf(c)...)
		}
	}
}

func tried(c report.Change) bool {
	return c.Outcome == report.Applied || c.Outcome == report.Failed || c.Outcome == report.Unknown || c.Outcome == report.NotAttempted
}

func lineOf(c report.Change) []any {
	return []any{"connection", c.Connection, "id", c.ID, "class", string(c.Class), "cause", string(c.Cause), "gate", string(c.Gate), "guard", c.Guard,
		"gate_reason", c.GateReason, "outcome", string(c.Outcome), "error", c.Error, "duration_ms", c.DurationMS}
}

func (l *runLog) warning(about, text, next string) {
	l.lasting(slog.LevelWarn, "warning", "connection", about, "text", text, "next", next)
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
