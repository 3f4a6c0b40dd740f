package state

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

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
		if err = s.Begin(intent(fmt.Sprintf("%06d", began), noon())); err == nil {
			began++
		}
	}
	if began == 0 || err == nil || !strings.Contains(err.Error(), syscall.EFBIG.Error()) {
		return fmt.Errorf("began %d, then %w; want some, then an error of the disk", began, err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &free); err != nil {
		return err
	}
	if err := s.Begin(intent("more", noon())); err != nil {
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
	pending, err := opened(t, dir).Pending(dev)
	must(t, err)
	if len(pending) != began {
		t.Errorf("got %d pending intents, want the %d that were acknowledged", len(pending), began)
	}
}
