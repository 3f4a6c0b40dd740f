package gitsource

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/terra-reconcile/terra-reconcile/internal/walk"
)

// TestMain keeps the git of this machine's user out of what is tested, too.
func TestMain(m *testing.M) {
	if url := os.Getenv("FETCH_AND_MEASURE"); url != "" {
		fetchAndMeasure(url)
		return
	}
	tests := walk.Quick(m)
	home, err := os.MkdirTemp("", "home")
	if err != nil {
		panic(err)
	}
	for name, value := range map[string]string{"HOME": home, "XDG_CONFIG_HOME": "", "GIT_CONFIG_NOSYSTEM": "1"} {
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
	code := tests.Run()
	_ = os.RemoveAll(home)
	os.Exit(code)
}

// needGit skips without git, or fails where nothing may be missing.
func needGit(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		if os.Getenv("REQUIRE_ALL") == "1" {
			t.Fatal("git is not installed")
		}
		t.Skip("git is not installed")
	}
}

// gitEnv keeps the git of this machine's user out of the tests.
func gitEnv() []string {
	return append(os.Environ(),
		"GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@acme.example", "GIT_AUTHOR_DATE=2026-11-20T10:00:00+01:00",
		"GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@acme.example", "GIT_COMMITTER_DATE=2026-11-20T12:00:00+02:00")
}

func runGit(t testing.TB, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-c", "protocol.file.allow=always"}, args...)...)
	cmd.Dir = dir
	cmd.Env = gitEnv()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// repository is a work tree that tests commit to.
type repository struct {
	t   testing.TB
	dir string
}

func newRepository(t testing.TB) repository {
	t.Helper()
	needGit(t)
	r := repository{t: t, dir: filepath.Join(t.TempDir(), "repo")}
	runGit(t, ".", "init", "-q", "--template=", "-b", "main", r.dir)
	runGit(t, r.dir, "config", "uploadpack.allowReachableSHA1InWant", "true")
	return r
}

func (r repository) git(args ...string) string {
	r.t.Helper()
	return runGit(r.t, r.dir, args...)
}

func (r repository) write(name, content string) {
	r.t.Helper()
	path := filepath.Join(r.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

// commit writes the files, given as name, content, name, content, and commits.
func (r repository) commit(message string, files ...string) string {
	r.t.Helper()
	for i := 0; i+1 < len(files); i += 2 {
		r.write(files[i], files[i+1])
	}
	r.git("add", "-A")
	r.git("commit", "-q", "--allow-empty", "-m", message)
	return r.git("rev-parse", "HEAD")
}

// commitMany commits count small files without writing them to disk.
func (r repository) commitMany(count int) string {
	r.t.Helper()
	var in strings.Builder
	in.WriteString("commit refs/heads/main\ncommitter Ada <ada@acme.example> 1795168800 +0000\ndata 4\nmany\n")
	for i := range count {
		text := fmt.Sprintf("provider: p%d\n", i)
		fmt.Fprintf(&in, "M 100644 inline env-%02d/c%d.yaml\ndata %d\n%s\n", i%40, i, len(text), text)
	}
	cmd := exec.Command("git", "fast-import", "--quiet")
	cmd.Dir, cmd.Env, cmd.Stdin = r.dir, gitEnv(), strings.NewReader(in.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		r.t.Fatalf("git fast-import: %v\n%s", err, out)
	}
	return r.git("rev-parse", "main")
}

func open(t testing.TB, o Options) *Source {
	t.Helper()
	s, err := Open(o)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return s
}

// fetch fetches and expects the commit want.
func fetch(t testing.TB, s *Source, want string) {
	t.Helper()
	got, err := s.Fetch(t.Context())
	if err != nil {
		t.Fatalf("Fetch: %v", err)
	}
	if got.Hash != want {
		t.Fatalf("Fetch gave %s, want %s", got.Hash, want)
	}
}

// readFile reads a file of a commit that s holds.
func readFile(t testing.TB, s *Source, hash, name string) string {
	t.Helper()
	files, err := s.FS(hash)
	if err != nil {
		t.Fatal(err)
	}
	data, err := fs.ReadFile(files, name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// wantError expects an error of type T whose text holds all of parts.
func wantError[T error](t testing.TB, err error, parts ...string) T {
	t.Helper()
	var got T
	if !errors.As(err, &got) {
		t.Fatalf("got %T: %v, want %T", err, err, got)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not hold %q", err, part)
		}
	}
	return got
}
