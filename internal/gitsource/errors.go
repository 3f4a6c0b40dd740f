package gitsource

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/visible"
)

// ErrEmptyRepository says that the repository is there and holds no commit.
var ErrEmptyRepository = errors.New("the repository has no commit yet; push the first one")

// ErrTooLarge says that the answer, or what it unpacks to, is above the limit.
var ErrTooLarge = errors.New("the commit is larger than allowed; keep specs in a repository of their own, without large files")

// OptionError says that [Open] or [WorkTree] can not work with what it was given.
type OptionError struct {
	Option string // the field of Options
	Reason string
}

func (e *OptionError) Error() string {
	return fmt.Sprintf("read git option %s: %s", e.Option, e.Reason)
}

// MissingRefError says that the repository has commits, but not this branch.
type MissingRefError struct {
	Ref  string   // what was asked for; "HEAD" when nothing was
	Have []string // the branches that are there, sorted
}

func (e *MissingRefError) Error() string {
	const shown = 10
	if n := len(e.Ref); n >= 7 && n < 40 && strings.Trim(e.Ref, "0123456789abcdef") == "" {
		return fmt.Sprintf("there is no branch %q; if it is a commit, write all its 40 digits", e.Ref)
	}
	have := e.Have
	more := ""
	if len(have) > shown {
		more = fmt.Sprintf(" and %d more", len(have)-shown)
		have = have[:shown]
	}
	if len(have) == 0 {
		return fmt.Sprintf("there is no branch %q and no other branch; push it", e.Ref)
	}
	if e.Ref == "HEAD" {
		return fmt.Sprintf("HEAD names no branch that exists; choose one: %s%s", strings.Join(have, ", "), more)
	}
	return fmt.Sprintf("there is no branch %q; there is: %s%s", e.Ref, strings.Join(have, ", "), more)
}

// MissingReleaseError says that no tag of the repository is a version that is wanted.
type MissingReleaseError struct {
	Versions string // what was asked for
	Highest  string // the tag of the highest version that is there; "" for none
}

func (e *MissingReleaseError) Error() string {
	if e.Highest == "" {
		return fmt.Sprintf("no tag is a version that satisfies %s, and none is a version at all, as v1.4.0 is; push one", e.Versions)
	}
	return fmt.Sprintf("no tag is a version that satisfies %s; the highest is %s (one such as 1.0.0-rc.1 counts only where the rule names such a one)", e.Versions, e.Highest)
}

// TwoReleasesError says that two tags are the same version of different commits.
type TwoReleasesError struct{ Tags [2]string }

func (e *TwoReleasesError) Error() string {
	return fmt.Sprintf("the tags %s and %s are the same version, and name different commits; delete the wrong one", e.Tags[0], e.Tags[1])
}

// MissingPathError says that the commit has no such folder.
type MissingPathError struct {
	Path   string
	Commit string
}

func (e *MissingPathError) Error() string {
	return fmt.Sprintf("commit %.12s has no folder %q; correct the path or push the folder", e.Commit, e.Path)
}

// HostKeyError says that an ssh server did not prove who it is.
type HostKeyError struct {
	Host        string // as known_hosts spells it
	Fingerprint string // SHA256:… of the key that the server showed; "": none of a kind that is pinned
	Changed     bool   // true: another key is pinned for it; false: none is
	Revoked     bool   // the key is marked @revoked
	File        string // the known_hosts file
}

func (e *HostKeyError) Error() string {
	const listening = "somebody may be listening in: ask the server's owner, then replace its line"
	switch {
	case e.Fingerprint == "":
		return fmt.Sprintf("host %s has no key of a kind that is pinned for it in %s; %s", e.Host, e.File, listening)
	case e.Revoked:
		return fmt.Sprintf("host %s shows key %s, which is revoked in %s; somebody may be listening in: "+
			"ask the server's owner for the new one", e.Host, e.Fingerprint, e.File)
	case e.Changed:
		return fmt.Sprintf("host %s shows key %s, which is not the one pinned in %s; %s", e.Host, e.Fingerprint, e.File, listening)
	}
	return fmt.Sprintf("host %s with key %s is not known; compare the fingerprint with the server's owner, "+
		"then add the key to %s (ssh-keyscan prints the line)", e.Host, e.Fingerprint, e.File)
}

// AuthError says that the server did not accept who we are, or that we could not
// read our own credentials.
type AuthError struct{ Reason string }

func (e *AuthError) Error() string { return e.Reason }

// NotFoundError says that there is no repository at the place.
type NotFoundError struct{ Reason string }

func (e *NotFoundError) Error() string { return e.Reason }

// MovedError says that the server points to another server, which is not followed.
type MovedError struct{ To string }

func (e *MovedError) Error() string {
	return fmt.Sprintf("the server says the repository is at %s; if you trust that, use it as the URL", e.To)
}

// UnreachableError says that the server could not be reached, broke off, or is in
// trouble, or that something on the way was. Nothing is known of the repository.
type UnreachableError struct {
	Reason string
	Next   string // what to do; "" to check the network and the server
}

func (e *UnreachableError) Error() string {
	return e.Reason + "; " + cmp.Or(e.Next, "check the network and the server")
}

// TimeoutError says that the operation took longer than it may.
type TimeoutError struct{ After time.Duration }

func (e *TimeoutError) Error() string {
	return fmt.Sprintf("no complete answer within %s; check the network and the server", e.After)
}

// CorruptError says that what was received or read is not a sound commit.
type CorruptError struct {
	Reason string
	Next   string // what to do; "" to look for damage
}

func (e *CorruptError) Error() string {
	return e.Reason + "; " + cmp.Or(e.Next, "try again, and if that does not help run git fsck on the repository")
}

// NoRoomError says that a pack does not fit into the folder for temporary files.
type NoRoomError struct{ Reason string }

func (e *NoRoomError) Error() string {
	return "keep the pack that was received: " + e.Reason + "; make room there, or name another folder by TMPDIR"
}

// UnsupportedError says that the repository stores its objects in a way that is not
// known here.
type UnsupportedError struct{ What string }

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("the repository is stored with %s, which is not supported; use a clone with SHA-1", e.What)
}

// OldGitError says that the git on PATH does not know how a repository is stored.
type OldGitError struct{ Said string }

func (e *OldGitError) Error() string {
	return fmt.Sprintf("the git on PATH can not read this repository (%s); install a newer git", e.Said)
}

// OwnerError says that a folder belongs to another user, so git does not read it: its
// configuration could start programs.
type OwnerError struct{ Dir string }

func (e *OwnerError) Error() string {
	return fmt.Sprintf("the repository belongs to another user, and git refuses it; if you trust them, run: git config --global --add safe.directory '%s'", clean(e.Dir))
}

// UnknownCommitError says that a commit is neither held nor to be had: the server
// does not give it out by name, and the branch's history, as far as the limits let
// it be fetched, does not hold it.
type UnknownCommitError struct{ Hash string }

func (e *UnknownCommitError) Error() string {
	return fmt.Sprintf("commit %.12s is not in the repository any more, or the branch's history does not hold it; "+
		"push it to the branch again, or push a newer one without errors", e.Hash)
}

// ours reports whether err is already one of this package's errors.
func ours(err error) bool {
	return errors.Is(err, ErrEmptyRepository) || errors.Is(err, ErrTooLarge) || errors.Is(err, ErrNoGit) || is[*OwnerError](err) || is[*OldGitError](err) ||
		is[*OptionError](err) || is[*MissingRefError](err) || is[*MissingReleaseError](err) || is[*TwoReleasesError](err) || is[*MissingPathError](err) || is[*HostKeyError](err) ||
		is[*AuthError](err) || is[*NotFoundError](err) || is[*MovedError](err) || is[*UnreachableError](err) ||
		is[*TimeoutError](err) || is[*CorruptError](err) || is[*NoRoomError](err) ||
		is[*UnsupportedError](err) || is[*UnknownCommitError](err) || is[*OddCommitError](err)
}

// onlyOurWords tells the errors over http that hold nothing of what a server said.
func onlyOurWords(err error) bool {
	return errors.Is(err, ErrEmptyRepository) || errors.Is(err, ErrTooLarge) || is[*AuthError](err) || is[*NotFoundError](err) || is[*TimeoutError](err)
}

func is[T error](err error) bool {
	var target T
	return errors.As(err, &target)
}

// clean makes text from elsewhere fit for a message: the first line, as
// visible shows it, at most 200 characters.
func clean(text string) string {
	text, _, _ = strings.Cut(strings.TrimSpace(text), "\n")
	runes := []rune(visible.Text(text))
	if len(runes) > 200 {
		runes = append(runes[:200], '…')
	}
	return string(runes)
}
