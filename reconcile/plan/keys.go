package plan

import (
	"maps"
	"reflect"
	"slices"
	"time"
)

// KeyLife is what is remembered of the keys of one connection beyond the pair
// that was last agreed: which ones the provider refused, which pairs were live
// before, and which one is watched. Digests are keyed.
type KeyLife struct {
	Rejected map[string]Rejection `json:"rejected,omitempty"` // by entry of the file
	Seen     []Pair               `json:"seen,omitempty"`     // live before a change of ours, the latest last
	Soak     *Soak                `json:"soak,omitempty"`
}

// IsZero reports whether there is nothing to remember.
func (l KeyLife) IsZero() bool { return len(l.Rejected) == 0 && len(l.Seen) == 0 && l.Soak == nil }

// Equal tells whether both say the same.
func (l KeyLife) Equal(o KeyLife) bool {
	return l.IsZero() && o.IsZero() || reflect.DeepEqual(l, o)
}

// Clone is a copy that shares nothing with l.
func (l KeyLife) Clone() KeyLife {
	l.Rejected, l.Seen = maps.Clone(l.Rejected), slices.Clone(l.Seen)
	if l.Soak != nil {
		soak := *l.Soak
		l.Soak = &soak
	}
	return l
}

// Reject marks the key of one entry.
func (l *KeyLife) Reject(entry string, why Rejection) {
	if l.Rejected == nil {
		l.Rejected = map[string]Rejection{}
	}
	l.Rejected[entry] = why
}

// Pair is a client id with the keyed digest of its secret.
type Pair struct {
	ClientID string `json:"client_id"`
	Digest   string `json:"digest"`
}

// Rejection says why a key must not be live. It ends with its entry: a key that
// is sealed anew, or gets another not_before or client_id, is tried again.
type Rejection struct {
	At     time.Time `json:"at"`
	Reason string    `json:"reason"`
	// ByUsers marks a key that the provider accepts, and after which active end
	// users fell away. It is judged anew in each run of its soak.
	ByUsers bool `json:"by_users,omitempty"`
	// LiveToo is the entry of the key that was live then, if the provider rejected
	// that one as well.
	LiveToo string `json:"live_too,omitempty"`
	// AskLive is the entry of the key that was live then, as long as its provider has
	// not been asked since: what is known of it may be from before it died.
	AskLive string `json:"ask_live,omitempty"`
}

// Soak is a key that was written and is watched for a while.
type Soak struct {
	Pair
	Entry  string    `json:"entry"` // of the file
	Began  time.Time `json:"began"` // before the write left
	Until  time.Time `json:"until"` // when it has passed, if nothing speaks against the key
	Users  *Users    `json:"users,omitempty"`
	Sample []string  `json:"sample,omitempty"` // keyed hashes of user ids that were active, where there were too many to count
}

// pairsKept is how many pairs that were live before are remembered.
const pairsKept = 5

// Saw remembers a pair that was live until now.
func (l *KeyLife) Saw(p Pair) {
	if p.Digest == "" || p.ClientID == "" {
		return
	}
	seen := slices.DeleteFunc(slices.Clone(l.Seen), func(old Pair) bool { return old == p })
	seen = append(seen, p)
	l.Seen = seen[max(0, len(seen)-pairsKept):]
}

// WasLive tells whether a pair was live before.
func (l KeyLife) WasLive(p Pair) bool { return p.Digest != "" && slices.Contains(l.Seen, p) }

// fallFrom is how many end users must be gone before a fall means anything: two
// of three who stop wearing a watch say nothing about a key.
const fallFrom = 5

// Fell tells whether so many active end users are gone that the new key is the
// likely cause: at least percent, at least five, and both counts exact.
func Fell(before, now Users, percent int) bool {
	gone := before.Count - now.Count
	return before.Exact && now.Exact && gone >= fallFrom && gone*100 >= percent*before.Count
}

// Refused is the key that would be due had it not been rejected.
type Refused struct {
	Key     int    // number in the file, 1 is the oldest
	Sealed  string // sha256 of the sealed form
	Origin  string
	Reason  string
	At      time.Time
	ByUsers bool
	LiveToo int // number of the key that was live then and was rejected as well; 0 is none
	AskLive int // number of the key that was live then and has not been asked about since; 0 is none
}

// refusedIsLive tells whether the rejected key is the live one, so that going
// back to the key before it is what is wanted.
func (d *diff) refusedIsLive() bool {
	return d.want.Refused != nil && d.live.Secret.LiveKey == d.want.Refused.Key
}

// diffRefused shows a rejected key: one that is kept out as the rotation that it
// would be, one that is live and has no successor as what must be replaced.
func (d *diff) diffRefused() {
	refused := d.want.Refused
	if refused == nil || d.ignored(FieldClientSecret) {
		return
	}
	next := "; seal the right one, or a new one: `reconcile rotate add " + d.id + "`"
	if refused.ByUsers {
		next = "; make a new key: `reconcile rotate add " + d.id + "`"
	}
	change := FieldChange{
		Field: FieldClientSecret, From: FieldValue{Mask: d.live.Credentials.Mask, Key: d.live.Secret.LiveKey, Compared: Differs},
		To: FieldValue{Key: refused.Key, Sealed: refused.Sealed},
	}
	why := refused.words() + "; the live key stays"
	if refused.LiveToo > 0 && refused.LiveToo == d.live.Secret.LiveKey {
		why += ", but the provider rejected it too: people fall away"
	}
	if refused.AskLive > 0 && refused.AskLive == d.live.Secret.LiveKey {
		why += ", and the provider, asked about it less than an hour before, is asked again"
	}
	why += next
	if d.refusedIsLive() {
		if d.want.Secret.Mode == Given {
			return // what is wanted is the key before it
		}
		change.From.Compared, change.To = Equal, FieldValue{}
		why = "it is live and " + refused.words() + "; the file has no key to go back to" + next
	}
	c := d.add(RotateSecret, refused.Origin, []FieldChange{change})
	c.ID += ":" + GuardRejected
	c.Cause, c.Reason = Rotation, number(refused.Key)+" is due"
	c.block(GuardRejected, why)
}

// GuardRejected names the guard on a change that only shows a key that was
// rejected and is kept out.
const GuardRejected = "rejected"

// isKeptOut tells whether a change only shows a rejected key: nothing about the
// live key is open because of it.
func isKeptOut(c Change) bool { return c.Guard == GuardRejected }

// words tells since when and why a key is kept out.
func (r Refused) words() string { return r.Reason + " (" + stamp(r.At) + ")" }

// goesBack tells whether a change replaces a rejected live key by an older one.
func goesBack(in Input, c Change) bool {
	d, seen := desiredOf(in, c.Provider), in.Observed[c.Provider]
	return c.Action == RotateSecret && d.Refused != nil && d.Refused.Key == seen.Secret.LiveKey &&
		d.Secret.Mode == Given && !isKeptOut(c)
}

// checkGoBack lets a roll-back pass only to a pair that was live before and that
// the provider accepts now, asked since the rejected key was written.
func checkGoBack(in Input, c *Change, approved bool) (Gate, string) {
	if !goesBack(in, *c) || approved {
		return Ready, ""
	}
	d, probe := desiredOf(in, c.Provider), in.Probes[c.Provider]
	back := number(d.Secret.Value.Key)
	var why string
	switch {
	case !d.WasLive:
		why = "nobody remembers that " + back + " was ever live"
	case probe.Verdict != Good:
		why = "the provider has not accepted " + back + " now" + because(unproved(in, c.Provider))
	case probe.At.Before(d.WatchedSince):
		why = "the provider was not asked about " + back + " since; it is asked at most once an hour"
	default:
		return Ready, ""
	}
	return Approval, why
}

// checkProven holds a secret that nobody has proved where the file demands it.
func checkProven(in Input, c *Change, approved bool) (Gate, string) {
	writes := c.Action == SetCredentials || has(c.Fields, FieldClientSecret)
	required := desiredOf(in, c.Provider).ProbeRequired
	probe := in.Probes[c.Provider]
	switch {
	case !writes || required == "" || approved || probe.Verdict == Good:
		return Ready, ""
	case mayYetBeProved(in, *c):
		return Waiting, "probe: require (" + required + "); the provider is asked when this is applied"
	default:
		return Approval, "probe: require (" + required + ") and " + notProved + because(unproved(in, c.Provider))
	}
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return " (" + reason + ")"
}
