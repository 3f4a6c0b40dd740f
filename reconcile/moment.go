package reconcile

import (
	"cmp"
	"fmt"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

// Moment is when something about an environment can change by time alone, and what.
type Moment struct {
	At  time.Time // zero: nothing can
	Why string
}

// earliest keeps the first of the moments after now that it is given.
type earliest struct {
	now   time.Time
	ahead time.Duration // how much later a moment comes by the runner's clock
	first Moment
}

func (e *earliest) at(at time.Time, format string, args ...any) {
	if at.After(e.now) && (e.first.At.IsZero() || at.Add(e.ahead).Before(e.first.At)) {
		e.first = Moment{at.Add(e.ahead), fmt.Sprintf(format, args...)}
	}
}

// NextMoment is the first moment, on the runner's clock, after those by which the last run
// decided, at which a run could find something else to do although nobody did anything: a
// key is due, a soak ends, a window opens for what waits for one, a pause, a suspend or an
// approval ends, a secret is compared again. It may have passed by now: it came while that
// run was under way. Where no run decided anything it is the first after now. It
// asks the files, the state and the report of the last run, and nobody else. What the
// state cannot tell is an error, beside the moments that are known without it. id names the
// environment's records in the state; zero where there are none yet. ended is when the last
// run of each environment did, on the runner's clock: what waits for another one may go on
// then.
func NextMoment(store *state.Store, id state.Environment, env spec.Environment, last report.Environment, ended map[string]time.Time, now time.Time) (Moment, error) {
	if !last.DecidedAt.IsZero() {
		now = last.DecidedAt
	}
	next := &earliest{now: now}
	if last.Ahead > 0 {
		next.ahead = last.Ahead + time.Second // Terra tells the time in whole seconds
	}
	if env.Suspend != nil {
		next.at(env.Suspend.Until, "the suspend ends")
	}
	if policy, err := policyOf(env); err == nil {
		for _, a := range policy.Allow {
			next.at(a.Until, "an approval of %s ends", a.Provider)
		}
		if opens, ever := policy.Opens(now); ever && waitsForWindow(last) {
			next.at(opens, "a window opens")
		}
	}
	for _, c := range last.Changes {
		if c.Guard == plan.GuardPromotion {
			after, _ := env.AfterOf(c.Provider)
			next.at(c.GateEnds, "%s has been in sync in %s for long enough", c.ID, after.Value.Environment)
			if c.GateEnds.IsZero() { // a run that ended at the very moment of the decision may not have been seen
				next.at(ended[after.Value.Environment].Add(time.Nanosecond-last.Ahead), "%s waits for %s, which was looked at", c.ID, after.Value.Environment)
			}
		}
		if !c.GatedSince.IsZero() && c.Gate != plan.Ready {
			next.at(c.GatedSince.Add(report.StuckAfter), "%s is held for a week", c.ID)
		}
	}
	return next.first, next.remembered(store, id, env)
}

func waitsForWindow(last report.Environment) bool {
	for _, c := range last.Changes {
		if c.Guard == plan.GuardWindow && c.Outcome != report.Applied {
			return true
		}
	}
	return false
}

// remembered adds the moments that the state knows of.
func (e *earliest) remembered(store *state.Store, id state.Environment, env spec.Environment) error {
	switches, err := store.KillSwitches(e.now)
	if err != nil {
		return err
	}
	for _, s := range switches {
		if _, holds := s.Holds(env.Name, env.DevID); holds {
			e.at(s.Until, "the pause of %s ends", cmp.Or(s.Target(), "everything"))
		}
	}
	approvals, err := store.Approvals(id, e.now)
	if err != nil {
		return err
	}
	for _, a := range approvals {
		e.at(a.Until, "the approval of %s ends", cmp.Or(a.Connection, "a plan"))
	}
	memory, err := store.Memory(id)
	if err != nil {
		return err
	}
	for _, c := range env.Connections {
		name := env.Name + "/" + c.Provider
		if c.Suspend != nil {
			e.at(c.Suspend.Until, "the suspend of %s ends", name)
		}
		if gone := memory.Connections[c.Provider].KeysGone; !gone.IsZero() {
			e.at(gone.Add(plan.KeysGoneFor), "Terra is asked again whether the keys of %s are gone", name)
		}
		if c.State == spec.Disabled || len(c.Credentials.Keys) == 0 {
			continue
		}
		known, err := RecallKeys(store, id, env.Account, c)
		if err != nil {
			return err
		}
		at, why := known.Wake(e.now, name)
		e.at(at, "%s", why)
		if m, ok := memory.Connections[c.Provider]; ok && !m.VerifiedAt.IsZero() {
			e.at(m.VerifiedAt.Add(env.VerifyEvery), "the secrets of %s are compared again", name)
		}
	}
	return nil
}
