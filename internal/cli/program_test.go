package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"testing"
)

// programAt puts the real binary into the folder bin and gives its file. It lets a test
// say what time it is and where it dies, and has the race detector where the tests have
// it. Go keeps what `go run` links, so that it is linked once after a change, not once a
// test.
func programAt(t testing.TB, bin string) string {
	t.Helper()
	const source = "../../cmd/reconcile"
	if _, err := os.ReadDir(source); err != nil { // what is read is what a test result is kept for
		t.Fatal(err)
	}
	args := []string{"run", "-buildvcs=false", "-tags", "testclock", "-exec", "cp"}
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		args = append(args, "-race")
	}
	program := filepath.Join(bin, "reconcile")
	if out, err := exec.Command("go", append(args, source, program)...).CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return program
}
