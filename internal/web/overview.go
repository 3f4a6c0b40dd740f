package web

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/internal/visible"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// How much of what there is any amount of stands on the overview.
const (
	fewEnvironments = 8 // in sync, that are not folded
	maxNews         = 3
	maxNeeds        = 25
	maxKeys         = 12
	maxMoments      = 10
	maxAhead        = 30 // days
	maxRuns         = 10
	maxLines        = 8
)

// seen is one environment as the daemon and its last run have it.
type seen struct {
	status daemon.EnvironmentStatus
	report report.Report
	last   report.Environment
	known  bool // last says how connections are
	files  []File
}

// overviewPage is what the first page shows.
type overviewPage struct {
	chrome
	Heading     string
	Lead        string
	Notices     []notice
	Needs       []need
	MoreNeeds   int
	Providers   []string
	Rows        []gridRow
	Quiet       []gridRow // in which nothing is to be seen to
	QuietWords  string
	Legend      []look
	Keys        []keyBar
	MoreKeys    int
	Moments     []comingMoment
	MoreMoments int
	Runs        []runRow
	OtherRuns   []runRow
	History     []historyLine
	Acts        []link
	Empty       string // what to do where there is no environment
	Repository  string
	Commit      string
	Mode        string
	StartedAgo  *moment
}

// link leads to a page.
type link struct{ Href, Text string }

// notice is something about the daemon or an environment that concerns all of it.
type notice struct {
	Bad         bool
	Label, Text string
	Link        *link
}

// need is a connection that somebody has to see to.
type need struct {
	look
	Href, Name, What, Impact, Stands, Reason string
	Danger                                   bool
}

type gridRow struct {
	Name, Href string
	Flags      []string
	Cells      []cell // one for each provider
}

// cell is one connection; Href is "" where there is none.
type cell struct {
	look
	Href, Name string
}

type comingMoment struct {
	*moment
	Day  string // that begins with it, "" where it began before
	What string
	Name string
	Href string
	Also int // others of which the same is so

	at time.Time
}

type runRow struct {
	Name, Href string
	When       *moment
	Took       string
	Result     string
	Tone       string
	Next       *moment
	Why        string
}

func (s *Site) overview(w http.ResponseWriter, r *http.Request) {
	status, err := s.o.Source.Status()
	if err != nil {
		s.refuse(w, r, http.StatusInternalServerError, err.Error())
		return
	}
	lines, _, err := s.o.Source.History(state.HistoryFilter{Limit: maxLines, Within: 256 << 10})
	if err != nil {
		lines = nil
	}
	p := s.overviewOf(r, status, lines)
	s.pages.show(w, http.StatusOK, "overview", p)
}

func (s *Site) overviewOf(r *http.Request, status daemon.Status, lines []state.Entry) overviewPage {
	now := s.o.Now()
	all := s.see(status)
	p := overviewPage{chrome: s.chrome(r, ""), Repository: repositoryWords(status), Mode: "applies what is ready", StartedAgo: momentOf(status.StartedAt, now)}
	if status.Mode != report.Apply {
		p.Mode = "observe-only, nothing is applied"
	}
	p.Notices = notices(status, all, now)
	count := p.grid(all, status.Paused)
	p.needs(all)
	p.keys(all)
	p.moments(status, all, now)
	p.runs(all, now)
	for _, e := range slices.Backward(lines) {
		p.History = append(p.History, historyLineOf(e, now))
	}
	p.Acts = []link{{query("/pause", "target", everything), "Pause everything"}}
	if len(all) > 0 {
		p.Acts = append(p.Acts, link{query("/run"), "Run all now"})
	}
	connections := 0
	for _, n := range count {
		connections += n
	}
	news := headline(count)
	p.Heading = strings.Join(news[:min(len(news), maxNews)], ", ")
	switch {
	case len(all) == 0 && status.Poll.At == nil:
		p.Heading, p.Empty = "Starting", "The repository was not read yet. This takes a moment; look again."
	case len(all) == 0 && status.Poll.Error != "":
		p.Heading, p.Empty = "The repository cannot be used", "Nothing is known of any environment until it can. See above why, and mend that; the daemon looks again by itself."
	case len(all) == 0:
		p.Heading, p.Empty = "No environment", "A folder of the repository is an environment when it holds environment.yaml. The init command makes the first."
	case connections == 0:
		p.Heading, p.Empty = "No connection", "No file names a connection yet. The import command writes files of what Terra has."
	case p.Heading == "":
		p.Heading = "In sync"
	}
	if p.Empty == "" {
		p.Lead = counted(connections, "connection") + " in " + counted(len(all), "environment")
		if more := news[min(len(news), maxNews):]; len(more) > 0 {
			p.Lead += "; also " + strings.Join(more, ", ")
		}
	}
	p.Title = p.Heading
	return p
}

// repositoryWords name what is followed.
func repositoryWords(status daemon.Status) string {
	var out []string
	for _, r := range status.Each() {
		text := strings.TrimLeft(clean(r.Name)+" "+clean(r.Repository), " ")
		if r.Branch != "" {
			text += ", branch " + clean(r.Branch)
		}
		out = append(out, text)
	}
	return strings.Join(out, " · ")
}

// see asks the daemon about each environment.
func (s *Site) see(status daemon.Status) []seen {
	var all []seen
	for _, e := range status.Environments {
		one := seen{status: e, files: s.o.Source.Files(e.Name)}
		var ran bool
		one.report, ran = s.o.Source.Report(e.Name)
		one.last, one.known = environmentOf(one.report, ran, e.Name)
		all = append(all, one)
	}
	return all
}

// connections are those of an environment with how they stand: that files name, that
// change, and that Terra has beside them.
func (e seen) connections() map[string]standing {
	out := map[string]standing{}
	add := func(connection string) {
		_, provider := parted(connection)
		if _, known := out[provider]; !known {
			out[provider] = standingOf(e.last, e.known, connection, provider)
		}
	}
	for _, f := range e.files {
		add(f.Connection)
	}
	for _, c := range e.last.Changes {
		add(c.Connection)
	}
	for _, provider := range e.last.Unmanaged {
		add(e.status.Name + "/" + provider)
	}
	return out
}

// flags are what concerns a whole environment, in a word.
func (e seen) flags(paused []daemon.Pause) []string {
	var out []string
	for _, f := range []struct {
		is   bool
		word string
	}{
		{e.status.Running != nil, "running"}, {slices.ContainsFunc(paused, func(p daemon.Pause) bool {
			return p.Target == "" || p.Target == e.status.Name || p.Target == e.status.DevID
		}), "paused"},
		{e.status.BehindReason != "", "behind"}, {e.status.RewoundFrom != "", "rewound"}, {e.status.FailingSince != nil, "failing"},
	} {
		if f.is {
			out = append(out, f.word)
		}
	}
	return out
}

// notices are what concerns the daemon, a pause or a whole environment, the worst first.
func notices(s daemon.Status, all []seen, now time.Time) []notice {
	var out []notice
	if len(s.Stuck) > 0 {
		out = append(out, notice{Bad: true, Label: "Stuck", Text: strings.Join(cleanAll(s.Stuck), ", ") + " should have ended. Look into the log of the daemon, and start it again."})
	}
	if since := s.Config.RefusedSince; since != nil {
		out = append(out, notice{Bad: true, Label: "Configuration", Text: fmt.Sprintf("daemon.yaml has not been used for %s, a former one is; the next start will fail: %s", span(now.Sub(*since)), clean(s.Config.Error))})
	}
	for _, u := range s.Unready {
		has := " has failed"
		if u.OfCommit() {
			has = ""
		}
		out = append(out, notice{Bad: true, Label: "Not ready", Text: fmt.Sprintf("%s%s for %s: %s", clean(u.String()), has, span(now.Sub(u.Since)), clean(u.Cause))})
	}
	for _, r := range s.Each() {
		isSaid := slices.ContainsFunc(s.Unready, func(u daemon.Unready) bool { return u.Environment == "" && u.Repository == r.Name })
		if r.Poll.Error != "" && !isSaid {
			out = append(out, notice{Bad: true, Label: labelOf("Repository", r), Text: clean(r.Poll.Error)})
		}
		for _, e := range r.RefusedEnvironments {
			out = append(out, notice{Bad: true, Label: labelOf("Repository", r), Text: clean(e.Name) + " is not used: " + clean(e.Reason)})
		}
	}
	for _, p := range s.Paused {
		target := cmp.Or(clean(p.Target), everythingWord)
		out = append(out, notice{Label: "Paused", Text: fmt.Sprintf("%s until %s, by %s: %s", target, clock(p.Until, now), clean(p.Owner), clean(p.Reason)),
			Link: &link{query("/resume", "target", cmp.Or(p.Target, everything)), "Resume " + target}})
	}
	for _, r := range s.Receivers {
		if r.FailingSince != nil {
			out = append(out, notice{Bad: true, Label: "Messages", Text: fmt.Sprintf("%s has not taken them for %s: %s", clean(r.Name), span(now.Sub(*r.FailingSince)), clean(r.Error))})
		}
	}
	for _, r := range s.Each() {
		out = append(out, branchNotices(r, now)...)
	}
	for _, e := range all {
		for _, n := range e.notices() {
			n.Text = clean(e.status.Name) + " " + n.Text
			n.Link = &link{environmentPath(e.status.Name), "See " + clean(e.status.Name)}
			out = append(out, n)
		}
	}
	return out
}

// labelOf is the label of what concerns one repository.
func labelOf(label string, r daemon.RepositoryStatus) string {
	return strings.TrimRight(label+" "+clean(r.Name), " ")
}

// branchNotices are what concerns the branch of a repository.
func branchNotices(r daemon.RepositoryStatus, now time.Time) []notice {
	var out []notice
	if r.HeadBranch != "" {
		setting := "repo.ref"
		if r.Name != "" {
			setting = "repos." + clean(r.Name) + ".ref"
		}
		out = append(out, notice{Label: labelOf("Branch", r), Text: "HEAD of the repository names " + clean(r.HeadBranch) + ", which is not followed; to follow it name it under " + setting})
	}
	if r.TagAside != "" {
		out = append(out, notice{Label: labelOf("Branch", r), Text: clean(r.TagAside) + " has the name of the branch, which is followed"})
	}
	if f := r.ForcedPush; f != nil && now.Sub(f.At) < daemon.ForcedPushShown {
		it := "it"
		if f.Tag != "" {
			it = "the tag " + clean(f.Tag)
		}
		out = append(out, notice{Label: labelOf("Branch", r), Text: it + fmt.Sprintf(" was forced from %.12s to %.12s, noticed %s ago; find out who did, and what is gone", clean(f.From), clean(f.To), span(now.Sub(f.At)))})
	}
	return out
}

// notices are what concerns one environment, as a sentence after its name.
func (e seen) notices() []notice {
	var out []notice
	if e.status.BehindReason != "" {
		out = append(out, notice{Label: "Behind", Text: "is not on the newest commit: " + clean(e.status.BehindReason)})
	}
	if e.status.RewoundFrom != "" {
		from, until := "the newer commit "+shortHash(e.status.RewoundFrom), "a new commit"
		if tag := e.status.RewoundFromTag; tag != "" {
			from, until = "the higher version "+clean(tag)+" ("+shortHash(e.status.RewoundFrom)+")", "a new commit with a tag of a higher version"
		}
		out = append(out, notice{Label: "Rewound", Text: "was on " + from + ": what is disruptive or destructive waits for approval, or for " + until})
	}
	if problem := cmp.Or(e.report.Error, e.last.Error); problem != "" {
		out = append(out, notice{Bad: true, Label: "Failed", Text: "could not be run, so nothing is known of it: " + clean(problem)})
	}
	if len(e.last.MayHaveWritten) > 0 {
		out = append(out, notice{Bad: true, Label: "May have written", Text: "was asked what it would do, and may have changed " + strings.Join(cleanAll(e.last.MayHaveWritten), ", ")})
	}
	return out
}

// grid is environments by providers; it counts how the connections stand.
func (p *overviewPage) grid(all []seen, paused []daemon.Pause) map[standing]int {
	count := map[standing]int{}
	names := map[string]bool{}
	stands := make([]map[string]standing, len(all))
	for i, e := range all {
		stands[i] = e.connections()
		for provider, s := range stands[i] {
			names[provider] = true
			count[s]++
		}
	}
	var providers []string
	for name := range names {
		providers = append(providers, name)
	}
	slices.Sort(providers)
	p.Providers = cleanAll(providers)
	looks := map[standing]look{}
	for _, l := range standings() {
		looks[l.Standing] = l
		if count[l.Standing] > 0 {
			p.Legend = append(p.Legend, l)
		}
	}
	for i, e := range all {
		row := gridRow{Name: clean(e.status.Name), Href: environmentPath(e.status.Name), Flags: e.flags(paused)}
		quiet := len(row.Flags) == 0 && len(stands[i]) > 0
		for _, provider := range providers {
			s, there := stands[i][provider]
			if !there {
				row.Cells = append(row.Cells, cell{})
				continue
			}
			name := e.status.Name + "/" + provider
			quiet = quiet && (s == inSync || s == disabled || s == unmanaged)
			one := cell{look: looks[s], Href: connectionPath(name), Name: clean(name)}
			if s == key {
				one.Word = keyWord(e.last.Keys, name)
			}
			row.Cells = append(row.Cells, one)
		}
		if quiet {
			p.Quiet = append(p.Quiet, row)
		} else {
			p.Rows = append(p.Rows, row)
		}
	}
	if len(p.Quiet) <= fewEnvironments {
		p.Rows, p.Quiet = append(p.Rows, p.Quiet...), nil
	}
	if n := len(p.Quiet); n > 0 {
		p.QuietWords = visible.Plural(n, "environment", "environments") + " in which everything is in sync"
	}
	return count
}

// needs are the connections that somebody has to see to, the most urgent first.
func (p *overviewPage) needs(all []seen) {
	for _, e := range all {
		if !e.known {
			continue
		}
		told := map[string]bool{}
		for _, row := range rowsOf(e.report, e.last) {
			connection := cmp.Or(row.Connection, e.status.Name+"/"+row.Name)
			told[connection] = true
			_, provider := parted(connection)
			if row.Tone == "bad" || row.Tone == "held" || isYours(e.last, connection) {
				p.Needs = append(p.Needs, need{look: lookOf(standingOf(e.last, e.known, connection, provider)), Href: connectionPath(connection), Name: clean(connection),
					What: arrows(row.What), Impact: row.Impact, Stands: row.Stands, Reason: row.Reason, Danger: row.Danger && row.Impact != report.NoUsers})
			}
		}
		for _, k := range e.last.Keys {
			if k.Needs() && !told[k.Connection] {
				p.Needs = append(p.Needs, need{look: lookOf(key), Href: connectionPath(k.Connection), Name: clean(k.Connection), What: keyWord(e.last.Keys, k.Connection) + ", " + keyBarOf(k).Age, Reason: prose(clean(k.Text))})
			}
		}
	}
	slices.SortStableFunc(p.Needs, func(a, b need) int { return cmp.Compare(urgency(a.Standing), urgency(b.Standing)) })
	p.MoreNeeds = max(0, len(p.Needs)-maxNeeds)
	p.Needs = p.Needs[:min(len(p.Needs), maxNeeds)]
}

// isYours tells whether what a change waits for is a step of a person here.
func isYours(e report.Environment, connection string) bool {
	return slices.ContainsFunc(e.Changes, func(c report.Change) bool {
		return c.Connection == connection && c.GateYours && c.Outcome != report.Applied
	})
}

// moments are what comes next by time alone.
func (p *overviewPage) moments(status daemon.Status, all []seen, now time.Time) {
	var list []comingMoment
	add := func(at time.Time, what, name, href string) {
		if at.After(now) && at.Before(now.AddDate(0, 0, maxAhead)) {
			list = append(list, comingMoment{moment: momentOf(at, now), What: what, Name: clean(name), Href: href, at: at})
		}
	}
	for _, pause := range status.Paused {
		add(pause.Until, "the pause of "+cmp.Or(clean(pause.Target), everythingWord)+" ends", "", "")
	}
	for _, e := range all {
		for _, m := range e.moments() {
			add(m.at, m.What, m.Name, m.Href)
		}
	}
	list = together(list)
	p.MoreMoments = max(0, len(list)-maxMoments)
	p.Moments = list[:min(len(list), maxMoments)]
	markDays(p.Moments, now)
}

// together sorts moments, and makes one of those at which several environments do the same.
func together(list []comingMoment) []comingMoment {
	slices.SortStableFunc(list, func(a, b comingMoment) int {
		return cmp.Or(a.at.Truncate(time.Minute).Compare(b.at.Truncate(time.Minute)), cmp.Compare(a.What, b.What), cmp.Compare(a.Name, b.Name))
	})
	var out []comingMoment
	for i, m := range list {
		if n := len(out); i > 0 && m.Name != "" && out[n-1].What == m.What && out[n-1].at.Truncate(time.Minute).Equal(m.at.Truncate(time.Minute)) {
			out[n-1].Also++
			continue
		}
		out = append(out, m)
	}
	return out
}

// markDays says of the first moment of a day which day that is.
func markDays(list []comingMoment, now time.Time) {
	former := ""
	for i := range list {
		day := list[i].at.UTC().Format("Mon 2 Jan")
		switch day {
		case now.UTC().Format("Mon 2 Jan"):
			day = "Today"
		case now.UTC().AddDate(0, 0, 1).Format("Mon 2 Jan"):
			day = "Tomorrow"
		}
		if day != former {
			list[i].Day, former = day, day
		}
		list[i].Text = list[i].at.UTC().Format("15:04 UTC")
	}
}

// moments are those of one environment, without what the daemon only repeats.
func (e seen) moments() []comingMoment {
	var out []comingMoment
	of := func(at time.Time, what, connection string) {
		if !at.IsZero() {
			out = append(out, comingMoment{What: what, Name: connection, Href: connectionPath(connection), at: at})
		}
	}
	for _, k := range e.last.Keys {
		if k.Next > 0 {
			of(k.NextAt, fmt.Sprintf("key %d is due", k.Next), k.Connection)
		}
		of(k.SoakEndsAt, fmt.Sprintf("the soak of key %d ends", k.Live), k.Connection)
		if k.MaxAgeDays > 0 && !k.Issued.IsZero() {
			of(k.Issued.AddDate(0, 0, k.MaxAgeDays), "the live key reaches its max_age", k.Connection)
		}
	}
	for _, c := range e.last.Changes {
		if c.Outcome != report.Applied {
			of(c.GateEnds, "a wait ends", c.Connection)
		}
	}
	for _, a := range e.status.Approved {
		out = append(out, comingMoment{What: "an approval ends unused", Name: cmp.Or(a.Connection, e.status.Name), Href: environmentPath(e.status.Name), at: a.Until})
	}
	if next := e.status.NextRun; next != nil && !slices.ContainsFunc(out, func(m comingMoment) bool { return m.at.Sub(*next).Abs() < time.Minute }) {
		what := "runs: " + clean(e.status.NextRunReason)
		if e.status.NextRunReason == "its schedule" {
			what = "runs by its schedule"
		}
		out = append(out, comingMoment{What: what, Name: e.status.Name, Href: environmentPath(e.status.Name), at: *next})
	}
	return out
}

// runs are the last runs, those that failed first, then the latest.
func (p *overviewPage) runs(all []seen, now time.Time) {
	var list []runRow
	order := slices.Clone(all)
	slices.SortStableFunc(order, func(a, b seen) int {
		bad := func(e seen) int {
			if runOf(e, now).Tone == "bad" {
				return 0
			}
			return 1
		}
		at := func(e seen) time.Time {
			if e.status.LastRun == nil {
				return time.Time{}
			}
			return e.status.LastRun.StartedAt
		}
		return cmp.Or(cmp.Compare(bad(a), bad(b)), at(b).Compare(at(a)))
	})
	for _, e := range order {
		list = append(list, runOf(e, now))
	}
	p.Runs = list[:min(len(list), maxRuns)]
	p.OtherRuns = list[len(p.Runs):]
}

func runOf(e seen, now time.Time) runRow {
	row := runRow{Name: clean(e.status.Name), Href: environmentPath(e.status.Name), Result: "none since the start", Tone: "soft"}
	if e.status.NextRun != nil {
		row.Next, row.Why = momentOf(*e.status.NextRun, now), clean(e.status.NextRunReason)
	}
	if last := e.status.LastRun; last != nil {
		row.When, row.Took = momentOf(last.StartedAt, now), took(last.DurationMS)
		row.Result, row.Tone = resultOf(*last)
	}
	if e.status.Running != nil {
		row.Result, row.Tone = "running", "soft"
	}
	return row
}

// resultOf says how a run ended, in words and by a tone.
func resultOf(r daemon.LastRun) (words, tone string) {
	if r.Error != "" {
		return "error: " + clean(r.Error), "bad"
	}
	var parts []string
	for _, part := range []struct {
		n    int
		word string
	}{{r.Summary.Failed, "failed"}, {r.Summary.Unknown, "unknown"}, {r.Summary.Gated, "held"}, {r.Summary.NotCompared, "not compared"}, {r.Summary.Applied, "applied"}, {r.Summary.Unchanged, "unchanged"}} {
		if part.n > 0 {
			parts = append(parts, number(part.n)+" "+part.word)
		}
	}
	switch {
	case r.Summary.Failed+r.Summary.Unknown > 0:
		tone = "bad"
	case r.Summary.Gated+r.Summary.NotCompared > 0:
		tone = "held"
	default:
		tone = "good"
	}
	return cmp.Or(strings.Join(parts, ", "), "nothing to do"), tone
}
