package plan

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// rulesOfMemory are about what is remembered, said again from the decisions.
func rulesOfMemory(in facts, p Plan) []string {
	out := each(p, "disturbs users right after a suspend", func(c Change) bool {
		held := in.Memory.Suspended || in.Memory.Known && in.Memory.Connections[c.Provider].Suspended
		return c.Gate == Ready && c.Class != Safe && held && !isApproved(in, c)
	})
	out = append(out, each(p, "follows an old commit into keys or harm", func(c Change) bool {
		harms := c.Class != Safe || has(c.Fields, FieldClientID) || has(c.Fields, FieldClientSecret) || has(c.Fields, FieldVerificationSecret) ||
			has(c.Fields, FieldRedirectURL) || has(c.Fields, FieldSandbox)
		return c.Gate == Ready && in.Rewound != "" && harms && !in.ApprovedEach
	})...)
	before := false
	for _, m := range in.Memory.Connections {
		before = before || in.Memory.Known && !m.Noted && m.Fields[FieldState] != "disabled"
	}
	out = append(out, each(p, "takes an empty list for the truth", func(c Change) bool {
		return c.Gate == Ready && len(in.Observed) == 0 && before && !isApproved(in, c)
	})...)
	out = append(out, each(p, "reverts keys that somebody set by hand", func(c Change) bool {
		probe := in.Probes[c.Provider]
		keys := has(c.Fields, FieldClientID) || has(c.Fields, FieldClientSecret)
		proved := probe.Verdict == Good && !probe.At.Before(in.Now)
		return c.Gate == Ready && c.Cause == Drift && keys && c.Action != SetCredentials && !proved && !in.Environment.RevertSecretDrift && !isApproved(in, c)
	})...)
	out = append(out, each(p, "takes one look for proof that keys are gone", func(c Change) bool {
		m, had := in.Memory.Connections[c.Provider]
		_, live := in.Observed[c.Provider]
		agreed := had && in.Memory.Known && !m.Noted && m.Fields[FieldState] != "disabled" && m.Fields[FieldClientID] != ""
		return c.Gate == Ready && c.Action == SetCredentials && live && agreed && in.Now.Sub(m.KeysGone) < 5*time.Minute && !isApproved(in, c)
	})...)
	fields := func(c Change, breaks func(FieldChange) bool) bool {
		return c.Gate == Ready && !isApproved(in, c) && slices.ContainsFunc(c.Fields, breaks)
	}
	out = append(out, each(p, "fights with somebody", func(c Change) bool {
		return c.Cause == Drift && fields(c, func(f FieldChange) bool {
			r := in.Memory.of(c.Provider).Reverted[f.Field]
			return r.Times > 1 && in.Now.Sub(r.At) <= 7*24*time.Hour
		})
	})...)
	out = append(out, each(p, "sends for ever what Terra does not take", func(c Change) bool {
		return fields(c, func(f FieldChange) bool {
			u := in.Memory.of(c.Provider).Unshown[f.Field]
			return u.Times > 0 && u.Sent == f.To.token() && f.From.token() != "none" && (u.Times > 1 || u.Before != f.From.token())
		})
	})...)
	return append(out, each(p, "disturbs users of what was never ours", func(c Change) bool {
		_, live := in.Observed[c.Provider]
		first := c.Action == Enable || c.Action == Pause && !live
		return c.Gate == Ready && c.Cause == Adopt && !first && c.Class != Safe && !in.ApprovedAll && len(in.Environment.Allow) == 0
	})...)
}

// rulesOfTerra are about what Terra offers, has and waits for.
func rulesOfTerra(in facts, p Plan) []string {
	types := func(c Change) (Type, bool) { t, ok := in.Types[c.Provider]; return t, ok }
	out := each(p, "asks for what Terra does not offer", func(c Change) bool {
		t, ok := types(c)
		return c.Gate == Ready && (c.Action == Enable && in.Types != nil && !ok || c.Action == SetScopes && ok && !t.CustomScopes ||
			c.Action == SetCredentials && ok && !t.BYO && !t.CustomCredentials)
	})
	out = append(out, each(p, "sets half of a pair", func(c Change) bool {
		same := c.Action == UpdateCredentials && in.Observed[c.Provider].Secret.Result == Equal && desiredOf(in, c.Provider).Secret.Mode == Given
		pair := has(c.Fields, FieldClientID) && (has(c.Fields, FieldClientSecret) || same)
		return c.Gate == Ready && !pair && (c.Action == SetCredentials || has(c.Fields, FieldClientID))
	})...)
	out = append(out, each(p, "replaces a secret of a store", func(c Change) bool {
		return c.Gate == Ready && has(c.Fields, FieldSecretRef) && len(in.Environment.Allow) == 0
	})...)
	out = append(out, each(p, "moves users to a domain that does not serve", func(c Change) bool {
		d, live := desiredOf(in, c.Provider), in.Observed[c.Provider].Domain
		u, err := url.Parse(d.RedirectURL.Value)
		onDomain := err == nil && d.Domain.Mode == Given && d.RedirectURL.Mode == Given && strings.EqualFold(u.Hostname(), d.Domain.Value)
		serves := live != nil && live.Live && strings.EqualFold(live.Hostname, u.Hostname())
		replaces := c.Action == SetDomain && live != nil && live.Hostname != ""
		return c.Gate == Ready && (replaces || onDomain && !serves && has(c.Fields, FieldRedirectURL))
	})...)
	out = append(out, each(p, "sends users to a host that nobody but a committer names", func(c Change) bool {
		d, was := desiredOf(in, c.Provider), ""
		if live := in.Observed[c.Provider].Credentials; live != nil && live.RedirectURL != nil {
			was = *live.RedirectURL
		}
		isKnown := func(address string) bool {
			u, err := url.Parse(address)
			if err != nil {
				return false
			}
			name := strings.ToLower(u.Host)
			_, parent, _ := strings.Cut(name, ".")
			return slices.Contains(in.RedirectHosts, name) || slices.Contains(in.RedirectHosts, "*."+parent)
		}
		redirects := has(c.Fields, FieldRedirectURL) && d.RedirectURL.Mode == Given && !isKnown(d.RedirectURL.Value) && !sameHost(d.RedirectURL.Value, was)
		return c.Gate == Ready && !in.ApprovedEach && (redirects || c.Action == SetDomain && !isKnown("https://"+d.Domain.Value))
	})...)
	out = append(out, each(p, "enables before its steps are done", func(c Change) bool {
		return c.Gate == Ready && c.Action == Enable && len(desiredOf(in, c.Provider).Prerequisites) > 0
	})...)
	return append(out, each(p, "sets webhook rows out of turn", func(c Change) bool {
		live := in.Observed[c.Provider].Webhooks
		return c.Gate == Ready && c.Action == ApplyWebhooks && (live == nil || live.Locked || live.Reason != "")
	})...)
}

func sameHost(a, b string) bool {
	u, err := url.Parse(a)
	w, alsoErr := url.Parse(b)
	return err == nil && alsoErr == nil && strings.EqualFold(u.Host, w.Host)
}

// TestEveryGuardIsMissed takes the guards out one by one. Each must be missed by a
// story, whose plan then reads differently, and by a law, which is then broken.
func TestEveryGuardIsMissed(t *testing.T) {
	changed, broke := map[string]int{}, map[string]int{}
	all := func() bool {
		return !slices.ContainsFunc(Guards(), func(g GuardRow) bool { return broke[g.Name] == 0 })
	}
	inputs(t, all, func(name string, in facts) {
		whole := planOf(in)
		held := map[string]bool{}
		for _, c := range whole.Changes {
			held[c.Guard] = true
		}
		for _, o := range Guards() {
			if !held[o.Name] || name == "random" && broke[o.Name] > 2 {
				continue
			}
			p := planWithout(in, o.Name)
			if name != "random" && render(in, p) != render(in, whole) {
				changed[o.Name]++
			}
			broke[o.Name] += min(1, len(broken(in, p)))
		}
	})
	for _, o := range Guards() {
		if changed[o.Name] == 0 {
			t.Errorf("%s: taken out, every story reads as before", o.Name)
		}
		if broke[o.Name] == 0 {
			t.Errorf("%s: taken out, no law is broken", o.Name)
		}
	}
	t.Logf("COUNT plan_guards_taken_out=%d", len(changed))
}

// TestGuardRows: a row has one name, kebab-case, and one function, and the table is in
// the order in which it is asked.
func TestGuardRows(t *testing.T) {
	stage, names := 0, map[string]bool{}
	for _, g := range Guards() {
		if names[g.Name] || !regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`).MatchString(g.Name) || g.Holds == "" {
			t.Errorf("%q: its name is taken or not kebab-case, or it says nothing", g.Name)
		}
		names[g.Name] = true
		if (g.holds == nil) == (g.trips == nil) || (g.trips == nil) != (g.counts == nil) {
			t.Errorf("%s: got a guard of no kind, or of two", g.Name)
		}
		now := 1
		switch {
		case g.first:
			now = 0
		case g.trips != nil:
			now = 2
		}
		if now < stage {
			t.Errorf("%s: stands after what is asked later", g.Name)
		}
		stage = now
	}
}
