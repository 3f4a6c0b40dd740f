package gitsource

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"
	"github.com/go-git/go-git/v5/plumbing/transport"
)

// session is one conversation with git-upload-pack: a listing, then at most one
// pack. transport.UploadPackSession is one.
type session interface {
	AdvertisedReferencesContext(context.Context) (*packp.AdvRefs, error)
	UploadPack(context.Context, *packp.UploadPackRequest) (*packp.UploadPackResponse, error)
	io.Closer
}

// all is the depth of a whole history.
const all = 0

// fetchRemote fetches a commit, the branch's newest one when want is zero. Its
// files travel, but none of its history: without history servers can not leave
// out what we already have.
func (s *Source) fetchRemote(ctx context.Context, want plumbing.Hash) (*snapshot, error) {
	snap, _, err := s.converse(ctx, want, want, 1)
	if !want.IsZero() && is[*UnknownCommitError](err) {
		return s.search(ctx, want)
	}
	return snap, err
}

// search looks for a commit in the branch's history, because many servers give
// out only what a branch or tag names. A history without it is not fetched again
// before the branch moves.
func (s *Source) search(ctx context.Context, want plumbing.Hash) (*snapshot, error) {
	unknown := &UnknownCommitError{Hash: want.String()}
	for _, depth := range []int{50, all} {
		snap, tip, err := s.converse(ctx, plumbing.ZeroHash, want, depth)
		if err == nil {
			return snap, nil
		}
		if tip.IsZero() || !is[*UnknownCommitError](err) && !errors.Is(err, ErrTooLarge) {
			return nil, err
		}
		if s.searched == (target{object: tip, commit: want}) {
			return nil, unknown
		}
		if depth == all || errors.Is(err, ErrTooLarge) { // more of it is larger still
			s.searched = target{object: tip, commit: want}
			return nil, unknown
		}
	}
	return nil, unknown
}

// converse holds one conversation with the server: it asks for a commit, the
// branch's newest one when ask is zero, with so much history, and builds the commit
// want of it, what was asked for when want is zero. tip is what the branch names.
func (s *Source) converse(ctx context.Context, ask, want plumbing.Hash, depth int) (snap *snapshot, tip plumbing.Hash, err error) {
	budget := &budget{left: s.options.MaxPack}
	conversation, err := s.dial(ctx, budget)
	if err != nil {
		return nil, tip, err
	}
	defer func() { _ = conversation.Close() }() // all that matters was read
	adv, err := conversation.AdvertisedReferencesContext(ctx)
	if err != nil {
		return nil, tip, budget.blame(err)
	}
	to := target{object: ask, commit: ask}
	if ask.IsZero() {
		if to, err = resolve(s.options.Ref, adv); err != nil {
			return nil, tip, err
		}
		tip = to.commit
	}
	if want.IsZero() {
		want = to.commit
	}
	if snap := s.find(want); snap != nil {
		return snap, tip, nil
	}
	if depth != 1 && s.searched == (target{object: tip, commit: want}) {
		return nil, tip, &UnknownCommitError{Hash: want.String()}
	}
	pack, err := receive(ctx, conversation, request(adv, to.object, depth))
	if err != nil {
		if text := err.Error(); strings.Contains(text, "not our ref") || strings.Contains(text, "unadvertised object") {
			return nil, tip, &UnknownCommitError{Hash: to.commit.String()}
		}
		return nil, tip, budget.blame(err)
	}
	found, err := openPack(pack, 4*s.options.MaxPack)
	if err != nil {
		return nil, tip, err
	}
	if _, err := found.get(want); depth != 1 && errors.Is(err, plumbing.ErrObjectNotFound) {
		return nil, tip, &UnknownCommitError{Hash: want.String()}
	}
	snap, err = build(ctx, found, s.newest(), want, s.options.Path, 4*s.options.MaxPack)
	return snap, tip, err
}

func (s *Source) dial(ctx context.Context, budget *budget) (session, error) {
	if s.location.kind == overSSH {
		return dialSSH(ctx, s.location, s.options.Auth, budget)
	}
	return dialHTTP(s.transport, s.location, s.options.Auth, budget)
}

// request asks for one commit, with no more history than depth where the server
// can leave it out.
func request(adv *packp.AdvRefs, want plumbing.Hash, depth int) *packp.UploadPackRequest {
	req := packp.NewUploadPackRequestFromCapabilities(adv.Capabilities)
	req.Wants = []plumbing.Hash{want}
	// Set refuses only what needs a value, and these need none.
	if adv.Capabilities.Supports(capability.NoProgress) {
		_ = req.Capabilities.Set(capability.NoProgress)
	}
	if depth != all && adv.Capabilities.Supports(capability.Shallow) {
		_ = req.Capabilities.Set(capability.Shallow)
		req.Depth = packp.DepthCommits(depth)
	}
	return req
}

// receive reads the whole pack into memory.
func receive(ctx context.Context, conversation session, req *packp.UploadPackRequest) (*received, error) {
	answer, err := conversation.UploadPack(ctx, req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Close() }() // all that matters was read
	var r io.Reader = answer
	switch {
	case req.Capabilities.Supports(capability.Sideband64k):
		r = sideband.NewDemuxer(sideband.Sideband64k, answer)
	case req.Capabilities.Supports(capability.Sideband):
		r = sideband.NewDemuxer(sideband.Sideband, answer)
	}
	pack, err := receiveAll(r)
	if err != nil {
		return nil, &UnreachableError{Reason: fmt.Sprintf("the answer broke off after %d bytes: %s", pack.size, clean(err.Error()))}
	}
	return pack, nil
}

// budget counts the bytes that one conversation may still receive.
type budget struct {
	left  int64
	spent bool
}

// blame prefers a spent budget to the error that it led to.
func (b *budget) blame(err error) error {
	if b.spent {
		return ErrTooLarge
	}
	return err
}

// limited reads until the budget is spent.
type limited struct {
	io.Reader
	budget *budget
}

func (l limited) Read(p []byte) (int, error) {
	n, err := l.Reader.Read(p)
	if l.budget.left -= int64(n); l.budget.left < 0 {
		l.budget.spent = true
		return 0, ErrTooLarge
	}
	return n, err
}

// classify names what a library's error means for the person who runs us. known
// says whether credentials were sent.
func classify(err error, known bool) error {
	switch {
	case errors.Is(err, transport.ErrEmptyRemoteRepository):
		return ErrEmptyRepository
	case errors.Is(err, transport.ErrRepositoryNotFound):
		return notFound(known)
	case errors.Is(err, transport.ErrAuthenticationRequired), errors.Is(err, transport.ErrAuthorizationFailed):
		if known {
			return &AuthError{Reason: "the server refused the credentials; check that they are valid and may read the repository"}
		}
		return &AuthError{Reason: "the server asks for credentials; give a token file or token variable"}
	case errors.Is(err, errMissingObject), errors.Is(err, plumbing.ErrObjectNotFound):
		return &CorruptError{Reason: clean(err.Error())}
	}
	return classifyTransport(err)
}

func notFound(known bool) error {
	if known {
		return &NotFoundError{Reason: "there is no repository here, or the credentials may not see it; check the URL and their rights"}
	}
	return &NotFoundError{Reason: "there is no repository here, or it wants credentials; check the URL, or give a token"}
}
