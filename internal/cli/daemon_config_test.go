package cli

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

const someConfig = "repo: {url: /srv/config}\naccounts: {default: {token_env: T, dev_ids: [a]}}\napply: false\nlisten: 127.0.0.1:"

// TestConfigWatch follows a file through what editors, Kubernetes and full disks do
// to it, on a clock of its own.
func TestConfigWatch(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "daemon.yaml")
	put := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	put("daemon.yaml", someConfig+"1\n")
	var asked chan os.Signal
	w := &configWatch{file: file, getenv: func(string) string { return "" }, running: digestOf(file)}
	log := &bytes.Buffer{}
	// within waits for a configuration, and gives its listening address.
	within := func(d time.Duration, meanwhile func()) (listen string) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), d)
			defer cancel()
			asked = make(chan os.Signal, 1)
			w.asked = asked
			go func() {
				<-time.After(time.Second)
				meanwhile()
			}()
			c := w.wait(ctx, slog.New(slog.NewTextHandler(log, nil)))
			if c != nil {
				listen, w.running = c.Listen, c.digest
			}
		})
		return listen
	}
	nothing := func() {}
	for _, step := range []struct {
		name      string
		within    time.Duration
		meanwhile func()
		want      string
	}{
		{"nothing happens for a day", 24 * time.Hour, nothing, ""},
		{"touched", time.Minute, func() { do(os.Chtimes(file, time.Now(), time.Now())) }, ""},
		{"written in place", time.Minute, func() { put("daemon.yaml", someConfig+"2\n") }, "127.0.0.1:2"},
		{"renamed over", time.Minute, func() { put("new", someConfig+"3\n"); do(os.Rename(filepath.Join(dir, "new"), file)) }, "127.0.0.1:3"},
		{"half of it is written", 9 * time.Second, func() { put("daemon.yaml", someConfig+"4") }, ""},
		{"and the rest", time.Minute, func() { put("daemon.yaml", someConfig+"41\n") }, "127.0.0.1:41"},
		{"wrong", time.Hour, func() { put("daemon.yaml", "apply: perhaps\n") }, ""},
		{"wrong, and a person says that it is done", 2 * time.Second, func() { asked <- syscall.SIGHUP }, ""},
		{"as before", time.Hour, func() { put("daemon.yaml", someConfig+"41\n") }, ""},
		{"gone", time.Hour, func() { do(os.Remove(file)) }, ""},
		{"a link, as in a ConfigMap", time.Minute, func() {
			do(os.MkdirAll(filepath.Join(dir, "..1"), 0o700))
			put("..1/daemon.yaml", someConfig+"5\n")
			do(os.Symlink("..1", filepath.Join(dir, "..data")))
			do(os.Symlink("..data/daemon.yaml", file))
		}, "127.0.0.1:5"},
		{"the link is swapped", time.Minute, func() {
			do(os.MkdirAll(filepath.Join(dir, "..2"), 0o700))
			put("..2/daemon.yaml", someConfig+"6\n")
			do(os.Symlink("..2", filepath.Join(dir, "..data_tmp")))
			do(os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
		}, "127.0.0.1:6"},
		{"a person says that it is done", 2 * time.Second, func() { put("..2/daemon.yaml", someConfig+"7\n"); asked <- syscall.SIGHUP }, "127.0.0.1:7"},
		{"a person says so, and it is not", 2 * time.Second, func() { asked <- syscall.SIGHUP }, ""},
	} {
		began := w.status().RefusedSince
		if got := within(step.within, step.meanwhile); got != step.want {
			t.Errorf("%s: got %q, want %q", step.name, got, step.want)
		}
		refusal := map[string]string{"wrong": "daemon.yaml:1:1: ", "wrong, and a person says that it is done": "daemon.yaml:1:1: ", "gone": "no such file"}[step.name]
		s := w.status()
		if (s.RefusedSince != nil) != (refusal != "") || !strings.Contains(s.Error, refusal) || refusal == "" && s.Error != "" || strings.Contains(s.Error, "\n") ||
			began != nil && s.RefusedSince != nil && !began.Equal(*s.RefusedSince) {
			t.Errorf("%s: status %+v, want it refused for %q (since %v)", step.name, s, refusal, began)
		}
	}
	for _, said := range []string{"the configuration is the one in use", "what was refused of the configuration is gone", "the configuration is the one that could not be used; mend what its error says and change the file, then it is tried again"} {
		if got := strings.Count(log.String(), said); got != 1 {
			t.Errorf("%q is said %d times, want once, to whoever asked:\n%s", said, got, log)
		}
	}
	if got := strings.Count(log.String(), "level=ERROR"); got != 2 {
		t.Errorf("%d errors, want one each for what was wrong and gone:\n%s", got, log)
	}
}
