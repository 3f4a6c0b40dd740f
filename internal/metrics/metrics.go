package metrics

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"

	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// What a scrape may cost, whatever a repository holds. The environments that have been
// applied before come first, and then the connections of those that have the fewest: what a
// commit adds pushes out no metric of what was there.
const (
	MaxEnvironments = 1_000
	MaxConnections  = 10_000 // of all environments
	maxReceivers    = 100
	scrapesAtOnce   = 4
)

// Options of Metrics; all are required.
type Options struct {
	Version string
	// Snapshot tells how the daemon stands at the time of a scrape. It may be called by
	// several goroutines at once, and is not called by the methods that are told of events.
	Snapshot func() Snapshot
}

// Snapshot is what a scrape is made from.
type Snapshot struct {
	Now          time.Time
	Status       daemon.Status
	StateUsable  bool
	Environments map[string]Environment // by name, beside what Status says of them
}

// Environment is one environment of a Snapshot.
type Environment struct {
	Account string
	Report  report.Report // of the last run; zero before the first
	Lagging time.Time     // since when there has been a newer commit than that of the last run; zero: there is none
}

// Metrics are those of one daemon. Make one with New. Its methods may be called by several
// goroutines at once, and return at once.
type Metrics struct {
	o        Options
	version  string // of Go
	registry *prometheus.Registry

	fetchDuration prometheus.Histogram
	runDuration   prometheus.Histogram
	apiDuration   *prometheus.HistogramVec

	mu        sync.Mutex
	counts    map[string]*counts // by name of the environment
	fetched   map[fetch]float64
	requests  map[request]float64
	waited    map[string]float64 // seconds, by account
	remaining map[string]int     // by account
	receivers map[string]*delivery
}

// counts are what happened in one environment since the daemon started.
type counts struct {
	runs    map[int]float64 // by exit code
	changes map[sent]float64
	events  map[report.EventKind]float64
	open    map[begun]bool // events of the last run that could tell
}

// begun is what tells one event of an environment from others.
type begun struct {
	kind               report.EventKind
	connection, change string
}

type sent struct {
	action  plan.Action
	cause   plan.Cause
	outcome report.Outcome
}

type fetch struct {
	repository string
	succeeded  bool
}

type request struct{ account, operation, code string }

type delivery struct {
	delivered, failed, inARow float64
	last                      time.Time
}

// New makes Metrics of which nothing has happened yet.
func New(o Options) *Metrics {
	histogram := func(name string, buckets []float64) prometheus.HistogramOpts {
		return prometheus.HistogramOpts{Name: Prefix + name, Help: family(name).Help, Buckets: buckets}
	}
	m := &Metrics{
		o: o, registry: prometheus.NewRegistry(),
		fetchDuration: prometheus.NewHistogram(histogram("git_fetch_duration_seconds", []float64{.01, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60})),
		runDuration:   prometheus.NewHistogram(histogram("run_duration_seconds", []float64{.1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900})),
		apiDuration: prometheus.NewHistogramVec(histogram("api_request_duration_seconds", []float64{.025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 90}),
			family("api_request_duration_seconds").Labels),
		counts: map[string]*counts{}, fetched: map[fetch]float64{}, requests: map[request]float64{}, waited: map[string]float64{},
		remaining: map[string]int{}, receivers: map[string]*delivery{},
	}
	m.version = goVersion()
	m.registry.MustRegister(m.fetchDuration, m.runDuration, m.apiDuration,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), collectors.NewBuildInfoCollector())
	return m
}

// Handler answers a scrape. It is not compressed: that takes longer than the rest, and
// Prometheus stands near.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(prometheus.GathererFunc(m.Gather), promhttp.HandlerOpts{DisableCompression: true, MaxRequestsInFlight: scrapesAtOnce})
}

// Gather gives all families, by name. It implements prometheus.Gatherer without the checks of
// a registry, which cost more than the rest: that no series is there twice follows from how
// they are made, and a test asks a registry.
func (m *Metrics) Gather() ([]*dto.MetricFamily, error) {
	now := m.o.Snapshot()
	out := newExposition()
	m.describe(out, now)
	all, err := m.registry.Gather()
	all = append(all, out.families()...)
	slices.SortFunc(all, func(a, b *dto.MetricFamily) int { return strings.Compare(a.GetName(), b.GetName()) })
	return all, err
}

// Fetched is told of each look at a repository of the runner's configuration, "" where it is the
// only one: how long it took, and whether it could be read.
func (m *Metrics) Fetched(repository string, took time.Duration, ok bool) {
	m.fetchDuration.Observe(took.Seconds())
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fetched[fetch{repository, ok}]++
}

// Ran is told of each run of an environment.
func (m *Metrics) Ran(environment string, r report.Report) {
	m.runDuration.Observe((time.Duration(r.DurationMS) * time.Millisecond).Seconds())
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.counts[environment]
	if c == nil {
		if len(m.counts) >= MaxEnvironments {
			return // until a scrape forgets those that are gone
		}
		c = &counts{runs: map[int]float64{}, changes: map[sent]float64{}, events: map[report.EventKind]float64{}}
		for _, kind := range eventKinds() { // a first event is an increase from 0
			c.events[kind] = 0
		}
		m.counts[environment] = c
	}
	c.runs[r.ExitCode]++
	for _, e := range r.Environments { // a run is of one
		for _, change := range e.Changes {
			switch change.Outcome {
			case report.Applied, report.Failed, report.Unknown:
				c.changes[sent{change.Action, change.Cause, change.Outcome}]++
			case report.Waiting, report.Skipped, report.NotAttempted:
			}
		}
		if e.PlanHash == "" {
			continue // nothing is known of what lasts
		}
		open := map[begun]bool{}
		for _, event := range e.Events {
			key := begun{event.Kind, event.Connection, event.Change}
			if !c.open[key] && !open[key] {
				c.events[event.Kind]++
			}
			open[key] = true
		}
		c.open = open
	}
}

func eventKinds() []report.EventKind {
	return []report.EventKind{report.Stuck, report.KeyRejectedEvent, report.KeyOverdueEvent, report.RolledBack, report.RotationHeld, report.Conflict, report.KeyOutOfBandEvent}
}

// Call is one request to Terra as it ended.
type Call struct {
	Account   string // of the runner's configuration
	Operation string // id of the contract
	Sent      bool   // false: something held it back, and it only waited
	Status    int    // of the answer; 0: there was none
	Failure   string // why there was none: timeout, network, canceled
	Waited    time.Duration
	Took      time.Duration
	Remaining *int // mutations that may still be sent; nil where Terra does not say
}

// Called is told of each request to Terra.
func (m *Metrics) Called(c Call) {
	if c.Sent {
		m.apiDuration.WithLabelValues(c.Operation).Observe(c.Took.Seconds())
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	c.Account = label(c.Account)
	m.waited[c.Account] += c.Waited.Seconds()
	if c.Sent {
		m.requests[request{c.Account, c.Operation, codeOf(c)}]++
	}
	if c.Remaining != nil {
		m.remaining[c.Account] = *c.Remaining
	}
}

// codeOf is a status that HTTP knows, or why there is none: a server must not choose how
// many there are.
func codeOf(c Call) string {
	switch {
	case c.Status == 0:
		return c.Failure
	case http.StatusText(c.Status) == "":
		return "other"
	}
	return strconv.Itoa(c.Status)
}

// Notified is told of each try to give a message to a receiver of the runner's
// configuration, and whether it took it.
func (m *Metrics) Notified(receiver string, delivered bool, at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	receiver = label(receiver)
	d := m.receivers[receiver]
	if d == nil {
		if len(m.receivers) >= maxReceivers {
			return
		}
		d = &delivery{}
		m.receivers[receiver] = d
	}
	if !delivered {
		d.failed++
		d.inARow++
		return
	}
	d.delivered++
	d.inARow, d.last = 0, at
}
