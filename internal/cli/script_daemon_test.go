package cli

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// patience is how long a script waits for something that must happen, and busy how many
// times as long as on a quiet machine something may take: what hangs is refused, not what
// is slow.
const (
	patience = 2 * time.Minute
	busy     = 6
)

// daemonCommand runs one command in the background and talks to it:
//
//	daemon start ARGS…          run `reconcile ARGS…`
//	daemon says PATTERN         wait until a new line of its log matches
//	daemon healthy CODE         GET /healthz where its log says that it serves
//	daemon page PATTERN         GET /healthz says so
//	daemon metric PATTERN       wait until a line of GET /metrics matches from its beginning to its end
//	daemon unmetered PATTERN    no line of it does
//	daemon ready CODE [PATTERN] wait until GET /readyz answers with the code, and says so
//	daemon never PATTERN        after stop: no line matched
//	daemon said N PATTERN       after stop: N lines matched
//	daemon config FILE          put FILE in the place of daemon.yaml, as editors do
//	daemon signal SIGNAL        send HUP, USR1 or USR2, and go on
//	daemon hooked CODE SECRET [REPO]   POST /hooks/git, or that of a repository, as GitHub signs it
//	daemon deaf                 nobody reads its log any more
//	daemon stop SIGNAL CODE D   send TERM, INT or KILL (code -1); it must end within D on a quiet machine, with CODE
func daemonCommand(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 1, 100, "daemon start|says|healthy|stop …")
	s := sceneOf(ts)
	what, args := args[0], args[1:]
	if what == "start" {
		s.startDaemon(ts, args)
		return
	}
	if s.daemon == nil {
		ts.Fatalf("daemon start comes first")
	}
	switch what {
	case "deaf":
		ts.Check(s.daemon.log.Close())
	case "never":
		s.daemon.said(ts, 0, strings.Join(args, " "))
	case "said":
		s.daemon.said(ts, number(ts, args[0]), strings.Join(args[1:], " "))
	case "says":
		s.daemon.says(ts, strings.Join(args, " "))
	case "healthy":
		s.daemon.healthy(ts, number(ts, args[0]))
	case "ready":
		s.daemon.ready(ts, number(ts, args[0]), strings.Join(args[1:], " "))
	case "metric":
		s.metric(ts, strings.Join(args, " "))
	case "unmetered":
		if line := s.measured(ts, strings.Join(args, " ")); line != "" {
			ts.Fatalf("/metrics says %s", line)
		}
	case "config":
		ts.Check(os.WriteFile(ts.MkAbs("daemon.yaml.new"), based(ts, args[0]), 0o600))
		ts.Check(os.Rename(ts.MkAbs("daemon.yaml.new"), ts.MkAbs("daemon.yaml")))
	case "signal":
		ts.Check(s.daemon.cmd.Process.Signal(signalOf(ts, args[0])))
	case "hooked":
		need(ts, neg, args, 2, 3, "daemon hooked CODE SECRET [REPO]")
		s.daemon.hooked(ts, number(ts, args[0]), args[1], args[2:]...)
	case "page":
		if page := s.daemon.healthy(ts, 0); !regexp.MustCompile(strings.Join(args, " ")).MatchString(page) {
			ts.Fatalf("/healthz says %s", page)
		}
	case "stop":
		need(ts, neg, args, 3, 3, "daemon stop SIGNAL CODE DURATION")
		s.daemon.stop(ts, args[0], number(ts, args[1]), args[2])
		s.keep(ts, "daemon", strings.Join(s.daemon.all(), "\n"))
	default:
		ts.Fatalf("daemon %s: unknown", what)
	}
}

// background is a command under way and what it has said.
type background struct {
	cmd   *exec.Cmd
	ended chan error
	log   *os.File // the end of it that is read

	mu    sync.Mutex
	lines []string
	read  int           // lines that says has seen
	more  chan struct{} // closed and replaced at each line
}

func (s *scene) startDaemon(ts *testscript.TestScript, args []string) {
	if _, err := os.Stat(ts.MkAbs("daemon.yaml")); err == nil {
		ts.Check(os.WriteFile(ts.MkAbs("daemon.yaml"), based(ts, "daemon.yaml"), 0o600))
	}
	cmd := exec.Command(s.program, args...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = programEnv(ts)
	reader, writer, err := os.Pipe()
	ts.Check(err)
	cmd.Stdout, cmd.Stderr = writer, writer
	ts.Check(cmd.Start())
	ts.Check(writer.Close())
	b := &background{cmd: cmd, log: reader, ended: make(chan error, 1), more: make(chan struct{})}
	s.daemon = b
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		b.drain(reader)
	}()
	go func() {
		<-drained
		b.ended <- cmd.Wait()
	}()
	ts.Defer(func() {
		_ = cmd.Process.Kill() // it may have ended already
		<-b.ended
		ts.Check(logged(b.all()))
		ts.Logf("[daemon]\n%s", strings.Join(b.all(), "\n"))
	})
}

// based is a daemon.yaml, which has no variables: BASE stands for where the
// emulator is, AT-FORGE for where the forge is, AT-RECEIVER for where messages go, and
// REMOTE for where the git server is.
func based(ts *testscript.TestScript, name string) []byte {
	text, err := os.ReadFile(ts.MkAbs(name))
	ts.Check(err)
	text = bytes.ReplaceAll(text, []byte("AT-FORGE"), []byte(ts.Getenv("FORGE")))
	text = bytes.ReplaceAll(text, []byte("AT-RECEIVER"), []byte(ts.Getenv("RECEIVER")))
	text = bytes.ReplaceAll(text, []byte("REMOTE"), []byte(ts.Getenv("REMOTE")))
	return bytes.ReplaceAll(text, []byte("BASE"), []byte(ts.Getenv("TERRA_BASE_URL")))
}

func signalOf(ts *testscript.TestScript, name string) syscall.Signal {
	number, ok := map[string]syscall.Signal{"HUP": syscall.SIGHUP, "USR1": syscall.SIGUSR1, "USR2": syscall.SIGUSR2, "TERM": syscall.SIGTERM, "INT": syscall.SIGINT, "KILL": syscall.SIGKILL}[name]
	if !ok {
		ts.Fatalf("signal %s: use HUP, USR1, USR2, TERM, INT or KILL", name)
	}
	return number
}

// programEnv is what the script set of the variables that the command reads.
func programEnv(ts *testscript.TestScript) []string {
	var out []string
	for _, name := range []string{
		"HOME", "PATH", "TMPDIR", "TERM", "NO_COLOR", "TERRA_BASE_URL", "TERRA_ADMIN_TOKEN",
		"RECONCILE_STATE_DIR", "RECONCILE_AGE_KEY_FILE", "RECONCILE_AGE_KEY",
		"RECONCILE_PREVIEW_TOKEN", "GIT_TOKEN", "APPROVER_JO", "APPROVER_KIM", "READER", "APPROVER", "EDITOR", "VISUAL", "WORK", "RECONCILE_FORGE_TOKEN", "HOOK_SECRET", "SLACK_URL",
	} {
		if value := ts.Getenv(name); value != "" {
			out = append(out, name+"="+value)
		}
	}
	return out
}

func (b *background) drain(reader io.ReadCloser) {
	defer reader.Close()
	scanner := bufio.NewScanner(reader)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		b.mu.Lock()
		b.lines = append(b.lines, scanner.Text())
		close(b.more)
		b.more = make(chan struct{})
		b.mu.Unlock()
	}
}

func (b *background) all() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string{}, b.lines...)
}

// says waits for a line that no earlier says has passed.
func (b *background) says(ts *testscript.TestScript, pattern string) {
	want, err := regexp.Compile(pattern)
	ts.Check(err)
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		b.mu.Lock()
		for b.read < len(b.lines) {
			b.read++
			if want.MatchString(b.lines[b.read-1]) {
				b.mu.Unlock()
				return
			}
		}
		more := b.more
		b.mu.Unlock()
		select {
		case <-more:
		case err := <-b.ended:
			b.ended <- err
			ts.Fatalf("it ended (%v) and never said %s", err, pattern)
		case <-timer.C:
			ts.Fatalf("it did not say %s within %s", pattern, patience)
		}
	}
}

func (b *background) said(ts *testscript.TestScript, want int, pattern string) {
	looked, err := regexp.Compile(pattern)
	ts.Check(err)
	var found []string
	for _, line := range b.all() {
		if looked.MatchString(line) {
			found = append(found, line)
		}
	}
	if len(found) != want {
		ts.Fatalf("%d lines say %s, want %d:\n%s", len(found), pattern, want, strings.Join(found, "\n"))
	}
}

func (b *background) healthy(ts *testscript.TestScript, want int) (page string) {
	code, page := b.get(ts, "/healthz")
	if want != 0 && code != want {
		ts.Fatalf("/healthz answers %d, want %d", code, want)
	}
	return page
}

// hooked tells the daemon of a push, as GitHub does. No two say the same.
func (b *background) hooked(ts *testscript.TestScript, want int, secret string, repo ...string) {
	body := []byte(rand.Text())
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	request, err := http.NewRequest(http.MethodPost, "http://"+b.address(ts)+path.Join("/hooks/git", path.Join(repo...)), bytes.NewReader(body))
	ts.Check(err)
	request.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	response, err := (&http.Client{Timeout: patience}).Do(request)
	ts.Check(err)
	ts.Check(response.Body.Close())
	if response.StatusCode != want {
		ts.Fatalf("the hook answers %d, want %d", response.StatusCode, want)
	}
}

// ready waits until /readyz answers with a code, and wants its page to match.
func (b *background) ready(ts *testscript.TestScript, want int, pattern string) {
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for until := time.Now().Add(patience); ; <-again.C {
		code, page := b.get(ts, "/readyz")
		if code == want && regexp.MustCompile(pattern).MatchString(page) {
			return
		}
		if time.Now().After(until) {
			ts.Fatalf("/readyz answers %d, want %d and %s:\n%s", code, want, pattern, page)
		}
	}
}

// metric waits until a line of /metrics matches.
func (s *scene) metric(ts *testscript.TestScript, pattern string) {
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for until := time.Now().Add(patience); s.measured(ts, pattern) == ""; <-again.C {
		if time.Now().After(until) {
			_, page := s.daemon.get(ts, "/metrics")
			ts.Fatalf("/metrics has no line %s:\n%s", pattern, page)
		}
	}
}

// measured gives the line of /metrics that matches, and keeps all of it.
func (s *scene) measured(ts *testscript.TestScript, pattern string) string {
	want := regexp.MustCompile("^(?:" + pattern + ")$")
	code, page := s.daemon.get(ts, "/metrics")
	if code != http.StatusOK {
		ts.Fatalf("/metrics answers %d: %s", code, page)
	}
	s.keep(ts, "metrics", page)
	for line := range strings.SplitSeq(page, "\n") {
		if want.MatchString(line) {
			return line
		}
	}
	return ""
}

func (b *background) get(ts *testscript.TestScript, path string) (code int, page string) {
	address := b.address(ts)
	answer, err := (&http.Client{Timeout: patience}).Get("http://" + address + path)
	ts.Check(err)
	text, err := io.ReadAll(answer.Body)
	ts.Check(errors.Join(err, answer.Body.Close()))
	return answer.StatusCode, string(text)
}

// address is where its log says that it serves.
func (b *background) address(ts *testscript.TestScript) string {
	serving := regexp.MustCompile(`"address":"([^"]+)"`)
	address := ""
	for _, line := range b.all() {
		if m := serving.FindStringSubmatch(line); m != nil {
			address = m[1]
		}
	}
	if address == "" {
		ts.Fatalf("its log does not say where it serves")
	}
	return address
}

func (b *background) stop(ts *testscript.TestScript, signal string, want int, within string) {
	most, err := time.ParseDuration(within)
	ts.Check(err)
	most *= busy
	ts.Check(b.cmd.Process.Signal(signalOf(ts, signal)))
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case err := <-b.ended:
		b.ended <- err
		if got := b.cmd.ProcessState.ExitCode(); got != want {
			ts.Fatalf("got exit code %s, want %s\n%s", strconv.Itoa(got), strconv.Itoa(want), strings.Join(b.all(), "\n"))
		}
	case <-timer.C:
		ts.Fatalf("it did not end within %s of SIG%s\n%s", most, signal, strings.Join(b.all(), "\n"))
	}
}
