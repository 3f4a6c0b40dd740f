package plan

import "fmt"

// guardCaps holds every counted change of an environment when they hurt more
// connections than the cap allows. Disruptive and destructive changes count
// unless a person approved them; several on one connection count once, because
// the cap is about how many connections a run may hurt. Rotations, whatever asks
// for them, have a cap of their own as well. Count and percent both bind; the percentage is of live connections,
// rounded up, at least 1, so small environments stay operable.
func guardCaps(in Input, p *Plan) {
	var counted, rotations []*Change
	hurt := map[string]bool{}
	for i := range p.Changes {
		c := &p.Changes[i]
		if isApproved(in, *c) || c.Gate == Blocked {
			continue
		}
		if c.Class != Safe {
			counted = append(counted, c)
			hurt[c.Connection] = true
		}
		if c.Action == RotateSecret {
			rotations = append(rotations, c)
		}
	}
	env := in.Environment
	byPercent := max(1, (env.CapPercent*p.Live+99)/100)
	if limit := min(env.CapCount, byPercent); len(hurt) > limit {
		reason := fmt.Sprintf("it would hurt %d of %d live; %d allowed: count %d, %d%% is %d (%s)",
			len(hurt), p.Live, limit, env.CapCount, env.CapPercent, byPercent, setBy(env.CapOrigin))
		lines := ""
		if percent := (100*len(hurt) + p.Live - 1) / max(1, p.Live); percent <= 100 { // else no percentage would do
			lines = fmt.Sprintf("policy: {max_changes: {count: %d, percent: %d}}", max(env.CapCount, len(hurt)), max(env.CapPercent, percent))
		}
		hold(counted, "max_changes", reason, wayThroughCap(in, env.CapOrigin, lines))
	}
	if len(rotations) > env.MaxRotations {
		reason := fmt.Sprintf("%d rotations at once, %d allowed (%s)", len(rotations), env.MaxRotations, setBy(env.RotationsOrigin))
		lines := fmt.Sprintf("policy: {max_rotations: %d}", len(rotations))
		hold(rotations, "max_rotations", reason, wayThroughCap(in, env.RotationsOrigin, lines))
	}
}

func hold(changes []*Change, guard, reason, way string) {
	for _, c := range changes {
		if stronger(Blocked, c.Gate) {
			c.Gate, c.Guard, c.GateReason, c.GateWay = Blocked, guard, reason, way
		}
	}
}
