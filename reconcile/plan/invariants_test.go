package plan

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// broken lists what a plan must never be, whatever it was made from.
func broken(in facts, p Plan) []string {
	var out []string
	for _, rule := range []func(facts, Plan) []string{
		rulesOfForm, rulesOfTouch, rulesOfCaps, rulesOfTime, rulesOfApproval, rulesOfOrder, rulesOfSecrets, rulesOfKeys, rulesOfMemory, rulesOfTerra,
	} {
		out = append(out, rule(in, p)...)
	}
	return out
}

// each asks about every change and names those that break the rule.
func each(p Plan, rule string, breaks func(Change) bool) []string {
	var out []string
	for _, c := range p.Changes {
		if breaks(c) {
			out = append(out, fmt.Sprintf("%s: %s: %+v", c.ID, rule, c))
		}
	}
	return out
}

func rulesOfForm(_ facts, p Plan) []string {
	ids := map[string]int{}
	for _, c := range p.Changes {
		ids[c.ID]++
	}
	out := each(p, "an ID twice", func(c Change) bool { return ids[c.ID] != 1 })
	out = append(out, each(p, "a gate without its guard and reason, or one that is ready with them", func(c Change) bool {
		return (c.Gate == Ready) != (c.Guard == "") || (c.Gate == Ready) != (c.GateReason == "")
	})...)
	out = append(out, each(p, "a word is missing", func(c Change) bool {
		return c.Class == "" || c.ClassReason == "" || c.Cause == "" || c.Reason == "" || len(c.Fields) == 0 || c.Origin == "" || rank(c.Action) < 0
	})...)
	for _, n := range p.NotCompared {
		if n.Reason == "" {
			out = append(out, n.Connection+" "+n.Field+": not compared for no reason")
		}
	}
	return out
}

func rulesOfTouch(in facts, p Plan) []string {
	out := each(p, "touches what could not be read", func(c Change) bool {
		return in.Observed[c.Provider].Failed != "" || desiredOf(in, c.Provider).Unreadable != ""
	})
	out = append(out, each(p, "touches what no file names", func(c Change) bool {
		m := in.Memory.Connections[c.Provider]
		return !isDesired(in, c.Provider) && (c.Action != Disable || c.Cause != Prune || !in.Memory.Known || !m.Enabled || !in.Environment.PruneDisable)
	})...)
	out = append(out, each(p, "prunes by an empty set", func(c Change) bool { return c.Cause == Prune && c.Gate == Ready && len(in.Desired) == 0 })...)
	out = append(out, each(p, "touches an ignored field", func(c Change) bool {
		return slices.ContainsFunc(desiredOf(in, c.Provider).Ignore, func(f string) bool { return has(c.Fields, f) })
	})...)
	return append(out, each(p, "pauses or disables what is protected", func(c Change) bool {
		_, live := in.Observed[c.Provider]
		return live && c.Gate == Ready && (c.Action == Pause || c.Action == Disable) && protectedByLaw(in, c.Provider)
	})...)
}

// protectedByLaw says again, from the decision, what is protected.
func protectedByLaw(in facts, provider string) bool {
	for _, d := range in.Desired {
		if d.Provider == provider && d.Protect.Mode == Given {
			return d.Protect.Value
		}
	}
	return slices.Contains(in.Environment.Protect, provider) || in.Memory.Connections[provider].Protected
}

func rulesOfCaps(in facts, p Plan) []string {
	hurt, rotations, live := map[string]bool{}, 0, len(in.Observed)
	for _, c := range p.Changes {
		if c.Gate != Ready || isApproved(in, c) {
			continue
		}
		if c.Class != Safe {
			if _, seen := in.Observed[c.Provider]; !seen && !hurt[c.Connection] {
				live++ // it makes it so
			}
			hurt[c.Connection] = true
		}
		if c.Action == RotateSecret {
			rotations++
		}
	}
	var out []string
	percent := max(1, (in.Environment.CapPercent*live+99)/100)
	if len(hurt) > max(0, in.Environment.CapCount) || len(hurt) > percent {
		out = append(out, fmt.Sprintf("hurts %d connections, count %d, percent %d", len(hurt), in.Environment.CapCount, percent))
	}
	if rotations > max(0, in.Environment.MaxRotations) {
		out = append(out, fmt.Sprintf("rotates %d keys, at most %d", rotations, in.Environment.MaxRotations))
	}
	return out
}

func rulesOfTime(in facts, p Plan) []string {
	out := each(p, "runs while suspended", func(c Change) bool {
		s, own := in.Environment.Suspend, desiredOf(in, c.Provider).Suspend
		return c.Gate == Ready && (s != nil && in.Now.Before(s.Until) || own != nil && in.Now.Before(own.Until))
	})
	out = append(out, each(p, "runs while paused", func(c Change) bool {
		return c.Gate == Ready && slices.ContainsFunc(in.KillSwitches, func(s KillSwitch) bool {
			return (s.Provider == "" || s.Provider == c.Provider) && in.Now.Before(s.Until)
		})
	})...)
	out = append(out, each(p, "runs in mode observe", func(c Change) bool { return c.Gate == Ready && in.Environment.Observe })...)
	out = append(out, each(p, "runs before it was elsewhere for long enough", func(c Change) bool {
		after, ok := in.After[c.Provider]
		if !ok || c.Gate != Ready || in.NowFlag || c.Cause == Drift || c.Cause == Rotation {
			return false
		}
		if after.Unknown != "" && (c.Action == Enable || c.Action == SetScopes) {
			return true
		}
		for _, field := range []string{FieldScopes, FieldState, FieldApp} {
			there := cmp.Or(after.There, new(Remembered))
			same := there.Fields[field] == desiredTokens(desiredOf(in, c.Provider))[field] && !there.Synced.IsZero() && !there.Since[field].IsZero()
			if has(c.Fields, field) && c.Cause != Prune && (!same || in.Now.Sub(there.Since[field]) < after.For) {
				return true
			}
		}
		return false
	})...)
	return append(out, each(p, "runs outside the windows", func(c Change) bool {
		return c.Gate == Ready && c.Class != Safe && !openNow(in.Environment.Windows, in.Now) && !(in.NowFlag && in.ApprovedAll)
	})...)
}

func rulesOfApproval(in facts, p Plan) []string {
	out := each(p, "destroys without a yes", func(c Change) bool {
		yes := in.ApprovedAll || len(in.Environment.Allow) > 0 || c.Action == Disable && desiredOf(in, c.Provider).State == Disabled
		return c.Gate == Ready && c.Class == Destructive && !yes
	})
	out = append(out, each(p, "reverts drift that is only reported", func(c Change) bool {
		return c.Gate == Ready && c.Cause == Drift && !in.Environment.RevertDrift
	})...)
	out = append(out, each(p, "writes a pair that the provider rejects", func(c Change) bool {
		return c.Gate == Ready && has(c.Fields, FieldClientSecret) && in.Probes[c.Provider].Verdict == Bad
	})...)
	return append(out, each(p, "overwrites keys that nobody remembers", func(c Change) bool {
		_, live := in.Observed[c.Provider]
		_, known := in.Memory.of(c.Provider).Fields[FieldClientSecret]
		overwrites := has(c.Fields, FieldClientSecret) && c.Action != SetCredentials
		return c.Gate == Ready && live && overwrites && !known && !in.ApprovedAll && len(in.Environment.Allow) == 0
	})...)
}

func rulesOfOrder(in facts, p Plan) []string {
	held, keyless := map[string]bool{}, map[string]bool{}
	for _, c := range p.Changes {
		held[c.Connection] = held[c.Connection] || c.Action == Enable && c.Gate != Ready
		keyless[c.Connection] = keyless[c.Connection] || c.Action == SetCredentials && c.Gate != Ready
	}
	out := each(p, "sends users to an app without keys", func(c Change) bool {
		d, live := desiredOf(in, c.Provider), in.Observed[c.Provider].Credentials
		shut := d.Credentials && d.Secret.Mode == Given && d.Secret.Value.Closed != "" && live != nil && !live.Set && len(d.Ignore) == 0
		return c.Action == SetApp && c.Gate == Ready && d.App.Value == "own" && (keyless[c.Connection] || shut)
	})
	out = append(out, each(p, "enables what nobody could sign in to", func(c Change) bool {
		return c.Action == Enable && c.Gate == Ready && keyless[c.Connection] && in.Types[c.Provider].CredentialsRequired && !desiredOf(in, c.Provider).UnknownKey
	})...)
	out = append(out, each(p, "overtakes its enable", func(c Change) bool {
		return held[c.Connection] && c.Gate == Ready && c.Action != SetDomain && c.Action != ReleaseDomain
	})...)
	for i, c := range p.Changes {
		if i == 0 {
			continue
		}
		before := p.Changes[i-1]
		if before.Connection > c.Connection || before.Connection == c.Connection && rank(before.Action) > rank(c.Action) {
			out = append(out, c.ID+": out of order")
		}
		if before.Action == Enable && c.Action == Pause && before.Connection == c.Connection && before.Gate == Ready && c.Gate != Ready {
			out = append(out, c.ID+": enabled although it cannot be paused")
		}
	}
	return out
}

func rulesOfSecrets(_ facts, p Plan) []string {
	b, err := json.Marshal(p)
	if err != nil {
		return []string{err.Error()}
	}
	var again Plan
	if err := json.Unmarshal(b, &again); err != nil || Hash(again) != Hash(p) {
		return []string{fmt.Sprintf("the hash does not survive a file: %v", err)}
	}
	if strings.Contains(string(b), digestMark) {
		return []string{"a digest of a secret stands in the plan"}
	}
	return nil
}
