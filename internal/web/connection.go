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
	"github.com/terra-reconcile/terra-reconcile/reconcile/keys"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// subjectPage shows one environment, or one connection of it.
type subjectPage struct {
	chrome
	Name     string
	Parts    []link // the way to it
	Standing *look  // of a connection
	Notices  []notice
	Lead     string
	Plan     []planRow
	PlanNone string // what to say where there is no plan
	Approval *approvalState
	Acts     []link
	Fields   []fieldRow // of a connection
	Origin   string
	Keys     []keyRow
	Evidence []report.Note
	Events   []event
	Warnings []event
	Moments  []comingMoment
	Members  []cell // of an environment
	Runs     []runRow
	About    []report.Note
	History  []historyLine
	MoreHref string
}

// planRow is a connection of a plan.
type planRow struct {
	report.Row

	Name, Href string
	Open       bool
}

// approvalState is how the approval of what is shown stands.
type approvalState struct {
	Text string
	Link *link
	Hash string
}

// fieldRow is a setting: what the file asks for, and what Terra shows.
type fieldRow struct {
	Name, Asks, Shows string
	Differs           bool
}

type keyRow struct {
	keyBar

	Rows []report.Note
	Text string
	Next []report.Step
}

type event struct {
	Label, Text string
	Next        []report.Step
}

func (s *Site) environment(w http.ResponseWriter, r *http.Request) {
	s.subject(w, r, r.PathValue("name"), "")
}

func (s *Site) connection(w http.ResponseWriter, r *http.Request) {
	environment, provider := parted(r.PathValue("name"))
	s.subject(w, r, environment, provider)
}

// find gives an environment that the daemon knows.
func (s *Site) find(name string) (e seen, status daemon.Status, known bool, err error) {
	if status, err = s.o.Source.Status(); err != nil {
		return seen{}, status, false, err
	}
	i := slices.IndexFunc(status.Environments, func(e daemon.EnvironmentStatus) bool { return e.Name == name })
	if i < 0 {
		return seen{}, status, false, nil
	}
	status.Environments = status.Environments[i : i+1]
	return s.see(status)[0], status, true, nil
}

// subject shows an environment, or one connection of it.
func (s *Site) subject(w http.ResponseWriter, r *http.Request, environment, provider string) {
	e, status, known, err := s.find(environment)
	if err != nil {
		s.refuse(w, r, http.StatusInternalServerError, err.Error())
		return
	}
	connections := e.connections()
	stands, there := connections[provider]
	if !known || provider != "" && !there {
		s.refuse(w, r, http.StatusNotFound, "the repository has no such environment or connection any more, or not yet")
		return
	}
	name := environment
	if provider != "" {
		name = environment + "/" + provider
	}
	now := s.o.Now()
	p := subjectPage{chrome: s.chrome(r, clean(name)), Name: clean(name), MoreHref: query("/history", "environment", environment)}
	left, _ := s.o.Source.Left(environment)
	p.Notices = append(p.done(r, e, provider, status.Paused, now), subjectNotices(e, status, name, now)...)
	p.plan(e, left, name, provider, now)
	filter := state.HistoryFilter{Environment: environment, Limit: 15, Within: 1 << 20}
	if provider == "" {
		p.ofEnvironment(e, connections, now)
	} else {
		l := lookOf(stands)
		if stands == key {
			l.Word = keyWord(e.last.Keys, name)
		}
		p.Standing, p.Parts = &l, []link{{environmentPath(environment), clean(environment)}}
		p.ofConnection(e, name)
		filter.Environment, filter.Connection, p.MoreHref = "", name, query("/history", "connection", name)
	}
	p.told(e, name, provider)
	p.keys(e, name, provider, now)
	for _, m := range e.moments() {
		if at := momentOf(m.at, now); (provider == "" || m.Name == name) && m.at.After(now) {
			m.moment, m.Name = at, clean(m.Name)
			p.Moments = append(p.Moments, m)
		}
	}
	slices.SortStableFunc(p.Moments, func(a, b comingMoment) int { return a.at.Compare(b.at) })
	markDays(p.Moments, now)
	if e.known {
		p.Approval = s.approvalOf(e, name, provider)
	}
	p.Acts = append(p.Acts, link{query("/run", "environment", environment), "Run now"}, link{query("/pause", "target", name), "Pause"})
	if lines, _, err := s.o.Source.History(filter); err == nil {
		for _, line := range slices.Backward(lines) {
			p.History = append(p.History, historyLineOf(line, now))
		}
	}
	s.pages.show(w, http.StatusOK, "subject", p)
}

// done says what was just done here, by one of our own words and no others.
func (p *subjectPage) done(r *http.Request, e seen, provider string, pauses []daemon.Pause, now time.Time) []notice {
	switch r.URL.Query().Get("done") {
	case "approve":
		a, connection := e.approvalAsked(provider)
		for _, w := range e.status.Approved {
			switch {
			case w.Connection != connection:
			case w.Missing > 0:
				return []notice{{Label: "Approved", Text: "Your approval is kept. " + missingWords(w.Missing) + "; nothing is applied before."}}
			case slices.ContainsFunc(pauses, func(p daemon.Pause) bool { return p.Target == connection || holdsAll(p, e) }):
				return []notice{{Label: "Approved", Text: "Exactly what was shown is applied, or nothing, once no pause holds it; unused the approval ends " + clock(w.Until, now) + "."}}
			case !w.Now && opensAfter(a, w.Until):
				return []notice{{Label: "Approved", Text: "The approval ends before " + waitedFor(a) + ": " + unusedWords(a) + ". Approve it again, and choose not to wait."}}
			case !w.Now && a.ReleasesNow > a.Releases && a.Releases == 0:
				return []notice{{Label: "Approved", Text: "The approval waits for " + waitedFor(a) + ", and is of exactly what was shown; unused it ends " + clock(w.Until, now) + "."}}
			}
		}
		return []notice{{Label: "Approved", Text: "A run begins now, and applies exactly what was shown, or nothing. Reload to see what became of it."}}
	case "pause":
		return []notice{{Label: "Paused", Text: "Nothing is changed until the pause ends or somebody lifts it."}}
	case "resume":
		return []notice{{Label: "Resumed", Text: "A run of what was held begins now."}}
	case "run":
		return []notice{{Label: "Asked", Text: "A run begins now, or after the one that is under way. Reload to see what became of it."}}
	}
	return nil
}

// holdsAll tells whether a pause holds every connection of an environment.
func holdsAll(p daemon.Pause, e seen) bool {
	return p.Target == "" || p.Target == e.status.Name || p.Target == e.status.DevID
}

func subjectNotices(e seen, status daemon.Status, name string, now time.Time) []notice {
	var out []notice
	for _, n := range e.notices() {
		n.Text = "This environment " + n.Text
		out = append(out, n)
	}
	if e.status.Running != nil {
		out = append(out, notice{Label: "Running", Text: "A run is under way since " + clock(*e.status.Running, now) + "."})
	}
	if since := e.status.FailingSince; since != nil {
		out = append(out, notice{Bad: true, Label: "Failing", Text: fmt.Sprintf("Runs have failed for %s, %s in a row.", span(now.Sub(*since)), visible.Plural(e.status.Failures, "time", "times"))})
	}
	for _, p := range status.Paused {
		if holdsAll(p, e) || p.Target == name || strings.HasPrefix(p.Target, name+"/") {
			target := cmp.Or(p.Target, everythingWord)
			out = append(out, notice{Label: "Paused", Text: fmt.Sprintf("%s until %s, by %s: %s", clean(target), clock(p.Until, now), clean(p.Owner), clean(p.Reason)),
				Link: &link{query("/resume", "target", cmp.Or(p.Target, everything)), "Resume " + clean(target)}})
		}
	}
	return out
}

// plan is what the last run found to do, and what became of it.
func (p *subjectPage) plan(e seen, left report.Environment, name, provider string, now time.Time) {
	if !e.known {
		p.PlanNone = "No run has looked at it yet, or the last one ended with an error; so nothing is known."
		return
	}
	for _, row := range rowsOf(e.report, e.last) {
		connection := cmp.Or(row.Connection, e.status.Name+"/"+row.Name)
		if provider != "" && connection != name {
			continue
		}
		p.Plan = append(p.Plan, planRow{Row: e.withApproval(row, left, now), Name: clean(connection), Href: connectionPath(connection), Open: provider != ""})
	}
	if len(p.Plan) > 0 {
		return
	}
	p.PlanNone = "Nothing to do: Terra has what the files ask for."
	if provider != "" && slices.Contains(e.last.Unmanaged, provider) {
		p.PlanNone = "Nothing to do: no file names it. The import command writes its file."
	} else if slices.ContainsFunc(e.last.NotCompared, func(n plan.NotCompared) bool { return provider == "" || n.Connection == name || n.Connection == "" }) {
		p.PlanNone = "Nothing to do that is known of: part of it could not be compared."
	}
}

// ofEnvironment adds what is about a whole environment.
func (p *subjectPage) ofEnvironment(e seen, connections map[string]standing, now time.Time) {
	for provider, stands := range connections {
		p.Members = append(p.Members, cell{look: lookOf(stands), Href: connectionPath(e.status.Name + "/" + provider), Name: clean(provider)})
	}
	slices.SortFunc(p.Members, func(a, b cell) int {
		return cmp.Or(cmp.Compare(urgency(a.Standing), urgency(b.Standing)), cmp.Compare(a.Name, b.Name))
	})
	run := runOf(e, now)
	p.Runs = []runRow{run}
	add := func(label, text string) {
		if text != "" {
			p.About = append(p.About, report.Note{Label: label, Text: text})
		}
	}
	add("dev_id", clean(e.status.DevID))
	add("repository", clean(e.status.Repository))
	add("account", clean(e.last.Account))
	add("commit", shortHash(e.status.Revision))
	add("fully applied", cmp.Or(shortHash(e.status.AppliedRevision), "nothing yet"))
	for _, a := range e.status.Approved {
		add("approved", cmp.Or(clean(a.Connection), "the plan")+" "+approvedWords(a, now))
	}
}

// ofConnection adds what the file asks for beside what Terra shows, and the evidence.
func (p *subjectPage) ofConnection(e seen, name string) {
	changed := map[string]report.RowField{}
	applied := map[string]bool{}
	var order []string
	for _, row := range rowsOf(e.report, e.last) {
		if row.Connection != name {
			continue
		}
		var changes []report.Change
		for _, c := range e.last.Changes {
			if c.Connection == name {
				changes = append(changes, c)
			}
		}
		for i, c := range row.Changes {
			for _, f := range c.Fields {
				if _, twice := changed[f.Field]; !twice {
					order = append(order, f.Field)
				}
				changed[f.Field], applied[f.Field] = f, i < len(changes) && changes[i].Outcome == report.Applied
			}
		}
	}
	shown := func(field string) (shows string, differs bool) {
		change, ok := changed[field]
		if ok && applied[field] {
			return change.To + ", set by the last run", false
		}
		if ok {
			return change.From, true
		}
		for _, n := range e.last.NotCompared {
			if (n.Connection == name || n.Connection == "") && (n.Field == field || n.Field == "") {
				return "not compared: " + prose(clean(n.Reason)), true
			}
		}
		if !e.known {
			return "not known", false
		}
		return "the same", false
	}
	for _, f := range e.files {
		if f.Connection != name {
			continue
		}
		p.Origin = clean(f.Origin)
		for _, field := range f.Fields {
			row := fieldRow{Name: clean(field.Name), Asks: clean(field.Value)}
			row.Shows, row.Differs = shown(field.Name)
			p.Fields = append(p.Fields, row)
			delete(changed, field.Name)
		}
		for _, evidence := range f.Evidence {
			p.Evidence = append(p.Evidence, report.Note{Label: clean(evidence.Name), Text: clean(evidence.Value)})
		}
	}
	for _, field := range order { // that the file leaves out
		if change, left := changed[field]; left {
			row := fieldRow{Name: field, Asks: change.To}
			row.Shows, row.Differs = shown(field)
			p.Fields = append(p.Fields, row)
		}
	}
	p.evidence(e, name)
}

// evidence is what a run heard of a connection from its provider and of its end users.
func (p *subjectPage) evidence(e seen, name string) {
	add := func(label, text string) {
		if n := (report.Note{Label: label, Text: text}); text != "" && !slices.Contains(p.Evidence, n) {
			p.Evidence = append(p.Evidence, n)
		}
	}
	users := func(u *plan.Users) string {
		switch {
		case u == nil:
			return ""
		case u.Exact:
			return visible.Plural(u.Count, "active end user", "active end users")
		}
		return "at least " + visible.Plural(u.Count, "active end user", "active end users")
	}
	for _, c := range e.last.Changes {
		if c.Connection != name {
			continue
		}
		add("end users", users(c.ActiveUsers))
		if proof := c.Proof; proof != nil {
			add("proof of a new key", fmt.Sprintf("probe %s, soak %.0f h, rolled back when more than %d%% of the end users drop", clean(proof.Probe), proof.SoakHours, proof.MaxUserDrop))
		}
	}
	for _, k := range e.last.Keys {
		if k.Connection == name {
			add("end users before the new key", users(k.UsersBefore))
			add("end users with it", users(k.UsersNow))
		}
	}
	if len(e.last.Keys) > 0 || len(p.Evidence) > 0 {
		add("looked at", e.report.StartedAt.UTC().Format("2 Jan 2006 15:04 UTC")+", of commit "+shortHash(e.report.Commit))
	}
}

// told are the events and warnings of a run.
func (p *subjectPage) told(e seen, name, provider string) {
	for _, told := range e.last.Events {
		if provider == "" || told.Connection == name {
			p.Events = append(p.Events, event{strings.ReplaceAll(clean(string(told.Kind)), "-", " "), prose(clean(told.Text)), stepsOf(told.Remediations)})
		}
	}
	for _, w := range slices.Concat(e.report.Warnings, e.last.Warnings) {
		if provider == "" || w.Connection == name {
			p.Warnings = append(p.Warnings, event{"", prose(clean(w.Text)), stepsOf(w.Remediations)})
		}
	}
}

func (p *subjectPage) keys(e seen, name, provider string, now time.Time) {
	for _, k := range e.last.Keys {
		if provider != "" && k.Connection != name {
			continue
		}
		p.Keys = append(p.Keys, keyRowOf(k, now))
	}
}

func keyRowOf(k keys.Status, now time.Time) keyRow {
	row := keyRow{keyBar: keyBarOf(k), Text: prose(clean(k.Text)), Next: stepsOf(k.Remediations)}
	add := func(label, text string) {
		if text != "" {
			row.Rows = append(row.Rows, report.Note{Label: label, Text: text})
		}
	}
	live := "none of the file, or not known"
	if k.Live > 0 {
		live = fmt.Sprintf("key %d of %d", k.Live, k.Keys)
	}
	add("live", live)
	if !k.Issued.IsZero() {
		add("issued", k.Issued.UTC().Format("2 Jan 2006"))
	}
	if k.Next > 0 {
		add("next", fmt.Sprintf("key %d, %s (%s)", k.Next, clock(k.NextAt, now), away(k.NextAt, now)))
	}
	if !k.SoakEndsAt.IsZero() {
		add("soak", fmt.Sprintf("until %s (%s)", clock(k.SoakEndsAt, now), away(k.SoakEndsAt, now)))
	}
	for _, r := range k.Rejected {
		add(fmt.Sprintf("key %d", r.Key), "rejected "+away(r.At, now)+": "+clean(r.Reason))
	}
	for _, r := range k.Unconfirmed {
		add(fmt.Sprintf("key %d", r.Key), "refused "+away(r.At, now)+", which does not count yet: "+clean(r.Reason))
	}
	if k.Former != nil {
		add(fmt.Sprintf("key %d", k.Former.Key), "replaced, and its provider still accepts it; revoke it there")
	}
	return row
}

// approvalOf is how what is left to do here can be approved; nil where nothing is.
func (s *Site) approvalOf(e seen, name, provider string) *approvalState {
	a, connection := e.approvalAsked(provider)
	left, known := s.o.Source.Left(e.status.Name)
	hash := hashOf(left, name, provider)
	if !known || hash == "" || a.ReleasesNow == 0 {
		return nil
	}
	given, waits := e.approved(left, connection)
	out := &approvalState{Text: prose(clean(a.Text)), Hash: hash}
	if a.State == report.ApprovalRequired || waits && given.Missing > 0 { // the text says how a command gives it
		out.Text = visible.Plural(a.ReleasesNow, "change waits", "changes wait") + " for an approval" + opensWords(a)
		if a.Required > 1 {
			out.Text += fmt.Sprintf("; %d people must give it", a.Required)
		}
		if waits {
			out.Text += "; approved " + approvedWords(given, s.o.Now())
		}
	}
	if e.report.Mode == report.Apply {
		out.Link = &link{query("/approve", "environment", e.status.Name, "provider", provider), "Look at it and approve"}
	}
	return out
}

// approved is the approval that waits for what the last run left to do: of a connection, or
// of the plan where that covers it. For the connection "" it is that of the plan.
func (e seen) approved(left report.Environment, connection string) (daemon.Approved, bool) {
	if len(left.Changes) == 0 || len(e.status.Approved) == 0 {
		return daemon.Approved{}, false
	}
	whole, hashes := plan.Hash(left.Plan()), plan.ConnectionHashes(left.Plan())
	for _, w := range e.status.Approved {
		ofPlan := w.Connection == "" && w.Hash == whole && !slices.Contains(left.Approval.Leaves, connection)
		if ofPlan || w.Connection != "" && w.Connection == connection && w.Hash == hashes[connection] {
			return w, len(w.By) > 0
		}
	}
	return daemon.Approved{}, false
}

// withApproval names the approval that waits beside what holds the changes of a row: the
// last run began before somebody gave it.
func (e seen) withApproval(row report.Row, left report.Environment, now time.Time) report.Row {
	w, waits := e.approved(left, row.Connection)
	if row.Connection == "" || !waits {
		return row
	}
	row.Changes = slices.Clone(row.Changes)
	for i, c := range row.Changes {
		if at := slices.IndexFunc(c.Notes, func(n report.Note) bool { return n.Label == "held" }); at >= 0 {
			row.Changes[i].Notes = slices.Insert(slices.Clone(c.Notes), at+1, report.Note{Label: "waiting approval", Text: approvedWords(w, now)})
		}
	}
	return row
}

// approvalAsked is what the last run said of approving an environment or one connection of
// it, and the name of the connection as an approval has it, "" for the environment.
func (e seen) approvalAsked(provider string) (a report.Approval, connection string) {
	if provider == "" {
		return e.last.Approval, ""
	}
	connection = e.status.Name + "/" + provider
	for _, c := range e.last.Connections {
		if c.Name == connection {
			a = c.Approval
		}
	}
	return a, connection
}

// approvedWords say by whom something is approved, and what comes then.
func approvedWords(a daemon.Approved, now time.Time) string {
	then := "the next run may apply it"
	if a.Missing > 0 {
		then = missingWords(a.Missing)
	}
	return fmt.Sprintf("by %s until %s: %s", strings.Join(cleanAll(a.By), ", "), clock(a.Until, now), then)
}

func missingWords(n int) string {
	return visible.Plural(n, "more person", "more people") + " must approve the same"
}

// opensWords says for what an approved change goes on waiting, unless the approval says
// otherwise.
func opensWords(a report.Approval) string {
	if a.ReleasesNow <= a.Releases {
		return ""
	}
	return ", and for " + waitedFor(a)
}

// waitedFor is what an approval waits for that does not say otherwise.
func waitedFor(a report.Approval) string {
	if a.WindowOpens.IsZero() {
		return "a window or another environment"
	}
	return "the window that opens " + a.WindowOpens.Format("Mon 2 Jan 15:04 MST")
}

// opensAfter tells whether an approval that waits for its window ends before that opens.
func opensAfter(a report.Approval, end time.Time) bool {
	return a.ReleasesNow > a.Releases && a.WindowOpens.After(end)
}

// unusedWords say what an approval that ends before its window opens is worth.
func unusedWords(a report.Approval) string {
	if a.Releases == 0 {
		return "nothing can be applied by it"
	}
	return "by it " + visible.Plural(a.ReleasesNow-a.Releases, "change", "changes") + " of " + number(a.ReleasesNow) + " cannot be applied"
}

// hashOf is the hash of what is left to do, of an environment or of one connection; "" where
// nothing is.
func hashOf(left report.Environment, name, provider string) string {
	switch {
	case len(left.Changes) == 0:
		return ""
	case provider == "":
		return plan.Hash(left.Plan())
	}
	return plan.ConnectionHashes(left.Plan())[name]
}
