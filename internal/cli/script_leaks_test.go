package cli

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

// piece is how many bytes of a secret in a row are too many.
const piece = 8

// ciphertext is what is sealed: anything may stand in it by chance.
var ciphertext = regexp.MustCompile(`(?s)-----BEGIN AGE ENCRYPTED FILE-----.*?-----END AGE ENCRYPTED FILE-----`)

// forms maps each form in which a piece of a secret may stand in a text to the
// name of the form.
func forms(secret string) map[string]string {
	out := map[string]string{secret: "whole"}
	for i := 0; i+piece <= len(secret); i++ {
		part := secret[i : i+piece]
		encoded := hex.EncodeToString([]byte(part))
		out[encoded], out[strings.ToUpper(encoded)] = "hex", "hex"
		out[url.QueryEscape(part)], out[url.PathEscape(part)] = "URL-encoded", "URL-encoded"
		out[part] = "as it is"
	}
	// Nine bytes at a position that base64 begins a group with: one of any three
	// neighbours is.
	for i := 0; i+9 <= len(secret); i++ {
		part := []byte(secret[i : i+9])
		out[base64.StdEncoding.EncodeToString(part)] = "base64"
		out[base64.URLEncoding.EncodeToString(part)] = "base64"
	}
	return out
}

// searchLeaks looks for what was planted in everything the script left behind.
func (s *scene) searchLeaks(t testing.TB) {
	all := map[string]string{}
	lengths := map[int]bool{}
	for _, secret := range s.planted {
		for text, form := range forms(secret) {
			all[text] = form
			lengths[len(text)] = true
		}
	}
	looked := 0
	err := filepath.WalkDir(s.work, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(s.work, path)
		if err != nil {
			return err
		}
		looked++
		if form := leak(name, text, all, slices.Sorted(maps.Keys(lengths))); form != "" {
			t.Errorf("LEAK: %s holds a piece of a secret, %s", name, form)
		}
		return nil
	})
	if err != nil {
		t.Errorf("search for leaks: %v", err)
	}
	if looked < len(s.outputs) {
		t.Errorf("searched %d files, want at least the %d outputs", looked, len(s.outputs))
	}
}

// leak says in which form a piece stands in a file, "" for none. The files whose
// purpose is to hold a secret are named secret-* or identity*.
func leak(name string, text []byte, forms map[string]string, lengths []int) string {
	if base := filepath.Base(name); strings.HasPrefix(base, "identity") || strings.HasPrefix(base, "secret-") {
		return ""
	}
	text = ciphertext.ReplaceAll(text, nil)
	for _, n := range lengths {
		for i := 0; i+n <= len(text); i++ {
			if form, ok := forms[string(text[i:i+n])]; ok {
				return form
			}
		}
	}
	return ""
}

// TestLeaksAreFound proves the search: each form of a piece is found, a mask is
// not.
func TestLeaksAreFound(t *testing.T) {
	const secret = "q8Zt3LmX0vRw7/cY5b+d2HsG9j"
	all := forms(secret)
	lengths := map[int]bool{}
	for text := range all {
		lengths[len(text)] = true
	}
	sorted := slices.Sorted(maps.Keys(lengths))
	part := secret[5:20]
	for name, text := range map[string]string{
		"piece":   "x" + secret[3:11] + "x",
		"hex":     hex.EncodeToString([]byte("ab" + part)),
		"base64a": base64.StdEncoding.EncodeToString([]byte(part)),
		"base64b": base64.StdEncoding.EncodeToString([]byte("a" + part)),
		"base64c": base64.RawURLEncoding.EncodeToString([]byte("ab" + part)),
		"url":     url.QueryEscape(secret),
	} {
		if leak(name, []byte(text), all, sorted) == "" {
			t.Errorf("%s: a leak is not found", name)
		}
	}
	for name, text := range map[string]string{
		"mask": "****" + secret[len(secret)-4:], "seven": secret[:7],
		"sealed":       "-----BEGIN AGE ENCRYPTED FILE-----\n" + secret + "\n-----END AGE ENCRYPTED FILE-----",
		"identity.txt": secret,
	} {
		if form := leak(name, []byte(text), all, sorted); form != "" {
			t.Errorf("%s: got %s, want no leak", name, form)
		}
	}
}

// planHashCommand takes production's plan hash out of a JSON report.
func planHashCommand(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2, 3, "planhash FILE NAME [ENVIRONMENT|CONNECTION]")
	var r struct {
		Environments []struct {
			Name string `json:"name"`
			Hash string `json:"plan_hash"`

			Connections []struct {
				Name string `json:"connection"`
				Hash string `json:"plan_hash"`
			} `json:"connections"`
		} `json:"environments"`
	}
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &r))
	set := func(hash string) {
		ts.Setenv(args[1], hash)
		ts.Setenv(args[1]+"8", plan.ShortHash(hash, 8))
	}
	for _, e := range r.Environments {
		if len(args) == 2 && e.Name == "production" || len(args) == 3 && e.Name == args[2] {
			set(e.Hash)
			return
		}
		for _, c := range e.Connections {
			if len(args) == 3 && c.Name == args[2] {
				set(c.Hash)
				return
			}
		}
	}
	ts.Fatalf("%s: no such plan", args[0])
}

// shapeCommand lists the fields of a JSON document with their types, one a line,
// on its standard output.
func shapeCommand(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 1, 1, "shape FILE")
	var document any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &document))
	fields := map[string]bool{}
	shape("", document, fields)
	_, err := ts.Stdout().Write([]byte(strings.Join(slices.Sorted(maps.Keys(fields)), "\n") + "\n"))
	ts.Check(err)
}

func shape(at string, value any, fields map[string]bool) {
	switch v := value.(type) {
	case map[string]any:
		for name, inner := range v {
			shape(strings.TrimPrefix(at+"."+name, "."), inner, fields)
		}
	case []any:
		if len(v) == 0 {
			fields[at+"[]"] = true
		}
		for _, inner := range v {
			shape(at+"[]", inner, fields)
		}
	case string:
		fields[at+" text"] = true
	case float64:
		fields[at+" number"] = true
	case bool:
		fields[at+" boolean"] = true
	default:
		fields[at+" null"] = true
	}
}
