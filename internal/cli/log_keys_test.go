package cli

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// logKeys reads the table of docs/operations.md: every key that a line of the log may have.
func logKeys() (map[string]bool, error) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "operations.md"))
	if err != nil {
		return nil, err
	}
	_, section, found := strings.Cut(string(text), "\n### The log\n")
	section, _, _ = strings.Cut(section, "\n### ")
	keys := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| (`[^|]*`) \\|").FindAllStringSubmatch(section, -1) {
		for _, key := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(row[1], -1) {
			keys[key[1]] = true
		}
	}
	if !found || len(keys) < 20 {
		return nil, fmt.Errorf("docs/operations.md: the table of the log's keys is not there: %v", keys)
	}
	return keys, nil
}

// logged looks at what a daemon has logged: each key stands in the table, and each line of a
// run says of which, of which commit and environment, and where it is about a connection of
// which. What is not a line of a log is left alone: commands talk to people, too.
func logged(lines []string) error {
	keys, err := logKeys()
	if err != nil {
		return err
	}
	perRun := map[string][]string{
		"run": nil, "warning": nil, "event": nil, "call": nil,
		"change": {"connection"}, "not compared": {"connection"},
	}
	for _, text := range lines {
		line := map[string]any{}
		if !strings.HasPrefix(text, `{"time":`) || json.Unmarshal([]byte(text), &line) != nil {
			continue
		}
		for _, key := range slices.Sorted(maps.Keys(line)) {
			if !keys[key] {
				return fmt.Errorf("the key %q of the log is not in the table of docs/operations.md: %s", key, text)
			}
		}
		more, ofRun := perRun[fmt.Sprint(line["msg"])]
		if !ofRun {
			continue
		}
		for _, key := range append([]string{"run", "commit", "environment"}, more...) {
			if line[key] == nil || line[key] == "" {
				return fmt.Errorf("a line of a run has no %s: %s", key, text)
			}
		}
	}
	return nil
}

// TestLogIsLookedAt: the look at the logs of the scripts finds what it is for.
func TestLogIsLookedAt(t *testing.T) {
	t.Parallel()
	const good = `{"time":"","level":"INFO","msg":"change","run":"r","commit":"c","environment":"e","connection":"e/x","id":"i"}`
	for line, want := range map[string]string{
		good: "", "reconcile: nothing": "",
		strings.Replace(good, `"id"`, `"ident"`, 1):                       `the key "ident"`,
		strings.Replace(good, `"run":"r",`, ``, 1):                        "has no run",
		strings.Replace(good, `"connection":"e/x"`, `"connection":""`, 1): "has no connection",
	} {
		if err := logged([]string{line}); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", line, err, want)
		}
	}
}

// TestLogLevelGoesBackByItself, also where daemon.yaml changed meanwhile.
func TestLogLevelGoesBackByItself(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(*testing.T) {
		l := &logLevel{}
		l.asConfigured(slog.LevelInfo)
		expect := func(level, configured string, lasts bool) {
			t.Helper()
			synctest.Wait()
			if got := l.shown(); got.Level != level || got.Configured != configured || (got.Until != nil) != lasts {
				t.Errorf("got %+v, want %s, configured %s, for a time %t", got, level, configured, lasts)
			}
		}
		l.set(slog.LevelDebug, time.Hour, time.Now())
		<-time.After(30 * time.Minute)
		expect("debug", "info", true)
		l.asConfigured(slog.LevelWarn)
		expect("debug", "warn", true)
		l.set(slog.LevelError, 40*time.Minute, time.Now()) // which ends the former
		<-time.After(35 * time.Minute)
		expect("error", "warn", true)
		<-time.After(5 * time.Minute)
		expect("warn", "warn", false)
		l.toggle(time.Now())
		expect("debug", "warn", true)
		l.toggle(time.Now())
		expect("warn", "warn", false)
		l.toggle(time.Now())
		<-time.After(logLevelLasts)
		expect("warn", "warn", false)
	})
}
