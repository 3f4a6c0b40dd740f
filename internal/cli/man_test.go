package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestManualPages: each command and each topic has a page, in which a reader of manual
// pages finds nothing to warn of, and which shows the text as it is.
func TestManualPages(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var said strings.Builder
	proc := &Process{Stdin: strings.NewReader(""), Stdout: &said, Stderr: &said, Version: "1.2.3-rc.1", Getenv: func(string) string { return "" },
		Now: func() time.Time { return time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC) }}
	if code := Run(t.Context(), []string{"man", dir}, proc); code != exitOK {
		t.Fatalf("exit code %d: %s", code, &said)
	}
	var pages []string
	for _, c := range commands(newRoot(&Process{})) {
		pages = append(pages, filepath.Join(dir, strings.ReplaceAll(c.CommandPath(), " ", "-")+".1"))
	}
	for _, topic := range topics() {
		pages = append(pages, filepath.Join(dir, "reconcile-help-"+topic.name+".1"))
	}
	for _, page := range pages {
		if text, err := os.ReadFile(page); err != nil || !strings.HasPrefix(string(text), ".TH RECONCILE") {
			t.Errorf("%s: %v: %.40s", page, err, text)
		}
	}
	t.Logf("COUNT manual_pages=%d", len(pages))
	mandoc, err := exec.LookPath("mandoc")
	switch {
	case err != nil && os.Getenv("REQUIRE_ALL") != "":
		t.Fatal("mandoc is missing")
	case err != nil:
		t.Skip("mandoc is missing")
	}
	if out, err := exec.Command(mandoc, append([]string{"-T", "lint", "-W", "warning"}, pages...)...).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	out, err := exec.Command(mandoc, "-T", "utf8", "-O", "width=78", filepath.Join(dir, "reconcile-init.1")).CombinedOutput()
	shown := strings.Join(strings.Fields(overstruck(string(out))), " ")
	for _, want := range []string{"reconcile-init - Begin a config repository", "reconcile init [DIR] [flags]", "--ci forge", "reconcile init --post-quantum --identity ~/keys/identity.txt"} {
		if err != nil || !strings.Contains(shown, want) {
			t.Errorf("%v: the page lacks %q:\n%s", err, want, shown)
		}
	}
}

// overstruck takes out what a printer would strike over.
func overstruck(text string) string {
	var out []rune
	for _, r := range text {
		if r == '\b' && len(out) > 0 {
			out = out[:len(out)-1]
			continue
		}
		out = append(out, r)
	}
	return string(out)
}

// TestRoff: no text becomes a request, an escape or another character.
func TestRoff(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		".SH x": `\&.SH x`, "'x": `\&'x`, `a\b`: `a\eb`, "--yes": `\-\-yes`, "…": `\[u2026]`, "a.b": "a.b",
	} {
		if got := roff(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
