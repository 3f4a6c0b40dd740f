package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/terra-reconcile/terra-reconcile/internal/repoedit"
	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/internal/visible"
	"github.com/terra-reconcile/terra-reconcile/providers"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

type historyFlags struct {
	stateFlags
	environment, connection, since, format string
	limit                                  int
	verbose                                bool
}

func newHistoryCommand(proc *Process) *cobra.Command {
	f := &historyFlags{}
	cmd := &cobra.Command{
		Use:   "history",
		Short: "Show what was written, held, refused and paused",
		Long: `Show what was written to Terra, what was held, approved and refused, and which
drift ended: when, what, what became of it and who, one line an event. The
latest stands last. With -v also why, from what to what, and by which commit.

It reads the files history*.jsonl of the state folder and takes no lock, so it
also works while the daemon runs, and on a copy of the folder. Secrets are
shown as masks and key numbers.`,
		Example: `  reconcile history --connection production/strava
  reconcile history --env production --since 7d
  reconcile history --since 2026-11-01 --limit 0 -o json | jq '.entries[].error'`,
		Args: takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd.Context(), proc) },
	}
	f.add(cmd)
	cmd.Flags().StringVar(&f.environment, "env", "", "only this environment, by its `name` or dev_id")
	cmd.Flags().StringVar(&f.connection, "connection", "", "only this connection, by its `name`: strava or production/strava")
	cmd.Flags().StringVar(&f.since, "since", "", "not older than this `time`: 24h, 7d or 2026-11-01")
	cmd.Flags().IntVar(&f.limit, "limit", 50, "`number` of entries at most, the latest; 0 means all")
	cmd.Flags().BoolVarP(&f.verbose, "verbose", "v", false, "show all there is to know of each event")
	addOutput(cmd, &f.format)
	return cmd
}

func (f *historyFlags) run(ctx context.Context, proc *Process) error {
	if f.limit < 0 {
		return usageError("--limit %d: use 0 for all, or a number above it", f.limit)
	}
	since, err := sinceFrom(f.since, proc.Now())
	if err != nil {
		return err
	}
	dir, err := f.folder(proc)
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
		return historyJSON(proc, entries, warnings)
	}
	out := newPage(proc)
	if !proc.Terminals.Stdout {
		out.wide = anyWidth
	}
	warned := newPage(proc)
	for _, w := range warnings {
		warned.paragraph("warning: " + w)
	}
	_ = warned.print(proc.Stderr)
	names := 0
	for _, e := range entries {
		names = max(names, min(utf8.RuneCountInString(visible.Text(whereOf(e))), cmp.Or(out.wide, longestWhere)))
	}
	for _, e := range entries {
		if f.verbose {
			entryText(out, e)
		} else {
			entryLine(out, e, names)
		}
	}
	switch {
	case len(entries) == 0 && (f.environment != "" || f.connection != "" || f.since != ""):
		out.paragraph("nothing that matches was written, held or refused in " + dir)
	case len(entries) == 0:
		out.paragraph("nothing was written, held or refused in " + dir)
	case f.limit > 0 && len(entries) == f.limit:
		out.add(fmt.Sprintf("\nthe latest %s; --limit 0 shows all\n", visible.Plural(f.limit, "entry", "entries")))
	}
	if len(entries) > 0 && !f.verbose {
		out.add("times are UTC; -v shows all there is to know of each\n")
	}
	return out.print(proc.Stdout)
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

func historyJSON(proc *Process, entries []state.Entry, warnings []string) error {
	document := struct {
		Schema   string        `json:"schema"`
		Warnings []string      `json:"warnings"`
		Entries  []state.Entry `json:"entries"`
	}{state.HistorySchema, append([]string{}, warnings...), append([]state.Entry{}, entries...)}
	return printJSON(proc.Stdout, document)
}

// longestWhere is as much of a name as stands in a line.
const longestWhere = 26

// whereOf is what an event is about.
func whereOf(e state.Entry) string {
	isPause := e.Event == state.EventPause || e.Event == state.EventResume
	switch where := cmp.Or(e.Connection, e.Environment); {
	case where == "" && isPause:
		return targetWords("")
	case where == "":
		return "repository"
	default:
		return where
	}
}

// whoOf is who is behind an event, "" where nobody is known to be.
func whoOf(e state.Entry) string {
	author, _, _ := strings.Cut(e.Author, " <")
	switch {
	case len(e.ApprovedBy) > 0:
		return strings.Join(e.ApprovedBy, ", ")
	case e.Owner != "":
		return e.Owner
	}
	return author
}

// entryLine is an event in one line: when, what, what became of it, and who.
func entryLine(out *page, e state.Entry, names int) {
	cut := func(text string, room int) string {
		text = visible.Text(text)
		if runes := []rune(text); len(runes) > room && out.columns() == width {
			return string(runes[:room-1]) + "…"
		}
		return text
	}
	head := e.At.UTC().Format("2006-01-02 15:04") + "  " + fmt.Sprintf("%-*s", names, cut(whereOf(e), longestWhere)) + "  "
	room := width - utf8.RuneCountInString(head)
	words := entryWords(e)
	if e.Event == state.EventEnvironmentRefused && e.Outcome == string(report.Failed) {
		words = "the run failed: " + strings.ReplaceAll(e.Error, "\n", "; ")
	}
	words = strings.NewReplacer(" is held by guard ", " held by ", " is held anew by guard ", " held anew by ", " is not held any more after ", " released after ").Replace(words)
	who := cut(whoOf(e), 16)
	if who == "" || e.Event == state.EventGated || e.Event == state.EventGateChanged || e.Event == state.EventGateCleared {
		out.add(head + cut(words, room) + "\n")
		return
	}
	what := cut(words, room-utf8.RuneCountInString(who)-2)
	gap := max(2, room-utf8.RuneCountInString(what)-utf8.RuneCountInString(who))
	out.add(head + what + strings.Repeat(" ", gap) + who + "\n")
}

// entryText is a headline and what explains it.
func entryText(out *page, e state.Entry) {
	if out.out.Len() > 0 {
		out.add("\n")
	}
	isPause := e.Event == state.EventPause || e.Event == state.EventResume
	for i, line := range report.Lines(minute(e.At)+" "+whereOf(e)+": "+entryWords(e), out.columns()-2) {
		if i > 0 {
			line = "  " + line
		}
		out.add(line + "\n")
	}
	if e.Event == state.EventGateCleared {
		return // the lines above say what it was
	}
	for _, field := range e.Fields {
		if e.Event != state.EventDriftResolved || e.Action != "" {
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
		by := ""
		if len(e.ApprovedBy) > 0 {
			by = " by " + strings.Join(e.ApprovedBy, ", ")
		}
		out.labelled("approved", approvalWords(e.Approval)+by)
	}
	if e.Error != "" {
		out.labelled("error", e.Error)
	}
	if e.Commit != "" {
		commit := short(e.Commit)
		if e.Author != "" {
			commit += " by " + e.Author
		}
		if e.SignedBy != "" {
			commit += ", signed by " + e.SignedBy
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
		"applied": "applied", "reverted": "written back", "no-longer-wanted": "no longer wanted", "no-longer-gated": "ready",
		"no-longer-differs": "Terra and the repository agree", "asked-otherwise": "the repository asks for something new",
	}[e.Outcome]
	switch e.Event {
	case state.EventWrite:
		return writeWords(e)
	case state.EventGated:
		return fmt.Sprintf("%s is held by guard %s", e.Action, e.Guard)
	case state.EventGateChanged:
		return fmt.Sprintf("%s is held anew by guard %s; held since %s", e.Action, e.Guard, minute(e.Since))
	case state.EventGateCleared:
		return fmt.Sprintf("%s is not held any more after %s: %s", e.Action, lasted(e.LastedMS), ended)
	case state.EventDriftResolved:
		field := ""
		if len(e.Fields) > 0 {
			field = e.Fields[0].Field
		}
		if e.LastedMS == 0 {
			return fmt.Sprintf("drift of %s ended in the run that found it: %s", field, ended)
		}
		return fmt.Sprintf("drift of %s ended after %s: %s", field, lasted(e.LastedMS), ended)
	case state.EventRewound:
		return "the branch was rewound, " + e.Reason
	case state.EventRewoundResolved:
		return "the branch moved on after " + lasted(e.LastedMS)
	case state.EventForcedPush:
		return "the branch was forced, " + e.Reason
	case state.EventKeyDead:
		return "the old key is dead: " + e.Reason
	case state.EventApproved:
		if e.Connection == "" {
			return "the plan was approved by " + strings.Join(e.ApprovedBy, ", ")
		}
		return "approved by " + strings.Join(e.ApprovedBy, ", ")
	case state.EventForgotten:
		return "its memory was forgotten by " + e.Owner
	case state.EventPause:
		return fmt.Sprintf("no changes until %s by %s", minute(e.Until), e.Owner)
	case state.EventResume:
		return fmt.Sprintf("resumed after %s by %s", lasted(e.LastedMS), e.Owner)
	case state.EventEnvironmentRefused:
		if e.Approval != "" {
			return "an approved plan was refused"
		}
		if e.Outcome == string(report.Failed) {
			return "no plan could be made, the run failed"
		}
		return "refused, nothing of it is used"
	case state.EventEnvironmentAccepted:
		if e.Reason == "" {
			return "a plan can be made again after " + lasted(e.LastedMS)
		}
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
		return visible.Plural(int(d.Minutes()), "minute", "minutes")
	case d < 48*time.Hour:
		return visible.Plural(int(d.Hours()), "hour", "hours")
	}
	return visible.Plural(int(d.Hours()/24), "day", "days")
}

// heardOf are the names that a state folder has heard of.
type heardOf struct{ environments, devIDs, connections []string }

// checkNames refuses an environment or a connection that neither the memory nor the
// history has heard of: that nothing happened to it would be no answer. Where they
// have heard of none, any name may be right.
func (f *historyFlags) checkNames(ctx context.Context, dir string) error {
	if f.environment == "" && f.connection == "" {
		return nil
	}
	known, err := namesIn(ctx, dir)
	if err != nil || len(known.environments) == 0 {
		return err
	}
	unknown := func(what, name string, among []string, near string) error {
		hint := ""
		if near != "" {
			hint = fmt.Sprintf("did you mean %s? ", near)
		}
		return fmt.Errorf("read history: no %s %q is known in %s; %sthere is %s", what, name, dir, hint, listed(among))
	}
	if f.environment != "" && !slices.Contains(known.environments, f.environment) && !slices.Contains(known.devIDs, f.environment) {
		return unknown("environment", f.environment, known.environments, spec.Nearest(f.environment, known.environments))
	}
	if f.connection != "" && !known.connection(f.connection) {
		return unknown("connection", f.connection, known.connections, repoedit.NearConnection(f.connection, known.connections))
	}
	return nil
}

// connection tells whether strava or production/strava may be meant: in an environment
// that is known, any provider of the catalogue may.
func (n heardOf) connection(name string) bool {
	slug := strings.ToLower(name)
	if at := strings.LastIndexByte(name, '/'); at >= 0 {
		slug = slug[at+1:]
		if !slices.ContainsFunc(n.environments, func(e string) bool { return strings.EqualFold(e, name[:at]) }) {
			return false
		}
	}
	_, listed := providers.Lookup(slug)
	return listed || slices.ContainsFunc(n.connections, func(c string) bool {
		return strings.EqualFold(c, name) || strings.HasSuffix(strings.ToLower(c), "/"+strings.ToLower(name))
	})
}

func namesIn(ctx context.Context, dir string) (names heardOf, err error) {
	entries, _, err := state.History(dir, state.HistoryFilter{})
	if err != nil {
		return names, err
	}
	for _, e := range entries {
		names.hear(e.Environment, e.DevID, e.Provider)
	}
	store, _, err := memoryFor(ctx, dir)
	if err != nil {
		return names, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	known, err := store.Known()
	if err != nil {
		return names, err
	}
	for _, e := range known {
		names.hear(e.Environment, e.DevID, "")
		accounts, err := store.EnvironmentsOf(e.DevID)
		for _, env := range accounts {
			memory, err := store.Memory(env)
			if err != nil {
				return names, err
			}
			for slug := range memory.Connections {
				names.hear(e.Environment, e.DevID, slug)
			}
		}
		if err != nil {
			return names, err
		}
	}
	for _, list := range []*[]string{&names.environments, &names.devIDs, &names.connections} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	return names, nil
}

func (n *heardOf) hear(environment, devID, slug string) {
	if environment != "" {
		n.environments = append(n.environments, environment)
	}
	if devID != "" {
		n.devIDs = append(n.devIDs, devID)
	}
	if environment != "" && slug != "" {
		n.connections = append(n.connections, environment+"/"+slug)
	}
}

// listed names at most twenty.
func listed(names []string) string {
	const most = 20
	switch more := len(names) - most; {
	case len(names) == 0:
		return "none"
	case more > 0:
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", more)
	}
	return strings.Join(names, ", ")
}
