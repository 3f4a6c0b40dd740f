package cli

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/internal/preview"
	"github.com/terra-reconcile/terra-reconcile/secrets"
)

// TestHostileGitServer: a git server gives the token away in no form in which a server of
// Terra could not.
func TestHostileGitServer(t *testing.T) {
	const token = "glTok9Zx81LmQwRv7PbN"
	for _, c := range []struct {
		attack string
		form   string
	}{
		{attack: "the token as it is", form: token},
		{attack: "half of the token", form: token[:10]},
		{attack: "the token in capital letters", form: strings.ToUpper(token)},
		{attack: "the token in hex", form: hex.EncodeToString([]byte(token))},
		{attack: "the token in pieces, in another order", form: "v7PbN, 9Zx81, glTok, LmQwR"},
		{attack: "the token with signs between", form: strings.Join(strings.Split(token, ""), "\u200b")},
	} {
		t.Run(c.attack, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
				text := "ERR no such: " + c.form + "\n"
				_, _ = fmt.Fprintf(w, "001e# service=git-upload-pack\n0000%04x%s", len(text)+4, text)
			}))
			defer server.Close()
			file := filepath.Join(t.TempDir(), "token")
			if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			repo := config.Repo{URL: server.URL + "/acme/terra"}
			repo.Auth.Token = config.FileSecret(file)
			source, err := openSource(repo, 0, &secrets.Heard{})
			if err == nil {
				_, err = source.Fetch(t.Context())
			}
			if err == nil || !strings.Contains(err.Error(), "what the server said is withheld") {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestHostileGitServerOverPreviews: a git server that gives the token away in pieces does
// not get further by previews than by the daemon's own fetches.
func TestHostileGitServerOverPreviews(t *testing.T) {
	const token = "glTok9Zx81LmQwRv7PbN"
	pieces, n := []string{"glTok", "9Zx81", "LmQwR", "v7PbN"}, 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
		text := "ERR no such: " + pieces[n%4] + "\n"
		n++
		_, _ = fmt.Fprintf(w, "001e# service=git-upload-pack\n0000%04x%s", len(text)+4, text)
	}))
	defer server.Close()
	h := newHostile(t)
	p := h.previewing()
	p.source.config.Repo.URL = server.URL + "/acme/terra"
	p.source.config.Repo.Auth.Token = config.EnvSecret("GIT", func(string) string { return token })
	var said strings.Builder
	for range pieces {
		got := p.plan(t.Context(), preview.Request{Ref: "refs/heads/topic", Format: "json"}, func(preview.Progress) {})
		said.WriteString(got.Error + got.Document)
	}
	shown := 0
	for _, piece := range pieces {
		if strings.Contains(said.String(), piece) {
			shown += len(piece)
		}
	}
	if shown > 10 || !strings.Contains(said.String(), "what the server said is withheld") {
		t.Errorf("%d of %d characters are shown:\n%s", shown, len(token), said.String())
	}
}
