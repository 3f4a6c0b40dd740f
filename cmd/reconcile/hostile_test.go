package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// attack is what somebody commits who may commit and wants more. before is done to
// the repository of the examples; the run then must end with exit and say says,
// and leave Terra's production alone.
type attack struct {
	name   string
	before func(*hostile)
	args   []string // nil: apply
	exit   int
	says   string
}

// evilRecipient is one whose plugin is a program named age-plugin-evil.
const evilRecipient = "age1evil1xqcnyve5x5mrwwpexqcnyve5x5mrwwpexqcnyve5x5mrwwpexqswhh2v"

type hostile struct{ *example }

func (h *hostile) file(name string) string { return filepath.Join(h.repository(), name) }

func (h *hostile) write(name, text string) {
	h.t.Helper()
	if err := os.MkdirAll(filepath.Dir(h.file(name)), 0o755); err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(h.file(name), []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

func (h *hostile) read(name string) string {
	h.t.Helper()
	text, err := os.ReadFile(h.file(name))
	if err != nil {
		h.t.Fatal(err)
	}
	return string(text)
}

func (h *hostile) more(name, text string) { h.write(name, h.read(name)+text) }

// sealed is the first sealed secret of a file, as it stands under its field.
func (h *hostile) sealed(name string) string {
	h.t.Helper()
	found := regexp.MustCompile(`(?s)!age \|\n.*?-----END AGE ENCRYPTED FILE-----`).FindString(h.read(name))
	if found == "" {
		h.t.Fatalf("%s holds no sealed secret", name)
	}
	return found
}

func attacks() []attack {
	dryRun := []string{"--dry-run", "--env=staging"}
	return []attack{
		{"a symlink out of the repository", func(h *hostile) {
			if err := os.Remove(h.file("production/strava.yaml")); err != nil {
				h.t.Fatal(err)
			}
			if err := os.Symlink("/etc/passwd", h.file("production/strava.yaml")); err != nil {
				h.t.Fatal(err)
			}
		}, []string{"--dry-run"}, 1, "link"},
		{"the dev_id of another environment", func(h *hostile) {
			h.write("staging/environment.yaml", strings.ReplaceAll(h.read("staging/environment.yaml"), exampleStaging, exampleProduction))
		}, nil, 1, "dev_id"},
		{"a dev_id that the runner does not let us touch", func(h *hostile) {
			h.write("evil/environment.yaml", "dev_id: somebody-elses\nprune: never\n")
			h.write("evil/polar.yaml", "provider: polar\n")
			h.restricted()
		}, []string{"--dry-run", "--env=evil"}, 1, "does not let it touch"},
		{"a secret copied to another environment", func(h *hostile) {
			h.write("staging/huawei.yaml", h.read("production/huawei.yaml"))
		}, dryRun, 2, "sealed for"},
		{"a secret copied to another field", func(h *hostile) {
			text, sealed := h.read("staging/strava.yaml"), h.sealed("staging/strava.yaml")
			h.write("staging/strava.yaml", strings.Replace(text, "credentials:\n", "credentials:\n  verification_secret: "+sealed+"\n", 1))
		}, dryRun, 2, "sealed for"},
		{"an alias bomb", func(h *hostile) {
			bomb := "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
			for i := 1; i < 12; i++ {
				bomb += fmt.Sprintf("a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", "))
			}
			h.more("staging/environment.yaml", bomb)
		}, []string{"--dry-run"}, 1, "anchors are not"},
		{"twenty thousand files", func(h *hostile) {
			for i := range 20_001 {
				h.write(fmt.Sprintf("many/%d.yaml", i), "")
			}
		}, []string{"validate"}, 1, "more than 20000 files"},
		{"a file above 1 MiB", func(h *hostile) { h.write("staging/polar.yaml", "provider: polar\n#"+strings.Repeat("x", 1<<20)) },
			[]string{"--dry-run"}, 1, "is larger than 1"},
		{"escape sequences in a file's name", func(h *hostile) { h.write("staging/\x1b[31mred\x1b.yaml", "provider: polar\n") },
			[]string{"--dry-run"}, 1, `\x1b[31mred`},
		{"escape sequences in a reason", func(h *hostile) {
			h.more("staging/environment.yaml", "suspend: {reason: \"\\e[2J\\e]0;owned\\a\", owner: \"\\u202Eops\", until: 2027-01-01}\n")
		}, []string{"--dry-run"}, 1, "holds a control"},
		{"a redirect to a foreign host", func(h *hostile) {
			h.write("staging/strava.yaml", strings.Replace(h.read("staging/strava.yaml"), "credentials:\n", "credentials:\n  redirect_url: https://evil.example/steal\n", 1))
		}, nil, 4, "evil.example"},
		{"a recipient whose plugin would run", func(h *hostile) {
			h.plugin("age-plugin-evil")
			h.write("terra.yaml", strings.Replace(h.read("terra.yaml"), "    age:\n", "    age:\n      - "+evilRecipient+"\n", 1))
		}, []string{"secret", "rekey"}, 1, `age plugin "evil" is not allowed`},
		{"a token, a variable and an address of one's own", func(h *hostile) {
			h.more("staging/environment.yaml", "token: terra_at_mine\ntoken_env: HOME\nbase_url: https://evil.example/api\nprobes: {strava: https://evil.example}\n")
		}, []string{"--dry-run"}, 1, "unknown field"},
		{"an account that the runner does not know", func(h *hostile) { h.more("staging/environment.yaml", "account: mine\n") },
			dryRun, 1, "knows no such account"},
		{"a variable inside a value", func(h *hostile) {
			h.write("staging/polar.yaml", "provider: polar\nscopes: [\"${TERRA_ADMIN_TOKEN}\", \"$(env)\"]\n")
		}, dryRun, 2, "${TERRA_ADMIN_TOKEN}"},
		{"an approval of one's own for everything", func(h *hostile) {
			h.more("staging/environment.yaml", "policy: {allow: [{connection: strava, change: client_id, until: 2027-01-01, reason: mine}]}\n")
		}, []string{"--dry-run"}, 1, "must name its target"},
	}
}

// restricted gives the runner a configuration that names the dev-ids it may touch.
func (h *hostile) restricted() {
	h.t.Helper()
	file := filepath.Join(h.dir, "daemon.yaml")
	text := fmt.Sprintf("repo: {url: %q}\napply: true\naccounts: {default: {token_env: TERRA_ADMIN_TOKEN, base_url: %q, dev_ids: [%s, %s]}}\nstate_dir: %q\n",
		h.repository(), h.vars["TERRA_BASE_URL"], exampleProduction, exampleStaging, h.vars["RECONCILE_STATE_DIR"])
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
	h.vars["config"] = file
}

// plugin puts a program into PATH that leaves a trace when it runs.
func (h *hostile) plugin(name string) {
	h.t.Helper()
	bin := filepath.Join(h.dir, "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n: >"+filepath.Join(h.dir, "ran")+"\n"), 0o755); err != nil {
		h.t.Fatal(err)
	}
	h.t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
}

func (h *hostile) command(a attack) []string {
	args := a.args
	if args == nil {
		args = []string{"--yes"}
	}
	switch {
	case args[0] == "validate" || args[0] == "secret":
		return append(args, h.repository())
	case h.vars["config"] != "":
		return append(args, "--config="+h.vars["config"])
	default:
		return append(args, "--repo="+h.repository())
	}
}

// TestHostileRepository lets somebody commit who wants more than to commit.
func TestHostileRepository(t *testing.T) {
	list := attacks()
	for _, a := range list {
		t.Run(a.name, func(t *testing.T) {
			h := &hostile{newExample(t, time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC))}
			a.before(h)
			if a.args == nil {
				h.commit("Evil")
			}
			args := h.command(a)
			h.run(a.exit, args...)
			said := h.outputs.String()
			if !strings.Contains(said, a.says) {
				t.Errorf("got\n%s\nwant %q in it", said, a.says)
			}
			if strings.HasPrefix(args[0], "--dry-run") {
				for _, form := range []string{"json", "markdown", "html"} {
					h.run(a.exit, append(args, "-o", form)...)
				}
			}
			for _, raw := range []string{"\x1b", "\a", "\u202e", h.vars["TERRA_ADMIN_TOKEN"]} {
				if strings.Contains(h.outputs.String(), raw) {
					t.Errorf("%q reached the output", raw)
				}
			}
			if a.args != nil && len(h.terra.Writes()) > 0 {
				t.Errorf("%d writes", len(h.terra.Writes()))
			}
			if _, err := os.Stat(filepath.Join(h.dir, "ran")); err == nil {
				t.Error("a program of the repository's choice ran")
			}
		})
	}
	t.Logf("COUNT hostile_cases=%d", len(list))
}
