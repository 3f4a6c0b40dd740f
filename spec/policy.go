package spec

import (
	"slices"
	"time"
)

// The caps of an environment that sets none.
const (
	defaultMaxCount     = 5
	defaultMaxPercent   = 30
	defaultMaxRotations = 3
)

// allowTargets says which changes an approval can name, and whether it must
// name the value too.
func allowTargets() map[string]bool {
	return map[string]bool{
		"prune": false, "adopt": false, "secret_ref": false,
		"enable": false, "disable": false, "pause": false, "resume": false,
		"set-credentials": false, "update-credentials": false, "rotate-secret": false,
		"set-scopes": false, "reset-scopes": false, "set-app": false,
		"set-domain": false, "release-domain": false, "apply-webhooks": false,
		"client_id": true, "sandbox": true,
		"client_secret": false, "redirect_url": false, "verification_secret": false,
		"scopes": false, "app": false, "domain": false, "webhooks": false, "state": false,
	}
}

// ignorable are the fields whose differences `policy.ignore` may hide.
func ignorable() []string {
	return []string{
		"app", "client_id", "client_secret", "domain", "redirect_url",
		"sandbox", "scopes", "state", "verification_secret", "webhooks",
	}
}

func (o object) suspend(field string) *Suspend {
	s, ok := o.object(field, "reason", "owner", "until")
	if !ok {
		return nil
	}
	s.require("reason", "owner", "until")
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
	known := []string{"connection", "change", "to", "until", "reason"}
	var list []Allow
	for _, one := range o.objects("allow", known...) {
		a := Allow{
			Change: r.change(one),
			Until:  one.moment("until").Value,
			Reason: one.prose("reason").Value,
			Origin: one.at(),
		}
		one.require("change", "until", "reason")
		if n := one.scalar("to", "a value"); n != nil {
			a.To = n.text
		}
		if needs := allowTargets()[a.Change]; needs && one.node.get("to") == nil {
			one.errorf(one.at(), "write the new value under `to`", "an approval of %s must name its target", a.Change)
		}
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

func (r *reader) change(o object) string {
	var words []string
	for w := range allowTargets() {
		words = append(words, w)
	}
	slices.Sort(words)
	f := o.text("change")
	if f.Given() && !slices.Contains(words, f.Value) {
		hint := didYouMean(f.Value, words)
		if hint == "" {
			hint = "known here: " + listed(words)
		}
		o.errorf(f.Origin, hint, "unknown change %s", quoted(f.Value))
		return ""
	}
	return f.Value
}

func (r *reader) environmentPolicy(o object) EnvironmentPolicy {
	policy, _ := o.object("policy", "max_changes", "max_rotations", "require_setup", "protect", "allow")
	limits, _ := policy.object("max_changes", "count", "percent")
	protect := r.slugs(policy, "protect")
	return EnvironmentPolicy{
		MaxChanges: Cap{
			Count:   limits.number("count", 0, 1_000_000).or(defaultMaxCount),
			Percent: limits.number("percent", 1, 100).or(defaultMaxPercent),
			Origin:  limits.at(),
		},
		MaxRotations:  policy.number("max_rotations", 0, 1_000_000).or(defaultMaxRotations),
		RequireSetup:  policy.boolean("require_setup").or(false),
		Protect:       protect.Value,
		ProtectOrigin: protect.Origin,
		Allow:         r.allow(policy, false),
	}
}

func (r *reader) connectionPolicy(o object) ConnectionPolicy {
	policy, _ := o.object("policy", "protect", "ignore", "allow")
	var ignore []string
	for _, f := range policy.texts("ignore").Value {
		if !slices.Contains(ignorable(), f.Value) {
			o.errorf(f.Origin, didYouMean(f.Value, ignorable()), "policy.ignore cannot name %s", quoted(f.Value))
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
	for _, one := range o.objects(field, "days", "from", "to", "tz") {
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
