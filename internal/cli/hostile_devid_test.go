package cli

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

// TestHostileDevIDs lets who may write one folder claim the dev_id of another: the one that
// had it goes on, and never both.
func TestHostileDevIDs(t *testing.T) {
	for _, c := range []struct {
		attack              string
		production, staging string
		followed            []state.Revision // by a daemon
		used                []string         // by runs
		invalid             []string
	}{
		{attack: "in capital letters", production: "prod-1", staging: "PROD-1", used: []string{"prod-1", "stage-1"}, invalid: []string{"staging"}},
		{attack: "in capital letters, and a daemon", production: "prod-1", staging: "PROD-1", followed: []state.Revision{{DevID: "prod-1", Environment: "production", Commit: "c"}}, used: []string{"prod-1"}, invalid: []string{"staging"}},
		{attack: "as it is, and a daemon", production: "prod-1", staging: "prod-1", followed: []state.Revision{{DevID: "prod-1", Environment: "production", Commit: "c"}}, used: []string{"prod-1"}, invalid: []string{"staging"}},
		{attack: "as it is, and nobody knows whose it was", production: "prod-1", staging: "prod-1", used: []string{"prod-1"}, invalid: []string{"production", "staging"}},
		{attack: "both spellings were used", production: "prod-1", staging: "PROD-1", used: []string{"prod-1", "PROD-1"}, invalid: []string{"production", "staging"}},
		{attack: "nothing was used", production: "prod-1", staging: "PROD-1", invalid: []string{"production", "staging"}},
		{attack: "the spelling that the other one leaves", production: "PROD-1", staging: "prod-1", followed: []state.Revision{{DevID: "prod-1", Environment: "production", Commit: "c"}}, used: []string{"prod-1"}, invalid: []string{"production", "staging"}},
		{attack: "under a name that a daemon followed with another one", production: "prod-1", staging: "PROD-1", followed: []state.Revision{{DevID: "stage-1", Environment: "staging", Commit: "c"}}, used: []string{"prod-1", "stage-1"}, invalid: []string{"staging"}},
	} {
		t.Run(c.attack, func(t *testing.T) {
			store, err := state.Open(t.TempDir(), state.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = store.Close() }()
			if err := store.SaveRevisions(nil, c.followed); err != nil {
				t.Fatal(err)
			}
			for _, devID := range c.used {
				if err := store.SaveLocation(state.Environment{API: "https://terra.example", Customer: "c", DevID: devID}, "default"); err != nil {
					t.Fatal(err)
				}
			}
			files := fstest.MapFS{"terra.yaml": {Data: []byte("version: 1\n")}}
			for name, devID := range map[string]string{"production": c.production, "staging": c.staging} {
				files[name+"/environment.yaml"] = &fstest.MapFile{Data: []byte("dev_id: " + devID + "\nprune: never\n")}
				files[name+"/polar.yaml"] = &fstest.MapFile{Data: []byte("provider: polar\n")}
			}
			set, problems := loadFor(store, files)
			var invalid []string
			for _, e := range set.Environments {
				told := slices.ContainsFunc(problems, func(p spec.Problem) bool {
					return p.Environment == e.Name && strings.Contains(p.Message, "has the same dev_id")
				})
				if e.Invalid {
					invalid = append(invalid, e.Name)
				}
				if told != e.Invalid {
					t.Errorf("%s is invalid: %v, and told so: %v", e.Name, e.Invalid, told)
				}
			}
			if !slices.Equal(invalid, c.invalid) {
				t.Errorf("invalid are %v, want %v", invalid, c.invalid)
			}
		})
	}
}
