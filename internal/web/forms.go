package web

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/internal/visible"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// everything is the target of a pause of everything, where a form or a request names one: no
// environment has that name, and an empty one, as of a variable that is not set, is none.
const (
	everything     = "*"
	everythingWord = "everything"
)

var errNoTarget = errors.New("name an environment or a connection as the target, or * for everything")

// act is something that a person does here: first a page that shows exactly what, then its
// form with the token that may.
type act struct {
	name, path string
	// show fills in the page; its error says why there is nothing to do.
	show func(*http.Request, *formPage) error
	// do does it for who may, and gives the page where that is seen.
	do func(r *http.Request, who string) (seenAt string, err error)
}

func (s *Site) acts() []act {
	return []act{
		{"approve", "/approve", s.showApprove, s.doApprove},
		{"pause", "/pause", s.showPause, s.doPause},
		{"resume", "/resume", s.showResume, s.doResume},
		{"run", "/run", s.showRun, s.doRun},
	}
}

// formPage shows what a form does, and has it.
type formPage struct {
	chrome
	Heading, Lead string
	Problem       string
	Lines         []string // exactly what happens
	LinesTitle    string
	Harm          []string // what cannot be taken back
	Plan          []planRow
	Facts         []report.Note
	Action        string
	Hidden        []Field
	Warning       string // what would be in vain
	AskNow        string // what --now does not wait for, "" where nothing waits
	AskPause      bool
	Spans         []spanChoice
	Reason        string
	Button        string
	Danger        bool
	Back          link
	Closed        string // why there is no form
	TokenOf       string // whose token it takes
}

type spanChoice struct {
	Seconds int64
	Text    string
	Chosen  bool
}

// ask shows what a form would do.
func (s *Site) ask(w http.ResponseWriter, r *http.Request, a act) {
	s.showForm(w, r, a, http.StatusOK, "")
}

func (s *Site) showForm(w http.ResponseWriter, r *http.Request, a act, status int, problem string) {
	p := formPage{chrome: s.chrome(r, ""), Action: a.path, Problem: problem, TokenOf: "web.approve, or your own where daemon.yaml knows people by tokens"}
	if s.o.Approver == nil {
		p.Closed = "Nobody approves, pauses or starts runs here: daemon.yaml names neither web.approve nor approvals.people. On the machine of the daemon the commands approve, pause, resume and now do."
	}
	if err := a.show(r, &p); err != nil {
		p.Closed = clean(err.Error())
	}
	p.Title = p.Heading
	s.pages.show(w, status, "form", p)
}

// act does what a form was sent for, or shows it again with what is wrong.
func (s *Site) act(w http.ResponseWriter, r *http.Request, a act) {
	if !s.sameOrigin(r) {
		s.refuse(w, r, http.StatusForbidden, notOurForm)
		return
	}
	if err := formOf(r); err != nil {
		s.refuse(w, r, http.StatusBadRequest, err.Error())
		return
	}
	who, err := s.approver(r, r.PostFormValue("token"))
	if err != nil {
		s.showForm(w, r, a, statusOf(err), err.Error())
		return
	}
	at, err := a.do(r, who)
	if err != nil {
		s.showForm(w, r, a, http.StatusConflict, clean(err.Error()))
		return
	}
	s.o.Log.Info("asked on the page", "what", a.name, "who", who, "environment", r.FormValue("environment"), "target", r.FormValue("target"), "from", r.RemoteAddr)
	http.Redirect(w, r, at, http.StatusSeeOther)
}

func statusOf(err error) int {
	switch {
	case errors.Is(err, errTooOften):
		return http.StatusTooManyRequests
	case errors.Is(err, errTokens):
		return http.StatusServiceUnavailable
	}
	return http.StatusForbidden
}

// named is the environment and the provider that a form is about, and the connection's name.
func named(r *http.Request) (environment, provider, name string) {
	environment, provider = r.FormValue("environment"), r.FormValue("provider")
	if provider == "" {
		return environment, "", environment
	}
	return environment, provider, environment + "/" + provider
}

func subjectPath(environment, provider string) string {
	if provider == "" {
		return environmentPath(environment)
	}
	return connectionPath(environment + "/" + provider)
}

func (s *Site) showApprove(r *http.Request, p *formPage) error {
	environment, provider, name := named(r)
	p.Heading, p.Button = "Approve "+clean(name), "Approve exactly this"
	p.Back = link{subjectPath(environment, provider), "Back to " + clean(name)}
	e, _, known, err := s.find(environment)
	if err != nil || !known {
		return cmp.Or(err, errors.New("the repository has no such environment"))
	}
	left, known := s.o.Source.Left(environment)
	hash := hashOf(left, name, provider)
	if !known || hash == "" {
		return errors.New("there is nothing to approve: the last run left nothing to do here, or does not tell what")
	}
	q := daemon.Approval{Environment: environment, Hash: hash}
	if provider != "" {
		q.Connection = name
	}
	found, err := s.o.Source.Approvable(q)
	if err != nil {
		return err
	}
	p.LinesTitle = "Exactly this is applied, or nothing"
	for _, line := range found.Covers {
		p.Lines = append(p.Lines, arrows(clean(plainAction(line, left.Changes))))
	}
	a := left.Approval
	for _, c := range left.Connections {
		if provider != "" && c.Name == name {
			a = c.Approval
		}
	}
	for _, row := range rowsOf(e.report, left) {
		if provider == "" || row.Connection == name {
			p.Plan = append(p.Plan, planRow{Row: e.withApproval(row, left, s.o.Now()), Name: clean(cmp.Or(row.Connection, row.Name)), Open: provider != ""})
		}
	}
	p.harm(left, name, provider)
	p.Facts = append(p.Facts, report.Note{Label: "people", Text: visible.Plural(max(1, a.Required), "person must approve it", "people must approve it")})
	var by []string
	for _, w := range e.status.Approved {
		if w.Connection == q.Connection && w.Hash == hash && len(w.By) > 0 {
			by = cleanAll(w.By)
			p.Facts = append(p.Facts, report.Note{Label: "so far", Text: strings.Join(by, ", ")})
		}
	}
	if len(a.Leaves) > 0 && provider == "" {
		p.Facts = append(p.Facts, report.Note{Label: "not covered", Text: strings.Join(cleanAll(a.Leaves), ", ") + ": approved alone"})
	}
	p.Facts = append(p.Facts, report.Note{Label: "when", Text: whenWords(a, len(by))}, report.Note{Label: "hash", Text: hash})
	if a.ReleasesNow > a.Releases {
		p.AskNow = "Do not wait for " + waitedFor(a)
	}
	if opensAfter(a, s.o.Now().Add(state.ApprovalLasts)) {
		p.Warning = "An approval ends in a day, before " + waitedFor(a) + ". Unless you choose not to wait, " + unusedWords(a) + "."
	}
	p.Hidden = []Field{{"environment", environment}, {"provider", provider}, {"hash", hash}}
	return nil
}

// whenWords say when what is approved is applied, where so many people have approved it so
// far.
func whenWords(a report.Approval, soFar int) string {
	when := "a run begins at once"
	switch more := a.Required - soFar - 1; {
	case more > 0:
		when = "your approval is kept; nothing is applied before " + visible.Plural(more, "more person approves", "more people approve") + " the same, and then a run begins at once"
	case a.Required > 1:
		when += ", unless you are one of those who have approved it already"
	}
	if a.ReleasesNow > a.Releases {
		part := "part of it waits"
		if a.Releases == 0 {
			part = "all of it waits"
		}
		when += ", and " + part + " for " + waitedFor(a) + ", unless you say otherwise below"
	}
	return when + "; unused the approval ends in a day"
}

// plainAction writes the action of a line of what an approval covers as all of the page does.
func plainAction(line string, changes []report.Change) string {
	for _, c := range changes {
		if rest, ok := strings.CutPrefix(line, clean(c.Connection)+" "+string(c.Action)); ok {
			return clean(c.Connection) + " " + strings.ReplaceAll(string(c.Action), "-", " ") + rest
		}
	}
	return line
}

// harm is what of an approval cannot be taken back, or may stop end users.
func (p *formPage) harm(left report.Environment, name, provider string) {
	for _, c := range left.Changes {
		if provider != "" && c.Connection != name || c.Class == plan.Safe || slices.Contains(left.Approval.Leaves, c.Connection) && provider == "" {
			continue
		}
		p.Danger = p.Danger || c.Class == plan.Destructive
		text := clean(c.Connection) + " " + strings.ReplaceAll(clean(string(c.Action)), "-", " ") + " is " + clean(string(c.Class))
		if c.ClassReason != "" {
			text += ": " + prose(clean(c.ClassReason))
		}
		if !slices.Contains(p.Harm, text) {
			p.Harm = append(p.Harm, text)
		}
	}
}

func (s *Site) doApprove(r *http.Request, who string) (string, error) {
	environment, provider, name := named(r)
	q := daemon.Approval{Environment: environment, Hash: r.PostFormValue("hash"), Now: r.PostFormValue("now") == "yes", Token: r.PostFormValue("token"), Owner: who}
	if provider != "" {
		q.Connection = name
	}
	if _, err := s.o.Source.Approve(q); err != nil {
		return "", fmt.Errorf("nothing was approved: %w", err)
	}
	return query(subjectPath(environment, provider), "done", "approve"), nil
}

// targetOf is what a pause is about, as the daemon names it: "" is everything. Slashes around
// it are no part of it, so that two empty names with one between are none, too.
func targetOf(asked string) (string, error) {
	switch asked = strings.Trim(asked, "/"); asked {
	case "":
		return "", errNoTarget
	case everything:
		return "", nil
	}
	return asked, nil
}

// seenAt is the page on which a pause is seen.
func (s *Site) seenAt(target string) string {
	if _, _, known, err := s.find(target); err == nil && known {
		return environmentPath(target)
	}
	if environment, _ := parted(target); environment != "" {
		return connectionPath(target)
	}
	return "/"
}

func (s *Site) showPause(r *http.Request, p *formPage) error {
	name, err := targetOf(r.FormValue("target"))
	words := cmp.Or(clean(name), everythingWord)
	p.Heading, p.Button, p.Back = "Pause "+words, "Pause "+words, link{s.seenAt(name), "Back"}
	if err != nil {
		return err
	}
	p.Lead = "Nothing of " + words + " is changed until the pause ends or somebody lifts it. Terra stays as it is; runs go on looking and reporting. A run under way stops before its next change."
	status, err := s.o.Source.Status()
	if err != nil {
		return err
	}
	for _, e := range s.see(status) {
		for _, row := range rowsOf(e.report, e.last) {
			connection := cmp.Or(row.Connection, e.status.Name+"/"+row.Name)
			if e.known && (name == "" || name == e.status.Name || name == e.status.DevID || name == connection) && row.What != "" {
				p.Lines = append(p.Lines, clean(connection)+": "+arrows(row.What))
			}
		}
	}
	p.LinesTitle = "It holds, as the last runs have it"
	if len(p.Lines) == 0 {
		p.Lines = []string{"nothing that is known of now: there is nothing to do. It holds what comes up, a key that falls due too."}
	}
	if len(p.Lines) > maxNeeds {
		p.Lines = append(p.Lines[:maxNeeds], fmt.Sprintf("and %d more", len(p.Lines)-maxNeeds))
	}
	p.AskPause, p.Reason = true, clean(r.FormValue("reason"))
	chosen, _ := strconv.ParseInt(r.FormValue("seconds"), 10, 64)
	for _, span := range []time.Duration{time.Hour, 4 * time.Hour, 24 * time.Hour, 7 * 24 * time.Hour, 30 * 24 * time.Hour} {
		text := visible.Plural(int(span/time.Hour), "hour", "hours")
		if span > 24*time.Hour {
			text = visible.Plural(int(span/(24*time.Hour)), "day", "days")
		}
		p.Spans = append(p.Spans, spanChoice{int64(span / time.Second), text, int64(span/time.Second) == cmp.Or(chosen, 4*60*60)})
	}
	p.Hidden = []Field{{"target", cmp.Or(name, everything)}}
	return nil
}

func (s *Site) doPause(r *http.Request, who string) (string, error) {
	name, err := targetOf(r.PostFormValue("target"))
	if err != nil {
		return "", err
	}
	seconds, err := strconv.ParseInt(r.PostFormValue("seconds"), 10, 64)
	if err != nil {
		return "", errors.New("choose for how long")
	}
	if _, err := s.o.Source.Pause(daemon.PauseRequest{Target: name, Reason: r.PostFormValue("reason"), Seconds: seconds, Owner: who}); err != nil {
		return "", err
	}
	return query(s.seenAt(name), "done", "pause"), nil
}

func (s *Site) showResume(r *http.Request, p *formPage) error {
	name, err := targetOf(r.FormValue("target"))
	words, now := cmp.Or(clean(name), everythingWord), s.o.Now()
	p.Heading, p.Button, p.Back = "Resume "+words, "Resume "+words, link{s.seenAt(name), "Back"}
	if err != nil {
		return err
	}
	status, err := s.o.Source.Status()
	if err != nil {
		return err
	}
	i := slices.IndexFunc(status.Paused, func(one daemon.Pause) bool { return one.Target == name })
	if i < 0 {
		return fmt.Errorf("no pause is on exactly %s; it has ended, or somebody lifted it", words)
	}
	pause := status.Paused[i]
	p.Lead = "The pause ends now, and a run of what it held begins."
	p.Facts = []report.Note{{Label: "set by", Text: clean(pause.Owner)}, {Label: "since", Text: clock(pause.Since, now)}, {Label: "until", Text: clock(pause.Until, now)}, {Label: "reason", Text: clean(pause.Reason)}}
	p.Hidden = []Field{{"target", cmp.Or(name, everything)}, {"since", pause.Since.UTC().Format(time.RFC3339Nano)}}
	return nil
}

func (s *Site) doResume(r *http.Request, who string) (string, error) {
	name, err := targetOf(r.PostFormValue("target"))
	if err != nil {
		return "", err
	}
	status, err := s.o.Source.Status()
	if err != nil {
		return "", err
	}
	if !slices.ContainsFunc(status.Paused, func(one daemon.Pause) bool {
		return one.Target == name && one.Since.UTC().Format(time.RFC3339Nano) == r.PostFormValue("since")
	}) {
		return "", errors.New("the pause is another one by now; look at it before you lift it")
	}
	if _, err := s.o.Source.Resume(daemon.ResumeRequest{Target: name, Owner: who}); err != nil {
		return "", err
	}
	return query(s.seenAt(name), "done", "resume"), nil
}

func (s *Site) showRun(r *http.Request, p *formPage) error {
	environment, _, _ := named(r)
	words := cmp.Or(clean(environment), "all environments")
	p.Heading, p.Button, p.Back = "Run "+words+" now", "Run now", link{"/", "Back"}
	if environment != "" {
		p.Back = link{environmentPath(environment), "Back to " + words}
		if _, _, known, err := s.find(environment); err != nil || !known {
			return cmp.Or(err, errors.New("the repository has no such environment"))
		}
	}
	p.Lead = "A run begins now, or after the one that is under way, and does what is ready then: as by its schedule. What waits for an approval or a window goes on waiting."
	p.Hidden = []Field{{"environment", environment}}
	return nil
}

func (s *Site) doRun(r *http.Request, _ string) (string, error) {
	environment, _, _ := named(r)
	if _, err := s.o.Source.RunNow(daemon.NowRequest{Environment: environment}); err != nil {
		return "", err
	}
	if environment == "" {
		return "/", nil
	}
	return query(environmentPath(environment), "done", "run"), nil
}
