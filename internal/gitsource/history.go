package gitsource

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
)

// Signed is a commit as its signature sees it.
type Signed struct {
	Hash      string
	Parents   []string
	Committer string    // the mail address
	When      time.Time // when the committer says that it was made
	Payload   []byte    // what is signed: the object without the signature; not to be changed
	Signature []byte    // as it stands there; nil for none; not to be changed
}

// OddCommitError says that a commit is not of the one form that programs cannot read
// differently, so what was signed would not be what is used.
type OddCommitError struct{ Hash, Reason string }

func (e *OddCommitError) Error() string {
	return fmt.Sprintf("commit %.12s is not as git writes it: %s", e.Hash, e.Reason)
}

// parseSigned reads a commit strictly: tree, parents, author and committer once each and in
// this order, and at most one signature.
func parseSigned(hash plumbing.Hash, raw []byte) (s Signed, tree plumbing.Hash, err error) {
	odd := func(reason string) (_ Signed, _ plumbing.Hash, err error) {
		return s, tree, &OddCommitError{Hash: hash.String(), Reason: reason}
	}
	s.Hash = hash.String()
	head, _, ended := bytes.Cut(raw, []byte("\n\n"))
	if !ended && !bytes.HasSuffix(raw, []byte("\n")) {
		return odd("its head does not end")
	}
	if bytes.ContainsAny(head, "\x00\r") {
		return odd("its head holds a control character")
	}
	var order []string
	signature := false
	s.Payload = make([]byte, 0, len(raw))
	for line := range bytes.Lines(head) {
		text := strings.TrimSuffix(string(line), "\n")
		if more, goesOn := strings.CutPrefix(text, " "); goesOn {
			if signature {
				s.Signature = append(append(s.Signature, more...), '\n')
			} else {
				s.Payload = append(s.Payload, line...)
			}
			continue
		}
		name, value, _ := strings.Cut(text, " ")
		if signature = name == "gpgsig"; signature {
			if s.Signature != nil {
				return odd("it has more than one signature")
			}
			s.Signature = append([]byte(value), '\n')
			continue
		}
		s.Payload = append(s.Payload, line...)
		switch name {
		case "tree", "parent":
			if !plumbing.IsHash(value) {
				return odd("its " + name + " is no commit hash")
			}
			if name == "parent" {
				s.Parents = append(s.Parents, value)
			}
			if tree.IsZero() {
				tree = plumbing.NewHash(value)
			}
		case "committer":
			if s.Committer, s.When, err = signedBy(value); err != nil {
				return odd("its committer is no name, address and time")
			}
		case "author":
		case "gpgsig-sha256":
			return odd("it has a signature of another kind of repository")
		default:
			name = ""
		}
		if name != "" && (name != "parent" || len(s.Parents) == 1) {
			order = append(order, name)
		} else if name == "parent" && order[len(order)-1] != "parent" {
			return odd("its head is not in order")
		}
	}
	if all := strings.Join(order, " "); all != "tree author committer" && all != "tree parent author committer" {
		return odd("its head is not in order")
	}
	// The signature may have stood last: then the line before it ends the head.
	rest := raw[len(head):]
	s.Payload = append(bytes.TrimSuffix(s.Payload, []byte("\n")), rest...)
	return s, tree, nil
}

// signedBy reads `Name <mail> seconds zone`.
func signedBy(value string) (mail string, when time.Time, err error) {
	_, rest, opened := strings.Cut(value, "<")
	mail, rest, closed := strings.Cut(rest, "> ")
	seconds, _, spaced := strings.Cut(rest, " ")
	at, err := strconv.ParseInt(seconds, 10, 64)
	if !opened || !closed || !spaced || err != nil || at < 0 || strings.ContainsAny(mail+rest, "<>") {
		return "", when, errors.New("unreadable")
	}
	return mail, time.Unix(at, 0).UTC(), nil
}

// Signed gives a commit that was fetched and is held, as its signature sees it: an
// [*OddCommitError] where programs could read it differently.
func (s *Source) Signed(hash string) (Signed, error) {
	snap := s.find(plumbing.NewHash(hash))
	if snap == nil {
		return Signed{}, fmt.Errorf("read %s: %w", s, &UnknownCommitError{Hash: clean(hash)})
	}
	signed, tree, err := parseSigned(snap.hash, snap.raw)
	if err == nil && tree != snap.tree {
		err = &OddCommitError{Hash: snap.hash.String(), Reason: "its files are not those of its head"}
	}
	return signed, err
}

// History is what a head has beyond commits that are known.
type History struct {
	// Commits are those that can be reached from the head and from none of the bases, in no
	// order but that the head is the first. None where a base holds the head.
	Commits []Signed
	// Continues says that the first base is the head, or lies in its history. Where it does
	// not, somebody has forced the branch to another history.
	Continues bool
}

// Since gives what the commit head, which was fetched, has beyond bases, of which there is
// at least one. A base that the repository does not have any more excludes nothing. History
// that cannot be read whole, or is too long, is an error, never left out.
func (s *Source) Since(ctx context.Context, head string, bases ...string) (h History, err error) {
	s.fetching.Lock()
	defer s.fetching.Unlock()
	parent, began := ctx, time.Now()
	ctx, cancel := context.WithTimeout(ctx, s.options.Timeout)
	defer cancel()
	all := make([]plumbing.Hash, len(bases))
	for i, base := range bases {
		all[i] = plumbing.NewHash(base)
	}
	switch snap := s.find(plumbing.NewHash(head)); {
	case snap == nil:
		err = &UnknownCommitError{Hash: clean(head)}
	case isChild(snap, all[0]):
		var one Signed
		if one, _, err = parseSigned(snap.hash, snap.raw); err == nil {
			h = History{Commits: []Signed{one}, Continues: true}
		}
	case s.location.kind == onDisk:
		h, err = s.sinceLocal(ctx, snap.hash, all)
	default:
		h, err = s.sinceRemote(ctx, snap.hash, all)
	}
	if err != nil {
		err = s.told.withhold(s.explain(parent, ctx, began, err))
		return History{}, fmt.Errorf("read the history of %s: %w", s, s.options.Auth.Settings.explained(s.location.kind, err))
	}
	return h, nil
}

// Holding gives those of some commits that lie in the history of head, which was fetched, or are
// it. History that cannot be read whole, or is too long, is an error, as in [Source.Since].
func (s *Source) Holding(ctx context.Context, head string, commits []string) (held []string, err error) {
	s.fetching.Lock()
	defer s.fetching.Unlock()
	parent, began := ctx, time.Now()
	ctx, cancel := context.WithTimeout(ctx, s.options.Timeout)
	defer cancel()
	hash := plumbing.NewHash(head)
	source, done, err := s.history(ctx, hash)
	if err == nil {
		defer done()
		w, reached := &walker{source: source, left: maxHistory}, map[plumbing.Hash]bool{}
		if err = w.collect(ctx, hash, reached); err == nil && w.cut(reached) {
			err = &CorruptError{Reason: errCut.Error(), Next: "fetch the rest of it (git fetch --unshallow), or use the repository's URL"}
		}
		for _, c := range commits {
			if reached[plumbing.NewHash(c)] {
				held = append(held, c)
			}
		}
	}
	if err != nil {
		err = s.told.withhold(s.explain(parent, ctx, began, err))
		return nil, fmt.Errorf("read the history of %s: %w", s, s.options.Auth.Settings.explained(s.location.kind, err))
	}
	return held, nil
}

// history is where all commits behind one are found, until done.
func (s *Source) history(ctx context.Context, head plumbing.Hash) (source objects, done func(), err error) {
	if s.location.kind != onDisk {
		got, err := s.receiveHistory(ctx, head, all)
		if err != nil {
			return nil, nil, err
		}
		return got, got.close, nil
	}
	g, _, err := openRef(ctx, s.location.dir, !s.location.climb, head.String())
	if err != nil {
		return nil, nil, err
	}
	local, err := g.objects(ctx)
	if err != nil {
		return nil, nil, err
	}
	return local, local.close, nil
}

// isChild tells a commit that has nothing but one known parent, so no history is asked for.
func isChild(snap *snapshot, base plumbing.Hash) bool {
	parents := parentsOf(snap.raw)
	return len(parents) == 1 && parents[0] == base
}

// parentsOf are the parents of a commit, as git itself reads them.
func parentsOf(raw []byte) (parents []plumbing.Hash) {
	first := true
	for line := range bytes.Lines(raw) {
		value, isParent := strings.CutPrefix(strings.TrimSuffix(string(line), "\n"), "parent ")
		if !first && !isParent {
			break
		}
		if first = false; isParent {
			parents = append(parents, plumbing.NewHash(value))
		}
	}
	return parents
}

func (s *Source) sinceLocal(ctx context.Context, head plumbing.Hash, bases []plumbing.Hash) (History, error) {
	source, done, err := s.history(ctx, head)
	if err != nil {
		return History{}, err
	}
	defer done()
	h, err := since(ctx, source, head, bases)
	if errors.Is(err, errCut) {
		return h, &CorruptError{Reason: err.Error(), Next: "fetch the rest of it (git fetch --unshallow), or use the repository's URL"}
	}
	return h, err
}

// sinceRemote asks for some history, and for all of it where that does not tell. Where the
// head has left the first base behind, what that stands on is asked for as well.
func (s *Source) sinceRemote(ctx context.Context, head plumbing.Hash, bases []plumbing.Hash) (h History, err error) {
	for _, depth := range []int{50, all} {
		var got *pack
		if got, err = s.receiveHistory(ctx, head, depth); err != nil {
			return h, err
		}
		h, err = since(ctx, got, head, bases)
		if err == nil && !h.Continues && depth == all {
			h, err = s.sinceForced(ctx, got, head, bases)
		}
		got.close()
		if err == nil && (h.Continues || depth == all) || err != nil && !errors.Is(err, errCut) {
			return h, err
		}
	}
	if errors.Is(err, errCut) {
		err = &CorruptError{Reason: err.Error()}
	}
	return h, err
}

// sinceForced looks where the head and the first base parted. A server that does not give
// out the base any more lets every commit of the head count as new.
func (s *Source) sinceForced(ctx context.Context, got *pack, head plumbing.Hash, bases []plumbing.Hash) (History, error) {
	former, err := s.receiveHistory(ctx, bases[0], all)
	switch {
	case is[*UnknownCommitError](err), errors.Is(err, ErrTooLarge):
		return since(ctx, got, head, bases)
	case err != nil:
		return History{}, err
	}
	defer former.close()
	return since(ctx, eitherOf{got, former}, head, bases)
}

// eitherOf finds objects in one place or in another.
type eitherOf [2]objects

func (e eitherOf) get(hash plumbing.Hash, most int64) (gitObject, error) {
	o, err := e[0].get(hash, most)
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return e[1].get(hash, most)
	}
	return o, err
}

// receiveHistory receives the commits that stand behind one, and no files where the server
// can leave them out.
func (s *Source) receiveHistory(ctx context.Context, want plumbing.Hash, depth int) (*pack, error) {
	budget := &budget{left: s.options.MaxPack}
	conversation, err := s.dial(ctx, budget)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conversation.Close() }() // all that matters was read
	rest := budget.first(maxListing)
	adv, err := conversation.References(ctx)
	if err != nil {
		return nil, budget.blame(err)
	}
	rest()
	object := advertised(adv, want)
	filters := adv.Capabilities.Supports(capability.Filter)
	req := request(adv, object, depth)
	if filters {
		_ = req.Capabilities.Set(capability.Filter) // it takes no value
		req.Filter = packp.FilterTreeDepth(0)
	}
	got, err := receive(ctx, conversation, req, budget, 4*s.options.MaxPack)
	if err != nil {
		if text := err.Error(); strings.Contains(text, "not our ref") || strings.Contains(text, "unadvertised object") {
			return nil, &UnknownCommitError{Hash: want.String()}
		}
		return nil, budget.blame(err)
	}
	return got, nil
}

const (
	maxHistory = 200_000 // commits that are looked at
	maxSince   = 10_000  // commits that are new
	sinceBytes = 64 << 20
	quickSince = 50 // commits after which it is asked what lies below the bases
)

// errCut says that history is missing.
var errCut = errors.New("the history is cut off")

// walker reads commits of one history.
type walker struct {
	source objects
	left   int // commits that may still be read
}

func (w *walker) read(hash plumbing.Hash) ([]byte, error) {
	if w.left--; w.left < 0 {
		return nil, fmt.Errorf("more than %d commits: %w", maxHistory, ErrTooLarge)
	}
	b := &builder{source: w.source}
	raw, err := b.object(hash, plumbing.CommitObject, maxCommit)
	if errors.Is(err, errMissingObject) {
		return nil, fmt.Errorf("%w: commit %.12s is missing", errCut, hash)
	}
	return raw, err
}

// since compares histories. What it needs and source lacks is errCut.
func since(ctx context.Context, source objects, head plumbing.Hash, bases []plumbing.Hash) (History, error) {
	w := &walker{source: source, left: maxHistory}
	stop := map[plumbing.Hash]bool{}
	for _, base := range bases {
		stop[base] = true
	}
	// Mostly a few commits stand upon the base, and nothing beside it.
	commits, met, open, err := w.until(ctx, head, stop, quickSince)
	if err == nil && met[bases[0]] && !open {
		return parsed(commits, true)
	}
	if err != nil && !errors.Is(err, errCut) {
		return History{}, err
	}
	below := map[plumbing.Hash]bool{}
	for _, base := range bases {
		if err := w.collect(ctx, base, below); err != nil {
			return History{}, err
		}
	}
	if commits, _, open, err = w.until(ctx, head, below, maxSince); err != nil {
		return History{}, err
	}
	if open && len(commits) >= maxSince {
		return History{}, fmt.Errorf("more than %d commits are new: %w", maxSince, ErrTooLarge)
	}
	reached := map[plumbing.Hash]bool{}
	if err := w.collect(ctx, head, reached); err != nil {
		return History{}, err
	}
	if !reached[bases[0]] && w.cut(reached) {
		return History{}, errCut
	}
	return parsed(commits, reached[bases[0]])
}

// rawCommit is a commit that was not parsed yet.
type rawCommit struct {
	hash plumbing.Hash
	raw  []byte
}

// until reads commits from head on and stops at some. met are those that it stopped at; open
// says that it came to the first commit of a history, or to most commits.
func (w *walker) until(ctx context.Context, head plumbing.Hash, stop map[plumbing.Hash]bool, most int) (commits []rawCommit, met map[plumbing.Hash]bool, open bool, err error) {
	met = map[plumbing.Hash]bool{}
	seen, todo, room := map[plumbing.Hash]bool{head: true}, []plumbing.Hash{head}, sinceBytes
	for len(todo) > 0 {
		hash := todo[0]
		todo = todo[1:]
		if stop[hash] {
			met[hash] = true
			continue
		}
		if len(commits) == most {
			return commits, met, true, nil
		}
		raw, err := w.read(hash)
		if err = errors.Join(err, ctx.Err()); err != nil {
			return nil, nil, false, err
		}
		if room -= len(raw); room < 0 {
			return nil, nil, false, fmt.Errorf("the new commits have more than %d bytes: %w", sinceBytes, ErrTooLarge)
		}
		commits = append(commits, rawCommit{hash, bytes.Clone(raw)})
		parents := parentsOf(raw)
		open = open || len(parents) == 0
		for _, p := range parents {
			if !seen[p] {
				seen[p] = true
				todo = append(todo, p)
			}
		}
	}
	return commits, met, open, nil
}

// collect adds a commit and all that stands behind it. What is missing ends there: it is in
// the set, and nothing below it.
func (w *walker) collect(ctx context.Context, from plumbing.Hash, into map[plumbing.Hash]bool) error {
	for todo := []plumbing.Hash{from}; len(todo) > 0; {
		hash := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if into[hash] {
			continue
		}
		raw, err := w.read(hash)
		if err = errors.Join(err, ctx.Err()); err != nil && !errors.Is(err, errCut) {
			return err
		}
		into[hash] = true
		todo = append(todo, parentsOf(raw)...)
	}
	return nil
}

// cut tells whether one of the commits is missing.
func (w *walker) cut(commits map[plumbing.Hash]bool) bool {
	for hash := range commits {
		if _, err := w.source.get(hash, 0); errors.Is(err, plumbing.ErrObjectNotFound) {
			return true
		}
	}
	return false
}

func parsed(commits []rawCommit, continues bool) (h History, err error) {
	h.Continues = continues
	for _, c := range commits {
		one, _, err := parseSigned(c.hash, c.raw)
		if err != nil {
			return History{}, err
		}
		h.Commits = append(h.Commits, one)
	}
	return h, nil
}
