package state

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// attemptsKept is how many commits of an environment are remembered, the newest ones.
const attemptsKept = 1000

// Commits of one environment, as full hashes; "" where there is none.
type Commits struct {
	Environment string `json:"environment,omitempty"` // its name in the repository
	Attempted   string `json:"attempted"`             // what was tried last
	Applied     string `json:"applied"`               // what was last in effect as a whole
}

// Revision is the commit that a daemon runs an environment from: the last one in which
// its files had no error.
type Revision struct {
	DevID       string `json:"dev_id"`
	Environment string `json:"environment"` // its name in the repository
	Commit      string `json:"commit"`
}

// Known is the name and the dev_id of an environment that a run or a daemon has seen.
type Known struct{ Environment, DevID string }

// Branch is the branch of a repository that a daemon follows where nobody named one, ""
// where none was followed yet.
func (s *Store) Branch(repository string) (branch string, err error) {
	err = s.read("recall branch", func(r Reader) error {
		branch, _, err = kindBranch.get(r, Environment{}, repository)
		return err
	})
	return branch, err
}

// SaveBranch notes the branch that is followed.
func (s *Store) SaveBranch(repository, branch string) error {
	return s.write("note branch", func(w Writer) error { return kindBranch.put(w, Environment{}, repository, branch) })
}

// verifiedKept is how many accepted commits of a repository are remembered, the newest ones.
const verifiedKept = 100

// Followed is what is remembered of the branch of a repository.
type Followed struct {
	Ref    string `json:"ref"`    // what was looked at, a branch or tag; "" for HEAD
	Newest string `json:"newest"` // the commit that it named last, used or not
	// Verified are the newest commits whose signatures were accepted, the last one first: at
	// most 100.
	Verified []string    `json:"verified,omitempty"`
	Forced   *ForcedPush `json:"forced,omitempty"` // the last time that the branch was forced, or a tag moved
	// Tag is the tag that named Newest, where tags are followed; "" else.
	Tag string `json:"tag,omitempty"`
	// Highest is the tag of the highest version that was used under the rule Ref.
	Highest string `json:"highest,omitempty"`
}

// ForcedPush is a branch that was made to name a commit which does not hold the former one, or
// a tag that was made to name another commit.
type ForcedPush struct {
	At   time.Time `json:"at"` // when it was noticed
	From string    `json:"from"`
	To   string    `json:"to"`
	Tag  string    `json:"tag"` // the tag; "" for a branch
}

// Followed gives what is remembered of a repository; the zero one where nothing is.
func (s *Store) Followed(repository string) (f Followed, err error) {
	err = s.read("recall repository", func(r Reader) error {
		f, _, err = kindFollowed.get(r, Environment{}, repository)
		return err
	})
	return f, err
}

// FollowedAll gives what is remembered of all repositories, by what SaveFollowed calls them.
func (s *Store) FollowedAll() (all map[string]Followed, err error) {
	err = s.read("recall repositories", func(r Reader) error {
		all, err = kindFollowed.list(r, Environment{}, nil)
		return err
	})
	return all, err
}

// TakeOver lets a repository go on with what is remembered of another one, which is forgotten
// there: what its branch named, and which branch that is. Nothing is put over what is remembered
// of the repository itself. former chooses the other one of those that are known, "" for none.
func (s *Store) TakeOver(repository string, former func(known []string) string) error {
	return s.write("note the new name of a repository", func(w Writer) error {
		followed, err := kindFollowed.list(w, Environment{}, nil)
		branches, err2 := kindBranch.list(w, Environment{}, nil)
		if err := errors.Join(err, err2); err != nil {
			return err
		}
		if f := former(slices.Sorted(maps.Keys(followed))); f != "" {
			if err := errors.Join(kindFollowed.put(w, Environment{}, repository, followed[f]), kindFollowed.drop(w, Environment{}, f)); err != nil {
				return err
			}
		}
		if b := former(slices.Sorted(maps.Keys(branches))); b != "" {
			return errors.Join(kindBranch.put(w, Environment{}, repository, branches[b]), kindBranch.drop(w, Environment{}, b))
		}
		return nil
	})
}

// SaveFollowed replaces what is remembered of a repository, and records lines about it.
func (s *Store) SaveFollowed(repository string, f Followed, lines ...Entry) error {
	f.Verified = f.Verified[:min(len(f.Verified), verifiedKept)]
	return s.write("note repository", func(w Writer) error {
		if err := kindFollowed.put(w, Environment{}, repository, f); err != nil {
			return err
		}
		return appendLines(w, lines...)
	})
}

// Commits gives the commits of an environment.
func (s *Store) Commits(env Environment) (Commits, error) { return one(s, kindCommits, env) }

// SaveCommits replaces the commits of an environment.
func (s *Store) SaveCommits(env Environment, c Commits) error { return replace(s, kindCommits, env, c) }

// Known gives the names and dev_ids of all environments, sorted, whatever account they
// are of.
func (s *Store) Known() ([]Known, error) {
	var out []Known
	err := s.read("recall environments", func(r Reader) error {
		revisions, err := kindRevision.list(r, Environment{}, nil)
		out = nil
		for _, from := range revisions {
			out = append(out, Known{from.Environment, from.DevID})
		}
		environments, err2 := r.Environments()
		for _, env := range environments {
			c, _, err := kindCommits.get(r, env, "")
			if err != nil {
				return err
			}
			if _, renamed := revisions[env.DevID]; c.Environment != "" && !renamed {
				out = append(out, Known{c.Environment, env.DevID})
			}
		}
		return errors.Join(err, err2)
	})
	slices.SortFunc(out, func(a, b Known) int {
		return cmp.Or(cmp.Compare(a.Environment, b.Environment), cmp.Compare(a.DevID, b.DevID))
	})
	return slices.Compact(out), err
}

// Revisions gives the commits that a daemon runs its environments from.
func (s *Store) Revisions() (all []Revision, err error) {
	err = s.read("recall revisions", func(r Reader) error {
		found, err := kindRevision.list(r, Environment{}, nil)
		all = slices.SortedFunc(maps.Values(found), func(a, b Revision) int { return cmp.Compare(a.DevID, b.DevID) })
		return err
	})
	return all, err
}

// SaveRevisions puts revisions in the place of former ones: of those, an environment that is not
// among them is forgotten. Others stay as they are.
func (s *Store) SaveRevisions(former, all []Revision) error {
	return s.write("save revisions", func(w Writer) error {
		for _, was := range former {
			if !slices.ContainsFunc(all, func(r Revision) bool { return r.DevID == was.DevID }) {
				if err := kindRevision.drop(w, Environment{}, was.DevID); err != nil {
					return err
				}
			}
		}
		for _, r := range all {
			if r.DevID == "" || r.Environment == "" || r.Commit == "" {
				return errors.New("a dev_id, name or commit is empty")
			}
			if err := kindRevision.put(w, Environment{}, r.DevID, r); err != nil {
				return err
			}
		}
		return nil
	})
}

// RecordAttempt remembers that an environment attempts a commit. One that it attempted
// before keeps its place, so the newest stays the newest when a branch is rewound. One that is
// older, as the caller knows, takes its place before the newest.
func (s *Store) RecordAttempt(env Environment, commit string, older bool) error {
	return s.writeFor(env, "save attempted revision", func(w Writer) error {
		all, _, err := kindAttempted.get(w, env, "")
		if err != nil || slices.Contains(all, commit) {
			return err
		}
		if all = append(all, commit); older && len(all) > 1 {
			last := len(all) - 1
			all[last-1], all[last] = all[last], all[last-1]
		}
		return kindAttempted.put(w, env, "", all[max(0, len(all)-attemptsKept):])
	})
}

// RewoundFrom gives the newest commit that an environment attempted, where it attempted
// this one before that: the branch was rewound. It is "" for the newest itself and for
// a commit that was never attempted, unless that is older, as the caller knows.
func (s *Store) RewoundFrom(env Environment, commit string, older bool) (string, error) {
	all, err := one(s, kindAttempted, env)
	at := slices.Index(all, commit)
	if last := len(all) - 1; err == nil && (at >= 0 && at < last || at < 0 && older && last >= 0) {
		return all[last], nil
	}
	return "", err
}

// ApprovalLasts is how long an approval waits to be used.
const ApprovalLasts = 24 * time.Hour

// Approval lets one run apply exactly one plan of an environment, or what that plan has
// for one connection, until a moment (exclusive).
type Approval struct {
	Connection string    `json:"connection"` // production/strava; "" is the whole plan
	Hash       string    `json:"hash"`       // of the plan, or of the connection
	Now        bool      `json:"now"`        // also outside the windows
	By         []string  `json:"by"`         // who approved it, each once
	At         time.Time `json:"at"`         // of the last of them
	Until      time.Time `json:"until"`
}

// joined adds an approval of the same hash by others, where both still stand. Windows
// are ignored only where all of them said so.
func (a Approval) joined(former Approval) Approval {
	others := slices.DeleteFunc(slices.Clone(former.By), func(who string) bool { return slices.Contains(a.By, who) })
	if former.Hash != a.Hash || len(others) == 0 || !a.At.Before(former.Until) {
		return a
	}
	a.By, a.Now = append(others, a.By...), a.Now && former.Now
	return a
}

// repeats tells whether all that an approval says stands already.
func (a Approval) repeats(former Approval) bool {
	isNew := func(who string) bool { return !slices.Contains(former.By, who) }
	return former.Hash == a.Hash && former.Now == a.Now && a.At.Before(former.Until) && !slices.ContainsFunc(a.By, isNew)
}

type usedApproval struct {
	At  time.Time `json:"at"`
	Run string    `json:"run"`
}

// UsedError says that an approval has served already.
type UsedError struct {
	Hash string
	At   time.Time // UTC: when it did
	Run  string    // in which run
}

// Error names the moment and the run, as the history has them.
func (e *UsedError) Error() string {
	return fmt.Sprintf("the approval of %s was used already, at %s by run %s; an approval serves once", e.Hash, e.At.Format("2006-01-02 15:04:05 UTC"), e.Run)
}

// SaveApproval keeps an approval until it is used, and records lines about it. A new one
// replaces the former of the same environment or connection, unless it is of the same
// hash by somebody else: then both approved. Who approves again what waits with their
// approval changes nothing, not its end either, and leaves no line.
func (s *Store) SaveApproval(env Environment, a Approval, lines ...Entry) error {
	a.At, a.Until = utc(a.At), utc(a.Until)
	return s.writeFor(env, "save approval", func(w Writer) error {
		if a.Hash == "" || len(a.By) == 0 || !a.At.Before(a.Until) {
			return errors.New("it needs a hash, who gave it and an end after its beginning")
		}
		former, _, err := kindApproval.get(w, env, a.Connection)
		if err != nil || a.repeats(former) {
			return err
		}
		if err := kindApproval.put(w, env, a.Connection, a.joined(former)); err != nil {
			return err
		}
		return appendLines(w, lines...)
	})
}

// Approvals gives what waits to be used by an environment at a moment, that of the whole
// plan first.
func (s *Store) Approvals(env Environment, now time.Time) (waiting []Approval, err error) {
	err = s.read("recall approvals of "+env.DevID, func(r Reader) error {
		all, err := kindApproval.list(r, env, nil)
		for _, connection := range slices.Sorted(maps.Keys(all)) {
			if now.Before(all[connection].Until) {
				waiting = append(waiting, all[connection])
			}
		}
		return err
	})
	return waiting, err
}

// ApprovalsOf gives what is remembered of the approvals of a connection, or with "" of
// the whole plan: the one that was left for the next run and has not served, be it of
// another plan or ended; and when one of this hash last served, nil where none did.
func (s *Store) ApprovalsOf(env Environment, connection, hash string) (left Approval, served *UsedError, err error) {
	err = s.read("recall approvals of "+env.DevID, func(r Reader) (err error) {
		left, _, err = kindApproval.get(r, env, connection)
		return err
	})
	if err == nil {
		err = s.ApprovalUsed(env, hash, time.Time{})
	}
	if errors.As(err, &served) {
		err = nil
	}
	return left, served, err
}

// DropApproval forgets the approval of this hash, if it waits: it is on disk that
// no run can use it any more when DropApproval returns nil.
func (s *Store) DropApproval(env Environment, hash string) error {
	return s.writeFor(env, "drop approval", func(w Writer) error { return dropApproval(w, env, hash) })
}

// ApprovalUsed gives a *UsedError when an approval of this hash that was given at
// a moment has served. Given at an unknown time, the zero one, it has when any of
// the same hash ever did.
func (s *Store) ApprovalUsed(env Environment, hash string, given time.Time) error {
	return bare(s.read("recall approval of "+env.DevID, func(r Reader) error { return checkUnused(r, env, hash, given) }))
}

// UseApproval remembers that an approval serves now, and forgets it where it
// waited: both at once, and on disk when UseApproval returns nil. Only then may the
// first write leave. One that has served is refused with a *UsedError.
func (s *Store) UseApproval(env Environment, hash string, given, now time.Time, run string) error {
	return bare(s.writeFor(env, "use approval", func(w Writer) error {
		if hash == "" || run == "" {
			return errors.New("it needs a hash and a run")
		}
		if err := checkUnused(w, env, hash, given); err != nil {
			return err
		}
		at := now
		if given.After(now) {
			at = given // whatever the clocks say, this very one has served
		}
		if err := kindUsed.put(w, env, hash, usedApproval{At: utc(at), Run: run}); err != nil {
			return err
		}
		return dropApproval(w, env, hash)
	}))
}

func dropApproval(w Writer, env Environment, hash string) error {
	all, err := kindApproval.list(w, env, nil)
	for connection, waits := range all {
		if err == nil && waits.Hash == hash {
			err = kindApproval.drop(w, env, connection)
		}
	}
	return err
}

func checkUnused(r Reader, env Environment, hash string, given time.Time) error {
	served, found, err := kindUsed.get(r, env, hash)
	if err == nil && found && !given.After(served.At) {
		err = &UsedError{Hash: hash, At: served.At, Run: served.Run}
	}
	return err
}

// bare gives a *UsedError without what was tried: it says all that there is to say.
func bare(err error) error {
	var served *UsedError
	if errors.As(err, &served) {
		return served
	}
	return err
}
