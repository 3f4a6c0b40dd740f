package plan

import (
	"fmt"
	"slices"
	"time"
)

// check is one rule that can hold a change. The table of overrides says what it
// is for and what lets a change through.
type check struct {
	guard string
	holds func(in Input, c *Change, approved bool) (Gate, string)
}

// guardSecretDrift names the guard on keys that somebody set by hand.
const guardSecretDrift = "on_secret_drift"

// checks lists the guards on single changes in the order in which they are
// asked; the first that refuses names the gate. The caps come after all of them.
func checks() []check {
	return []check{
		{"pause", checkKillSwitch},
		{"suspend", checkSuspend},
		{"observe", checkObserve},
		{"empty-set", checkEmptySet},
		{"protect", checkProtect},
		{"on_drift", checkDrift},
		{"probe", checkProbe},
		{"probe-required", checkProven},
		{"roll-back", checkGoBack},
		{guardRedirectHost, checkRedirectHost},
		{guardOlderCommit, checkOlderCommit},
		{"empty-list", checkEmptyList},
		{"adopt", checkAdopt},
		{guardSecretDrift, checkSecretDrift},
		{"destructive", checkDestructive},
		{"after-suspend", checkAfterSuspend},
		{"window", checkWindow},
	}
}

// askGuards asks every guard but one about every change, then the caps about the
// whole.
func askGuards(in Input, p *Plan, without string) {
	for i := range p.Changes {
		c := &p.Changes[i]
		approved := isApproved(in, *c)
		for _, g := range checks() {
			if c.Gate == Blocked {
				break
			}
			if g.guard == without {
				continue
			}
			if gate, reason := g.holds(in, c, approved); gate != Ready && stronger(gate, c.Gate) {
				c.Gate, c.Guard, c.GateReason = gate, g.guard, reason
				break
			}
		}
		if c.Gate != Ready {
			c.GateWay = wayThrough(in, c.Guard, *c)
		}
	}
	if without != "max_changes" {
		guardCaps(in, p)
	}
	if without != "max_rotations" {
		guardRotations(in, p)
	}
	holdEnableBehindKeys(in, p)
	holdFollowers(p)
	holdBehindKeys(p)
	for i := range p.Changes {
		if c := &p.Changes[i]; c.Gate != Ready {
			c.AskWay = askWay(in, c.Guard, *c)
		}
	}
}

// stronger says whether a gate may replace another: blocked beats approval
// beats waiting beats ready.
func stronger(a, b Gate) bool {
	order := []Gate{Ready, Waiting, Approval, Blocked}
	return slices.Index(order, a) > slices.Index(order, b)
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
		return Blocked, "mode: observe only looks (" + setBy(in.Environment.ModeOrigin) + ")"
	}
	return Ready, ""
}

func checkEmptySet(in Input, c *Change, _ bool) (Gate, string) {
	if c.Cause == Prune && len(in.Desired) == 0 {
		return Blocked, "no file names any connection; an empty set never prunes, whatever " + setBy(in.Environment.PruneOrigin) + " says"
	}
	return Ready, ""
}

// doubtful tells that Terra lists nothing although there were connections before.
// An empty answer is never taken for "nothing is there".
func doubtful(in Input) bool { return len(in.Observed) == 0 && in.Memory.liveBefore() > 0 }

func checkEmptyList(in Input, _ *Change, approved bool) (Gate, string) {
	if doubtful(in) && !approved {
		return Approval, fmt.Sprintf("Terra lists no connection at all, and had %d when last looked at", in.Memory.liveBefore())
	}
	return Ready, ""
}

func checkProtect(in Input, c *Change, _ bool) (Gate, string) {
	if _, live := in.Observed[c.Provider]; !live || c.Action != Pause && c.Action != Disable {
		return Ready, ""
	}
	if isProtected(in, c.Provider) {
		return Blocked, "protected (" + protectedBy(in, c.Provider) + ")"
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

// protectedBy names the line that protects a connection, where it still stands.
func protectedBy(in Input, provider string) string {
	if own := desiredOf(in, provider).Protect; own.Mode == Given {
		return own.Origin
	}
	if slices.Contains(in.Environment.Protect, provider) {
		return in.Environment.ProtectOrigin
	}
	return "by a line that is gone, and which state remembers"
}

func checkDrift(in Input, c *Change, _ bool) (Gate, string) {
	if c.Cause == Drift && !in.Environment.RevertDrift {
		return Blocked, "on_drift: report only tells (" + setBy(in.Environment.DriftOrigin) + ")"
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
	_, adopted := in.Memory.known(c.Provider)
	switch {
	case !overwrites && c.Class == Safe:
		return Ready, ""
	case !live:
		return Approval, "nothing is remembered of it, and end users may be linked from before"
	case adopted:
		return Approval, c.Reason
	default:
		return Approval, "Terra already has it, and it is not known to be ours"
	}
}

func checkSecretDrift(in Input, c *Change, approved bool) (Gate, string) {
	keys := pairOf(c.Fields)
	drifted := c.Cause == Drift || in.Memory.of(c.Provider).held(keys, Drift) ||
		has(keys, FieldClientSecret) && in.Observed[c.Provider].Secret.ByHand // also where a new key is due by now
	if len(keys) == 0 || !drifted || in.Environment.RevertSecretDrift || approved {
		return Ready, ""
	}
	if p := in.Probes[c.Provider]; p.Verdict == Good && !p.At.Before(in.Now) {
		return Ready, "" // an older answer may be from before the day that was saved
	}
	return Approval, "somebody set the keys by hand, perhaps to save the day (on_secret_drift: hold, " + setBy(in.Environment.SecretDriftOrigin) + ")"
}

func checkDestructive(in Input, c *Change, approved bool) (Gate, string) {
	explicit := c.Action == Disable && c.Cause != Prune
	if c.Class != Destructive || approved || explicit {
		return Ready, ""
	}
	reason := "destructive, and nobody has approved it"
	if a, ok := expiredAllow(in, *c); ok {
		reason = fmt.Sprintf("destructive; the allow at %s ended %s", a.Origin, stamp(a.Until))
	}
	return Approval, reason
}

func checkAfterSuspend(in Input, c *Change, approved bool) (Gate, string) {
	if (in.Memory.Suspended || in.Memory.of(c.Provider).Suspended) && c.Class != Safe && !approved {
		return Approval, "first seen after a suspend, a pause or a restored state"
	}
	return Ready, ""
}

func checkWindow(in Input, c *Change, _ bool) (Gate, string) {
	if c.Class == Safe || openNow(in.Environment.Windows, in.Now) || in.NowFlag && in.ApprovedAll {
		return Ready, ""
	}
	reason := "outside the windows (" + in.Environment.WindowsOrigin + ")"
	if at, ok := nextOpening(in.Environment.Windows, in.Now); ok {
		reason += "; the next one opens " + at.Format("Mon 2 Jan 2006 15:04 MST")
	}
	return Waiting, reason
}

func desiredOf(in Input, provider string) Desired {
	for i := range in.Desired { // a Desired is large, and this is asked often
		if in.Desired[i].Provider == provider {
			return in.Desired[i]
		}
	}
	return Desired{}
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }
