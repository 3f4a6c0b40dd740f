package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/internal/visible"
)

// nasty is what somebody outside would like to have printed: it clears a screen,
// names a window, turns a line, hides a word, breaks a line.
const nasty = "\x1b[2J\x1b]0;owned\a\u202eabc\u200e\u200f\u200b\u2066x\u2028y\u2029\u0085\u009b31m\ufe0f\u3164\U000e0041\xff\rz"

// shown fails where a character reached a person that visible hides.
func shown(t *testing.T, where, text string) {
	t.Helper()
	if text == "" {
		t.Errorf("%s: nothing was printed; the test tests nothing", where)
	}
	for _, r := range text {
		if r != '\n' && visible.Hides(r) {
			t.Errorf("%s: U+%04X reached the output: %q", where, r, text)
			return
		}
	}
}

func TestLogShowsNothingThatActs(t *testing.T) {
	for _, format := range []string{"json", "text"} {
		var out bytes.Buffer
		log, err := newLog(&environment{Stderr: &out}, config.Log{Level: "debug", Format: format})
		if err != nil {
			t.Fatal(err)
		}
		log.Error(nasty, "error", nasty, "cause", errors.New(nasty), "list", []string{nasty}, "at", time.Time{}, "n", 3)
		log.With("environment", nasty).WithGroup("g").Warn("event", "text", nasty)
		shown(t, format, out.String())
	}
}

func TestCommandsShowNothingThatActs(t *testing.T) {
	var out bytes.Buffer
	terminal := false
	env := &environment{Stdout: &out, Stderr: &out, Now: time.Now, IsTerminal: func(any) bool { return terminal }}
	problem := errors.New(nasty)
	cases := map[string]func() error{
		"error": func() error { printError(env, fmt.Errorf("first\n%w", problem)); return nil },
		"error on a terminal": func() error {
			terminal = true
			printError(env, fmt.Errorf("first\n%w", problem))
			terminal = false
			return nil
		},
		"say":     func() error { return say(env, nasty) },
		"folded":  func() error { p := newPage(env); p.folded("  ", nasty); return p.print(&out) },
		"status":  func() error { return printStatus(env, hostileStatus()) },
		"as JSON": func() error { return json.NewEncoder(escaping{&out}).Encode(hostileStatus()) },
		"history": func() error {
			return historyJSON(env, []state.Entry{{Environment: nasty, Author: nasty, Error: nasty}}, []string{nasty})
		},
		"history text": func() error {
			p := newPage(env)
			entryText(p, state.Entry{Environment: nasty, Author: nasty, Error: nasty, Reason: nasty})
			return p.print(&out)
		},
		"doctor": func() error {
			d := &doctor{env: env, flags: &runFlags{format: "text"}}
			d.fail(nasty, nasty, nasty, nasty)
			return d.print()
		},
		"doctor as JSON": func() error {
			d := &doctor{env: env, flags: &runFlags{format: "json"}}
			d.warn(nasty, nasty, nasty, nasty)
			return d.print()
		},
		"token": func() error {
			return tokenReport{Accounts: []accountToken{{Account: nasty, BaseURL: nasty, Error: nasty}, {Account: "a", Name: nasty, Kind: nasty, Scopes: []string{nasty}, Warnings: []string{nasty}}}}.print(env)
		},
	}
	for name, do := range cases {
		out.Reset()
		if err := do(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		shown(t, name, out.String())
	}
	t.Logf("COUNT visible_outputs=%d", len(cases)+2)
}

func hostileStatus() daemon.Status {
	return daemon.Status{Version: nasty, Repository: nasty, Poll: daemon.PollStatus{Error: nasty},
		Environments: []daemon.EnvironmentStatus{{Name: nasty, DevID: nasty, Behind: nasty,
			LastRun: &daemon.LastRun{Error: nasty, PlanHash: nasty}, Held: []daemon.HeldEntry{{Change: nasty, Reason: nasty, Guard: nasty}},
			Approved: &daemon.Approved{Hash: nasty, Owner: nasty}}}}
}
