package spec

import (
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/yamlpos"
)

const (
	armorBegin = "-----BEGIN AGE ENCRYPTED FILE-----"
	armorEnd   = "-----END AGE ENCRYPTED FILE-----"
)

var (
	armorLine = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9+/]{1,64}={0,2}$`) })
	// plainPath is the name of a file that a shell reads as it is.
	plainPath = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_./@+-]*$`) })
)

// credentials reads the block of a connection. No message from here repeats a
// value: it may be a secret that somebody forgot to seal.
func (o object) credentials(words Words) Credentials {
	if n := o.Get("credentials"); n != nil && n.Null {
		o.errorf(n.Origin, "remove the line to leave them alone, or write `app: terra`", "credentials cannot be null: Terra cannot delete them")
		return Credentials{}
	}
	o.Schema.Fields = withNative(o.Schema.Fields, words)
	ids, secrets := nativeNames(words, "client_id"), nativeNames(words, "client_secret")
	c, ok := o.object("credentials")
	if !ok {
		return Credentials{}
	}
	return Credentials{
		Present:            true,
		Origin:             c.At(),
		ClientID:           c.Text(c.oneOf(ids)),
		Keys:               c.keys(secrets),
		RedirectURL:        nullable(c, "redirect_url", c.address),
		VerificationSecret: nullable(c, "verification_secret", func(field string) Field[Secret] { return c.secret(field, "--field", field) }),
		Sandbox:            nullable(c, "sandbox", c.Boolean),
	}
}

// nativeNames are those under which a provider's file may hold client_id or client_secret,
// sorted.
func nativeNames(words Words, field string) []string {
	names := []string{field}
	for name, target := range words.Native {
		if target == field && name != field {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// withNative declares the names that a provider documents beside those of every provider.
func withNative(fields yamlpos.Fields, words Words) yamlpos.Fields {
	if len(words.Native) == 0 {
		return fields
	}
	named := func(block, field string) (list []yamlpos.Declared) {
		for _, name := range nativeNames(words, field) {
			d := fields.Declared(block, field)
			d.Name = name
			list = append(list, d)
		}
		return list
	}
	credentials := slices.Concat(named("credentials", "client_id"), named("credentials", "client_secret"))
	for _, d := range fields["credentials"] {
		if d.Name != "client_id" && d.Name != "client_secret" {
			credentials = append(credentials, d)
		}
	}
	slices.SortFunc(credentials, func(a, b yamlpos.Declared) int { return strings.Compare(a.Name, b.Name) })
	keys := slices.DeleteFunc(slices.Clone(fields["credentials.keys"]), func(d yamlpos.Declared) bool { return d.Name == "client_secret" })
	all := maps.Clone(fields)
	all["credentials"] = credentials
	all["credentials.keys"] = append(keys, named("credentials.keys", "client_secret")...)
	return all
}

// oneOf returns the one of several names for a field that is written, and the
// first when none is.
func (o object) oneOf(names []string) string {
	found := ""
	for _, name := range names {
		n := o.Node.Get(name)
		switch {
		case n == nil:
		case found != "":
			o.errorf(n.Origin, "keep one", "%s and %s are two names for one field", found, name)
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
	list := o.Get("keys")
	single := o.secret(lone)
	if o.Node.Get(lone) != nil && list != nil {
		o.errorf(o.Node.Get(lone).Origin, "move it into keys", "%s and %s cannot stand together", o.Name(lone), o.Name("keys"))
	}
	if list == nil {
		if single.Given() {
			return []Key{{Secret: single.Value, Origin: single.Origin}}
		}
		return nil
	}
	if list.Kind == yamlpos.List && len(list.Items) == 0 {
		o.errorf(list.Origin, "remove the line to leave the secret alone", "%s holds no key", o.Name("keys"))
	}
	if !o.isBounded("keys", "remove what has passed") {
		return nil
	}
	var keys []Key
	var before time.Time
	for i, one := range o.objects("keys") {
		key := one.key(names, i)
		keys = append(keys, key)
		if key.NotBefore.IsZero() && one.Node.Get("not_before") != nil {
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
		Secret:    o.secret(field, "--key", strconv.Itoa(index+1)).Value,
		Origin:    o.At(),
	}
	unknown := o.Boolean("unknown")
	key.Unknown = unknown.Value
	switch {
	case unknown.Given() && !unknown.Value:
		o.errorf(unknown.Origin, "remove the line", "unknown can only be true")
	case key.Unknown && index > 0:
		o.errorf(unknown.Origin, "", "only the first key can be unknown: it was there before this file")
	case key.Unknown && (o.Node.Get(field) != nil || o.Node.Get("not_before") != nil):
		o.errorf(unknown.Origin, "", "an unknown key has neither a secret nor not_before")
	case !key.Unknown && o.Node.Get("unknown") == nil && o.Node.Get(field) == nil:
		o.errorf(o.At(), "", "%s is missing in %s", field, o.Path)
	}
	return key
}

// blame is the position of a field, or of its mapping when it is omitted.
func (o object) blame(field string) Origin {
	if n := o.Node.Get(field); n != nil {
		return n.Origin
	}
	return o.At()
}

// secret reads a sealed value. The flags choose it in the command that seals one in
// its place.
func (o object) secret(field string, flags ...string) Field[Secret] {
	n := o.Get(field)
	if n == nil {
		return Field[Secret]{}
	}
	file := "FILE"
	if plainPath().MatchString(n.Origin.File) {
		file = n.Origin.File
	}
	seal := append([]string{"secret", "encrypt", file}, flags...)
	name := o.Name(field)
	switch {
	case n.Null:
		o.errorf(n.Origin, "remove the line to leave it alone", "%s cannot be null: Terra cannot delete it", name)
		return Field[Secret]{}
	case !n.Tagged && looksSealed(n.Text):
		o.errorf(n.Origin, "write `!age |` behind the colon and the armored text below it", "%s is sealed, but does not stand under !age", name)
		return Field[Secret]{}
	case !n.Tagged:
		hint := "make a new one, because this one was in the repository, and seal it"
		if says, next := Elsewhere(n.Text); says != "" {
			o.errorf(n.Origin, next+", and seal it", "%s %s", name, says)
			o.typed(seal...)
			return Field[Secret]{}
		}
		o.errorf(n.Origin, hint, "%s is not sealed under !age", name)
		o.typed(seal...)
		return Field[Secret]{}
	}
	if strings.ContainsAny(n.Text, "…") || strings.Contains(n.Text, "\n...\n") {
		o.errorf(n.Origin, "seal your own secret", "%s is a placeholder, as examples have it", name)
		o.typed(seal...)
		return Field[Secret]{}
	}
	armor := tidyArmor(n.Text)
	if problem := checkArmor(armor); problem != "" {
		o.errorf(n.Origin, "seal it again", "%s %s", name, problem)
		o.typed(seal...)
		return Field[Secret]{}
	}
	return Field[Secret]{Presence: Given, Value: Secret{Armor: armor, Origin: n.Origin}, Origin: n.Origin}
}

// armorData is how the data of every armored age file begins.
const armorData = "YWdlLWVuY3J5cHRpb24ub3Jn"

// looksSealed knows an age file that lost its tag, or its first and last line too.
func looksSealed(text string) bool {
	return strings.Contains(text, armorBegin) || strings.HasPrefix(strings.TrimLeft(text, "| \t\r\n"), armorData)
}

// Elsewhere knows text that is no secret because another tool keeps it: what another
// tool sealed, or the name of a place that another tool fills in. It says so, and what
// to do; "" for all other text. Neither repeats the text.
func Elsewhere(text string) (says, next string) {
	text = strings.TrimSpace(text)
	for _, tool := range [...]struct{ begins, name, opens string }{
		{"ENC[AES256_GCM,", "SOPS", "open it with sops decrypt"},
		{"ENC[PKCS7,", "hiera-eyaml", "open it with eyaml decrypt"},
		{"ENC[GPG,", "hiera-eyaml", "open it with eyaml decrypt"},
		{"$ANSIBLE_VAULT;", "Ansible Vault", "open it with ansible-vault decrypt"},
		{"vault:v", "Vault's transit engine", "open it with vault write transit/decrypt/…"},
		{"-----BEGIN PGP MESSAGE-----", "PGP", "open it with gpg --decrypt"},
	} {
		if strings.HasPrefix(text, tool.begins) {
			return "is sealed by " + tool.name + ", which is not opened here", tool.opens
		}
	}
	for _, place := range [...]struct{ begins, ends string }{
		{"${", "}"}, {"{{", "}}"}, {"$(", ")"}, {"<%", "%>"}, {"op://", ""}, {"ref+", ""}, {"vault://", ""}, {"arn:aws:secretsmanager:", ""}, {"projects/", "/versions/latest"},
	} {
		if strings.HasPrefix(text, place.begins) && strings.HasSuffix(text, place.ends) && !strings.ContainsAny(text, "\n") {
			return "names a place where a secret is kept, which nothing here fills in", "take the secret itself from there"
		}
	}
	return "", ""
}

// tidyArmor puts armor that was indented, wrapped or folded on its way into the lines
// that age writes. Other text is trimmed only.
func tidyArmor(text string) string {
	text = strings.TrimSpace(text)
	body, begins := strings.CutPrefix(text, armorBegin)
	body, ends := strings.CutSuffix(body, armorEnd)
	data := strings.Join(strings.Fields(body), "")
	if !begins || !ends || data == "" {
		return text + "\n"
	}
	var out strings.Builder
	out.WriteString(armorBegin + "\n")
	for len(data) > 64 {
		out.WriteString(data[:64] + "\n")
		data = data[64:]
	}
	out.WriteString(data + "\n" + armorEnd + "\n")
	return out.String()
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
		if !armorLine().MatchString(line) {
			return "is damaged: a line between the first and the last is not armor"
		}
	}
	return ""
}

// address reads an absolute https URL.
func (o object) address(field string) Field[string] {
	f := o.Text(field)
	if !f.Given() {
		return f
	}
	u, err := url.Parse(f.Value)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || strings.ContainsAny(f.Value, " #") {
		o.errorf(f.Origin, "write it like `https://auth.example.com/callback`", "%s must be an https address without user name and fragment", o.Name(field))
		return Field[string]{}
	}
	return f
}

// IsPlaceholder reports a text that examples write where a value of one's own belongs, or
// that stands in the place of one that is not shown.
func IsPlaceholder(text string) bool { return yamlpos.IsPlaceholder(text) }
