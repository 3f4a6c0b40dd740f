package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
)

// FuzzParse reads wild files: it returns, says where in the file each problem is, on
// one line, and what it takes has what nobody may leave out.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, file := range append(files, "testdata/full.yaml") {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
	}
	f.Add(smallest)
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse("daemon.yaml", []byte(text), env(nil))
		invalid := (*InvalidError)(nil)
		lines := 1 // as YAML counts them
		for _, end := range []string{"\n", "\r", "\u0085", "\u2028", "\u2029"} {
			lines += strings.Count(text, end)
		}
		switch {
		case errors.As(err, &invalid):
			for _, p := range invalid.Problems {
				if p.Origin.Line > lines || (p.Origin.Line == 0) != (p.Origin.Column == 0) || strings.ContainsFunc(p.String(), unicode.IsControl) {
					t.Errorf("%q is no place of the file, or no line", p)
				}
			}
		case err != nil:
			t.Fatal(err)
		case c.Repo.URL == "" || len(c.Accounts) == 0 || c.Listen == "" || c.Repo.Poll <= 0 || c.CycleDeadline <= 0:
			t.Errorf("it is taken without what it needs: %+v", c)
		}
		for name, a := range c.Accounts {
			if _, err := checkBaseURL(a.BaseURL); err != nil || len(a.DevIDs) == 0 || !a.Token.IsSet() {
				t.Errorf("account %q is taken as %+v", name, a)
			}
		}
	})
}
