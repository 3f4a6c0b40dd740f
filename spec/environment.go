package spec

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/terra-reconcile/terra-reconcile/internal/visible"
	"github.com/terra-reconcile/terra-reconcile/internal/yamlpos"
)

// defaultVerifyEvery is how old a memory of a secret may grow.
const defaultVerifyEvery = 24 * time.Hour

var (
	plainName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`) })
	slugName  = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`) })
)

// plainNameHint says what plainName matches.
const plainNameHint = "write letters, digits, `.`, `_` and `-`"

// reader turns the trees of one environment, or of terra.yaml, into documents.
type reader struct {
	*sink
	words  map[string]Words  // by slug
	names  []string          // slugs, sorted
	fields declarations      // of the three files
	near   map[string]string // of unknown slugs that were looked up, by slug; shared
}

// nearest returns the slug that an unknown one was most likely meant as, or "".
// defaults repeat the same ones for every environment.
func (r *reader) nearest(slug string) string {
	near, known := r.near[slug]
	if !known {
		near = yamlpos.Nearest(slug, r.names)
		r.near[slug] = near
	}
	return near
}

// environment reads environment.yaml with the defaults of terra.yaml and what it extends
// merged into it. Where that is not whole nothing is missed.
func (r *reader) environment(n *yamlpos.Node, whole bool) Environment {
	o, ok := r.open(n, r.fields.environment)
	if !ok {
		return Environment{}
	}
	e := r.shared(o)
	e.Origin = o.At()
	if whole {
		o.Require()
	}
	devID, prune := o.matching("dev_id"), o.Word("prune")
	e.DevID, e.DevIDOrigin = devID.Value, devID.Origin
	e.PruneDisable, e.PruneOrigin = prune.Value == "disable", prune.Origin
	e.Suspend = o.suspend("suspend")
	e.After = nullable(o, afterField, o.after)
	return e
}

// shared reads the fields that defaults may hold too.
func (r *reader) shared(o object) Environment {
	mode, drift := o.Word("mode"), o.Word("on_drift")
	secretDrift := o.Word("on_secret_drift")
	e := Environment{
		Account:           o.matching("account").Or("default"),
		Owner:             o.note("owner").Value,
		Observe:           mode.Value == "observe",
		ModeOrigin:        mode.Origin,
		Schedule:          nullable(o, "schedule", o.schedule).Value,
		RevertDrift:       drift.Or("revert") == "revert",
		DriftOrigin:       drift.Origin,
		RevertSecretDrift: secretDrift.Or("hold") == "revert",
		SecretDriftOrigin: secretDrift.Origin,
		VerifyEvery:       o.span("verify_every").Or(defaultVerifyEvery),
		Policy:            r.environmentPolicy(o),
	}
	if n := o.Get("windows"); n == nil || !n.Null {
		e.Windows = o.windows("windows")
		if n != nil {
			e.WindowsOrigin = n.Origin
		}
	}
	return e
}

// slug reads the name of a provider. One that is not in the vocabulary is
// worth a warning only: Terra may know it.
func (r *reader) slug(o object, field string) Field[string] {
	f := o.Text(field)
	if !f.Given() {
		return f
	}
	return r.asSlug(f, o.Name(field))
}

func (r *reader) asSlug(f Field[string], name string) Field[string] {
	if !slugName().MatchString(f.Value) {
		r.errorf(f.Origin, "see the names", "%s is not the name of a provider", name)
		r.typed("providers")
		return Field[string]{}
	}
	f.Value = strings.ToLower(f.Value)
	if _, known := r.words[f.Value]; !known {
		near, hint := r.nearest(f.Value), "it works by what Terra says about it"
		if near != "" {
			hint = yamlpos.DidYouMean(f.Value, r.names)
		}
		r.warnf(f.Origin, hint, "unknown provider %s", yamlpos.Quoted(f.Value))
		r.problems[len(r.problems)-1].Typo = near != "" && !strings.HasPrefix(f.Value, near+"_") // which names a kind of it
	}
	return f
}

// protected reads which connections are never paused, disabled or pruned.
func (r *reader) protected(o object) Field[[]string] {
	const field = "protect"
	if !o.isBounded(field, "remove what has no connection file") {
		return Field[[]string]{}
	}
	list := o.Texts(field)
	out := Field[[]string]{Presence: list.Presence, Origin: list.Origin}
	for _, f := range list.Value {
		f = r.asSlug(f, "an entry of "+o.Name(field))
		if f.Given() && !slices.Contains(out.Value, f.Value) {
			out.Value = append(out.Value, f.Value)
		}
	}
	return out
}

// merge lays own over defaults, or over what its file extends: mappings merge, everything else replaces, and
// the list at policy.protect unites. Positions stay those of the files.
func merge(defaults, own *yamlpos.Node, path string) *yamlpos.Node {
	switch {
	case own == nil:
		return defaults
	case defaults == nil:
		return own
	case path == "policy.protect" && own.Kind == yamlpos.List && defaults.Kind == yamlpos.List:
		return unite(defaults, own)
	case own.Kind != yamlpos.Mapping || defaults.Kind != yamlpos.Mapping:
		return own
	}
	merged := *own
	merged.Members = slices.Clone(own.Members)
	at := make(map[string]int, len(own.Members))
	for i, m := range own.Members {
		at[m.Name] = i
	}
	for _, m := range defaults.Members {
		if i, both := at[m.Name]; both {
			merged.Members[i].Value = merge(m.Value, merged.Members[i].Value, yamlpos.Below(path, m.Name))
		} else {
			merged.Members = append(merged.Members, m)
		}
	}
	return &merged
}

func unite(defaults, own *yamlpos.Node) *yamlpos.Node {
	united := *own
	united.Items = slices.Clone(own.Items)
	has := make(map[string]bool, len(own.Items))
	for _, item := range own.Items {
		has[item.Text] = has[item.Text] || item.Kind == yamlpos.Scalar
	}
	for _, item := range defaults.Items {
		if !has[item.Text] {
			united.Items = append(united.Items, item)
		}
	}
	return &united
}

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
	s.Require()
	return &Suspend{
		Reason: s.prose("reason").Value,
		Owner:  s.note("owner").Value,
		Until:  s.moment("until").Value,
		Origin: s.At(),
	}
}

// allow reads the approvals of an environment, or of one connection, where
// they do not name it.
func (r *reader) allow(o object, ofConnection bool) []Allow {
	if !o.isBounded("allow", "remove what has passed") {
		return nil
	}
	var list []Allow
	for _, one := range o.objects("allow") {
		one.Require()
		a := Allow{
			Change: one.change(),
			Until:  one.moment("until").Value,
			Reason: one.prose("reason").Value,
			Origin: one.At(),
		}
		a.To = one.target(a.Change)
		switch n := one.Node.Get("connection"); {
		case ofConnection && n != nil:
			one.errorf(n.Origin, "remove the line", "an approval in a connection file is for that connection only")
		case !ofConnection:
			a.Connection = r.slug(one, "connection").Value
		}
		list = append(list, a)
	}
	return list
}

func (o object) change() string {
	f, known := o.Text("change"), o.Declared("change").Words
	if !f.Given() || slices.Contains(known, f.Value) {
		return f.Value
	}
	hint := yamlpos.DidYouMean(f.Value, known)
	if hint == "" {
		hint = "write a field such as `client_id`, an action such as `disable`, or `prune`"
	}
	o.errorf(f.Origin, hint, "unknown change %s", yamlpos.Quoted(f.Value))
	return ""
}

// target reads the value that an approval is bound to. A new client_id cuts
// every end user off, so its approval never goes without one.
func (o object) target(change string) string {
	n := o.Get("to")
	switch {
	case strings.Contains(change, "secret") && n != nil:
		o.errorf(n.Origin, "remove the line", "an approval of %s names no value: it would be readable here", change)
		return ""
	case change == "client_id" && o.Node.Get("to") == nil:
		o.errorf(o.At(), "write the new client_id under `to`", "an approval of client_id must name its target")
	}
	if n = o.Scalar("to", "a text"); n == nil || o.IsPlaceholder(n, o.Name("to")) {
		return ""
	}
	return n.Text
}

func (r *reader) environmentPolicy(o object) EnvironmentPolicy {
	policy, _ := o.object("policy")
	limits, _ := policy.object("max_changes")
	protect, rotations := r.protected(policy), policy.Number("max_rotations")
	return EnvironmentPolicy{
		MaxChanges: Cap{
			Count:   limits.Number("count").Or(defaultMaxCount),
			Percent: limits.Number("percent").Or(defaultMaxPercent),
			Origin:  limits.At(),
		},
		MaxRotations:    rotations.Or(defaultMaxRotations),
		RotationsOrigin: rotations.Origin,
		RequireSetup:    policy.Boolean("require_setup").Or(false),
		Protect:         protect.Value,
		ProtectOrigin:   protect.Origin,
		Allow:           r.allow(policy, false),
	}
}

func (r *reader) connectionPolicy(o object) ConnectionPolicy {
	policy, _ := o.object("policy")
	var ignore []string
	for _, f := range policy.Texts("ignore").Value {
		if known := policy.Declared("ignore").Words; !slices.Contains(known, f.Value) {
			o.errorf(f.Origin, yamlpos.DidYouMean(f.Value, known), "policy.ignore cannot name %s", yamlpos.Quoted(f.Value))
			continue
		}
		ignore = append(ignore, f.Value)
	}
	return ConnectionPolicy{
		Protect: policy.Boolean("protect"),
		Ignore:  ignore,
		Allow:   r.allow(policy, true),
	}
}

func (o object) windows(field string) []Window {
	if n := o.Get(field); n != nil && n.Kind == yamlpos.List && len(n.Items) == 0 {
		o.errorf(n.Origin, "remove the line for always, or write a window", "%s holds no window", o.Name(field))
		return nil
	}
	if !o.isBounded(field, "remove what has passed") {
		return nil
	}
	var list []Window
	for _, one := range o.objects(field) {
		one.Require()
		from, to := one.clock("from"), one.clock("to")
		if from.Given() && to.Given() && from.Value == to.Value {
			one.errorf(from.Origin, "for a whole day write 00:00 to 23:59", "this window never opens: from and to are equal")
		}
		list = append(list, Window{
			Days: one.days(), From: from.Value, To: to.Value, TZ: one.zone("tz"), Origin: one.At(),
		})
	}
	return list
}

func (o object) days() []time.Weekday {
	names, field := o.Declared("days").Words, o.Texts("days")
	if field.Given() && len(field.Value) == 0 {
		o.errorf(field.Origin, "name one, such as `sat`", "this window has no days")
	}
	var days []time.Weekday
	for _, f := range field.Value {
		i := slices.Index(names, f.Value)
		if i < 0 {
			o.errorf(f.Origin, yamlpos.DidYouMean(f.Value, names), "a day must be %s, not %s", yamlpos.Listed(names), yamlpos.Quoted(f.Value))
			continue
		}
		days = append(days, time.Weekday(i))
	}
	return days
}

func (o object) zone(field string) string {
	f := o.Text(field)
	if !f.Given() {
		return "UTC"
	}
	if !isZone(f.Value) {
		o.errorf(f.Origin, "write it like `Europe/London`", "%s %s is not a time zone", o.Name(field), yamlpos.Quoted(f.Value))
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

// shortestInterval is the smallest distance of two runs by schedule.
const shortestInterval = time.Minute

// schedule reads a cron expression of five fields or a descriptor such as
// @hourly, with an optional CRON_TZ= in front.
func (o object) schedule(field string) Field[string] {
	f := o.Text(field)
	if !f.Given() {
		return f
	}
	if zone, ok := scheduleZone(f.Value); ok && !isZone(zone) {
		o.errorf(f.Origin, "write it like `CRON_TZ=Europe/London 0 9 * * *`", "%s names an unknown time zone", o.Name(field))
		return Field[string]{}
	}
	parsed, ok := parseSchedule(f.Value)
	if problem := scheduleProblem(f.Value); problem != "" || !ok {
		o.errorf(f.Origin, "write it like `*/15 * * * *`", "%s %s", o.Name(field), cmp.Or(problem, "is not a cron expression of five fields"))
		return Field[string]{}
	}
	if every, ok := parsed.(cron.ConstantDelaySchedule); ok && every.Delay < shortestInterval {
		o.errorf(f.Origin, "", "%s repeats within less than a minute", o.Name(field))
		return Field[string]{}
	}
	// Any start serves: the library looks five years ahead, which always holds
	// a 29th of February in this century.
	if parsed.Next(time.Date(2024, time.January, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		o.errorf(f.Origin, "check the day and the month", "%s never fires", o.Name(field))
		return Field[string]{}
	}
	return f
}

// scheduleZone returns the zone that an expression names.
func scheduleZone(expression string) (string, bool) {
	rest, ok := strings.CutPrefix(expression, "CRON_TZ=")
	if !ok {
		rest, ok = strings.CutPrefix(expression, "TZ=")
	}
	zone, _, _ := strings.Cut(rest, " ")
	return zone, ok
}

// cronColumn is one of the five fields of a cron expression.
type cronColumn struct {
	name, holds   string
	last          int    // the highest value
	values, steps string // as patterns
}

func cronColumns() [5]cronColumn {
	const (
		months = `|[Jj][Aa][Nn]|[Ff][Ee][Bb]|[Mm][Aa][Rr]|[Aa][Pp][Rr]|[Mm][Aa][Yy]|[Jj][Uu][Nn]|[Jj][Uu][Ll]|[Aa][Uu][Gg]|[Ss][Ee][Pp]|[Oo][Cc][Tt]|[Nn][Oo][Vv]|[Dd][Ee][Cc])`
		days   = `|[Ss][Uu][Nn]|[Mm][Oo][Nn]|[Tt][Uu][Ee]|[Ww][Ee][Dd]|[Tt][Hh][Uu]|[Ff][Rr][Ii]|[Ss][Aa][Tt])`
	)
	return [5]cronColumn{
		{"minute", "0-59", 59, `(0*[1-5]?[0-9])`, `(0*([1-9]|[1-5][0-9]))`},
		{"hour", "0-23", 23, `(0*(1?[0-9]|2[0-3]))`, `(0*([1-9]|1[0-9]|2[0-3]))`},
		{"day of the month", "1-31", 31, `(0*([1-9]|[12][0-9]|3[01]))`, `(0*([1-9]|[12][0-9]|3[01]))`},
		{"month", "1-12 or jan-dec", 12, `(0*([1-9]|1[0-2])` + months, `(0*([1-9]|1[0-2]))`},
		{"day of the week", "0-6 or sun-sat", 6, `(0*[0-6]` + days, `(0*[1-6])`},
	}
}

// scheduleProblem says which of the five fields cannot be read, and what it may hold;
// "" where each can.
func scheduleProblem(expression string) string {
	if _, zoned := scheduleZone(expression); zoned {
		_, expression, _ = strings.Cut(expression, " ")
	}
	_, readable := parseSchedule(expression)
	words := strings.Fields(expression)
	switch n := len(words); {
	case strings.HasPrefix(expression, "@") && readable:
		return ""
	case strings.HasPrefix(expression, "@"):
		return "is not a cron expression, nor one of @hourly, @daily, @weekly, @monthly, @yearly and @every 15m"
	case n != 5:
		return "is not a cron expression: it has " + visible.Plural(n, "field", "fields") + ", and five are needed: minute, hour, day of the month, month, day of the week"
	}
	for i, field := range cronColumns() {
		alone := []string{"*", "*", "*", "*", "*"}
		alone[i] = words[i]
		_, ok := parseSchedule(strings.Join(alone, " "))
		for part := range strings.SplitSeq(words[i], ",") {
			_, step, _ := strings.Cut(part, "/")
			n, err := strconv.Atoi(step)
			ok = ok && (err != nil || n <= field.last) // a longer one never comes round
		}
		if !ok {
			return "has " + yamlpos.Quoted(words[i]) + " as the " + field.name + ", which is " + field.holds + ", `*`, or lists, ranges and steps of them"
		}
	}
	return ""
}

// parseSchedule turns the library's panics (a zone with nothing after it) into
// a plain no.
func parseSchedule(expression string) (parsed cron.Schedule, ok bool) {
	defer func() {
		if recover() != nil {
			parsed, ok = nil, false
		}
	}()
	parsed, err := cron.ParseStandard(expression)
	return parsed, err == nil
}
