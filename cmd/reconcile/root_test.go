package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// TestFaultIsNoPlanWithChanges: pipelines take exit code 2 for a plan.
func TestFaultIsNoPlanWithChanges(t *testing.T) {
	var out, errs bytes.Buffer
	env := &environment{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs, Getenv: func(string) string { panic("boom") },
		IsTerminal: func(any) bool { return false }}
	if code := run(t.Context(), []string{"plan"}, env); code != report.ExitFailed {
		t.Errorf("exit code %d, want %d", code, report.ExitFailed)
	}
	if text := errs.String(); !strings.Contains(text, "a fault of this program; please report it: boom") || !strings.Contains(text, "root.go") {
		t.Errorf("stderr: %s", text)
	}
}
