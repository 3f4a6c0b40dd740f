package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/terra-reconcile/terra-reconcile/internal/terra/emulator"
)

// The test binary is the command when this variable is set.
const asCommand = "TERRA_EMULATOR_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// running is the command as a process.
type running struct {
	command    *exec.Cmd
	base       string
	token      string
	stdout     string // up to and with the READY line
	stderr     bytes.Buffer
	terminated bool
}

func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	t.Cleanup(cancel)
	c := exec.CommandContext(ctx, self, args...)
	c.Env = append(os.Environ(), asCommand+"=1")
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return c
}

func start(t *testing.T, args ...string) *running {
	t.Helper()
	r := &running{command: command(t, args...)}
	r.command.Stderr = &r.stderr
	out, err := r.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if !r.terminated {
			_ = r.command.Process.Kill()
			_ = r.command.Wait()
		}
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		line := lines.Text()
		r.stdout += line + "\n"
		if v, ok := strings.CutPrefix(line, "export TERRA_ADMIN_TOKEN='"); ok {
			r.token = strings.TrimSuffix(v, "'")
		}
		if v, ok := strings.CutPrefix(line, "READY "); ok {
			r.base = v
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return r
		}
	}
	t.Fatalf("no READY line, stdout %q, stderr %q", r.stdout, r.stderr.String())
	return nil
}

// stop sends SIGTERM and returns the exit code and what was said on stderr.
func (r *running) stop(t *testing.T) (int, string) {
	t.Helper()
	r.terminated = true
	if err := r.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = r.command.Wait() // the exit code says it
	return r.command.ProcessState.ExitCode(), r.stderr.String()
}

func (r *running) call(t *testing.T, method, path string) (int, string) {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), method, r.base+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Authorization", "Bearer "+r.token)
	w, err := (&http.Client{}).Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Body.Close()
	b, err := io.ReadAll(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.StatusCode, string(b)
}

func TestServe(t *testing.T) {
	r := start(t, "--dev-id", "staging", "--dev-id", "production", "--token", "terra_at_given")
	want := "export TERRA_BASE_URL='" + r.base + "'\nexport TERRA_ADMIN_TOKEN='terra_at_given'\n" +
		"# environment staging\n# environment production\n"
	origin := strings.TrimSuffix(r.base, emulator.BasePath)
	for _, probe := range []string{
		"huawei: ORIGIN/providers/oauth-login.cloud.huawei.com/oauth2/v3/token",
		"polar: ORIGIN/providers/www.polaraccesslink.com/v3/webhooks",
		"strava: ORIGIN/providers/www.strava.com/api/v3/oauth/token",
		"whoop: ORIGIN/providers/api.prod.whoop.com/oauth/oauth2/token",
	} {
		want += "# probe " + strings.Replace(probe, "ORIGIN", origin, 1) + "\n"
	}
	want += "READY " + r.base + "\n"
	if r.stdout != want {
		t.Errorf("stdout: got %q, want %q", r.stdout, want)
	}
	if !strings.HasPrefix(r.base, "http://127.0.0.1:") {
		t.Errorf("got address %s, want one on loopback", r.base)
	}
	for _, path := range []string{"/me", "/environments/staging/users", "/environments/production/unified-api/sources"} {
		if status, body := r.call(t, "GET", path); status != 200 {
			t.Errorf("%s: got %d %s", path, status, body)
		}
	}
	if code, text := r.stop(t); code != 0 || text != "" {
		t.Errorf("got exit code %d, stderr %q", code, text)
	}
}

func TestDefaults(t *testing.T) {
	a, b := start(t), start(t)
	if !strings.HasPrefix(a.token, "terra_at_") || len(a.token) < 30 || a.token == b.token {
		t.Errorf("got tokens %s and %s, want two random ones", a.token, b.token)
	}
	if status, body := a.call(t, "GET", "/environments/demo/unified-api/source-types"); status != 200 {
		t.Errorf("got %d %s", status, body)
	}
}

func TestStateIsKept(t *testing.T) {
	file := filepath.Join(t.TempDir(), "terra.json")
	first := start(t, "--state", file)
	if status, body := first.call(t, "PUT", "/environments/demo/unified-api/sources/strava"); status != 200 {
		t.Fatalf("enable: got %d %s", status, body)
	}
	if code, text := first.stop(t); code != 0 {
		t.Fatalf("got exit code %d, stderr %q", code, text)
	}
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode: got %v, want 0600", info.Mode().Perm())
	}
	second := start(t, "--state", file, "--dev-id", "more")
	if second.token != first.token {
		t.Errorf("token: got %s, want %s again", second.token, first.token)
	}
	if _, body := second.call(t, "GET", "/environments/demo/unified-api/sources"); !strings.Contains(body, `"strava"`) {
		t.Errorf("sources: got %s, want strava", body)
	}
	if _, body := second.call(t, "GET", "/environments"); !strings.Contains(body, `"more"`) {
		t.Errorf("environments: got %s, want more", body)
	}
	second.stop(t)
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(file), ".*")); err != nil || len(left) > 0 {
		t.Errorf("got files left over %v, %v", left, err)
	}
}

// A change is on disk without an orderly end.
func TestStateSurvivesKill(t *testing.T) {
	file := filepath.Join(t.TempDir(), "terra.json")
	r := start(t, "--state", file)
	r.call(t, "PUT", "/environments/demo/unified-api/sources/strava")
	saved := func() bool {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Contains(b, []byte(`"strava"`))
	}
	deadline := time.After(2 * time.Minute)
	for !saved() {
		select {
		case <-time.After(5 * time.Millisecond):
		case <-deadline:
			t.Fatal("the state was not saved")
		}
	}
	r.terminated = true
	_ = r.command.Process.Kill()
	_ = r.command.Wait()
	again := start(t, "--state", file)
	if _, body := again.call(t, "GET", "/environments/demo/unified-api/sources"); !strings.Contains(body, `"strava"`) {
		t.Errorf("sources: got %s, want strava", body)
	}
}

func TestFaultAndRate(t *testing.T) {
	r := start(t, "--fault", "status-503:listSources:2", "--rate", "3/1h", "--latency", "1ms")
	path := "/environments/demo/unified-api/sources"
	for i, want := range []int{200, 503, 200, 200, 429} {
		if status, body := r.call(t, "GET", path); status != want {
			t.Errorf("call %d: got %d %s, want %d", i+1, status, body, want)
		}
	}
}

func TestBrokenContract(t *testing.T) {
	for _, strict := range []bool{false, true} {
		args, want := []string{"--dev-id", "demo"}, 0
		if strict {
			args, want = append(args, "--strict"), 1
		}
		r := start(t, args...)
		r.call(t, "GET", "/environments?limit=0")
		r.call(t, "GET", "/environments")
		code, text := r.stop(t)
		if code != want || strings.Count(text, "contract broken: listEnvironments: request: ") != 1 {
			t.Errorf("strict %v: got exit code %d, stderr %q", strict, code, text)
		}
	}
}

// Listening everywhere, it prints an address that reconcile takes.
func TestListensEverywhere(t *testing.T) {
	r := start(t, "--listen", "0.0.0.0:0", "--allow-remote")
	if !strings.HasPrefix(r.base, "http://127.0.0.1:") || strings.Contains(r.stdout, "[::]") {
		t.Errorf("got %s", r.stdout)
	}
	if status, body := r.call(t, "GET", "/me"); status != 200 {
		t.Errorf("got %d %s", status, body)
	}
	r.stop(t)
}

func TestRefusals(t *testing.T) {
	folder := t.TempDir()
	broken := filepath.Join(folder, "broken.json")
	if err := os.WriteFile(broken, []byte(`{"version":2}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"every interface", []string{"--listen", "0.0.0.0:0"}, 64, "--allow-remote"},
		{"no host", []string{"--listen", ":0"}, 64, "--allow-remote"},
		{"no port", []string{"--listen", "127.0.0.1"}, 64, "HOST:PORT"},
		{"unknown flag", []string{"--nothing"}, 64, "--nothing"},
		{"argument", []string{"serve"}, 64, `"serve"`},
		{"token of a user", []string{"--token", "terra_dt_x"}, 64, "terra_at_"},
		{"token with a quote", []string{"--token", "terra_at_'"}, 64, "terra_at_"},
		{"rate", []string{"--rate", "fast"}, 64, "CALLS/TIME"},
		{"rate of none", []string{"--rate", "0/1m"}, 64, "CALLS/TIME"},
		{"reading", []string{"--reading", "kindly"}, 64, "silent-previews"},
		{"kind of fault", []string{"--fault", "flood"}, 64, "lost-answer"},
		{"operation of fault", []string{"--fault", "hang:listThings"}, 64, "listSources"},
		{"number of fault", []string{"--fault", "hang:*:0"}, 64, "number from 1"},
		{"length of fault", []string{"--fault", "hang:*:1:2"}, 64, "KIND[:OPERATION"},
		{"pair", []string{"--pair", "strava:42"}, 64, "PROVIDER:CLIENT_ID:SECRET"},
		{"provider of a pair", []string{"--pair", "nike:42:x"}, 64, `"nike"`},
		{"token lifetime", []string{"--token-lifetime", "strava"}, 64, "PROVIDER=TIME"},
		{"provider of a lifetime", []string{"--token-lifetime", "nike=1h"}, 64, "PROVIDER=TIME"},
		{"dev-id", []string{"--dev-id", "a/b"}, 64, "a/b"},
		{"state", []string{"--state", broken}, 1, broken + ": read state: version is 2"},
		{"folder of state", []string{"--state", filepath.Join(folder, "none", "x.json")}, 1, "save state"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out, text bytes.Buffer
			code := run(t.Context(), c.args, &out, &text, "test")
			if code != c.code || !strings.Contains(text.String(), c.want) || out.Len() > 0 {
				t.Errorf("got exit code %d, stdout %q, stderr %q; want %d and %q", code, out.String(), text.String(), c.code, c.want)
			}
			if n := strings.Count(text.String(), "\n"); n != 1 {
				t.Errorf("got %d lines on stderr, want one", n)
			}
		})
	}
	if left, err := filepath.Glob(filepath.Join(folder, "*")); err != nil || len(left) != 1 {
		t.Errorf("got files %v, %v, want the broken one alone", left, err)
	}
}

// The process ends with the code that run returns.
func TestExitCode(t *testing.T) {
	p := command(t, "--nothing")
	_ = p.Run() // the exit code says it
	if code := p.ProcessState.ExitCode(); code != exitUsage {
		t.Errorf("got exit code %d, want %d", code, exitUsage)
	}
}

func TestHelpAndVersion(t *testing.T) {
	for flag, want := range map[string]string{"--help": "--allow-remote", "--version": "terra-emulator version"} {
		out, err := command(t, flag).Output()
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: got %v, %q, want %q", flag, err, out, want)
		}
	}
	help, _ := command(t, "--help").Output()
	for line := range strings.Lines(string(help)) {
		if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > 80 {
			t.Errorf("a line of the help is %d wide: %q", n, line)
		}
	}
}
