package spec

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/yamlpos"
)

// declarations are the fields of the files. The readers of this package, the JSON Schemas
// and docs/files.md take them from here.
type declarations struct{ root, defaults, environment, connection yamlpos.Fields }

func declared() declarations {
	return declarations{root: rootFields(), defaults: defaultsFields(), environment: environmentFields(), connection: connectionFields()}
}

const (
	notManaged = "not managed"
	none       = "none"
)

func rootFields() yamlpos.Fields {
	b := yamlpos.Fields{
		"": {
			{Name: "version", Form: yamlpos.Number, Low: 1, High: 1, Required: true, Ask: "write `version: 1`", Value: "`1`", Means: "the format of these files"},
			{Name: "recipients", Form: yamlpos.Blocks, Most: 200, Omitted: none, Means: "who can open the secrets; the first entry whose path matches the file decides. Omitted: nothing can be sealed"},
			{Name: "secrets", Form: yamlpos.Block},
			{Name: "defaults", Form: yamlpos.Block, Omitted: none, Means: "what holds wherever an environment or connection says nothing else ([below](#defaults))"},
		},
		"recipients": {
			{Name: "paths", Form: yamlpos.Texts, Required: true, Least: 1, Most: 50, Pattern: globPattern, Never: globNever, Chars: longestGlob, Value: "list of patterns", Means: "below the root; `*` and `?` stay in one name, `**` is any number of folders"},
			{Name: "age", Form: yamlpos.Texts, Required: true, Least: 1, Most: 100, Pattern: recipientPattern, Never: recipientNever, Value: "list of recipients", Means: "`age1…`, `ssh-ed25519 …`, `ssh-rsa …`, a plugin's. All `age1pq1…` or none: age can not mix them"},
		},
		"secrets": {
			{Name: "binding", Form: yamlpos.Word, Words: []string{"require", "allow-plain"}, Default: "allow-plain", Omitted: "with a warning", Means: "`require` refuses a secret that is not bound to its place"},
		},
	}
	for block, fields := range defaultsFields() {
		b[yamlpos.Below("defaults", block)] = fields
	}
	return b
}

// defaultsFields are those of defaults, seen from there.
func defaultsFields() yamlpos.Fields {
	b := environmentFields()
	b[""] = append([]yamlpos.Declared{rotationField()}, sharedFields()...)
	b["rotation"] = rotationFields()
	b["policy"] = slices.Clone(b["policy"])
	for i, d := range b["policy"] {
		if d.Name == "allow" { // known, so that its own error is all that is said
			b["policy"][i] = yamlpos.Declared{Name: "allow", Form: yamlpos.Nothing, Means: "an error here: an approval is for one environment"}
		}
	}
	delete(b, "suspend")
	delete(b, "after")
	return b
}

func environmentFields() yamlpos.Fields {
	return yamlpos.Fields{
		"": append([]yamlpos.Declared{
			{Name: "dev_id", Required: true, Ask: "it is the dev-id that Terra's dashboard shows for this environment", Pattern: plainName, Says: plainNameHint, Means: "the dev-id that Terra's dashboard shows"},
			extendsDeclared("`../_base/environment.yaml`"),
			{Name: "prune", Form: yamlpos.Word, Words: []string{"never", "disable"}, Required: true, Ask: "write `prune: never` or `prune: disable`", Means: "what to do with a connection that we enabled and no file names any more; to disable it also needs an approval"},
			suspendField("every change of the environment is held until a moment; disruptive and destructive changes wait for approval afterwards"),
			afterDeclared("changes wait until the same has been applied and in sync in another environment for a time ([promotion](reuse.md#promotion)). `null`: none"),
		}, sharedFields()...),
		"suspend": suspendFields(),
		"after":   afterFields(),
		"windows": {
			{Name: "days", Form: yamlpos.Texts, Required: true, Least: 1, Words: []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}, Value: "list of `mon` … `sun`", Means: "the days on which the window begins"},
			{Name: "from", Form: yamlpos.Clock, Required: true, Value: "`\"02:00\"`", Means: "inclusive"},
			{Name: "to", Form: yamlpos.Clock, Required: true, Value: "`\"05:00\"`", Means: "exclusive; before `from` means the next day"},
			{Name: "tz", Default: "UTC", Value: "`Europe/London`", Means: "the zone of all three"},
		},
		"policy": {
			{Name: "max_changes", Form: yamlpos.Block, Means: "the most connections that one run may hurt without approval; both bounds hold"},
			{Name: "max_rotations", Form: yamlpos.Number, High: 1_000_000, Default: strconv.Itoa(defaultMaxRotations), Means: "the most rotations of one run without approval"},
			{Name: "require_setup", Form: yamlpos.Boolean, Default: "false", Means: "`true`: a human step without evidence holds where it would only warn"},
			{Name: "protect", Form: yamlpos.Texts, Most: 200, Pattern: slugName, Value: "list of providers", Omitted: none, Means: "never paused, disabled or pruned"},
			{Name: "allow", Form: yamlpos.Blocks, Most: 100, Omitted: none, Means: "approvals by commit"},
		},
		"policy.max_changes": {
			{Name: "count", Form: yamlpos.Number, High: 1_000_000, Default: strconv.Itoa(defaultMaxCount), Means: "so many"},
			{Name: "percent", Form: yamlpos.Number, Low: 1, High: 100, Default: strconv.Itoa(defaultMaxPercent), Means: "of the live connections, with those that the counted changes make live, rounded up, at least one"},
		},
		"policy.allow": append([]yamlpos.Declared{
			{Name: "connection", Required: true, Pattern: slugName, Value: "provider", Means: "of which connection"},
		}, allowFields()...),
	}
}

// sharedFields may stand in environment.yaml and in defaults of terra.yaml.
func sharedFields() []yamlpos.Declared {
	return []yamlpos.Declared{
		{Name: "account", Pattern: plainName, Says: plainNameHint, Value: "name", Default: "default", Means: "which of the runner's accounts to use: its token, its dev-ids. A commit does not change it once a run has applied: the runner has to list the dev-id under that account alone, and secrets are sealed for it ([rebind](secrets.md) them)"},
		{Name: "owner", Chars: longestProse, Omitted: none, Means: "whom it concerns, such as a team: `daemon.yaml` says which [messages](operations.md#messages) of whom go where. It is in reports, and never in a plan"},
		{Name: "mode", Form: yamlpos.Word, Words: []string{"apply", "observe"}, Default: "apply", Means: "`observe` looks and never writes"},
		{Name: "schedule", Null: true, Pattern: schedulePattern, Value: "cron of five fields, or `@hourly`, `@every 90m` …", Omitted: none, Means: "when the daemon runs it besides at new commits; UTC, or `CRON_TZ=Europe/London` in front. At least a minute apart. `null`: none"},
		{Name: "on_drift", Form: yamlpos.Word, Words: []string{"revert", "report"}, Default: "revert", Means: "what somebody changed outside the repository is put back, or only shown"},
		{Name: "on_secret_drift", Form: yamlpos.Word, Words: []string{"hold", "revert"}, Default: "hold", Means: "a client id or secret set by hand waits for a person, or is put back"},
		{Name: "verify_every", Form: yamlpos.Span, Shortest: time.Minute, Longest: 365 * day, Default: "24h", Means: "how often Terra itself is asked whether a secret is still ours"},
		{Name: "windows", Form: yamlpos.Blocks, Null: true, Least: 1, Most: 50, Omitted: "always open", Means: "disruptive and destructive changes happen only inside. `null`: always open"},
		{Name: "policy", Form: yamlpos.Block},
	}
}

func connectionFields() yamlpos.Fields {
	return yamlpos.Fields{
		"": {
			{Name: "provider", Required: true, Ask: "write one, such as `provider: strava`", Pattern: slugName, Value: "provider", Means: "an unknown one is a warning: Terra may know it. One that is most likely typed wrong is an error of `validate` and `doctor`, which do not ask Terra"},
			extendsDeclared("`../_base/strava.yaml`"),
			{Name: "owner", Chars: longestProse, Omitted: "as the environment says", Means: "whom it concerns"},
			{Name: "state", Form: yamlpos.Word, Words: []string{"active", "paused", "disabled"}, Default: "active", Means: "a file that is there means active, the one field that omitted is managed"},
			{Name: "app", Form: yamlpos.Word, Words: []string{"own", "terra"}, Null: true, Omitted: notManaged, Means: "whose app end users meet, where Terra lets one choose. Without it `credentials` alone decide. `null`: Terra's"},
			{Name: "credentials", Form: yamlpos.Block, Omitted: notManaged, Means: "the own app. Never `null`: Terra can not delete them"},
			{Name: "scopes", Form: yamlpos.Texts, Null: true, Value: "list of texts", Omitted: notManaged, Means: "all of them, besides those that Terra requires. `[]`: only those. `null`: Terra's choice"},
			{Name: "domain", Null: true, Pattern: hostName, Chars: longestHost, Value: "host name", Omitted: notManaged, Means: "the custom domain of the redirect, for providers that have one. `null`: given back"},
			{Name: "webhooks", Form: yamlpos.Word, Words: []string{"managed"}, Null: true, Omitted: notManaged, Means: "Garmin's webhook rows follow the domain. `null`: as omitted"},
			rotationField(),
			{Name: "options", Form: yamlpos.Foreign, Omitted: none, Means: "settings of this provider, each a text or a list: `reconcile providers SLUG` names them"},
			{Name: "setup", Form: yamlpos.Foreign, Omitted: none, Means: "human steps of this provider by name, each a mapping: `done` is a moment, `value`, `state` and all else are one line of evidence"},
			suspendField("as in environment.yaml, of this connection"),
			afterDeclared("in the place of that of environment.yaml. `null`: changes of this connection do not wait"),
			{Name: "policy", Form: yamlpos.Block},
		},
		"credentials": { // in the order of the alphabet, as messages list them
			{Name: "client_id", Omitted: notManaged, Means: "also by the provider's own name, such as Virtuagym's `portal_name`"},
			{Name: "client_secret", Form: yamlpos.Sealed, Omitted: notManaged, Means: "one key, short for `keys` with one entry; also by the provider's own name, such as `api_key`. Not beside `keys`"},
			{Name: "keys", Form: yamlpos.Blocks, Least: 1, Most: 20, Omitted: notManaged, Means: "generations of the secret, oldest first; the newest that is due is the live one ([rotation.md](rotation.md))"},
			{Name: "redirect_url", Null: true, Pattern: addressPattern, Value: "https address", Omitted: notManaged, Means: "`null`: Terra's own"},
			{Name: "sandbox", Form: yamlpos.Boolean, Null: true, Omitted: notManaged, Means: "`null`: `false`"},
			{Name: "verification_secret", Form: yamlpos.Sealed, Null: true, Omitted: notManaged, Means: "`null`: none"},
		},
		"credentials.keys": {
			{Name: "unknown", Form: yamlpos.Boolean, Value: "`true`", Means: "the first key only, without secret and `not_before`: set by hand in the past, nobody can read it"},
			{Name: "issued", Form: yamlpos.Moment, Omitted: none, Means: "when it was made; its age counts from here, else from `not_before`"},
			{Name: "not_before", Form: yamlpos.Moment, Omitted: "due at once", Means: "when it is due; never earlier than that of the key above"},
			{Name: "client_secret", Form: yamlpos.Sealed, Omitted: "required, unless `unknown`", Means: "the sealed secret"},
		},
		"rotation": rotationFields(),
		"suspend":  suspendFields(),
		"after":    afterFields(),
		"policy": {
			{Name: "protect", Form: yamlpos.Boolean, Omitted: "as the environment says", Means: "`true`: never paused, disabled or pruned. `false` lifts it"},
			{Name: "ignore", Form: yamlpos.Texts, Words: fields(), Value: "list of fields", Omitted: none, Means: "their differences are neither reported nor changed: the fields [below](#words-of-an-approval)"},
			{Name: "allow", Form: yamlpos.Blocks, Most: 100, Omitted: none, Means: "approvals by commit, of this connection"},
		},
		"policy.allow": append([]yamlpos.Declared{
			{Name: "connection", Form: yamlpos.Nothing, Means: "an error here: it is this connection"},
		}, allowFields()...),
	}
}

func extendsDeclared(value string) yamlpos.Declared {
	return yamlpos.Declared{Name: extendsField, Pattern: extendsPattern, Value: value, Omitted: none, Means: "another file of the repository, from the folder of this one, that holds wherever this one says nothing else. Its name, or a folder of it, begins with `_` ([below](#extends))"}
}

func rotationField() yamlpos.Declared {
	return yamlpos.Declared{Name: "rotation", Form: yamlpos.Block, Means: "how keys are replaced; merges with `defaults.rotation`"}
}

func rotationFields() []yamlpos.Declared {
	return []yamlpos.Declared{
		{Name: "max_age", Form: yamlpos.Span, Shortest: day, Longest: 3650 * day, Omitted: "keys do not age", Means: "from then on a key is overdue; nothing is switched off for it"},
		{Name: "warn", Form: yamlpos.Span, Longest: 3650 * day, Default: "14d", Omitted: "at most half of `max_age`", Means: "how long before `max_age` reports say so; shorter than it"},
		{Name: "soak", Form: yamlpos.Span, Longest: 90 * day, Default: "24h", Means: "how long a new key soaks"},
		{Name: "max_user_drop", Form: yamlpos.Number, Low: 1, High: 100, Default: strconv.Itoa(defaultMaxUserDrop), Means: "the fall of active end users in percent that is a reason to go back"},
		{Name: "probe", Form: yamlpos.Word, Words: []string{"require", "prefer", "off"}, Default: "prefer", Means: "whether the provider is asked about a pair. `require`: an unclear answer waits for approval. `prefer`: it makes the rotation disruptive. `off`: nobody is asked"},
	}
}

func suspendField(means string) yamlpos.Declared {
	return yamlpos.Declared{Name: "suspend", Form: yamlpos.Block, Omitted: none, Means: means}
}

func afterDeclared(means string) yamlpos.Declared {
	return yamlpos.Declared{Name: afterField, Form: yamlpos.Block, Null: true, Omitted: none, Means: means}
}

func afterFields() []yamlpos.Declared {
	return []yamlpos.Declared{
		{Name: "environment", Required: true, Pattern: environmentName, Says: "write the path of its folder below the root", Value: "`staging`", Means: "the other environment, by its folder"},
		{Name: "for", Form: yamlpos.Span, Longest: 90 * day, Required: true, Ask: "write how long, such as `for: 24h`; `0s` is as soon as it is in sync there", Means: "how long; `0s`: as soon as it is in sync there"},
	}
}

func suspendFields() []yamlpos.Declared {
	return []yamlpos.Declared{
		{Name: "reason", Form: yamlpos.Prose, Required: true, Chars: longestProse, Means: "why"},
		{Name: "owner", Required: true, Chars: longestProse, Means: "whom to ask"},
		{Name: "until", Form: yamlpos.Moment, Required: true, Means: "exclusive"},
	}
}

// allowFields are those of an approval but for its connection.
func allowFields() []yamlpos.Declared {
	return []yamlpos.Declared{
		{Name: "change", Form: yamlpos.Word, Words: approvable(), Required: true, Value: "a field, an action, `prune`, `adopt`, `secret_ref`", Means: "what is approved: [the words](#words-of-an-approval)"},
		{Name: "to", Form: yamlpos.AsWritten, Value: "text", Omitted: "any", Means: "the value it is approved for; required with `client_id`, an error with secrets"},
		{Name: "until", Form: yamlpos.Moment, Required: true, Means: "exclusive; an approval ends by itself"},
		{Name: "reason", Form: yamlpos.Prose, Required: true, Chars: longestProse, Means: "why"},
	}
}

// The patterns match each text that its reader takes, and as few others as can be said
// without reading it.
var (
	addressPattern = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^[Hh][Tt][Tt][Pp][Ss]://(\[[^\[\]/?#@ ]+\]|[^\[\]/?#@: ]+)(:[0-9]*)?([/?][^# ]*)?$`)
	})
	extendsPattern = sync.OnceValue(func() *regexp.Regexp {
		const name, yaml = `[^/\\.:][^/\\:]*`, `\.[Yy][Aa]?[Mm][Ll]`
		return regexp.MustCompile(`^(\./)?(\.\./)*(` + name + `/)*(_[^/\\:]*/(` + name + `/)*` + name + `|_[^/\\:]*)` + yaml + `$`)
	})
	globPattern = sync.OnceValue(func() *regexp.Regexp {
		const some = `[^*/\[\]{}\\!]+`
		const name = `(\*\*|\*?(` + some + `(\*` + some + `)*\*?)?)`
		return regexp.MustCompile(`^` + name + `(/` + name + `)*$`)
	})
	globNever        = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^/|//|/$|(^|/)\.\.?(/|$)`) })
	recipientPattern = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(sshPattern + `|^age1(` + bech32 + `{58}|[A-Za-z0-9][A-Za-z0-9._-]{0,127}1` + bech32 + `{6,})$`)
	})
	severalLines    = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^$|[\n\t]`) })
	recipientNever  = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^age1tag(pq)?1` + bech32 + `+$`) })
	schedulePattern = sync.OnceValue(func() *regexp.Regexp {
		alternatives := []string{`@(yearly|annually|monthly|weekly|daily|midnight|hourly)`, `@every ` + yamlpos.Duration}
		var columns []string
		for _, c := range cronColumns() {
			value := `(\*|\?|` + c.values + `)`
			part := value + `(-` + c.values + `)?(/` + c.steps + `)?`
			columns = append(columns, part+`(,`+part+`)*`)
		}
		alternatives = append(alternatives, strings.Join(columns, ` +`))
		return regexp.MustCompile(`^((CRON_)?TZ=[^ ]+ +)?(` + strings.Join(alternatives, "|") + `)$`)
	})
)
