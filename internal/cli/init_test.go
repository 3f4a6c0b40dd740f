package cli

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
)

// begins runs init in an empty home folder, and gives what was printed.
func begins(t *testing.T, home string, want int, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	code := Run(t.Context(), append([]string{"init"}, args...), &Process{
		Stdin: strings.NewReader(""), Stdout: &out, Stderr: &out, Version: "test", Now: time.Now,
		Getenv: func(name string) string { return map[string]string{"HOME": home}[name] },
	})
	if code != want {
		t.Fatalf("init %q: got exit code %d, want %d\n%s", args, code, want, &out)
	}
	return out.String()
}

// TestInitAndImport goes from nothing to a repository without a difference, with what
// init printed and no file of a person's.
func TestInitAndImport(t *testing.T) {
	home, dir := t.TempDir(), filepath.Join(t.TempDir(), "config")
	printed := begins(t, home, 0, dir, "--env", "live", "--dev-id", importedDevID)
	identity := filepath.Join(home, ".config", "terra-reconcile", "identity.txt")
	info, err := os.Stat(identity)
	if err != nil || info.Mode().Perm() != 0o600 || !strings.Contains(printed, identity) {
		t.Fatalf("identity: %v, %v\n%s", info, err, printed)
	}
	for _, name := range []string{"terra.yaml", ".gitignore", ".github/workflows/reconcile.yml", "live/environment.yaml"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || strings.Contains(string(text), "AGE-SECRET-KEY") {
			t.Errorf("%s: %v\n%s", name, err, text)
		}
	}
	e := newExampleOf(t, dir, time.Date(2026, 11, 30, 9, 0, 0, 0, time.UTC))
	e.terra.AddEnvironment(importedDevID, terratest.EnvironmentOptions{})
	e.vars["RECONCILE_AGE_KEY_FILE"] = identity
	e.terra.Enable(importedDevID, "strava")
	e.terra.SetCredential(importedDevID, "strava", terratest.Credential{ClientID: "123456", Secret: "aSecretNobodyMayRead0001"})
	e.imports(0)
	e.run(0, "validate", e.repository())
	e.commit("Import")
	e.run(0, "--repo", e.repository(), "--dry-run")
	for name, kind := range map[string]string{"terra.yaml": "terra", "live/environment.yaml": "environment", "live/strava.yaml": "connection"} {
		first, _, _ := strings.Cut(e.read(name), "\n")
		path, found := strings.CutPrefix(first, "# yaml-language-server: $schema=")
		if named, err := filepath.Rel(dir, filepath.Join(dir, filepath.Dir(name), path)); err != nil || !found || named != "schema/"+kind+".schema.json" {
			t.Errorf("%s names %q as its schema (%v)", name, first, err)
		}
	}
	before := e.read("schema/connection.schema.json")
	e.run(0, "schema", e.repository())
	if after := e.read("schema/connection.schema.json"); after != before {
		t.Error("schema writes another schema than init")
	}

	// A second repository takes the identity that is there.
	again := filepath.Join(t.TempDir(), "again")
	if out := begins(t, home, 0, again); !strings.Contains(out, "which was there") {
		t.Errorf("said %s", out)
	}
	first, _ := os.ReadFile(filepath.Join(dir, "terra.yaml"))
	if second, err := os.ReadFile(filepath.Join(again, "terra.yaml")); err != nil || !bytes.Equal(first, second) {
		t.Errorf("%v: %s", err, second)
	}
}

// TestInitOverwritesNothing leaves alone what is there, and refuses what it could only
// do wrong, before it writes anything.
func TestInitOverwritesNothing(t *testing.T) {
	for name, c := range map[string]struct {
		there map[string]string
		args  []string
		code  int
		says  string
	}{
		"a .gitignore of theirs":                  {map[string]string{".gitignore": "mine\n"}, nil, 0, "left as it was: .gitignore"},
		"a repository":                            {map[string]string{"terra.yaml": "version: 1\n"}, nil, 1, "there is a terra.yaml in "},
		"a repository, other spelling":            {map[string]string{"terra.yml": "version: 1\n"}, nil, 1, "there is a terra.yaml in "},
		"a repository, and an environment for it": {map[string]string{"terra.yaml": "version: 1\n"}, []string{"--env", "staging", "--dev-id", "x"}, 1, "add an environment: reconcile import --env staging --dev-id x --out "},
		"an environment alone":                    {nil, []string{"--env", "production"}, 64, "--env and --dev-id go together"},
		"a dev-id that is none":                   {nil, []string{"--env", "live", "--dev-id", "~"}, 64, "--dev-id: no environment of Terra has that name"},
		"an environment outside":                  {nil, []string{"--env", "../production", "--dev-id", "x"}, 64, "no folder of an environment can have that name"},
		"an environment is a file":                {map[string]string{"live": ""}, []string{"--env", "live", "--dev-id", "x"}, 1, "live is no folder"},
		"an identity in the repository":           {nil, []string{"--identity", "IN/me.txt"}, 64, "it would be a private key in a repository"},
		"a recipient that is none":                {nil, []string{"--recipient", "age1…"}, 64, "--recipient: "},
		"a private key as recipient":              {nil, []string{"--recipient", "AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQ"}, 64, "make a new one"},
		"two ways to say who":                     {nil, []string{"--recipient", "age1x", "--post-quantum"}, 64, "--recipient names who can open the secrets"},
		"a forge that is none":                    {nil, []string{"--ci", "svn"}, 64, "use github, gitlab, forgejo or none"},
	} {
		t.Run(name, func(t *testing.T) {
			home, dir := t.TempDir(), t.TempDir()
			for name, text := range c.there {
				write(t, filepath.Join(dir, name), text)
			}
			args := append([]string{dir}, c.args...)
			for i := range args {
				args[i] = strings.Replace(args[i], "IN/", dir+"/", 1)
			}
			if said := begins(t, home, c.code, args...); !strings.Contains(said, c.says) {
				t.Errorf("said %s", said)
			}
			for name, text := range c.there {
				if now, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(now) != text {
					t.Errorf("%s: %v, now %s", name, err, now)
				}
			}
			entries, err := os.ReadDir(dir)
			if err != nil || c.code != 0 && len(entries) != len(c.there) {
				t.Errorf("%v: left %v", err, entries)
			}
		})
	}
}

// TestInitOnAFullDisk: no file and no folder stays, and what to do is said.
func TestInitOnAFullDisk(t *testing.T) {
	program, above := programAt(t, t.TempDir()), t.TempDir()
	dir := filepath.Join(above, "new", "config")
	const script = `ulimit -f 8 && exec "$0" init "$1" --recipient age13dgrm4cf5xh62y7zxu62yn5scmmc4ekhrvvjv8vd64zz0gggm4sq4466ls`
	out, err := exec.Command("sh", "-c", script, program, dir).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "; nothing was written\n  make room there, and do it again\n") {
		t.Errorf("%v: %s", err, out)
	}
	if left, err := os.ReadDir(above); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// TestInitForForges: each check of pull requests is YAML that says what to run, in the
// place where its forge looks.
func TestInitForForges(t *testing.T) {
	for forge, name := range map[string]string{"github": ".github/workflows/reconcile.yml", "gitlab": ".gitlab-ci.yml", "forgejo": ".forgejo/workflows/reconcile.yml"} {
		dir := t.TempDir()
		begins(t, t.TempDir(), 0, dir, "--ci", forge)
		text, err := os.ReadFile(filepath.Join(dir, name))
		var document map[string]yaml.Node
		if err := yaml.Unmarshal(text, &document); err != nil || len(document) == 0 || !strings.Contains(string(text), "reconcile validate") {
			t.Errorf("%s: %v\n%s", forge, err, text)
		}
		if err != nil {
			t.Error(err)
		}
	}
	dir := t.TempDir()
	begins(t, t.TempDir(), 0, dir, "--ci", "none")
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 3 {
		t.Errorf("without a forge: %v, %v", entries, err)
	}
}
