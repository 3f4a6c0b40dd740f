package cli

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

func openControlServer(t *testing.T, named ...state.Known) controlServer {
	t.Helper()
	store, err := state.Open(t.TempDir(), state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return controlServer{store: store, now: func() time.Time { return time.Date(2026, 11, 26, 15, 0, 0, 0, time.UTC) },
		named: func() []state.Known { return named }}
}

// TestTargets: an environment's name may hold slashes, and a dev_id stands for it.
func TestTargets(t *testing.T) {
	t.Parallel()
	known := []state.Known{
		{Environment: "production", DevID: "prod-1"},
		{Environment: "eu/production", DevID: "eu-1"},
	}
	for text, want := range map[string]state.KillSwitch{
		"":                     {},
		"production":           {Environment: "production", DevIDs: []string{"prod-1"}},
		"production/":          {Environment: "production", DevIDs: []string{"prod-1"}},
		"prod-1":               {Environment: "prod-1", DevIDs: []string{"prod-1"}},
		"eu/production":        {Environment: "eu/production", DevIDs: []string{"eu-1"}},
		"eu/production/strava": {Environment: "eu/production", DevIDs: []string{"eu-1"}, Provider: "strava"},
		"production/Strava":    {Environment: "production", DevIDs: []string{"prod-1"}, Provider: "strava"},
		"production/odd":       {Environment: "production", DevIDs: []string{"prod-1"}, Provider: "odd"},
	} {
		k := openControlServer(t, known...)
		if err := k.store.SaveMemory(emulated("prod-1"), plan.Memory{Known: true, Connections: map[string]plan.Remembered{"odd": {}}}); err != nil {
			t.Fatal(err)
		}
		got, err := k.target(text)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%q: %v\n%s", text, err, diff)
		}
	}
	k := openControlServer(t, known...)
	for text, want := range map[string]string{
		"/": "names neither", "//": "names neither",
		"staging": "there is eu/production, production", "staging/strava": "there is eu/production", "strava": "there is",
		"production/strva": `no connection "strva" is known`, "eu": "there is",
	} {
		if got, err := k.target(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %+v, %v, want %s", text, got, err, want)
		}
	}
	// Where nothing is known yet nothing can be checked.
	for text, want := range map[string]state.KillSwitch{
		"production": {Environment: "production"}, "eu/production/strava": {Environment: "eu/production", Provider: "strava"},
	} {
		if got, err := openControlServer(t).target(text); err != nil || cmp.Diff(want, got) != "" {
			t.Errorf("nothing known, %q: got %+v, %v", text, got, err)
		}
	}
}

// TestFolderWithTheNameOfAConnection: it does not swallow the pause of the connection, at
// once or when it is extended, and both are held and lifted together.
func TestFolderWithTheNameOfAConnection(t *testing.T) {
	t.Parallel()
	known := []state.Known{{Environment: "production", DevID: "prod-1"}}
	k := openControlServer(t)
	k.named = func() []state.Known { return known }
	held := func(name, devID string) string {
		t.Helper()
		all, err := k.store.KillSwitches(k.now())
		if err != nil || len(all) > 1 {
			t.Fatalf("%+v, %v", all, err)
		}
		for _, s := range all {
			if provider, holds := s.Holds(name, devID); holds {
				return "holds " + provider
			}
		}
		return ""
	}
	request := daemon.PauseRequest{Target: "production/strava", Reason: "incident 12", Seconds: 60, Owner: "jo"}
	for _, decoy := range []bool{false, true, true} { // it comes between the pause and its extension
		if decoy {
			known = append(known[:1:1], state.Known{Environment: "production/strava", DevID: "decoy-1"})
		}
		if _, err := k.Pause(request); err != nil {
			t.Fatal(err)
		}
		if got := held("production", "prod-1"); got != "holds strava" {
			t.Errorf("with a decoy: %t: production %q", decoy, got)
		}
		if got := held("production/strava", "decoy-1"); got != "holds " {
			t.Errorf("with a decoy: %t: the decoy %q", decoy, got)
		}
	}
	if _, err := k.Resume(daemon.ResumeRequest{Target: "production/strava", Owner: "jo"}); err != nil || held("production", "prod-1") != "" {
		t.Errorf("%v: it is not lifted", err)
	}
	known = append(known, state.Known{Environment: "eu", DevID: "eu-0"}, state.Known{Environment: "eu/production", DevID: "eu-1"})
	request.Target = "eu/production" // no provider has that name
	if _, err := k.Pause(request); err != nil || held("eu/production", "eu-1") != "holds " || held("eu", "eu-0") != "" {
		t.Errorf("%v: %q, and of eu %q", err, held("eu/production", "eu-1"), held("eu", "eu-0"))
	}
}

// TestPauseRequestsThatAreRefused also come over the socket, past the flags.
func TestPauseRequestsThatAreRefused(t *testing.T) {
	t.Parallel()
	k := openControlServer(t)
	good := daemon.PauseRequest{Reason: "incident 12", Seconds: 60, Owner: "jo"}
	for name, edit := range map[string]func(*daemon.PauseRequest){
		"no time":         func(r *daemon.PauseRequest) { r.Seconds = 0 },
		"negative time":   func(r *daemon.PauseRequest) { r.Seconds = -1 },
		"for ever":        func(r *daemon.PauseRequest) { r.Seconds = 1 << 62 },
		"no reason":       func(r *daemon.PauseRequest) { r.Reason = " " },
		"a long reason":   func(r *daemon.PauseRequest) { r.Reason = strings.Repeat("x", 201) },
		"a terminal code": func(r *daemon.PauseRequest) { r.Reason = "\x1b[2J" },
		"two lines":       func(r *daemon.PauseRequest) { r.Reason = "a\nb" },
		"no owner":        func(r *daemon.PauseRequest) { r.Owner = "" },
	} {
		r := good
		edit(&r)
		if p, err := k.Pause(r); err == nil {
			t.Errorf("%s: got %+v and no error", name, p)
		}
	}
	if all, err := k.Pauses(); err != nil || len(all) > 0 {
		t.Errorf("got %+v, %v, want none", all, err)
	}
	if _, err := k.Pause(good); err != nil {
		t.Error(err)
	}
	if all, err := k.Pauses(); err != nil || len(all) != 1 || all[0].Until.Sub(all[0].Since) != time.Minute {
		t.Errorf("got %+v, %v, want one", all, err)
	}
	if r, err := k.Resume(daemon.ResumeRequest{Target: "/", Owner: "jo"}); err == nil {
		t.Errorf("resume of two empty names lifts %+v", r)
	}
}

func TestFor(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{"45m": 45 * time.Minute, "2h": 2 * time.Hour, "7d": 168 * time.Hour, "1h30m": 90 * time.Minute, "0.5d": 12 * time.Hour, "30d": longestPause} {
		if got, err := parseFor(newPauseCommand(&Process{}), text, "too long"); got != want || err != nil {
			t.Errorf("%s: got %s, %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "0", "0s", "-1h", "10ms", "d", "soon", "2", "-1d", "31d", "721h"} {
		_, err := parseFor(newPauseCommand(&Process{}), text, "too long")
		var exit *exitError
		if !errors.As(err, &exit) || exit.code != exitUsage {
			t.Errorf("%q: got %v, want a usage error", text, err)
		}
	}
}

// TestForgetWaitsForTheRun: a run that is under way would remember it again.
func TestForgetWaitsForTheRun(t *testing.T) {
	t.Parallel()
	k := openControlServer(t, state.Known{Environment: "production", DevID: "prod-1"})
	if err := k.store.SaveMemory(emulated("prod-1"), plan.Memory{Known: true, Connections: map[string]plan.Remembered{"strava": {}}}); err != nil {
		t.Fatal(err)
	}
	running := true
	k.running = func(environment string) bool { return running && environment == "production" }
	forget := daemon.ForgetRequest{Connection: "production/strava"}
	if _, err := k.Forget(forget); err == nil || !strings.Contains(err.Error(), "a run of production is under way") {
		t.Errorf("during a run: %v", err)
	}
	running = false
	if _, err := k.Forget(forget); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}
