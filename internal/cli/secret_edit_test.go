package cli

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// memoryFolder is an empty folder that stays in memory, where this machine has one.
func memoryFolder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "reconcile-test-") //nolint:usetesting // t.TempDir is not in memory
	if err != nil {
		return t.TempDir() // then the private file is made in TMPDIR, which tests set to it
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// editorOf makes an editor of a shell script.
func editorOf(t *testing.T, script string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "editor")
	if err := os.WriteFile(name, []byte("#!/bin/sh\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
	return name
}

func emptyFolder(t *testing.T, dir string) {
	t.Helper()
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Fatalf("left behind: %v, %v", left, err)
	}
}

// TestSignalsAreGuardedAlone: while secrets lie in a file whoever listened for signals before,
// and would end the process at a second one, hears none of them.
func TestSignalsAreGuardedAlone(t *testing.T) { //nolint:paralleltest // the signals are for the whole process
	for _, sent := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		before := make(chan os.Signal, 1)
		signal.Notify(before, sent)
		guarded, _, stop := guardSignals(t.Context(), false)
		if err := syscall.Kill(os.Getpid(), sent); err != nil {
			t.Fatal(err)
		}
		select {
		case <-guarded.Done():
		case <-time.After(patience):
			t.Errorf("%s does not end what is guarded", sent)
		}
		signal.Stop(before) // what is on its way has come by then
		if len(before) > 0 {
			t.Errorf("%s came to who listened before", sent)
		}
		stop()
	}
}

// TestSignalsLeaveNoPrivateFile ends the program in every way that it can see while the
// editor runs, twice in a row: the file with the secrets is gone, and so is the editor.
func TestSignalsLeaveNoPrivateFile(t *testing.T) {
	t.Parallel()
	program := programAt(t, t.TempDir())
	for _, sent := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT} {
		t.Run(sent.String(), func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.must(typedSecret, "encrypt", "production/strava.yaml")
			before, memory := b.read("production/strava.yaml"), memoryFolder(t)
			fifo := filepath.Join(t.TempDir(), "fifo")
			if err := syscall.Mkfifo(fifo, 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(program, "secret", "edit", b.at("production/strava.yaml"))
			cmd.Env = []string{
				"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "XDG_RUNTIME_DIR=" + memory, "TMPDIR=" + memory,
				"RECONCILE_AGE_KEY_FILE=" + b.at("identity.txt"), "EDITOR=" + editorOf(t, "cp \"$1\" \"$1~\"\necho editing\nread x <"+fifo+"\n"),
			}
			var errs bytes.Buffer
			cmd.Stderr = &errs
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = cmd.Process.Kill() })
			if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "editing\n" {
				t.Fatalf("got %q, %v", line, err)
			}
			if folders, err := os.ReadDir(memory); err != nil || len(folders) != 1 {
				t.Fatalf("while it is edited: %v, %v", folders, err)
			}
			for range 2 {
				if err := cmd.Process.Signal(sent); err != nil && !errors.Is(err, os.ErrProcessDone) {
					t.Fatal(err)
				}
			}
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			select {
			case <-ended:
			case <-time.After(patience):
				t.Fatal("still runs")
			}
			if got := cmd.ProcessState.ExitCode(); got != exitFailed || !strings.Contains(errs.String(), "interrupted; nothing was changed") {
				t.Errorf("exit code %d: %s", got, &errs)
			}
			emptyFolder(t, memory)
			if b.read("production/strava.yaml") != before {
				t.Error("the file was changed")
			}
		})
	}
}

// TestFaultsLeaveNoPrivateFile breaks what happens while the private file is there.
func TestFaultsLeaveNoPrivateFile(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		editor string
		proc   func(*Process)
		code   int
		says   string
	}{
		"saved": {"sed -i s/5f1d/6f1d/ \"$1\"; cp \"$1\" \"$1~\"", nil, 0, "Sealed client_secret"},
		"a panic": {"sed -i 's/=.*/=zT9yR4eW2qA7sD1fG6hJ3kL8xC0vB5nM/' \"$1\"", func(p *Process) {
			p.Stderr = &panicking{p.Stderr.(*bytes.Buffer)}
		}, 70, "a fault of this program"},
		"the file is gone":          {"rm \"$1\"", nil, 1, "read what was edited"},
		"a link":                    {"ln -sf /etc/passwd \"$1\"", nil, 1, "the editor left no file"},
		"a folder":                  {"rm \"$1\"; mkdir \"$1\"", nil, 1, "the editor left no file"},
		"too large":                 {"head -c 2000000 /dev/zero >\"$1\"", nil, 1, "larger than 1 MiB"},
		"no editor":                 {"exit 127", nil, 1, "run the editor"},
		"not to be read any more":   {"chmod 000 \"$1\"", nil, 0, ""},
		"its folder is gone":        {"rm -r \"${1%/*}\"", nil, 1, "read what was edited"},
		"nothing but the notes":     {"sed -i '/^#/!d' \"$1\"", nil, 1, "the file was emptied"},
		"white space at its end":    {"sed -i 's/^client.*/& /' \"$1\"", nil, 1, "begins or ends with white space"},
		"line ends of another kind": {"sed -i 's/$/\\r/' \"$1\"", nil, 0, "Nothing was changed"},
		"no line end at the end":    {"printf %s \"$(cat \"$1\")\" >\"$1.n\"; mv \"$1.n\" \"$1\"", nil, 0, "Nothing was changed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.must(typedSecret, "encrypt", "production/strava.yaml")
			before, memory := b.read("production/strava.yaml"), memoryFolder(t)
			b.vars["XDG_RUNTIME_DIR"], b.vars["EDITOR"] = memory, editorOf(t, c.editor)
			var out, errs bytes.Buffer
			proc := &Process{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs, Getenv: func(name string) string { return b.vars[name] }, Now: time.Now}
			if c.proc != nil {
				c.proc(proc)
			}
			code := Run(t.Context(), []string{"secret", "edit", b.at("production/strava.yaml")}, proc)
			if said := out.String() + errs.String(); code != c.code || !strings.Contains(said, c.says) || strings.Contains(said, typedSecret[8:16]) {
				t.Errorf("exit code %d: %s", code, said)
			}
			emptyFolder(t, memory)
			if after := b.read("production/strava.yaml"); (after != before) != strings.HasPrefix(c.says, "Sealed") {
				t.Errorf("changed: %t", after != before)
			}
		})
	}
}

// panicking breaks when it is told something about the new secret.
type panicking struct{ *bytes.Buffer }

func (p *panicking) Write(b []byte) (int, error) {
	if bytes.HasPrefix(b, []byte("warning:")) {
		panic("broken")
	}
	return p.Buffer.Write(b)
}

// TestPrivateFileIsOverwritten looks at what stands in a file after it was wiped, by a
// link from elsewhere.
func TestPrivateFileIsOverwritten(t *testing.T) {
	t.Parallel()
	elsewhere := t.TempDir()
	f, err := makePrivateFile(elsewhere)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.write(typedSecret); err != nil {
		t.Fatal(err)
	}
	kept := []string{filepath.Join(elsewhere, "first"), filepath.Join(elsewhere, "second")}
	if err := errors.Join(os.Link(f.name, kept[0]), os.Remove(f.name), f.write(typedSecret), os.Link(f.name, kept[1])); err != nil {
		t.Fatal(err)
	}
	if err := f.wipe(); err != nil {
		t.Fatal(err)
	}
	for _, name := range kept {
		if text, err := os.ReadFile(name); err != nil || len(text) != len(typedSecret) || len(bytes.Trim(text, "\x00")) > 0 {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
	if _, err := os.Stat(f.dir); !os.IsNotExist(err) {
		t.Errorf("the folder is there: %v", err)
	}
}
