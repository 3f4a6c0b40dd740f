//go:build linux

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
	"github.com/terra-reconcile/terra-reconcile/internal/terra/emulator"
	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
	"github.com/terra-reconcile/terra-reconcile/internal/walk"
)

// moody is an HTTP server that is well, answers 503, or answers nothing at all.
type moody struct {
	http.Handler
	mood atomic.Pointer[mood]
}

type mood struct {
	down bool
	ends chan struct{} // not nil: nothing is answered until it is closed
}

func (m *moody) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch now := m.mood.Load(); {
	case now == nil:
		m.Handler.ServeHTTP(w, r)
	case now.down:
		http.Error(w, "not now", http.StatusServiceUnavailable)
	default:
		select {
		case <-now.ends:
		case <-r.Context().Done():
		}
	}
}

// turns puts the server into another mood: well, down or hanging.
func (m *moody) turns(to string) {
	var next *mood
	if to != "well" {
		next = &mood{down: to == "down", ends: make(chan struct{})}
	}
	if was := m.mood.Swap(next); was != nil {
		close(was.ends)
	}
}

// faulted is the real daemon, its Terra, its git server and a receiver of its messages, and
// what befell them.
type faulted struct {
	*example
	rng             *rand.Rand
	program, config string
	git, receiver   *moody
	heard           atomic.Int64 // messages that the receiver took
	terraServer     *httptest.Server
	cmd             *exec.Cmd
	ended           chan struct{}
	log             *lines
	logged          strings.Builder // of all processes
	sequence        []string
	want            map[string]string // environment/provider -> state
}

func (f *faulted) note(format string, args ...any) {
	f.sequence = append(f.sequence, fmt.Sprintf(format, args...))
}

// newFaulted makes the world of a test.
func newFaulted(t *testing.T, seed int64) *faulted {
	t.Helper()
	f := &faulted{example: newExample(t, time.Now()), rng: rand.New(rand.NewSource(seed)), log: &lines{}, want: map[string]string{}}
	f.terraServer = httptest.NewServer(f.terra)
	t.Cleanup(f.terraServer.Close)
	out, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		t.Fatal(err)
	}
	f.git = &moody{Handler: &cgi.Handler{Path: filepath.Join(strings.TrimSpace(string(out)), "git-http-backend"), Stderr: io.Discard,
		Env: []string{"GIT_PROJECT_ROOT=" + f.dir, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*"}}}
	f.receiver = &moody{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { f.heard.Add(1) })}
	addresses := map[*moody]string{}
	for _, m := range []*moody{f.git, f.receiver} {
		server := httptest.NewServer(m)
		t.Cleanup(server.Close)
		t.Cleanup(func() { m.turns("well") })
		addresses[m] = server.URL
	}
	f.writes("../daemon.yaml", fmt.Sprintf(`repo: {url: %s/config/.git, ref: master, poll: 1s}
accounts: {default: {token_env: TERRA_ADMIN_TOKEN, base_url: %q, dev_ids: [%s, %s]}}
apply: true
listen: 127.0.0.1:0
notify:
  receivers: {ops: {webhook: {url: "%s", secret_env: HOOK_SECRET}}}
  routes: [{receivers: [ops]}]
`, addresses[f.git], f.terraServer.URL+emulator.BasePath, exampleProduction, exampleStaging, addresses[f.receiver]))
	f.config = filepath.Join(f.dir, "daemon.yaml")
	f.program = programAt(t, t.TempDir())
	for _, env := range []string{"production", "staging"} {
		for _, provider := range []string{"withings", "oura", "polar", "freestylelibre"} {
			f.toggle(env+"/"+provider, "active")
		}
	}
	f.commit("Four each")
	return f
}

// toggle asks for a state of a connection, in the next commit.
func (f *faulted) toggle(connection, state string) {
	_, provider, _ := strings.Cut(connection, "/")
	f.writes(connection+".yaml", "provider: "+provider+"\nstate: "+state+"\n")
	f.want[connection] = state
}

// starts starts the daemon, and waits until it serves.
func (f *faulted) starts() {
	f.t.Helper()
	cmd := exec.CommandContext(f.t.Context(), f.program, "daemon", "--config", f.config)
	cmd.Env = []string{"HOME=" + f.dir, "PATH=" + os.Getenv("PATH"), "TERRA_ADMIN_TOKEN=" + f.vars["TERRA_ADMIN_TOKEN"], "HOOK_SECRET=whsec_Y2FuYXJ5LW9mLWEtaG9vaw==",
		"RECONCILE_AGE_KEY_FILE=" + f.vars["RECONCILE_AGE_KEY_FILE"], "RECONCILE_STATE_DIR=" + f.vars["RECONCILE_STATE_DIR"]}
	cmd.Stderr, cmd.Stdout = f.log, f.log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	ended := make(chan struct{})
	f.cmd, f.ended = cmd, ended
	go func() { defer close(ended); _ = cmd.Wait() }()
	f.waits("it to start", func() bool { return strings.Contains(f.read(), `"msg":"started"`) })
}

// read gives what the process that runs has logged.
func (f *faulted) read() string {
	f.log.mu.Lock()
	defer f.log.mu.Unlock()
	return f.log.text.String()
}

// waits for a fact.
func (f *faulted) waits(what string, holds func() bool) {
	f.t.Helper()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for until := time.Now().Add(patience); !holds(); <-again.C {
		if time.Now().After(until) {
			f.t.Fatalf("waited for %s in vain", what)
		}
	}
}

// ends ends the daemon by a signal.
func (f *faulted) ends(signal syscall.Signal) {
	f.t.Helper()
	if err := f.cmd.Process.Signal(signal); err != nil {
		f.t.Fatal(err)
	}
	select {
	case <-f.ended:
	case <-time.After(patience):
		f.t.Fatal("it does not end")
	}
	f.logged.WriteString(f.log.take())
}

// mended takes back what keeps the daemon from starting, and the newest commit from being used.
func (f *faulted) mended(good []byte) {
	f.t.Helper()
	if err := os.WriteFile(f.config, good, 0o600); err != nil {
		f.t.Fatal(err)
	}
	f.toggle("staging/polar", f.want["staging/polar"])
}

// befalls lets one thing happen.
func (f *faulted) befalls(good []byte) {
	f.t.Helper()
	pick := func(words ...string) string { return words[f.rng.Intn(len(words))] }
	ask := daemon.NewClient(f.vars["RECONCILE_STATE_DIR"])
	ctx, cancel := context.WithTimeout(f.t.Context(), 2*time.Second)
	defer cancel()
	switch n := f.rng.Intn(24); n {
	case 0, 1, 2, 3, 4, 5, 6:
		f.mended(good)
		for range 1 + f.rng.Intn(3) {
			f.toggle(pick("production", "staging")+"/"+pick("withings", "oura", "polar", "freestylelibre"), pick("active", "paused"))
		}
		f.note("commit")
		_, _ = commitAll(f.repository(), "Toggle", time.Now()) // the same again is no commit
	case 7:
		f.note("a commit that is wrong")
		f.writes("staging/polar.yaml", "provider: polar\nstate: sleeping\n")
		_, _ = commitAll(f.repository(), "Break", time.Now())
	case 8, 9:
		m := pick("well", "down", "hanging")
		f.note("git is %s", m)
		f.git.turns(m)
	case 10:
		m := pick("well", "down", "hanging")
		f.note("the receiver is %s", m)
		f.receiver.turns(m)
	case 11, 12, 13, 14, 15:
		kind := emulator.Kind(pick(string(emulator.Status503), string(emulator.Status500), string(emulator.Status429), string(emulator.Latency), string(emulator.Hang),
			string(emulator.ConnectionReset), string(emulator.LostAnswer), string(emulator.BrokenJSON), string(emulator.HalfPage)))
		fault := terratest.Fault{Kind: kind, Nth: 1 + f.rng.Intn(5), Times: 1 + f.rng.Intn(4), Delay: 300 * time.Millisecond, RetryAfter: time.Second}
		what := pick("call", "write")
		if what == "write" { // which are few
			fault.Nth, fault.Match = 1, func(c terratest.Call) bool { return c.Write && !c.DryRun }
		}
		f.note("%s from the %s %d on, %d times", kind, what, fault.Nth, fault.Times)
		f.terra.Fault(fault)
	case 16:
		f.note("Terra is well")
		f.terra.ClearFaults()
	case 17:
		f.note("daemon.yaml is wrong")
		if err := os.WriteFile(f.config, append(slices.Clone(good), "pol: 1s\n"...), 0o600); err != nil {
			f.t.Fatal(err)
		}
	case 18:
		f.note("daemon.yaml is another one")
		if err := os.WriteFile(f.config, fmt.Appendf(slices.Clone(good), "cycle_deadline: %dm\n", 1+f.rng.Intn(50)), 0o600); err != nil {
			f.t.Fatal(err)
		}
		_ = f.cmd.Process.Signal(syscall.SIGHUP)
	case 19:
		f.note("pause")
		_, _ = ask.Pause(ctx, daemon.PauseRequest{Target: pick("", "production", "staging"), Reason: "random", Seconds: 60})
	case 20:
		f.note("resume")
		_, _ = ask.Resume(ctx, daemon.ResumeRequest{Target: pick("", "production", "staging")})
	case 21:
		f.note("SIGUSR1, SIGUSR2")
		_ = errors.Join(f.cmd.Process.Signal(syscall.SIGUSR1), f.cmd.Process.Signal(syscall.SIGUSR2))
	default:
		signal := []syscall.Signal{syscall.SIGKILL, syscall.SIGKILL, syscall.SIGTERM}[f.rng.Intn(3)]
		f.note("%s, and start", signal)
		f.ends(signal)
		f.mended(good)
		f.starts()
	}
}

// TestUnderRandomFaultsWalk: the real program under whatever befalls it, its Terra, its git
// server, its receiver and its file. When all is well again it is in sync after a few runs,
// nothing was done twice, and nothing has grown.
func TestUnderRandomFaultsWalk(t *testing.T) {
	t.Parallel()
	lasts := 2 * time.Second
	switch {
	case walk.Whole():
		lasts = time.Minute
	case walk.Large():
		lasts = 12 * time.Second
	}
	seed := walk.Seed(t)
	f := newFaulted(t, seed)
	defer func() {
		if t.Failed() {
			t.Logf("WALK_SEED=%d: %s\n%s", seed, strings.Join(f.sequence, "; "), tail(f.logged.String()+f.read(), 40))
		}
	}()
	good, err := os.ReadFile(f.config)
	if err != nil {
		t.Fatal(err)
	}
	// Whatever befalls it later: the answer to the first write is lost, so that it has to ask again.
	f.terra.Fault(terratest.Fault{Kind: emulator.LostAnswer, Match: func(c terratest.Call) bool { return c.Write && !c.DryRun }})
	f.starts()
	defer func() { _ = f.cmd.Process.Kill(); <-f.ended }()
	f.waits("an answer to be lost", func() bool {
		return slices.ContainsFunc(f.terra.Writes(), func(c terratest.Call) bool { return c.Fault == emulator.LostAnswer })
	})
	for until := time.Now().Add(lasts); time.Now().Before(until); <-time.After(time.Duration(20+f.rng.Intn(200)) * time.Millisecond) {
		f.befalls(good)
	}
	f.settles(good)
	f.expectNothingTwice()
	f.expectNoGrowth(lasts)
	text := f.logged.String() + f.read()
	if err := logged(strings.Split(text, "\n")); err != nil {
		t.Error(err)
	}
	secret := strings.TrimSpace(f.run(0, "secret", "decrypt", filepath.Join(f.repository(), "production", "strava.yaml"), "--key", "2"))
	for _, bad := range []string{"fault of this program", "DATA RACE", secret, f.vars["TERRA_ADMIN_TOKEN"], "Y2FuYXJ5"} {
		if strings.Contains(text, bad) {
			t.Errorf("the log holds what it must not (%.12s…)", bad)
		}
	}
	t.Logf("COUNT random_faults=%d", len(f.sequence))
	t.Logf("COUNT random_faults_effects=%d", len(f.terra.Effects()))
	f.ends(syscall.SIGTERM)
}

// settles lets all be well, and wants the daemon to be in sync after a few runs.
func (f *faulted) settles(good []byte) {
	f.t.Helper()
	f.note("all is well")
	for _, m := range []*moody{f.git, f.receiver} {
		m.turns("well")
	}
	f.terra.ClearFaults()
	f.terraServer.CloseClientConnections() // what hangs
	f.mended(good)
	f.toggle("production/oura", map[string]string{"active": "paused", "paused": "active"}[f.want["production/oura"]])
	f.commit("The last one")
	ask := daemon.NewClient(f.vars["RECONCILE_STATE_DIR"])
	f.waits("the daemon to be on the last commit, with nothing paused", func() bool {
		for _, target := range []string{"", "production", "staging"} {
			_, _ = ask.Resume(f.t.Context(), daemon.ResumeRequest{Target: target})
		}
		s, err := ask.Status(f.t.Context())
		return err == nil && s.Poll.Error == "" && len(s.Paused) == 0 && len(s.Environments) == 2
	})
	before := strings.Count(f.read(), `"msg":"run"`)
	f.waits("Terra to be as the files say", func() bool { return f.differs() == "" })
	f.waits("a run of each that has nothing to do", func() bool {
		s, err := ask.Status(f.t.Context())
		return err == nil && !slices.ContainsFunc(s.Environments, func(e daemon.EnvironmentStatus) bool {
			return e.LastRun == nil || e.LastRun.ExitCode != 0 || e.Running != nil || e.AttemptedRevision != e.Revision
		})
	})
	if n := strings.Count(f.read(), `"msg":"run"`) - before; n > 20 {
		f.t.Errorf("%d runs until it was in sync", n)
	}
	writes := len(f.terra.Writes())
	before = strings.Count(f.read(), `"msg":"run"`)
	f.runsNow(ask)
	f.waits("two more runs", func() bool { return strings.Count(f.read(), `"msg":"run"`) >= before+2 })
	if n := len(f.terra.Writes()); n != writes {
		f.t.Errorf("in sync, and %d more writes", n-writes)
	}
	f.waits("the receiver to hear of something", func() bool { return f.heard.Load() > 0 })
}

// runsNow asks for a run of each. It may be about to take its daemon.yaml anew.
func (f *faulted) runsNow(ask *daemon.Client) {
	f.t.Helper()
	f.waits("it to be asked", func() bool {
		_, err := ask.RunNow(f.t.Context(), daemon.NowRequest{})
		return err == nil
	})
}

// differs tells where Terra is not as the newest commit says; "" where it is.
func (f *faulted) differs() string {
	live, want := f.live(), map[string]string{}
	for name := range live {
		if _, toggled := f.want[name]; !toggled {
			delete(live, name)
		}
	}
	for name, state := range f.want {
		want[name] = state
	}
	return cmp.Diff(want, live)
}

// expectNothingTwice wants each write to have had its effect once, and none to have been
// sent for what was there already.
func (f *faulted) expectNothingTwice() {
	f.t.Helper()
	effects := map[string]int{}
	for _, c := range f.terra.Writes() {
		if c.Effect {
			effects[c.IdempotencyKey]++
		}
		if c.Status/100 == 2 && c.Fault == "" && !c.Effect && !c.Replayed {
			f.t.Errorf("a write for nothing: %s %s/%s, %s", c.Operation, c.DevID, c.Provider, c.Time)
		}
	}
	for key, n := range effects {
		if n != 1 {
			f.t.Errorf("the write %s had %d effects", key, n)
		}
	}
}

// extent is what a process and its state take.
type extent struct {
	files, goroutines, kilobytes int
	state                        int64
}

func (f *faulted) extent() (e extent) {
	f.t.Helper()
	proc := filepath.Join("/proc", strconv.Itoa(f.cmd.Process.Pid))
	open, err := os.ReadDir(filepath.Join(proc, "fd"))
	if err != nil {
		f.t.Fatal(err)
	}
	status, err := os.ReadFile(filepath.Join(proc, "status"))
	resident := regexp.MustCompile(`VmRSS:\s+(\d+) kB`).FindSubmatch(status)
	if err != nil || resident == nil {
		f.t.Fatalf("%v: %s", err, status)
	}
	address := regexp.MustCompile(`"msg":"serving","address":"([^"]+)"`).FindAllStringSubmatch(f.read(), -1)
	answer, err := (&http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}).Get("http://" + address[len(address)-1][1] + "/metrics")
	if err != nil {
		f.t.Fatal(err)
	}
	page, err := io.ReadAll(answer.Body)
	goroutines := regexp.MustCompile(`(?m)^go_goroutines (\d+)$`).FindSubmatch(page)
	if err := errors.Join(err, answer.Body.Close()); err != nil || goroutines == nil {
		f.t.Fatalf("%v: %s", err, page)
	}
	e.files = len(open)
	e.kilobytes, _ = strconv.Atoi(string(resident[1]))
	e.goroutines, _ = strconv.Atoi(string(goroutines[1]))
	_ = filepath.WalkDir(f.vars["RECONCILE_STATE_DIR"], func(_ string, entry fs.DirEntry, err error) error {
		if info, infoErr := entry.Info(); err == nil && infoErr == nil {
			e.state += info.Size()
		}
		return nil
	})
	return e
}

// expectNoGrowth lets it run again and again where nothing is to do, and wants it to take no
// more than before.
func (f *faulted) expectNoGrowth(lasts time.Duration) {
	f.t.Helper()
	const rounds = 12
	ask, before := daemon.NewClient(f.vars["RECONCILE_STATE_DIR"]), f.extent()
	for range rounds {
		runs := strings.Count(f.read(), `"msg":"run"`)
		f.runsNow(ask)
		f.waits("two more runs", func() bool { return strings.Count(f.read(), `"msg":"run"`) >= runs+2 })
	}
	// What is under way when it is looked at ends; what leaks does not.
	grown := func(after extent) bool {
		return after.files > before.files+rounds || after.goroutines > before.goroutines+rounds || after.state > before.state+rounds<<6
	}
	after := f.extent()
	for until := time.Now().Add(patience); grown(after) && time.Now().Before(until); after = f.extent() {
		<-time.After(50 * time.Millisecond)
	}
	if grown(after) {
		f.t.Errorf("%d runs of each environment with nothing to do made %+v of %+v", rounds, after, before)
	}
	if after.files > 64 || after.goroutines > 100 || after.kilobytes > 256<<10 || after.state == 0 || after.state > 8<<20 {
		f.t.Errorf("it takes %+v", after)
	}
	if n, most := f.logged.Len()+len(f.read()), int(lasts/time.Second+10)<<20; n > most {
		f.t.Errorf("the log has %d bytes", n)
	}
}

// tail is the last lines of a text.
func tail(text string, n int) string {
	all := strings.Split(text, "\n")
	for i, line := range all {
		all[i] = line[:min(len(line), 500)]
	}
	return strings.Join(all[max(0, len(all)-n):], "\n")
}
