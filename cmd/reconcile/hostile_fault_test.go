//go:build linux

package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// fault ends this process in one of the ways in which nothing can be recovered.
func fault(kind string) {
	harden()
	switch kind {
	case "panic":
		go func() { panic("a fault") }()
	case "nil":
		go func() {
			var p *int
			*p = 1 //nolint:govet // meant to fault
		}()
	case "map":
		m := map[int]int{}
		for range 8 {
			go func() {
				for i := 0; ; i++ {
					m[i%7] = i
				}
			}()
		}
	case "stack":
		debug.SetMaxStack(1 << 20)
		go deeper(0)
	case "quit":
		_ = syscall.Kill(os.Getpid(), syscall.SIGQUIT)
	case "segv":
		_ = syscall.Kill(os.Getpid(), syscall.SIGSEGV)
	}
	select {}
}

func deeper(n int) int { return deeper(n+1) + n } //nolint:staticcheck // meant to overflow the stack

// TestHostileFaults: however this process comes to an end that it did not choose, it is
// none of the exit codes that say something, and no core is written.
func TestHostileFaults(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ attack, kind string }{
		{attack: "a panic that nothing recovers", kind: "panic"},
		{attack: "an address that is not there", kind: "nil"},
		{attack: "a map that is written to twice at once", kind: "map"},
		{attack: "a stack without end", kind: "stack"},
		{attack: "SIGQUIT of another process", kind: "quit"},
		{attack: "SIGSEGV of another process", kind: "segv"},
	} {
		t.Run(c.attack, func(t *testing.T) {
			t.Parallel()
			child := exec.CommandContext(t.Context(), self)
			child.Env, child.Dir = append(os.Environ(), "HARDENED=fault:"+c.kind), t.TempDir()
			var said bytes.Buffer
			child.Stderr = &said
			err := child.Run()
			var exit *exec.ExitError
			if !errors.As(err, &exit) {
				t.Fatalf("got %v", err)
			}
			status, ok := exit.Sys().(syscall.WaitStatus)
			if !ok || !status.Signaled() || !slices.Contains([]syscall.Signal{syscall.SIGABRT, syscall.SIGSEGV, syscall.SIGQUIT}, status.Signal()) || status.CoreDump() {
				t.Errorf("got %v (core: %v), want an end by a signal\n%.2000s", exit, ok && status.CoreDump(), said.String())
			}
			if left, err := os.ReadDir(child.Dir); len(left) > 0 || err != nil {
				t.Errorf("left behind: %v, %v", left, err)
			}
			if c.kind == "panic" && !strings.Contains(said.String(), "a fault") {
				t.Errorf("the fault is not shown:\n%s", said.String())
			}
		})
	}
}
