package cli

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestPreviewThatDidNotBegin: a daemon that has no document has one written here, with why.
func TestPreviewThatDidNotBegin(t *testing.T) {
	t.Parallel()
	daemon := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"result":{"schema":"terra-reconcile/preview/v1","exit_code":1,"document":"","error":"it did not begin"}}`+"\n")
	}))
	defer daemon.Close()
	for _, name := range []string{"plan.md", "plan.json", "plan.html", "plan.txt"} {
		var said bytes.Buffer
		vars := map[string]string{previewToken: strings.Repeat("k", 32)}
		proc := &Process{Stdout: &said, Stderr: &said, Getenv: func(name string) string { return vars[name] }, Now: time.Now, Version: "test"}
		out := filepath.Join(t.TempDir(), name)
		code := Run(t.Context(), []string{"preview", "--url", daemon.URL, "--ref", "topic", "--out", out}, proc)
		text, err := os.ReadFile(out)
		if err != nil || code != 1 || !strings.Contains(string(text), "it did not begin") || !strings.Contains(said.String(), "it did not begin") {
			t.Errorf("%s: %d, %v:\n%s\n%s", name, code, err, text, said.String())
		}
	}
}
