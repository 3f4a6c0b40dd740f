package gitsource

import (
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
)

const branches = "refs/heads/"

// target is what a ref points to: the object to ask for, and the commit it
// stands for. They differ for an annotated tag.
type target struct{ object, commit plumbing.Hash }

// resolve finds ref among what the server advertises.
func resolve(ref string, adv *packp.AdvRefs) (target, error) {
	if len(adv.References) == 0 && adv.Head == nil {
		return target{}, ErrEmptyRepository
	}
	if ref == "" || ref == "HEAD" {
		if adv.Head == nil {
			return target{}, &MissingRefError{Ref: "HEAD", Have: branchNames(adv.References)}
		}
		return target{object: *adv.Head, commit: *adv.Head}, nil
	}
	for _, name := range candidates(ref) {
		if hash, ok := adv.References[name]; ok {
			t := target{object: hash, commit: hash}
			if peeled, ok := adv.Peeled[name]; ok {
				t.commit = peeled
			}
			return t, nil
		}
	}
	return target{}, &MissingRefError{Ref: clean(ref), Have: branchNames(adv.References)}
}

// candidates are the full names that a short one may stand for, best first.
func candidates(ref string) []string {
	if strings.HasPrefix(ref, "refs/") {
		return []string{ref}
	}
	return []string{branches + ref, "refs/tags/" + ref}
}

func branchNames(refs map[string]plumbing.Hash) []string {
	names := []string{}
	for name := range refs {
		if short, ok := strings.CutPrefix(name, branches); ok {
			names = append(names, clean(short))
		}
	}
	slices.Sort(names)
	return names
}
