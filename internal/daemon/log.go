package daemon

import (
	"context"
	"log/slog"

	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// logRun writes one line for the run and one for each change and event, with the
// keys of the JSON report.
func logRun(ctx context.Context, log *slog.Logger, name string, r report.Report) {
	level := slog.LevelInfo
	if r.ExitCode == report.ExitError || r.ExitCode == report.ExitFailed {
		level = slog.LevelError
	}
	for _, w := range r.Warnings {
		log.Warn(w, "environment", name)
	}
	for _, env := range r.Environments {
		for _, w := range env.Warnings {
			log.Warn(w, "environment", env.Name)
		}
		for _, n := range env.NotCompared {
			log.Warn("not compared", "connection", n.Connection, "field", n.Field, "reason", n.Reason)
		}
		for _, c := range env.Changes {
			log.Info("change", "id", c.ID, "class", string(c.Class), "cause", string(c.Cause), "gate", string(c.Gate), "guard", c.Guard,
				"gate_reason", c.GateReason, "outcome", string(c.Outcome), "error", c.Error, "duration_ms", c.DurationMS)
		}
		for _, e := range env.Events {
			log.Warn("event", "kind", string(e.Kind), "connection", e.Connection, "change", e.Change, "since", e.Since, "text", e.Text)
		}
		s := env.Summary
		log.Log(ctx, level, "run", "environment", env.Name, "mode", string(r.Mode), "commit", r.Commit, "plan_hash", env.PlanHash,
			"error", env.Error, "exit_code", r.ExitCode, "duration_ms", r.DurationMS, "unchanged", s.Unchanged, "changes", s.Changes,
			"gated", s.Gated, "not_compared", s.NotCompared, "applied", s.Applied, "failed", s.Failed, "unknown", s.Unknown)
	}
	if r.Error != "" {
		log.Error("run", "environment", name, "commit", r.Commit, "error", r.Error, "exit_code", r.ExitCode)
	}
}
