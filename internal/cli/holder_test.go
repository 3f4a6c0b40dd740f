package cli

import (
	"log/slog"
	"testing"

	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// Who holds the state is asked, and not guessed where nobody answers. A daemon of both
// kinds is asked in control.txtar.
func TestHolderOf(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if got := holderOf(t.Context(), dir); got != report.LockedByUnknown {
		t.Errorf("nobody answers: got %q", got)
	}
	stop, err := daemon.Serve(t.Context(), dir, controlServer{}, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	if got := holderOf(t.Context(), dir); got != report.LockedByRun {
		t.Errorf("a run answers: got %q", got)
	}
}
