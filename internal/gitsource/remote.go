package gitsource

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"
)

// session is one conversation with git-upload-pack: a listing, then at most one pack.
type session interface {
	References(ctx context.Context) (*packp.AdvRefs, error)
	UploadPack(ctx context.Context, req *packp.UploadPackRequest) (io.ReadCloser, error)
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
	rest := budget.first(maxListing)
	adv, err := conversation.References(ctx)
	if err != nil {
		return nil, tip, budget.blame(err)
	}
	rest()
	if s.head = headOf(adv); s.told.in(s.head, s.told.repeatsLong) || s.told.inPieces(s.head) {
		s.head = ""
	}
	to := target{object: advertised(adv, ask), commit: ask}
	switch {
	case !ask.IsZero():
	case s.versions != nil:
		if to, err = s.remoteRelease(adv); err != nil {
			return nil, tip, err
		}
		tip = to.commit
	default:
		ref := s.ref()
		if plumbing.IsHash(ref) {
			ref = "" // a commit is looked for where the server's HEAD leads
		}
		if to, err = resolve(ref, adv); err != nil {
			return nil, tip, err
		}
		tip = to.commit
		_, branch := adv.References[branches+ref]
		if _, tag := adv.References[tags+ref]; branch && tag {
			s.aside = tags + ref
		}
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
	pack, err := receive(ctx, conversation, request(adv, to.object, depth), budget, 4*s.options.MaxPack)
	if err != nil {
		if text := err.Error(); strings.Contains(text, "not our ref") || strings.Contains(text, "unadvertised object") {
			return nil, tip, &UnknownCommitError{Hash: to.commit.String()}
		}
		return nil, tip, budget.blame(err)
	}
	defer pack.close()
	if _, err := pack.get(want, 0); depth != 1 && errors.Is(err, plumbing.ErrObjectNotFound) {
		return nil, tip, &UnknownCommitError{Hash: want.String()}
	}
	if snap, err = build(ctx, pack, s.former(), want, s.wanted()); err != nil {
		return nil, tip, err
	}
	snap.commit.Author, snap.commit.Subject = s.told.text(snap.commit.Author), s.told.text(snap.commit.Subject)
	return snap, tip, nil
}

func (s *Source) dial(ctx context.Context, budget *budget) (session, error) {
	if s.location.kind == overSSH {
		return dialSSH(ctx, s.location, s.options.Auth, budget)
	}
	return dialHTTP(ctx, s.road, s.location, s.options.Auth, budget, &s.told)
}

// request asks for one commit, with no more history than depth where the server
// can leave it out. It offers multi_ack, without which Azure DevOps and AWS CodeCommit
// answer nobody; with nothing to acknowledge the answer is the same.
func request(adv *packp.AdvRefs, want plumbing.Hash, depth int) *packp.UploadPackRequest {
	adv.Capabilities.Delete(capability.ThinPack)
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

// receive asks for a pack, and reads it to its end. What it unpacks to may be limit bytes.
func receive(ctx context.Context, conversation session, req *packp.UploadPackRequest, budget *budget, limit int64) (*pack, error) {
	rest := budget.first(maxHead)
	answer, err := conversation.UploadPack(ctx, req)
	if err != nil {
		return nil, err
	}
	rest()
	defer func() { _ = answer.Close() }() // all that matters was read
	var r io.Reader = answer
	switch {
	case req.Capabilities.Supports(capability.Sideband64k):
		r = sideband.NewDemuxer(sideband.Sideband64k, answer)
	case req.Capabilities.Supports(capability.Sideband):
		r = sideband.NewDemuxer(sideband.Sideband, answer)
	}
	return receivePack(ctx, r, limit)
}

// What is read into memory before a pack may have so many bytes.
const (
	maxListing = 16 << 20 // branches and tags
	maxHead    = 4 << 20  // what stands before the pack in its answer
)

// budget counts the bytes that one conversation may still receive.
type budget struct {
	left  int64
	spent bool
}

// first leaves no more than n bytes until rest is called.
func (b *budget) first(n int64) (rest func()) {
	later := max(b.left-n, 0)
	b.left -= later
	return func() { b.left += later }
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

// broken says what a broken conversation means. It never blames the repository.
func broken(err error) error {
	var network net.Error
	var refused *pktline.ErrorLine
	switch {
	case ours(err):
		return err
	case errors.As(err, &refused):
		return &UnreachableError{Reason: fmt.Sprintf("the server said %q", clean(refused.Text))}
	case errors.As(err, &network), isCut(err):
		return &UnreachableError{Reason: clean(err.Error())}
	case strings.Contains(err.Error(), "object-format=sha256"): // among the capabilities of a listing that cannot be read
		return &UnsupportedError{What: "SHA-256"}
	}
	return &CorruptError{Reason: "the answer makes no sense: " + clean(err.Error()), Next: "check the URL, and what stands between (a proxy)"}
}

// isCut reports whether err is how a cut connection looks.
func isCut(err error) bool {
	for _, sign := range []error{
		io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, syscall.ECONNRESET, syscall.EPIPE, syscall.ECONNREFUSED,
		context.DeadlineExceeded, packp.ErrEmptyInput,
	} {
		if errors.Is(err, sign) {
			return true
		}
	}
	return strings.Contains(err.Error(), "EOF")
}

func notFound(known bool) error {
	if known {
		return &NotFoundError{Reason: "there is no repository here, or the credentials may not see it; check the URL and their rights"}
	}
	return &NotFoundError{Reason: "there is no repository here, or it wants credentials; check the URL, or give a token"}
}

const branches, tags = "refs/heads/", "refs/tags/"

// target is what a ref points to: the object to ask for, and the commit it
// stands for. They differ for an annotated tag.
type target struct{ object, commit plumbing.Hash }

// headOf is the full name of the branch that the server's HEAD names, "" where it does
// not say and more than one could be meant.
func headOf(adv *packp.AdvRefs) string {
	for _, symref := range adv.Capabilities.Get(capability.SymRef) {
		if branch, ok := strings.CutPrefix(symref, "HEAD:"); ok {
			return branch
		}
	}
	head := ""
	for name, hash := range adv.References {
		if adv.Head == nil || hash != *adv.Head || !strings.HasPrefix(name, branches) {
			continue
		}
		if head != "" {
			return ""
		}
		head = name
	}
	return head
}

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
	return []string{branches + ref, tags + ref, "refs/" + ref}
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
