package state

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestMain lets this test binary be the other process as well: with STATE_ROLE
// set it plays that role and ends.
func TestMain(m *testing.M) {
	role, dir := os.Getenv("STATE_ROLE"), os.Getenv("STATE_DIR")
	if role == "" {
		os.Exit(m.Run())
	}
	if err := play(role, dir); err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
}

func play(role, dir string) error {
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(1)
	}()
	s, err := Open(dir, Options{Timeout: 10 * time.Second})
	if err != nil {
		return err
	}
	switch role {
	case "hold":
		fmt.Println("ready")
		select {}
	case "write":
		for n := 0; err == nil; n++ {
			id := fmt.Sprintf("%06d", n)
			if err = s.Begin(intent(id, noon().Add(time.Duration(n)*time.Second))); err != nil {
				break
			}
			fmt.Println("began", id)
			if n%3 == 0 {
				continue // its outcome stays unknown
			}
			if err = s.End(id, "applied", noon()); err == nil {
				fmt.Println("ended", id)
			}
		}
	case "create":
		fmt.Println("ready")
	}
	return errors.Join(err, s.Close())
}

// other starts this test binary in a role. It ends when this process does: its
// input ends then.
func other(t *testing.T, role, dir string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), "STATE_ROLE="+role, "STATE_DIR="+dir)
	_, err = cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	return cmd, bufio.NewScanner(out)
}

func TestAnotherProcessHoldsIt(t *testing.T) {
	dir := t.TempDir()
	cmd, lines := other(t, "hold", dir)
	if !lines.Scan() || lines.Text() != "ready" {
		t.Fatalf("the other process said %q", lines.Text())
	}
	var locked *LockedError
	if _, err := Open(dir, Options{Timeout: 60 * time.Millisecond}); !errors.As(err, &locked) {
		t.Errorf("Open: got %v, want a LockedError", err)
	}
	started := time.Now()
	if _, err := OpenReadOnly(dir); !errors.As(err, &locked) {
		t.Errorf("OpenReadOnly: got %v, want a LockedError", err)
	}
	if took := time.Since(started); took > 5*time.Second {
		t.Errorf("OpenReadOnly waited %v for the writer", took)
	}
	must(t, cmd.Process.Kill())
	_ = cmd.Wait()
	must(t, readAll(opened(t, dir)))
}

// Whatever Begin and End said before the kill is there after it.
func TestKilledAroundBegin(t *testing.T) {
	dir := t.TempDir()
	began, ended := map[string]bool{}, map[string]bool{}
	for round := range 8 {
		cmd, lines := other(t, "write", filepath.Join(dir, fmt.Sprint(round)))
		clear(began)
		clear(ended)
		for n := 0; n < 1+round*7 && lines.Scan(); n++ {
			note(t, lines.Text(), began, ended)
		}
		must(t, cmd.Process.Kill())
		for lines.Scan() {
			note(t, lines.Text(), began, ended)
		}
		_ = cmd.Wait()
		checkJournal(t, filepath.Join(dir, fmt.Sprint(round)), began, ended)
	}
}

func note(t *testing.T, line string, began, ended map[string]bool) {
	t.Helper()
	verb, id, _ := strings.Cut(line, " ")
	switch verb {
	case "began":
		began[id] = true
	case "ended":
		ended[id] = true
	default:
		t.Fatalf("the other process said %q", line)
	}
}

func checkJournal(t *testing.T, dir string, began, ended map[string]bool) {
	t.Helper()
	s := opened(t, dir)
	pending, err := s.Pending(dev)
	must(t, err)
	history, err := s.History(dev, "", historyKept)
	must(t, err)
	state := map[string]string{}
	for _, i := range pending {
		state[i.ID] = "pending"
	}
	for _, entry := range history {
		state[entry.ID] = "ended"
	}
	if len(began) == 0 || len(state) < len(began) || len(state) > len(began)+1 {
		t.Errorf("the journal knows %d intents, %d were announced", len(state), len(began))
	}
	unannounced := 0
	for id := range began {
		switch {
		case ended[id] && state[id] != "ended", state[id] == "":
			t.Errorf("intent %s: got %q after it was announced", id, state[id])
		case !ended[id] && state[id] == "ended":
			unannounced++
		}
	}
	if unannounced > 1 {
		t.Errorf("%d intents ended without saying so, at most one can", unannounced)
	}
}

// Many first starts at once end with one state, whole, and nothing else.
func TestFirstStartRace(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	var cmds []*exec.Cmd
	for range 6 {
		cmd, lines := other(t, "create", dir)
		go func() {
			for lines.Scan() {
				if strings.HasPrefix(lines.Text(), "error") {
					t.Error(lines.Text())
				}
			}
		}()
		cmds = append(cmds, cmd)
	}
	for _, cmd := range cmds {
		_, err := cmd.Process.Wait()
		must(t, err)
	}
	must(t, readAll(opened(t, dir)))
	entries, err := os.ReadDir(dir)
	must(t, err)
	if len(entries) != 1 {
		t.Errorf("files: got %v, want %s alone", entries, fileName)
	}
	modes(t, dir)
}

func modes(t *testing.T, dir string) {
	t.Helper()
	for path, want := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, fileName): 0o600} {
		info, err := os.Stat(path)
		must(t, err)
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s: got mode %o, want %o", filepath.Base(path), got, want)
		}
	}
}
