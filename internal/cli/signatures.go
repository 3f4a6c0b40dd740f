package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
	"github.com/terra-reconcile/terra-reconcile/internal/doctor"
	"github.com/terra-reconcile/terra-reconcile/internal/gitsource"
	"github.com/terra-reconcile/terra-reconcile/internal/signature"
	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
	"github.com/terra-reconcile/terra-reconcile/secrets"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

// signatures are what the runner asks of the signatures of commits. nil asks for none.
type signatures struct {
	rule  config.Verify
	trust signature.Trust
}

// newSignatures reads who may sign. What is wrong with the files is an error at the place of
// daemon.yaml that names them.
func newSignatures(rule *config.Verify) (*signatures, error) {
	if rule == nil {
		return nil, nil
	}
	s := &signatures{rule: *rule}
	if _, err := s.reload(); err != nil {
		return nil, rule.Problem(err)
	}
	return s, nil
}

// mode is "" where no signature is asked for.
func (s *signatures) mode() string {
	switch {
	case s == nil:
		return ""
	case s.rule.Every:
		return "every"
	}
	return "head"
}

// reload reads who may sign anew, and tells whether that has changed. While it cannot be
// read nobody may.
func (s *signatures) reload() (changed bool, err error) {
	if s == nil {
		return false, nil
	}
	trust, err := signature.Load(signature.Files{AllowedSigners: s.rule.AllowedSigners, Keyring: s.rule.Keyring})
	if err != nil {
		return false, err
	}
	changed = !trust.Same(s.trust)
	s.trust = trust
	return changed, nil
}

// judge says who has signed a commit. now is zero for one that does not need a key which is
// valid by now: it was accepted before, or stands below one that is signed.
func (s *signatures) judge(c gitsource.Signed, now time.Time) (by string, err error) {
	return s.trust.Check(signature.Commit{Payload: c.Payload, Signature: c.Signature, Committer: c.Committer, When: c.When}, now)
}

// acceptedBefore judges a commit that was accepted before and is held by git.
func (s *signatures) acceptedBefore(git *gitsource.Source, hash string) (c gitsource.Signed, by string, err error) {
	if s == nil {
		return c, "", nil
	}
	if c, err = git.Signed(hash); err == nil {
		by, err = s.judge(c, time.Time{})
	}
	if err != nil {
		err = fmt.Errorf("commit %s, on which it was: %w", short(hash), err)
	}
	return c, by, err
}

// judged is what was found out about a commit that git holds.
type judged struct {
	commit  gitsource.Signed
	by      string
	refused error // why it may not be used; nil where it may
}

// judgeNew judges the newest commit of a branch, of which followed is remembered: it alone,
// or with all that came with it since the last one that was accepted. Of a repository of which
// nothing was accepted yet that is one of those that were accepted elsewhere, in case it is
// another address of the same one; where it holds none of them it is judged alone. err says that
// it could not be found out, which may be otherwise soon.
func (s *signatures) judgeNew(ctx context.Context, git *gitsource.Source, hash string, followed state.Followed, elsewhere []string, now time.Time) (j judged, err error) {
	if j.commit, err = git.Signed(hash); err != nil {
		return judgedOr(j, err)
	}
	at := now
	if slices.Contains(followed.Verified, hash) {
		at = time.Time{}
	}
	if j.by, j.refused = s.judge(j.commit, at); j.refused != nil || !s.rule.Every {
		return j, nil //nolint:nilerr // it is the judgement
	}
	bases := followed.Verified
	if len(bases) == 0 && len(elsewhere) > 0 {
		if bases, err = git.Holding(ctx, hash, elsewhere); err != nil {
			return judgedOr(j, err)
		}
	}
	if len(bases) == 0 {
		return j, nil
	}
	history, err := git.Since(ctx, hash, bases...)
	if err != nil {
		return judgedOr(j, err)
	}
	for _, c := range history.Commits {
		if c.Hash == hash {
			continue
		}
		if _, err := s.judge(c, time.Time{}); err != nil {
			j.refused = fmt.Errorf("commit %s came with it: %w", short(c.Hash), err)
			return j, nil
		}
	}
	return j, nil
}

// judgedOr tells what will not be otherwise, which is a refusal, from other errors.
func judgedOr(j judged, err error) (judged, error) {
	if odd := (*gitsource.OddCommitError)(nil); errors.As(err, &odd) || errors.Is(err, gitsource.ErrTooLarge) {
		j.refused = err
		return j, nil
	}
	return j, err
}

// accepted is what a poll has found out about the newest commit beside its files.
type accepted struct {
	refused error // why it is not used; nil where it may be
	forced  bool  // it does not hold the one before it, or its tag was moved
	older   bool  // it is of a lower version than one that was used before
	former  state.Followed
	now     state.Followed // what is to be remembered
	lines   []state.Entry
	unknown error // why it is not known whether the branch was forced
}

// accept notices a forced push, and wants the newest commit to be signed by somebody who
// may. It changes nothing but found.
func (s *commitSource) accept(ctx context.Context, found *loaded) (a accepted, err error) {
	var elsewhere []string
	if a.former, elsewhere, err = followedOf(s.store, s.config, s.git); err != nil {
		return a, err
	}
	a.now = a.former
	a.now.Ref, _ = s.branches()
	a.now.Newest = found.hash
	switch from := a.former.Newest; {
	case s.config.Repo.Versions != "":
		s.acceptRelease(&a, found)
	case from != "" && from != found.hash && a.former.Ref == a.now.Ref:
		history, err := s.git.Since(ctx, found.hash, from)
		if ctx.Err() != nil {
			return a, ctx.Err()
		}
		a.unknown, a.forced = err, err == nil && !history.Continues
		if a.forced {
			a.now.Forced = &state.ForcedPush{At: s.proc.Now().UTC(), From: from, To: found.hash}
			a.lines = []state.Entry{{ID: rand.Text(), At: s.proc.Now(), Event: state.EventForcedPush, Commit: found.hash, Author: found.author,
				Reason: fmt.Sprintf("from %s to %s, which does not hold it", from, found.hash)}}
		}
	}
	if s.signatures == nil {
		return a, nil
	}
	j, err := s.signatures.judgeNew(ctx, s.git, found.hash, a.former, elsewhere, s.proc.Now())
	if err != nil {
		return a, err
	}
	found.signed, found.signedBy = j.commit, j.by
	for i := range a.lines {
		a.lines[i].SignedBy = j.by
	}
	if j.refused != nil {
		a.refused = fmt.Errorf("commit %s is not used: %w", short(found.hash), j.refused)
	} else {
		a.now = verified(a.now, found.hash)
	}
	return a, nil
}

// tell logs a commit that was not looked at before.
func (s *commitSource) tell(commit gitsource.Commit, found loaded, a accepted) {
	about := []any{"commit", commit.Hash, "author", commit.Author, "subject", commit.Subject}
	if s.signatures != nil {
		about = append(about, "signed_by", found.signedBy)
	}
	s.log.Info("new commit", about...)
	switch {
	case a.older:
		s.log.Warn("the newest release is of a lower version than one that was used before", "tag", found.tag, "from", a.now.Highest)
	case a.forced && found.tag != "":
		s.log.Warn("the tag was moved: it names another commit than before", "tag", found.tag, "from", a.former.Newest, "to", commit.Hash)
	case a.forced:
		s.log.Warn("the branch was forced: it names a commit that does not hold the one before it", "branch", a.now.Ref, "from", a.former.Newest, "to", commit.Hash)
	case a.unknown != nil:
		s.log.Warn("whether the branch was forced is not known", "from", a.former.Newest, "to", commit.Hash, "error", a.unknown.Error())
	}
	for _, p := range found.problems {
		if p.Severity == spec.Error {
			s.log.Error("a file is wrong", "commit", commit.Hash, "environment", p.Environment, "error", p.String())
		}
	}
}

// note remembers what was found out.
func (s *commitSource) note(a accepted) error {
	if a.former.Ref == a.now.Ref && a.former.Newest == a.now.Newest && slices.Equal(a.former.Verified, a.now.Verified) && a.former.Tag == a.now.Tag && a.former.Highest == a.now.Highest {
		return nil
	}
	return s.store.SaveFollowed(s.key(), a.now, a.lines...)
}

// verified puts a commit in front of those that were accepted.
func verified(f state.Followed, hash string) state.Followed {
	if len(f.Verified) == 0 || f.Verified[0] != hash {
		f.Verified = append([]string{hash}, slices.DeleteFunc(slices.Clone(f.Verified), func(h string) bool { return h == hash })...)
	}
	return f
}

// distrust takes what environments run from away from those whose commit does not count any
// more, now that somebody else may sign, and tells whether there are any.
func (s *commitSource) distrust() (found bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, g := range s.revisions {
		if g.hash == "" {
			continue
		}
		if _, err := s.signatures.judge(g.signed, time.Time{}); err != nil {
			why := fmt.Sprintf("commit %s, on which it was: %s", short(g.hash), err)
			s.log.Warn("the commit of the environment is not used any more", "environment", name, "commit", g.hash, "reason", err.Error())
			s.revisions[name] = revision{recorded: g.recorded, environment: daemon.Environment{Name: name, DevID: g.environment.DevID, Behind: why}}
			found = true
		}
	}
	return found
}

// checkSigned wants the commit of a run to be signed by somebody who may, where it is to be
// applied; a dry run says that it is not.
func (s *session) checkSigned(ctx context.Context, c config.Config, git *gitsource.Source, mode, what report.Mode, now time.Time) error {
	if c.Repo.Verify != nil && s.commit.Hash == notCommitted {
		s.warnings = append(s.warnings, "what is not committed is not signed by anybody, and would not be applied")
		return nil
	}
	j, key, followed, err := judgeByHand(ctx, c, git, s.store, s.commit.Hash, now)
	s.signedBy = j.by
	switch {
	case c.Repo.Verify == nil:
		return nil
	case err != nil:
		return err
	case j.refused != nil && what == report.Apply:
		return fmt.Errorf("commit %s is not used: %w; have it signed by somebody who may (%s.verify)", short(s.commit.Hash), j.refused, c.Repo.Setting())
	case j.refused != nil:
		s.warnings = append(s.warnings, fmt.Sprintf("commit %s would not be applied: %s", short(s.commit.Hash), j.refused))
		s.notUsed = report.NotSigned
		return nil //nolint:nilerr // a dry run says so
	case mode != report.Apply:
		return nil
	}
	return s.store.SaveFollowed(key, verified(followed, s.commit.Hash))
}

// judgeByHand judges the commit of a command by the runner's rule, with what the state
// remembers of its repository; nothing where there is no rule. git may be nil for a folder, of
// which the user's own git was asked.
func judgeByHand(ctx context.Context, c config.Config, git *gitsource.Source, store *state.Store, hash string, now time.Time) (j judged, key string, followed state.Followed, err error) {
	rule, err := newSignatures(c.Repo.Verify)
	if rule == nil || err != nil {
		return j, "", followed, err
	}
	if git == nil {
		if git, err = openSource(c.Repo.At(hash), 0, &secrets.Heard{}); err == nil {
			_, err = git.Fetch(ctx)
		}
		if err != nil {
			return j, "", followed, err
		}
	}
	key = repositoryKey(c.Repo, git)
	followed, elsewhere, err := followedOf(store, c, git)
	if err != nil {
		return j, key, followed, err
	}
	j, err = rule.judgeNew(ctx, git, hash, followed, elsewhere, now)
	return j, key, followed, err
}

// judgement is what a daemon makes of the commit that a command has read, for doctor.
func judgement(ctx context.Context, c config.Config, git *gitsource.Source, commit gitsource.Commit, now time.Time) (j doctor.Judgement, err error) {
	store, _, err := openStore(ctx, c.StateDir, report.DryRun)
	if err != nil {
		return j, err
	}
	defer func() { _ = store.Close() }() // nothing was written
	if c.Repo.Versions != "" && git != nil {
		f, _, err := followedOf(store, c, git)
		if err != nil {
			return j, err
		}
		if f.Ref == c.Repo.Followed() && gitsource.LowerVersion(commit.Tag, f.Highest) {
			j.Above = f.Highest
		}
	}
	of, _, _, err := judgeByHand(ctx, c, git, store, commit.Hash, now)
	j.SignedBy, j.Refused = of.by, of.refused
	return j, err
}
