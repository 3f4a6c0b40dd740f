package reconcile

import (
	"errors"

	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

// killSwitches gives those that concern an environment at this moment.
func (e *Engine) killSwitches(env spec.Environment) ([]plan.KillSwitch, error) {
	all, err := e.o.Store.KillSwitches(e.o.Now())
	if err != nil {
		return nil, err
	}
	var out []plan.KillSwitch
	for _, k := range all {
		if k.Concerns(env.Name, env.DevID) {
			out = append(out, plan.KillSwitch{Provider: k.Provider, Target: k.Target(), Reason: k.Reason, Owner: k.Owner, Until: k.Until})
		}
	}
	return out, nil
}

// pausedError says that a kill switch was set while the run was under way.
type pausedError struct{ by plan.Pauses }

func (e *pausedError) Error() string { return e.by.String() }

// paused tells whether a kill switch kept a write from leaving at all.
func paused(err error) (by plan.Pauses, ok bool) {
	var p *pausedError
	if !errors.As(err, &p) || isLost(err) {
		return nil, false
	}
	return p.by, true
}

// pause looks at the kill switches right before an attempt of a write leaves. An
// error means that it must not: one that holds it, or a state that cannot tell. A
// write about several connections is held by one on any; the single ones follow.
func (a *applier) pause(provider string) error {
	now, err := a.killSwitches(a.p.env)
	if err != nil {
		return err
	}
	by := plan.PausesOf(provider, now)
	if provider == "" {
		by = now
	}
	if len(by) == 0 {
		return nil
	}
	a.mu.Lock()
	a.switches = append(a.switches, by...)
	a.mu.Unlock()
	return &pausedError{by}
}

// hold gates a change that was ready when the run began.
func hold(c *report.Change, by plan.Pauses) {
	c.Gate, c.Guard, c.GateReason, c.GateWay, c.Outcome = plan.Blocked, "pause", by.String(), by.Lift(), report.Skipped
}

// rememberPauses has the memory of this run know of what it met, also of a kill
// switch that has been lifted since.
func (a *applier) rememberPauses() error {
	now, err := a.killSwitches(a.p.env)
	if err != nil {
		return err
	}
	a.p.input.KillSwitches = append(now, a.switches...)
	return nil
}
