package plan

import (
	"fmt"
	"slices"
	"time"
)

// Guard is one rule that can hold a change. Overrides says what lets it through.
type Guard struct {
	Name      string
	Holds     string // what it holds, for the documentation
	Overrides string
	check     func(Input, *Change, bool) (Gate, string)
}

// Guards lists the guards on single changes in the order in which they are
// asked; the first that refuses names the gate. The caps come after all of them.
func Guards() []Guard {
	return []Guard{
		{"pause", "every change that `reconcile pause` is about: of everything, an environment or a connection", "`reconcile resume`, or its end", checkKillSwitch},
		{"suspend", "every change of a suspended environment or connection", "nothing but its end", checkSuspend},
		{"observe", "every change of an environment with mode: observe", "nothing but a commit", checkObserve},
		{"empty-set", "pruning when the environment names no connection at all", "nothing", checkEmptySet},
		{"protect", "pause and disable of a protected connection", "a commit that keeps the file and says protect: false", checkProtect},
		{"on_drift", "reverting drift where on_drift: report", "a commit", checkDrift},
		{"probe", "a secret that the provider itself rejects", "nothing", checkProbe},
		{"probe-required", "a secret that the provider has not accepted, where the file says probe: require", "an approved hash, allow, or an answer of the provider", checkProven},
		{"roll-back", "going back from a rejected live key to one that was not live before or that the provider does not accept now", "an approved hash or allow", checkGoBack},
		{"empty-list", "every change while Terra lists nothing and there were connections before", "allow or an approved hash", checkEmptyList},
		{"adopt", "the first disruptive change, or overwriting keys, of a connection of which nothing is remembered", "allow, also of adopt, or an approved hash", checkAdopt},
		{"on_secret_drift", "reverting a client_id or secret that somebody set by hand", "allow, an approved hash, or a provider that, asked in this run, accepts the desired pair", checkSecretDrift},
		{"destructive", "every destructive change; an explicit state: disabled is its own approval", "allow or an approved hash", checkDestructive},
		{"after-suspend", "disruptive and destructive changes after a suspend or a pause, until a run finds none of them", "allow or an approved hash", checkAfterSuspend},
		{"window", "disruptive and destructive changes outside the windows", "an approved hash with --now", checkWindow},
	}
}

// guard asks every guard about every change, then the caps about the whole.
func guard(in Input, p *Plan) {
	for i := range p.Changes {
		c := &p.Changes[i]
		approved := isApproved(in, *c)
		for _, g := range Guards() {
			if c.Gate == Blocked {
				break
			}
			if gate, reason := g.check(in, c, approved); gate != Ready && stronger(gate, c.Gate) {
				c.Gate, c.Guard, c.GateReason = gate, g.Name, reason
				break
			}
		}
	}
	guardCaps(in, p)
	holdFollowers(p)
}

// stronger says whether a gate may replace another: blocked beats approval
// beats waiting beats ready.
func stronger(a, b Gate) bool {
	order := []Gate{Ready, Waiting, Approval, Blocked}
	return slices.Index(order, a) > slices.Index(order, b)
}

// holdFollowers makes the changes of a connection that is not enabled wait with
// the enable that precedes them. A connection that is to be paused at once is not
// enabled while its pause is held: it would take sign-ins that nobody asked for.
func holdFollowers(p *Plan) {
	for i := range p.Changes {
		first := &p.Changes[i]
		if first.Action != Enable {
			continue
		}
		rest := p.Changes[i+1:]
		for _, c := range rest {
			if c.Connection == first.Connection && c.Action == Pause && stronger(c.Gate, first.Gate) {
				first.Gate, first.Guard, first.GateReason = c.Gate, c.Guard, "it is to be paused at once, and that is held: "+c.GateReason
			}
		}
		for j := range rest {
			if c := &rest[j]; c.Connection == first.Connection && c.Gate == Ready && first.Gate != Ready {
				c.Gate, c.Guard, c.GateReason = first.Gate, first.Guard, "enabling comes first"
			}
		}
	}
}

func checkSuspend(in Input, c *Change, _ bool) (Gate, string) {
	for _, s := range []*Suspend{in.Environment.Suspend, desiredOf(in, c.Provider).Suspend} {
		if s != nil && in.Now.Before(s.Until) {
			return Blocked, fmt.Sprintf("suspended until %s by %s: %s (%s)", stamp(s.Until), s.Owner, s.Reason, s.Origin)
		}
	}
	return Ready, ""
}

func checkObserve(in Input, _ *Change, _ bool) (Gate, string) {
	if in.Environment.Observe {
		return Blocked, "mode: observe only looks (" + in.Environment.Origin + ")"
	}
	return Ready, ""
}

func checkEmptySet(in Input, c *Change, _ bool) (Gate, string) {
	if c.Cause == Prune && len(in.Desired) == 0 {
		return Blocked, "no file names any connection; an empty set never prunes"
	}
	return Ready, ""
}

// doubtful tells that Terra lists nothing although there were connections before.
// An empty answer is never taken for "nothing is there".
func doubtful(in Input) bool { return len(in.Observed) == 0 && in.Memory.liveBefore() }

func checkEmptyList(in Input, _ *Change, approved bool) (Gate, string) {
	if doubtful(in) && !approved {
		return Approval, "Terra lists no connection at all, and there were some before; approve this plan if they are gone"
	}
	return Ready, ""
}

func checkProtect(in Input, c *Change, _ bool) (Gate, string) {
	if _, live := in.Observed[c.Provider]; !live || c.Action != Pause && c.Action != Disable {
		return Ready, ""
	}
	if isProtected(in, c.Provider) {
		return Blocked, "protected; to lift it keep the file and commit policy: {protect: false}"
	}
	return Ready, ""
}

// isProtected: the environment's list, the file, or what is remembered of
// either. Only a file that is still there and says false lifts it.
func isProtected(in Input, provider string) bool {
	own := desiredOf(in, provider).Protect
	if own.Mode == Given {
		return own.Value
	}
	return slices.Contains(in.Environment.Protect, provider) || in.Memory.Connections[provider].Protected
}

func checkDrift(in Input, c *Change, _ bool) (Gate, string) {
	if c.Cause == Drift && !in.Environment.RevertDrift {
		return Blocked, "on_drift: report only tells (" + in.Environment.Origin + ")"
	}
	return Ready, ""
}

func checkProbe(in Input, c *Change, _ bool) (Gate, string) {
	writes := c.Action == SetCredentials || has(c.Fields, FieldClientSecret)
	if p := in.Probes[c.Provider]; writes && p.Verdict == Bad {
		return Blocked, "the provider rejects this pair: " + p.Reason
	}
	return Ready, ""
}

// checkAdopt lets an enable pass, and the pause that belongs to it.
func checkAdopt(in Input, c *Change, approved bool) (Gate, string) {
	_, live := in.Observed[c.Provider]
	if c.Cause != Adopt || c.Action == Enable || c.Action == Pause && !live || approved {
		return Ready, ""
	}
	if findAllow(in, *c, string(Adopt), "") {
		return Ready, ""
	}
	overwrites := c.Action == RotateSecret || c.Action == UpdateCredentials &&
		(has(c.Fields, FieldClientID) || has(c.Fields, FieldClientSecret) || has(c.Fields, FieldVerificationSecret))
	switch {
	case !overwrites && c.Class == Safe:
		return Ready, ""
	case !live:
		return Approval, "nothing is remembered of it and end users may be linked from before; approve this plan or commit an allow"
	default:
		return Approval, "Terra already has it and it is not known to be ours; approve this plan or commit an allow"
	}
}

func checkSecretDrift(in Input, c *Change, approved bool) (Gate, string) {
	keys := slices.DeleteFunc(slices.Clone(c.Fields), func(f FieldChange) bool { return f.Field != FieldClientID && f.Field != FieldClientSecret })
	drifted := c.Cause == Drift || in.Memory.of(c.Provider).held(keys, Drift)
	if len(keys) == 0 || !drifted || in.Environment.RevertSecretDrift || approved {
		return Ready, ""
	}
	if p := in.Probes[c.Provider]; p.Verdict == Good && !p.At.Before(in.Now) {
		return Ready, "" // an older answer may be from before the day that was saved
	}
	return Approval, "somebody changed the keys by hand, perhaps to save the day; approve this plan, or commit the live key"
}

func checkDestructive(in Input, c *Change, approved bool) (Gate, string) {
	explicit := c.Action == Disable && c.Cause != Prune
	if c.Class != Destructive || approved || explicit {
		return Ready, ""
	}
	reason := "destructive; approve this plan or commit an allow"
	if a, ok := expiredAllow(in, *c); ok {
		reason = fmt.Sprintf("destructive; the allow at %s ended %s", a.Origin, stamp(a.Until))
	}
	return Approval, reason
}

func checkAfterSuspend(in Input, c *Change, approved bool) (Gate, string) {
	if (in.Memory.Suspended || in.Memory.of(c.Provider).Suspended) && c.Class != Safe && !approved {
		return Approval, "first seen after a suspend or a pause; approve this plan or commit an allow"
	}
	return Ready, ""
}

func checkWindow(in Input, c *Change, _ bool) (Gate, string) {
	if c.Class == Safe || openNow(in.Environment.Windows, in.Now) || in.NowFlag && in.ApprovedAll {
		return Ready, ""
	}
	if at, ok := nextOpening(in.Environment.Windows, in.Now); ok {
		return Waiting, "outside the windows; the next one opens " + at.Format("Mon 2 Jan 2006 15:04 MST")
	}
	return Waiting, "outside the windows"
}

func desiredOf(in Input, provider string) Desired {
	for _, d := range in.Desired {
		if d.Provider == provider {
			return d
		}
	}
	return Desired{}
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }
