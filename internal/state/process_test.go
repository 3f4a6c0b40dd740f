package state

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/advice"
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
	if role == "no-room" {
		signal.Ignore(syscall.SIGXFSZ) // it would end the process; on a full disk there is only the error
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{}); err != nil {
			return err
		}
	}
	s, err := Open(dir, Options{Timeout: 10 * time.Second})
	if err != nil {
		for _, next := range advice.All(err) {
			fmt.Println("advice:", next.Text)
		}
		return err
	}
	switch role {
	case "hold":
		fmt.Println("ready")
		select {}
	case "write":
		for n := 0; err == nil; n++ {
			id := fmt.Sprintf("%06d", n)
			if err = s.Begin(here(), intent(id, noon().Add(time.Duration(n)*time.Second))); err != nil {
				break
			}
			fmt.Println("began", id)
			if n%3 == 0 {
				continue // its outcome stays unknown
			}
			if err = s.RecordOutcome(here(), line(id)); err != nil {
				break
			}
			if err = s.End(here(), id); err == nil {
				fmt.Println("ended", id)
			}
		}
	case "hold-changes":
		held := map[string]GatedChange{}
		for n := 0; err == nil; n++ {
			id := fmt.Sprintf("%06d", n)
			held[id] = GatedChange{Since: noon()}
			if err = s.SaveOpenEvents(here(), OpenEvents{Gated: held}, []Entry{line(id)}); err == nil {
				fmt.Println("gated", id)
			}
		}
	case "fill-up":
		err = fillUp(s)
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
	if took := time.Since(started); took > time.Minute { // it waits a fifth of a second, or for ever
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
	pending, err := s.Pending(here())
	must(t, err)
	lines := linesByID(t, dir)
	unended, known := 0, len(lines)
	for _, i := range pending {
		if lines[i.ID] == 0 {
			known++
			continue
		}
		unended++ // told, and killed before the journal knew
	}
	if unended > 1 {
		t.Errorf("%d intents have a line and are pending, at most one can", unended)
	}
	if len(began) == 0 || known < len(began) || known > len(began)+1 {
		t.Errorf("journal and history know %d intents, %d were announced", known, len(began))
	}
	for id := range ended {
		if lines[id] != 1 {
			t.Errorf("intent %s: got %d lines after it was announced", id, lines[id])
		}
	}
	for _, i := range pending { // the next run settles them
		must(t, s.RecordOutcome(here(), line(i.ID)))
		must(t, s.End(here(), i.ID))
	}
	lines = linesByID(t, dir)
	for id := range began {
		if lines[id] != 1 {
			t.Errorf("intent %s: got %d lines once it is settled, want 1", id, lines[id])
		}
	}
}

func linesByID(t *testing.T, dir string) map[string]int {
	t.Helper()
	history, damaged, err := History(dir, HistoryFilter{})
	must(t, err)
	if len(damaged) > 0 {
		t.Errorf("after opening: %v", damaged)
	}
	out := map[string]int{}
	for _, e := range history {
		out[e.ID]++
	}
	return out
}

// What lasts and the line that tells of it are there together, however a process
// is killed.
func TestKilledAroundOngoing(t *testing.T) {
	for round := range 8 {
		dir := filepath.Join(t.TempDir(), fmt.Sprint(round))
		cmd, announced := other(t, "hold-changes", dir)
		for n := 0; n < 1+round*3 && announced.Scan(); n++ {
			if !strings.HasPrefix(announced.Text(), "gated") {
				t.Fatalf("the other process said %q", announced.Text())
			}
		}
		must(t, cmd.Process.Kill())
		_ = cmd.Wait()
		ongoing, err := opened(t, dir).OpenEvents(here())
		must(t, err)
		lines := linesByID(t, dir)
		if len(lines) == 0 || len(lines) != len(ongoing.Gated) {
			t.Errorf("round %d: %d are held, %d have a line", round, len(ongoing.Gated), len(lines))
		}
		for id, n := range lines {
			if _, held := ongoing.Gated[id]; n != 1 || !held {
				t.Errorf("round %d: %s is held: %v, and has %d lines", round, id, held, n)
			}
		}
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
	if len(entries) != 3 {
		t.Errorf("files: got %v, want %s and the two of the history alone", entries, fileName)
	}
	modes(t, dir)
}

// A first start that was killed right after it had its state leaves another name
// of it behind. The next one removes that.
func TestKilledFirstStartLeavesNothing(t *testing.T) {
	path := filled(t)
	leftover := filepath.Join(filepath.Dir(path), ".new-1."+fileName)
	must(t, os.Link(path, leftover))
	must(t, opened(t, filepath.Dir(path)).Close())
	if _, err := os.Stat(leftover); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("another name of the state is still there (%v)", err)
	}
}

func modes(t *testing.T, dir string) {
	t.Helper()
	for path, want := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, fileName): 0o600, filepath.Join(dir, historyName): 0o600} {
		info, err := os.Stat(path)
		must(t, err)
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s: got mode %o, want %o", filepath.Base(path), got, want)
		}
	}
}

// fillUp begins intents until the disk is full, in a process whose files must not
// grow, and then goes on with room again.
func fillUp(s *Store) error {
	signal.Ignore(syscall.SIGXFSZ) // it would end the process; on a full disk there is only the error
	info, err := os.Stat(s.path)
	if err != nil {
		return err
	}
	var free syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &free); err != nil {
		return err
	}
	full := free
	full.Cur = uint64(info.Size())
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &full); err != nil {
		return err
	}
	began := 0
	for err == nil && began < 100_000 {
		if err = s.Begin(here(), intent(fmt.Sprintf("%06d", began), noon())); err == nil {
			began++
		}
	}
	if began == 0 || err == nil || !strings.Contains(err.Error(), syscall.EFBIG.Error()) {
		return fmt.Errorf("began %d, then %w; want some, then an error of the disk", began, err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &free); err != nil {
		return err
	}
	if err := s.Begin(here(), intent("more", noon())); err != nil {
		return fmt.Errorf("with room again: %w", err)
	}
	fmt.Println("began", began+1)
	return nil
}

// On a full disk Begin says so, which keeps the write from leaving, and damages
// nothing that was there.
func TestBeginOnAFullDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	cmd, lines := other(t, "fill-up", dir)
	if !lines.Scan() || !strings.HasPrefix(lines.Text(), "began") {
		t.Fatalf("the other process said %q", lines.Text())
	}
	began := 0
	_, err := fmt.Sscanf(lines.Text(), "began %d", &began)
	must(t, err)
	_ = cmd.Wait()
	pending, err := opened(t, dir).Pending(here())
	must(t, err)
	if len(pending) != began {
		t.Errorf("got %d pending intents, want the %d that were acknowledged", len(pending), began)
	}
}
