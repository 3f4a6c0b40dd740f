package plan

import (
	"runtime/debug"
	"testing"
)

// TestMain collects garbage less often: the tests make much of it and hold little.
func TestMain(m *testing.M) {
	debug.SetGCPercent(400)
	m.Run()
}
