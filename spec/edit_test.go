package spec_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/terra-reconcile/terra-reconcile/spec"
)

const flowArmor = `!age "-----BEGIN AGE ENCRYPTED FILE-----\nYWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IFgyNTUxOSBleGFtcGxl\n-----END AGE ENCRYPTED FILE-----\n"`

func block(indent int) string { return strings.TrimSuffix(sealed(indent), "\n") }

func TestSetSecret(t *testing.T) {
	secret := []string{"credentials", "client_secret"}
	old := strings.ReplaceAll(sealed(6), "YWdl", "b2xk")
	for _, c := range []struct {
		name, src string
		path      []string
		want      string
	}{
		{"replaces a plain scalar and keeps its comment", "a: 1 # x\ncredentials:\n  client_secret: plain   # rotate me\n  z: 2\n", secret, "a: 1 # x\ncredentials:\n  client_secret: " + strings.Replace(sealed(4), "|\n", "|   # rotate me\n", 1) + "  z: 2\n"},
		{"replaces a quoted scalar over two lines", "credentials:\n  client_secret: \"pla\\\"in\n    text\"\n  z: 2\n", secret, "credentials:\n  client_secret: " + sealed(4) + "  z: 2\n"},
		{"replaces a single-quoted scalar", "credentials:\n  client_secret: 'it''s'\n", secret, "credentials:\n  client_secret: " + sealed(4)},
		{"replaces a block and keeps its indent, blank lines and comments", "credentials:\n  client_secret: " + old + "\n  # about z\n  z: 2\n", secret, "credentials:\n  client_secret: " + sealed(6) + "\n  # about z\n  z: 2\n"},
		{"replaces a folded block with indicators", "credentials:\n  client_secret: >2-\n    a\n\n    b\nz: 2", secret, "credentials:\n  client_secret: " + sealed(4) + "z: 2"},
		{"replaces a sealed text in quotes", "credentials:\n  client_secret: !age 'x'\nz: 2\n", secret, "credentials:\n  client_secret: " + sealed(4) + "z: 2\n"},
		{"replaces an empty tag", "credentials:\n  client_secret: !age\nz: 2\n", secret, "credentials:\n  client_secret: " + sealed(4) + "z: 2\n"},
		{"replaces nothing after the colon", "credentials:\n  client_secret:\n  z: 2\n", secret, "credentials:\n  client_secret: " + sealed(4) + "  z: 2\n"},
		{"replaces null", "credentials:\n  client_secret: null\n", secret, "credentials:\n  client_secret: " + sealed(4)},
		{"keeps CRLF", "a: 1\r\ncredentials:\r\n  client_secret: x\r\nz: 2\r\n", secret, strings.ReplaceAll("a: 1\ncredentials:\n  client_secret: "+sealed(4)+"z: 2\n", "\n", "\r\n")},
		{"keeps a byte order mark", "\ufeffclient_secret: ü\n", []string{"client_secret"}, "\ufeffclient_secret: " + sealed(2)},
		{"keeps a missing last line end", "credentials:\n  client_secret: x", secret, "credentials:\n  client_secret: " + block(4)},
		{"keeps a missing last line end of a block", "credentials:\n  client_secret: " + strings.TrimSuffix(old, "\n"), secret, "credentials:\n  client_secret: " + block(6)},
		{"replaces in braces", "credentials: {client_id: ü, client_secret: 'old', z: 2} # c\n", secret, "credentials: {client_id: ü, client_secret: " + flowArmor + ", z: 2} # c\n"},
		{"replaces nothing in braces", "credentials: {client_secret: , z: 2}\n", secret, "credentials: {client_secret: " + flowArmor + ", z: 2}\n"},
		{"adds in braces", "credentials: { client_id: a }\n", secret, "credentials: {client_secret: " + flowArmor + ",  client_id: a }\n"},
		{"adds in empty braces", "credentials: {}\n", secret, "credentials: {client_secret: " + flowArmor + "}\n"},
		{"adds mappings in braces", "{provider: strava}", secret, "{credentials: {client_secret: " + flowArmor + "}, provider: strava}"},
		{"adds after the last line of a mapping", "credentials:\n    client_id: a\n\n    # last\n\n# next\nscopes: [a]\n", secret, "credentials:\n    client_id: a\n\n    # last\n    client_secret: " + sealed(6) + "\n# next\nscopes: [a]\n"},
		{"adds the mapping too", "provider: strava\nscopes:\n- a\n", secret, "provider: strava\nscopes:\n- a\ncredentials:\n  client_secret: " + sealed(4)},
		{"adds where the last line end is missing", "provider: strava", secret, "provider: strava\ncredentials:\n  client_secret: " + block(4)},
		{"adds before the end of the document", "provider: strava\n...\n", secret, "provider: strava\ncredentials:\n  client_secret: " + sealed(4) + "...\n"},
		{"replaces in an entry of a list", "credentials:\n  keys:\n    - {unknown: true}\n    - issued: 2026-01-01\n      client_secret: x\n    - issued: 2026-02-01\n", []string{"credentials", "keys", "1", "client_secret"}, "credentials:\n  keys:\n    - {unknown: true}\n    - issued: 2026-01-01\n      client_secret: " + sealed(8) + "    - issued: 2026-02-01\n"},
		{"adds to an entry of a list", "credentials:\n  keys:\n  - issued: 2026-01-01\n  - issued: 2026-02-01\nz: 1\n", []string{"credentials", "keys", "0", "client_secret"}, "credentials:\n  keys:\n  - issued: 2026-01-01\n    client_secret: " + sealed(6) + "  - issued: 2026-02-01\nz: 1\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := spec.SetSecret([]byte(c.src), c.path, armor)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, string(got)); diff != "" {
				t.Fatalf("file (-want +got):\n%s", diff)
			}
			again, err := spec.SetSecret(got, c.path, armor)
			if err != nil || !bytes.Equal(again, got) {
				t.Errorf("a second time got %q, %v", again, err)
			}
			found, err := spec.Secrets(got)
			if err != nil || len(found) != 1 || !cmp.Equal(found[0].Path, c.path) || found[0].Armor != armor {
				t.Errorf("got secrets %+v, %v", found, err)
			}
		})
	}
}

func TestSetSecretRefuses(t *testing.T) {
	for _, c := range []struct {
		name, src string
		path      []string
		armor     string
		want      string
	}{
		{"text that is no armor", "a: 1\n", []string{"a"}, planted, "set secret: the armor does not begin with the line -----BEGIN AGE ENCRYPTED FILE-----"},
		{"an empty path", "a: 1\n", nil, armor, "set secret : the path is empty"},
		{"a file that is no mapping", "- 1\n", []string{"a"}, armor, "set secret a: the file must be a mapping"},
		{"a file that is not YAML", "a: [1\n", []string{"a"}, armor, "set secret a: 1:1: this is not valid YAML: a `[` is not closed, or a comma is missing"},
		{"an alias", "a: &x 1\nb: *x\n", []string{"b"}, armor, "set secret b: 1:4: anchors are not allowed, write the value where it is needed"},
		{"a mapping", "a: {b: 1}\n", []string{"a"}, armor, "set secret a: 1:4: only a text can be replaced"},
		{"a text on the way", "a: 1\n", []string{"a", "b"}, armor, "set secret a.b: 1:4: a text stands where a mapping is needed"},
		{"an entry that is not there", "a: [{b: 1}]\n", []string{"a", "1", "b"}, armor, "set secret a.1.b: 1:4: the list has no such entry"},
		{"an entry itself", "a: [b]\n", []string{"a", "0"}, armor, "set secret a.0: 1:5: only a text can be replaced"},
		{"a name that is YAML", "a: 1\n", []string{"b: 2\nc"}, armor, "set secret \"b: 2\\nc\": the name of a field to add must be a plain word"},
		{"a plain text over two lines", "a: one\n  two\n", []string{"a"}, armor, "set secret a: the edit would change more than this field; write the field and its neighbours out in block style"},
		{"a place inside a text that is not indented", "credentials:\n  client_id: \"a\nb: c\"\n", []string{"credentials", "client_secret"}, armor, "set secret credentials.client_secret: the edit would change more than this field; write the field and its neighbours out in block style"},
		{"a tag on another line", "a: !age\n  |\n  x\nb: 1\n", []string{"a"}, armor, "set secret a: the edit would change more than this field; write the field and its neighbours out in block style"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, err := spec.SetSecret([]byte(c.src), c.path, c.armor)
			if err == nil {
				t.Fatalf("got %q, want an error", out)
			}
			if err.Error() != c.want {
				t.Errorf("got  %s\nwant %s", err, c.want)
			}
		})
	}
}

// However armor was pasted, it is the text that age wrote: a token and the lock name
// it by that.
func TestArmorIsTidied(t *testing.T) {
	data := strings.Repeat("YWdlLWVuY3J5cHRpb24ub3JnL3Yx", 5) + "Cg=="
	want := "-----BEGIN AGE ENCRYPTED FILE-----\n" + data[:64] + "\n" + data[64:128] + "\n" + data[128:] + "\n-----END AGE ENCRYPTED FILE-----\n"
	lines := strings.Split(strings.TrimSpace(want), "\n")
	for name, value := range map[string]string{
		"as age writes it":   "!age |\n    " + strings.Join(lines, "\n    "),
		"CRLF":               "!age |\r\n    " + strings.Join(lines, "\r\n    "),
		"indented inside":    "!age |\n    " + lines[0] + "\n      " + strings.Join(lines[1:4], "\n      ") + "\n    " + lines[4],
		"blank lines":        "!age |\n\n    " + strings.Join(lines, "\n\n    ") + "\n\n",
		"spaces at the ends": "!age |\n    " + strings.Join(lines, "  \n    ") + "  ",
		"folded":             "!age >\n    " + strings.Join(lines, "\n    "),
		"plain":              "!age " + strings.Join(lines, "\n    "),
		"wrapped at 76":      "!age |\n    " + lines[0] + "\n    " + data[:76] + "\n    " + data[76:] + "\n    " + lines[4],
		"in quotes":          `!age "` + strings.Join(lines, `\n`) + `"`,
	} {
		found, err := spec.Secrets([]byte("credentials:\n  client_secret: " + value + "\n"))
		if err != nil || len(found) != 1 || found[0].Armor != want {
			t.Errorf("%s: got %q, %v", name, found, err)
		}
	}
}

func TestSecretsListsEverySealedValue(t *testing.T) {
	src := "a: !age x\nkeys:\n  - {client_secret: !age 'y'}\n  - client_secret: " + sealed(6)
	found, err := spec.Secrets([]byte(src))
	if err != nil {
		t.Fatal(err)
	}
	want := []spec.SecretAt{
		{Path: []string{"a"}, Origin: spec.Origin{Line: 1, Column: 4}, Armor: "x\n"},
		{Path: []string{"keys", "0", "client_secret"}, Origin: spec.Origin{Line: 3, Column: 21}, Armor: "y\n"},
		{Path: []string{"keys", "1", "client_secret"}, Origin: spec.Origin{Line: 4, Column: 20}, Armor: armor},
	}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("secrets (-want +got):\n%s", diff)
	}
	if _, err := spec.Secrets([]byte("a: *x\n")); err == nil || err.Error() != "list secrets: 1:1: aliases are not allowed, write the value out" {
		t.Errorf("got %v", err)
	}
}
