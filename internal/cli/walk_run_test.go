//go:build linux

package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/terra-reconcile/terra-reconcile/internal/terra/emulator"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// death says where a process is killed; the zero value lets it live.
type death struct {
	kind string // "before call", "after call" or "at point"
	n    int    // the first is 1
}

const (
	beforeCall = "before call"
	afterCall  = "after call"
	atPoint    = "at point" // right before or after something is put on disk
)

// gate stands before the emulator. It lets one call through at a time, and kills
// the process that calls where it is told to: from then on nothing is answered.
type gate struct {
	next http.Handler

	mu      sync.Mutex
	death   death
	calls   int
	process *os.Process
	dead    bool
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.dead {
		panic(http.ErrAbortHandler)
	}
	g.calls++
	if g.death == (death{beforeCall, g.calls}) {
		g.kill()
	}
	answer := httptest.NewRecorder()
	g.next.ServeHTTP(answer, r)
	if g.death == (death{afterCall, g.calls}) {
		g.kill()
	}
	for name, values := range answer.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes()) // a client that is gone reads nothing
}

func (g *gate) kill() {
	g.dead = true
	_ = syscall.Kill(-g.process.Pid, syscall.SIGKILL) // it may have ended already
	panic(http.ErrAbortHandler)
}

// walker runs the binary again and again in one world.
type walker struct {
	*walkWorld
	gate   *gate
	traces *tracer // nil: nobody does
}

func (w *walkWorld) start(d death) *walker {
	return &walker{walkWorld: w, gate: &gate{next: w.terra, death: d}}
}

// execute runs cmd to its end, and lets the gate know it.
func (w *walker) execute(cmd *exec.Cmd) (syscall.WaitStatus, error) {
	start := func() error {
		w.gate.mu.Lock()
		defer w.gate.mu.Unlock()
		err := cmd.Start()
		w.gate.process = cmd.Process
		return err
	}
	if w.traces != nil {
		return w.traces.run(cmd, start)
	}
	if err := start(); err != nil {
		return 0, err
	}
	err := cmd.Wait()
	var exit *exec.ExitError
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && (err == nil || errors.As(err, &exit)) {
		return status, nil
	}
	return 0, err
}

// run applies once, with the repository of another world. killed says that the
// process ended by a signal.
func (w *walker) run(repo string) (r report.Report, killed bool, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	server := httptest.NewServer(w.gate)
	defer server.Close()
	config, env, err := w.prepare(repo, server.URL)
	if err != nil {
		return r, false, err
	}
	cmd := exec.CommandContext(ctx, w.program, "--config", config, "--yes", "-o", "json")
	cmd.Env = env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	status, err := w.execute(cmd)
	server.CloseClientConnections() // and nothing of this process is carried out later
	server.Close()
	if err != nil {
		return r, false, err
	}
	if status.Signaled() {
		w.gate.dead, w.gate.death, w.traces = false, death{}, nil
		return r, true, ctx.Err()
	}
	r, err = report.Decode(bytes.NewReader(out.Bytes()))
	if err != nil {
		return r, false, fmt.Errorf("%w: exit %d\n%s", err, status.ExitStatus(), problems.Bytes())
	}
	return r, false, nil
}

// prepare writes what a process reads of the runner, where Terra is at url, and
// gives its configuration and its variables.
func (w *walker) prepare(repo, url string) (config string, env []string, err error) {
	config = filepath.Join(w.folder, "daemon.yaml")
	text := "repo: {url: " + repo + ", poll: 1h}\napply: true\nlisten: 127.0.0.1:0\naccounts:\n  default: {token_env: TERRA_ADMIN_TOKEN, base_url: \"" +
		url + emulator.BasePath + "\", dev_ids: [\"*\"], redirect_hosts: [garmin.acme.example]}\nprobes: {strava: \"" + url + emulator.ProvidersPath + "/www.strava.com/oauth/token\"}\n"
	env = []string{
		"HOME=" + w.folder, "PATH=" + os.Getenv("PATH"), "RECONCILE_STATE_DIR=" + w.stateDir(), "RECONCILE_AGE_KEY=" + w.identity, "TERRA_ADMIN_TOKEN=" + w.token,
		"RECONCILE_TEST_CLOCK=" + filepath.Join(w.folder, "clock"), "RECONCILE_TEST_POINTS=" + filepath.Join(w.folder, "points"),
	}
	if w.gate.death.kind == atPoint {
		env = append(env, "RECONCILE_TEST_KILL_AT="+strconv.Itoa(w.gate.death.n))
	}
	return config, env, errors.Join(w.tellTime(), os.WriteFile(config, []byte(text), 0o600))
}

// tellTime lets the processes of this world know what time it is.
func (w *walkWorld) tellTime() error {
	name := filepath.Join(w.folder, "clock")
	err := os.WriteFile(name+".new", []byte(w.now.Format(time.RFC3339)), 0o600)
	return errors.Join(err, os.Rename(name+".new", name))
}

// points is how many moments around something put on disk there were.
func (w *walker) points() (int, error) {
	info, err := os.Stat(filepath.Join(w.folder, "points"))
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return int(info.Size()), nil
}

// settle runs until a run has nothing more to do, at most six times.
func (w *walker) settle(repo string, exit int) (actions []string, died bool, err error) {
	var r report.Report
	var former remembered
	rested := false // whether a run came to its end: one more asks, say, about a key that was replaced
	for range 8 {
		var killed bool
		before := len(w.terra.Writes())
		r, killed, err = w.run(repo)
		switch {
		case err != nil:
			return actions, died, err
		case killed:
			died = true
			continue
		}
		applied := 0
		for _, env := range r.Environments {
			for _, c := range env.Changes {
				if c.Outcome == report.Applied {
					applied++
					actions = append(actions, string(c.Action))
				}
			}
		}
		now, err := w.remembered()
		if err != nil {
			return actions, died, err
		}
		if applied == 0 && len(w.terra.Writes()) == before && r.ExitCode == exit && rested && cmp.Equal(now.KeyHistories, former.KeyHistories) {
			return actions, died, nil
		}
		former, rested = now, true
	}
	var text bytes.Buffer
	_ = report.JSON(&text, r)
	return actions, died, fmt.Errorf("it does not come to rest with exit code %d: the last run says\n%s", exit, text.Bytes())
}
