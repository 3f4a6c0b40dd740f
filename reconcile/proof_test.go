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
	t.Parallel()
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
	t.Parallel()
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
	t.Parallel()
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

// TestStateFolderHoldsNoSecret scans what the whole walk leaves behind.
func TestStateFolderHoldsNoSecret(t *testing.T) {
	t.Parallel()
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
