package web

import (
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// Source is the daemon that a Site shows. Its errors say what the person who asks has to
// change. Any number of goroutines may ask it.
type Source interface {
	Status() (daemon.Status, error)
	// Report is what the last run of an environment said; known is false before the first.
	Report(environment string) (r report.Report, known bool)
	// Left is what that run has left to do; known is false where it does not tell.
	Left(environment string) (left report.Environment, known bool)
	// Files are what the files say that the runs of an environment use, by provider.
	Files(environment string) []File
	// History gives lines of the history, the oldest first, and what of it cannot be read.
	History(state.HistoryFilter) (entries []state.Entry, warnings []string, err error)
	// Approvable tells what Approve would be of, and keeps nothing.
	Approvable(daemon.Approval) (daemon.Approved, error)
	Approve(daemon.Approval) (daemon.Approved, error)
	Pause(daemon.PauseRequest) (daemon.Pause, error)
	Resume(daemon.ResumeRequest) (daemon.Resumed, error)
	RunNow(daemon.NowRequest) ([]string, error)
}

// File is the file of one connection. Its texts are a committer's, and hold no secret.
type File struct {
	Connection string // production/strava
	Provider   string
	Origin     string // file:line
	Fields     []Field
	Evidence   []Field // of human steps at the provider
}

// Field is one setting of a file, in words.
type Field struct{ Name, Value string }

// Options is what a Site works with. Reader, Approver and Metrics may be nil, all else is
// required.
type Options struct {
	Source Source
	// Reader gives the SHA-256 of the token that reads, anew for each request. Nil: whoever
	// reaches the listener reads.
	Reader func() ([sha256.Size]byte, error)
	// Approver names whose token it is that approves, "" for nobody's. Nil: nobody approves
	// here.
	Approver func(token string) (name string, err error)
	// Metrics are served below the API.
	Metrics http.Handler
	// Loopback says that only this machine reaches the listener: then a request has to be
	// made for a name of this machine, or a page elsewhere could read by a name of its own.
	Loopback bool
	TLS      bool
	Now      func() time.Time
	Log      *slog.Logger
}

// Site serves the page and the API. It is made by New.
type Site struct {
	o        Options
	mux      *http.ServeMux
	pages    *pages
	sessions *sessions
	asked    *rates // of all requests
	failed   *rates // of tokens that are nobody's
	trouble  *onceLogged
	search   chan struct{} // one element while the history is searched
}

// What those who ask may take: so much a second of one address and of all, and so much at
// once. A page costs as much as four documents of the API.
const (
	perAddress, burstPerAddress = 20, 240
	perSecond, burst            = 80, 800
	costOfPage                  = 4
	maxBody                     = 16 << 10 // bytes of a form or a request
)

// New makes a Site.
func New(o Options) (*Site, error) {
	pages, err := newPages()
	if err != nil {
		return nil, fmt.Errorf("read templates of the page: %w", err)
	}
	s := &Site{o: o, mux: http.NewServeMux(), pages: pages, sessions: newSessions(), search: make(chan struct{}, 1), trouble: &onceLogged{log: o.Log},
		asked: newRates(perAddress, burstPerAddress, perSecond, burst), failed: newRates(0.1, 10, 2, 100)}
	read := func(pattern string, h func(http.ResponseWriter, *http.Request)) { s.mux.Handle(pattern, s.reading(h)) }
	read("GET /{$}", s.overview)
	read("GET /environments/{name...}", s.environment)
	read("GET /connections/{name...}", s.connection)
	read("GET /history", s.history)
	for _, a := range s.acts() {
		read("GET "+a.path, func(w http.ResponseWriter, r *http.Request) { s.ask(w, r, a) })
		read("POST "+a.path, func(w http.ResponseWriter, r *http.Request) { s.act(w, r, a) })
	}
	s.mux.HandleFunc("GET /login", s.loginPage)
	s.mux.HandleFunc("POST /login", s.login)
	s.mux.HandleFunc("POST /logout", s.logout)
	s.mux.HandleFunc("GET "+pages.stylePath, s.style)
	s.api()
	s.mux.HandleFunc("/", s.unknown)
	return s, nil
}

// ServeHTTP implements http.Handler.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.guarded(s.mux).ServeHTTP(w, r) }

// Reading lets only those ask a handler who may read.
func (s *Site) Reading(next http.Handler) http.Handler { return s.guarded(s.reading(next.ServeHTTP)) }

func (s *Site) unknown(w http.ResponseWriter, r *http.Request) {
	s.refuse(w, r, http.StatusNotFound, "there is no such page")
}
