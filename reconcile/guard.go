package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/advice"
	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// Approvers says how many people must approve what, before a hash of it counts.
type Approvers struct {
	Required int // 0 and 1 are one
	For      []plan.Class
	Digits   int // of a hash that a person gives at least; 0 is 8
}

// approval is one that a run was given, or that waits in the state.
type approval struct {
	connection string    // "" is the whole plan
	given      string    // the hash as a person gave it
	at         time.Time // when; zero: nobody knows
	now        bool
	by         []string
	waits      bool   // in the state
	hash       string // of the plan of this moment, "" where it is another
	short      int    // people who are missing
}

// guard names the plan by its hashes, lets the approvals of those count, and refuses to
// apply a plan that is not the one that a person approved or was shown.
func (env *environment) guard(ctx context.Context) error {
	env.hash, env.hashes = plan.Hash(env.plan), plan.ConnectionHashes(env.plan)
	failed := env.takeApprovals()
	env.approve(env.consented())
	env.recordRefusal(ctx, nil)
	env.planned = true
	if env.request.Mode != report.Apply {
		return nil
	}
	err := failed
	if err == nil {
		err = env.permitted()
	}
	if err == nil {
		return nil
	}
	env.approve(plan.Consent{}) // what guards hold is shown as held
	env.recordUnapproved(err.Error())
	return err
}

// takeApprovals gathers what was approved of this environment, and looks which of it is
// about the plan of this moment and was given by enough people.
func (env *environment) takeApprovals() error {
	for target, hash := range env.request.Approve {
		if connection, about := IsApprovalOf(target, env.spec.Name); about {
			if err := plan.LongEnough(hash, env.o.Approvers.Digits); err != nil {
				return env.another("apply plan: "+err.Error(), connection)
			}
			env.approvals = append(env.approvals, approval{connection: connection, given: env.asShown(hash), at: env.request.Given, now: env.request.Now, by: []string{env.request.By}})
		}
	}
	if env.request.Waiting {
		waiting, err := env.o.Store.Approvals(env.id, env.o.Now())
		if err != nil {
			return err
		}
		for _, a := range waiting {
			env.approvals = append(env.approvals, approval{connection: a.Connection, given: a.Hash, at: a.At, now: a.Now, by: a.By, waits: true})
		}
	}
	all := env.allHashes()
	for i := range env.approvals {
		a := &env.approvals[i]
		if hash := env.hashOf(a.connection); hash != "" && plan.SameHash(a.given, hash, all...) {
			a.hash = hash
			a.short = max(0, env.required(a.consent())-len(a.by))
		}
	}
	return nil
}

// asShown is the hash of this moment for that of the plan that was shown, where no more
// changed since than how its secrets are proved and watched: isNotShown refuses what is
// laxer.
func (env *environment) asShown(hash string) string {
	shown := env.request.Shown[env.spec.Name]
	if plan.Hash(shown) == hash && plan.Hash(plan.ProvedAs(shown, env.plan)) == env.hash {
		return env.hash
	}
	return hash
}

// consent is what one approval consents to.
func (a approval) consent() plan.Consent {
	if a.connection == "" {
		return plan.Consent{Plan: true, Now: a.now}
	}
	return plan.Consent{Alone: map[string]bool{a.connection: a.now}}
}

// consented is what all approvals that count consent to.
func (env *environment) consented() plan.Consent {
	out := plan.Consent{Alone: map[string]bool{}}
	for _, a := range env.approvals {
		switch {
		case a.hash == "" || a.short > 0:
		case a.connection == "":
			out.Plan, out.Now = true, out.Now || a.now
		default:
			out.Alone[a.connection] = out.Alone[a.connection] || a.now
		}
	}
	return out
}

// required is how many people must give a consent.
func (env *environment) required(c plan.Consent) int {
	rule := env.o.Approvers
	if rule.Required > 1 && slices.ContainsFunc(plan.ReleasedBy(env.input, env.plan, c), func(c plan.Change) bool { return slices.Contains(rule.For, c.Class) }) {
		return rule.Required
	}
	return 1
}

// IsApprovalOf tells whether ENV or ENV/CONN is about an environment, whose name may hold
// slashes itself, and of which connection: "" is its whole plan.
func IsApprovalOf(target, environment string) (connection string, about bool) {
	if target == environment {
		return "", true
	}
	of, below := strings.CutPrefix(target, environment+"/")
	return target, below && of != "" && !strings.Contains(of, "/")
}

func (env *environment) hashOf(connection string) string {
	if connection == "" {
		return env.hash
	}
	return env.hashes[connection]
}

// allHashes are those of the plan and of each connection that changes.
func (env *environment) allHashes() []string {
	all := []string{env.hash}
	for _, hash := range env.hashes {
		all = append(all, hash)
	}
	return all
}

// permitted says why the plan of this moment must not be applied, nil when nothing
// speaks against it: an approval serves once, and only for the plan that a person
// saw. An approval is used up before the first write, and by a plan that is another
// one where it waited in the state; not by a run that has nothing to write yet.
func (env *environment) permitted() error {
	store, stored := env.o.Store, env.id
	for _, a := range env.approvals {
		if err := store.ApprovalUsed(stored, a.whole(), a.at); err != nil {
			if !a.waits && a.at.IsZero() {
				return unusable(err)
			}
			return env.dropped(a, unusable(err))
		}
	}
	if why := env.isNotShown(); why != "" {
		return env.another(why, "")
	}
	for _, a := range env.approvals {
		switch why := env.isAnother(a); {
		case why != "":
			return env.dropped(a, env.another(why, a.connection))
		case a.short > 0 && !a.waits:
			return advice.With(fmt.Errorf("apply plan: %d people must approve this, and one did; the daemon counts them", env.required(a.consent())),
				"each of them", "approve", a.target(env.spec.Name), a.hash)
		}
	}
	for _, a := range env.approvals {
		if a.short > 0 || !env.writesFor(a) {
			continue
		}
		if err := store.UseApproval(stored, a.hash, a.at, env.o.Now(), env.request.ID); err != nil {
			return unusable(err)
		}
	}
	return nil
}

// writesFor tells whether anything is ready that an approval is about.
func (env *environment) writesFor(a approval) bool {
	return slices.ContainsFunc(env.plan.Changes, func(c plan.Change) bool {
		return c.Gate == plan.Ready && (a.connection == "" || c.Connection == a.connection)
	})
}

// whole is the hash of an approval as the state knows it.
func (a approval) whole() string {
	if a.hash != "" {
		return a.hash
	}
	return a.given
}

// target is what an approval names.
func (a approval) target(environment string) string {
	if a.connection == "" {
		return environment
	}
	return a.connection
}

// dropped forgets an approval that can serve no run any more, so that it refuses
// one run and not each that follows, and says why.
func (env *environment) dropped(a approval, why error) error {
	return errors.Join(why, env.o.Store.DropApproval(env.id, a.whole()))
}

// another refuses a plan that is not the one that was meant, of one connection or, where
// that is "", of the environment.
func (env *environment) another(why, connection string) error {
	if connection != "" {
		return advice.With(errors.New(why), "look at it as it is now", "--dry-run", "--only", connection)
	}
	return advice.With(errors.New(why), "look at the plan as it is now", "--dry-run", "--env", env.spec.Name)
}

func unusable(err error) error {
	var used *state.UsedError
	if !errors.As(err, &used) {
		return err
	}
	return advice.With(fmt.Errorf("apply plan: %w", err), "if the same is to be done once more, make a new plan and apply that", "plan", "--out", "plan.json")
}

// isNotShown says in what the plan is not the one that a person was shown, "" when it is
// that one.
func (env *environment) isNotShown() string {
	shown, ok := env.request.Shown[env.spec.Name]
	switch {
	case env.request.Shown == nil:
	case !ok:
		return "apply plan: this environment was not there when the plans were shown"
	case shown.DevID == "":
		return "apply plan: no plan of this environment could be shown"
	case shown.DevID != env.spec.DevID:
		return fmt.Sprintf("apply plan: the plan that was shown is about dev_id %s, and environment %s is %s", shown.DevID, env.spec.Name, env.spec.DevID)
	default:
		differences := plan.Compare(shown, env.plan)
		if plan.Hash(plan.ProvedAs(shown, env.plan)) != env.hash || len(differences) > 0 {
			return fmt.Sprintf("apply plan: Terra or the repository changed since the plan was shown (%s, now %s); nothing was changed\n%s",
				short(plan.Hash(shown)), short(env.hash), report.Differences(differences))
		}
	}
	return ""
}

// isAnother says why an approval is not about the plan of this moment, "" when it is.
func (env *environment) isAnother(a approval) string {
	changes := env.hashOf(a.connection) != "" && len(env.plan.Changes) > 0
	switch {
	case a.connection != "" && !changes:
		return "apply plan: nothing to approve: the plan changes nothing of " + a.connection
	case a.hash == "":
		return fmt.Sprintf("apply plan: the approval %s=%s is not for the plan as it is now: a file or Terra has changed since, or it is the hash of something else",
			a.target(env.spec.Name), env.digits(a.given, env.hashOf(a.connection)))
	case !changes && env.request.Shown == nil:
		return "apply plan: nothing to approve: the plan of that hash changes nothing"
	}
	return ""
}

// digits is as much of a hash as a person types, and as tells it from another.
func (env *environment) digits(hash, other string) string {
	return strings.TrimPrefix(plan.ShortHash(hash, env.o.Approvers.Digits, other), "sha256:")
}

// short is as much of a hash as tells it from others.
func short(hash string) string { return hash[:min(len(hash), len("sha256:")+12)] }

// reportApprovals says what approving the plan, and each connection of it, would
// release, and what is remembered of approvals now.
func (env *environment) reportApprovals() (err error) {
	if env.out.Approval, err = env.approvalOf(""); err != nil {
		return err
	}
	env.out.Approval.Leaves = plan.Leaves(env.input, env.plan)
	for _, c := range env.out.Changes {
		hash := env.hashes[c.Connection]
		if n := len(env.out.Connections); hash == "" || n > 0 && env.out.Connections[n-1].Name == c.Connection {
			continue
		}
		a, err := env.approvalOf(c.Connection)
		if err != nil {
			return err
		}
		env.out.Connections = append(env.out.Connections, report.Connection{Name: c.Connection, PlanHash: hash, Approval: a})
	}
	return nil
}

func (env *environment) approvalOf(connection string) (report.Approval, error) {
	out := report.Approval{Required: 1, Digits: env.o.Approvers.Digits}
	if env.plan.Ready() == len(env.plan.Changes) {
		return out, nil
	}
	in, hash := env.input, env.hashOf(connection)
	with := func(now bool) plan.Consent { return approval{connection: connection, now: now}.consent() }
	out.Releases, out.ReleasesNow = plan.Releases(in, env.plan, with(false)), plan.Releases(in, env.plan, with(true))
	out.Required = env.required(with(true))
	windowed := slices.ContainsFunc(env.plan.Changes, func(c plan.Change) bool {
		return slices.ContainsFunc(c.Holds, func(h plan.Hold) bool { return h.Guard == plan.GuardWindow })
	})
	if at, ok := in.Environment.Opens(in.Now); ok && windowed && out.ReleasesNow > out.Releases {
		out.WindowOpens = at
	}
	left, used, err := env.o.Store.ApprovalsOf(env.id, connection, hash)
	if err != nil {
		return out, err
	}
	if used != nil {
		out.UsedAt, out.UsedRun = used.At, used.Run
	}
	switch waits := in.Now.Before(left.Until); {
	case left.Hash == "":
		return out, nil
	case left.Hash == hash && waits:
		out.State = report.ApprovalPending
	case left.Hash == hash:
		out.State = report.ApprovalExpired
	case waits:
		out.State = report.ApprovalSuperseded
	default:
		return out, nil
	}
	out.Hash, out.IgnoresWindows, out.By, out.GivenAt, out.ExpiresAt = left.Hash, left.Now, left.By, left.At, left.Until
	return out, nil
}
