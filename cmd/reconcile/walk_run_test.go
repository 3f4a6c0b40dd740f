//go:build linux

package main

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
	gate *gate
}

func (w *walkWorld) start(d death) *walker {
	return &walker{w, &gate{next: w.terra, death: d}}
}

// run applies once, with the repository of another world. killed says that the
// process ended by a signal.
func (w *walker) run(repo string) (r report.Report, killed bool, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	server := httptest.NewServer(w.gate)
	defer server.Close()
	config := filepath.Join(w.folder, "daemon.yaml")
	clock, points := filepath.Join(w.folder, "clock"), filepath.Join(w.folder, "points")
	err = errors.Join(
		os.WriteFile(clock, []byte(w.now.Format(time.RFC3339)), 0o600),
		os.WriteFile(config, []byte("repo: {url: "+repo+"}\napply: true\naccounts:\n  default: {token_env: TERRA_ADMIN_TOKEN, base_url: \""+
			server.URL+emulator.BasePath+"\", dev_ids: [\"*\"]}\nprobes: {strava: \""+
			server.URL+emulator.ProvidersPath+"/www.strava.com/oauth/token\"}\n"), 0o600),
	)
	if err != nil {
		return r, false, err
	}
	cmd := exec.CommandContext(ctx, w.program, "--config", config, "--yes", "-o", "json")
	cmd.Env = []string{
		"HOME=" + w.folder, "RECONCILE_STATE_DIR=" + w.stateDir(), "RECONCILE_AGE_KEY=" + w.identity,
		"TERRA_ADMIN_TOKEN=" + w.token, "RECONCILE_TEST_CLOCK=" + clock, "RECONCILE_TEST_POINTS=" + points,
	}
	if w.gate.death.kind == atPoint {
		cmd.Env = append(cmd.Env, "RECONCILE_TEST_KILL_AT="+strconv.Itoa(w.gate.death.n))
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	w.gate.mu.Lock()
	err = cmd.Start()
	w.gate.process = cmd.Process
	w.gate.mu.Unlock()
	if err == nil {
		err = cmd.Wait()
	}
	server.CloseClientConnections() // and nothing of this process is carried out later
	server.Close()
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		w.gate.dead, w.gate.death = false, death{}
		return r, true, ctx.Err()
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return r, false, err
	}
	r, err = report.Decode(bytes.NewReader(out.Bytes()))
	if err != nil {
		return r, false, fmt.Errorf("%w: exit %d\n%s", err, cmd.ProcessState.ExitCode(), problems.Bytes())
	}
	return r, false, nil
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
	for range 6 {
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
		if applied == 0 && len(w.terra.Writes()) == before && r.ExitCode == exit {
			return actions, died, nil
		}
	}
	var text bytes.Buffer
	_ = report.JSON(&text, r)
	return actions, died, fmt.Errorf("it does not come to rest with exit code %d: the last run says\n%s", exit, text.Bytes())
}
