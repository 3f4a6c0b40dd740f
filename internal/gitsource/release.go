package gitsource

import (
	"context"
	"fmt"
	"strings"

	"github.com/Masterminds/semver/v3"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
)

// CheckVersions says why a text says nothing about versions; nil where it does.
func CheckVersions(constraint string) error {
	_, err := semver.NewConstraint(constraint)
	if err != nil || strings.TrimSpace(constraint) == "" {
		return fmt.Errorf("is no rule about versions; write it as in >=1, ~1.4 or >=1.4 <2")
	}
	return nil
}

// LowerVersion tells whether the version that a tag names comes before that of another one.
// What is no version comes before none.
func LowerVersion(tag, other string) bool {
	a, b := versionOf(tag), versionOf(other)
	return a != nil && b != nil && a.LessThan(b)
}

// versionOf is the version that a tag names, with or without a v before it, nil where it
// names none. All three numbers are there.
func versionOf(tag string) *semver.Version {
	v, err := semver.StrictNewVersion(strings.TrimPrefix(tag, "v"))
	if err != nil {
		return nil
	}
	return v
}

// highest finds the tag of the highest version that satisfies a rule, among refs by their
// full names. Two tags of one version have to mean one commit.
func highest(rule *semver.Constraints, constraint string, refs map[string]target) (tag string, to target, err error) {
	var best, found *semver.Version
	foundTag, twin := "", ""
	for name, t := range refs {
		short, isTag := strings.CutPrefix(name, tags)
		v := versionOf(short)
		if !isTag || v == nil {
			continue
		}
		if found == nil || found.LessThan(v) {
			found, foundTag = v, short
		}
		if !rule.Check(v) {
			continue
		}
		switch {
		case best == nil || best.LessThan(v):
			best, tag, to, twin = v, short, t, ""
		case !best.Equal(v):
		case t.commit != to.commit:
			twin = short
		case short < tag: // one of them, always the same
			tag, to = short, t
		}
	}
	switch {
	case best == nil:
		return "", target{}, &MissingReleaseError{Versions: constraint, Highest: clean(foundTag)}
	case twin != "":
		return "", target{}, &TwoReleasesError{Tags: [2]string{clean(min(tag, twin)), clean(max(tag, twin))}}
	}
	return tag, to, nil
}

// remoteRelease finds the tag to follow in a listing.
func (s *Source) remoteRelease(adv *packp.AdvRefs) (target, error) {
	if len(adv.References) == 0 && adv.Head == nil {
		return target{}, ErrEmptyRepository
	}
	refs := map[string]target{}
	for name, hash := range adv.References {
		if !strings.HasPrefix(name, tags) {
			continue
		}
		t := target{object: hash, commit: hash}
		if peeled, ok := adv.Peeled[name]; ok {
			t.commit = peeled
		}
		refs[name] = t
	}
	tag, to, err := highest(s.versions, s.options.Versions, refs)
	if s.told.in(tag, s.told.repeatsLong) || s.told.inPieces(tag) {
		return target{}, &UnreachableError{
			Reason: "the name of the newest release is withheld, because it repeats the password or token that was sent",
			Next:   "make a new one if you do not trust who pushes tags",
		}
	}
	s.tag = tag
	return to, err
}

// localRelease is the full name of the tag to follow in a repository on this machine.
func (s *Source) localRelease(ctx context.Context) (string, error) {
	g, _, err := openRef(ctx, s.location.dir, !s.location.climb, "HEAD")
	if err != nil && !is[*MissingRefError](err) { // without a branch there can be tags
		return "", err
	}
	out, err := g.run(ctx, "for-each-ref", "--format=%(refname) %(objectname) %(*objectname)", tags)
	if err != nil {
		return "", g.explain(err)
	}
	refs := map[string]target{}
	for line := range strings.Lines(out) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		refs[f[0]] = target{object: plumbing.NewHash(f[1]), commit: plumbing.NewHash(f[len(f)-1])}
	}
	tag, _, err := highest(s.versions, s.options.Versions, refs)
	s.tag = tag
	return tags + tag, err
}

// advertised is the object by which every server gives out a commit: the tag that names it,
// where only a tag does.
func advertised(adv *packp.AdvRefs, commit plumbing.Hash) plumbing.Hash {
	object := commit
	for name, hash := range adv.References {
		switch {
		case hash == commit:
			return commit
		case adv.Peeled[name] == commit:
			object = hash
		}
	}
	return object
}
