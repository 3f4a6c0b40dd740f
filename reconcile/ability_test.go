package reconcile

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/internal/terra"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// begun is the first environment before its first stage.
func (w *world) begun(e *Engine, mode report.Mode) *environment {
	w.t.Helper()
	if mode != report.Apply {
		e = e.readOnly()
	}
	r := Run{Mode: mode, Commit: "c0ffee", ID: "a run", tokens: newTokens(), stopped: &atomic.Bool{}, inFlight: w.t.Context}
	r.Set, r.Problems = w.load()
	cache, _, err := e.openCache(r)
	if err != nil {
		w.t.Fatal(err)
	}
	return e.newEnvironment(r, r.Set.Environments[0], cache)
}

// planned is the first environment right before it is applied.
func (w *world) planned(e *Engine, mode report.Mode) *environment {
	w.t.Helper()
	env := w.begun(e, mode)
	for _, s := range stagesOf(env) {
		if s.name == "apply" {
			break
		}
		if err := s.run(w.t.Context()); err != nil {
			w.t.Fatalf("%s: %v", s.name, err)
		}
	}
	return env
}

// TestDryRunHasNoAbilityToWrite gives a dry run a client and a store that can
// write, lets it go wrong and apply all the same, and wants nothing to happen.
func TestDryRunHasNoAbilityToWrite(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.strava(secretA, "")
	w.applied()
	w.strava(secretB, "scopes: [activity:read_all]\n")
	w.write("production/polar.yaml", "provider: polar\n")
	writable, store := w.engine(report.Apply)
	defer func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}()
	before, account := w.stored(), w.terra.Live(devID)
	w.terra.ResetLog()
	env := w.planned(writable, report.DryRun)
	err := errors.Join(env.apply(t.Context()), env.remember())
	changes := env.out.Changes
	if !errors.Is(err, state.ErrReadOnly) {
		t.Errorf("error of the store: got %v, want %v", err, state.ErrReadOnly)
	}
	if len(changes) < 3 {
		t.Errorf("%d changes, want at least 3", len(changes))
	}
	for _, c := range changes {
		if c.Outcome == report.Applied {
			t.Errorf("%s is applied by a dry run", c.ID)
		}
	}
	var refused *terra.ReadOnlyError
	if _, err := env.client.EnableSource(t.Context(), devID, "polar", terra.NewIdempotencyKey()); !errors.As(err, &refused) {
		t.Errorf("error of the client: got %v, want a *terra.ReadOnlyError", err)
	}
	if n := len(w.terra.Writes()); n != 0 {
		t.Errorf("%d writes were sent by a dry run", n)
	}
	if diff := cmp.Diff(account, w.terra.Live(devID)); diff != "" {
		t.Errorf("Terra changed:\n%s", diff)
	}
	if diff := cmp.Diff(before, w.stored()); diff != "" {
		t.Error("a dry run changed the state folder")
	}
}

// TestRunTakesItsAbilityFromADryRun looks with a client and a store that can write:
// what a run would keep, of Terra's offer and of the token, is not kept, because the
// run has no store that could.
func TestRunTakesItsAbilityFromADryRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write("production/polar.yaml", "provider: polar\n")
	writable, store := w.engine(report.Apply)
	defer func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}()
	before := w.stored()
	set, problems := w.load()
	r := writable.Run(t.Context(), Run{Set: set, Problems: problems, Commit: "c0ffee", Mode: report.DryRun})
	if r.ExitCode != report.ExitChanges || len(r.Warnings)+len(r.Environments[0].Warnings) != 0 {
		t.Errorf("exit %d\n%s", r.ExitCode, w.show(r))
	}
	if diff := cmp.Diff(before, w.stored()); diff != "" {
		t.Error("a dry run changed the state folder")
	}
	set, problems = w.load()
	if r := writable.Run(t.Context(), Run{Set: set, Problems: problems, Commit: "c0ffee", Mode: report.Apply}); r.ExitCode != report.ExitDone {
		t.Fatalf("exit %d\n%s", r.ExitCode, w.show(r))
	}
	if types, _, err := store.SourceTypes(here()); err != nil || len(types) == 0 {
		t.Errorf("a run that applies keeps %d source types, %v", len(types), err)
	}
}

// TestMemoryIsSavedBeforeIntentsEnd lets the end of an intent fail: what was done
// is remembered by then, because only a pending intent could tell it otherwise.
func TestMemoryIsSavedBeforeIntentsEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write("production/polar.yaml", "provider: polar\n")
	engine, store := w.engine(report.Apply)
	defer func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}()
	env := w.planned(engine, report.Apply)
	env.ended = []string{"not-pending"}
	for i := range env.out.Changes {
		env.out.Changes[i].Outcome = report.Applied
	}
	if err := env.remember(); !errors.Is(err, state.ErrNotPending) {
		t.Fatalf("got %v, want %v", err, state.ErrNotPending)
	}
	memory, err := store.Memory(here())
	if err != nil || !memory.Connections["polar"].Enabled {
		t.Errorf("memory %+v, %v: the enable is not remembered", memory, err)
	}
}

// TestSourceListedTwiceChangesNothing doubles one entry of the list, in letters of
// another case: nobody can tell which one is true.
func TestSourceListedTwiceChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.terra.Enable(devID, "polar")
	w.terra.Enable(devID, "strava")
	w.write("production/polar.yaml", "provider: polar\nstate: paused\n")
	w.write("production/oura.yaml", "provider: oura\n")
	w.wrap = func(next http.RoundTripper) http.RoundTripper {
		return tripper(func(r *http.Request) (*http.Response, error) {
			answer, err := next.RoundTrip(r)
			if err != nil || r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, "/sources") {
				return answer, err
			}
			body, err := io.ReadAll(answer.Body)
			if err != nil {
				return nil, err
			}
			twice := bytes.Replace(body, []byte(`"strava"`), []byte(`"Polar"`), 1)
			if bytes.Equal(body, twice) {
				t.Error("the list could not be doubled")
			}
			answer.Body, answer.ContentLength = io.NopCloser(bytes.NewReader(twice)), int64(len(twice))
			return answer, nil
		})
	}
	r := w.apply()
	if n := len(w.terra.Writes()); n != 0 || r.ExitCode != report.ExitError || len(r.Environments[0].Changes) != 0 {
		t.Errorf("%d writes, exit %d, %d changes; want none, 1 and none\n%s", n, r.ExitCode, len(r.Environments[0].Changes), w.show(r))
	}
}
