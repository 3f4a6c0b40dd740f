package reconcile

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// stored reads every file of the state folder.
func (w *world) stored() map[string]string {
	w.t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(w.stateDir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		out[strings.TrimPrefix(path, w.stateDir)] = string(b)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// scanAll looks for the planted secrets in any text, whole, in pieces of eight
// bytes and encoded. Pieces of a form that repeats are told by their tail only.
func scanAll(t *testing.T, what, text string, planted []string) {
	t.Helper()
	for _, secret := range planted {
		needles := []string{secret, hex.EncodeToString([]byte(secret)), base64.StdEncoding.EncodeToString([]byte(secret)),
			base64.RawURLEncoding.EncodeToString([]byte(secret))}
		for i := 0; i+8 <= len(secret); i++ {
			piece := []byte(secret[i : i+8])
			needles = append(needles, string(piece), hex.EncodeToString(piece), base64.RawStdEncoding.EncodeToString(piece[:6]))
		}
		for _, needle := range needles {
			if strings.Contains(text, needle) {
				t.Fatalf("%s holds a part of a secret", what)
			}
		}
	}
}

// TestDryRunOfEverySceneWritesNothing plans every scene twice: on an honest
// server and on one that ignores dry_run.
func TestDryRunOfEverySceneWritesNothing(t *testing.T) {
	w := newWorld(t)
	for _, s := range scenes() {
		s.set(w)
		before, account := w.stored(), w.terra.Live(devID)
		w.terra.ResetLog()
		r := w.dryRun()
		if n := len(w.terra.Writes()) + len(w.terra.Effects()); n != 0 {
			t.Errorf("%s: %d writes in a dry run", s.name, n)
		}
		w.terra.Fault(terratest.Fault{Kind: terratest.IgnoreDryRun, Times: terratest.Always})
		ignored := w.dryRun()
		for _, c := range w.terra.Effects() {
			t.Errorf("%s: %s had an effect on a server that ignores dry_run", s.name, c.Operation)
		}
		if diff := cmp.Diff(account, w.terra.Live(devID)); diff != "" {
			t.Errorf("%s: Terra changed:\n%s", s.name, diff)
		}
		if r.ExitCode != report.ExitChanges || ignored.ExitCode != report.ExitChanges {
			t.Errorf("%s: exit %d and %d, want 2", s.name, r.ExitCode, ignored.ExitCode)
		}
		if diff := cmp.Diff(before, w.stored()); diff != "" {
			t.Errorf("%s: a dry run changed the state folder", s.name)
		}
		w.terra.ClearFaults()
		w.applied()
	}
}

func TestUnprovenDryRunIsNotCompared(t *testing.T) {
	w := newWorld(t)
	w.strava(secretA, "")
	w.terra.Enable(devID, "strava")
	w.terra.SetCredential(devID, "strava", terratest.Credential{ClientID: "123456", Secret: secretA})
	w.terra.Fault(terratest.Fault{Kind: terratest.IgnoreDryRun, Times: terratest.Always})
	r := w.dryRun()
	missed := r.Environments[0].NotCompared
	if len(missed) != 1 || missed[0].Field != plan.FieldClientSecret || !strings.Contains(missed[0].Reason, "did not honour dry_run") {
		t.Errorf("not compared = %+v", missed)
	}
	for _, c := range w.terra.Log() {
		if c.Operation == "updateSourceCredentials" {
			t.Error("a secret was sent to a server that does not honour dry_run")
		}
	}
}

// TestForeignAccountOfAnyShape applies a repository with an empty memory to an
// account full of other people's connections, in many shapes.
func TestForeignAccountOfAnyShape(t *testing.T) {
	shapes := []struct {
		name string
		file func(provider string) string // "" is no file
	}{
		{"no file", func(string) string { return "" }},
		{"named", func(p string) string { return "provider: " + p + "\n" }},
		{"paused", func(p string) string { return "provider: " + p + "\nstate: paused\n" }},
		{"disabled", func(p string) string { return "provider: " + p + "\nstate: disabled\n" }},
		{"Terra's app", func(p string) string { return "provider: " + p + "\napp: terra\n" }},
		{"other scopes", func(p string) string { return "provider: " + p + "\nscopes: []\n" }},
		{"default scopes and no domain", func(p string) string { return "provider: " + p + "\nscopes: null\ndomain: null\n" }},
	}
	count := 0
	for _, shape := range shapes {
		for _, users := range []int{0, 9} {
			for _, paused := range []bool{false, true} {
				count++
				t.Run(fmt.Sprintf("%s, %d users, paused %v", shape.name, users, paused), func(t *testing.T) {
					foreignAccount(t, shape.file, users, paused)
				})
			}
		}
	}
	t.Logf("COUNT foreign_account_shapes=%d", count)
}

func foreignAccount(t *testing.T, file func(string) string, users int, paused bool) {
	t.Helper()
	w := newWorld(t)
	w.write("production/environment.yaml", "dev_id: "+devID+"\nprune: disable\npolicy: {max_changes: {count: 100, percent: 100}}\n")
	slugs := []string{"strava", "whoop", "polar", "withings", "garmin", "oura", "fitbit", "freestylelibre"}
	for _, p := range slugs {
		w.terra.Enable(devID, p)
		if p != "freestylelibre" {
			w.terra.SetCredential(devID, p, terratest.Credential{ClientID: "theirs", Secret: secretB})
		}
		w.terra.SetUsers(devID, p, users, 1)
		if paused {
			w.terra.Pause(devID, p)
		}
		if text := file(p); text != "" {
			w.write("production/"+p+".yaml", text)
		}
	}
	w.own("strava", "ours", secretA, "")
	before := w.terra.Live(devID)
	for range 2 {
		r := w.apply()
		for _, c := range r.Environments[0].Changes {
			if c.Outcome == report.Applied && c.Class != plan.Safe {
				t.Errorf("%s is %s and was applied", c.ID, c.Class)
			}
		}
		for p, s := range w.terra.Live(devID).Sources {
			if diff := cmp.Diff(before.Sources[p].Credential, s.Credential); diff != "" {
				t.Errorf("%s: keys of other people were touched", p)
			}
			if users > 0 && s.State != before.Sources[p].State {
				t.Errorf("%s: %s became %s", p, before.Sources[p].State, s.State)
			}
		}
	}
	if users > 0 {
		for _, c := range w.terra.Effects() {
			t.Errorf("%s of %s on a foreign account", c.Operation, c.Provider)
		}
	}
}

// TestFaultWalk answers each call of a first apply, and of a later change, by
// each fault in turn: nothing that was not planned may happen, the exit code must
// not claim success, and the next runs converge.
func TestFaultWalk(t *testing.T) {
	kinds := []terratest.Kind{terratest.Status429, terratest.Status503, terratest.BrokenJSON, terratest.HalfPage,
		terratest.HasMoreWithoutCursor, terratest.PlainNotFound, terratest.Empty200, terratest.HTMLPage, terratest.Redirect}
	first, before := scenes()[0], newWorld(t)
	later := newWorld(t)
	first.set(later)
	later.applied()
	second := scene{"rotate and scopes", func(w *world) { w.strava(secretB, "scopes: [activity:read_all]\n") },
		func(w *world) bool { return w.terra.Live(devID).Sources["strava"].Credential.Secret == secretB }}
	var points atomic.Int64
	t.Run("kinds", func(t *testing.T) {
		for _, kind := range kinds {
			t.Run(string(kind), func(t *testing.T) {
				t.Parallel() // some wait for what Retry-After asks
				for n := 1; faultAt(t, before.cloneFor(t), kind, first, n); n++ {
					points.Add(1)
				}
				for n := 1; faultAt(t, later.cloneFor(t), kind, second, n); n++ {
					points.Add(1)
				}
			})
		}
	})
	t.Logf("COUNT fault_walk_points=%d", points.Load())
	if points.Load() < 50 {
		t.Errorf("only %d points", points.Load())
	}
}

func (w *world) cloneFor(t *testing.T) *world {
	t.Helper()
	c := *w
	c.t = t
	return c.clone()
}

func faultAt(t *testing.T, w *world, kind terratest.Kind, s scene, n int) (struck bool) {
	t.Helper()
	s.set(w)
	w.options.MaxAttempts = 1
	w.terra.ResetLog()
	w.terra.Fault(terratest.Fault{Kind: kind, Nth: n, Times: 1, Operation: ""})
	planned := map[string]bool{}
	r := w.apply()
	if len(w.terra.Log()) < n {
		return false
	}
	where := fmt.Sprintf("%s at call %d of %q", kind, n, s.name)
	for _, c := range r.Environments[0].Changes {
		planned[c.Provider] = true
		if c.Outcome == report.Failed && r.ExitCode != report.ExitFailed {
			t.Errorf("%s: %s failed, exit %d", where, c.ID, r.ExitCode)
		}
	}
	for _, c := range w.terra.Effects() {
		if !planned[c.Provider] || !slices.Contains([]string{"enableSource", "setSourceCredentials", "updateSourceCredentials", "setSourceScopes"}, c.Operation) {
			t.Errorf("%s: %s of %s was not planned", where, c.Operation, c.Provider)
		}
	}
	if r.ExitCode == report.ExitDone && !s.done(w) {
		t.Errorf("%s: exit 0, and Terra is not as wanted", where)
	}
	text := w.show(r)
	for _, body := range w.stored() {
		text += body
	}
	scanAll(t, where, text, w.planted)
	w.terra.ClearFaults()
	for range 3 {
		if w.apply(); w.dryRun().ExitCode == report.ExitDone {
			break
		}
	}
	if again := w.dryRun(); again.ExitCode != report.ExitDone || !s.done(w) {
		t.Fatalf("%s: does not converge\n%s", where, w.show(again))
	}
	return true
}

// TestStateFolderHoldsNoSecret scans what the whole walk leaves behind.
func TestStateFolderHoldsNoSecret(t *testing.T) {
	w := newWorld(t)
	for _, s := range scenes() {
		s.set(w)
		r := w.apply()
		scanAll(t, s.name, w.show(r), w.planted)
	}
	files := w.stored()
	if len(files) == 0 {
		t.Fatal("the state folder is empty, so nothing was scanned")
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		scanAll(t, name, files[name], w.planted)
	}
	scanned := bytes.NewBufferString("")
	for _, text := range files {
		scanned.WriteString(text)
	}
	t.Logf("COUNT scanned_state_bytes=%d", scanned.Len())
}
