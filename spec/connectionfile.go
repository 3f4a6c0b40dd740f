package spec

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"time"
)

// The rotation of a connection that says nothing about it.
const (
	defaultWarn        = 14 * day
	defaultSoak        = 24 * time.Hour
	defaultMaxUserDrop = 10
)

var hostName = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// connection reads one connection file; rotation is the block of defaults, nil
// when there is none.
func (r *reader) connection(n, rotation *node) Connection {
	o, ok := r.open(n, connectionBlocks())
	if !ok {
		return Connection{}
	}
	if o.node.get("provider") == nil {
		o.errorf(o.at(), "write one, such as `provider: strava`", "provider is missing")
	}
	provider := r.slug(o, "provider")
	words, known := r.words[provider.Value]
	state := o.word("state", "active", "paused", "disabled")
	c := Connection{
		Provider:    provider.Value,
		Origin:      provider.Origin,
		File:        o.at().File,
		State:       State(max(0, slices.Index([]string{"active", "paused", "disabled"}, state.Value))),
		StateOrigin: state.Origin,
		App:         nullable(o, "app", func(f string) Field[string] { return o.word(f, "own", "terra") }),
		Credentials: o.credentials(words),
		Scopes:      nullable(o, "scopes", o.plainTexts),
		Domain:      nullable(o, "domain", o.host),
		Webhooks:    nullable(o, "webhooks", func(f string) Field[string] { return o.word(f, "managed") }).Given(),
		Options:     o.options(words, known),
		Setup:       o.setup(words, known),
		Suspend:     o.suspend("suspend"),
		Policy:      r.connectionPolicy(o),
	}
	c.Rotation = o.withDefault("rotation", rotation).rotation("rotation")
	if known {
		o.refuse("domain", words.Domain, c.Provider)
		o.refuse("webhooks", words.Webhooks, c.Provider)
	}
	return c
}

// refuse reports a field that the provider does not have.
func (o object) refuse(field string, allowed bool, provider string) {
	if n := o.node.get(field); n != nil && !allowed {
		o.errorf(n.origin, "remove it", "%s cannot be set for %s", field, provider)
	}
}

// withDefault returns the object with the defaults of one field merged in.
func (o object) withDefault(field string, defaults *node) object {
	if defaults == nil {
		return o
	}
	over := &node{kind: mapNode, origin: defaults.origin, members: []member{{name: field, value: defaults, origin: defaults.origin}}}
	o.node = merge(over, o.node, "")
	return o
}

func (o object) rotation(field string) Rotation {
	r, _ := o.object(field)
	maxAge := r.span("max_age", day, 3650*day).Value
	fallback := defaultWarn
	if maxAge > 0 {
		fallback = min(fallback, maxAge/2)
	}
	warn := r.span("warn", 0, 3650*day)
	if maxAge > 0 && warn.Given() && warn.Value >= maxAge {
		o.errorf(r.at(), "", "rotation.warn must be shorter than rotation.max_age")
	}
	return Rotation{
		MaxAge:      maxAge,
		Warn:        warn.or(fallback),
		Soak:        r.span("soak", 0, 90*day).or(defaultSoak),
		MaxUserDrop: r.number("max_user_drop", 1, 100).or(defaultMaxUserDrop),
		Probe:       r.word("probe", "require", "prefer", "off").or("prefer"),
		Origin:      r.at(),
	}
}

func (o object) plainTexts(field string) Field[[]string] {
	f := o.texts(field)
	return Field[[]string]{Presence: f.Presence, Value: values(f.Value), Origin: f.Origin}
}

func (o object) host(field string) Field[string] {
	f := o.text(field)
	if !f.Given() {
		return f
	}
	f.Value = strings.ToLower(f.Value)
	if len(f.Value) > 253 || !hostName.MatchString(f.Value) {
		o.errorf(f.Origin, "write it like `auth.example.com`", "%s must be a host name, without https:// and without a path", o.name(field))
		return Field[string]{}
	}
	return f
}

// members returns the fields of a mapping whose names a provider defines. With
// known false the provider is foreign and any name will do.
func (o object) members(field string, names []string, known bool, provider string) []member {
	n := o.get(field)
	if n == nil {
		return nil
	}
	if n.kind != mapNode || n.age {
		o.errorf(n.origin, "", "%s must be a mapping", o.name(field))
		return nil
	}
	slices.Sort(names)
	var list []member
	for _, m := range n.members {
		switch {
		case m.value.bad:
		case m.value.empty:
			o.errorf(m.value.origin, "write a value, or remove the line", "%s.%s is empty", field, m.name)
		case known && len(names) == 0:
			o.errorf(m.origin, "remove it", "%s has no %s", provider, field)
		case known && !slices.Contains(names, m.name):
			hint := cmp.Or(o.file.belongs(field, m.name), didYouMean(m.name, names), "known here: "+listed(names))
			o.errorf(m.origin, hint, "unknown field %s in %s of %s", quoted(m.name), field, provider)
		default:
			list = append(list, m)
		}
	}
	return list
}

func (o object) options(words Words, known bool) map[string]Option {
	var names []string
	for name := range words.Options {
		names = append(names, name)
	}
	var options map[string]Option
	for _, m := range o.members("options", names, known, words.Slug) {
		items := []*node{m.value}
		if m.value.kind == listNode {
			items = m.value.items
		}
		option := Option{Origin: m.value.origin}
		for _, item := range items {
			if text, ok := o.evidence(item, "options."+m.name); ok && o.allowed(item, m.name, words.Options[m.name]) {
				option.Values = append(option.Values, text)
			}
		}
		if options == nil {
			options = map[string]Option{}
		}
		options[m.name] = option
	}
	return options
}

func (o object) allowed(item *node, option string, words []string) bool {
	if len(words) == 0 || slices.Contains(words, item.text) {
		return true
	}
	hint := didYouMean(item.text, words)
	if hint == "" {
		hint = "known here: " + listed(words)
	}
	o.errorf(item.origin, hint, "options.%s cannot be %s", option, quoted(item.text))
	return false
}

// evidence reads any scalar as the text that is written.
func (o object) evidence(n *node, name string) (string, bool) {
	if !o.isScalar(n, name, "a text") {
		return "", false
	}
	if strings.ContainsAny(n.text, "\n\t") || n.text == "" {
		o.errorf(n.origin, "", "%s must be one line of text", name)
		return "", false
	}
	return n.text, true
}

func (o object) setup(words Words, known bool) map[string]SetupStep {
	var steps map[string]SetupStep
	for _, m := range o.members("setup", slices.Clone(words.Setup), known, words.Slug) {
		if m.value.kind != mapNode || m.value.age {
			o.errorf(m.value.origin, "write it like `{done: 2026-08-01}`", "setup.%s must be a mapping", m.name)
			continue
		}
		one := object{sink: o.sink, node: m.value, path: "setup." + m.name}
		step := SetupStep{Done: one.moment("done").Value, Origin: m.origin}
		for _, field := range m.value.members {
			if field.name == "done" {
				continue
			}
			text, ok := one.evidence(field.value, one.name(field.name))
			switch {
			case !ok:
			case field.name == "value":
				step.Value = text
			case field.name == "state":
				step.State = text
			default:
				if step.Fields == nil {
					step.Fields = map[string]string{}
				}
				step.Fields[field.name] = text
			}
		}
		if steps == nil {
			steps = map[string]SetupStep{}
		}
		steps[m.name] = step
	}
	return steps
}
