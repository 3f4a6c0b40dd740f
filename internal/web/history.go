package web

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// searched is how far back the history is searched, in bytes of each of its parts, and
// linesShown how many lines stand on a page of it.
const (
	searched   = 16 << 20
	linesShown = 50
)

// historyLine is one event, in words.
type historyLine struct {
	When       *moment
	Event      string
	Tone       string
	Name, Href string
	What, Who  string
	Detail     string
}

func historyLineOf(e state.Entry, now time.Time) historyLine {
	out := historyLine{When: momentOf(e.At, now), Event: strings.ReplaceAll(clean(e.Event), "-", " "), Tone: "soft"}
	if out.When == nil {
		out.When = &moment{}
	}
	out.When.Text = e.At.UTC().Format("2 Jan 15:04 UTC")
	switch {
	case e.Outcome == "failed" || e.Outcome == state.OutcomeUnknown || e.Error != "":
		out.Tone = "bad"
	case e.Event == state.EventWrite && e.Outcome == "applied":
		out.Tone = "good"
	case e.Event == state.EventGated || e.Event == state.EventGateChanged || e.Event == state.EventPause || e.Event == state.EventRewound || e.Event == state.EventForcedPush || e.Event == state.EventEnvironmentRefused:
		out.Tone = "held"
	}
	switch {
	case e.Connection != "":
		out.Name, out.Href = clean(e.Connection), connectionPath(e.Connection)
	case e.Environment != "" && e.Provider != "":
		out.Name = clean(e.Environment + "/" + e.Provider)
		out.Href = connectionPath(e.Environment + "/" + e.Provider)
	case e.Environment != "":
		out.Name, out.Href = clean(e.Environment), environmentPath(e.Environment)
	default:
		out.Name = "everything"
	}
	var fields []string
	for _, f := range e.Fields {
		fields = append(fields, report.FieldText(f))
	}
	out.What = strings.TrimSpace(strings.ReplaceAll(clean(string(e.Action)), "-", " ") + " " + clean(e.Outcome))
	out.Detail = cmp.Or(clean(e.Error), strings.Join(fields, "; "), prose(clean(e.GateReason)), clean(e.Reason), clean(e.Approval))
	if e.Gate != "" && e.Gate != plan.Ready {
		out.Detail = strings.TrimSuffix(strings.TrimSpace("guard "+clean(e.Guard)+": "+clean(cmp.Or(e.GateReason, e.Reason))), ":")
	}
	switch {
	case e.Owner != "":
		out.Who = clean(e.Owner)
	case len(e.ApprovedBy) > 0:
		out.Who = strings.Join(cleanAll(e.ApprovedBy), ", ")
	case e.Author != "":
		out.Who = clean(e.Author)
	}
	return out
}

type historyPage struct {
	chrome
	Text, Environment, Connection string
	Lines                         []historyLine
	Older                         string
	Problem                       string
	Note                          string
}

// historyQuery is what a request asks of the history.
type historyQuery struct {
	filter state.HistoryFilter
	text   string
}

func historyQueryOf(r *http.Request) historyQuery {
	q := r.URL.Query()
	before, _ := strconv.ParseInt(q.Get("before"), 10, 64)
	return historyQuery{text: strings.ToLower(strings.TrimSpace(q.Get("q"))), filter: state.HistoryFilter{
		Environment: strings.TrimSpace(q.Get("environment")), Connection: strings.TrimSpace(q.Get("connection")), Before: max(0, before), Within: searched}}
}

// lines gives the latest lines that meet a query, the latest first, one more than most where
// there are more. One search is made at a time, so that no number of them disturbs a run.
func (s *Site) lines(ctx context.Context, q historyQuery, most int) (lines []state.Entry, warnings []string, err error) {
	select {
	case s.search <- struct{}{}:
		defer func() { <-s.search }()
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	if q.text == "" {
		q.filter.Limit = most + 1
	}
	all, warnings, err := s.o.Source.History(q.filter)
	for _, e := range slices.Backward(all) {
		if len(lines) > most {
			break
		}
		if q.text == "" || holds(e, q.text) {
			lines = append(lines, e)
		}
	}
	return lines, warnings, err
}

// holds tells whether a line has a text somewhere.
func holds(e state.Entry, text string) bool {
	all := []string{e.Event, e.Run, e.Environment, e.DevID, e.Connection, string(e.Action), string(e.Cause), e.Reason, e.Commit, e.Author, e.SignedBy, e.Origin,
		e.Guard, e.GateReason, e.Outcome, e.Error, e.Approval, e.Owner}
	all = append(all, e.ApprovedBy...)
	for _, f := range e.Fields {
		all = append(all, report.FieldText(f))
	}
	return slices.ContainsFunc(all, func(s string) bool { return strings.Contains(strings.ToLower(s), text) })
}

func (s *Site) history(w http.ResponseWriter, r *http.Request) {
	q, now := historyQueryOf(r), s.o.Now()
	p := historyPage{chrome: s.chrome(r, "History"), Text: clean(r.URL.Query().Get("q")), Environment: clean(q.filter.Environment), Connection: clean(q.filter.Connection)}
	lines, _, err := s.lines(r.Context(), q, linesShown)
	if err != nil {
		p.Problem = clean(err.Error())
	}
	if len(lines) > linesShown {
		lines = lines[:linesShown]
		p.Older = query("/history", "q", r.URL.Query().Get("q"), "environment", q.filter.Environment, "connection", q.filter.Connection, "before", strconv.FormatInt(lines[linesShown-1].Sequence, 10))
	} else {
		p.Note = "The page looks at the last 16 MiB; the history command at all there is."
	}
	for _, e := range lines {
		p.Lines = append(p.Lines, historyLineOf(e, now))
	}
	s.pages.show(w, http.StatusOK, "history", p)
}
