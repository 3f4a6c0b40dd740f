package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// terminalCommand runs reconcile as a person does, on a terminal of 80 columns:
//
//	terminal CODE [TEXT ANSWER]… -- reconcile ARGS…
//
// Each ANSWER is typed once the terminal has shown TEXT; ^C and ^D are the keys,
// LONG is 5,000 letters.
// Afterwards the file raw holds every byte that the terminal got, and the file
// screen what a person then sees. No line may be wider than the terminal, and
// what is typed next must be shown again.
func terminalCommand(ts *testscript.TestScript, neg bool, args []string) {
	split := slices.Index(args, "--")
	if neg || split < 1 || split%2 != 1 || split > len(args)-2 || args[split+1] != "reconcile" {
		ts.Fatalf("usage: terminal CODE [TEXT ANSWER]… -- reconcile ARGS…")
	}
	want, answers := number(ts, args[0]), args[1:split]
	tty := openTerminal(ts)
	cmd := exec.Command(sceneOf(ts).program, args[split+2:]...)
	cmd.Dir, cmd.Env = ts.MkAbs("."), programEnv(ts)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty.slave, tty.slave, tty.slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Pdeathsig: syscall.SIGKILL}
	ts.Check(cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	ts.Defer(func() { _ = cmd.Process.Kill() }) // it has ended, or must
	for i := 0; i < len(answers); i += 2 {
		tty.answer(ts, answers[i], answers[i+1])
	}
	var exit *exec.ExitError
	select {
	case err := <-ended:
		if err != nil && !errors.As(err, &exit) {
			ts.Check(err)
		}
	case <-time.After(patience):
		ts.Fatalf("still runs after %s; the terminal shows\n%s", patience, tty.text())
	}
	echoes := tty.echoes(ts)
	raw := tty.close(ts)
	screen := render(raw)
	sceneOf(ts).keep(ts, "terminal", raw)
	ts.Check(os.WriteFile(ts.MkAbs("raw"), []byte(raw), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs("screen"), []byte(screen), 0o600))
	ts.Logf("[terminal]\n%s", screen)
	if got := cmd.ProcessState.ExitCode(); got != want {
		ts.Fatalf("got exit code %d, want %d", got, want)
	}
	if !echoes {
		ts.Fatalf("the terminal no longer shows what is typed")
	}
	checkScreen(ts, screen)
}

// terminal is a pair of devices: what is written to one is typed on the other.
type terminal struct {
	master, slave *os.File
	drained       chan struct{}

	mu    sync.Mutex
	shown bytes.Buffer
	seen  int           // how much of it an answer was given to
	more  chan struct{} // closed and replaced when something is shown
}

func openTerminal(ts *testscript.TestScript) *terminal {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	ts.Check(err)
	ts.Check(unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0))
	name, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	ts.Check(err)
	slave, err := os.OpenFile("/dev/pts/"+strconv.Itoa(name), os.O_RDWR|syscall.O_NOCTTY, 0)
	ts.Check(err)
	ts.Check(unix.IoctlSetWinsize(int(slave.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80}))
	t := &terminal{master: master, slave: slave, drained: make(chan struct{}), more: make(chan struct{})}
	go t.drain()
	return t
}

// drain reads until the last slave is closed, which ends with an error.
func (t *terminal) drain() {
	defer close(t.drained)
	b := make([]byte, 4096)
	for {
		n, err := t.master.Read(b)
		t.mu.Lock()
		t.shown.Write(b[:n])
		close(t.more)
		t.more = make(chan struct{})
		t.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (t *terminal) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.shown.String()
}

// answer waits until the terminal shows a text that no answer was given to, and
// types.
func (t *terminal) answer(ts *testscript.TestScript, text, keys string) {
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		t.mu.Lock()
		i, more := strings.Index(t.shown.String()[t.seen:], text), t.more
		if i >= 0 {
			t.seen += i + len(text)
		}
		t.mu.Unlock()
		if i >= 0 {
			break
		}
		select {
		case <-more:
		case <-late.C:
			ts.Fatalf("%q was not shown within %s, but\n%s", text, patience, t.text())
		}
	}
	typed, ok := map[string]string{"^C": "\x03", "^D": "\x04", "LONG": strings.Repeat("x", 5000) + "\r"}[keys]
	if !ok {
		typed = keys + "\r"
	}
	_, err := io.WriteString(t.master, typed)
	ts.Check(err)
}

func (t *terminal) echoes(ts *testscript.TestScript) bool {
	settings, err := unix.IoctlGetTermios(int(t.slave.Fd()), unix.TCGETS)
	ts.Check(err)
	return settings.Lflag&unix.ECHO != 0
}

// close returns all that was shown.
func (t *terminal) close(ts *testscript.TestScript) string {
	ts.Check(t.slave.Close())
	<-t.drained
	ts.Check(t.master.Close())
	return t.text()
}

// render is what a terminal shows of a text: the last that was written to each
// cell, without colour and trailing space.
func render(raw string) string {
	raw = regexp.MustCompile("\x1b\\[[0-9;]*m").ReplaceAllString(raw, "")
	var screen strings.Builder
	var line []rune
	at := 0
	end := func() {
		screen.WriteString(strings.TrimRight(string(line), " "))
		line, at = nil, 0
	}
	for _, r := range raw {
		switch {
		case r == '\n':
			end()
			screen.WriteString("\n")
		case r == '\r':
			at = 0
		case at < len(line):
			line[at] = r
			at++
		default:
			line = append(line, r)
			at++
		}
	}
	end()
	return screen.String()
}

func checkScreen(ts *testscript.TestScript, screen string) {
	for line := range strings.Lines(screen) {
		line = strings.TrimSuffix(line, "\n")
		if n := utf8.RuneCountInString(line); n > 80 {
			ts.Fatalf("a line has %d columns, want at most 80:\n%s", n, line)
		}
		if strings.ContainsFunc(line, func(r rune) bool { return r < ' ' }) {
			ts.Fatalf("a line holds what a terminal does not show: %s", fmt.Sprintf("%q", line))
		}
	}
}
