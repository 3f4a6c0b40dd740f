package plan

import (
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// A shell reads from the line of a command the words that it has, and so do we.
func TestCommandIsReadByShells(t *testing.T) {
	for _, c := range []Command{
		{"resume"}, {"rotate", "add", "production/strava"}, {"--state", "it's", "--repo", "two words", "now"},
		{"", "plain", `"$HOME" \ !`, "-x", "~", "a`b`", "*", "é", "''", `\`, "a'"},
	} {
		line := c.String()
		out, err := exec.Command("sh", "-c", `reconcile() { printf '%s\n' "$@"; }; `+line).Output()
		if want := strings.Join(c, "\n") + "\n"; err != nil || string(out) != want {
			t.Errorf("%s: a shell reads %q, %v", line, out, err)
		}
		text, err := json.Marshal(struct{ Command Command }{c})
		var back struct{ Command Command }
		if err != nil || json.Unmarshal(text, &back) != nil || !slices.Equal(back.Command, c) {
			t.Errorf("%s: read back as %q", text, back.Command)
		}
	}
	if text, err := json.Marshal(Command(nil)); err != nil || string(text) != `""` {
		t.Errorf("no command: got %s, %v", text, err)
	}
	for _, line := range []string{"terraform apply", "reconcile  now", "reconcile 'now", "reconcile 'now'", "reconcile ; rm -rf /", "reconcilenow", "reconcile now "} {
		var c Command
		if err := c.UnmarshalText([]byte(line)); err == nil {
			t.Errorf("%q: read as %q", line, c)
		}
	}
}

// What is to be committed goes into a file of the environment that it is about: of a
// connection that no file names, beside environment.yaml.
func TestRemediationsNameFilesOfTheirEnvironment(t *testing.T) {
	seen := map[string]int{}
	for name, archive := range stories(t) {
		f := inputOf(t, archive)
		f.Environment.Name, f.Environment.Origin = "staging", "staging/environment.yaml:1"
		for _, c := range planOf(f).Changes {
			for _, n := range c.Remediations {
				if n.File == "" || n.YAML == "" {
					continue
				}
				want := "staging/" + c.Provider + ".yaml"
				switch k := f.input().of(c.Provider); {
				case k.Desired != nil && !strings.HasSuffix(n.File, "environment.yaml"):
					want = file(k.Desired.Origin)
				case strings.HasSuffix(n.File, "environment.yaml"):
					want = "staging/environment.yaml"
				default:
					seen[c.Provider]++
				}
				if n.File != want {
					t.Errorf("%s: %s: %q goes into %s, want %s", name, c.ID, n.YAML, n.File, want)
				}
			}
		}
	}
	if len(seen) == 0 {
		t.Error("no story has a connection that no file names")
	}
}
