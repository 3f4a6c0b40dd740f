package cli

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
	"golang.org/x/term"
)

// Exit codes that commands share. Those of a run are report.ExitCode's.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = report.ExitUsage
)

// Process is all of the world that a command may touch besides files and
// the network.
type Process struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Getenv         func(string) string
	Now            func() time.Time
	Terminals      Terminals
	Version        string

	asked invocation // of the command that runs; empty until its line is understood
	brief bool       // commands in texts stay short: what they would name is soon gone
}

// Terminals says which of a process's streams a person sits at.
type Terminals struct{ Stdin, Stdout, Stderr bool }

// ThisProcess is what the running process has. version stands in its output.
func ThisProcess(version string) *Process {
	return &Process{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Getenv: os.Getenv, Now: now, Version: version,
		Terminals: Terminals{term.IsTerminal(int(os.Stdin.Fd())), term.IsTerminal(int(os.Stdout.Fd())), term.IsTerminal(int(os.Stderr.Fd()))},
	}
}

// exitError ends the program with a code. Without an error nothing is printed:
// the command has said what there is to say.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit status %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }
