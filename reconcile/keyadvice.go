package reconcile

import (
	"fmt"

	"github.com/terra-reconcile/terra-reconcile/providers"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// next says what a person does about the keys.
func (s keyReview) next(k report.KeyStatus) string {
	switch k.State {
	case report.KeyDead, report.KeyRejected:
		return s.rejected(k) + prune("; ", k)
	case report.KeyByHand:
		return "a key that the file does not have, perhaps to save the day; seal it: `reconcile rotate add " + k.Connection +
			"`, or see `reconcile --dry-run --env " + s.p.env.Name + "`" + prune("; ", k)
	case report.KeyOverdue:
		return fmt.Sprintf("key %d is %d days old, rotation.max_age is %d days%s; %s", k.Live, *k.AgeDays, k.MaxAgeDays, s.place(), s.successor(k))
	case report.KeyAgeing:
		return fmt.Sprintf("key %d reaches rotation.max_age in %d days%s; %s", k.Live, int(*s.left(k)/day), s.place(), s.successor(k))
	case report.KeyDue:
		if s.change.Gate == plan.Ready {
			return fmt.Sprintf("the next run that applies sets key %d", k.Due)
		}
		return fmt.Sprintf("key %d is due and waits (guard %s): %s", k.Due, s.change.Guard, s.change.GateReason)
	case report.KeyHeld:
		return fmt.Sprintf("key %d is due, and guard %s holds it: %s; see `reconcile --dry-run --env %s`", k.Due, s.change.Guard, s.change.GateReason, s.p.env.Name)
	case report.KeyNotKnown:
		return s.unknown(k)
	case report.KeyWatched:
		return "nothing to do; the watch ends " + k.WatchedUntil.Format("2006-01-02 15:04 MST")
	case report.KeyFine:
		return prune("", k)
	}
	return ""
}

// rejected says which key does not work, and what to do. Who mistyped the new one
// need not make another.
func (s keyReview) rejected(k report.KeyStatus) string {
	last := k.Rejected[len(k.Rejected)-1]
	text := fmt.Sprintf("key %d: %s", last.Key, last.Reason)
	switch {
	case s.liveToo(k):
		return text + fmt.Sprintf(", and key %d, which is live, too: syncing stops%s; seal the right one, or %s", k.Live, within(s.w.tokens), s.makeOne())
	case k.State == report.KeyRejected && !s.life.Rejected[s.w.entries[last.Key-1]].ByUsers:
		return text + "; seal the right one, or " + s.makeOne()
	default:
		return text + "; " + s.makeOne()
	}
}

func (s keyReview) unknown(k report.KeyStatus) string {
	switch {
	case s.w.desired.UnknownKey && k.Next > 0:
		return fmt.Sprintf("a key that was set by hand; key %d replaces it", k.Next)
	case s.w.desired.UnknownKey:
		return "a key that was set by hand; " + s.makeOne()
	case s.w.desired.Secret.Value.Closed != "":
		return s.w.desired.Secret.Value.Closed
	default:
		return "which key is live could not be told in this run"
	}
}

func (s keyReview) successor(k report.KeyStatus) string {
	if k.Next > 0 {
		return fmt.Sprintf("key %d comes %s; let it come earlier by its not_before, or", k.Next, k.NextAt.Format("2 Jan 2006")) + " " + s.makeOne()
	}
	return s.makeOne()
}

// makeOne is how a person makes a new key at this provider, in the right order.
func (s keyReview) makeOne() string {
	p, _ := providers.Lookup(s.w.desired.Provider)
	where, command := "", "`reconcile rotate add "+s.p.env.Name+"/"+s.w.desired.Provider+"`"
	if p.Portal != "" {
		where = " at " + p.Portal
	}
	switch p.Reset.Order {
	case providers.AskTerra:
		return "ask Terra support for a new key: `reconcile providers " + s.w.desired.Provider + " --ticket`"
	case providers.CommitFirst:
		return "make a new key" + where + " (" + string(p.Reset.Order) + "): " + command
	case providers.ResetFirst:
		return "make a new key" + where + ", and within minutes: " + command
	default:
		return "make a new key" + where + ": " + command
	}
}

func (s keyReview) place() string {
	if place := at(s.w.rotation.Origin); place != "" {
		return " (" + place + ")"
	}
	return ""
}
