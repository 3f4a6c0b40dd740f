package spec

import (
	"path"
	"regexp"
	"strings"
)

// bech32Data is the second half of an age recipient.
var bech32Data = regexp.MustCompile(`^[02-9ac-hj-np-z]{6,}$`)

var sshRecipient = regexp.MustCompile(`^ssh-(ed25519|rsa) [A-Za-z0-9+/]{32,}={0,2}( .*)?$`)

// root reads terra.yaml and returns the defaults as a tree too, so that they
// can be merged under every environment. The tree is nil when there are none.
func (r *reader) root(n *node) (Root, *node) {
	o, ok := r.open(n, rootBlocks())
	if !ok {
		return Root{}, nil
	}
	switch n := o.node.get("version"); {
	case n == nil:
		o.errorf(o.at(), "write `version: 1`", "version is missing")
	case n.bad:
	case n.text != "1" || !n.plain || n.age || n.kind != scalarNode:
		o.errorf(n.origin, "write `version: 1`, or use a newer reconcile", "this program reads version 1 only")
	}
	root := Root{Recipients: o.recipients("recipients"), Origin: o.at()}
	secrets, _ := o.object("secrets")
	binding := secrets.word("binding", "require", "allow-plain")
	root.AllowPlain = binding.or("allow-plain") == "allow-plain"
	if !binding.Given() && (secrets.node == nil || secrets.node.get("binding") == nil) {
		r.warnf(o.at(), "write `secrets: {binding: require}` once all are sealed by `reconcile secret encrypt`",
			"a secret may be copied from one connection to another, because secrets.binding is not set")
	}
	return root, r.defaults(o)
}

// defaults checks the block and returns it as a tree.
func (r *reader) defaults(o object) *node {
	n := o.get("defaults")
	if n == nil {
		return nil
	}
	allowed := *n
	allowed.members = nil
	for _, m := range n.members {
		switch m.name {
		case "prune", "suspend", "dev_id":
			r.errorf(m.origin, "write it in environment.yaml", "%s may not stand in defaults", m.name)
		default:
			allowed.members = append(allowed.members, m)
		}
	}
	d, ok := o.inner(&allowed, "defaults", "defaults")
	if !ok {
		return nil
	}
	d.path, d.block, d.file = "", "", defaultsBlocks()
	r.shared(d)
	d.rotation("rotation")
	if policy := n.get("policy"); policy != nil {
		if allow := policy.get("allow"); allow != nil {
			r.errorf(allow.origin, "write it in environment.yaml", "an approval may not stand in defaults: it is for one environment")
		}
	}
	return n
}

func (o object) recipients(field string) []RecipientRule {
	var rules []RecipientRule
	for _, one := range o.objects(field) {
		one.require("paths", "age")
		rule := RecipientRule{Origin: one.at()}
		paths, keys := one.texts("paths"), one.texts("age")
		for _, list := range []Field[[]Field[string]]{paths, keys} {
			if list.Given() && len(list.Value) == 0 {
				one.errorf(list.Origin, "", "this list is empty")
			}
		}
		for _, f := range paths.Value {
			if _, ok := compileGlob(f.Value); !ok {
				one.errorf(f.Origin, "write it like `production/**`, below the root, with `*`, `**` and `?`", "%s is not a path pattern", quoted(f.Value))
				continue
			}
			rule.Paths = append(rule.Paths, f.Value)
		}
		rule.Age = one.ageRecipients(keys)
		rules = append(rules, rule)
	}
	return rules
}

// ageRecipients checks the form of recipients. It never repeats one: somebody
// may have pasted an identity.
func (o object) ageRecipients(keys Field[[]Field[string]]) []string {
	var classic, postQuantum bool
	for _, f := range keys.Value {
		upper := strings.ToUpper(f.Value)
		if strings.HasPrefix(upper, "AGE-") || strings.Contains(upper, "PRIVATE KEY") {
			o.errorf(f.Origin, "write its public `age1…` here, and replace the key: it was in a file of the repository",
				"this is a private key")
			continue
		}
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
	if sshRecipient.MatchString(text) {
		return "classic"
	}
	i := strings.LastIndexByte(text, '1')
	if i < 0 || !bech32Data.MatchString(text[i+1:]) {
		return ""
	}
	switch prefix := text[:i]; {
	case prefix == "age" && len(text) == 62:
		return "classic"
	case prefix == "age1pq":
		return "post-quantum"
	case prefix == "age1tag", prefix == "age1tagpq":
		return "tagged"
	case strings.HasPrefix(prefix, "age1") && plainName.MatchString(prefix[len("age1"):]):
		return "plugin"
	}
	return ""
}

// RecipientsFor returns the first rule with a path that matches file, which is
// slash-separated and below the root of the repository.
func (r Root) RecipientsFor(file string) (RecipientRule, bool) {
	file = path.Clean(file)
	for _, rule := range r.Recipients {
		for _, pattern := range rule.Paths {
			if glob, ok := compileGlob(pattern); ok && glob.MatchString(file) {
				return rule, true
			}
		}
	}
	return RecipientRule{}, false
}

// compileGlob translates a path pattern: ** is any number of folders, * and ?
// stay inside one name. Everything else is itself.
func compileGlob(pattern string) (*regexp.Regexp, bool) {
	if pattern == "" || len(pattern) > 200 || strings.ContainsAny(pattern, `[]{}\!`) {
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
