package doctor

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
)

// TestHostilePlaceIsTold: what others could do to the state is said with what to do.
func TestHostilePlaceIsTold(t *testing.T) {
	for _, c := range []struct {
		attack string
		make   func(dir string) error
		says   string
	}{
		{attack: "a state folder open to every user", make: func(dir string) error { return os.Chmod(dir, 0o707) }, says: "every user of this machine can write to state folder"},
		{attack: "a folder above it open to every user", make: func(dir string) error { return os.Chmod(filepath.Dir(dir), 0o777) }, says: "can put another folder in the place"},
		{attack: "a socket open to every user", make: func(dir string) error {
			if err := os.WriteFile(daemon.SocketPath(dir), nil, 0o600); err != nil {
				return err
			}
			return os.Chmod(daemon.SocketPath(dir), 0o666)
		}, says: "others can write to"},
	} {
		t.Run(c.attack, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "state")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if got := openToOthers(dir); len(got) > 0 {
				t.Fatalf("before: %+v", got)
			}
			if err := c.make(dir); err != nil {
				t.Fatal(err)
			}
			got := openToOthers(dir)
			if len(got) != 1 || got[0].Status != Fail || !strings.Contains(got[0].Message, c.says) || len(got[0].Remediations) == 0 {
				t.Errorf("got %+v, want %q", got, c.says)
			}
		})
	}
}

// TestHostileConfigurationIsTold: so is what others could do to the runner's own files.
func TestHostileConfigurationIsTold(t *testing.T) {
	for _, c := range []struct{ attack, open string }{
		{attack: "a configuration open to every user", open: "daemon.yaml"},
		{attack: "a token open to every user", open: "token"},
	} {
		t.Run(c.attack, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, "daemon.yaml")
			for name, text := range map[string]string{"daemon.yaml": "repo: {url: /srv/config}\naccounts: {default: {token_file: token, dev_ids: [a]}}\napply: false\n", "token": "x"} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Chmod(filepath.Join(dir, c.open), 0o646); err != nil {
				t.Fatal(err)
			}
			_, err := config.Load(file, func(string) string { return "" })
			if err == nil {
				t.Fatal("it was used")
			}
			got := Examine(t.Context(), Options{ConfigErr: err, ConfigFile: file})
			if len(got) != 1 || got[0].Status != Fail || !strings.Contains(got[0].Message, "every user of this machine can write to") || len(got[0].Remediations) != 1 {
				t.Errorf("got %+v", got)
			}
		})
	}
}
