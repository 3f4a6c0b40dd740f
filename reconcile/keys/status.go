package keys

import (
	"slices"
	"strings"
	"time"

	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

// State says how the keys of a connection are.
type State string

// The states, the one that needs a person most first.
const (
	LiveRejected State = "live-rejected" // the live key must not be live
	OutOfBand    State = "out-of-band"   // somebody set one that the file does not have, and it is left
	Overdue      State = "overdue"       // the live key is older than its file allows
	Rejected     State = "rejected"      // a newer key is not used
	Held         State = "held"          // a newer key is due, and somebody must release it
	Due          State = "due"           // a newer key should be live and is not yet
	Soaking      State = "soaking"
	Expiring     State = "expiring" // soon overdue, and no successor is there
	Unknown      State = "unknown"
	OK           State = "ok"
)

// Status is one connection's keys as a run found them, or left them.
type Status struct {
	Connection    string             `json:"connection"` // production/strava
	Provider      string             `json:"provider"`
	State         State              `json:"state"`
	Also          []State            `json:"also"`                 // what holds beside State, and is not said by it
	Keys          int                `json:"keys"`                 // in the file
	Live          int                `json:"live"`                 // number of the live key, 1 is the oldest; 0: none of the file, or not known
	Issued        time.Time          `json:"issued,omitzero"`      // of the live key, as the file says
	AgeDays       *int               `json:"age_days"`             // of the live key; null when not known
	MaxAgeDays    int                `json:"max_age_days"`         // 0: keys do not age
	Due           int                `json:"due"`                  // number of the key that should be live; 0: none
	Next          int                `json:"next"`                 // number of the key that becomes due; 0: none
	NextAt        time.Time          `json:"next_at,omitzero"`     // when it does, UTC
	NextOrigin    string             `json:"next_origin,omitzero"` // file:line of that key
	SoakStartedAt time.Time          `json:"soak_started_at,omitzero"`
	SoakEndsAt    time.Time          `json:"soak_ends_at,omitzero"`
	UsersBefore   *plan.Users        `json:"users_before"` // active end users before the soaking key was set; null when not known
	UsersNow      *plan.Users        `json:"users_now"`    // in this run; null when not counted
	Rejected      []RefusedKey       `json:"rejected"`
	Unconfirmed   []RefusedKey       `json:"unconfirmed"`  // refused, which does not count yet
	Former        *FormerKey         `json:"previous_key"` // the key before the live one, to be revoked; null: none that is known to work
	Prunable      []int              `json:"prunable"`     // numbers of keys that the file need not hold any more
	Text          string             `json:"text"`         // what State alone does not say; "" for nothing
	Remediations  []plan.Remediation `json:"remediations"` // what a person does next
}

// RefusedKey is a key of the file that somebody does not accept.
type RefusedKey struct {
	Key    int       `json:"key"`
	At     time.Time `json:"at"` // since when it is rejected, or was refused first
	Reason string    `json:"reason"`
	AskAt  time.Time `json:"ask_at,omitzero"` // from when it may be asked about again
}

// FormerKey is a replaced key that its provider still accepts.
type FormerKey struct {
	Key        int       `json:"key"`
	AcceptedAt time.Time `json:"accepted_at"`
}

// States are State and what holds beside it.
func (k Status) States() []State { return append([]State{k.State}, k.Also...) }

// Is tells whether a state holds, be it alone or beside another one.
func (k Status) Is(state State) bool { return slices.Contains(k.States(), state) }

// Words are its states for a person, the most urgent first.
func (k Status) Words() string {
	var out []string
	for _, state := range k.States() {
		out = append(out, string(state))
	}
	return strings.Join(out, ", ")
}

// Needs tells whether a person has to do something about the keys.
func (k Status) Needs() bool {
	return slices.Contains([]State{LiveRejected, OutOfBand, Overdue, Rejected, Held, Expiring}, k.State)
}

// RefusedSince is since when the newest key that is refused is rejected, or was refused.
func (k Status) RefusedSince() time.Time {
	all := k.Rejected
	if len(all) == 0 {
		all = k.Unconfirmed
	}
	if len(all) == 0 {
		return time.Time{}
	}
	return all[len(all)-1].At
}

// Facts are what a run knows beside a [Set].
type Facts struct {
	Now                  time.Time
	Environment          string // production
	Connection, Provider string
	Live                 int          // number of the live key, 0: none of the file, or not known
	NoneLive             bool         // it is known to be none of the file that opens
	OutOfBand            bool         // what is live is no key of the file, nor what was agreed last
	Unopened             []int        // keys that nobody here can open
	Closed               string       // why the due one is not compared, "" where it is
	Change               *plan.Change // that sends a secret, and was not applied; nil for none
	UsersNow             *plan.Users
	Rules                Rules
	Portal               Portal
}

// Rules are what the file says of its keys.
type Rules struct {
	MaxAge, Warn, Soak time.Duration
	MaxUserDrop        int // percent
	Origin             string
}

// Portal says how a person makes a new key at a provider.
type Portal struct {
	Address                           string
	Order                             string // in words
	CommitFirst, ResetFirst, AskTerra bool
	Tokens                            string // how long a bad key can stay unseen, in words; "" where nobody knows
}

const day = 24 * time.Hour

// Superseded is the rejected key that is live, or else the one that would be due had it
// not been rejected; 0 for none.
func (s Set) Superseded(now time.Time, live int) int {
	due := s.Due(now)
	if live > due && s.IsRejected(live, now) {
		return live
	}
	if scheduled := s.Scheduled(now); scheduled != due {
		return scheduled
	}
	return 0
}

// liveRefused gives what speaks against the live key.
func (s Set) liveRefused(live int) (Refusal, bool) {
	r, ok := s.Refusal(live)
	return r, ok && r.IsFirm()
}

// Status says how the keys are, and what a person does next.
func (s Set) Status(f Facts) Status {
	out := Status{
		Connection: f.Connection, Provider: f.Provider, Keys: len(s.Entries), Live: f.Live, Due: s.Due(f.Now), MaxAgeDays: int(f.Rules.MaxAge / day),
		Rejected: []RefusedKey{}, Unconfirmed: []RefusedKey{}, Prunable: []int{}, Also: []State{}, Remediations: []plan.Remediation{}, UsersNow: f.UsersNow,
	}
	out.Next, out.NextAt = s.Next(f.Now)
	out.NextAt = out.NextAt.UTC()
	out.NextOrigin = s.Entry(out.Next).Origin
	for key := range s.Entries {
		r, ok := s.Refusal(key + 1)
		switch {
		case ok && r.Counts():
			out.Rejected = append(out.Rejected, RefusedKey{Key: key + 1, At: r.Rejected.UTC(), Reason: r.Reason, AskAt: r.askAt()})
		case ok:
			out.Unconfirmed = append(out.Unconfirmed, RefusedKey{Key: key + 1, At: r.Since.UTC(), Reason: r.Reason, AskAt: r.askAt()})
		}
	}
	if f.Live > 0 {
		e := s.Entry(f.Live)
		if out.Issued = e.Issued; out.Issued.IsZero() {
			out.Issued = e.NotBefore
		}
		if !out.Issued.IsZero() {
			age := max(0, int(f.Now.Sub(out.Issued)/day))
			out.AgeDays = &age
		}
	}
	if soak := s.History.Soak; soak != nil && f.Live > 0 && s.Entry(f.Live).ID == soak.Entry {
		out.SoakStartedAt, out.SoakEndsAt, out.UsersBefore = soak.Began.UTC(), soak.Until.UTC(), soak.Users
		if len(soak.Sample) > 0 {
			out.UsersBefore = &plan.Users{Count: len(soak.Sample), Exact: true}
		}
	}
	if former := s.History.Former; former != nil && !former.Alive.IsZero() && s.Find(former.Entry) != f.Live {
		out.Former = &FormerKey{Key: s.Find(former.Entry), AcceptedAt: former.Alive.UTC()}
	}
	if f.Live > 0 || f.NoneLive {
		for _, key := range s.Prunable(f.Live, out.Due) {
			if f.Live > 0 || !slices.Contains(f.Unopened, key) { // one that does not open may be the live one
				out.Prunable = append(out.Prunable, key)
			}
		}
	}
	out.State = s.state(f, out)
	out.Also = append(out.Also, s.beside(f, out)...)
	out.Text, out.Remediations = s.advice(f, out)
	return out
}

// askAt is when it may be asked about again; zero where nobody asks.
func (r Refusal) askAt() time.Time {
	if r.By == Users {
		return time.Time{}
	}
	return r.AskAt().UTC()
}

func (s Set) state(f Facts, k Status) State {
	held := f.held()
	left, ages := f.left(k)
	_, liveRefused := s.liveRefused(f.Live)
	switch {
	case liveRefused:
		return LiveRejected
	case f.Live == 0 && f.OutOfBand && (f.Change == nil || held || f.Change.Guard == plan.GuardProbeAgain):
		return OutOfBand
	case ages && left < 0:
		return Overdue
	case s.newerRejected(f, k):
		return Rejected
	case held:
		return Held
	case f.Change != nil:
		return Due
	case !k.SoakEndsAt.IsZero():
		return Soaking
	case ages && left <= f.Rules.Warn && (k.Next == 0 || k.NextAt.Sub(f.Now) > left):
		return Expiring
	case f.Live == 0:
		return Unknown
	default:
		return OK
	}
}

// beside is what holds beside the state, where the one does not follow from the other: an
// overdue key may be the live one that is refused, and what is to replace it may be
// refused, held or due.
func (s Set) beside(f Facts, k Status) (out []State) {
	if left, ages := f.left(k); k.State == LiveRejected && ages && left < 0 {
		return []State{Overdue}
	}
	if k.State != Overdue && k.State != OutOfBand {
		return nil
	}
	if s.newerRejected(f, k) {
		out = append(out, Rejected)
	}
	switch {
	case k.State != Overdue || f.Change == nil:
	case f.held():
		out = append(out, Held)
	default:
		out = append(out, Due)
	}
	return out
}

// newerRejected tells whether a key that would be live is not, because it is rejected.
func (s Set) newerRejected(f Facts, k Status) bool {
	return len(k.Rejected) > 0 && s.Superseded(f.Now, f.Live) > 0
}

// held tells whether a person must let go the change of the keys.
func (f Facts) held() bool {
	return f.Change != nil && (f.Change.Gate == plan.Approval || f.Change.Gate == plan.Blocked)
}

// left is how long the live key may still be used; false where nothing ends it.
func (f Facts) left(k Status) (left time.Duration, ages bool) {
	if k.Issued.IsZero() || f.Rules.MaxAge == 0 {
		return 0, false
	}
	return k.Issued.Add(f.Rules.MaxAge).Sub(f.Now), true
}
