package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// historySchema names the form of the JSON document. Fields are added, never
// renamed.
const historySchema = "terra-reconcile/history/v1"

type historyFlags struct {
	stateFlags
	environment, connection, since, format string
	limit                                  int
}

func newHistoryCommand(env *environment) *cobra.Command {
	f := &historyFlags{}
	cmd := &cobra.Command{
		Use:   "history",
		Short: "Show what was written, held, refused and paused",
		Long: `Show what was written to Terra, what was held and refused, and which drift
ended: when, by whose commit, from what to what, and what became of it. The
latest stands last.

It reads the files history*.jsonl of the state folder and takes no lock, so it
also works while the daemon runs, and on a copy of the folder. Secrets are
shown as masks and key numbers.`,
		Example: `  reconcile history --connection production/strava
  reconcile history --env production --since 7d
  reconcile history --since 2026-11-01 --limit 0 -o json | jq '.entries[].error'`,
		Args: takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd.Context(), env) },
	}
	f.add(cmd)
	cmd.Flags().StringVar(&f.environment, "env", "", "only this environment, by its `name` or dev_id")
	cmd.Flags().StringVar(&f.connection, "connection", "", "only this connection, by its `name`: strava or production/strava")
	cmd.Flags().StringVar(&f.since, "since", "", "not older than this `time`: 24h, 7d or 2026-11-01")
	cmd.Flags().IntVar(&f.limit, "limit", 50, "`number` of entries at most, the latest; 0 means all")
	cmd.Flags().StringVarP(&f.format, "output", "o", "text", "`format`: text or json")
	return cmd
}

func (f *historyFlags) run(ctx context.Context, env *environment) error {
	if !oneOf(f.format, "text", "json") {
		return usageError("--output %q: use text or json", f.format)
	}
	if f.limit < 0 {
		return usageError("--limit %d: use 0 for all, or a number above it", f.limit)
	}
	since, err := sinceFrom(f.since, env.Now())
	if err != nil {
		return err
	}
	dir, err := f.folder(env)
	if err != nil {
		return err
	}
	if err := f.checkNames(ctx, dir); err != nil {
		return err
	}
	entries, warnings, err := state.History(dir, state.HistoryFilter{
		Environment: f.environment, Connection: f.connection, Since: since, Limit: f.limit})
	if err != nil {
		return err
	}
	if f.format == "json" {
		return historyJSON(env, entries, warnings)
	}
	out := newPage(env)
	warned := newPage(env)
	for _, w := range warnings {
		warned.paragraph("warning: " + w)
	}
	_ = warned.print(env.Stderr)
	for _, e := range entries {
		entryText(out, e)
	}
	switch {
	case len(entries) == 0 && (f.environment != "" || f.connection != "" || f.since != ""):
		out.paragraph("nothing that matches was written, held or refused in " + dir)
	case len(entries) == 0:
		out.paragraph("nothing was written, held or refused in " + dir)
	case f.limit > 0 && len(entries) == f.limit:
		out.add(fmt.Sprintf("\nthe latest %s; --limit 0 shows all\n", plural(f.limit, "entry", "entries")))
	}
	return out.print(env.Stdout)
}

// sinceFrom reads a time, or how long ago one was. Days may be counted as 7d.
func sinceFrom(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if days, found := strings.CutSuffix(text, "d"); found {
		if n, err := strconv.Atoi(days); err == nil && n >= 0 {
			return now.AddDate(0, 0, -n), nil
		}
	}
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return now.Add(-ago), nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if at, err := time.Parse(layout, text); err == nil {
			return at, nil
		}
	}
	return time.Time{}, usageError("--since %q: write 24h, 7d, 2026-11-01 or 2026-11-01T09:00:00Z", text)
}

func historyJSON(env *environment, entries []state.Entry, warnings []string) error {
	document := struct {
		Schema   string        `json:"schema"`
		Warnings []string      `json:"warnings"`
		Entries  []state.Entry `json:"entries"`
	}{historySchema, append([]string{}, warnings...), append([]state.Entry{}, entries...)}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(document); err != nil {
		return fmt.Errorf("print history: %w", err)
	}
	_, err := env.Stdout.Write(report.EscapeJSON(out.Bytes()))
	return err
}

// entryText is a headline and what explains it.
func entryText(out *page, e state.Entry) {
	if out.out.Len() > 0 {
		out.add("\n")
	}
	where := e.Connection
	if where == "" {
		where = e.Environment
	}
	isPause := e.Event == state.EventPause || e.Event == state.EventResume
	switch {
	case where == "" && isPause:
		where = targetWords("")
	case where == "":
		where = "repository"
	}
	for i, line := range report.Lines(minute(e.At)+" "+where+": "+entryWords(e), width-2) {
		if i > 0 {
			line = "  " + line
		}
		out.add(line + "\n")
	}
	if e.Event == state.EventHeldEnded {
		return // the lines above say what it was
	}
	for _, field := range e.Fields {
		if e.Event != state.EventDriftEnded || e.Action != "" {
			out.labelled("change", report.FieldText(field))
		}
	}
	if isPause {
		out.labelled("reason", e.Reason)
	}
	if e.Cause != "" {
		why := string(e.Cause) + ": " + e.Reason
		if e.Origin != "" {
			why += " (" + e.Origin + ")"
		}
		out.labelled("why", why)
	}
	if e.GateReason != "" {
		out.labelled(string(e.Gate), e.GateReason)
	}
	if e.Approval != "" {
		out.labelled("approved", approvalWords(e.Approval))
	}
	if e.Error != "" {
		out.labelled("error", e.Error)
	}
	if e.Commit != "" {
		commit := short(e.Commit)
		if e.Author != "" {
			commit += " by " + e.Author
		}
		out.labelled("commit", commit)
	}
}

// approvalWords shortens a hash; an origin in the repository stays as it is.
func approvalWords(approval string) string {
	if hash, found := strings.CutPrefix(approval, "sha256:"); found {
		return "plan sha256:" + short(hash)
	}
	return "by " + approval
}

func entryWords(e state.Entry) string {
	ended := map[string]string{
		"applied": "applied", "reverted": "written back", "no-longer-wanted": "no longer wanted", "no-longer-held": "ready",
		"no-longer-differs": "Terra and the repository agree", "asked-otherwise": "the repository asks for something new",
	}[e.Outcome]
	switch e.Event {
	case state.EventWrite:
		return writeWords(e)
	case state.EventHeld:
		return fmt.Sprintf("%s is held by guard %s", e.Action, e.Guard)
	case state.EventHeldChanged:
		return fmt.Sprintf("%s is held anew by guard %s; held since %s", e.Action, e.Guard, minute(e.Since))
	case state.EventHeldEnded:
		return fmt.Sprintf("%s is not held any more after %s: %s", e.Action, lasted(e.LastedMS), ended)
	case state.EventDriftEnded:
		field := ""
		if len(e.Fields) > 0 {
			field = e.Fields[0].Field
		}
		return fmt.Sprintf("drift of %s ended after %s: %s", field, lasted(e.LastedMS), ended)
	case state.EventWentBack:
		return "the repository went back to an older commit, " + e.Reason
	case state.EventWentBackEnd:
		return "the repository moved on after " + lasted(e.LastedMS)
	case state.EventPause:
		return fmt.Sprintf("paused until %s by %s", minute(e.Until), e.Owner)
	case state.EventResume:
		return fmt.Sprintf("resumed after %s by %s", lasted(e.LastedMS), e.Owner)
	case state.EventRefused:
		if e.Approval != "" {
			return "an approved plan was refused"
		}
		return "refused, nothing of it is used"
	case state.EventRefusedEnd:
		return "not refused any more after " + lasted(e.LastedMS)
	}
	return e.Event
}

func writeWords(e state.Entry) string {
	words := map[string]string{
		"failed": "FAILED", "unknown": "UNKNOWN: it was sent, and nobody knows yet",
		"settled":    "settled: a later run found it in effect, or no longer wanted",
		"superseded": "superseded by another write of the same change",
	}[e.Outcome]
	if words == "" {
		words = e.Outcome
	}
	if e.DurationMS > 0 {
		words += " in " + lasted(e.DurationMS)
	}
	if !e.Since.IsZero() {
		words += "; first sent " + minute(e.Since)
	}
	return string(e.Action) + " " + words
}

// lasted is a stretch of time in the largest units that tell something.
func lasted(ms int64) string {
	d := time.Duration(ms) * time.Millisecond
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", ms)
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Hour:
		return plural(int(d.Minutes()), "minute", "minutes")
	case d < 48*time.Hour:
		return plural(int(d.Hours()), "hour", "hours")
	}
	return plural(int(d.Hours()/24), "day", "days")
}
