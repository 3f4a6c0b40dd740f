package gitsource

import (
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-git/go-billy/v5"
	"github.com/go-git/go-billy/v5/util"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"github.com/go-git/go-git/v5/storage/filesystem/dotgit"
)

// local is a repository on this machine.
type local struct {
	store storer.Storer
	// files is the git directory.
	files billy.Filesystem
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

// What is tried again while a ref is being written: git puts a new file in the place
// of the old one, other programs empty the file and then fill it.
const (
	emptyRefTries = 20
	emptyRefWait  = 25 * time.Millisecond
)

// resolve finds the commit that ref stands for. A ref whose file is empty counts as
// somebody else's write under way, and only after half a second as damage.
func (l local) resolve(ref string) (hash plumbing.Hash, err error) {
	for range emptyRefTries {
		hash, err = l.resolveNow(ref)
		if !errors.Is(err, dotgit.ErrEmptyRefFile) {
			break
		}
		<-time.After(emptyRefWait)
	}
	if errors.Is(err, dotgit.ErrEmptyRefFile) {
		err = &CorruptError{Reason: "the refs can not be read: " + clean(err.Error())}
	}
	return hash, err
}

// follow reads a ref, and the one that it names. A file that is empty is told: go-git
// would look for an older value among the packed refs, and find one.
func (l local) follow(name plumbing.ReferenceName) (*plumbing.Reference, error) {
	for range 10 {
		ref, err := l.reference(name)
		if err != nil || ref.Type() == plumbing.HashReference {
			return ref, err
		}
		name = ref.Target()
	}
	return nil, storer.ErrMaxResolveRecursion
}

func (l local) reference(name plumbing.ReferenceName) (*plumbing.Reference, error) {
	text, err := util.ReadFile(l.files, name.String())
	if err != nil {
		return l.store.Reference(name)
	}
	if len(text) == 0 {
		return nil, dotgit.ErrEmptyRefFile
	}
	return plumbing.NewReferenceFromStrings(name.String(), strings.TrimSpace(string(text))), nil
}

func (l local) resolveNow(ref string) (plumbing.Hash, error) {
	names := []string{"HEAD"}
	if ref == "" {
		ref = "HEAD"
	}
	if ref != "HEAD" {
		names = candidates(ref)
	}
	for _, name := range names {
		found, err := l.follow(plumbing.ReferenceName(name))
		if err == nil {
			return l.peel(found.Hash())
		}
		if errors.Is(err, dotgit.ErrEmptyRefFile) {
			return plumbing.ZeroHash, err
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
	if errors.Is(err, dotgit.ErrEmptyRefFile) {
		return nil, err
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
