package gitsource

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"sync"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
)

// held is how many commits a Source keeps readable, the least recently used one
// goes first. Commits share the files they have in common.
const held = 16

// Source is one branch of one repository. Its methods may be called from
// several goroutines; fetches wait for each other.
type Source struct {
	options   Options
	location  location
	transport *http.Transport

	fetching sync.Mutex
	searched target // the history of object that does not hold commit; of the fetch under way

	mu        sync.Mutex
	snapshots []*snapshot // most recently used first
	latest    *snapshot   // what Fetch returned last
}

// Commit is one commit. Author and Subject are fit for a terminal: control
// characters are replaced.
type Commit struct {
	Hash    string    // 40 hexadecimal digits
	Author  string    // "Name <mail>"
	Subject string    // first line of the message
	When    time.Time // when it was committed, UTC
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
	return &Source{options: o, location: l, transport: newTransport()}, nil
}

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
// is read-only and stays readable for as long as it is referenced. The last 16
// commits that were fetched or asked for are held; others are an
// [*UnknownCommitError].
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
	ctx, cancel := context.WithTimeout(parent, s.options.Timeout)
	defer cancel()
	var snap *snapshot
	var err error
	if s.location.kind == onDisk {
		snap, err = s.fetchLocal(ctx, want)
	} else {
		snap, err = s.fetchRemote(ctx, want)
	}
	if err != nil {
		err = s.options.Auth.Settings.explained(s.location.kind, s.explain(parent, ctx, began, err))
		return Commit{}, fmt.Errorf("fetch %s: %w", s, err)
	}
	s.keep(snap, want.IsZero())
	return snap.commit, nil
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
	if err = bare(err); ours(err) {
		return err
	}
	return classify(err, s.options.Auth.Token != nil || s.location.kind == overSSH)
}

func (s *Source) find(hash plumbing.Hash) *snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, snap := range s.snapshots {
		if snap.hash == hash {
			copy(s.snapshots[1:i+1], s.snapshots[:i])
			s.snapshots[0] = snap
			return snap
		}
	}
	return nil
}

func (s *Source) keep(snap *snapshot, latest bool) {
	if s.find(snap.hash) == nil {
		s.mu.Lock()
		s.snapshots = append([]*snapshot{snap}, s.snapshots...)
		if len(s.snapshots) > held {
			s.snapshots = s.snapshots[:held]
		}
		s.mu.Unlock()
	}
	if latest {
		s.mu.Lock()
		s.latest = snap
		s.mu.Unlock()
	}
}

func (s *Source) newest() *snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.latest
}

// errMissingObject marks a commit that is not whole.
var errMissingObject = errors.New("an object of the commit is missing")
