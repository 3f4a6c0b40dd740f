package state

import (
	"os"
	"path/filepath"
	"testing"
)

// A history that cannot be read is left as it is: what was not seen is not taken for the
// rest of a line that a crash cut.
func TestUnreadableHistoryIsNotCut(t *testing.T) {
	t.Parallel()
	const text = "{\"seq\":1}\n{\"se"
	path := filepath.Join(t.TempDir(), historyName)
	must(t, os.WriteFile(path, []byte(text), 0o600))
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	must(t, err)
	defer func() { must(t, f.Close()) }()
	if end, err := (&lineFiles{}).cutTail(f); err == nil {
		t.Errorf("cut at %d", end)
	}
	got, err := os.ReadFile(path)
	must(t, err)
	if string(got) != text {
		t.Errorf("left %q", got)
	}
}
