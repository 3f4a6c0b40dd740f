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
	applies  func(Input, Change) bool
}

// Proved is why a secret may be set although end users are there.
const Proved = "the provider accepts the pair"

// Classes is the table of classes. For an action the first row that applies
// decides; the last row of each action always applies.
func Classes() []ClassRule {
	always := func(Input, Change) bool { return true }
	probeGood := func(in Input, c Change) bool { return in.Probes[c.Provider].Verdict == Good }
	ours := func(in Input, c Change) bool { return in.Memory.of(c.Provider).Paused }
	critical := func(_ Input, c Change) bool {
		return has(c.Fields, FieldClientID) || has(c.Fields, FieldSandbox) || has(c.Fields, FieldSecretRef)
	}
	onlyAdds := func(in Input, c Change) bool {
		return in.Observed[c.Provider].Scopes != nil && len(missing(c.Fields[0].From.List, c.Fields[0].To.List)) == 0
	}
	replaces := func(in Input, c Change) bool { w := in.Observed[c.Provider].Webhooks; return w == nil || w.HasExisting }
	return []ClassRule{
		{Enable, "no end user is linked yet", Disruptive, Safe, always},
		{Pause, "new sign-ins are refused", Disruptive, Safe, always},
		{Resume, "we paused it ourselves", Safe, Safe, ours},
		{Resume, "somebody paused it by hand", Disruptive, Safe, always},
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

func ruleFor(in Input, c Change) ClassRule {
	for _, r := range Classes() {
		if r.Action == c.Action && r.applies(in, c) {
			return r
		}
	}
	return ClassRule{Action: c.Action, When: "an unknown action", With: Destructive, WithNone: Destructive}
}

func classify(in Input, changes []Change) {
	for i := range changes {
		c := &changes[i]
		rule := ruleFor(in, *c)
		if isKeptOut(*c) {
			c.Class, c.ClassReason = Safe, "it is kept out, so nothing changes"
			continue
		}
		users, counted := in.Users[c.Provider]
		if counted && (rule.With != Safe || rule.WithNone != Safe) {
			c.ActiveUsers = &users
		}
		c.Class, c.ClassReason = rule.With, rule.When
		switch {
		case rule.With == rule.WithNone:
		case counted && users.Exact && users.Count == 0:
			c.Class, c.ClassReason = rule.WithNone, "no active end users"
		case counted && users.Exact:
			c.ClassReason = fmt.Sprintf("%s; %s", classWords(in, rule, *c), people(users.Count))
		case counted:
			c.ClassReason = fmt.Sprintf("%s; at least %s", classWords(in, rule, *c), people(users.Count))
		default:
			c.ClassReason = classWords(in, rule, *c) + "; end users not counted"
		}
	}
}

func people(n int) string {
	if n == 1 {
		return "1 active end user"
	}
	return fmt.Sprintf("%d active end users", n)
}

func classWords(in Input, r ClassRule, c Change) string {
	switch {
	case r.Action == Enable:
		return "end users may be linked from before"
	case r.When == notProved:
		return r.When + because(unproved(in, c.Provider))
	}
	return r.When
}

// notProved is said of a pair that the provider has not accepted.
const notProved = "the pair is not proved"

// unproved says why the provider has not accepted a pair, "" where nothing is known.
func unproved(in Input, provider string) string {
	switch unasked := desiredOf(in, provider).Unasked; {
	case unasked != "":
		return unasked
	case !in.Asks:
		return "the provider is asked when this is applied"
	}
	return in.Probes[provider].Reason
}

// mayYetBeProved tells that a run which asks the provider may find a pair proved that
// this one has not asked about.
func mayYetBeProved(in Input, c Change) bool {
	return !in.Asks && desiredOf(in, c.Provider).Unasked == "" && (c.Action == SetCredentials || has(c.Fields, FieldClientSecret))
}

// NeedsUsers names the providers whose count of active end users decides a
// class or shows the impact of a destructive change, sorted.
func NeedsUsers(in Input, p Plan) []string {
	var out []string
	for _, c := range p.Changes {
		rule := ruleFor(in, c)
		if !isKeptOut(c) && (rule.With != rule.WithNone || rule.With == Destructive) {
			out = append(out, c.Provider)
		}
	}
	return slices.Compact(sorted(out))
}
