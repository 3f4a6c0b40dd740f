package spec

import (
	"slices"
	"strings"
	"time"
)

// The caps of an environment that sets none.
const (
	defaultMaxCount     = 5
	defaultMaxPercent   = 30
	defaultMaxRotations = 3
)

// fields are those of a connection that can differ from what is live:
// `policy.ignore` and approvals name them.
func fields() []string {
	return []string{
		"app", "client_id", "client_secret", "domain", "redirect_url",
		"sandbox", "scopes", "state", "verification_secret", "webhooks",
	}
}

// approvable are the changes that an approval can name: a field, an action, or
// a reason that holds a change back.
func approvable() []string {
	return slices.Concat(fields(), []string{
		"enable", "disable", "pause", "resume",
		"set-credentials", "update-credentials", "rotate-secret",
		"set-scopes", "reset-scopes", "set-app",
		"set-domain", "release-domain", "apply-webhooks",
		"prune", "adopt", "secret_ref",
	})
}

func (o object) suspend(field string) *Suspend {
	s, ok := o.object(field)
	if !ok {
		return nil
	}
	s.require(suspendFields()...)
	return &Suspend{
		Reason: s.prose("reason").Value,
		Owner:  s.text("owner").Value,
		Until:  s.moment("until").Value,
		Origin: s.at(),
	}
}

// require reports every one of the fields that is omitted.
func (o object) require(fields ...string) {
	for _, field := range fields {
		if o.node.get(field) == nil {
			o.errorf(o.at(), "", "%s is missing in %s", field, named(o.path, "this file"))
		}
	}
}

// allow reads the approvals of an environment, or of one connection, where
// they do not name it.
func (r *reader) allow(o object, ofConnection bool) []Allow {
	var list []Allow
	for _, one := range o.objects("allow") {
		one.require("change", "until", "reason")
		a := Allow{
			Change: one.change(),
			Until:  one.moment("until").Value,
			Reason: one.prose("reason").Value,
			Origin: one.at(),
		}
		a.To = one.target(a.Change)
		switch n := one.node.get("connection"); {
		case ofConnection && n != nil:
			one.errorf(n.origin, "remove the line", "an approval in a connection file is for that connection only")
		case !ofConnection && n == nil:
			one.require("connection")
		case !ofConnection:
			a.Connection = r.slug(one, "connection").Value
		}
		list = append(list, a)
	}
	return list
}

func (o object) change() string {
	f := o.text("change")
	if !f.Given() || slices.Contains(approvable(), f.Value) {
		return f.Value
	}
	hint := didYouMean(f.Value, approvable())
	if hint == "" {
		hint = "write a field such as `client_id`, an action such as `disable`, or `prune`"
	}
	o.errorf(f.Origin, hint, "unknown change %s", quoted(f.Value))
	return ""
}

// target reads the value that an approval is bound to. A new client_id cuts
// every end user off, so its approval never goes without one.
func (o object) target(change string) string {
	n := o.get("to")
	switch {
	case strings.Contains(change, "secret") && n != nil:
		o.errorf(n.origin, "remove the line", "an approval of %s names no value: it would be readable here", change)
		return ""
	case change == "client_id" && o.node.get("to") == nil:
		o.errorf(o.at(), "write the new client_id under `to`", "an approval of client_id must name its target")
	}
	if n = o.scalar("to", "a text"); n == nil {
		return ""
	}
	return n.text
}

func (r *reader) environmentPolicy(o object) EnvironmentPolicy {
	policy, _ := o.object("policy")
	limits, _ := policy.object("max_changes")
	protect, rotations := r.slugs(policy, "protect"), policy.number("max_rotations", 0, 1_000_000)
	return EnvironmentPolicy{
		MaxChanges: Cap{
			Count:   limits.number("count", 0, 1_000_000).or(defaultMaxCount),
			Percent: limits.number("percent", 1, 100).or(defaultMaxPercent),
			Origin:  limits.at(),
		},
		MaxRotations:    rotations.or(defaultMaxRotations),
		RotationsOrigin: rotations.Origin,
		RequireSetup:    policy.boolean("require_setup").or(false),
		Protect:         protect.Value,
		ProtectOrigin:   protect.Origin,
		Allow:           r.allow(policy, false),
	}
}

func (r *reader) connectionPolicy(o object) ConnectionPolicy {
	policy, _ := o.object("policy")
	var ignore []string
	for _, f := range policy.texts("ignore").Value {
		if !slices.Contains(fields(), f.Value) {
			o.errorf(f.Origin, didYouMean(f.Value, fields()), "policy.ignore cannot name %s", quoted(f.Value))
			continue
		}
		ignore = append(ignore, f.Value)
	}
	return ConnectionPolicy{
		Protect: policy.boolean("protect"),
		Ignore:  ignore,
		Allow:   r.allow(policy, true),
	}
}

func (o object) windows(field string) []Window {
	if n := o.get(field); n != nil && n.kind == listNode && len(n.items) == 0 {
		o.errorf(n.origin, "remove the line for always, or write a window", "%s holds no window", o.name(field))
		return nil
	}
	var list []Window
	for _, one := range o.objects(field) {
		one.require("days", "from", "to")
		from, to := one.clock("from"), one.clock("to")
		if from.Given() && to.Given() && from.Value == to.Value {
			one.errorf(from.Origin, "for a whole day write 00:00 to 23:59", "this window never opens: from and to are equal")
		}
		list = append(list, Window{
			Days: one.days(), From: from.Value, To: to.Value, TZ: one.zone("tz"), Origin: one.at(),
		})
	}
	return list
}

func (o object) days() []time.Weekday {
	names := []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}
	field := o.texts("days")
	if field.Given() && len(field.Value) == 0 {
		o.errorf(field.Origin, "name one, such as `sat`", "this window has no days")
	}
	var days []time.Weekday
	for _, f := range field.Value {
		i := slices.Index(names, f.Value)
		if i < 0 {
			o.errorf(f.Origin, didYouMean(f.Value, names), "a day must be %s, not %s", listed(names), quoted(f.Value))
			continue
		}
		days = append(days, time.Weekday(i))
	}
	return days
}

func (o object) zone(field string) string {
	f := o.text(field)
	if !f.Given() {
		return "UTC"
	}
	if !isZone(f.Value) {
		o.errorf(f.Origin, "write it like `Europe/London`", "%s %s is not a time zone", o.name(field), quoted(f.Value))
	}
	return f.Value
}

// isZone refuses Local and the empty name too: they mean another zone on
// another machine.
func isZone(name string) bool {
	if name == "" || name == "Local" {
		return false
	}
	_, err := time.LoadLocation(name)
	return err == nil
}
