package doctor

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/internal/terra"
)

func TestJudgeToken(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	in := func(days int) *time.Time { end := now.AddDate(0, 0, days); return &end }
	all := []string{"providers:read", "providers:write", "connections:read"}
	anywhere := config.Account{DevIDs: []string{"*"}}
	tests := []struct {
		name    string
		me      terra.Me
		account config.Account
		reads   bool // the runner only looks
		status  Status
		says    string
	}{
		{"good", terra.Me{Kind: "admin", Name: "ci", Scopes: all, ExpiresAt: in(30)}, anywhere, false, OK,
			"admin token ci; reaches every environment of the account; expires on 2026-12-23, in 30 days"},
		{"without an end", terra.Me{Kind: "admin", Scopes: all}, anywhere, false, OK, "no end is known"},
		{"soon over", terra.Me{Kind: "admin", Scopes: all, ExpiresAt: in(13)}, anywhere, false, Warn, "it expires on 2026-12-06 12:00 UTC (in 13 days)"},
		{"over", terra.Me{Kind: "admin", Scopes: all, ExpiresAt: in(-1)}, anywhere, false, Fail, "it expired on 2026-11-22"},
		{"of another kind", terra.Me{Kind: "data", Scopes: all}, anywhere, false, Fail, "data token; reaches every environment of the account; it is no admin token"},
		{"cannot write", terra.Me{Kind: "admin", Scopes: []string{"providers:read", "connections:read"}}, anywhere, false, Fail, "lacks the scope providers:write: nothing can be applied"},
		{"need not write", terra.Me{Kind: "admin", Scopes: []string{"providers:read", "connections:read"}}, anywhere, true, OK, "admin token"},
		{"cannot count", terra.Me{Kind: "admin", Scopes: all[:2]}, anywhere, false, Warn, "lacks the scope connections:read: end users are not counted"},
		{"for others", terra.Me{Kind: "admin", Scopes: all, DevIDs: []string{"a"}}, config.Account{DevIDs: []string{"a", "b"}}, false, Fail, "reaches a; it does not reach b, which the runner lets it touch"},
		{"for all of them", terra.Me{Kind: "admin", Scopes: all, DevIDs: []string{"a", "b"}}, config.Account{DevIDs: []string{"a"}}, false, OK, "reaches a, b"},
		{"soon over and useless", terra.Me{Kind: "admin", Scopes: nil, ExpiresAt: in(1)}, anywhere, false, Fail, "it expires on 2026-11-24 12:00 UTC (in 24 h)"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := judgeToken(test.me, test.account, !test.reads, now)
			if got.Status != test.status || !strings.Contains(got.Message, test.says) || (len(got.Remediations) == 0) != (got.Status == OK) {
				t.Errorf("got %+v, want %s with %q", got, test.status, test.says)
			}
		})
	}
}

func TestHealthAddress(t *testing.T) {
	t.Parallel()
	for listen, want := range map[string]string{
		":8080": "127.0.0.1:8080", "0.0.0.0:8080": "127.0.0.1:8080", "[::]:8080": "127.0.0.1:8080",
		"127.0.0.1:9": "127.0.0.1:9", "10.0.0.1:80": "10.0.0.1:80", "host:80": "host:80",
	} {
		if got := healthAddress(listen); got != want {
			t.Errorf("%s: %s, want %s", listen, got, want)
		}
	}
}

func TestFilesForEveryUser(t *testing.T) {
	t.Parallel()
	top, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	folder, file, link := filepath.Join(top, "run"), filepath.Join(top, "run", "token"), filepath.Join(top, "link")
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	do(os.Mkdir(folder, 0o700))
	do(os.WriteFile(file, []byte("x"), 0o600))
	do(os.Symlink(file, link))
	for _, c := range []struct {
		top, folder, file os.FileMode
		want              bool
	}{
		{0o755, 0o755, 0o600, false}, {0o755, 0o755, 0o640, false}, {0o755, 0o755, 0o440, false}, {0o755, 0o755, 0o711, false},
		{0o755, 0o755, 0o644, true}, {0o755, 0o755, 0o602, true}, {0o711, 0o711, 0o604, true},
		{0o755, 0o750, 0o644, false}, {0o700, 0o755, 0o644, false}, {0o755, 0o754, 0o644, false},
	} {
		do(os.Chmod(file, c.file))
		do(os.Chmod(folder, c.folder))
		do(os.Chmod(top, c.top))
		for _, name := range []string{file, link} {
			if got := isForAll(name, top); got != c.want {
				t.Errorf("%s with %o, %o and %o: got %v, want %v", filepath.Base(name), c.top, c.folder, c.file, got, c.want)
			}
		}
	}
	if isForAll(filepath.Join(top, "none"), top) {
		t.Error("a file that is not there can be read")
	}
}

// TestDoctorNamesFilesForEveryUser: each file of the runner's once, whatever it is for.
func TestDoctorNamesFilesForEveryUser(t *testing.T) {
	t.Parallel()
	top, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	path := func(name string) string { return filepath.Join(top, name) }
	for name, mode := range map[string]os.FileMode{"": 0o755, "token": 0o644, "git": 0o604, "age": 0o666, "ssh": 0o644, "good": 0o640} {
		if name != "" {
			if err := os.WriteFile(path(name), []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(path(name), mode); err != nil {
			t.Fatal(err)
		}
	}
	w := &world{Options: Options{Top: top, Config: config.Config{
		Repo:       config.Repo{Auth: config.RepoAuth{Token: config.FileSecret(path("git")), SSHKeyFile: path("ssh")}},
		Identities: config.Identities{Files: []string{path("age"), path("good"), path("none")}},
		Accounts: map[string]config.Account{
			"a": {Token: config.FileSecret(path("token"))}, "b": {Token: config.FileSecret(path("token"))},
			"c": {Token: config.EnvSecret("T", os.Getenv)}, "d": {Token: config.FileSecret(path("good"))},
		},
	}}}
	var got []string
	for _, r := range secretFiles(t.Context(), w) {
		if r.Status != Warn || len(r.Remediations) != 1 || r.Remediations[0].Text != "take that right from others (chmod o=)" {
			t.Errorf("got %+v", r)
		}
		name, _ := strings.CutPrefix(r.Message, top+"/")
		got = append(got, name)
	}
	const says = " can be read by every user of this machine"
	if want := []string{"age" + says, "git" + says, "ssh" + says, "token" + says}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestDaemonWhoseStateIsGone: where the folder was moved away under a daemon there is no socket
// either, and listen alone tells.
func TestDaemonWhoseStateIsGone(t *testing.T) {
	t.Parallel()
	status := http.StatusServiceUnavailable
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "the state was moved; put it back\n")
	}))
	defer server.Close()
	listen, dir := strings.TrimPrefix(server.URL, "http://"), filepath.Join(t.TempDir(), "state")
	examine := func(listen string) string {
		w := &world{Options: Options{ConfigFile: "daemon.yaml", Config: config.Config{Listen: listen, StateDir: dir},
			Pauses: func(*state.Store) ([]daemon.Pause, error) { return nil, nil }}}
		var out []string
		for _, look := range []func(context.Context, *world) []Result{askDaemon, askHealth, lookAtState} {
			for _, r := range look(t.Context(), w) {
				out = append(out, string(r.Status)+" "+r.Message)
			}
		}
		return strings.Join(out, "\n")
	}
	for _, c := range []struct {
		listen string
		status int
		says   []string
		never  string
	}{
		{listen, http.StatusServiceUnavailable, []string{"warn none answers at ", ", though one does on " + listen, "with 503: the state was moved; put it back", "warn nothing is in " + dir + ", though a daemon runs"}, "first apply"},
		{listen, http.StatusOK, []string{", though one does on " + listen, "ok it makes progress", "though a daemon runs"}, "first apply"},
		{listen, http.StatusNotFound, []string{"warn none answers at ", "the first apply begins it"}, listen},
		{"127.0.0.1:0", http.StatusOK, []string{"warn none answers at ", "the first apply begins it"}, "port"},
	} {
		status = c.status
		got := examine(c.listen)
		for _, want := range c.says {
			if !strings.Contains(got, want) {
				t.Errorf("%s, %d: does not say %q:\n%s", c.listen, c.status, want, got)
			}
		}
		if strings.Contains(got, c.never) {
			t.Errorf("%s, %d: says %q:\n%s", c.listen, c.status, c.never, got)
		}
	}
}

// TestEachErrorOfTheConfigurationIsNamed: who mends one does not want to find the next by starting again.
func TestEachErrorOfTheConfigurationIsNamed(t *testing.T) {
	t.Parallel()
	_, err := config.Parse("daemon.yaml", []byte("repo: {url: ./config}\naply: true\nlistn: x\n"), func(string) string { return "" })
	got := Examine(t.Context(), Options{ConfigErr: err, ConfigFile: "daemon.yaml"})
	text := ""
	for _, r := range got {
		text += string(r.Status) + " " + r.Check + ": " + r.Message + "\n"
		if len(r.Remediations) != 1 {
			t.Errorf("%s: %d next steps, want one", r.Message, len(r.Remediations))
		}
	}
	for _, want := range []string{"fail configuration: daemon.yaml:2:1: ", "fail configuration: daemon.yaml:3:1: "} {
		if !strings.Contains(text, want) {
			t.Errorf("does not say %q:\n%s", want, text)
		}
	}
}
