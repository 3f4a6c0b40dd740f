package spec

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/terra-reconcile/terra-reconcile/internal/yamlpos"
)

// The rotation of a connection that says nothing about it.
const (
	defaultWarn        = 14 * day
	defaultSoak        = 24 * time.Hour
	defaultMaxUserDrop = 10
)

// longestHost is how long the name of a host may be.
const longestHost = 253

var hostName = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)
})

// connection reads one connection file with what it extends merged into it; rotation is
// the block of defaults, nil when there is none. Where it is not whole nothing is missed,
// and without its provider nothing is told of it.
func (r *reader) connection(n, rotation *yamlpos.Node, whole bool) Connection {
	o, ok := r.open(n, r.fields.connection)
	if !ok {
		return Connection{}
	}
	switch {
	case whole:
		o.Require()
	case !o.Has("provider"):
		return Connection{}
	}
	provider := r.slug(o, "provider")
	words, known := r.words[provider.Value]
	origin := provider.Origin
	if origin.File != o.At().File {
		origin = o.At()
	}
	state := o.Word("state")
	c := Connection{
		Provider:    provider.Value,
		Origin:      origin,
		File:        o.At().File,
		Owner:       o.note("owner").Value,
		State:       State(max(0, slices.Index(o.Declared("state").Words, state.Value))),
		StateOrigin: state.Origin,
		App:         nullable(o, "app", o.Word),
		Credentials: o.credentials(words),
		Scopes:      nullable(o, "scopes", o.plainTexts),
		Domain:      nullable(o, "domain", o.host),
		Webhooks:    nullable(o, "webhooks", o.Word).Given(),
		Options:     o.options(words, known),
		Setup:       o.setup(words, known),
		Suspend:     o.suspend("suspend"),
		After:       nullable(o, afterField, o.after),
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
	if n := o.Node.Get(field); n != nil && !allowed {
		o.errorf(n.Origin, "remove it", "%s cannot be set for %s", field, provider)
	}
}

// withDefault returns the object with the defaults of one field merged in.
func (o object) withDefault(field string, defaults *yamlpos.Node) object {
	if defaults == nil {
		return o
	}
	over := &yamlpos.Node{Kind: yamlpos.Mapping, Origin: defaults.Origin, Members: []yamlpos.Member{{Name: field, Value: defaults, Origin: defaults.Origin}}}
	o.Node = merge(over, o.Node, "")
	return o
}

func (o object) rotation(field string) Rotation {
	r, _ := o.object(field)
	maxAge := r.span("max_age").Value
	fallback := defaultWarn
	if maxAge > 0 {
		fallback = min(fallback, maxAge/2)
	}
	warn := r.span("warn")
	if maxAge > 0 && warn.Given() && warn.Value >= maxAge {
		o.errorf(r.At(), "", "rotation.warn must be shorter than rotation.max_age")
	}
	return Rotation{
		MaxAge:      maxAge,
		Warn:        warn.Or(fallback),
		Soak:        r.span("soak").Or(defaultSoak),
		MaxUserDrop: r.Number("max_user_drop").Or(defaultMaxUserDrop),
		Probe:       r.Word("probe").Or("prefer"),
		Origin:      r.At(),
	}
}

func (o object) plainTexts(field string) Field[[]string] {
	f := o.Texts(field)
	return Field[[]string]{Presence: f.Presence, Value: values(f.Value), Origin: f.Origin}
}

func (o object) host(field string) Field[string] {
	f := o.Text(field)
	if !f.Given() {
		return f
	}
	if len(f.Value) > longestHost || !hostName().MatchString(f.Value) {
		o.errorf(f.Origin, "write it like `auth.example.com`", "%s must be a host name, without https:// and without a path", o.Name(field))
		return Field[string]{}
	}
	f.Value = strings.ToLower(f.Value)
	return f
}

// members returns the fields of a mapping whose names a provider defines. With
// known false the provider is foreign and any name will do.
func (o object) members(field string, names []string, known bool, provider string) []yamlpos.Member {
	n := o.Get(field)
	if n == nil {
		return nil
	}
	if n.Kind != yamlpos.Mapping || n.Tagged {
		o.errorf(n.Origin, "", "%s must be a mapping", o.Name(field))
		return nil
	}
	slices.Sort(names)
	var list []yamlpos.Member
	for _, m := range n.Members {
		switch {
		case m.Value.Bad:
		case m.Value.Empty:
			o.errorf(m.Value.Origin, "write a value, or remove the line", "%s.%s is empty", field, m.Name)
		case known && len(names) == 0:
			o.errorf(m.Origin, "remove it", "%s has no %s", provider, field)
		case known && !slices.Contains(names, m.Name):
			hint := cmp.Or(o.Schema.Fields.Belongs(field, m.Name), yamlpos.DidYouMean(m.Name, names), "known here: "+yamlpos.Listed(names))
			o.errorf(m.Origin, hint, "unknown field %s in %s of %s", yamlpos.Quoted(m.Name), field, provider)
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
		items := []*yamlpos.Node{m.Value}
		if m.Value.Kind == yamlpos.List {
			items = m.Value.Items
		}
		option := Option{Origin: m.Value.Origin}
		for _, item := range items {
			if text, ok := o.evidence(item, "options."+m.Name); ok && o.allowed(item, m.Name, words.Options[m.Name]) {
				option.Values = append(option.Values, text)
			}
		}
		if options == nil {
			options = map[string]Option{}
		}
		options[m.Name] = option
	}
	return options
}

func (o object) allowed(item *yamlpos.Node, option string, words []string) bool {
	if len(words) == 0 || slices.Contains(words, item.Text) {
		return true
	}
	hint := yamlpos.DidYouMean(item.Text, words)
	if hint == "" {
		hint = "known here: " + yamlpos.Listed(words)
	}
	o.errorf(item.Origin, hint, "options.%s cannot be %s", option, yamlpos.Quoted(item.Text))
	return false
}

// evidence reads any scalar as the text that is written.
func (o object) evidence(n *yamlpos.Node, name string) (string, bool) {
	if !o.IsScalar(n, name, "a text") {
		return "", false
	}
	if strings.ContainsAny(n.Text, "\n\t") || n.Text == "" {
		o.errorf(n.Origin, "", "%s must be one line of text", name)
		return "", false
	}
	if size := utf8.RuneCountInString(n.Text); size > longestProse {
		o.errorf(n.Origin, "", "%s has %d characters; it may have %d", name, size, longestProse)
		return "", false
	}
	return n.Text, !o.IsPlaceholder(n, name)
}

func (o object) setup(words Words, known bool) map[string]SetupStep {
	var steps map[string]SetupStep
	for _, m := range o.members("setup", slices.Clone(words.Setup), known, words.Slug) {
		if m.Value.Kind != yamlpos.Mapping || m.Value.Tagged {
			o.errorf(m.Value.Origin, "write it like `{done: 2026-08-01}`", "setup.%s must be a mapping", m.Name)
			continue
		}
		one := object{yamlpos.Object{Reporter: o.sink, Node: m.Value, Path: "setup." + m.Name}, o.sink}
		step := SetupStep{Done: one.moment("done").Value, Origin: m.Origin}
		for _, field := range m.Value.Members {
			if field.Name == "done" {
				continue
			}
			text, ok := one.evidence(field.Value, one.Name(field.Name))
			switch {
			case !ok:
			case field.Name == "value":
				step.Value = text
			case field.Name == "state":
				step.State = text
			default:
				if step.Fields == nil {
					step.Fields = map[string]string{}
				}
				step.Fields[field.Name] = text
			}
		}
		if steps == nil {
			steps = map[string]SetupStep{}
		}
		steps[m.Name] = step
	}
	return steps
}
