package main

import (
	"log/slog"
	"testing"

	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// Who holds the state is asked, and not guessed where nobody answers. A daemon of both
// kinds is asked in control.txtar.
func TestHolderOf(t *testing.T) {
	dir := t.TempDir()
	if got := holderOf(t.Context(), dir); got != report.UnknownHolds {
		t.Errorf("nobody answers: got %q", got)
	}
	stop, err := daemon.Serve(t.Context(), dir, keeper{}, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	if got := holderOf(t.Context(), dir); got != report.RunHolds {
		t.Errorf("a run answers: got %q", got)
	}
}
