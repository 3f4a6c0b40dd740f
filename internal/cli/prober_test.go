package cli

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/providers"
	"github.com/terra-reconcile/terra-reconcile/reconcile/keys"
)

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

// What a provider accepts is not rejected any more, beside a daemon too, and what was
// never rejected, or by its users only, is left alone.
func TestAcceptedKeysAreNotRejected(t *testing.T) {
	dir := t.TempDir()
	store, err := state.Open(dir, state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, dev := range []string{"prod-x", "prod-y"} {
		history := keys.History{Refused: map[string]keys.Refusal{}}
		history.Refused["a"] = keys.Refusal{By: keys.Provider, Reason: "no"}
		history.Refused["b"] = keys.Refusal{By: keys.Provider, Reason: "no"}
		history.Refused["c"] = keys.Refusal{By: keys.Users, Reason: "users are gone"}
		if err := errors.Join(store.SaveKeyHistory(emulated(dev), "strava", history), store.SaveLocation(emulated(dev), "default")); err != nil {
			t.Fatal(err)
		}
	}
	key := func(dev, entry string) daemon.AcceptedKey {
		return daemon.AcceptedKey{API: emulated(dev).API, DevID: dev, Provider: "strava", Entry: entry}
	}
	left := func(s *state.Store, dev, want string) {
		t.Helper()
		histories, err := s.KeyHistory(emulated(dev))
		got := ""
		for _, entry := range []string{"a", "b", "c"} {
			if _, ok := histories["strava"].Refused[entry]; ok {
				got += entry
			}
		}
		if err != nil || got != want {
			t.Errorf("%s: rejected are %q, %v; want %q", dev, got, err, want)
		}
	}
	held := controlServer{store: store, now: time.Now, named: func() []state.Known { return []state.Known{{DevID: "prod-x"}} }}
	stop, err := daemon.Serve(t.Context(), dir, held, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if n, err := liftRejections(t.Context(), time.Now(), dir, []daemon.AcceptedKey{key("prod-x", "a"), key("prod-x", "c"), key("prod-x", "z")}); n != 2 || err != nil {
		t.Errorf("beside a daemon: %d, %v", n, err)
	}
	left(store, "prod-x", "bc")
	if _, err := liftRejections(t.Context(), time.Now(), dir, []daemon.AcceptedKey{key("prod-y", "a")}); err == nil || !strings.Contains(err.Error(), "no environment has the dev_id") {
		t.Errorf("of an environment that the daemon does not know: %v", err)
	}
	stop()
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if n, err := liftRejections(t.Context(), time.Now(), dir, []daemon.AcceptedKey{key("prod-y", "b")}); n != 1 || err != nil {
		t.Errorf("alone: %d, %v", n, err)
	}
	if store, err = state.OpenReadOnly(dir); err != nil {
		t.Fatal(err)
	}
	left(store, "prod-y", "ac")
	if n, err := liftRejections(t.Context(), time.Now(), t.TempDir(), []daemon.AcceptedKey{key("prod-y", "a")}); n != 0 || err != nil {
		t.Errorf("without a state: %d, %v", n, err)
	}
	if err := errors.Join(store.Close()); err != nil {
		t.Fatal(err)
	}
}

// rotate add --probe asks, whoever asked before, and says why where it cannot.
func TestRotateAddAsks(t *testing.T) {
	b := newBench(t)
	ask, asked := stravaAt(t)
	b.write("daemon.yaml", fmt.Sprintf("repo: {url: %s}\napply: false\nstate_dir: state\naccounts: {default: {token_env: T, dev_ids: [\"*\"]}}\nprobes: {strava: %s}\nidentities: {files: [%s]}\n", b.dir, ask.addresses["strava"], b.at("identity.txt")))
	add := []string{"add", "production/strava", "--probe", "--config", b.at("daemon.yaml")}
	for n := range 2 {
		b.write("production/strava.yaml", "provider: strava\ncredentials:\n  client_id: \"123456\"\n")
		if out := b.mustRotate(newSecret(2), add...); !strings.Contains(out, "  probe     accepted: Strava knows the pair") || *asked != n+1 {
			t.Errorf("asked %d times; got\n%s", *asked, out)
		}
	}
	b.mustRotate(newSecret(3), "add", "production/virtuagym", "--probe", "--config", b.at("daemon.yaml"))
	if !strings.Contains(b.outText, "  probe     unknown: there is no way to ask virtuagym about a pair") {
		t.Errorf("got\n%s", b.outText)
	}
	b.write("production/strava.yaml", "provider: strava\n")
	b.mustRotate(newSecret(4), add...)
	if !strings.Contains(b.outText, "  probe     unknown: the file has no client id to go with it\n") || *asked != 2 {
		t.Errorf("got\n%s", b.outText)
	}
}
