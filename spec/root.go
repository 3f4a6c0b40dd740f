package spec

import (
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/terra-reconcile/terra-reconcile/internal/yamlpos"
)

// bech32 is a character of the second half of an age recipient.
const bech32 = `[02-9ac-hj-np-z]`

const sshPattern = `^ssh-(ed25519|rsa) [A-Za-z0-9+/]{32,}={0,2}( .*)?$`

var (
	bech32Data   = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^` + bech32 + `{6,}$`) })
	sshRecipient = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(sshPattern) })
)

// longestGlob is how long a path pattern may be.
const longestGlob = 200

// root reads terra.yaml and returns the defaults as a tree too, so that they
// can be merged under every environment. The tree is nil when there are none.
func (r *reader) root(n *yamlpos.Node) (Root, *yamlpos.Node) {
	o, ok := r.open(n, r.fields.root)
	if !ok {
		return Root{}, nil
	}
	o.Require()
	switch n := o.Node.Get("version"); {
	case n == nil, n.Bad:
	case n.Text != "1" || !n.Plain || n.Tagged || n.Kind != yamlpos.Scalar:
		o.errorf(n.Origin, "write `version: 1`, or use a newer reconcile", "this program reads version 1 only")
	}
	root := Root{Recipients: o.recipients("recipients"), Origin: o.At()}
	secrets, _ := o.object("secrets")
	binding := secrets.Word("binding")
	root.AllowPlain = binding.Or("allow-plain") == "allow-plain"
	if !binding.Given() && (secrets.Node == nil || secrets.Node.Get("binding") == nil) {
		r.warnf(o.At(), "write `secrets: {binding: require}` once all are sealed by secret encrypt",
			"a secret may be copied from one connection to another, because secrets.binding is not set")
	}
	return root, r.defaults(o)
}

// defaults checks the block and returns it as a tree.
func (r *reader) defaults(o object) *yamlpos.Node {
	n := o.Get("defaults")
	if n == nil {
		return nil
	}
	allowed := *n
	allowed.Members = nil
	for _, m := range n.Members {
		switch m.Name {
		case "prune", "suspend", "dev_id":
			r.errorf(m.Origin, "write it in environment.yaml", "%s may not stand in defaults", m.Name)
		default:
			allowed.Members = append(allowed.Members, m)
		}
	}
	inner, ok := o.Inner(&allowed, "defaults", "defaults")
	if !ok {
		return nil
	}
	d := object{inner, o.sink}
	d.Path, d.Block, d.Schema.Fields = "", "", r.fields.defaults
	r.shared(d)
	d.rotation("rotation")
	if policy := n.Get("policy"); policy != nil {
		if allow := policy.Get("allow"); allow != nil {
			r.errorf(allow.Origin, "write it in environment.yaml", "an approval may not stand in defaults: it is for one environment")
		}
	}
	return n
}

func (o object) recipients(field string) []RecipientRule {
	if !o.isBounded(field, "let one entry name several paths") {
		return nil
	}
	var rules []RecipientRule
	for _, one := range o.objects(field) {
		one.Require()
		rule := RecipientRule{Origin: one.At()}
		if !one.isBounded("paths", "cover several with `**`") || !one.isBounded("age", "share one key") {
			continue
		}
		paths, keys := one.Texts("paths"), one.Texts("age")
		for _, field := range []string{"paths", "age"} {
			if n := one.Node.Get(field); n != nil && n.Kind == yamlpos.List && len(n.Items) == 0 {
				one.errorf(n.Origin, "", "this list is empty")
			}
		}
		for _, f := range paths.Value {
			glob, ok := compileGlob(f.Value)
			if !ok {
				one.errorf(f.Origin, "write it like `production/**`, below the root, with `*`, `**` and `?`", "%s is not a path pattern", yamlpos.Quoted(f.Value))
				continue
			}
			rule.Paths, rule.globs = append(rule.Paths, f.Value), append(rule.globs, glob)
		}
		rule.Age = one.ageRecipients(keys)
		rules = append(rules, rule)
	}
	return rules
}

// ageRecipients checks the form of recipients. It never repeats one: somebody
// may have pasted what is none.
func (o object) ageRecipients(keys Field[[]Field[string]]) []string {
	var classic, postQuantum bool
	for _, f := range keys.Value {
		switch recipientKind(f.Value) {
		case "":
			o.errorf(f.Origin, "write `age1…`, `ssh-ed25519 …` or `ssh-rsa …`", "this is not an age recipient")
		case "tagged":
			o.errorf(f.Origin, "write the plugin's own recipient", "tagged recipients are not supported")
		case "classic":
			classic = true
		case "post-quantum":
			postQuantum = true
		}
	}
	if classic && postQuantum {
		o.errorf(keys.Origin, "make the list all `age1pq1…`, or none", "age cannot seal one secret to classic and to post-quantum recipients")
	}
	return values(keys.Value)
}

// recipientKind returns "classic", "post-quantum", "plugin", "tagged", or "" for
// what is no recipient.
func recipientKind(text string) string {
	if sshRecipient().MatchString(text) {
		return "classic"
	}
	i := strings.LastIndexByte(text, '1')
	if i < 0 || !bech32Data().MatchString(text[i+1:]) {
		return ""
	}
	switch prefix := text[:i]; {
	case prefix == "age" && len(text) == 62:
		return "classic"
	case prefix == "age1pq":
		return "post-quantum"
	case prefix == "age1tag", prefix == "age1tagpq":
		return "tagged"
	case strings.HasPrefix(prefix, "age1") && plainName().MatchString(prefix[len("age1"):]):
		return "plugin"
	}
	return ""
}

// RecipientsFor returns the first rule with a path that matches file, which is
// slash-separated and below the root of the repository.
func (r Root) RecipientsFor(file string) (RecipientRule, bool) {
	file = path.Clean(file)
	for _, rule := range r.Recipients {
		if rule.covers(file) {
			return rule, true
		}
	}
	return RecipientRule{}, false
}

func (r RecipientRule) covers(file string) bool {
	if r.globs != nil {
		return slices.ContainsFunc(r.globs, func(glob *regexp.Regexp) bool { return glob.MatchString(file) })
	}
	return slices.ContainsFunc(r.Paths, func(pattern string) bool {
		glob, ok := compileGlob(pattern)
		return ok && glob.MatchString(file)
	})
}

// compileGlob translates a path pattern: ** is any number of folders, * and ?
// stay inside one name. Everything else is itself.
func compileGlob(pattern string) (*regexp.Regexp, bool) {
	if pattern == "" || len(pattern) > longestGlob || strings.ContainsAny(pattern, `[]{}\!`) {
		return nil, false
	}
	var b strings.Builder
	b.WriteString("^")
	parts := strings.Split(pattern, "/")
	for i, part := range parts {
		last := i == len(parts)-1
		switch {
		case part == "", part == ".", part == "..", part != "**" && strings.Contains(part, "**"):
			return nil, false
		case part == "**" && last:
			b.WriteString(".+")
		case part == "**":
			b.WriteString("(?:[^/]+/)*")
		default:
			for _, r := range part {
				switch r {
				case '*':
					b.WriteString("[^/]*")
				case '?':
					b.WriteString("[^/]")
				default:
					b.WriteString(regexp.QuoteMeta(string(r)))
				}
			}
			if !last {
				b.WriteString("/")
			}
		}
	}
	glob, err := regexp.Compile(b.String() + "$")
	return glob, err == nil
}
