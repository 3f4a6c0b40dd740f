package reconcile

import (
	"errors"
	"fmt"
	"slices"

	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// permitted says why the plan of this moment must not be applied, "" when nothing
// speaks against it: an approval serves once, and only for the plan that a person
// saw. An approval is used up before the first write, and by a plan that is another
// one where it waited in the state; not by a run that has nothing to write yet.
func (e *Engine) permitted(r Run, p *prepared) string {
	env := p.env
	hash, approved := r.Approve[env.Name]
	if approved {
		if err := e.o.Store.ApprovalUsed(env.DevID, hash, r.Given); err != nil {
			if r.Given.IsZero() { // it did not wait here
				return unusable(err)
			}
			return e.dropped(env.DevID, hash, unusable(err))
		}
	}
	if why := p.refuse(r); why != "" {
		if approved {
			return e.dropped(env.DevID, hash, why)
		}
		return why
	}
	ready := slices.ContainsFunc(p.plan.Changes, func(c plan.Change) bool { return c.Gate == plan.Ready })
	if !approved || !ready {
		return ""
	}
	if err := e.o.Store.UseApproval(env.DevID, hash, r.Given, e.o.Now(), r.id); err != nil {
		return unusable(err)
	}
	return ""
}

// approval says what a yes to the plan would let through, and what is remembered of
// one now.
func (e *Engine) approval(p *prepared) (report.Approval, error) {
	held := func(c plan.Change) bool { return c.Gate != plan.Ready }
	if !slices.ContainsFunc(p.plan.Changes, held) {
		return report.Approval{}, nil
	}
	out := report.Approval{}
	in := p.input
	in.ApprovedAll = true
	out.Frees = max(0, ready(plan.Make(in))-ready(p.plan))
	in.NowFlag = true
	out.FreesNow = max(0, ready(plan.Make(in))-ready(p.plan))
	if at, ok := in.Environment.Opens(in.Now); ok && out.FreesNow > out.Frees {
		out.Opens = at
	}
	left, used, err := e.o.Store.ApprovalsOf(p.env.DevID, p.hash)
	if err != nil {
		return out, err
	}
	if used != nil {
		out.UsedAt, out.UsedRun = used.At, used.Run
	}
	switch waits := in.Now.Before(left.Until); {
	case left.Hash == "":
		return out, nil
	case left.Hash == p.hash && waits:
		out.Standing = report.ApprovalWaits
	case left.Hash == p.hash:
		out.Standing = report.ApprovalEnded
	case waits:
		out.Standing = report.ApprovalOfOther
	default:
		return out, nil
	}
	out.Hash, out.Now, out.Owner, out.At, out.Until = left.Hash, left.Now, left.Owner, left.At, left.Until
	return out, nil
}

func ready(p plan.Plan) int {
	n := 0
	for _, c := range p.Changes {
		if c.Gate == plan.Ready {
			n++
		}
	}
	return n
}

// dropped forgets an approval that can serve no run any more, so that it refuses
// one run and not each that follows, and says why.
func (e *Engine) dropped(devID, hash, why string) string {
	if err := e.o.Store.DropApproval(devID, hash); err != nil {
		return why + "\n" + err.Error()
	}
	return why
}

func unusable(err error) string {
	var used *state.UsedError
	if !errors.As(err, &used) {
		return err.Error()
	}
	return fmt.Sprintf("apply plan: %s; if the same is to be done once more, make a new plan and apply that: `reconcile plan --out plan.json`", err)
}

// refuse says in what the plan is not the one that a person approved or was shown,
// "" when it is that one.
func (p *prepared) refuse(r Run) string {
	const again = "look at it again with --dry-run"
	shown, ok := r.Shown[p.env.Name]
	switch {
	case r.Shown != nil && !ok:
		return "apply plan: this environment was not there when the plans were shown; " + again
	case r.Shown != nil && shown.DevID == "":
		return "apply plan: no plan of this environment could be shown; " + again
	case r.Shown != nil && shown.DevID != p.env.DevID:
		return fmt.Sprintf("apply plan: the plan that was shown is about dev_id %s, and environment %s is %s; %s", shown.DevID, p.env.Name, p.env.DevID, again)
	case r.Shown != nil:
		was, differences := plan.Hash(shown), plan.Compare(shown, p.plan)
		if was != p.hash || len(differences) > 0 {
			return fmt.Sprintf("apply plan: Terra or the repository changed since the plan was shown (%s, now %s); nothing was changed; %s\n%s",
				was, p.hash, again, report.Differences(differences))
		}
	}
	if want, ok := r.Approve[p.env.Name]; ok && want != p.hash {
		return fmt.Sprintf("apply plan: the approved hash is %s, the plan is now %s; %s", want, p.hash, again)
	} else if ok && r.Shown == nil && len(p.plan.Changes) == 0 {
		return "apply plan: nothing to approve: the plan of that hash changes nothing"
	}
	return ""
}
