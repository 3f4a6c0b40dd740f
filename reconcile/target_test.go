package reconcile

import (
	"slices"
	"testing"

	"github.com/terra-reconcile/terra-reconcile/spec"
)

// TestWhatAnApprovalIsAbout: the name of an environment may hold slashes, and what is the
// name of one and that of a connection is about both: their hashes differ.
func TestWhatAnApprovalIsAbout(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		target, environment, connection string
		about                           bool
	}{
		{"production", "production", "", true},
		{"production/strava", "production", "production/strava", true},
		{"production/strava", "production/strava", "", true},
		{"eu/production", "eu/production", "", true},
		{"eu/production/strava", "eu/production", "eu/production/strava", true},
		{"eu/production/strava", "eu", "eu/production/strava", false},
		{"production/", "production", "production/", false},
		{"staging", "production", "staging", false},
		{"production2/strava", "production", "production2/strava", false},
	} {
		if connection, about := IsApprovalOf(c.target, c.environment); about != c.about || connection != c.connection {
			t.Errorf("%s of %s: got %q, %t", c.target, c.environment, connection, about)
		}
	}
}

// TestARunOfApprovalsIsAboutThemAlone: what is approved says which environments and
// connections are run, also where the name of an environment holds slashes.
func TestARunOfApprovalsIsAboutThemAlone(t *testing.T) {
	t.Parallel()
	named := func(name string, providers ...string) spec.Environment {
		env := spec.Environment{Name: name}
		for _, p := range providers {
			env.Connections = append(env.Connections, spec.Connection{Provider: p})
		}
		return env
	}
	set := spec.Set{Environments: []spec.Environment{named("eu", "strava"), named("eu/production", "strava", "garmin"), named("production", "strava")}}
	for _, c := range []struct {
		name                   string
		only, approve          []string
		environments, selected []string
	}{
		{"a whole environment", nil, []string{"production"}, []string{"production"}, nil},
		{"one whose name holds a slash", nil, []string{"eu/production"}, []string{"eu/production"}, nil},
		{"a connection of it", nil, []string{"eu/production/strava"}, []string{"eu/production"}, []string{"eu/production/strava"}},
		{"a connection of the folder above", nil, []string{"eu/strava"}, []string{"eu"}, []string{"eu/strava"}},
		{"a connection and a whole environment", nil, []string{"eu/strava", "production"}, []string{"eu", "production"}, []string{"eu/strava", "production/*"}},
		{"the chosen one", []string{"production"}, []string{"production", "eu/strava"}, []string{"production"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := Run{Set: set, Only: c.only, Approved: true, Approve: map[string]string{}}
			for _, target := range c.approve {
				r.Approve[target] = "0123456789abcdef"
			}
			r = narrowed(r)
			if !slices.Equal(r.Only, c.environments) || !slices.Equal(r.Select, c.selected) {
				t.Errorf("environments %q, connections %q", r.Only, r.Select)
			}
			if chosen, err := selectedIn(r, set.Environments); err != nil || len(r.Select) > 0 && len(chosen) != len(c.environments) {
				t.Errorf("%d environments selected, %v", len(chosen), err)
			}
		})
	}
}
