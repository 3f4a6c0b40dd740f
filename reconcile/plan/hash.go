package plan

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

const hashFormat = 3

type hashedPlan struct {
	Format      int                `json:"format"`
	Account     string             `json:"account"`
	API         string             `json:"api"`
	DevID       string             `json:"dev_id"`
	Connections []hashedConnection `json:"connections"`
}

type hashedConnection struct {
	Connection string `json:"connection"`
	Hash       string `json:"hash"`
}

type hashedPart struct {
	Format  int            `json:"format"`
	Account string         `json:"account"`
	API     string         `json:"api"`
	DevID   string         `json:"dev_id"`
	Changes []hashedChange `json:"changes"`
}

type hashedChange struct {
	Connection string `json:"connection"`
	Action     Action `json:"action"`
	Field      string `json:"field"`
	Observed   string `json:"observed"`
	Desired    string `json:"desired"`
	Proof      *Proof `json:"proof,omitempty"` // of a change that writes a secret
}

// Hash names what a plan would do, as "sha256:" and 64 hex digits: account, API address,
// dev_id and the hash of each connection that changes. Time, gates, reasons, user counts, what
// providers answered and commits are not part of it, nor is anything that only one state
// directory knows.
func Hash(p Plan) string {
	h := hashedPlan{Format: hashFormat, Account: p.Account, API: p.API, DevID: p.DevID, Connections: []hashedConnection{}}
	hashes := ConnectionHashes(p)
	for _, connection := range slices.Sorted(maps.Keys(hashes)) {
		h.Connections = append(h.Connections, hashedConnection{connection, hashes[connection]})
	}
	return sum(h)
}

// ConnectionHashes names what a plan would do to each connection that changes: account,
// API address, dev_id and, for each change, connection, action, field, observed and desired
// token, and how a secret that it writes is proved and watched.
func ConnectionHashes(p Plan) map[string]string {
	parts := map[string][]hashedChange{}
	for _, c := range p.Changes {
		for _, f := range c.Fields {
			parts[c.Connection] = append(parts[c.Connection], hashedChange{c.Connection, c.Action, f.Field, f.From.token(), f.To.token(), c.Proof})
		}
	}
	out := map[string]string{}
	for connection, changes := range parts {
		slices.SortFunc(changes, func(a, b hashedChange) int {
			return cmp.Or(cmp.Compare(a.Action, b.Action), cmp.Compare(a.Field, b.Field), cmp.Compare(a.Observed, b.Observed), cmp.Compare(a.Desired, b.Desired))
		})
		out[connection] = sum(hashedPart{Format: hashFormat, Account: p.Account, API: p.API, DevID: p.DevID, Changes: changes})
	}
	return out
}

func sum[T any](plain T) string {
	b, err := json.Marshal(plain)
	if err != nil {
		return "" // plain strings always marshal
	}
	digest := sha256.Sum256(b)
	return hashPrefix + hex.EncodeToString(digest[:])
}

const (
	hashPrefix  = "sha256:"
	shortDigits = 8 // that a person types at least
)

// ShortHash is as much of a hash as a person types: as many digits as the runner asks
// for, never fewer than 8, or more where another hash begins with the same.
func ShortHash(hash string, least int, others ...string) string {
	digits := strings.TrimPrefix(hash, hashPrefix)
	for n := max(least, shortDigits); n < len(digits); n++ {
		twin := func(other string) bool { return other != hash && strings.HasPrefix(other, hashPrefix+digits[:n]) }
		if !slices.ContainsFunc(others, twin) {
			return digits[:n]
		}
	}
	return hash
}

// IsHash tells whether a text can name a plan: all of its hash, or at least 8 digits.
func IsHash(given string) bool {
	digits := strings.TrimPrefix(given, hashPrefix)
	return strings.Trim(digits, "0123456789abcdef") == "" && len(digits) >= shortDigits && len(digits) <= 2*sha256.Size
}

// LongEnough refuses a hash that a person gave with fewer digits than the runner asks for.
func LongEnough(given string, least int) error {
	if n := len(strings.TrimPrefix(given, hashPrefix)); n < least {
		return fmt.Errorf("%s is %d digits of a hash, and this runner takes no fewer than %d (approvals.digits in daemon.yaml)", given, n, least)
	}
	return nil
}

// SameHash tells whether what a person typed names a hash, and none of the others.
func SameHash(given, hash string, others ...string) bool {
	if given == hash {
		return true
	}
	prefix := hashPrefix + strings.TrimPrefix(given, hashPrefix)
	return IsHash(given) && strings.HasPrefix(hash, prefix) &&
		!slices.ContainsFunc(others, func(other string) bool { return other != hash && strings.HasPrefix(other, prefix) })
}

// DifferenceKind says in what a plan is not the one that was shown.
type DifferenceKind string

// The kinds.
const (
	Added    DifferenceKind = "added"    // planned now, and was not shown
	Gone     DifferenceKind = "gone"     // was shown, and is not planned any more
	Altered  DifferenceKind = "altered"  // shown with another value on one side
	Risen    DifferenceKind = "risen"    // the same, and it can harm more than was shown
	Released DifferenceKind = "released" // the same, and shown as held by what no approval lifts
	Laxer    DifferenceKind = "laxer"    // the same, and proved or watched less than was shown
)

// Difference is one thing in which a plan is not the one that was shown.
type Difference struct {
	Kind       DifferenceKind
	Connection string
	Action     Action
	Shown, Now Step // Shown is zero for Added, Now for Gone
}

// Step is one field of a change, with what a Difference says of the change.
type Step struct {
	FieldChange        // Field is "" for a change that shows none
	Class       Class  // of the change
	ClassReason string // why that class
	Guard       string // that holds it, "" when it is ready
	Due         int    // the number of the key that this rotates to, else 0
}

type spot struct {
	connection string
	action     Action
	field      string
}

// Compare gives everything in which now is not the plan that was shown, sorted:
// what is added, gone or altered, by what Hash is made of; and what the hash
// leaves out on purpose and a person who approved it would have wanted to know: a
// class that rose, a change that was shown as held by a guard that no approval lifts,
// and a secret that is proved or watched less than was shown. A class that fell, and a gate that opened by time, are no
// difference. Plans of two dev_ids are not told apart here.
func Compare(shown, now Plan) []Difference {
	before, after := steps(shown), steps(now)
	var out []Difference
	for at, were := range before {
		was, is := unmatched(were, after[at])
		for i := range max(len(was), len(is)) {
			d := Difference{Connection: at.connection, Action: at.action}
			switch {
			case i >= len(is):
				d.Kind, d.Shown = Gone, was[i]
			case i >= len(was):
				d.Kind, d.Now = Added, is[i]
			default:
				d.Kind, d.Shown, d.Now = Altered, was[i], is[i]
			}
			out = append(out, d)
		}
	}
	for at, are := range after {
		if len(before[at]) == 0 {
			for _, s := range are {
				out = append(out, Difference{Kind: Added, Connection: at.connection, Action: at.action, Now: s})
			}
		}
	}
	out = append(out, worse(shown, now)...)
	out = append(out, laxer(shown, now)...)
	slices.SortFunc(out, func(a, b Difference) int {
		return cmp.Or(cmp.Compare(a.Connection, b.Connection), cmp.Compare(rank(a.Action), rank(b.Action)), cmp.Compare(a.field(), b.field()),
			cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Shown.tokens(), b.Shown.tokens()), cmp.Compare(a.Now.tokens(), b.Now.tokens()))
	})
	return out
}

// worse compares changes as a whole. Where one place has several, the worst counts.
func worse(shown, now Plan) []Difference {
	var out []Difference
	seen := map[spot]bool{}
	for _, c := range now.Changes {
		at := spot{c.Connection, c.Action, ""}
		was := worst(shown, at)
		if was == nil || seen[at] {
			continue
		}
		seen[at] = true
		is := worst(now, at)
		d := Difference{Connection: at.connection, Action: at.action, Shown: stepOf(*was), Now: stepOf(*is)}
		if harm(is.Class) > harm(was.Class) {
			d.Kind = Risen
			out = append(out, d)
		}
		if row, known := GuardOf(was.Guard); was.Gate == Blocked && is.Gate == Ready && !(known && (row.Lifts.Hash || row.Lifts.Alone)) {
			d.Kind = Released
			out = append(out, d)
		}
	}
	return out
}

func worst(p Plan, at spot) *Change {
	var out *Change
	for i, c := range p.Changes {
		if c.Connection == at.connection && c.Action == at.action && (out == nil || harm(c.Class) > harm(out.Class)) {
			out = &p.Changes[i]
		}
	}
	return out
}

// harm orders classes. One that is not known counts as the worst.
func harm(c Class) int {
	at := slices.Index([]Class{Safe, Disruptive, Destructive}, c)
	if at < 0 {
		return len(Destructive)
	}
	return at
}

func steps(p Plan) map[spot][]Step {
	out := map[spot][]Step{}
	for _, c := range p.Changes {
		if len(c.Fields) == 0 {
			at := spot{c.Connection, c.Action, ""}
			out[at] = append(out[at], stepOf(c))
		}
		for _, f := range c.Fields {
			at := spot{c.Connection, c.Action, f.Field}
			s := stepOf(c)
			s.FieldChange = f
			if c.Cause == Rotation && f.Field == FieldClientSecret {
				s.Due = f.To.Key
			}
			out[at] = append(out[at], s)
		}
	}
	return out
}

func stepOf(c Change) Step {
	return Step{Class: c.Class, ClassReason: c.ClassReason, Guard: c.Guard}
}

// unmatched leaves out the steps that are the same on both sides.
func unmatched(were, are []Step) (was, is []Step) {
	is = slices.Clone(are)
	for _, s := range were {
		at := slices.IndexFunc(is, func(o Step) bool { return o.tokens() == s.tokens() })
		if at < 0 {
			was = append(was, s)
			continue
		}
		is = slices.Delete(is, at, at+1)
	}
	return was, is
}

// tokens is what the hash knows of both sides.
func (s Step) tokens() string { return listToken([]string{s.From.token(), s.To.token()}) }

func (d Difference) field() string { return max(d.Shown.Field, d.Now.Field) }
