package cli

import (
	"crypto/rand"
	"fmt"

	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/internal/gitsource"
	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/reconcile"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// acceptRelease notices a tag that was moved, and a release of a lower version than one that
// was used before under the same rule.
func (s *commitSource) acceptRelease(a *accepted, found *loaded) {
	before := a.former
	if before.Ref != a.now.Ref {
		before.Tag, a.now.Highest = "", ""
	}
	a.now.Tag = found.tag
	a.older = gitsource.LowerVersion(found.tag, a.now.Highest)
	if found.older = a.older; a.older {
		found.above = a.now.Highest
	}
	same := before.Tag != "" && !gitsource.LowerVersion(found.tag, before.Tag) && !gitsource.LowerVersion(before.Tag, found.tag)
	if a.forced = same && before.Newest != found.hash; a.forced {
		a.now.Forced = &state.ForcedPush{At: s.proc.Now().UTC(), From: before.Newest, To: found.hash, Tag: found.tag}
		a.lines = []state.Entry{{ID: rand.Text(), At: s.proc.Now(), Event: state.EventForcedPush, Commit: found.hash, Author: found.author,
			Reason: fmt.Sprintf("by moving the tag %s from %s to %s", found.tag, before.Newest, found.hash)}}
	}
}

// release is the rule by which one run found its commit; the zero value is none.
type release struct {
	config config.Config
	git    *gitsource.Source
}

// note gives the tag of a higher version than that of a commit that was used before under the
// rule, "" where there is none, and remembers the highest where the run applies it.
func (l release) note(store *state.Store, commit gitsource.Commit, r reconcile.Run) (above string, err error) {
	if l.git == nil || l.config.Repo.Versions == "" {
		return "", nil
	}
	f, _, err := followedOf(store, l.config, l.git)
	if err != nil {
		return "", err
	}
	if rule := l.config.Repo.Followed(); f.Ref != rule {
		f.Highest, f.Newest, f.Ref = "", "", rule
	}
	if gitsource.LowerVersion(commit.Tag, f.Highest) {
		return f.Highest, nil
	}
	used := loaded{hash: commit.Hash, set: r.Set, problems: r.Problems}.refused() == nil
	if !used || r.Mode != report.Apply || f.Highest == commit.Tag {
		return "", nil
	}
	f.Highest = commit.Tag
	if f.Newest == "" {
		f.Newest, f.Tag = commit.Hash, commit.Tag
	}
	return "", store.SaveFollowed(repositoryKey(l.config.Repo, l.git), f)
}
