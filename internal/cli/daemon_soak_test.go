package cli

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

	"github.com/go-git/go-git/v5"

	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
	"github.com/terra-reconcile/terra-reconcile/internal/metrics"
	"github.com/terra-reconcile/terra-reconcile/internal/notify"
	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/internal/terra"
	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
	"github.com/terra-reconcile/terra-reconcile/internal/walk"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
	"github.com/terra-reconcile/terra-reconcile/secrets"
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

// follow makes a source of the example's repository that talks to its Terra
// without sockets.
func (e *example) follow(now func() time.Time, log io.Writer) *commitSource {
	e.t.Helper()
	e.vars["TERRA_BASE_URL"] = terratest.BaseURL
	return e.followFrom(e.daemonFile(""), now, log)
}

// followFrom is follow with a daemon.yaml of one's own.
func (e *example) followFrom(file string, now func() time.Time, log io.Writer) *commitSource {
	e.t.Helper()
	getenv := func(name string) string { return e.vars[name] }
	c, err := config.Load(file, getenv)
	if err != nil {
		e.t.Fatal(err)
	}
	proc := &Process{Stderr: log, Getenv: getenv, Now: now, Version: "test"}
	logger, err := newLog(proc, c.Log, &logLevel{})
	if err != nil {
		e.t.Fatal(err)
	}
	source, err := openSource(c.Repo, 0, &secrets.Heard{})
	if err != nil {
		e.t.Fatal(err)
	}
	ask, err := newProber(c)
	if err != nil {
		e.t.Fatal(err)
	}
	ask.emulated = true // no real provider is asked: a bubble has no network
	store, err := state.Open(c.StateDir, state.Options{})
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() { _ = store.Close() })
	return &commitSource{metrics: metrics.New(metrics.Options{}), proc: proc, statuses: func(...notify.Status) {}, config: c, mode: report.Apply, git: source, store: store, log: logger, limits: terra.NewLimits(),
		transport: e.terra.RoundTripper(), prober: ask, revisions: map[string]revision{}}
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
	days := min(walk.Times(8), 3)
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
		d, err := daemon.New(daemon.Options{Sources: []daemon.Source{{Poller: f, Runner: f, Poll: 10 * time.Minute}}, Log: f.log, Deadline: time.Minute, AtOnce: 4, UnreadyAfter: 15 * time.Minute, Now: now})
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
		const runsADay = 24*4 + 24 + 2 // by both schedules, and where secrets are compared again
		wanted := days * runsADay
		if walk.Whole() {
			wanted++ // at the moment at which a change has been held for a week
		}
		if runs != wanted || kinds["run"] != runsADay || strings.Count(day, "\n") > kinds["run"]+12 {
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
	t.Parallel()
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
		if found, err := f.Poll(t.Context()); err == nil || found != nil || f.revisions["production"].hash != before {
			t.Fatalf("got %v, %v on %s: a commit that cannot be noted is used", found, err, f.revisions["production"].hash)
		}
	}
	if got := strings.Count(log.take(), "Connect Oura"); got != 1 {
		t.Errorf("told %d times", got)
	}
	if err := os.Rename(dir+".away", dir); err != nil {
		t.Fatal(err)
	}
	if found, err := f.Poll(t.Context()); err != nil || len(found) != 2 || f.revisions["production"].hash == before {
		t.Errorf("got %v, %v: the commit is not used now", found, err)
	}
}

// TestEnvironmentThatIsNotThere is named in daemon.yaml: the others run, and it is
// said that this one does not.
func TestEnvironmentThatIsNotThere(t *testing.T) {
	t.Parallel()
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

// timed is a daemon in a bubble of virtual time.
type timed struct {
	*example
	daemon     *daemon.Daemon
	control    daemonControl
	reconciler reconciler
	now        func() time.Time
	log        *lines
}

// serveFrom serves the example from a moment on, with a state and a Terra of its own, as
// long as do takes.
func (e *example) serveFrom(t *testing.T, first time.Time, do func(*timed)) {
	t.Helper()
	e.serveAhead(t, first, 0, do)
}

// serveAhead is serveFrom where this machine's clock is ahead of Terra's.
func (e *example) serveAhead(t *testing.T, first time.Time, ahead time.Duration, do func(*timed)) {
	t.Helper()
	e.vars["RECONCILE_STATE_DIR"] = t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		e.t = t
		began := time.Now()
		now := func() time.Time { return first.Add(time.Since(began)) }
		e.terra = terratest.New(terratest.Config{Clock: func() time.Time { return now().Add(-ahead) }})
		e.terra.AddEnvironment(exampleProduction, terratest.EnvironmentOptions{})
		e.terra.AddEnvironment(exampleStaging, terratest.EnvironmentOptions{})
		e.vars["TERRA_ADMIN_TOKEN"] = e.terra.AddToken(terratest.Token{}).Bearer
		log := &lines{}
		f := e.follow(now, log)
		d, err := daemon.New(daemon.Options{Sources: []daemon.Source{{Poller: f, Runner: f, Poll: 10 * time.Minute}}, Log: f.log, Deadline: time.Minute, AtOnce: 4, UnreadyAfter: 15 * time.Minute, Now: now})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- d.Run(ctx) }()
		do(&timed{example: e, daemon: d, control: daemonControl{sources{f}.controlServer(), d, sources{f}}, reconciler: reconciler{d, sources{f}, nil}, now: now, log: log})
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// until lets time pass.
func (d *timed) until(text string) {
	d.t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		d.t.Fatal(err)
	}
	<-time.After(at.Sub(d.now()))
	synctest.Wait()
}

func (d *timed) expectLive(secret string) {
	d.t.Helper()
	if got := d.terra.Live(exampleProduction).Sources["strava"].Credential; got == nil || got.Secret != secret {
		d.t.Errorf("%s: another key is live", d.now().Format(time.RFC3339))
	}
}

func (d *timed) expectNext(at, why string) {
	d.t.Helper()
	status, err := d.reconciler.Status()
	if err != nil {
		d.t.Fatal(err)
	}
	e := status.Environments[0]
	if e.NextRun == nil || e.NextRun.Format(time.RFC3339) != at || e.NextRunReason != why {
		d.t.Errorf("%s: the next run is at %v, %q; want %s, %q", d.now().Format(time.RFC3339), e.NextRun, e.NextRunReason, at, why)
	}
}

// expectRuns counts those since it was asked last.
func (d *timed) expectRuns(want int, why string) {
	d.t.Helper()
	if n := strings.Count(d.log.take(), `"msg":"run"`); n != want {
		d.t.Errorf("%s: %d runs, want %d: %s", d.now().Format(time.RFC3339), n, want, why)
	}
}

// stravaAlone is the example without a schedule, with a window at the weekend, and with one
// connection, about whose two keys nobody is there to be asked.
func stravaAlone(t *testing.T) (e *example, old, young string) {
	t.Helper()
	e = newExample(t, time.Now())
	file := filepath.Join(e.repository(), "production", "environment.yaml")
	text := "dev_id: " + exampleProduction + "\nprune: never\nwindows:\n  - {days: [sat, sun], from: \"04:00\", to: \"06:00\", tz: Europe/London}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, other := range []string{"staging", "production/withings.yaml", "production/huawei.yaml", "production/samsung.yaml", "production/virtuagym.yaml"} {
		if err := os.RemoveAll(filepath.Join(e.repository(), other)); err != nil {
			t.Fatal(err)
		}
	}
	strava := filepath.Join(e.repository(), "production", "strava.yaml")
	connection, err := os.ReadFile(strava)
	if err == nil { // nobody is there to be asked
		err = os.WriteFile(strava, append(connection, "\nrotation: {probe: off}\n"...), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	e.commit("No schedule")
	return e, strings.TrimSpace(e.run(0, "secret", "decrypt", strava, "--key", "1")), strings.TrimSpace(e.run(0, "secret", "decrypt", strava, "--key", "2"))
}

// TestTimeIsAnEvent: without a schedule a key is set at the moment when it is due, or
// when its window opens; what was paused runs when the pause ends or is lifted, what
// is approved runs at once, and so does a key of which somebody heard that it is accepted.
// Status says when and why.
func TestTimeIsAnEvent(t *testing.T) {
	t.Parallel()
	e, old, young := stravaAlone(t)
	first := time.Date(2026, 8, 6, 12, 0, 0, 0, time.UTC) // a Thursday; key 2 is due on Saturday, at 02:00 UTC
	e.serveFrom(t, first, func(d *timed) {
		d.until("2026-08-08T01:59:59Z")
		d.expectLive(old) // it has no end users, so it waits for no window
		d.expectNext("2026-08-08T02:00:00Z", "key 2 of production/strava is due")
		d.log.take()
		d.until("2026-08-08T02:00:01Z")
		d.expectLive(young)
		d.expectRuns(1, "when the key is due")
	})
	e.serveFrom(t, first, func(d *timed) {
		d.until("2026-08-06T12:01:00Z")
		d.terra.SetUsers(exampleProduction, "strava", 40, 0)
		d.until("2026-08-07T13:00:00Z") // after a day the secrets are compared again
		d.log.take()
		d.until("2026-08-08T02:30:00Z")
		d.expectLive(old) // nobody can be asked about the key, so it waits
		d.expectNext("2026-08-08T03:00:00Z", "a window opens")
		d.until("2026-08-08T03:01:00Z")
		d.expectLive(young)
		d.expectRuns(2, "when the key is due and when the window opens")
		if _, err := d.control.Pause(daemon.PauseRequest{Target: "production", Reason: "incident 12", Seconds: 3600, Owner: "ops"}); err != nil {
			d.t.Fatal(err)
		}
		d.until("2026-08-08T03:02:00Z")
		d.expectNext("2026-08-08T04:01:00Z", "the pause of production ends")
		d.until("2026-08-08T04:02:00Z")
		d.expectRuns(1, "when the pause ends")
		if _, err := d.control.Pause(daemon.PauseRequest{Target: "production", Reason: "incident 13", Seconds: 3600, Owner: "ops"}); err != nil {
			d.t.Fatal(err)
		}
		if _, err := d.control.Resume(daemon.ResumeRequest{Target: "production", Owner: "ops"}); err != nil {
			d.t.Fatal(err)
		}
		d.until("2026-08-08T04:03:00Z")
		d.expectRuns(1, "when the pause is lifted")
	})
	e.serveFrom(t, first, func(d *timed) {
		d.until("2026-08-06T12:01:00Z")
		d.terra.SetUsers(exampleProduction, "strava", 40, 0)
		d.until("2026-08-08T02:30:00Z")
		status, err := d.reconciler.Status()
		if err != nil || status.Environments[0].LastRun == nil {
			d.t.Fatalf("%+v, %v", status, err)
		}
		d.log.take()
		approval := daemon.Approval{Environment: "production", Hash: status.Environments[0].LastRun.PlanHash, Now: true, Owner: "ops"}
		if _, err := d.reconciler.Approve(approval); err != nil {
			d.t.Fatal(err)
		}
		d.until("2026-08-08T02:30:01Z")
		d.expectLive(young)
		d.expectRuns(1, "when it is approved")
		if _, err := d.control.KeyAccepted(daemon.AcceptedKey{API: terratest.BaseURL, DevID: exampleProduction, Provider: "strava"}); err != nil {
			d.t.Fatal(err)
		}
		d.until("2026-08-08T02:30:02Z")
		d.expectRuns(1, "when somebody heard that a key is accepted")
	})
}

// TestMomentThatComesDuringARun: a key that is due while a run is under way, which decided
// before, is set by another one right behind it.
func TestMomentThatComesDuringARun(t *testing.T) {
	t.Parallel()
	e, old, young := stravaAlone(t)
	e.serveFrom(t, time.Date(2026, 8, 7, 12, 0, 0, 0, time.UTC), func(d *timed) {
		d.until("2026-08-08T01:59:58Z")
		d.terra.Fault(terratest.Fault{Kind: terratest.Latency, Operation: "listSources", Delay: 5 * time.Second})
		if _, err := d.daemon.RunNow("production"); err != nil {
			d.t.Fatal(err)
		}
		d.log.take()
		d.until("2026-08-08T02:00:02Z")
		d.expectLive(old)
		d.until("2026-08-08T02:00:04Z")
		d.expectLive(young)
		d.expectRuns(2, "one of which began before the key was due")
		d.until("2026-08-08T03:00:00Z")
		d.expectRuns(0, "nothing else comes")
	})
}

// TestClockThatIsAheadWakesLater: a key that is due by this machine's clock alone waits,
// and is set when it is due by Terra's, schedule or not.
func TestClockThatIsAheadWakesLater(t *testing.T) {
	t.Parallel()
	e, old, young := stravaAlone(t)
	e.serveAhead(t, time.Date(2026, 8, 7, 12, 0, 0, 0, time.UTC), 10*time.Minute, func(d *timed) {
		d.until("2026-08-08T02:09:59Z")
		d.expectLive(old)
		d.log.take()
		d.until("2026-08-08T02:10:02Z")
		d.expectLive(young)
		d.expectRuns(1, "when the key is due by both clocks")
	})
}

// TestHeadIsNotAnOrder: a checkout in a watched folder, and another default branch, are
// said and not followed, also after a restart. A branch that is named is.
func TestHeadIsNotAnOrder(t *testing.T) {
	t.Parallel()
	e := newExample(t, time.Now())
	log := &lines{}
	f := e.follow(time.Now, log)
	poll := func(f *commitSource) string {
		t.Helper()
		if _, err := f.Poll(t.Context()); err != nil {
			t.Fatal(err)
		}
		return f.revisions["production"].hash
	}
	before := poll(f)
	repo, err := git.PlainOpen(e.repository())
	if err != nil {
		t.Fatal(err)
	}
	tree, err := repo.Worktree()
	if err == nil {
		err = tree.Checkout(&git.CheckoutOptions{Branch: "refs/heads/try", Create: true})
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(e.repository(), "production", "oura.yaml"), []byte("provider: oura\n"), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	e.commit("Try something")
	log.take()
	if got := poll(f); got != before {
		t.Errorf("it followed HEAD to %s", got)
	}
	poll(f)
	if text := log.take(); strings.Count(text, `"head":"try"`) != 1 {
		t.Errorf("said %d times that HEAD names another branch:\n%s", strings.Count(text, `"head":"try"`), text)
	}
	if followed, aside := f.branches(); followed != "master" || aside != "try" {
		t.Errorf("status says branch %q and HEAD %q", followed, aside)
	}
	if err := f.store.Close(); err != nil {
		t.Fatal(err)
	}
	again := e.follow(time.Now, log) // another process
	if got := poll(again); got != before {
		t.Errorf("after a restart it followed HEAD to %s", got)
	}
	named := again
	named.config.Repo.Ref = "try"
	if named.git, err = openSource(named.config.Repo, 0, &secrets.Heard{}); err != nil {
		t.Fatal(err)
	}
	if got := poll(named); got == before {
		t.Error("a branch that is named is not followed")
	}
}

// TestTwoFoldersNeverSpeakForOneDevID: while a folder stays on its last valid commit, none
// of a later commit gets its dev_id, in whatever letters, nor one that in turn loses its own.
func TestTwoFoldersNeverSpeakForOneDevID(t *testing.T) {
	t.Parallel()
	e := newExample(t, time.Now())
	f := e.follow(time.Now, io.Discard)
	poll := func() map[string]daemon.Environment {
		t.Helper()
		found, err := f.Poll(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]daemon.Environment{}
		for _, env := range found {
			out[env.Name] = env
		}
		return out
	}
	before := poll()
	write := func(folder, text string) {
		t.Helper()
		err := os.MkdirAll(filepath.Join(e.repository(), folder), 0o700)
		if err == nil {
			err = os.WriteFile(filepath.Join(e.repository(), folder, "environment.yaml"), []byte(text), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	good, err := os.ReadFile(filepath.Join(e.repository(), "production", "environment.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	write("production", "prune: {\n") // not even its dev_id can be read
	write("staging", "dev_id: "+strings.ToUpper(exampleProduction)+"\nprune: never\n")
	write("eu", "dev_id: "+exampleStaging+"\nprune: never\n")
	e.commit("Another folder takes the dev_id")
	for range 2 { // also where nothing is new
		after := poll()
		for name, was := range before {
			if got := after[name]; got.Revision != was.Revision || got.DevID != was.DevID || got.Behind == "" {
				t.Errorf("%s: got %+v, want it to stay on %s", name, got, was.Revision)
			}
		}
		if got := after["eu"]; got.Revision != "" || !strings.Contains(got.Behind, "it has the dev_id "+exampleStaging+", which is that of staging") {
			t.Errorf("eu: got %+v", got)
		}
	}
	write("production", string(good)) // now staging has the same, and both stay
	e.commit("Mend production")
	if after := poll(); after["staging"].DevID != exampleStaging || after["eu"].Revision != "" {
		t.Errorf("got %+v", after)
	}
	if err := os.RemoveAll(filepath.Join(e.repository(), "staging")); err != nil {
		t.Fatal(err)
	}
	e.commit("Remove staging")
	if after := poll(); len(after) != 2 || after["production"].Behind != "" || after["eu"].Behind != "" || after["eu"].DevID != exampleStaging {
		t.Errorf("got %+v", after)
	}
}
