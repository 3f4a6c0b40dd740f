package spec

import (
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

const (
	armorBegin = "-----BEGIN AGE ENCRYPTED FILE-----"
	armorEnd   = "-----END AGE ENCRYPTED FILE-----"
)

var (
	armorLine = regexp.MustCompile(`^[A-Za-z0-9+/]{1,64}={0,2}$`)
	// plainPath is the name of a file that a shell reads as it is.
	plainPath = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_./@+-]*$`)
)

// credentials reads the block of a connection. No message from here repeats a
// value: it may be a secret that somebody forgot to seal.
func (o object) credentials(words Words) Credentials {
	if n := o.get("credentials"); n != nil && n.null {
		o.errorf(n.origin, "remove the line to leave them alone, or write `app: terra`", "credentials cannot be null: Terra cannot delete them")
		return Credentials{}
	}
	known := slices.Clone(o.file["credentials"])
	native := map[string][]string{"client_id": {"client_id"}, "client_secret": {"client_secret"}}
	for name, target := range words.Native {
		if !slices.Contains(known, name) {
			native[target] = append(native[target], name)
			known = append(known, name)
		}
	}
	for _, names := range native {
		slices.Sort(names)
	}
	slices.Sort(known)
	o.file = maps.Clone(o.file)
	o.file["credentials"] = known
	o.file["credentials.keys"] = append([]string{"unknown", "issued", "not_before"}, native["client_secret"]...)
	c, ok := o.object("credentials")
	if !ok {
		return Credentials{}
	}
	return Credentials{
		Present:            true,
		Origin:             c.at(),
		ClientID:           c.text(c.oneOf(native["client_id"])),
		Keys:               c.keys(native["client_secret"]),
		RedirectURL:        nullable(c, "redirect_url", c.address),
		VerificationSecret: nullable(c, "verification_secret", func(field string) Field[Secret] { return c.secret(field, " --field "+field) }),
		Sandbox:            nullable(c, "sandbox", c.boolean),
	}
}

// oneOf returns the one of several names for a field that is written, and the
// first when none is.
func (o object) oneOf(names []string) string {
	found := ""
	for _, name := range names {
		n := o.node.get(name)
		switch {
		case n == nil:
		case found != "":
			o.errorf(n.origin, "keep one", "%s and %s are two names for one field", found, name)
		default:
			found = name
		}
	}
	if found == "" {
		return names[0]
	}
	return found
}

// keys reads the list of keys, or the lone secret that stands for one key.
func (o object) keys(names []string) []Key {
	lone := o.oneOf(names)
	list := o.get("keys")
	single := o.secret(lone, "")
	if o.node.get(lone) != nil && list != nil {
		o.errorf(o.node.get(lone).origin, "move it into keys", "%s and %s cannot stand together", o.name(lone), o.name("keys"))
	}
	if list == nil {
		if single.Given() {
			return []Key{{Secret: single.Value, Origin: single.Origin}}
		}
		return nil
	}
	if list.kind == listNode && len(list.items) == 0 {
		o.errorf(list.origin, "remove the line to leave the secret alone", "%s holds no key", o.name("keys"))
	}
	var keys []Key
	var before time.Time
	for i, one := range o.objects("keys") {
		key := one.key(names, i)
		keys = append(keys, key)
		if key.NotBefore.IsZero() && one.node.get("not_before") != nil {
			continue // what is wrong with it was said
		}
		if key.NotBefore.Before(before) {
			one.errorf(one.blame("not_before"), "keys stand oldest first", "not_before is earlier than that of the key above")
		}
		before = key.NotBefore
	}
	return keys
}

func (o object) key(names []string, index int) Key {
	field := o.oneOf(names)
	key := Key{
		Issued:    o.moment("issued").Value,
		NotBefore: o.moment("not_before").Value,
		Secret:    o.secret(field, fmt.Sprintf(" --key %d", index+1)).Value,
		Origin:    o.at(),
	}
	unknown := o.boolean("unknown")
	key.Unknown = unknown.Value
	switch {
	case unknown.Given() && !unknown.Value:
		o.errorf(unknown.Origin, "remove the line", "unknown can only be true")
	case key.Unknown && index > 0:
		o.errorf(unknown.Origin, "", "only the first key can be unknown: it was there before this file")
	case key.Unknown && (o.node.get(field) != nil || o.node.get("not_before") != nil):
		o.errorf(unknown.Origin, "", "an unknown key has neither a secret nor not_before")
	case !key.Unknown && o.node.get("unknown") == nil && o.node.get(field) == nil:
		o.errorf(o.at(), "", "%s is missing in %s", field, o.path)
	}
	return key
}

// blame is the position of a field, or of its mapping when it is omitted.
func (o object) blame(field string) Origin {
	if n := o.node.get(field); n != nil {
		return n.origin
	}
	return o.at()
}

// secret reads a sealed value. The flags choose it in the command that seals one in
// its place.
func (o object) secret(field, flags string) Field[Secret] {
	n := o.get(field)
	if n == nil {
		return Field[Secret]{}
	}
	file := "FILE"
	if plainPath.MatchString(n.origin.File) {
		file = n.origin.File
	}
	seal := "`reconcile secret encrypt " + file + flags + "`"
	name := o.name(field)
	switch {
	case n.null:
		o.errorf(n.origin, "remove the line to leave it alone", "%s cannot be null: Terra cannot delete it", name)
		return Field[Secret]{}
	case !n.age:
		o.errorf(n.origin, "make a new one, because this one was in the repository, and put it here with "+seal,
			"%s is not sealed under !age", name)
		return Field[Secret]{}
	}
	armor := strings.TrimSpace(n.text) + "\n"
	if problem := checkArmor(armor); problem != "" {
		o.errorf(n.origin, "seal it again with "+seal, "%s %s", name, problem)
		return Field[Secret]{}
	}
	return Field[Secret]{Presence: Given, Value: Secret{Armor: armor, Origin: n.origin}, Origin: n.origin}
}

// checkArmor says what keeps text from being an armored age file, "" if
// nothing does. It looks at the form only.
func checkArmor(text string) string {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	switch {
	case lines[0] != armorBegin:
		return "does not begin with the line " + armorBegin
	case len(lines) < 2 || lines[len(lines)-1] != armorEnd:
		return "does not end with the line " + armorEnd
	case len(lines) < 3:
		return "holds no data between its first and last line"
	}
	for _, line := range lines[1 : len(lines)-1] {
		if !armorLine.MatchString(line) {
			return "is damaged: a line between the first and the last is not armor"
		}
	}
	return ""
}

// address reads an absolute https URL.
func (o object) address(field string) Field[string] {
	f := o.text(field)
	if !f.Given() {
		return f
	}
	u, err := url.Parse(f.Value)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || strings.ContainsAny(f.Value, " #") {
		o.errorf(f.Origin, "write it like `https://auth.example.com/callback`", "%s must be an https address without user name and fragment", o.name(field))
		return Field[string]{}
	}
	return f
}
