package spec

import (
	"regexp"
	"slices"
	"strings"
	"time"
)

// defaultVerifyEvery is how old a memory of a secret may grow.
const defaultVerifyEvery = 24 * time.Hour

var (
	plainName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)
	slugName  = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`)
)

// plainNameHint says what plainName matches.
const plainNameHint = "write letters, digits, `.`, `_` and `-`"

// reader turns the trees of one environment, or of terra.yaml, into documents.
type reader struct {
	*sink
	words map[string]Words // by slug
	names []string         // slugs, sorted
}

// environment reads environment.yaml with the defaults of terra.yaml merged
// into it.
func (r *reader) environment(n *node) Environment {
	o, ok := r.open(n, environmentBlocks())
	if !ok {
		return Environment{}
	}
	e := r.shared(o)
	e.Origin = o.at()
	devID := o.matching("dev_id", plainName, plainNameHint)
	e.DevID, e.DevIDOrigin = devID.Value, devID.Origin
	if o.node.get("dev_id") == nil {
		o.errorf(o.at(), "it is the dev-id that Terra's dashboard shows for this environment", "dev_id is missing")
	}
	prune := o.word("prune", "never", "disable")
	e.PruneDisable, e.PruneOrigin = prune.Value == "disable", prune.Origin
	if o.node.get("prune") == nil {
		o.errorf(o.at(), "write `prune: never` or `prune: disable`", "prune is missing")
	}
	e.Suspend = o.suspend("suspend")
	return e
}

// shared reads the fields that defaults may hold too.
func (r *reader) shared(o object) Environment {
	mode, drift := o.word("mode", "apply", "observe"), o.word("on_drift", "revert", "report")
	secretDrift := o.word("on_secret_drift", "hold", "revert")
	e := Environment{
		Account:           o.matching("account", plainName, plainNameHint).or("default"),
		Observe:           mode.Value == "observe",
		ModeOrigin:        mode.Origin,
		Schedule:          nullable(o, "schedule", o.schedule).Value,
		RevertDrift:       drift.or("revert") == "revert",
		DriftOrigin:       drift.Origin,
		RevertSecretDrift: secretDrift.or("hold") == "revert",
		SecretDriftOrigin: secretDrift.Origin,
		VerifyEvery:       o.span("verify_every", time.Minute, 365*day).or(defaultVerifyEvery),
		Policy:            r.environmentPolicy(o),
	}
	if n := o.get("windows"); n == nil || !n.null {
		e.Windows = o.windows("windows")
		if n != nil {
			e.WindowsOrigin = n.origin
		}
	}
	return e
}

// slug reads the name of a provider. One that is not in the vocabulary is
// worth a warning only: Terra may know it.
func (r *reader) slug(o object, field string) Field[string] {
	f := o.text(field)
	if !f.Given() {
		return f
	}
	return r.asSlug(f, o.name(field))
}

func (r *reader) asSlug(f Field[string], name string) Field[string] {
	f.Value = strings.ToLower(f.Value)
	if !slugName.MatchString(f.Value) {
		r.errorf(f.Origin, "write it as `reconcile providers` shows it", "%s is not the name of a provider", name)
		return Field[string]{}
	}
	if _, known := r.words[f.Value]; !known {
		hint := didYouMean(f.Value, r.names)
		if hint == "" {
			hint = "it works by what Terra says about it"
		}
		r.warnf(f.Origin, hint, "unknown provider %s", quoted(f.Value))
	}
	return f
}

func (r *reader) slugs(o object, field string) Field[[]string] {
	list := o.texts(field)
	out := Field[[]string]{Presence: list.Presence, Origin: list.Origin}
	for _, f := range list.Value {
		f = r.asSlug(f, "an entry of "+o.name(field))
		if f.Given() && !slices.Contains(out.Value, f.Value) {
			out.Value = append(out.Value, f.Value)
		}
	}
	return out
}

// merge lays own over defaults: mappings merge, everything else replaces, and
// the list at policy.protect unites. Positions stay those of the files.
func merge(defaults, own *node, path string) *node {
	switch {
	case own == nil:
		return defaults
	case defaults == nil:
		return own
	case path == "policy.protect" && own.kind == listNode && defaults.kind == listNode:
		return unite(defaults, own)
	case own.kind != mapNode || defaults.kind != mapNode:
		return own
	}
	merged := *own
	merged.members = nil
	for _, m := range own.members {
		below := m.name
		if path != "" {
			below = path + "." + m.name
		}
		m.value = merge(defaults.get(m.name), m.value, below)
		merged.members = append(merged.members, m)
	}
	for _, m := range defaults.members {
		if own.get(m.name) == nil {
			merged.members = append(merged.members, m)
		}
	}
	return &merged
}

func unite(defaults, own *node) *node {
	united := *own
	united.items = slices.Clone(own.items)
	for _, item := range defaults.items {
		same := func(n *node) bool { return n.kind == scalarNode && n.text == item.text }
		if !slices.ContainsFunc(own.items, same) {
			united.items = append(united.items, item)
		}
	}
	return &united
}
