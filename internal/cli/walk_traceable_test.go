//go:build linux

package cli

import (
	"os"
	"testing"
)

// cannotTrace skips what needs to look at another process's system calls where the
// system forbids it or this test does not know how, but not in CI.
func cannotTrace(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("REQUIRE_ALL") != "" {
		t.Fatalf("system calls cannot be traced: %s", why)
	}
	t.Skipf("system calls cannot be traced: %s", why)
}
