package cli

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
)

// TestStatusSaysOfWhichRepository each line is, where there are several.
func TestStatusSaysOfWhichRepository(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)
	forced := &daemon.ForcedPush{At: now.Add(-time.Hour), From: strings.Repeat("a", 40), To: strings.Repeat("b", 40)}
	for want, r := range map[string]daemon.RepositoryStatus{
		"signatures beta: the newest commit needs one": {Name: "beta", Verify: "head"},
		"signatures the newest commit needs one":       {Verify: "head"},
		"HEAD beta: names other, which is not":         {Name: "beta", HeadBranch: "other"},
		"forced beta: from aaaaaaaaaaaa":               {Name: "beta", ForcedPush: forced},
		"not used beta: production: taken":             {Name: "beta", RefusedEnvironments: []daemon.RefusedEnvironment{{Name: "production", Reason: "taken"}}},
	} {
		var out bytes.Buffer
		proc := &Process{Stdout: &out, Now: func() time.Time { return now }, Getenv: func(string) string { return "" }}
		p := newPage(proc)
		repositoryWords(p, r, now)
		if err := p.print(&out); err != nil {
			t.Fatal(err)
		}
		if got := flat(out.String()); !strings.Contains(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
