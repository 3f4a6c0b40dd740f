package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
	"github.com/terra-reconcile/terra-reconcile/internal/notify"
	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
)

func toldOf(list []notify.Lasting) []string {
	out := []string{}
	for _, l := range list {
		out = append(out, fmt.Sprintf("%s | %s %s: %s", l.Key, l.Event, l.Environment, l.Text))
	}
	return out
}

// TestWhatPollsTell: a commit of which nothing is used is one message: an environment that
// stays for it goes on to be behind, and begins nothing. What else keeps an environment on its
// last commit is a message of it.
func TestWhatPollsTell(t *testing.T) {
	t.Parallel()
	refusal := errors.New("commit abc is not used: terra.yaml:1:1: x")
	environments := []daemon.Environment{{Name: "production", Behind: refusal.Error()}, {Name: "staging", Behind: refusal.Error() + "; and what it was on is unknown"}, {Name: "eu", Behind: "its files have errors"}, {Name: "us"}}
	behind := []string{"production | environment-invalid production: production: " + refusal.Error(), "staging | environment-invalid staging: staging: " + refusal.Error() + "; and what it was on is unknown"}
	for _, c := range []struct {
		refusal error
		want    []string
	}{
		{&daemon.RefusedCommitError{Commit: "abc", Err: refusal}, []string{"commit abc | commit-refused : " + refusal.Error(), behind[0], behind[1], "eu | environment-invalid eu: eu: its files have errors"}},
		{refusal, []string{"commit | commit-refused : " + refusal.Error(), behind[0], behind[1], "eu | environment-invalid eu: eu: its files have errors"}},
		{nil, []string{behind[0], behind[1], "eu | environment-invalid eu: eu: its files have errors"}},
	} {
		if diff := cmp.Diff(c.want, toldOf(pollConditions("", environments, nil, c.refusal, "reconcile status"))); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	for _, told := range pollConditions("", environments, nil, refusal, "reconcile status") {
		if want := strings.Contains(told.Text, "commit abc") && told.Environment != ""; told.GoesOn != want {
			t.Errorf("%s only goes on: %t", told.Text, told.GoesOn)
		}
	}
}

// TestMessagesOfADaemon: what the daemon's own source hears reaches the outbox, with whom it
// concerns and the end of a token; and who tells nobody any more keeps nothing.
func TestMessagesOfADaemon(t *testing.T) {
	t.Parallel()
	e := newExample(t, time.Now())
	e.vars["TERRA_ADMIN_TOKEN"] = e.terra.AddToken(terratest.Token{ExpiresAt: time.Now().Add(48 * time.Hour)}).Bearer
	source := e.follow(time.Now, io.Discard)
	source.config.Notify = &config.Notify{Receivers: []config.Receiver{{Name: "ops", Form: "webhook", URL: "https://hooks.example/x", Secret: config.EnvSecret("S", nil)}}, Routes: []config.Route{{Receivers: []string{"ops"}}}}
	tell, err := newMessages(sources{source})
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(e.repository(), "production", "environment.yaml")
	text, err := os.ReadFile(name)
	if err == nil {
		err = os.WriteFile(name, append(text, []byte("\nowner: Team Production\n")...), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	e.commit("Say who owns it")
	if _, err := tell.poller(source).Poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if known, none := source.devIDOf("production"), source.devIDOf("nowhere"); known != exampleProduction || none != "" {
		t.Errorf("the dev_ids are %q and %q", known, none)
	}
	unready := tell.unready([]daemon.Unready{{What: "git", Cause: "no route"}, {What: "environment", Environment: "production", Cause: "503"}})
	if unready[0].DevID != "" || unready[1].DevID != exampleProduction {
		t.Errorf("got %q and %q", unready[0].DevID, unready[1].DevID)
	}
	if diff := cmp.Diff([]string{"git | unready : git fails: no route", "environment production | unready production: environment production fails: 503"}, toldOf(unready)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	source.Run(t.Context(), "production", &daemon.Course{})
	all, _, err := source.store.Waiting("ops")
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, m := range all {
		got.Write(m.Body)
		got.WriteByte('\n')
	}
	for _, want := range []string{`"event":"applied"`, `"owner":"Team Production"`, `"event":"token-expiring"`, "token of account default: it expires on "} {
		if !strings.Contains(got.String(), want) {
			t.Errorf("%s is not told:\n%s", want, got.String())
		}
	}
	if r := tell.receivers(); len(r) != 1 || r[0].Waiting != len(all) || r[0].LastSuccess != nil {
		t.Errorf("got %+v", r)
	}
	if words := receiverWords(daemon.Receiver{Name: "ops", Dropped: 2, DropCause: "it answered 404"}); words != "ops never gets 2 messages: it answered 404" {
		t.Errorf("got %q", words)
	}
	source.config.Notify = nil
	none, err := newMessages(sources{source})
	if err != nil {
		t.Fatal(err)
	}
	if _, known, err := source.store.HeardUntil(); known || err != nil || len(none.receivers()) > 0 {
		t.Errorf("it is still remembered: %v, %v", known, err)
	}
}
