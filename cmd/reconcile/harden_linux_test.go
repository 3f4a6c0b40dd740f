package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestMain also is the process that the tests harden.
func TestMain(m *testing.M) {
	switch os.Getenv("HARDENED") {
	case "look":
		harden()
		dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
		var core unix.Rlimit
		if err != nil || dumpable != 0 || unix.Getrlimit(unix.RLIMIT_CORE, &core) != nil || core.Cur != 0 || core.Max != 0 {
			os.Exit(3)
		}
		os.Exit(0)
	case "":
	default:
		if args, ok := strings.CutPrefix(os.Getenv("HARDENED"), "main "); ok {
			os.Args = append(os.Args[:1], strings.Fields(args)...)
			main()
		}
		fault(strings.TrimPrefix(os.Getenv("HARDENED"), "fault:"))
	}
	os.Exit(m.Run())
}

func hardened(t *testing.T, what string) (string, error) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), "HARDENED="+what)
	cmd.Dir = t.TempDir()
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestNoCoreAndNoReaderOfMemory(t *testing.T) {
	t.Parallel()
	if out, err := hardened(t, "look"); err != nil {
		t.Errorf("dumpable, or with room for a core: %v\n%s", err, out)
	}
}
