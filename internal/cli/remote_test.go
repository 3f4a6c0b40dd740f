package cli

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/internal/notify"
	"github.com/terra-reconcile/terra-reconcile/secrets"
)

// TestStatusesOfAnApp: where an app signs in to the repository it gives the token of commit
// statuses as well, one that may do nothing else, by the same way.
func TestStatusesOfAnApp(t *testing.T) {
	const commit = "6f1d3a9c0b7e4d2a8c5f1e0b9a7d6c4e3f2a1b0c"
	posted := ""
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch {
		case r.URL.Path == "/api/app/installations/7/access_tokens" && string(body) == `{"repositories":["terra"],"permissions":{"statuses":"write"}}`:
			w.WriteHeader(http.StatusCreated)
			_, _ = io.WriteString(w, `{"token": "ghs_theStatuses", "expires_at": "2099-01-01T00:00:00Z"}`)
		case r.URL.Path == "/api/repos/acme/terra/statuses/"+commit && r.Header.Get("Authorization") == "Bearer ghs_theStatuses":
			posted = string(body)
			w.WriteHeader(http.StatusCreated)
		default:
			w.WriteHeader(http.StatusForbidden)
		}
	}))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	defer server.Close()
	dir := t.TempDir()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		"app.pem": {Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}, "ca.pem": {Type: "CERTIFICATE", Bytes: server.Certificate().Raw},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "daemon.yaml")
	text := `repo: {url: "` + server.URL + `/acme/terra.git", auth: {github_app: {app_id: 1, installation_id: 7, private_key_file: app.pem, url: "` + server.URL + `/api"}}, tls: {ca_file: ca.pem}}
accounts: {default: {token_env: T, dev_ids: [dev-1]}}
apply: false
notify_commit: {forge: github, project: acme/terra}
`
	c, err := config.Parse(file, []byte(text), func(name string) string { return map[string]string{"HOME": dir}[name] })
	if err != nil {
		t.Fatal(err)
	}
	forge, err := forgeOf(&Process{Version: "test"}, *c.NotifyCommit, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := forge.Post(t.Context(), notify.Status{Environment: "production", Commit: commit, State: notify.Success, Description: "done"}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(posted, "production") {
		t.Errorf("posted %q", posted)
	}

	// What is wrong with a file stands at its place in daemon.yaml.
	for name, want := range map[string]string{"app.pem": file + ":1:", "ca.pem": file + ":1:"} {
		former, err := os.ReadFile(filepath.Join(dir, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), []byte("hunter2"), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		_, err = openSource(c.Repo, 0, &secrets.Heard{})
		if err == nil || !strings.HasPrefix(err.Error(), want) || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v", name, err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), former, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	elsewhere := c.Repo
	elsewhere.URL = dir
	if git, err := openSource(elsewhere, 0, &secrets.Heard{}); err != nil || git == nil {
		t.Errorf("a folder in place of it: %v", err)
	}
}
