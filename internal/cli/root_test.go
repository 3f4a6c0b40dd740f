package cli

import (
	"bytes"
	"strings"
	"testing"

	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// TestFaultIsNoPlanWithChanges: pipelines take exit code 2 for a plan.
func TestFaultIsNoPlanWithChanges(t *testing.T) {
	t.Parallel()
	var out, errs bytes.Buffer
	proc := &Process{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs, Getenv: func(string) string { panic("boom") }}
	if code := Run(t.Context(), []string{"plan"}, proc); code != report.ExitFault {
		t.Errorf("exit code %d, want %d", code, report.ExitFailed)
	}
	if text := errs.String(); !strings.Contains(text, "a fault of this program; please report it: boom") || !strings.Contains(text, "root.go") {
		t.Errorf("stderr: %s", text)
	}
}
