package spec_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/terra-reconcile/terra-reconcile/spec"
)

// A connection takes over what another file says: mappings merge, scalars and lists
// replace, null goes back to Terra's default, and each value knows the file that said it.
func TestExtends(t *testing.T) {
	set, problems := spec.Load(files(map[string]string{
		"terra.yaml":                  "version: 1\nsecrets: {binding: require}\ndefaults:\n  verify_every: 12h\n  mode: observe\n  schedule: '@hourly'\n  policy: {protect: [whoop]}\n  rotation: {soak: 2h, warn: 3d}\n",
		"_base/environment.yaml":      "mode: apply\nschedule: null\nwindows: [{days: [sat], from: '01:00', to: '02:00'}]\npolicy: {protect: [garmin], max_changes: {count: 7}, require_setup: true}\nsuspend: {reason: moving, owner: ops}\n",
		"_base/all.yaml":              "provider: strava\nscopes: [read, write]\nrotation: {max_age: 90d, soak: 5h}\npolicy: {protect: true, ignore: [app]}\n",
		"_base/strava.yaml":           "extends: all.yaml\nstate: paused\ndomain: auth.acme.example\ncredentials:\n  client_id: '1'\n  redirect_url: https://auth.acme.example/x\n  sandbox: true\n",
		"production/environment.yaml": "extends: ../_base/environment.yaml\ndev_id: p\nprune: never\nsuspend: {until: 2026-12-01}\npolicy: {protect: [strava], max_changes: {percent: 50}}\n",
		"production/mine.yaml":        "extends: ../_base/strava.yaml\nscopes: [read]\ndomain: null\nrotation: {soak: 1h}\ncredentials: {client_id: '2', redirect_url: null}\n",
		"eu/west/environment.yaml":    "extends: ../../_base/environment.yaml\ndev_id: e\nprune: disable\nsuspend: null\n",
	}), vocabulary())
	want := []string{"eu/west/environment.yaml:4:10: suspend must be a mapping"}
	var got []string
	for _, p := range problems {
		got = append(got, p.String())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("problems (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"_base/all.yaml", "_base/environment.yaml", "_base/strava.yaml"}, set.Extended); diff != "" {
		t.Errorf("extended (-want +got):\n%s", diff)
	}
	e := set.Environments[1]
	c := e.Connections[0]
	for what, pair := range map[string][2]string{
		"observe":      {fmt.Sprint(e.Observe, e.ModeOrigin), "false _base/environment.yaml:1:7"},
		"schedule":     {e.Schedule, ""},
		"windows":      {fmt.Sprint(len(e.Windows), e.WindowsOrigin), "1 _base/environment.yaml:3:10"},
		"verify_every": {e.VerifyEvery.String(), (12 * time.Hour).String()},
		"environment":  {e.Origin.File + " " + e.DevIDOrigin.String(), "production/environment.yaml production/environment.yaml:2:9"},
		"protect":      {strings.Join(e.Policy.Protect, " "), "strava garmin whoop"},
		"max_changes":  {fmt.Sprint(e.Policy.MaxChanges.Count, e.Policy.MaxChanges.Percent, e.Policy.RequireSetup), "7 50 true"},
		"suspend":      {e.Suspend.Reason + e.Suspend.Until.Format(time.DateOnly), "moving2026-12-01"},
		"file":         {c.File + " " + c.Origin.String(), "production/mine.yaml production/mine.yaml:1:1"},
		"state":        {c.State.String() + " " + c.StateOrigin.String(), "paused _base/strava.yaml:2:8"},
		"scopes":       {fmt.Sprint(c.Scopes.Value, c.Scopes.Origin), "[read] production/mine.yaml:2:9"},
		"domain":       {fmt.Sprint(c.Domain.Null(), c.Domain.Origin), "true production/mine.yaml:3:9"},
		"rotation":     {fmt.Sprint(c.Rotation.MaxAge, c.Rotation.Soak, c.Rotation.Warn), fmt.Sprint(90*24*time.Hour, time.Hour, 72*time.Hour)},
		"client_id":    {c.Credentials.ClientID.Value + " " + c.Credentials.ClientID.Origin.String(), "2 production/mine.yaml:5:26"},
		"redirect_url": {fmt.Sprint(c.Credentials.RedirectURL.Null()), "true"},
		"sandbox":      {fmt.Sprint(c.Credentials.Sandbox.Value, c.Credentials.Sandbox.Origin), "true _base/strava.yaml:7:12"},
		"policy":       {fmt.Sprint(c.Policy.Protect.Value, c.Policy.Protect.Origin, c.Policy.Ignore), "true _base/all.yaml:4:19 [app]"},
		"provider":     {c.Provider, "strava"},
		"invalid":      {fmt.Sprint(set.Environments[0].Invalid, e.Invalid), "true false"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: got %s, want %s", what, pair[0], pair[1])
		}
	}
}

// A file that others extend is worth in each of them what it would be if it stood there: a
// commit cannot grow by naming a large one often.
func TestExtendsIsBounded(t *testing.T) {
	large := "scopes: [" + strings.Repeat("x", 1<<20-100) + "]\n"
	fsys := manyFiles(0, "")
	fsys["_base/large.yaml"] = text(large)
	for i := range 300 {
		fsys[fmt.Sprintf("many/%04d.yaml", i)] = text(fmt.Sprintf("provider: own_%04d\nextends: ../_base/large.yaml\n", i))
	}
	fsys["_base/small.yaml"] = text("extends: large.yaml\n")
	for i := range 100 {
		fsys[fmt.Sprintf("many/%04d.yaml", i)] = text(fmt.Sprintf("provider: own_%04d\nextends: ../_base/small.yaml\n", i))
	}
	_, problems := spec.Load(fsys, vocabulary())
	if want := "many/0256.yaml:1:1: the files up to this one hold more than 256 MiB, give the configuration a repository or a path of its own"; !said(problems, want) {
		t.Errorf("got %v without %s", problems[len(problems)-2:], want)
	}
}

func said(problems []spec.Problem, want string) bool {
	for _, p := range problems {
		if p.String() == want {
			return true
		}
	}
	return false
}

// Hundreds of files that extend a large one are kept at the price of what they say: each
// text of it once.
func TestManyExtendOne(t *testing.T) {
	var shared strings.Builder
	shared.WriteString("scopes: [")
	for n := range 4_000 {
		fmt.Fprintf(&shared, "s%d.%s,", n, strings.Repeat("x", 40))
	}
	shared.WriteString("a]\n")
	fsys := manyFiles(0, "")
	fsys["_base/large.yaml"] = text(shared.String())
	for i := range 200 {
		fsys[fmt.Sprintf("many/%04d.yaml", i)] = text(fmt.Sprintf("provider: own_%04d\nextends: ../_base/large.yaml\n", i))
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	begin := time.Now()
	set, problems := spec.Load(fsys, vocabulary())
	t.Logf("%d files that extend one of %d bytes are read in %v", 200, shared.Len(), time.Since(begin))
	runtime.GC()
	runtime.ReadMemStats(&after)
	if len(set.Environments[0].Connections) != 200 || invalid(set) != "" {
		t.Fatalf("got %v", problems[len(problems)-1])
	}
	kept := int(after.HeapAlloc) - int(before.HeapAlloc)
	t.Logf("%d bytes are kept", kept)
	if most := 200 * 4_001 * 24; kept > most {
		t.Errorf("%d bytes are kept, want at most %d", kept, most)
	}
	runtime.KeepAlive(set)
}

// Merging takes time by the number of fields, not by its square.
func TestMergeOfManyFields(t *testing.T) {
	var shared, own strings.Builder
	shared.WriteString("provider: acme\noptions:\n")
	own.WriteString("extends: ../_base/acme.yaml\noptions:\n")
	for n := range 6_000 {
		fmt.Fprintf(&shared, "  a%d: x\n", n)
		fmt.Fprintf(&own, "  b%d: y\n", n)
	}
	set, problems := spec.Load(fstest.MapFS{
		"terra.yaml":         text("version: 1\nsecrets: {binding: require}\n"),
		"e/environment.yaml": text("dev_id: e\nprune: never\n"),
		"e/acme.yaml":        text(own.String()),
		"_base/acme.yaml":    text(shared.String()),
	}, vocabulary())
	if invalid(set) != "" || len(set.Environments[0].Connections[0].Options) != 12_000 {
		t.Errorf("got %v", problems)
	}
}

// Guessing what a wrong path means ends before it takes a commit of many wrong ones minutes.
func TestMissingBasesAreGuessedAtSoOften(t *testing.T) {
	fsys := manyFiles(0, "")
	for i := range 6_000 {
		fsys[fmt.Sprintf("_base/shared_%04d.yaml", i)] = text("")
	}
	for i := range 20 {
		fsys[fmt.Sprintf("many/%04d.yaml", i)] = text("extends: ../_base/shared_12x4.yaml\n")
	}
	_, problems := spec.Load(fsys, vocabulary())
	guessed := 0
	for _, p := range problems {
		if p.Hint == "did you mean `../_base/shared_1204.yaml`?" {
			guessed++
		}
	}
	if guessed != 16 || len(problems) < 20 {
		t.Errorf("guessed for %d of %d, want 16", guessed, len(problems))
	}
}

// What is wrong in a shared file stops the environments that use it, and no other; one
// that nobody extends is ignored as before.
func TestExtendsIsolation(t *testing.T) {
	set, problems := spec.Load(files(map[string]string{
		"terra.yaml":                  "version: 1\nsecrets: {binding: require}\n",
		"_base/strava.yaml":           "provider: strava\nstate: activ\n",
		"_base/unused.yaml":           "a: [",
		"production/environment.yaml": "dev_id: p\nprune: never\n",
		"production/strava.yaml":      "provider: strava\n",
		"staging/environment.yaml":    "dev_id: s\nprune: never\n",
		"staging/strava.yaml":         "extends: ../_base/strava.yaml\n",
		"test/environment.yaml":       "dev_id: t\nprune: never\n",
		"test/strava.yaml":            "extends: ../_base/strava.yaml\nstate: active\n",
	}), vocabulary())
	if len(problems) != 1 || problems[0].Environment != "staging" || invalid(set) != "staging" {
		t.Errorf("got %v, invalid: %s", problems, invalid(set))
	}
}
