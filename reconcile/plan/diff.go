package plan

import (
	"fmt"
	"slices"
	"strings"
)

// diff compares one desired connection with what is live.
//
//	desired    live       -> changes
//	active     not there  -> enable, then all that is managed
//	active     paused     -> resume last
//	paused     not there  -> enable, pause, then all that is managed
//	paused     active     -> pause first
//	disabled   there      -> disable, nothing else is compared
//	disabled   not there  -> none
//	any        unreadable -> none, the connection is not compared
//	ignored    not there  -> none, a warning
type diff struct {
	in          Input
	want        Desired
	id          string
	live        Observed
	isLive      bool
	remembered  Remembered
	isKnown     bool
	offer       Type
	isOffered   bool // meaningful when in.Types is not nil
	changes     []Change
	notCompared []NotCompared
	warnings    []Warning
	isShut      bool // Terra shows no keys, and those of the file cannot be opened here
}

func newDiff(in Input, want Desired) *diff {
	d := &diff{in: in, want: want, id: in.Environment.Name + "/" + want.Provider, warnings: want.Warnings}
	d.live, d.isLive = in.Observed[want.Provider]
	d.remembered, d.isKnown = in.Memory.known(want.Provider)
	d.offer, d.isOffered = in.Types[want.Provider]
	return d
}

func (d *diff) run() {
	switch {
	case d.want.Unreadable != "":
		d.skip("", d.want.Unreadable)
		return
	case d.isLive && d.live.Failed != "":
		d.skip("", d.live.Failed)
		return
	case d.want.State == Disabled:
		if d.isLive && !d.ignored(FieldState) {
			d.state(Disable, stateOf(d.live))
		}
		return
	case !d.isLive && d.ignored(FieldState):
		d.warnings = append(d.warnings, Warn(d.id, "it is not enabled and policy.ignore leaves its state alone, so nothing else is compared"))
		return
	}
	d.diffState()
	d.diffDomain()
	d.diffCredentials()
	d.diffScopes()
	d.diffApp()
	d.diffWebhooks()
	d.noLongerManaged()
	d.holdOwnApp()
	if !d.isLive {
		d.needEnable()
	}
}

func (d *diff) diffState() {
	switch {
	case !d.isLive:
		c := d.state(Enable, "not enabled")
		if d.in.Types != nil && !d.isOffered {
			c.block("provider", "Terra does not offer "+d.want.Provider+" in this environment; check the slug with `reconcile providers`")
		}
		if len(d.want.Waits) > 0 {
			c.waitFor(d.want.Waits[0])
		}
		if d.want.State == Paused {
			d.state(Pause, string(Active))
		}
	case d.ignored(FieldState):
	case d.want.State == Paused && d.live.Active:
		d.state(Pause, string(Active))
	case d.want.State == Active && !d.live.Active:
		d.state(Resume, string(Paused))
	}
}

// state adds a change of the connection's state.
func (d *diff) state(a Action, from string) *Change {
	to := string(d.want.State)
	origin := d.want.StateOrigin
	if origin == "" {
		origin = d.want.Origin
	}
	if a == Enable {
		to = string(Active)
	}
	return d.add(a, origin, []FieldChange{{Field: FieldState, From: text(from), To: text(to)}})
}

func (d *diff) diffScopes() {
	want := d.want.Scopes
	if want.Mode == Unmanaged || d.ignored(FieldScopes) {
		return
	}
	live := d.live.Scopes
	if d.isLive && live == nil {
		d.skip(FieldScopes, "the scopes could not be read")
		return
	}
	if want.Mode == Default {
		if live != nil && live.Customised {
			d.add(ResetScopes, want.Origin, []FieldChange{{Field: FieldScopes, From: list(live.Enabled), To: FieldValue{Default: true}}})
		}
		return
	}
	target := sorted(want.Value)
	change := FieldChange{Field: FieldScopes, To: list(target)}
	if live != nil {
		target = sorted(append(slices.Clone(want.Value), live.Required...))
		if slices.Equal(target, sorted(live.Enabled)) {
			return
		}
		change.From, change.To = list(live.Enabled), list(target)
	}
	c := d.add(SetScopes, want.Origin, []FieldChange{change})
	if d.isOffered && !d.offer.CustomScopes {
		c.block("provider", "Terra does not let anybody choose the scopes of "+d.want.Provider+"; drop `scopes`")
		return
	}
	if live == nil {
		return
	}
	if bad := missing(want.Value, live.Offered); len(bad) > 0 {
		c.block("provider", fmt.Sprintf("%s does not offer the scope %s; it offers %s",
			d.want.Provider, strings.Join(bad, ", "), strings.Join(live.Offered, ", ")))
	}
}

// noLongerManaged says which remembered fields the file dropped.
func (d *diff) noLongerManaged() {
	if !d.isKnown {
		return
	}
	tokens := desiredTokens(d.want)
	dropped := []string{}
	for field := range d.remembered.Fields {
		if _, still := tokens[field]; !still && !d.ignored(field) && !(field == FieldClientSecret && d.want.Refused != nil) {
			dropped = append(dropped, field)
		}
	}
	slices.Sort(dropped)
	for _, field := range dropped {
		d.warnings = append(d.warnings, Warn(d.id, field+" is no longer managed; it stays as it is"))
	}
}

// needEnable makes every change of a connection that is not enabled wait for
// the enable that precedes it.
func (d *diff) needEnable() {
	if len(d.changes) == 0 || d.changes[0].Gate == Ready {
		return
	}
	first := d.changes[0]
	for i := range d.changes[1:] {
		if c := &d.changes[i+1]; c.Gate == Ready {
			c.Gate, c.Guard, c.GateReason = first.Gate, first.Guard, "enabling comes first: "+first.GateReason
		}
	}
}

func (d *diff) add(a Action, origin string, fields []FieldChange) *Change {
	if origin == "" {
		origin = d.want.Origin
	}
	cause := d.causeOf(a, fields)
	d.changes = append(d.changes, Change{
		ID: d.id + ":" + string(a), Connection: d.id, Provider: d.want.Provider, Action: a,
		Cause: cause, Reason: d.reason(a, cause, fields), Fields: fields, Gate: Ready, Origin: origin,
	})
	return &d.changes[len(d.changes)-1]
}

func (d *diff) skip(field, reason string) {
	if reason == "" {
		reason = "it was not compared in this run"
	}
	d.notCompared = append(d.notCompared, NotCompared{Connection: d.id, Field: field, Reason: reason})
}

func (d *diff) ignored(field string) bool { return slices.Contains(d.want.Ignore, field) }

func (c *Change) block(guard, reason string) {
	c.Gate, c.Guard, c.GateReason = Blocked, guard, reason
}

func list(s []string) FieldValue { return FieldValue{List: append([]string{}, sorted(s)...)} }

func sorted(s []string) []string {
	c := slices.Clone(s)
	slices.Sort(c)
	return slices.Compact(c)
}

func missing(want, have []string) []string {
	var out []string
	for _, w := range want {
		if !slices.Contains(have, w) {
			out = append(out, w)
		}
	}
	return out
}
