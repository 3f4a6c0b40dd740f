package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/providers"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/secrets"
)

// What is left over the socket is checked as if a stranger had sent it.
func TestAnswersThatAreRefused(t *testing.T) {
	k := openKeeper(t, state.Known{DevID: "prod-x", Commits: state.Commits{Environment: "production"}})
	pair := "hmac-sha256:" + strings.Repeat("0a", 32)
	good := daemon.ProbeAnswer{DevID: "prod-x", Pair: pair, Verdict: "good", Reason: "it knows the pair"}
	for name, edit := range map[string]func(*daemon.ProbeAnswer){
		"no environment":      func(a *daemon.ProbeAnswer) { a.DevID = "" },
		"another environment": func(a *daemon.ProbeAnswer) { a.DevID = "prod-y" },
		"a name":              func(a *daemon.ProbeAnswer) { a.DevID = "production" },
		"a pair":              func(a *daemon.ProbeAnswer) { a.Pair = "123456/" + typedSecret },
		"another digest":      func(a *daemon.ProbeAnswer) { a.Pair = "sha256:" + strings.Repeat("0a", 32) },
		"no verdict":          func(a *daemon.ProbeAnswer) { a.Verdict = "" },
		"another verdict":     func(a *daemon.ProbeAnswer) { a.Verdict = "great" },
		"a terminal code":     func(a *daemon.ProbeAnswer) { a.Reason = "\x1b[2J" },
		"a long reason":       func(a *daemon.ProbeAnswer) { a.Reason = strings.Repeat("x", 1001) },
	} {
		a := good
		edit(&a)
		if _, err := k.Remember(a); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, ok, err := k.store.Probed("prod-x", pair); ok || err != nil {
		t.Errorf("something was remembered: %v", err)
	}
	if _, err := k.Remember(good); err != nil {
		t.Fatal(err)
	}
	if got, ok, err := k.store.Probed("prod-x", pair); !ok || err != nil || got != (plan.Probe{Verdict: plan.Good, Reason: good.Reason, At: k.now()}) {
		t.Errorf("got %+v, %v", got, err)
	}
}

// stravaAt is a provider on this machine that counts its questions, and a prober
// that asks it.
func stravaAt(t *testing.T) (prober, *int) {
	t.Helper()
	asked := new(int)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		*asked++
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"message":"Bad Request","errors":[{"resource":"AuthorizationCode","field":"code","code":"invalid"}]}`))
	}))
	t.Cleanup(server.Close)
	addresses := map[string]string{"strava": server.URL}
	return prober{Prober: providers.NewProber(nil, addresses), addresses: addresses}, asked
}

func identityOf(t *testing.T) *secrets.Identities {
	t.Helper()
	private, _, err := secrets.GenerateIdentity(false)
	if err != nil {
		t.Fatal(err)
	}
	ids, err := secrets.LoadIdentities(secrets.Source{Inline: private.Reveal()})
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

// One question an hour about a pair is kept by all who ask, with the state free,
// with a daemon that holds it, and without an identity only where nobody else is.
func TestOneQuestionAnHour(t *testing.T) {
	ask, asked := stravaAt(t)
	ids, dir, now := identityOf(t), t.TempDir(), time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	env := &environment{Now: func() time.Time { return now }}
	question := func(ids *secrets.Identities) (plan.Probe, string) {
		t.Helper()
		a, warnings, err := openAsking(t.Context(), env, dir, ask, ids)
		if err != nil {
			t.Fatal(err)
		}
		answer, more := a.asker.Ask(t.Context(), "prod-x", "strava", "123456", secrets.NewValue([]byte(typedSecret)))
		if err := a.store.Close(); err != nil {
			t.Fatal(err)
		}
		return answer, strings.Join(append(warnings, more...), "\n")
	}
	expect := func(what string, wantAsked int, warns string, ids *secrets.Identities) {
		t.Helper()
		before := *asked
		answer, warnings := question(ids)
		if answer.Verdict != plan.Good || *asked-before != wantAsked || warnings != warns && (warns == "" || !strings.Contains(warnings, warns)) {
			t.Errorf("%s: got %+v, asked %d, warnings %q; want asked %d, %q", what, answer, *asked-before, warnings, wantAsked, warns)
		}
		if wantAsked == 0 && !answer.At.Before(now) {
			t.Errorf("%s: the answer is as new as the question", what)
		}
	}
	expect("the first time", 1, "", ids)
	now = now.Add(59 * time.Minute)
	expect("within the hour", 0, "", ids)
	if got := spoken(plan.Probe{Reason: "good", At: now.Add(-59 * time.Minute)}, now); got != "good, said 59 minutes ago; it is asked once an hour at most" {
		t.Errorf("got %q", got)
	}

	store, err := state.Open(dir, state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	held := keeper{store: store, now: env.Now, named: func() []state.Known { return []state.Known{{DevID: "prod-x"}} }}
	stop, err := daemon.Serve(t.Context(), dir, held, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	expect("beside a daemon that was told", 0, "", ids)
	now = now.Add(2 * time.Minute)
	expect("after the hour", 1, "", ids)
	now = now.Add(30 * time.Minute)
	expect("it was handed over", 0, "", ids)
	expect("of another identity", 1, "the answers are not remembered: no identity at hand opens", identityOf(t))
	held.named = nil
	stop()
	if stop, err = daemon.Serve(t.Context(), dir, held, nil, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Hour)
	expect("of an environment that the daemon does not know", 1, "the answer is not remembered, so do not ask again within an hour: remember answer: no environment has the dev_id", ids)
	stop()
}

// The state is in use, and whoever uses it does not answer: nobody knows who was
// asked, so nobody is.
func TestNobodyIsAskedWhereNobodyKnowsWhoWas(t *testing.T) {
	ask, asked := stravaAt(t)
	dir := t.TempDir()
	store, err := state.Open(dir, state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	ctx, cancel := context.WithTimeoutCause(t.Context(), 300*time.Millisecond, errors.New("enough"))
	defer cancel()
	if _, _, err := openAsking(ctx, &environment{Now: time.Now}, dir, ask, identityOf(t)); err == nil || *asked != 0 {
		t.Errorf("got no error, or it was asked: %d", *asked)
	}
}

// rotate add keeps to it as well, and says how old an answer is.
func TestRotateAddAsksOnceAnHour(t *testing.T) {
	b := newBench(t)
	ask, asked := stravaAt(t)
	b.write("daemon.yaml", fmt.Sprintf("repo: {url: %s}\napply: false\nstate_dir: state\naccounts: {default: {token_env: T, dev_ids: [\"*\"]}}\nprobes: {strava: %s}\nidentities: {files: [identity.txt]}\n", b.dir, ask.addresses["strava"]))
	add := []string{"add", "production/strava", "--probe", "--config", b.at("daemon.yaml")}
	if out := b.mustRotate(newSecret(2), add...); !strings.Contains(out, "  probe     accepted: Strava knows the pair") || *asked != 1 {
		t.Errorf("asked %d times; got\n%s", *asked, out)
	}
	b.write("production/strava.yaml", "provider: strava\ncredentials:\n  client_id: \"123456\"\n") // begun again
	b.now = b.now.Add(12 * time.Minute)
	if out := b.mustRotate(newSecret(2), add...); !strings.Contains(strings.Join(strings.Fields(out), " "), ", said 12 minutes ago; it is asked once an hour at most") || *asked != 1 {
		t.Errorf("asked %d times; got\n%s", *asked, out)
	}
	b.mustRotate(newSecret(3), "add", "production/virtuagym", "--probe", "--config", b.at("daemon.yaml"))
	if !strings.Contains(b.outText, "  probe     unknown: there is no way to ask virtuagym about a pair") {
		t.Errorf("got\n%s", b.outText)
	}
	b.write("production/strava.yaml", "provider: strava\n")
	b.mustRotate(newSecret(4), add...)
	if !strings.Contains(b.outText, "  probe     unknown: the file has no client id to go with it\n") || *asked != 1 {
		t.Errorf("got\n%s", b.outText)
	}
	b.write("production/strava.yaml", "provider: strava\ncredentials:\n  client_id: \"123456\"\n")
	b.write("state/state.db", "this is no state")
	b.mustRotate(newSecret(5), add...)
	if got := strings.Join(strings.Fields(b.outText), " "); !strings.Contains(got, "probe unknown: nobody was asked, because it is not known who was asked within the hour") || *asked != 1 {
		t.Errorf("with a damaged state it asked %d times; got\n%s", *asked, b.outText)
	}
}

// TestDryRunBeginsNoMemory: what a provider told a dry run is no reason to begin one.
func TestDryRunBeginsNoMemory(t *testing.T) {
	dir := t.TempDir()
	err := leave(t.Context(), dir)("prod-x", "hmac-sha256:"+strings.Repeat("0a", 32), plan.Probe{Verdict: plan.Good})
	if err == nil || !strings.Contains(err.Error(), "do not ask again within an hour") {
		t.Errorf("got error %v", err)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 0 {
		t.Errorf("left %v, %v", files, err)
	}
}
