package web

import (
	"bytes"
	_ "embed" // the description of the API
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

const apiPath = "/api/v1/"

//go:embed openapi.yaml
var description []byte

// The documents. Fields are added, never renamed.
const (
	reportsSchema   = "terra-reconcile/reports/v1"
	plansSchema     = "terra-reconcile/plans/v1"
	approvalsSchema = "terra-reconcile/approvals/v1"
)

func (s *Site) api() {
	read := func(pattern string, h func(http.ResponseWriter, *http.Request) error) {
		s.mux.Handle("GET "+apiPath+pattern, s.reading(func(w http.ResponseWriter, r *http.Request) { answerError(w, h(w, r)) }))
	}
	read("status", s.apiStatus)
	read("reports", s.apiReports)
	read("plans", s.apiPlans)
	read("approvals", s.apiApprovals)
	read("history", s.apiHistory)
	read("openapi.yaml", func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Content-Type", "application/yaml")
		_, _ = w.Write(description) // a client that is gone needs no answer
		return nil
	})
	if s.o.Metrics != nil {
		s.mux.Handle("GET "+apiPath+"metrics", s.reading(s.o.Metrics.ServeHTTP))
	}
	write := func(path string, h func(*http.Request, string, string) (answer, error)) {
		s.mux.HandleFunc("POST "+apiPath+path, func(w http.ResponseWriter, r *http.Request) { s.apiWrite(w, r, path, h) })
	}
	write("approvals", s.apiApprove)
	write("pauses", s.apiPause)
	write("resumes", s.apiResume)
	write("runs", s.apiRun)
}

// answer is a document of the API.
type answer struct{ text []byte }

func answerOf[T any](document T) (answer, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(document)
	return answer{report.EscapeJSON(out.Bytes())}, err
}

func (a answer) write(w http.ResponseWriter, status int, media string) {
	w.Header().Set("Content-Type", media)
	w.WriteHeader(status)
	_, _ = w.Write(a.text) // a client that is gone needs no answer
}

func sendJSON[T any](w http.ResponseWriter, document T) error {
	a, err := answerOf(document)
	if err == nil {
		a.write(w, http.StatusOK, "application/json")
	}
	return err
}

// problem is what is answered in place of a document (RFC 9457).
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
}

func writeProblem(w http.ResponseWriter, status int, detail string) {
	if a, err := answerOf(problem{"about:blank", http.StatusText(status), status, clean(detail)}); err == nil {
		a.write(w, status, "application/problem+json")
	}
}

// wrongError is about the request.
type wrongError struct {
	status int
	text   string
}

func (e *wrongError) Error() string { return e.text }

func answerError(w http.ResponseWriter, err error) {
	if err == nil {
		return
	}
	status := http.StatusInternalServerError
	if wrong := (*wrongError)(nil); errors.As(err, &wrong) {
		status = wrong.status
	}
	writeProblem(w, status, err.Error())
}

func (s *Site) apiStatus(w http.ResponseWriter, _ *http.Request) error {
	status, err := s.o.Source.Status()
	if err != nil {
		return err
	}
	return sendJSON(w, status)
}

// part is which environments a request asks for: one, or so many after a name.
type part struct {
	environment, after string
	limit              int
}

const (
	usualLimit = 20
	mostLimit  = 100
	mostLines  = 500
)

func limitOf(q url.Values, usual, most int) (int, error) {
	text := q.Get("limit")
	if text == "" {
		return usual, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return 0, &wrongError{http.StatusBadRequest, fmt.Sprintf("limit is a number from 1 to %d", most)}
	}
	return n, nil
}

// chosen are the environments that a request asks for, and the name after which there are
// more, "" for none.
func (s *Site) chosen(r *http.Request) (names []string, next string, status daemon.Status, err error) {
	q := r.URL.Query()
	if status, err = s.o.Source.Status(); err != nil {
		return nil, "", status, err
	}
	p := part{environment: q.Get("environment"), after: q.Get("after")}
	if p.limit, err = limitOf(q, usualLimit, mostLimit); err != nil {
		return nil, "", status, err
	}
	for _, e := range status.Environments {
		switch {
		case p.environment != "" && e.Name != p.environment, p.environment == "" && e.Name <= p.after:
			continue
		case len(names) == p.limit:
			return names, names[len(names)-1], status, nil
		}
		names = append(names, e.Name)
	}
	if p.environment != "" && len(names) == 0 {
		return nil, "", status, &wrongError{http.StatusNotFound, "the repository has no such environment"}
	}
	return names, "", status, nil
}

type reportsDocument struct {
	Schema  string            `json:"schema"`
	Reports []json.RawMessage `json:"reports"` // each as `reconcile -o json` prints it
	Next    string            `json:"next"`    // after which there are more; "" for none
}

func (s *Site) apiReports(w http.ResponseWriter, r *http.Request) error {
	names, next, _, err := s.chosen(r)
	if err != nil {
		return err
	}
	out := reportsDocument{Schema: reportsSchema, Reports: []json.RawMessage{}, Next: next}
	for _, name := range names {
		if one, ran := s.o.Source.Report(name); ran {
			var text bytes.Buffer
			if err := report.JSON(&text, one); err != nil {
				return err
			}
			out.Reports = append(out.Reports, text.Bytes())
		}
	}
	return sendJSON(w, out)
}

type plansDocument struct {
	Schema string         `json:"schema"`
	Plans  []planDocument `json:"plans"`
	Next   string         `json:"next"`
}

// planDocument is what the last run of an environment has left to do.
type planDocument struct {
	Environment string               `json:"environment"`
	DevID       string               `json:"dev_id"`
	Commit      string               `json:"commit"`
	Known       bool                 `json:"known"` // false: that run does not tell; all else is empty
	PlanHash    string               `json:"plan_hash"`
	Covers      []string             `json:"covers"` // a line for each field that approving it is about
	Changes     []plannedChange      `json:"changes"`
	Connections []connectionDocument `json:"connections"`
}

type plannedChange struct {
	plan.Change
	Outcome report.Outcome `json:"outcome"`
}

// connectionDocument is how one connection is approved alone.
type connectionDocument struct {
	Connection string   `json:"connection"`
	PlanHash   string   `json:"plan_hash"`
	Required   int      `json:"required"` // people who must approve it
	Covers     []string `json:"covers"`
}

func (s *Site) apiPlans(w http.ResponseWriter, r *http.Request) error {
	names, next, status, err := s.chosen(r)
	if err != nil {
		return err
	}
	out := plansDocument{Schema: plansSchema, Plans: []planDocument{}, Next: next}
	for _, name := range names {
		left, known := s.o.Source.Left(name)
		one := planDocument{Environment: name, Known: known, Covers: []string{}, Changes: []plannedChange{}, Connections: []connectionDocument{}}
		i := slices.IndexFunc(status.Environments, func(e daemon.EnvironmentStatus) bool { return e.Name == name })
		one.DevID = status.Environments[i].DevID
		if last, ran := s.o.Source.Report(name); ran {
			one.Commit = last.Commit
		}
		if known && len(left.Changes) > 0 {
			hashes := plan.ConnectionHashes(left.Plan())
			one.PlanHash, one.Covers = plan.Hash(left.Plan()), report.Covers(left, "")
			for _, c := range left.Changes {
				c.Fields, c.Remediations = notNil(c.Fields), notNil(c.Remediations)
				one.Changes = append(one.Changes, plannedChange{c.Change, c.Outcome})
			}
			for _, c := range left.Connections {
				if hash := hashes[c.Name]; hash != "" {
					one.Connections = append(one.Connections, connectionDocument{c.Name, hash, max(1, c.Approval.Required), report.Covers(left, c.Name)})
				}
			}
		}
		out.Plans = append(out.Plans, one)
	}
	return sendJSON(w, out)
}

func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

type approvalsDocument struct {
	Schema    string             `json:"schema"`
	Approvals []approvalDocument `json:"approvals"` // that wait to be used
}

type approvalDocument struct {
	Environment string `json:"environment"`
	daemon.Approved
}

func (s *Site) apiApprovals(w http.ResponseWriter, _ *http.Request) error {
	status, err := s.o.Source.Status()
	if err != nil {
		return err
	}
	out := approvalsDocument{approvalsSchema, []approvalDocument{}}
	for _, e := range status.Environments {
		for _, a := range e.Approved {
			a.By = notNil(a.By)
			out.Approvals = append(out.Approvals, approvalDocument{e.Name, a})
		}
	}
	return sendJSON(w, out)
}

type historyDocument struct {
	Schema   string        `json:"schema"`
	Warnings []string      `json:"warnings"`
	Entries  []state.Entry `json:"entries"` // the latest first
	Before   int64         `json:"before"`  // before which there are more; 0 for none
}

func (s *Site) apiHistory(w http.ResponseWriter, r *http.Request) error {
	q := historyQueryOf(r)
	most, err := limitOf(r.URL.Query(), 100, mostLines)
	if err != nil {
		return err
	}
	if since := r.URL.Query().Get("since"); since != "" {
		if q.filter.Since, err = time.Parse(time.RFC3339, since); err != nil {
			return &wrongError{http.StatusBadRequest, "since is a time as in 2026-11-20T00:00:00Z"}
		}
	}
	entries, warnings, err := s.lines(r.Context(), q, most)
	if err != nil {
		return err
	}
	out := historyDocument{Schema: state.HistorySchema, Warnings: notNil(warnings), Entries: notNil(entries)}
	if len(entries) > most {
		out.Entries = entries[:most]
		out.Before = entries[most-1].Sequence
	}
	return sendJSON(w, out)
}

// apiWrite does something for who gives the token that may, with the request itself.
func (s *Site) apiWrite(w http.ResponseWriter, r *http.Request, what string, do func(r *http.Request, token, who string) (answer, error)) {
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	token, given := bearer(r)
	if r.Header.Get("Origin") != "" && !s.sameOrigin(r) {
		writeProblem(w, http.StatusForbidden, "another page has made this request")
		return
	}
	if !given {
		w.Header().Set("WWW-Authenticate", `Bearer realm="terra-reconcile"`)
		writeProblem(w, http.StatusUnauthorized, "this takes the token of who approves, as Authorization: Bearer TOKEN")
		return
	}
	if media != "application/json" {
		writeProblem(w, http.StatusUnsupportedMediaType, "the request is a document of JSON, with Content-Type: application/json")
		return
	}
	who, err := s.approver(r, token)
	if err != nil {
		if errors.Is(err, errTooOften) {
			w.Header().Set("Retry-After", "10")
		}
		writeProblem(w, statusOf(err), err.Error())
		return
	}
	out, err := do(r, token, who)
	if wrong := (*wrongError)(nil); errors.As(err, &wrong) {
		writeProblem(w, wrong.status, wrong.text)
		return
	}
	if err != nil {
		writeProblem(w, http.StatusConflict, err.Error())
		return
	}
	s.o.Log.Info("asked by the API", "what", what, "who", who, "from", r.RemoteAddr)
	out.write(w, http.StatusOK, "application/json")
}

// decode reads one document of JSON with known fields alone.
func decode[T any](r *http.Request) (T, error) {
	var document T
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	err := decoder.Decode(&document)
	if err == nil && decoder.Decode(&struct{}{}) != io.EOF {
		err = errors.New("something stands behind the document")
	}
	if err != nil {
		return document, &wrongError{http.StatusBadRequest, "read request: " + err.Error()}
	}
	return document, nil
}

type approveRequest struct {
	Environment string `json:"environment"`
	Connection  string `json:"connection"`
	Hash        string `json:"hash"`
	Now         bool   `json:"now"`
}

func (s *Site) apiApprove(r *http.Request, token, who string) (answer, error) {
	q, err := decode[approveRequest](r)
	if err != nil {
		return answer{}, err
	}
	a, err := s.o.Source.Approve(daemon.Approval{Environment: q.Environment, Connection: q.Connection, Hash: q.Hash, Now: q.Now, Token: token, Owner: who})
	if err != nil {
		return answer{}, err
	}
	a.By, a.Covers = notNil(a.By), notNil(a.Covers)
	return answerOf(approvalDocument{q.Environment, a})
}

func (s *Site) apiPause(r *http.Request, _, who string) (answer, error) {
	q, err := decode[daemon.PauseRequest](r)
	if err != nil {
		return answer{}, err
	}
	if q.Target, err = targetOf(q.Target); err != nil {
		return answer{}, &wrongError{http.StatusBadRequest, err.Error()}
	}
	q.Owner = who
	p, err := s.o.Source.Pause(q)
	if err != nil {
		return answer{}, err
	}
	return answerOf(p)
}

func (s *Site) apiResume(r *http.Request, _, who string) (answer, error) {
	q, err := decode[daemon.ResumeRequest](r)
	if err != nil {
		return answer{}, err
	}
	if q.Target, err = targetOf(q.Target); err != nil {
		return answer{}, &wrongError{http.StatusBadRequest, err.Error()}
	}
	q.Owner = who
	out, err := s.o.Source.Resume(q)
	if err != nil {
		return answer{}, err
	}
	return answerOf(out)
}

type runsDocument struct {
	Environments []string `json:"environments"` // whose runs begin soon
}

func (s *Site) apiRun(r *http.Request, _, _ string) (answer, error) {
	q, err := decode[daemon.NowRequest](r)
	if err != nil {
		return answer{}, err
	}
	started, err := s.o.Source.RunNow(q)
	if err != nil {
		return answer{}, err
	}
	return answerOf(runsDocument{notNil(started)})
}
