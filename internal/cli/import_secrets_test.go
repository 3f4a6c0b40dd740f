package cli

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
)

// expanded is how a shell hands the words of a line to reconcile, and its variables.
func expanded(t *testing.T, line string) (editor string, args []string) {
	t.Helper()
	out, err := exec.Command("sh", "-c", `bw() { :; }; reconcile() { printf '%s\0' "$EDITOR" "$@"; }; `+line).Output()
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	words := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
	return words[0], words[1:]
}

// TestExamplesOfSealingManyWork types each example of the help of import and of secret
// edit, in a repository as init and import make it.
func TestExamplesOfSealingManyWork(t *testing.T) {
	home, bin := t.TempDir(), t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	if err := os.WriteFile(filepath.Join(bin, "vim"), []byte("#!/bin/sh\ntest $# = 3 && sed -i s/5f1d/6f1d/ \"$3\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(home, "terra-config")
	begins(t, home, 0, dir, "--env", "production", "--dev-id", "acme-prod-x81LmQ")
	e := newExampleOf(t, dir, time.Date(2026, 11, 30, 9, 0, 0, 0, time.UTC))
	e.vars["RECONCILE_AGE_KEY_FILE"] = filepath.Join(home, ".config", "terra-reconcile", "identity.txt")
	e.terra.AddEnvironment("acme-prod-x81LmQ", terratest.EnvironmentOptions{})
	e.terra.Enable("acme-prod-x81LmQ", "strava")
	e.terra.SetCredential("acme-prod-x81LmQ", "strava", terratest.Credential{ClientID: "123456", Secret: typedSecret})
	write(t, filepath.Join(home, "secrets.txt"), "production/strava client_secret="+typedSecret+"\n")
	t.Chdir(dir)
	ran := 0
	for _, cmd := range []*cobra.Command{newImportCommand(&Process{}), newSecretEditCommand(&Process{})} {
		for line := range strings.Lines(cmd.Example) {
			editor, args := expanded(t, strings.TrimSpace(line))
			if editor == "" {
				editor = "true"
			}
			e.vars["EDITOR"] = editor
			var out bytes.Buffer
			code := Run(t.Context(), args, &Process{
				Stdin:  strings.NewReader(`[{"name": "production/strava", "login": {"username": "123456", "password": "` + typedSecret + `"}}]`),
				Stdout: &out, Stderr: &out, Getenv: func(name string) string { return e.vars[name] }, Now: func() time.Time { return e.now }, Version: "test",
			})
			if code != exitOK || strings.Contains(out.String(), typedSecret[8:16]) {
				t.Errorf("%s: exit code %d\n%s", line, code, &out)
			}
			ran++
		}
	}
	if ran != 6 {
		t.Errorf("%d examples were run", ran)
	}
	if sealed := e.run(0, "secret", "decrypt", "production/strava.yaml"); sealed != strings.Replace(typedSecret, "5f1d", "6f1d", 1)+"\n" {
		t.Error("the file holds another secret than the last example sealed")
	}
}

// TestSecretsFilesAreReadByOneRule: a value is the same however it is written.
func TestSecretsFilesAreReadByOneRule(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"production/strava client_secret=a=b#c",
		"\ufeffproduction/strava client_secret = a=b#c  \r\n",
		"# a note\n\n  export PRODUCTION_STRAVA_CLIENT_SECRET='a=b#c'",
		`Production-Strava.Client-Secret="a=b#c"`,
		`{"name": "production/strava", "login": {"password": "a=b#c"}}`,
		`{"items": [{"title": "Production: Strava", "fields": [{"label": "client secret", "type": "CONCEALED", "value": "a=b#c"}]}]}`,
		`[{"name": "production/strava", "fields": [{"name": "client_secret", "type": 1, "value": "a=b#c"}]}]`,
	} {
		all, wrong := readGiven([]byte(text))
		if len(all) != 1 || len(wrong) > 0 || all[0].place != "PRODUCTION_STRAVA_CLIENT_SECRET" || all[0].value.Reveal() != "a=b#c" {
			t.Errorf("%q: got %v, %v", text, all, wrong)
		}
	}
}

// FuzzSecretsFile: whatever a file holds, each line of it is named at most once, and
// nothing of it is repeated.
func FuzzSecretsFile(f *testing.F) {
	for _, text := range []string{
		"a b=c", "A='", `{"items": [{"name": "x", "login": {"password": "y"}}]}`, `[{"title": "x", "fields": [{"type": 3, "value": "v"}]}] {}`, "[1]", `{"items": 3}`, "{\n\"", "[[{}]]",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		all, wrong := readGiven(bytes.Clone(text))
		lines := bytes.Count(text, []byte("\n")) + bytes.Count(text, []byte("\x00\n")) + bytes.Count(text, []byte("\n\x00")) + 1
		for _, g := range all {
			if g.line < 1 || g.line > lines || g.value.IsZero() {
				t.Errorf("line %d of %d", g.line, lines)
			}
		}
		for _, w := range wrong {
			if w.line < 1 || w.line > lines || w.says == "" {
				t.Errorf("line %d of %d: %q", w.line, lines, w.says)
			}
		}
	})
}
