package report

import (
	"fmt"
	"slices"
	"time"

	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

// EventKind says what happened to a connection, or to more, that somebody may want to be
// told.
type EventKind string

// The kinds that stand in reports.
const (
	Stuck             EventKind = "stuck"           // a change is held for StuckAfter or longer
	KeyRejectedEvent  EventKind = "key-rejected"    // a key of the file must not be live
	KeyOverdueEvent   EventKind = "key-overdue"     // the live key is older than its file allows
	RolledBack        EventKind = "rolled-back"     // a rejected key was replaced by the one before it
	RotationHeld      EventKind = "rotation-held"   // going back is wanted, and a person must decide
	Conflict          EventKind = "conflict"        // drift comes back after it was reverted: something else sets it
	KeyOutOfBandEvent EventKind = "key-out-of-band" // somebody set keys at Terra that the file does not have, and they are left
)

// The kinds that only messages tell.
const (
	EventApplied            EventKind = "applied"
	EventFailed             EventKind = "failed"
	EventUnknown            EventKind = "unknown"
	EventSettled            EventKind = "settled"
	EventApproved           EventKind = "approved"
	EventApprovalRefused    EventKind = "approval-refused"
	EventForgotten          EventKind = "forgotten"
	EventKeyDead            EventKind = "key-dead"
	EventHeld               EventKind = "held"
	EventSetupOverdue       EventKind = "setup-overdue"
	EventDrift              EventKind = "drift"
	EventKeyDueSoon         EventKind = "key-due-soon"
	EventKeySoaking         EventKind = "key-soaking"
	EventTokenExpiring      EventKind = "token-expiring"
	EventEnvironmentInvalid EventKind = "environment-invalid"
	EventCommitRefused      EventKind = "commit-refused"
	EventRewound            EventKind = "rewound"
	EventForcedPush         EventKind = "forced-push"
	EventPaused             EventKind = "paused"
	EventUnready            EventKind = "unready"
	EventMessagesDropped    EventKind = "messages-dropped"
	EventTest               EventKind = "test"
)

// Severity is how much an event matters. It is fixed by its kind.
type Severity string

// The severities, the least first.
const (
	Info     Severity = "info"     // good to know
	Alert    Severity = "warning"  // somebody should look at it in working hours
	Critical Severity = "critical" // somebody should look at it now
)

// Severities lists them, the least first.
func Severities() []Severity { return []Severity{Info, Alert, Critical} }

// Kind is all there is to know of the events of one kind.
type Kind struct {
	Name     EventKind
	Severity Severity
	Lasts    bool   // it begins, is reminded of, and ends; else it happens
	Words    string // in the title of a message
	Means    string // one sentence for the documentation
}

// Kinds are those that messages tell, in the order of the documentation. Configuration,
// schema, documentation and messages take them from here.
func Kinds() []Kind {
	return []Kind{
		{EventApplied, Info, false, "applied", "a change was written and read back"},
		{EventFailed, Critical, false, "failed", "a change was sent and did not take effect"},
		{EventUnknown, Critical, false, "outcome unknown", "a change was sent, and nobody could read back what became of it"},
		{EventSettled, Info, false, "settled", "a later run knows what became of it"},
		{EventApproved, Info, false, "approved", "a person left an approval with the daemon"},
		{EventApprovalRefused, Alert, false, "an approved plan was refused", "what was approved is not the plan any more"},
		{EventForgotten, Info, false, "its memory was forgotten", "a person had the memory of a connection forgotten"},
		{EventHeld, Alert, true, "held for a person", "a change needs approval, or a guard blocks it; a pause or a `suspend` does not count. An approval that waits for a window does not end it"},
		{Stuck, Alert, true, "held for a week or longer", "a change has been held for seven days"},
		{EventSetupOverdue, Alert, true, "a step at the provider is overdue", "a change has waited seven days for a human step (`setup`); no file says until when a step has to be done"},
		{EventDrift, Alert, true, "changed outside the repository", "somebody changed a field elsewhere. Where the same run puts it back, the message says so at once"},
		{Conflict, Alert, true, "drift comes back", "drift came back after it was reverted twice: something else sets it, and a person must decide. Neither `drift` nor `held` is told of the same change"},
		{KeyOutOfBandEvent, Critical, true, "keys set out of band", "somebody set keys at Terra that the file does not have, and they are left. It ends when they are not live any more: no approval ends it. Nothing else is said of the same change"},
		{EventKeyDueSoon, Alert, true, "a key is due soon", "the live key reaches `max_age` within `warn`, and no successor is there"},
		{KeyOverdueEvent, Critical, true, "a key is overdue", "the live key is older than `max_age`"},
		{KeyRejectedEvent, Critical, true, "a key is rejected", "a key of the file must not be live"},
		{RotationHeld, Critical, true, "going back is held", "going back to the key before is wanted, and a person must decide"},
		{RolledBack, Critical, false, "rolled back", "a key was replaced by the one before it"},
		{EventKeySoaking, Info, true, "a new key soaks", "a new key is watched; it ends with the soak"},
		{EventKeyDead, Info, false, "the old key is dead", "a replaced key is not accepted any more"},
		{EventTokenExpiring, Alert, true, "a token ends soon", "an admin token, or the window in which it can be renewed, ends within 14 days"},
		{EventEnvironmentInvalid, Alert, true, "newest commit not used", "the files of an environment have errors, the newest commit is not used by it, or that names an account or a dev_id that the runner does not allow or Terra does not have"},
		{EventCommitRefused, Alert, true, "a commit is not used", "nothing of the newest commit is used"},
		{EventRewound, Critical, true, "the branch was rewound", "the branch stands on a commit from before"},
		{EventForcedPush, Alert, false, "the branch was forced", "the branch names a commit that does not hold the one before it"},
		{EventPaused, Alert, true, "paused", "somebody paused changes; it ends with `resume`, or by itself"},
		{EventUnready, Critical, true, "not ready", "git, or Terra for an environment, has failed for longer than `unready_after`"},
		{EventMessagesDropped, Alert, false, "messages were dropped", "more waited for this receiver than there is room for"},
		{EventTest, Info, false, "test", "somebody asked for it; it goes to receivers, not by routes"},
	}
}

// KindOf finds a kind by its name; ok is false for one that there is not.
func KindOf(name EventKind) (k Kind, ok bool) {
	all := Kinds()
	i := slices.IndexFunc(all, func(k Kind) bool { return k.Name == name })
	if i < 0 {
		return Kind{}, false
	}
	return all[i], true
}

// StuckAfter is for how long a change may be held before it counts as stuck.
const StuckAfter = 7 * 24 * time.Hour

// Event is something about one connection that a person should hear of although
// nobody looks at the report.
type Event struct {
	Kind         EventKind          `json:"kind"`
	Connection   string             `json:"connection"`     // production/strava
	Change       string             `json:"change"`         // id of the change, "" when it is about none
	Since        time.Time          `json:"since,omitzero"` // UTC; zero where it only is of this run
	Text         string             `json:"text"`           // one sentence
	Remediations []plan.Remediation `json:"remediations"`
}

// StuckEvents finds the changes that have been held for StuckAfter or longer.
func StuckEvents(changes []Change, now time.Time) []Event {
	var out []Event
	for _, c := range changes {
		held := now.Sub(c.GatedSince)
		if c.GatedSince.IsZero() || held < StuckAfter || c.Gate == plan.Ready || c.Outcome == Applied {
			continue
		}
		text := fmt.Sprintf("%s has been held for %d days, by guard %s: %s", c.ID, int(held/(24*time.Hour)), c.Guard, c.GateReason)
		out = append(out, Event{Kind: Stuck, Connection: c.Connection, Change: c.ID, Since: c.GatedSince.UTC(), Text: text, Remediations: c.Remediations})
	}
	return out
}
