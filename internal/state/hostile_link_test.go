//go:build unix

package state

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A link to a state folder is as safe as the folder that it lies in.
func TestLinkThatOthersCanMoveIsRefused(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	dir, shared := filepath.Join(top, "state"), filepath.Join(top, "shared")
	must(t, os.Mkdir(dir, 0o700))
	must(t, os.Mkdir(shared, 0o700))
	must(t, os.Chmod(shared, 0o777))
	must(t, os.Symlink(dir, filepath.Join(shared, "state")))
	if err := CheckFolder(filepath.Join(shared, "state")); err == nil || !strings.Contains(err.Error(), "because "+shared+" is open to them") {
		t.Errorf("got %v", err)
	}
}

// A state that is a link to nothing is no missing state.
func TestLinkToNothingIsNoMissingState(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	must(t, os.Symlink(filepath.Join(dir, "nothing"), filepath.Join(dir, fileName)))
	if s, err := OpenReadOnly(dir); err == nil {
		t.Errorf("opened, missing: %t", s.Missing())
	}
}

// What a copy says is found by searching, so it has to be in order, and whole.
func TestCopyThatIsOutOfOrderIsRefused(t *testing.T) {
	t.Parallel()
	record := func(key string) string { return `{"kind":"token/1","key":"` + key + `","value":"e30="}` }
	for name, text := range map[string]string{
		"no records": `{"format":2}`,
		"unsorted":   `{"format":2,"records":[` + record("b") + "," + record("a") + `]}`,
		"twice":      `{"format":2,"records":[` + record("a") + "," + record("a") + `]}`,
	} {
		if _, err := load("copy", strings.NewReader(text)); err == nil {
			t.Errorf("%s: read", name)
		}
	}
	if got, err := load("copy", strings.NewReader(`{"format":2,"records":[`+record("a")+","+record("b")+`]}`)); err != nil || len(got) != 2 {
		t.Errorf("in order: %d records, %v", len(got), err)
	}
}
