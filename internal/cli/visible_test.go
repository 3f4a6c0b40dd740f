package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
	"github.com/terra-reconcile/terra-reconcile/internal/doctor"
	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/internal/visible"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
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
	t.Parallel()
	for _, format := range []string{"json", "text"} {
		var out bytes.Buffer
		log, err := newLog(&Process{Stderr: &out}, config.Log{Level: "debug", Format: format}, &logLevel{})
		if err != nil {
			t.Fatal(err)
		}
		log.Error(nasty, "error", nasty, "cause", errors.New(nasty), "list", []string{nasty}, "at", time.Time{}, "n", 3)
		log.With("environment", nasty).WithGroup("g").Warn("event", "text", nasty)
		shown(t, format, out.String())
	}
}

func TestCommandsShowNothingThatActs(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	terminal := false
	proc := &Process{Stdout: &out, Stderr: &out, Now: time.Now, Terminals: Terminals{terminal, terminal, terminal}}
	problem := errors.New(nasty)
	cases := map[string]func() error{
		"error": func() error { printError(proc, fmt.Errorf("first\n%w", problem)); return nil },
		"error on a terminal": func() error {
			terminal = true
			printError(proc, fmt.Errorf("first\n%w", problem))
			terminal = false
			return nil
		},
		"say":     func() error { return say(proc, tell(nasty)) },
		"folded":  func() error { p := newPage(proc); p.folded("  ", nasty); return p.print(&out) },
		"status":  func() error { return printStatus(proc, hostileStatus()) },
		"as JSON": func() error { return json.NewEncoder(escaping{&out}).Encode(hostileStatus()) },
		"history": func() error {
			return historyJSON(proc, []state.Entry{{Environment: nasty, Author: nasty, Error: nasty}}, []string{nasty})
		},
		"history text": func() error {
			p := newPage(proc)
			entryText(p, state.Entry{Environment: nasty, Author: nasty, Error: nasty, Reason: nasty})
			return p.print(&out)
		},
		"doctor": func() error {
			return printResults(proc, "text", exitFailed, hostileResults())
		},
		"doctor as JSON": func() error {
			return printResults(proc, "json", exitFailed, hostileResults())
		},
		"token": func() error {
			return tokenReport{Accounts: []accountToken{{Account: nasty, BaseURL: nasty, Error: nasty}, {Account: "a", Name: nasty, Kind: nasty, Scopes: []string{nasty}, Warnings: []string{nasty}}}}.print(proc)
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

func hostileResults() []doctor.Result {
	return []doctor.Result{{Check: nasty, Subject: nasty, Status: doctor.Fail, Message: nasty,
		Remediations: []plan.Remediation{{Kind: plan.ByRunner, Text: nasty}}}}
}

func hostileStatus() daemon.Status {
	return daemon.Status{Tokens: []daemon.TokenEnd{{Account: nasty}}, Version: nasty, Repository: nasty, Poll: daemon.PollStatus{Error: nasty},
		Environments: []daemon.EnvironmentStatus{{Name: nasty, DevID: nasty, BehindReason: nasty,
			LastRun: &daemon.LastRun{Error: nasty, PlanHash: nasty}, Gated: []daemon.GatedChange{{Change: nasty, Reason: nasty, Guard: nasty}},
			Keys:     []daemon.KeyNotice{{Connection: nasty, State: nasty, Text: nasty}},
			Approved: []daemon.Approved{{Connection: nasty, Hash: nasty, By: []string{nasty}}}}}}
}
