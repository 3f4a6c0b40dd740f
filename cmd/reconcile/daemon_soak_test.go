package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/internal/terra"
	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
	"github.com/terra-reconcile/terra-reconcile/internal/walk"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// lines is a log that several goroutines write.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// take gives what was written since the last take.
func (l *lines) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := l.text.String()
	l.text.Reset()
	return text
}

// follow makes a follower of the example's repository that talks to its Terra
// without sockets.
func (e *example) follow(now func() time.Time, log io.Writer) *follower {
	e.t.Helper()
	e.vars["TERRA_BASE_URL"] = terratest.BaseURL
	getenv := func(name string) string { return e.vars[name] }
	c, err := config.Load(e.daemonFile(""), getenv)
	if err != nil {
		e.t.Fatal(err)
	}
	env := &environment{Stderr: log, Getenv: getenv, Now: now, Version: "test"}
	logger, err := newLog(env, c.Log)
	if err != nil {
		e.t.Fatal(err)
	}
	source, err := openSource(c.Repo)
	if err != nil {
		e.t.Fatal(err)
	}
	ask, err := newProber(c)
	if err != nil {
		e.t.Fatal(err)
	}
	store, err := state.Open(c.StateDir, state.Options{})
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() { _ = store.Close() })
	return &follower{env: env, config: c, mode: report.Apply, source: source, store: store, log: logger, limits: terra.NewLimits(),
		transport: e.terra.RoundTripper(), prober: ask, good: map[string]goodCommit{}}
}

// footprint is what must not grow while nothing happens.
type footprint struct {
	goroutines int
	heap, disk uint64
}

func (e *example) footprint() (f footprint) {
	e.t.Helper()
	runtime.GC()
	runtime.GC() // what the first one finalised
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	files, err := filepath.Glob(filepath.Join(e.vars["RECONCILE_STATE_DIR"], "*"))
	if err != nil {
		e.t.Fatal(err)
	}
	for _, name := range files {
		if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() {
			f.disk += uint64(info.Size())
		}
	}
	f.goroutines, f.heap = runtime.NumGoroutine(), m.HeapAlloc
	return f
}

// TestQuietWeeksWalk runs the example for days, or weeks, of virtual time in which
// nothing happens: nothing is written, no goroutine, memory or file grows, and the log has
// nothing but what a run says.
func TestQuietWeeksWalk(t *testing.T) {
	days := 3
	if walk.Whole() {
		days = 84 // 10,000 runs
	}
	e := newExample(t, time.Now())
	synctest.Test(t, func(t *testing.T) {
		e.t = t
		began, first := time.Now(), time.Date(2026, 11, 27, 12, 0, 30, 0, time.UTC)
		now := func() time.Time { return first.Add(time.Since(began)) }
		e.terra = terratest.New(terratest.Config{Clock: now})
		e.terra.AddEnvironment(exampleProduction, terratest.EnvironmentOptions{})
		e.terra.AddEnvironment(exampleStaging, terratest.EnvironmentOptions{})
		e.vars["TERRA_ADMIN_TOKEN"] = e.terra.AddToken(terratest.Token{}).Bearer
		log := &lines{}
		f := e.follow(now, log)
		d, err := daemon.New(daemon.Options{Poller: f, Runner: f, Log: f.log, Poll: 10 * time.Minute, Deadline: time.Minute, AtOnce: 4})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- d.Run(ctx) }()
		pass := func(d time.Duration) { <-time.After(d); synctest.Wait() }
		pass(24*time.Hour + time.Minute) // between two runs
		before := e.footprint()
		e.terra.ResetLog()
		day := log.take()
		runs := 0
		for range days {
			pass(24 * time.Hour)
			day = log.take()
			runs += strings.Count(day, `"msg":"run"`)
			if n := len(e.terra.Effects()); n > 0 {
				t.Errorf("%d writes that nobody asked for", n)
			}
			e.terra.ResetLog()
		}
		after := e.footprint()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		kinds := map[string]int{}
		for _, m := range regexp.MustCompile(`"msg":"([^"]*)"`).FindAllStringSubmatch(day, -1) {
			kinds[m[1]]++
		}
		t.Logf("COUNT daemon_quiet_runs=%d", runs)
		t.Logf("%+v -> %+v; a day's log has %d bytes: %v", before, after, len(day), kinds)
		if runs != days*(24*4+24) || kinds["run"] != 24*4+24 || strings.Count(day, "\n") > kinds["run"]+12 {
			t.Errorf("%d runs; the log of the last day has %v", runs, kinds)
		}
		if strings.Contains(day, `"exit_code":1`) || strings.Contains(day, `"exit_code":4`) {
			t.Errorf("runs fail: %v", kinds)
		}
		if after.goroutines > before.goroutines || after.heap > before.heap+1<<20 || after.disk > before.disk+64<<10 {
			t.Errorf("it grows: %+v, then %+v", before, after)
		}
	})
}

// TestCommitThatCannotBeNotedIsToldOnce: while the state cannot be written no new
// commit is used, and the log does not name it in each poll.
func TestCommitThatCannotBeNotedIsToldOnce(t *testing.T) {
	e := newExample(t, time.Now())
	log := &lines{}
	f := e.follow(time.Now, log)
	if _, err := f.Poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := f.latest
	dir := e.vars["RECONCILE_STATE_DIR"]
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(e.repository(), "production", "oura.yaml")
	if err := os.WriteFile(file, []byte("provider: oura\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	e.commit("Connect Oura")
	log.take()
	for range 3 {
		if found, err := f.Poll(t.Context()); err == nil || found != nil || f.good["production"].hash != before {
			t.Fatalf("got %v, %v on %s: a commit that cannot be noted is used", found, err, f.good["production"].hash)
		}
	}
	if got := strings.Count(log.take(), "Connect Oura"); got != 1 {
		t.Errorf("told %d times", got)
	}
	if err := os.Rename(dir+".away", dir); err != nil {
		t.Fatal(err)
	}
	if found, err := f.Poll(t.Context()); err != nil || len(found) != 2 || f.good["production"].hash == before {
		t.Errorf("got %v, %v: the commit is not used now", found, err)
	}
}

// TestEnvironmentThatIsNotThere is named in daemon.yaml: the others run, and it is
// said that this one does not.
func TestEnvironmentThatIsNotThere(t *testing.T) {
	e := newExample(t, time.Now())
	f := e.follow(time.Now, io.Discard)
	f.config.Environments = []string{"staging", "prodution"}
	for range 2 { // also where nothing is new
		found, err := f.Poll(t.Context())
		if err == nil || !strings.Contains(err.Error(), "has no environment prodution, which the configuration names; it has production, staging") {
			t.Errorf("got %v", err)
		}
		if len(found) != 1 || found[0].Name != "staging" || found[0].Behind != "" {
			t.Errorf("got %+v, want staging as it is", found)
		}
	}
}
