package spec_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/terra-reconcile/terra-reconcile/spec"
)

// newKey is what the tests add: names as a provider without names of its own.
func newKey() spec.NewKey {
	return spec.NewKey{Names: []string{"client_secret"}, Armor: armor, Issued: "2026-11-26"}
}

// added is the entry as lines of a block whose dash stands at indent.
func added(indent int, more ...string) string {
	pad := strings.Repeat(" ", indent)
	out := pad + "- issued: 2026-11-26\n"
	for _, line := range more {
		out += pad + "  " + line + "\n"
	}
	return out + pad + "  client_secret: " + sealed(indent+4)
}

func TestAddKey(t *testing.T) {
	old := func(indent int) string { return strings.ReplaceAll(sealed(indent), "YWdl", "b2xk") }
	oldFlow := strings.ReplaceAll(flowArmor, "YWdl", "b2xk")
	flow := "{issued: 2026-11-26, client_secret: " + flowArmor + "}"
	due := func(k *spec.NewKey) { k.NotBefore = "2026-11-28T02:00:00Z" }
	unknown := func(k *spec.NewKey) { k.AfterUnknown = true }
	before := func(n int) func(*spec.NewKey) { return func(k *spec.NewKey) { k.Before = n } }
	virtuagym := func(k *spec.NewKey) { k.Names = []string{"api_key", "client_secret"} }
	for _, c := range []struct {
		name, src string
		with      func(*spec.NewKey)
		want      string
	}{
		{"after the last entry", "a: 1 # x\ncredentials:\n  keys: # oldest first\n    - {unknown: true}\n    # about it\n    - client_secret: " + old(8) + "  # below\n  z: 2\n", due,
			"a: 1 # x\ncredentials:\n  keys: # oldest first\n    - {unknown: true}\n    # about it\n    - client_secret: " + old(8) + added(4, "not_before: 2026-11-28T02:00:00Z") + "  # below\n  z: 2\n"},
		{"to a list that is not indented", "credentials:\n  keys:\n  - {unknown: true}\n  client_id: a\n", nil,
			"credentials:\n  keys:\n  - {unknown: true}\n" + added(2) + "  client_id: a\n"},
		{"where the dash stands alone", "credentials:\n  keys:\n  -\n    issued: 2026-01-01\n    client_secret: " + old(6) + "\n\n# end\n", nil,
			"credentials:\n  keys:\n  -\n    issued: 2026-01-01\n    client_secret: " + old(6) + added(2) + "\n\n# end\n"},
		{"before an entry, below the comments of the one above", "credentials:\n  keys:\n    - {unknown: true} # by hand\n    # gone soon\n\n    # in spring\n    # for all\n    - client_secret: " + old(8), before(2),
			"credentials:\n  keys:\n    - {unknown: true} # by hand\n    # gone soon\n\n" + added(4) + "    # in spring\n    # for all\n    - client_secret: " + old(8)},
		{"before the first", "credentials:\n  # ours\n  keys: # oldest first\n  # in spring\n  - client_secret: " + old(6) + "z: 2", before(1),
			"credentials:\n  # ours\n  keys: # oldest first\n" + added(2) + "  # in spring\n  - client_secret: " + old(6) + "z: 2"},
		{"before the last, in brackets", "credentials: {keys: [{unknown: true}, # hand\n   {client_secret: " + oldFlow + "}]}\n", before(2),
			"credentials: {keys: [{unknown: true}, # hand\n   " + flow + ", {client_secret: " + oldFlow + "}]}\n"},
		{"in brackets", "credentials: {keys: [{unknown: true}, # hand\n   ], z: 2}\n", nil, "credentials: {keys: [{unknown: true}, " + flow + ", # hand\n   ], z: 2}\n"},
		{"after a comma in braces", "credentials: {keys: [{unknown: true , } ]}\n", nil, "credentials: {keys: [{unknown: true , }, " + flow + " ]}\n"},
		{"in empty brackets", "credentials:\n  keys: []\n", nil, "credentials:\n  keys: [" + flow + "]\n"},
		{"beside a lone secret", "credentials:\n  client_id: a\n  # mine\n  client_secret: " + old(4) + "  # below\n  z: 2\n", nil,
			"credentials:\n  client_id: a\n  # mine\n  keys:\n    - client_secret: " + old(8) + added(4) + "  # below\n  z: 2\n"},
		{"beside a lone secret in braces", "credentials: {client_secret: " + oldFlow + " , z: 2} # c\n", due,
			"credentials: {keys: [{client_secret: " + oldFlow + "}, {issued: 2026-11-26, not_before: 2026-11-28T02:00:00Z, client_secret: " + flowArmor + "}] , z: 2} # c\n"},
		{"beside a lone secret of the provider's own name", "credentials:\n  api_key: " + old(4), virtuagym,
			"credentials:\n  keys:\n    - api_key: " + old(8) + strings.Replace(added(4), "client_secret", "api_key", 1)},
		{"with the name that the list uses", "credentials:\n  keys:\n    - client_secret: " + old(8), virtuagym,
			"credentials:\n  keys:\n    - client_secret: " + old(8) + added(4)},
		{"without a list", "credentials:\n  client_id: a\nz: 2\n", unknown, "credentials:\n  client_id: a\n  keys:\n    - {unknown: true}\n" + added(4) + "z: 2\n"},
		{"without a list, in braces", "credentials: {client_id: a}\n", unknown, "credentials: {keys: [{unknown: true}, " + flow + "], client_id: a}\n"},
		{"without credentials", "provider: strava", nil, "provider: strava\ncredentials:\n  keys:\n" + strings.TrimSuffix(added(4), "\n")},
		{"without credentials, in braces", "{provider: strava}", nil, "{credentials: {keys: [" + flow + "]}, provider: strava}"},
		{"keeps CRLF", "credentials:\r\n  client_secret: " + strings.ReplaceAll(old(4), "\n", "\r\n") + "z: 2\r\n", nil,
			strings.ReplaceAll("credentials:\n  keys:\n    - client_secret: "+old(8)+added(4)+"z: 2\n", "\n", "\r\n")},
		{"keeps a byte order mark and a missing last line end", "\ufeffcredentials:\n  client_secret: " + strings.TrimSuffix(old(4), "\n"), nil,
			"\ufeffcredentials:\n  keys:\n    - client_secret: " + old(8) + strings.TrimSuffix(added(4), "\n")},
	} {
		t.Run(c.name, func(t *testing.T) {
			key := newKey()
			if c.with != nil {
				c.with(&key)
			}
			got, err := spec.AddKey([]byte(c.src), key)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, string(got)); diff != "" {
				t.Errorf("file (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAddKeyRefuses(t *testing.T) {
	for _, c := range []struct {
		name, src string
		with      func(*spec.NewKey)
		want      string
	}{
		{"no armor", "a: 1\n", func(k *spec.NewKey) { k.Armor = planted }, "add key: the armor does not begin with the line -----BEGIN AGE ENCRYPTED FILE-----"},
		{"a date that is YAML", "a: 1\n", func(k *spec.NewKey) { k.Issued = "1}, x: {" }, "add key: a date must be like 2026-12-01 or 2026-12-01T14:30:00Z"},
		{"a moment that is YAML", "a: 1\n", func(k *spec.NewKey) { k.NotBefore = "soon" }, "add key: a date must be like 2026-12-01 or 2026-12-01T14:30:00Z"},
		{"a name that is YAML", "a: 1\n", func(k *spec.NewKey) { k.Names = []string{"a: b"} }, "add key: the name of a field to add must be a plain word"},
		{"no name", "a: 1\n", func(k *spec.NewKey) { k.Names = nil }, "add key: the name of a field to add must be a plain word"},
		{"a file that is not YAML", "a: [1\n", nil, "add key: 1:1: this is not valid YAML: a `[` is not closed, or a comma is missing"},
		{"credentials that are a text", "credentials: x\n", nil, "add key: 1:14: credentials must be a mapping"},
		{"keys that are a text", "credentials: {keys: x}\n", nil, "add key: 1:21: credentials.keys must be a list"},
		{"both", "credentials: {keys: [{unknown: true}], client_secret: x}\n", nil, "add key: 1:40: client_secret and keys cannot stand together; move it into keys"},
		{"unknown beside a list", "credentials: {keys: [{unknown: true}]}\n", func(k *spec.NewKey) { k.AfterUnknown = true }, "add key: the file has a key already, and only the first one can be unknown"},
		{"before an entry that is not there", "credentials: {keys: [{unknown: true}]}\n", func(k *spec.NewKey) { k.Before = 2 }, "add key: credentials.keys has no entry 2 to put it before"},
		{"before entry -1", "credentials: {keys: [{unknown: true}]}\n", func(k *spec.NewKey) { k.Before = -1 }, "add key: credentials.keys has no entry -1 to put it before"},
		{"before an entry where there is no list", "provider: strava\n", func(k *spec.NewKey) { k.Before = 1 }, "add key: credentials.keys has no entry 1 to put it before"},
		{"unknown beside a lone secret", "credentials: {client_secret: x}\n", func(k *spec.NewKey) { k.AfterUnknown = true }, "add key: the file has a key already, and only the first one can be unknown"},
		{"an explicit key", "credentials:\n  ? client_secret\n  : x\n", nil, "add key: the edit would change more than this field; write the field and its neighbours out in block style"},
		{"a text that is not indented", "credentials:\n  client_secret: \"a\nb: c\"\n", nil, "add key: the edit would change more than this field; write the field and its neighbours out in block style"},
	} {
		t.Run(c.name, func(t *testing.T) {
			key := newKey()
			if c.with != nil {
				c.with(&key)
			}
			out, err := spec.AddKey([]byte(c.src), key)
			if err == nil || err.Error() != c.want {
				t.Errorf("got  %v %q\nwant %s", err, out, c.want)
			}
		})
	}
}

func TestRemoveKeys(t *testing.T) {
	entry := func(when string) string {
		return "    - issued: " + when + " # " + when + "\n      client_secret: " + sealed(8)
	}
	src := "credentials:\n  keys:\n    # first\n    - {unknown: true}\n    # second\n" + entry("2026-01-01") + "\n" + entry("2026-02-01") + "z: 2\n"
	for _, c := range []struct {
		name, src string
		remove    []int
		want      string
	}{
		{"the first", src, []int{0}, strings.Replace(src, "    - {unknown: true}\n", "", 1)},
		{"two", src, []int{1, 0, 1}, "credentials:\n  keys:\n    # first\n    # second\n\n" + entry("2026-02-01") + "z: 2\n"},
		{"the last", src, []int{2}, strings.Replace(src, entry("2026-02-01"), "", 1)},
		{"the last where the line end is missing", "credentials:\r\n  keys:\r\n  - {unknown: true}\r\n  - {client_secret: x}", []int{1}, "credentials:\r\n  keys:\r\n  - {unknown: true}"},
		{"in brackets", "credentials: {keys: [{unknown: true} , # hand\n  {client_secret: x}, [3] ]}\n", []int{0}, "credentials: {keys: [ # hand\n  {client_secret: x}, [3] ]}\n"},
		{"the last in brackets", "credentials: {keys: [{unknown: true}, # hand\n  {client_secret: 'x]'}, # end\n ]}\n", []int{1}, "credentials: {keys: [{unknown: true} # hand\n, # end\n ]}\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := spec.RemoveKeys([]byte(c.src), c.remove)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, string(got)); diff != "" {
				t.Errorf("file (-want +got):\n%s", diff)
			}
		})
	}
	for _, c := range []struct {
		name, src string
		remove    []int
		want      string
	}{
		{"out of range", src, []int{3}, "remove key 4: 4:5: the list has no such entry"},
		{"negative", src, []int{-1}, "remove key 0: 4:5: the list has no such entry"},
		{"all", src, []int{0, 1, 2}, "remove key 1: 4:5: it is the only one"},
		{"no list", "credentials: {client_secret: x}\n", []int{0}, "remove key 1: credentials.keys is not a list"},
		{"no mapping", "credentials: x\n", []int{0}, "remove key 1: credentials.keys is not a list"},
		{"not YAML", "a: [\n", []int{0}, "remove key 1: 1:1: this is not valid YAML"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, err := spec.RemoveKeys([]byte(c.src), c.remove)
			if err == nil || err.Error() != c.want {
				t.Errorf("got  %v %q\nwant %s", err, out, c.want)
			}
		})
	}
}

// TestKeysInEveryStyle adds and removes keys in random files of all styles. What
// was removed again must give the file back, byte by byte.
func TestKeysInEveryStyle(t *testing.T) {
	const files = 1000
	rng := rand.New(rand.NewPCG(5, 26))
	lists := 0
	for range files {
		src, list := randomKeys(rng)
		key := newKey()
		key.AfterUnknown = list == 0 && rng.IntN(2) == 0
		out, err := spec.AddKey([]byte(src), key)
		if err != nil {
			t.Fatalf("%v\n%s", err, src)
		}
		checkAdded(t, src, string(out))
		if list < 1 {
			continue
		}
		lists++
		checkInserted(t, src, 1+rng.IntN(list))
		back, err := spec.RemoveKeys(out, []int{list})
		if err != nil || string(back) != src {
			t.Fatalf("%v: removed again, got\n%q\nwant\n%q", err, back, src)
		}
		first, err := spec.RemoveKeys(out, []int{0})
		if err != nil || comments(src) != comments(string(first)) || !isPart(string(first), string(out)) || len(secretsOf(t, first)) != list {
			t.Fatalf("%v: without the first, got\n%q\nof\n%q", err, first, out)
		}
	}
	if lists < files/4 {
		t.Errorf("only %d of %d files had a list", lists, files)
	}
	t.Logf("COUNT key_splices=%d", files)
}

// checkAdded: the secrets that were there come first, all bytes but white space
// are still there in their order, and line ends are as they were.
func checkAdded(t *testing.T, src, out string) {
	t.Helper()
	before, after := secretsOf(t, []byte(src)), secretsOf(t, []byte(out))
	if len(after) != len(before)+1 || after[len(after)-1].Armor != armor {
		t.Fatalf("got secrets %+v", after)
	}
	for i := range before {
		if after[i].Armor != before[i].Armor {
			t.Fatalf("secret %d changed", i)
		}
	}
	if !isPart(strings.Join(strings.Fields(src), ""), out) {
		t.Fatalf("something is gone from\n%s\nof\n%s", out, src)
	}
	if strings.HasSuffix(src, "\n") != strings.HasSuffix(out, "\n") {
		t.Fatalf("the last line end changed:\n%q", out)
	}
	if strings.Contains(src, "\r\n") != strings.Contains(out, "\r\n") || strings.Contains(src, "\r\n") && strings.Count(out, "\n") != strings.Count(out, "\r\n") {
		t.Fatalf("line ends are mixed:\n%q", out)
	}
	again, err := spec.AddKey([]byte(out), newKey()) // in the style that was just made
	if err != nil || len(again) <= len(out) {
		t.Fatalf("a second key: %v\n%s", err, out)
	}
}

// checkInserted puts a key before entry n and takes it out again.
func checkInserted(t *testing.T, src string, n int) {
	t.Helper()
	key := newKey()
	key.Before = n
	out, err := spec.AddKey([]byte(src), key)
	if err != nil {
		t.Fatalf("before %d: %v\n%s", n, err, src)
	}
	if all := secretsOf(t, out); all[n-1].Armor != armor || !isPart(src, string(out)) {
		t.Fatalf("before %d: got\n%s\nof\n%s", n, out, src)
	}
	back, err := spec.RemoveKeys(out, []int{n - 1})
	if err != nil || string(back) != src {
		t.Fatalf("before %d, and removed again: %v, got\n%q\nwant\n%q", n, err, back, src)
	}
}

func secretsOf(t *testing.T, src []byte) []spec.SecretAt {
	t.Helper()
	found, err := spec.Secrets(src)
	if err != nil {
		t.Fatalf("%v\n%s", err, src)
	}
	return found
}

// isPart reports whether the bytes of part stand in whole, in their order.
func isPart(part, whole string) bool {
	for i := range len(part) {
		at := strings.IndexByte(whole, part[i])
		if at < 0 {
			return false
		}
		whole = whole[at+1:]
	}
	return true
}

// randomKeys writes a file with list keys; -1 is a lone secret, 0 none.
func randomKeys(rng *rand.Rand) (src string, list int) {
	maybe := func(text string) string { return []string{"", text}[rng.IntN(2)] }
	indent := strings.Repeat(" ", 1+rng.IntN(4))
	comment := func(pad string) string { return maybe(pad+"# note\n") + maybe("\n") + maybe("# left\n") }
	list = rng.IntN(5) - 1
	var b strings.Builder
	b.WriteString("provider: strava" + maybe(" # which") + "\n" + comment("") + "credentials:" + maybe(" # ours") + "\n")
	b.WriteString(comment(indent) + indent + "client_id: \"1\"" + maybe(" # id") + "\n")
	switch {
	case list < 0:
		name := []string{"client_secret", `"client_secret"`, "'client_secret'"}[rng.IntN(3)]
		b.WriteString(comment(indent) + indent + name + ": " + randomSecret(rng, len(indent)))
	case list > 0 && rng.IntN(3) == 0:
		b.WriteString(indent + "keys: [")
		for i := range list {
			b.WriteString("{issued: 2026-01-0" + fmt.Sprint(i+1) + ", client_secret: " + flowArmor + "}")
			if i < list-1 {
				b.WriteString(" , " + maybe("# between\n"+indent+"  "))
			}
		}
		b.WriteString(maybe(",") + maybe(" # last\n  "+indent) + "]" + maybe(" # c") + "\n")
	case list > 0:
		dash := indent + strings.Repeat(" ", rng.IntN(3))
		b.WriteString(comment(indent) + indent + "keys:" + maybe(" # oldest first") + "\n")
		for i := range list {
			head := []string{"- ", "-   ", "- # new\n" + dash + "  "}[rng.IntN(3)]
			at := len(dash) + 2
			if head == "-   " {
				at += 2
			}
			b.WriteString(comment(dash) + dash + head + "issued: 2026-01-0" + fmt.Sprint(i+1) + maybe(" # when") + "\n" + maybe(strings.Repeat(" ", at)+"# deep\n"))
			b.WriteString(strings.Repeat(" ", at) + "client_secret: " + randomSecret(rng, at))
		}
	}
	b.WriteString(comment(indent) + maybe(indent+"redirect_url: https://a.example\n") + comment("") + maybe("scopes: [a] # s\n"))
	src = b.String()
	if rng.IntN(3) == 0 {
		src = strings.TrimRight(src, "\n")
	}
	if rng.IntN(3) == 0 {
		src = strings.ReplaceAll(src, "\n", "\r\n")
	}
	return maybe("\ufeff") + src, list
}

// randomSecret is a sealed value below a name at indent.
func randomSecret(rng *rand.Rand, indent int) string {
	switch rng.IntN(4) {
	case 0:
		return flowArmor + []string{"", " # quoted"}[rng.IntN(2)] + "\n"
	case 1:
		return strings.Replace(sealed(indent+1+rng.IntN(5)), "|\n", "|- # armor\n", 1)
	case 2:
		return strings.Replace(sealed(indent+2), "|\n", "|2\n", 1)
	}
	return sealed(indent + 1 + rng.IntN(5))
}
