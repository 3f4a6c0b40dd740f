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
		hold(counted, "max_changes", fmt.Sprintf(
			"%d connections would be hurt, %d allowed (count %d, %d%% of %d live = %d; %s); approve this plan or raise max_changes",
			len(hurt), limit, env.CapCount, env.CapPercent, p.Live, byPercent, env.CapOrigin))
	}
	if len(rotations) > env.MaxRotations {
		hold(rotations, "max_rotations", fmt.Sprintf("%d rotations are due at once, %d allowed; approve this plan or raise max_rotations",
			len(rotations), env.MaxRotations))
	}
}

func hold(changes []*Change, name, reason string) {
	for _, c := range changes {
		if stronger(Blocked, c.Gate) {
			c.Gate, c.Guard, c.GateReason = Blocked, name, reason
		}
	}
}
