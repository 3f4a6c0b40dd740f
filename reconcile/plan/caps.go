package plan

import "fmt"

// guardCaps holds every counted change of an environment when they hurt more
// connections than the cap allows. Disruptive and destructive changes count
// unless a person approved them; several on one connection count once, because
// the cap is about how many connections a run may hurt. Count and percent both
// bind; the percentage is of live connections, rounded up, at least 1, so small
// environments stay operable.
func guardCaps(in Input, p *Plan) {
	counted := countedChanges(in, p, func(c Change) bool { return c.Class != Safe })
	hurt := map[string]bool{}
	for _, c := range counted {
		hurt[c.Connection] = true
	}
	env := in.Environment
	byPercent := max(1, (env.CapPercent*p.Live+99)/100)
	limit := min(env.CapCount, byPercent)
	if len(hurt) <= limit {
		return
	}
	reason := fmt.Sprintf("it would hurt %d of %d live; %d allowed: count %d, %d%% is %d (%s)",
		len(hurt), p.Live, limit, env.CapCount, env.CapPercent, byPercent, setBy(env.CapOrigin))
	lines := ""
	if percent := (100*len(hurt) + p.Live - 1) / max(1, p.Live); percent <= 100 { // else no percentage would do
		lines = fmt.Sprintf("policy: {max_changes: {count: %d, percent: %d}}", max(env.CapCount, len(hurt)), max(env.CapPercent, percent))
	}
	hold(counted, "max_changes", reason, wayThroughCap(in, env.CapOrigin, lines))
}

// guardRotations holds the rotations, whatever asks for them, when there are more
// than their cap allows. Those that nobody proved count above as well.
func guardRotations(in Input, p *Plan) {
	env := in.Environment
	rotations := countedChanges(in, p, func(c Change) bool { return c.Action == RotateSecret })
	if len(rotations) > env.MaxRotations {
		reason := fmt.Sprintf("%d rotations at once, %d allowed (%s)", len(rotations), env.MaxRotations, setBy(env.RotationsOrigin))
		hold(rotations, "max_rotations", reason, wayThroughCap(in, env.RotationsOrigin, fmt.Sprintf("policy: {max_rotations: %d}", len(rotations))))
	}
}

// countedChanges gives those of a kind that nobody approved and that no guard
// blocks yet.
func countedChanges(in Input, p *Plan, kind func(Change) bool) []*Change {
	var out []*Change
	for i := range p.Changes {
		if c := &p.Changes[i]; kind(*c) && c.Gate != Blocked && !isApproved(in, *c) {
			out = append(out, c)
		}
	}
	return out
}

// hold blocks changes. What leads through for one that waits for a yes stays: the yes
// lifts the cap as well, a higher cap would not lift both.
func hold(changes []*Change, guard, reason, way string) {
	for _, c := range changes {
		if !stronger(Blocked, c.Gate) {
			continue
		}
		if c.Gate != Approval || c.GateWay == "" {
			c.GateWay = way
		}
		c.Gate, c.Guard, c.GateReason = Blocked, guard, reason
	}
}
