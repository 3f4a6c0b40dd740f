package plan

import (
	"fmt"
	"slices"
)

// ClassRule is one row of the table of classes. With holds when end users may be
// touched, which includes a count that is unknown or not exact; WithNone holds
// when Terra says that there is exactly none.
type ClassRule struct {
	Action   Action
	When     string
	With     Class
	WithNone Class
	applies  func(Connection, Change) bool
}

// Proved is why a secret may be set although end users are there.
const Proved = "the provider accepts the pair"

// Classes is the table of classes. For an action the first row that applies
// decides; the last row of each action always applies.
func Classes() []ClassRule {
	always := func(Connection, Change) bool { return true }
	probeGood := func(k Connection, _ Change) bool { return k.Probe.Verdict == Good }
	ours := func(k Connection, _ Change) bool { return k.memory().Paused }
	critical := func(_ Connection, c Change) bool {
		return has(c.Fields, FieldClientID) || has(c.Fields, FieldSandbox) || has(c.Fields, FieldSecretRef)
	}
	onlyAdds := func(k Connection, c Change) bool {
		return k.live().Scopes != nil && len(missing(c.Fields[0].From.List, c.Fields[0].To.List)) == 0
	}
	replaces := func(k Connection, _ Change) bool { w := k.live().Webhooks; return w == nil || w.HasExisting }
	return []ClassRule{
		{Enable, "no end user is linked yet", Disruptive, Safe, always},
		{Pause, "new sign-ins are refused", Disruptive, Safe, always},
		{Resume, "we paused it ourselves", Safe, Safe, ours},
		{Resume, "it was paused out of band", Disruptive, Safe, always},
		{SetCredentials, Proved, Safe, Safe, probeGood},
		{SetCredentials, notProved, Disruptive, Safe, always},
		{RotateSecret, Proved, Safe, Safe, probeGood},
		{RotateSecret, notProved, Disruptive, Safe, always},
		{UpdateCredentials, "client_id, sandbox or secret_ref: every user may have to reconnect", Destructive, Destructive, critical},
		{UpdateCredentials, "redirect_url or verification_secret", Disruptive, Safe, always},
		{SetScopes, "scopes are only added", Safe, Safe, onlyAdds},
		{SetScopes, "scopes may be removed", Disruptive, Safe, always},
		{ResetScopes, "scopes may be removed", Disruptive, Safe, always},
		{SetApp, "users meet another app", Disruptive, Safe, always},
		{SetDomain, "the redirect moves", Disruptive, Safe, always},
		{ReleaseDomain, "the redirect moves", Disruptive, Safe, always},
		{ApplyWebhooks, "existing rows are replaced", Disruptive, Safe, replaces},
		{ApplyWebhooks, "only missing rows are set", Safe, Safe, always},
		{Disable, "data stops and the gap is never filled", Destructive, Destructive, always},
	}
}

func ruleFor(k Connection, c Change) ClassRule {
	for _, r := range Classes() {
		if r.Action == c.Action && r.applies(k, c) {
			return r
		}
	}
	return ClassRule{Action: c.Action, When: "an unknown action", With: Destructive, WithNone: Destructive}
}

// NeedsUsers names the providers whose count of active end users decides a class or
// shows the impact of a destructive change, sorted.
func NeedsUsers(in Input, p Plan) []string {
	var out []string
	for _, c := range p.Changes {
		rule := ruleFor(in.of(c.Provider), c)
		if !c.ShowsRejected() && (rule.With != rule.WithNone || rule.With == Destructive) {
			out = append(out, c.Provider)
		}
	}
	return slices.Compact(sorted(out))
}

// Classify says of every change how much it can harm the end users, from what was
// counted and from what the provider answered.
func Classify(in Input, p Plan) Plan {
	p.Changes = slices.Clone(p.Changes)
	for i := range p.Changes {
		c := &p.Changes[i]
		k := in.of(c.Provider)
		rule := ruleFor(k, *c)
		if c.ActiveUsers = nil; c.ShowsRejected() {
			c.Class, c.ClassReason = Safe, "it is not used, so nothing changes"
			continue
		}
		if rule.With != Safe || rule.WithNone != Safe {
			c.ActiveUsers = k.Users
		}
		c.Class, c.ClassReason = rule.With, rule.When
		if rule.With == rule.WithNone {
			continue
		}
		switch {
		case rule.Action == Enable:
			c.ClassReason = "end users may be linked from before"
		case rule.When == notProved:
			c.ClassReason += because(unproved(in, k))
		}
		switch users := k.Users; {
		case users == nil:
			c.ClassReason += "; end users not counted"
		case users.Exact && users.Count == 0:
			c.Class, c.ClassReason = rule.WithNone, "no active end users"
		case users.Exact:
			c.ClassReason += "; " + people(users.Count)
		default:
			c.ClassReason += "; at least " + people(users.Count)
		}
	}
	return p
}

func people(n int) string {
	if n == 1 {
		return "1 active end user"
	}
	return fmt.Sprintf("%d active end users", n)
}

// notProved is said of a pair that the provider has not accepted.
const notProved = "the pair is not proved"

// unproved says why the provider has not accepted a pair, "" where nothing is known.
func unproved(in Input, k Connection) string {
	switch {
	case k.want().Unasked != "":
		return k.want().Unasked
	case !in.Asks:
		return "the provider is asked when this is applied"
	}
	return k.Probe.Reason
}

// mayYetBeProved tells that a run which asks the provider may find a pair proved that
// this one has not asked about.
func mayYetBeProved(in Input, k Connection, c Change) bool {
	return !in.Asks && k.want().Unasked == "" && (c.Action == SetCredentials || has(c.Fields, FieldClientSecret))
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return " (" + reason + ")"
}
