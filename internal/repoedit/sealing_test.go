package repoedit_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/terra-reconcile/terra-reconcile/internal/repoedit"
	"github.com/terra-reconcile/terra-reconcile/secrets"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

// repository is two connections with a key that nobody can read.
func repository(t *testing.T) (repoedit.Repository, secrets.Recipients) {
	t.Helper()
	_, public, err := secrets.GenerateIdentity(false)
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	for name, text := range map[string]string{
		"terra.yaml":                  "version: 1\nrecipients:\n  - paths: [\"**\"]\n    age: [" + public + "]\n",
		"production/environment.yaml": "dev_id: prod-x\nprune: never\n",
		"production/oura.yaml":        "# ours\nprovider: oura\ncredentials:\n  client_id: \"1\" # one\n  keys:\n    - {unknown: true}\n",
		"production/strava.yaml":      "provider: strava\ncredentials: {client_id: \"1\", keys: [{unknown: true}]}\n",
	} {
		full := filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(full), 0o700), os.WriteFile(full, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	r, err := repoedit.Open(root, spec.Vocabulary{Providers: []spec.Words{{Slug: "oura"}, {Slug: "strava"}}})
	if err != nil {
		t.Fatal(err)
	}
	if bad := r.Errors(""); len(bad) > 0 {
		t.Fatal(bad)
	}
	to, err := secrets.ParseRecipients([]string{public}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r, to
}

// addAll puts a secret into every connection, in memory.
func addAll(t *testing.T, r repoedit.Repository, to secrets.Recipients) *repoedit.Sealing {
	t.Helper()
	s := r.Sealing()
	for _, c := range r.Set.Environments[0].Connections {
		at := secrets.Binding{Account: "default", DevID: "prod-x", Provider: c.Provider, Field: repoedit.ClientSecret}
		if err := s.Add(at, c, secrets.NewValue([]byte("aSecretOfThisTest"+c.Provider)), to, true); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// texts are all files of a repository.
func texts(t *testing.T, r repoedit.Repository) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(r.Root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		all.WriteString(path + "\n" + string(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

// TestSealingWritesAllOrNothing breaks the writing of each file in turn: what was written
// before it is put back, byte for byte, and the lock with it.
func TestSealingWritesAllOrNothing(t *testing.T) {
	t.Parallel()
	for broken := range 4 {
		r, to := repository(t)
		before, writes := texts(t, r), 0
		r.Write = func(path string, text []byte) error {
			if writes++; writes == broken+1 {
				return errors.New("no space left")
			}
			return repoedit.Replace(path, text)
		}
		err := addAll(t, r, to).Write()
		after := texts(t, r)
		switch isWhole := broken == 3; {
		case isWhole && (err != nil || strings.Contains(after, "unknown") || strings.Count(after, "BEGIN AGE") != 2):
			t.Errorf("nothing broken: %v\n%s", err, after)
		case !isWhole && (err == nil || !strings.Contains(err.Error(), "no space left; nothing was changed")):
			t.Errorf("write %d broken: got %v", broken+1, err)
		case !isWhole && after != before:
			t.Errorf("write %d broken: left\n%s", broken+1, after)
		}
	}
}

// TestSealingRefusesNewErrors puts back a file that would not be valid any more.
func TestSealingRefusesNewErrors(t *testing.T) {
	t.Parallel()
	r, to := repository(t)
	before, s := texts(t, r), addAll(t, r, to)
	r.Set.Environments[0].Connections[0].Credentials.Keys = nil // it is told that there is no key
	at := secrets.Binding{Account: "default", DevID: "prod-x", Provider: "oura", Field: repoedit.ClientSecret}
	if err := s.Add(at, r.Set.Environments[0].Connections[0], secrets.NewValue([]byte("aSecretOfThisTest")), to, true); err != nil {
		t.Fatal(err)
	}
	if err := s.Write(); err == nil || !strings.Contains(err.Error(), "production/oura.yaml:") {
		t.Errorf("got %v", err)
	}
	if after := texts(t, r); after != before {
		t.Errorf("left\n%s", after)
	}
}

// TestSealingKeepsWhatOthersWrote refuses a file that was changed since it was read.
func TestSealingKeepsWhatOthersWrote(t *testing.T) {
	t.Parallel()
	r, to := repository(t)
	s := addAll(t, r, to)
	if err := os.WriteFile(r.Path("production/strava.yaml"), []byte("provider: strava\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	before := texts(t, r)
	if err := s.Write(); err == nil || !strings.Contains(err.Error(), "changed meanwhile") {
		t.Errorf("got %v", err)
	}
	if after := texts(t, r); after != before {
		t.Errorf("left\n%s", after)
	}
}
