//go:build linux

package cli

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
)

// served is the real daemon in one world. When it is killed it is started again.
type served struct {
	*walker
	t      *testing.T
	ask    *daemon.Client
	server *httptest.Server
	cmd    *exec.Cmd
	lines  chan servedLine // of its log; closed once it has ended
	text   []string        // of them, as far as they were read
	last   servedLine      // of its last run
	deaths int

	whenDead func() error // what happens before it is started again; may be nil
	meddled  bool         // that makes a difference
}

// servedLine is a line of the daemon's log.
type servedLine struct {
	Msg         string `json:"msg"`
	Environment string `json:"environment"`
	Commit      string `json:"commit"`
	PlanHash    string `json:"plan_hash"`
	ExitCode    int    `json:"exit_code"`
	Gated       int    `json:"gated"`
	Applied     int    `json:"applied"`

	text string
}

var (
	errDied  = errors.New("the daemon ended")
	errWrong = errors.New("it goes wrong")
)

func newServed(t *testing.T, w *walkWorld, d death) *served {
	return &served{walker: w.start(d), t: t, ask: daemon.NewClient(w.stateDir())}
}

// begins starts the daemon unless it runs, and waits for its first run.
func (d *served) begins() error {
	if d.cmd != nil {
		return nil
	}
	d.server = httptest.NewServer(d.gate)
	config, env, err := d.prepare(d.repo(), d.server.URL)
	if err != nil {
		return err
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		return err
	}
	d.cmd = exec.CommandContext(d.t.Context(), d.program, "daemon", "--config", config)
	d.cmd.Env, d.cmd.Stderr = env, writer
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	d.gate.mu.Lock()
	err = d.cmd.Start()
	d.gate.process = d.cmd.Process
	d.gate.mu.Unlock()
	if err := errors.Join(err, writer.Close()); err != nil {
		return err
	}
	d.lines = make(chan servedLine, 1000)
	go hearken(d.cmd, reader, d.lines)
	return d.ran()
}

// hearken passes on what a daemon says until it ends.
func hearken(cmd *exec.Cmd, reader io.ReadCloser, said chan<- servedLine) {
	lines := bufio.NewScanner(reader)
	for lines.Scan() {
		line := servedLine{text: lines.Text()}
		_ = json.Unmarshal(lines.Bytes(), &line) // a panic is none
		said <- line
	}
	_ = reader.Close()
	_ = cmd.Wait() // ProcessState says how it ended
	close(said)
}

// ran waits for the end of a run.
func (d *served) ran() error {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		select {
		case line, alive := <-d.lines:
			if !alive {
				return errDied
			}
			d.text = append(d.text, line.text)
			if line.Msg == "run" {
				d.last = line
				return nil
			}
		case <-timer.C:
			return d.problem("no run ended within %s", patience)
		}
	}
}

// problem is an error that shows what the daemon said.
func (d *served) problem(format string, values ...any) error {
	return fmt.Errorf("%w: %w; it said\n%s", errWrong, fmt.Errorf(format, values...), strings.Join(d.text, "\n"))
}

// do does something that a person or a test does with the daemon. Where it dies
// meanwhile it is started again, and what was not confirmed is done once more.
func (d *served) do(steps ...func() error) error {
	for _, step := range steps {
		err := step()
		if err == nil {
			continue
		}
		if !d.isDead(err) {
			return err
		}
		if d.deaths++; d.deaths > 1 {
			return d.problem("it died again: %w", err)
		}
		d.bury()
		d.gate.mu.Lock()
		d.gate.death = death{}
		d.gate.mu.Unlock()
		if d.whenDead != nil {
			if err := d.whenDead(); err != nil {
				return err
			}
		}
		if d.begins() == nil {
			err = step()
		}
		if err != nil {
			return d.problem("after its death: %w", err)
		}
	}
	return nil
}

// isDead waits for the end of a process that does not answer.
func (d *served) isDead(err error) bool {
	var refused *daemon.RefusedError
	if errors.As(err, &refused) || errors.Is(err, errWrong) {
		return false
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		select {
		case line, alive := <-d.lines:
			if !alive {
				status, ok := d.cmd.ProcessState.Sys().(syscall.WaitStatus)
				return ok && status.Signaled()
			}
			d.text = append(d.text, line.text)
		case <-timer.C:
			return false
		}
	}
}

// bury cleans up behind a process that has ended.
func (d *served) bury() {
	d.server.CloseClientConnections()
	d.server.Close()
	d.gate.mu.Lock()
	defer d.gate.mu.Unlock()
	d.gate.dead, d.cmd = false, nil
}

// ends stops the daemon cleanly.
func (d *served) ends() error {
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	for {
		if err := d.ran(); errors.Is(err, errDied) {
			break
		} else if err != nil {
			return err
		}
	}
	if code := d.cmd.ProcessState.ExitCode(); code > 0 {
		return d.problem("it ended with exit code %d", code)
	} else if code < 0 {
		return errDied
	}
	d.bury()
	return nil
}

// runs asks for a run and waits for its end.
func (d *served) runs() error {
	if _, err := d.ask.RunNow(d.t.Context(), daemon.NowRequest{Environment: "production"}); err != nil {
		return err
	}
	return d.ran()
}

// rests runs until there is nothing left to do.
func (d *served) rests(exit int) func() error {
	return func() error {
		for range 6 {
			before := len(d.terra.Writes())
			if err := d.runs(); err != nil {
				return err
			}
			if d.last.Applied == 0 && len(d.terra.Writes()) == before && d.last.ExitCode == exit {
				return nil
			}
		}
		return d.problem("it does not come to rest with exit code %d", exit)
	}
}

// happens lets time go by, and things happen in it.
func (d *served) happens(f func()) func() error {
	done := false
	return func() error {
		d.gate.mu.Lock()
		defer d.gate.mu.Unlock()
		if !done {
			done = true
			f()
		}
		return d.tellTime()
	}
}

// commits puts Strava's file into the repository and waits for the run that starts.
func (d *served) commits(strava string) func() error {
	hash := ""
	return func() error {
		if hash == "" {
			err := os.WriteFile(filepath.Join(d.repo(), stravaFile), []byte(strava), 0o600)
			if err == nil {
				hash, err = commitAll(d.repo(), "Go on", d.now)
			}
			if err != nil {
				return err
			}
		}
		for d.last.Commit != hash {
			if err := d.ran(); err != nil {
				return err
			}
		}
		return nil
	}
}

// status is what the daemon says of production.
func (d *served) status() (daemon.Status, daemon.EnvironmentStatus, error) {
	s, err := d.ask.Status(d.t.Context())
	if err == nil && len(s.Environments) != 1 {
		err = d.problem("it knows %d environments", len(s.Environments))
	}
	if err != nil {
		return s, daemon.EnvironmentStatus{}, err
	}
	return s, s.Environments[0], nil
}
