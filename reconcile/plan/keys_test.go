package plan

import (
	"slices"
)

// rulesOfKeys says again, from the decision on rotation, what a plan must never
// do with keys.
func rulesOfKeys(in facts, p Plan) []string {
	out := each(p, "writes a key that was rejected", func(c Change) bool {
		d := desiredOf(in, c.Provider)
		return c.Gate == Ready && d.Rejected != nil && slices.ContainsFunc(c.Fields, func(f FieldChange) bool { return f.To.Sealed == d.Rejected.Sealed })
	})
	out = append(out, each(p, "writes a pair that its provider refused when it was asked last", func(c Change) bool {
		return c.Gate == Ready && has(c.Fields, FieldClientSecret) && in.Probes[c.Provider].Verdict == Bad
	})...)
	out = append(out, each(p, "goes back without a yes to a pair that is not proved to be good", func(c Change) bool {
		d, live := desiredOf(in, c.Provider), in.Observed[c.Provider].Secret.LiveKey
		fromRejected := d.Rejected != nil && d.Rejected.Key == live
		back := c.Action == RotateSecret && !c.ShowsRejected() && (fromRejected || d.WasLive && c.Cause != Drift)
		probe := in.Probes[c.Provider]
		proved := d.WasLive && probe.Verdict == Good && !probe.At.Before(d.LiveSince) && !(fromRejected && d.Rejected.Accepted)
		return c.Gate == Ready && back && !proved && !isApproved(in, c)
	})...)
	out = append(out, each(p, "loses a secret of which there is no copy for one that is not proved to be good", func(c Change) bool {
		unknown := in.Memory.of(c.Provider).Fields[FieldClientSecret] == "unknown" && in.Observed[c.Provider].Secret.LiveKey == 0
		return c.Gate == Ready && c.Action == RotateSecret && unknown && in.Probes[c.Provider].Verdict != Good && !isApproved(in, c)
	})...)
	return append(out, each(p, "writes a pair without the proof that its file demands", func(c Change) bool {
		writes := has(c.Fields, FieldClientSecret)
		return c.Gate == Ready && writes && desiredOf(in, c.Provider).ProbeRequired != "" && in.Probes[c.Provider].Verdict != Good && !isApproved(in, c)
	})...)
}
