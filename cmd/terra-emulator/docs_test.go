package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/terra-reconcile/terra-reconcile/internal/terra/emulator"
)

// The page about the emulator names every flag and every kind of fault.
func TestPageIsComplete(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", "..", "docs", "emulator.md"))
	if err != nil {
		t.Fatal(err)
	}
	page := string(b)
	for _, kind := range emulator.Kinds() {
		if !strings.Contains(page, "| `"+string(kind)+"` |") {
			t.Errorf("docs/emulator.md has no row for the fault %s", kind)
		}
	}
	for _, s := range emulator.Switches() {
		if row := "| `" + s.Name + "` | " + s.Says + " |"; !strings.Contains(page, row) {
			t.Errorf("docs/emulator.md lacks the row %s", row)
		}
	}
	usages := newCommand(t.Context(), &options{}, io.Discard, io.Discard, "").Flags().FlagUsages()
	flags := 0
	for word := range strings.FieldsSeq(usages) {
		if !strings.HasPrefix(word, "--") {
			continue
		}
		flags++
		if !strings.Contains(page, "`"+word+"`") {
			t.Errorf("docs/emulator.md does not name %s", word)
		}
	}
	if flags == 0 {
		t.Error("no flag was found")
	}
}
