package gitsource

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// fetchLocal reads a commit of a repository on this machine, in place.
func (s *Source) fetchLocal(ctx context.Context, want plumbing.Hash) (*snapshot, error) {
	given, ref := !want.IsZero(), s.ref()
	if given {
		ref = want.String()
	}
	if !given && s.versions != nil {
		var err error
		if ref, err = s.localRelease(ctx); err != nil {
			return nil, err
		}
	}
	g, want, err := openRef(ctx, s.location.dir, !s.location.climb, ref)
	if err != nil {
		return nil, err
	}
	if s.head, err = g.checkedOut(ctx); err != nil {
		return nil, err
	}
	if !given && ref != "" && s.versions == nil {
		both, _ := g.run(ctx, "for-each-ref", "--format=%(refname)", branches+ref, tags+ref) // what cannot be listed is not said
		if both == branches+ref+"\n"+tags+ref+"\n" {
			s.aside = tags + ref
		}
	}
	if snap := s.find(want); snap != nil {
		return snap, nil
	}
	snap, err := g.snapshot(ctx, s.former(), want, s.wanted())
	if errors.Is(err, errNoCommit) && given {
		return nil, &UnknownCommitError{Hash: want.String()}
	}
	return snap, err
}

// checkedOut is the ref that HEAD names, "" where it names a commit.
func (g *localGit) checkedOut(ctx context.Context) (string, error) {
	if g.head != "" {
		return strings.TrimPrefix(g.head, "HEAD"), nil
	}
	head, err := g.run(ctx, "symbolic-ref", "--quiet", "HEAD")
	var failure *gitError
	if errors.As(err, &failure) && failure.said == "" {
		return "", nil
	}
	if err != nil {
		return "", g.explain(err)
	}
	return strings.TrimSpace(head), nil
}

// snapshot reads what is wanted of a commit, or of an annotated tag of one, below where g
// is.
func (g *localGit) snapshot(ctx context.Context, before *snapshot, hash plumbing.Hash, want wanted) (*snapshot, error) {
	objects, err := g.objects(ctx)
	if err != nil {
		return nil, err
	}
	defer objects.close()
	if hash, err = peel(objects, hash); err != nil {
		return nil, err
	}
	want.path = path.Join(g.prefix, want.path)
	snap, err := build(ctx, objects, before, hash, want)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, errMissingObject) && g.hush(ctx) == nil && g.partial:
		return nil, &NotFoundError{Reason: "this clone is partial and lacks " + strings.TrimPrefix(err.Error(), errMissingObject.Error()+": ") +
			"; clone it without --filter, or use the URL that it was cloned from"}
	case errors.Is(err, errMissingObject):
		return nil, &CorruptError{Reason: err.Error()}
	}
	return snap, err
}

// What is tried again while a ref is being written: git puts a new file in the place
// of the old one, other programs empty the file and then fill it.
const (
	brokenRefTries = 20
	brokenRefWait  = 25 * time.Millisecond
)

// openRef opens the repository of dir and finds the object that ref stands for. Damage
// counts as somebody else's write under way, and only after half a second as such.
func openRef(ctx context.Context, dir string, exact bool, ref string) (g localGit, hash plumbing.Hash, err error) {
	names := namesOf(ref)
	for range brokenRefTries {
		if g, err = openGit(ctx, dir, exact, names[0]); err == nil {
			if hash = g.hash; hash.IsZero() {
				hash, err = g.resolve(ctx, ref, names)
			}
		}
		if !is[*CorruptError](err) {
			break
		}
		select {
		case <-time.After(brokenRefWait):
		case <-ctx.Done():
			return g, hash, ctx.Err()
		}
	}
	return g, hash, err
}

// namesOf are the names that ref may be short for, the first first.
func namesOf(ref string) []string {
	switch {
	case ref == "" || ref == "HEAD":
		return []string{"HEAD"}
	case plumbing.IsHash(ref) || strings.HasPrefix(ref, "refs/"):
		return []string{ref}
	}
	return append(candidates(ref), "refs/remotes/"+ref, "refs/remotes/origin/"+ref)
}

func (g *localGit) resolve(ctx context.Context, ref string, names []string) (plumbing.Hash, error) {
	for _, name := range names {
		hash, err := g.lookUp(ctx, name)
		var failure *gitError
		switch {
		case err == nil && !hash.IsZero():
			return hash, nil
		case err != nil && (!errors.As(err, &failure) || failure.said != ""):
			return plumbing.ZeroHash, g.explain(err)
		}
	}
	out, warned, err := g.hear(ctx, "for-each-ref", "--format=%(refname)")
	if err != nil {
		return plumbing.ZeroHash, g.explain(err)
	}
	for line := range strings.Lines(warned) { // git goes on as if it were not there
		_, broken, found := strings.Cut(strings.TrimSpace(line), "ignoring broken ref ")
		if found && (names[0] == "HEAD" && strings.HasPrefix(broken, branches) || slices.Contains(names, broken)) {
			return plumbing.ZeroHash, &CorruptError{Reason: "ref " + clean(broken) + " is empty or damaged"}
		}
	}
	if out == "" {
		return plumbing.ZeroHash, ErrEmptyRepository
	}
	have := map[string]plumbing.Hash{}
	for _, name := range strings.Fields(out) {
		have[name] = plumbing.ZeroHash
	}
	return plumbing.ZeroHash, &MissingRefError{Ref: clean(cmp.Or(ref, "HEAD")), Have: branchNames(have)}
}

// lookUp is what a name stands for, zero where there is no such ref: of a full one that ref
// and none that git would take for it, such as refs/tags/refs/heads/NAME.
func (g *localGit) lookUp(ctx context.Context, name string) (plumbing.Hash, error) {
	if !strings.HasPrefix(name, "refs/") {
		out, err := g.run(ctx, "rev-parse", "--verify", "--quiet", name)
		return plumbing.NewHash(strings.TrimSpace(out)), err
	}
	out, err := g.run(ctx, "for-each-ref", "--format=%(objectname) %(refname)", name)
	for line := range strings.Lines(out) { // also of those below it
		if hash, found, _ := strings.Cut(strings.TrimSpace(line), " "); found == name {
			return plumbing.NewHash(hash), err
		}
	}
	return plumbing.ZeroHash, err
}

// catFile reads objects through one running git, which undoes packs, alternates and
// whatever else a repository is stored in.
type catFile struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	said *firstBytes
}

func (g *localGit) objects(ctx context.Context) (*catFile, error) {
	c := &catFile{cmd: g.command(ctx, "cat-file", "--batch"), said: &firstBytes{limit: 4096}}
	c.cmd.Stderr = c.said
	in, err := c.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.in, c.out = in, bufio.NewReader(out)
	return c, c.cmd.Start()
}

func (c *catFile) close() {
	_ = c.in.Close() // all that matters was read
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait()
}

// get reads an object. What is above most bytes goes by unread.
func (c *catFile) get(hash plumbing.Hash, most int64) (o gitObject, err error) {
	if _, err := fmt.Fprintln(c.in, hash); err != nil {
		return o, c.broken(err)
	}
	line, err := c.out.ReadSlice('\n')
	if err != nil {
		return o, c.broken(err)
	}
	fields := strings.Fields(string(line))
	if len(fields) == 2 && fields[1] == "missing" {
		return o, plumbing.ErrObjectNotFound
	}
	if len(fields) != 3 {
		return o, c.broken(errors.New("an answer that makes no sense"))
	}
	if o.kind, err = plumbing.ParseObjectType(fields[1]); err != nil {
		return o, err
	}
	if o.size, err = strconv.ParseInt(fields[2], 10, 64); err != nil {
		return o, err
	}
	if o.size <= most {
		o.data = make([]byte, o.size)
		_, err = io.ReadFull(c.out, o.data)
	} else {
		_, err = io.CopyN(io.Discard, c.out, o.size)
	}
	if err == nil {
		_, err = c.out.Discard(1) // the line ends
	}
	if err != nil {
		return o, c.broken(err)
	}
	return o, nil
}

// broken says why there is no answer, once git has said all of it.
func (c *catFile) broken(err error) error {
	if !errors.Is(err, io.EOF) && !errors.Is(err, syscall.EPIPE) {
		_ = c.cmd.Process.Kill()
	}
	_ = c.cmd.Wait()
	switch said := c.said.String(); {
	case strings.Contains(said, "promisor remote"), strings.Contains(said, "lazy fetching disabled"):
		return plumbing.ErrObjectNotFound
	case said != "":
		return errors.New("git says: " + clean(said))
	}
	return err
}

// errNoCommit says that there is no object where a commit is wanted.
var errNoCommit = errors.New("there is no such commit")

// peel follows annotated tags to what they name.
func peel(objects objects, hash plumbing.Hash) (plumbing.Hash, error) {
	for range 10 {
		o, err := objects.get(hash, maxCommit)
		switch {
		case errors.Is(err, plumbing.ErrObjectNotFound):
			return hash, fmt.Errorf("%w: %w", errNoCommit, &CorruptError{Reason: fmt.Sprintf("%s: commit %.12s", errMissingObject, hash)})
		case err != nil:
			return hash, &CorruptError{Reason: fmt.Sprintf("object %.12s can not be read: %s", hash, clean(err.Error()))}
		case o.kind != plumbing.TagObject:
			return hash, nil
		}
		var tag object.Tag
		if err := decode(hash, plumbing.TagObject, o.data, tag.Decode); err != nil {
			return hash, err
		}
		hash = tag.Target
	}
	return hash, &CorruptError{Reason: "a tag names a tag, more than ten times over"}
}
