package gitsource

import (
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/storer"
)

// local is a repository on this machine.
type local struct {
	store storer.Storer
	// root is the work tree's folder, "" for a bare repository.
	root string
}

func (l local) get(hash plumbing.Hash) (plumbing.EncodedObject, error) {
	return l.store.EncodedObject(plumbing.AnyObject, hash)
}

// fetchLocal reads a commit in place.
func (s *Source) fetchLocal(ctx context.Context, want plumbing.Hash) (*snapshot, error) {
	repo, err := openLocal(s.location.dir, s.location.climb)
	if err != nil {
		return nil, err
	}
	given := !want.IsZero()
	if !given {
		if want, err = repo.resolve(s.options.Ref); err != nil {
			return nil, err
		}
	}
	if snap := s.find(want); snap != nil {
		return snap, nil
	}
	below, err := repo.below(s.location.dir, s.options.Path)
	if err != nil {
		return nil, err
	}
	snap, err := build(ctx, repo, s.newest(), want, below, 4*s.options.MaxPack)
	if given && errors.Is(err, errMissingObject) && repo.store.HasEncodedObject(want) != nil {
		return nil, &UnknownCommitError{Hash: want.String()}
	}
	return snap, err
}

// below is where sub lies in the repository when dir is where one stands.
func (l local) below(dir, sub string) (string, error) {
	if l.root == "" {
		return sub, nil
	}
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return "", &NotFoundError{Reason: "read folder: " + clean(err.Error())}
	}
	root, err := filepath.EvalSymlinks(l.root)
	if err != nil {
		return "", &NotFoundError{Reason: "read folder: " + clean(err.Error())}
	}
	if inside, err := filepath.Rel(root, dir); err == nil && filepath.IsLocal(inside) {
		sub = path.Join(filepath.ToSlash(inside), sub)
	}
	return sub, nil
}

// resolve finds the commit that ref stands for.
func (l local) resolve(ref string) (plumbing.Hash, error) {
	names := []string{"HEAD"}
	if ref == "" {
		ref = "HEAD"
	}
	if ref != "HEAD" {
		names = candidates(ref)
	}
	for _, name := range names {
		found, err := storer.ResolveReference(l.store, plumbing.ReferenceName(name))
		if err == nil {
			return l.peel(found.Hash())
		}
		if !errors.Is(err, plumbing.ErrReferenceNotFound) {
			return plumbing.ZeroHash, &CorruptError{Reason: fmt.Sprintf("ref %q can not be read: %s", clean(name), clean(err.Error()))}
		}
	}
	refs, err := l.refs()
	switch {
	case err != nil:
		return plumbing.ZeroHash, err
	case len(refs) == 0:
		return plumbing.ZeroHash, ErrEmptyRepository
	}
	return plumbing.ZeroHash, &MissingRefError{Ref: clean(ref), Have: branchNames(refs)}
}

// refs lists all refs that name an object.
func (l local) refs() (map[string]plumbing.Hash, error) {
	found := map[string]plumbing.Hash{}
	refs, err := l.store.IterReferences()
	if err == nil {
		err = refs.ForEach(func(r *plumbing.Reference) error {
			if r.Type() == plumbing.HashReference {
				found[r.Name().String()] = r.Hash()
			}
			return nil
		})
	}
	if err != nil {
		return nil, &CorruptError{Reason: "the refs can not be read: " + clean(err.Error())}
	}
	return found, nil
}

// peel follows annotated tags to what they name. What is missing on the way is
// for build to report.
func (l local) peel(hash plumbing.Hash) (plumbing.Hash, error) {
	for range 10 {
		var tag object.Tag
		o, err := l.store.EncodedObject(plumbing.TagObject, hash)
		if errors.Is(err, plumbing.ErrObjectNotFound) {
			return hash, nil
		}
		if err == nil {
			err = tag.Decode(o)
		}
		if err != nil {
			return hash, &CorruptError{Reason: fmt.Sprintf("tag %.12s can not be read: %s", hash, clean(err.Error()))}
		}
		hash = tag.Target
	}
	return hash, &CorruptError{Reason: "a tag names a tag, more than ten times over"}
}
