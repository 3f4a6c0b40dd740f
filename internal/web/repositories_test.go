package web

import (
	"strings"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
)

// TestNoticesNameTheRepository where there are several, and are as ever where there is one.
func TestNoticesNameTheRepository(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)
	failed := daemon.RepositoryStatus{Name: "acme", Repository: "https://git.example/acme", Branch: "main", HeadBranch: "trunk", Poll: daemon.PollStatus{Error: "no route"},
		RefusedEnvironments: []daemon.RefusedEnvironment{{Name: "production", Reason: "it is another's"}}}
	said := func(s daemon.Status) string {
		var out []string
		for _, n := range notices(s, nil, now) {
			out = append(out, n.Label+": "+n.Text)
		}
		return strings.Join(out, "\n")
	}
	several := daemon.Status{Repositories: []daemon.RepositoryStatus{failed, {Name: "beta", Repository: "https://git.example/beta"}}, Poll: daemon.PollStatus{Error: "acme: no route"}}
	want := "Repository acme: no route\nRepository acme: production is not used: it is another's\n" +
		"Branch acme: HEAD of the repository names trunk, which is not followed; to follow it name it under repos.acme.ref"
	if got := said(several); got != want {
		t.Errorf("several:\n%s\nwant\n%s", got, want)
	}
	several.Unready = []daemon.Unready{{What: "git", Repository: "acme", Since: now.Add(-time.Hour), Cause: "no route"}}
	if got := said(several); !strings.HasPrefix(got, "Not ready: git acme has failed for ") || strings.Contains(got, "Repository acme: no route") {
		t.Errorf("not ready:\n%s", got)
	}
	alone := daemon.Status{Repository: failed.Repository, Branch: "main", HeadBranch: "trunk", Poll: failed.Poll}
	if got := said(alone); got != "Repository: no route\nBranch: HEAD of the repository names trunk, which is not followed; to follow it name it under repo.ref" {
		t.Errorf("alone:\n%s", got)
	}
	if got := repositoryWords(several); got != "acme https://git.example/acme, branch main · beta https://git.example/beta" {
		t.Errorf("got %s", got)
	}
	if got := repositoryWords(alone); got != "https://git.example/acme, branch main" {
		t.Errorf("got %s", got)
	}
}
