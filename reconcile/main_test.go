package reconcile

import (
	"os"
	"runtime/debug"
	"testing"

	"github.com/terra-reconcile/terra-reconcile/internal/walk"
)

// TestMain collects garbage less often: the tests make much of it and hold little.
func TestMain(m *testing.M) {
	debug.SetGCPercent(400)
	os.Exit(walk.Quick(m).Run())
}
