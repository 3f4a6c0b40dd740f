package plan

import (
	"slices"
)

// Consent is what a person approved at the runner.
type Consent struct {
	Plan bool // the hash of this very plan
	Now  bool // and to ignore the windows
	// Alone are connections that were approved by their own hash, and whether to ignore
	// the windows too.
	Alone map[string]bool
}

// left is what still holds a change. One approval has to lift all of it: that of the plan
// and that of its connection never add up, because nobody approved what both let through.
func (g Consent) left(c Change) Hold {
	ofPlan := c.heldBut(func(l Lifts) bool { return g.Plan && (l.Hash || l.Now && g.Now) })
	now, alone := g.Alone[c.Connection]
	if !alone {
		return ofPlan
	}
	own := c.heldBut(func(l Lifts) bool { return l.Hash || l.Alone || l.Now && now })
	if g.Plan && own.Gate.stronger(ofPlan.Gate) {
		return ofPlan
	}
	return own
}

// heldBut is the strongest of what holds a change, but for what is lifted.
func (c Change) heldBut(lifted func(Lifts) bool) Hold {
	left := Hold{Gate: Ready}
	for _, h := range c.Holds {
		if lifted(h.Lifts) || !h.Gate.stronger(left.Gate) {
			continue
		}
		if left = h; !h.First {
			break
		}
	}
	return left
}

// covers tells whether a change of a connection was approved by a hash.
func (g Consent) covers(connection string) bool {
	_, alone := g.Alone[connection]
	return g.Plan || alone
}

// Guard asks every guard about every change of a classified plan, and gates what one of
// them holds and no commit allows.
func Guard(in Input, p Plan) Plan { return guardBy(Guards(), in, p) }

// Approve gates the changes of a guarded plan from what its guards hold and what a
// person consented to, whatever gates it had before. What a commit allows Guard has
// taken into account.
func Approve(in Input, p Plan, consent Consent) Plan { return approveBy(Guards(), in, p, consent) }

// Releases counts the changes that a consent would let through beyond those that are
// ready.
func Releases(in Input, p Plan, consent Consent) int {
	return len(ReleasedBy(in, p, consent))
}

// ReleasedBy gives the changes that a consent lets through beyond those that are ready.
func ReleasedBy(in Input, p Plan, consent Consent) []Change {
	var out []Change
	for i, c := range Approve(in, p, consent).Changes {
		if c.Gate == Ready && p.Changes[i].Gate != Ready {
			out = append(out, c)
		}
	}
	return out
}

// Leaves gives the connections that no approval of the whole plan lets through, and one
// of their own does: their keys were set out of band, a host is foreign to us, or the
// branch was rewound.
func Leaves(in Input, p Plan) []string {
	var out []string
	for _, c := range Approve(in, p, Consent{Plan: true, Now: true}).Changes {
		row, known := GuardOf(c.Guard)
		if c.Gate != Ready && known && row.Lifts.Alone && !slices.Contains(out, c.Connection) {
			out = append(out, c.Connection)
		}
	}
	return out
}

func guardBy(rows []GuardRow, in Input, p Plan) Plan {
	in = in.indexed()
	p.Changes = slices.Clone(p.Changes)
	ask := func(c *Change, first bool) {
		k, allowed := in.of(c.Provider), isAllowed(in, *c)
		for _, g := range rows {
			if g.holds == nil || g.first != first {
				continue
			}
			h := g.holds(in, k, *c)
			if h.Gate == "" || g.Lifts.Allow && (allowed || g.allows != nil && g.allows(in, *c)) {
				continue
			}
			h.Guard, h.Lifts, h.First = g.Name, g.Lifts, first
			switch {
			case g.Lifts.Alone:
				h.Remediations = append(h.Remediations, approval(" alone"))
			case g.Lifts.Hash:
				h.Remediations = append(h.Remediations, approval(""))
			}
			if g.Lifts.Allow {
				h.Remediations = append(h.Remediations, allowRemediation(in, k, *c))
			}
			if c.Cause == Prune {
				h.Remediations = append([]Remediation{keepPruned(in, k)}, h.Remediations...)
			}
			if c.Holds = append(c.Holds, h); first {
				return
			}
		}
	}
	for i := range p.Changes {
		p.Changes[i].Holds = nil
		ask(&p.Changes[i], true)
	}
	for i, c := range p.Changes { // what is not enabled waits with its enable, whatever else holds it
		if c.Action != Enable || len(c.Holds) == 0 {
			continue
		}
		follows := c.Holds[0]
		follows.Reason = EnableFirst
		for j := i + 1; j < len(p.Changes) && p.Changes[j].Connection == c.Connection; j++ {
			if len(p.Changes[j].Holds) == 0 {
				p.Changes[j].Holds = []Hold{follows}
			}
		}
	}
	for i := range p.Changes {
		ask(&p.Changes[i], false)
	}
	return approveBy(rows, in, p, Consent{})
}

// keepPruned is what keeps a connection as it is that no file names any more.
func keepPruned(in Input, k Connection) Remediation {
	file := "provider: " + k.Provider
	if k.Observed != nil && !k.Observed.Active {
		file = "{" + file + ", state: paused}"
	}
	return edit(fileOf(in, k), file, "keep it: a file that names it is enough")
}

func approveBy(rows []GuardRow, in Input, p Plan, consent Consent) Plan {
	in = in.indexed()
	p.Changes = slices.Clone(p.Changes)
	for i := range p.Changes {
		c := &p.Changes[i]
		c.gate(consent.left(*c))
	}
	for _, g := range rows {
		if g.trips != nil && !consent.Plan {
			capBy(in, p, g, consent)
		}
	}
	enableBehindKeys(in, p.Changes)
	followEnable(p.Changes)
	followKeys(p.Changes)
	for i := range p.Changes {
		c := &p.Changes[i]
		c.Then = c.next()
		at := slices.IndexFunc(rows, func(g GuardRow) bool { return g.Name == c.Guard })
		if at >= 0 && rows[at].proof && c.Action != UpdateCredentials && mayYetBeProved(in, in.of(c.Provider), *c) {
			c.Remediations = append(c.Remediations, Remediation{Kind: ByProbe, Text: "see whether the provider accepts the pair, which is then not held",
				Command: Command{"--dry-run", "--probe", "--env", in.Environment.Name}})
		}
	}
	return p
}

// next is the gate of a change that is blocked or waits once its guard lets it go, "" for
// ready. What a pause or a suspend has held is then held as first seen after it.
func (c Change) next() Gate {
	if c.Gate != Blocked && c.Gate != Waiting {
		return ""
	}
	guard := c.Guard
	c.Holds = slices.DeleteFunc(slices.Clone(c.Holds), func(h Hold) bool { return h.Guard == guard })
	gate := c.heldBut(func(Lifts) bool { return false }).Gate
	if after := guard == GuardPause || guard == GuardSuspend; after && c.Class != Safe && Approval.stronger(gate) {
		gate = Approval
	}
	if gate == Ready {
		return ""
	}
	return gate
}

// gate sets the gate of a change from what one guard holds against it.
func (c *Change) gate(h Hold) {
	c.Gate, c.Guard, c.GateReason, c.GateBrief, c.GateYours, c.GateEnds = h.Gate, h.Guard, h.Reason, h.Brief, h.Yours, h.Ends
	c.Remediations = append([]Remediation{}, h.Remediations...)
}

// capBy holds all counted changes of an environment when a cap trips. Those that a commit
// allows, a person approved, or a guard blocks, do not count.
func capBy(in Input, p Plan, g GuardRow, consent Consent) {
	var counted []int
	var changes []Change
	for i, c := range p.Changes {
		if g.counts(c) && c.Gate != Blocked && !isAllowed(in, c) && !consent.covers(c.Connection) {
			counted, changes = append(counted, i), append(changes, c)
		}
	}
	h := g.trips(in, changes, p.Live)
	if h.Gate == "" {
		return
	}
	h.Guard, h.Remediations = g.Name, append([]Remediation{approval("")}, h.Remediations...)
	for _, i := range counted {
		held := h
		if c := p.Changes[i]; c.Gate == Approval && len(c.Remediations) > 0 {
			held.Remediations = c.Remediations // its approval lifts the cap as well, a higher cap would not lift both
		}
		p.Changes[i].gate(held)
	}
}

// EnableFirst is the reason of what only waits with its enable, which says why.
const EnableFirst = "enabling comes first"

// followEnable makes the changes of a connection that is not enabled wait with the
// enable that precedes them. A connection that is to be paused at once is not enabled
// while its pause is held: it would take sign-ins that nobody asked for.
func followEnable(changes []Change) {
	for i := range changes {
		first, rest := &changes[i], changes[i+1:]
		if first.Action != Enable {
			continue
		}
		for _, c := range rest {
			if c.Connection == first.Connection && c.Action == Pause && c.Gate.stronger(first.Gate) {
				first.follow(c, "it is to be paused at once, and that is held: "+c.GateReason)
			}
		}
		for j := range rest {
			if c := &rest[j]; c.Connection == first.Connection && c.Gate == Ready && first.Gate != Ready {
				c.follow(*first, EnableFirst)
			}
		}
	}
}

// follow holds a change by what holds another.
func (c *Change) follow(other Change, reason string) {
	c.gate(Hold{Gate: other.Gate, Guard: other.Guard, Reason: reason, Remediations: other.Remediations})
}

// enableBehindKeys keeps a connection from being enabled while its first keys are held,
// where Terra has no app to lend: nobody could sign in. A key of which the file says
// that nobody knows it may come back with the source.
func enableBehindKeys(in Input, changes []Change) {
	for i := range changes {
		first := &changes[i]
		k := in.of(first.Provider)
		if first.Action != Enable || first.Gate != Ready || !k.offer().CredentialsRequired || k.want().UnknownKey {
			continue
		}
		for _, c := range changes[i+1:] {
			if c.Connection == first.Connection && c.Action == SetCredentials && c.Gate != Ready {
				first.follow(c, "Terra has no app to lend for "+c.Provider+", so its keys come first: "+c.GateReason)
				break
			}
		}
	}
}

// followKeys keeps users on Terra's app while the first keys of the own one are held:
// they would meet an app that cannot sign them in.
func followKeys(changes []Change) {
	held := map[string]Change{}
	for i := range changes {
		c := &changes[i]
		if c.Action == SetCredentials && c.Gate != Ready {
			held[c.Connection] = *c
		}
		if keys, are := held[c.Connection]; are && c.Action == SetApp && c.Gate == Ready && target(c.Fields, FieldApp) == "own" {
			c.follow(keys, "its keys come first")
		}
	}
}

// ApprovedBy gives where a change was approved: "hash" when a person consented to this
// very plan or to its connection, the origin of an allow that is about it, or "" when neither. It decides
// nothing.
func ApprovedBy(in Input, consent Consent, c Change) string {
	if consent.covers(c.Connection) {
		return "hash"
	}
	if !isAllowed(in, c) && !findAllow(in, c, string(Adopt), "") {
		return ""
	}
	for _, a := range in.allowsOf(c.Provider) {
		if !in.Now.Before(a.Until) {
			continue
		}
		switch {
		case a.Change == string(c.Action), a.Change == string(c.Cause), a.Change == string(Adopt) && c.Cause.IsFirst():
			return a.Origin
		case has(c.Fields, a.Change) && (a.To == "" || a.To == target(c.Fields, a.Change)):
			return a.Origin
		}
	}
	return ""
}
