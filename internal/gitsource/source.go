package gitsource

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"time"

	"github.com/Masterminds/semver/v3"
	"github.com/go-git/go-git/v5/plumbing"
)

// maxShared is how many bytes of files a commit may keep while the next one is built,
// which then shares what has not changed. A larger one makes room first.
const maxShared = 16 << 20

// Source is one branch of one repository. Its methods may be called from
// several goroutines; fetches wait for each other.
type Source struct {
	options  Options
	location location
	road     *road

	fetching sync.Mutex
	searched target // the history of object that does not hold commit; of the fetch under way
	told     told   // what the fetch under way has sent
	followed string // full name of the branch to stay on, where no ref was asked for; "" is HEAD
	head     string // full name of the branch that HEAD named when it was last looked at; "" for none

	aside string // full name of the tag that has the name of the branch; "" for none

	versions *semver.Constraints // which tags to follow; nil follows a ref
	tag      string              // the one of these that was found; "" for none

	mu     sync.Mutex
	latest *snapshot // what Fetch returned last
	asked  *snapshot // what FetchCommit returned last, since
}

// Commit is one commit. Author and Subject are fit for a terminal: control
// characters are replaced.
type Commit struct {
	Hash    string    // 40 hexadecimal digits
	Author  string    // "Name <mail>"
	Subject string    // first line of the message
	When    time.Time // when it was committed, UTC
	// Aside is the full name of the tag that has the name that was asked for, too; "" for
	// none. The branch was taken.
	Aside string
	// Tag is the name of the tag that was followed, where a rule about versions was given.
	Tag string
}

// Open checks the options and returns a Source for them. It opens no
// connection. A wrong option is an [*OptionError].
func Open(o Options) (*Source, error) {
	l, err := parseLocation(o.URL)
	if err != nil {
		return nil, err
	}
	o = o.withDefaults()
	if err := o.check(l); err != nil {
		return nil, o.Auth.Settings.explained(l.kind, err)
	}
	var versions *semver.Constraints
	if o.Versions != "" {
		if versions, err = semver.NewConstraint(o.Versions); err != nil {
			return nil, &OptionError{Option: "versions", Reason: CheckVersions(o.Versions).Error()}
		}
	}
	return &Source{options: o, location: l, versions: versions, road: newRoad(o.Way), told: told{repeats: o.Auth.Repeats, repeatsLong: o.Auth.RepeatsLong, tells: o.Auth.Tells}}, nil
}

// Head is the branch that HEAD named when the last fetch looked, "" where it named none
// or nobody said.
func (s *Source) Head() string {
	s.fetching.Lock()
	defer s.fetching.Unlock()
	return strings.TrimPrefix(s.head, branches)
}

// Follow stays on a branch from the next fetch on, where no ref was asked for: HEAD may
// come to name another one.
func (s *Source) Follow(branch string) {
	s.fetching.Lock()
	defer s.fetching.Unlock()
	s.followed = branches + branch
}

// ref is what to look for. The caller holds fetching.
func (s *Source) ref() string { return cmp.Or(s.options.Ref, s.followed) }

// String is the repository's URL without user: fit for messages and logs.
func (s *Source) String() string { return s.location.text }

// Fetch looks up the newest commit of the branch and, if it is not held yet,
// fetches its files. An unchanged branch costs one small question. After an
// error everything held before is still held, and the next Fetch starts anew.
//
// The error is one of this package's, or the context's when ctx was cancelled.
func (s *Source) Fetch(ctx context.Context) (Commit, error) {
	return s.run(ctx, plumbing.ZeroHash)
}

// FetchCommit fetches one given commit, for a program that was restarted and
// wants to stay on the commit it last used. A server that does not give out single
// commits is asked for the branch with its history, within the limits;
// [*UnknownCommitError] says that the commit is not there either.
func (s *Source) FetchCommit(ctx context.Context, hash string) (Commit, error) {
	if !plumbing.IsHash(hash) {
		return Commit{}, &OptionError{Option: "commit", Reason: "is not a full commit hash of 40 hexadecimal digits"}
	}
	if snap := s.find(plumbing.NewHash(hash)); snap != nil {
		return snap.commit, nil
	}
	return s.run(ctx, plumbing.NewHash(hash))
}

// FS returns the files of a commit that was fetched, rooted at Options.Path. It
// is read-only and stays readable for as long as it is referenced. The commit that Fetch
// gave last is held, and the one that FetchCommit gave since; others are an
// [*UnknownCommitError]. A file above 1 MiB, or that is not wanted, cannot be read.
//
// A symbolic link has mode [fs.ModeSymlink] and is never followed, a submodule
// has [fs.ModeIrregular]; opening either is an error. The file system also
// implements [fs.StatFS], [fs.ReadFileFS], [fs.ReadDirFS] and [fs.ReadLinkFS].
func (s *Source) FS(hash string) (fs.FS, error) {
	if snap := s.find(plumbing.NewHash(hash)); snap != nil {
		return treeFS{root: snap.root, when: snap.commit.When}, nil
	}
	return nil, fmt.Errorf("read %s: %w", s, &UnknownCommitError{Hash: clean(hash)})
}

// run fetches the commit want, or the branch's newest one when want is zero.
func (s *Source) run(parent context.Context, want plumbing.Hash) (Commit, error) {
	s.fetching.Lock()
	defer s.fetching.Unlock()
	began := time.Now()
	s.told.secrets, s.aside, s.tag = nil, "", ""
	ctx, cancel := context.WithTimeout(parent, s.options.Timeout)
	defer cancel()
	latest := want.IsZero()
	if latest && plumbing.IsHash(s.options.Ref) {
		want = plumbing.NewHash(s.options.Ref)
	}
	var snap *snapshot
	var err error
	switch snap = s.find(want); {
	case snap != nil:
	case s.location.kind == onDisk:
		snap, err = s.fetchLocal(ctx, want)
	default:
		snap, err = s.fetchRemote(ctx, want)
	}
	if err != nil {
		err = s.told.withhold(s.explain(parent, ctx, began, err))
		if s.location.hint != "" && (is[*NotFoundError](err) || is[*UnreachableError](err)) {
			err = fmt.Errorf("%w; %s", err, s.location.hint)
		}
		err = s.options.Auth.Settings.explained(s.location.kind, err)
		return Commit{}, fmt.Errorf("fetch %s: %w", s, err)
	}
	s.keep(snap, latest)
	commit := snap.commit
	if latest {
		commit.Aside, commit.Tag = s.aside, s.tag
	}
	return commit, nil
}

// explain turns any error into one of this package's, or the caller's own
// cancellation.
func (s *Source) explain(parent, ctx context.Context, began time.Time, err error) error {
	if errors.Is(parent.Err(), context.DeadlineExceeded) { // the caller gives less time
		return &TimeoutError{After: time.Since(began).Round(10 * time.Millisecond)}
	}
	if parent.Err() != nil {
		return parent.Err()
	}
	if ctx.Err() != nil {
		return &TimeoutError{After: s.options.Timeout}
	}
	if errors.Is(err, errMissingObject) {
		return &CorruptError{Reason: clean(err.Error())}
	}
	return broken(err)
}

func (s *Source) find(hash plumbing.Hash) *snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, snap := range []*snapshot{s.latest, s.asked} {
		if snap != nil && snap.hash == hash {
			return snap
		}
	}
	return nil
}

func (s *Source) keep(snap *snapshot, latest bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case latest:
		s.latest, s.asked = snap, nil
	case s.latest == nil || s.latest.hash != snap.hash:
		s.asked = snap
	}
}

// former is what the next commit may share files with. What is held and would leave too
// little room for the next one is dropped.
func (s *Source) former() *snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = nil
	if s.latest != nil && s.latest.kept > maxShared {
		s.latest = nil
	}
	return s.latest
}

// wanted is what is kept of a commit.
func (s *Source) wanted() wanted {
	return wanted{path: s.options.Path, files: s.options.Wanted, others: s.options.Others, limit: min(maxKept, 4*s.options.MaxPack)}
}

// errMissingObject marks a commit that is not whole.
var errMissingObject = errors.New("an object of the commit is missing")
