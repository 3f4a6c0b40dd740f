package cli

import (
	"cmp"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"

	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
	"github.com/terra-reconcile/terra-reconcile/internal/walk"
)

// attack is what somebody commits who may commit and wants more. before is done to
// the repository of the examples. The dry run in every form must end with dry, the
// run that applies the commit with exit; one of them says says. No write may change
// spared, DEV-ID or DEV-ID/PROVIDER, "" for anything at all. Where args are given,
// they are the only run.
type attack struct {
	attack string
	before func(*hostile)
	args   []string
	dry    int
	exit   int
	says   string
	spared string
}

// nobody is spared where what is written is the same as without the attack, or is
// looked at by itself.
const nobody = "nobody"

// evilRecipient is one whose plugin is a program named age-plugin-evil.
const evilRecipient = "age1evil1xqcnyve5x5mrwwpexqcnyve5x5mrwwpexqcnyve5x5mrwwpexqswhh2v"

// hostile is the world of one attack. foreign is an address that nobody but the
// repository names; visits are the connections made to it.
type hostile struct {
	*example
	foreign string
	visits  atomic.Int64
	author  string // of the commit, "" for somebody
	message string
}

func newHostile(t *testing.T) *hostile {
	t.Helper()
	h := &hostile{example: newExample(t, time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC))}
	// Where the other tests do not listen: one of them could still call a port that was its own.
	listener, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		listener, err = net.Listen("tcp", "127.0.0.1:0") // not Linux
	}
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			h.visits.Add(1)
			_ = c.Close() // the visit alone counts
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-done
	})
	h.foreign = "https://" + listener.Addr().String()
	return h
}

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
	list := slices.Concat(pathAttacks(), secretAttacks(), sizeAttacks(), textAttacks(), nameAttacks())
	if walk.Large() {
		list = append(list, manyFilesAttacks()...)
	}
	return list
}

func pathAttacks() []attack {
	return []attack{
		{attack: "a symlink out of the repository", before: func(h *hostile) {
			h.link("/etc/passwd", "production/strava.yaml")
		}, dry: 1, exit: 4, says: "production/strava.yaml:1:1: symbolic links are not allowed", spared: exampleProduction},
		{attack: "a symlink to another environment's secrets", before: func(h *hostile) {
			h.link("../production/strava.yaml", "staging/strava.yaml")
		}, dry: 1, exit: 4, says: "staging/strava.yaml:1:1: symbolic links are not allowed", spared: exampleStaging},
		{attack: "a symlink in place of a folder", before: func(h *hostile) {
			h.link("production", "staging")
		}, dry: 1, exit: 1, says: "staging:1:1: symbolic links are not allowed"},
		{attack: "a file named .. in a commit", before: func(h *hostile) { h.treeWith("..") },
			args: []string{"--yes", "--ref=master"}, exit: 1, says: `a file of the commit is named "..", which is refused`},
		{attack: "a file named by a path in a commit", before: func(h *hostile) { h.treeWith("staging/../../evil.yaml") },
			args: []string{"--yes", "--ref=master"}, exit: 1, says: "evil.yaml\", which is refused"},
		{attack: "the dev_id of another environment", before: func(h *hostile) {
			h.swap("staging/environment.yaml", exampleStaging, exampleProduction)
		}, dry: 1, exit: 1, says: "the environment production has the same dev_id"},
		{attack: "a dev_id that the runner does not let us touch", before: func(h *hostile) {
			h.terra.AddEnvironment("somebody-elses", terratest.EnvironmentOptions{})
			h.write("evil/environment.yaml", "dev_id: somebody-elses\nprune: never\n")
			h.write("evil/polar.yaml", "provider: polar\n")
			h.restricted()
		}, dry: 1, exit: 4, says: "does not let it touch", spared: "somebody-elses"},
	}
}

func secretAttacks() []attack {
	return []attack{
		{attack: "a secret copied to another environment", before: func(h *hostile) {
			h.write("staging/huawei.yaml", h.read("production/huawei.yaml"))
		}, dry: 2, exit: 3, says: "it is a copy, that of production/huawei.yaml is not for here", spared: exampleStaging + "/huawei"},
		{attack: "a secret copied to another connection", before: func(h *hostile) {
			h.swap("staging/huawei.yaml", h.sealed("staging/huawei.yaml"), h.sealed("staging/strava.yaml"))
		}, dry: 2, exit: 3, says: "sealed for", spared: exampleStaging + "/huawei"},
		{attack: "a secret copied to another field", before: func(h *hostile) {
			h.credential("staging/strava.yaml", "verification_secret: "+h.sealed("staging/strava.yaml"))
		}, dry: 2, exit: 3, says: "sealed for", spared: exampleStaging + "/strava"},
		{attack: "a secret copied where binding was given up", before: func(h *hostile) {
			h.swap("terra.yaml", "binding: require", "binding: allow-plain")
			h.write("staging/huawei.yaml", h.read("production/huawei.yaml"))
		}, dry: 2, exit: 3, says: "sealed for", spared: exampleStaging + "/huawei"},
		{attack: "a recipient whose plugin would run", before: func(h *hostile) {
			h.swap("terra.yaml", "    age:\n", "    age:\n      - "+evilRecipient+"\n")
		}, args: []string{"secret", "rekey"}, exit: 1, says: `age plugin "evil" is not allowed`},
		{attack: "a recipient whose plugin would run, at a run", before: func(h *hostile) {
			h.swap("terra.yaml", "    age:\n", "    age:\n      - "+evilRecipient+"\n")
		}, dry: 2, exit: 0, spared: nobody},
		{attack: "an identity whose plugin would run", before: func(h *hostile) {
			h.more("terra.yaml", "identities: [AGE-PLUGIN-EVIL-1QQQQ]\n")
		}, dry: 1, exit: 1, says: "unknown field `identities`"},
		{attack: "a plugin of one's own", before: func(h *hostile) {
			h.more("terra.yaml", "plugins: [evil]\n")
		}, dry: 1, exit: 1, says: "unknown field `plugins`"},
	}
}

func sizeAttacks() []attack {
	return []attack{
		{attack: "an alias bomb", before: func(h *hostile) {
			bomb := "verify_every: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
			for i := 1; i < 12; i++ {
				bomb += fmt.Sprintf("a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", "))
			}
			h.more("staging/environment.yaml", bomb)
		}, dry: 1, exit: 4, says: "anchors are not allowed", spared: exampleStaging},
		{attack: "ten thousand levels", before: func(h *hostile) {
			h.more("staging/environment.yaml", "policy: "+strings.Repeat("[", 10_000)+"\n")
		}, dry: 1, exit: 4, says: "nested too deeply", spared: exampleStaging},
		{attack: "a file above 1 MiB", before: func(h *hostile) {
			h.write("staging/polar.yaml", "provider: polar\n#"+strings.Repeat("x", 1<<20))
		}, dry: 1, exit: 4, says: "staging/polar.yaml:1:1: the file is larger than 1", spared: exampleStaging},
	}
}

// manyFilesAttacks are those for which a person would wait until the files are made.
func manyFilesAttacks() []attack {
	return []attack{
		{attack: "twenty thousand files", before: func(h *hostile) {
			for i := range 20_001 {
				h.write(fmt.Sprintf("many/%d.yaml", i), "")
			}
		}, args: []string{"validate"}, exit: 1, says: "more than 20000 files"},
		{attack: "ten thousand connections", before: func(h *hostile) {
			for i := range 10_000 {
				h.write(fmt.Sprintf("staging/%d.yaml", i), "provider: polar\n")
			}
		}, dry: 1, exit: 4, says: "polar is already in staging/0.yaml", spared: exampleStaging},
	}
}

func textAttacks() []attack {
	return []attack{
		{attack: "escape sequences in a file's name", before: func(h *hostile) {
			h.write("staging/\x1b[31mred\x1b.yaml", "provider: polar\n")
		}, dry: 1, exit: 4, says: `\x1b[31mred`, spared: exampleStaging},
		{attack: "escape sequences in a folder's name", before: func(h *hostile) {
			h.write("\x1b]0;owned\a/environment.yaml", "dev_id: somebody-elses\n")
		}, dry: 1, exit: 1, says: `\x1b]0;owned\a`},
		{attack: "escape sequences in a reason", before: func(h *hostile) {
			h.more("staging/environment.yaml", "suspend: {reason: \"\\e[2J\\e]0;owned\\a\", owner: \"\\u202Eops\", until: 2027-01-01}\n")
		}, dry: 1, exit: 4, says: "the value holds a control or invisible character", spared: exampleStaging},
		{attack: "escape sequences as bytes of a file", before: func(h *hostile) {
			h.write("staging/polar.yaml", "provider: \x1b[31mpolar\x1b[0m\n")
		}, dry: 1, exit: 4, says: "the file holds a control character (U+001B)", spared: exampleStaging},
		{attack: "escape sequences in an unknown field", before: func(h *hostile) {
			h.more("staging/environment.yaml", "\"\\e[2J\\u202Efield\": 1\n")
		}, dry: 1, exit: 4, says: "the name of a field holds a control or invisible", spared: exampleStaging},
		{attack: "escape sequences in author and message", before: func(h *hostile) {
			h.author, h.message = "A\x1b[2J\u202eB", "\x1b]0;owned\a"
		}, dry: 2, exit: 0, says: "by A", spared: nobody},
		{attack: "a folder named like a command of GitHub Actions", before: func(h *hostile) {
			h.write("::stop-commands::x/environment.yaml", "dev_id: somebody-elses\n")
		}, dry: 1, exit: 4, says: "stop-commands", spared: "somebody-elses"},
		{attack: "a folder named like a command of Azure Pipelines", before: func(h *hostile) {
			h.write("##vso[task.setvariable variable=PATH]x/environment.yaml", "dev_id: somebody-elses\n")
		}, dry: 1, exit: 4, says: "task.setvariable", spared: "somebody-elses"},
		{attack: "a file named like a command of TeamCity", before: func(h *hostile) {
			h.write("staging/##teamcity[publishArtifacts x].yaml", "provider: polar\nfoo: 1\n")
		}, dry: 1, exit: 4, says: "publishArtifacts", spared: exampleStaging},
		{attack: "an unknown field like a command of a pipeline", before: func(h *hostile) {
			h.more("staging/environment.yaml", "\"##[add-path]x\": 1\n")
		}, dry: 1, exit: 4, says: "add-path", spared: exampleStaging},
		{attack: "a reason like commands of pipelines", before: func(h *hostile) {
			h.more("staging/environment.yaml", "suspend: {reason: '::stop-commands::x because of many many words here and ::add-mask::e ##vso[task.complete]', owner: '::error::ops', until: 2027-01-01}\n")
		}, dry: 2, exit: 3, says: "task.complete", spared: exampleStaging},
		{attack: "author and message like commands of pipelines", before: func(h *hostile) {
			h.author, h.message = "::error::A ##[add-path]B", "::stop-commands::x ##vso[task.setvariable variable=PATH]/x"
		}, dry: 2, exit: 0, says: "add-path", spared: nobody},
		{attack: "a page and a comment of one's own in a reason", before: func(h *hostile) {
			h.more("staging/environment.yaml", "suspend: {reason: '<script src=https://evil.example></script> @everyone [x](https://evil.example)', owner: ops, until: 2027-01-01}\n")
		}, dry: 2, exit: 3, says: "everyone", spared: exampleStaging},
	}
}

func nameAttacks() []attack {
	// field is one that only the runner's configuration has, in a file of a commit.
	field := func(a attack, file, field string) attack {
		name, _, _ := strings.Cut(field, ":")
		a.before = func(h *hostile) { h.more(file, strings.ReplaceAll(field, "FOREIGN", h.foreign)+"\n") }
		a.dry, a.exit, a.says, a.spared = 1, 4, "unknown field `"+name+"`", exampleStaging
		if file == "terra.yaml" {
			a.exit, a.spared = 1, ""
		}
		return a
	}
	return []attack{
		field(attack{attack: "token of an environment"}, "staging/environment.yaml", "token: terra_at_mine"),
		field(attack{attack: "token of a connection"}, "staging/strava.yaml", "token: terra_at_mine"),
		field(attack{attack: "token of the repository"}, "terra.yaml", "token: terra_at_mine"),
		field(attack{attack: "token_env of an environment"}, "staging/environment.yaml", "token_env: HOME"),
		field(attack{attack: "token_env of a connection"}, "staging/strava.yaml", "token_env: HOME"),
		field(attack{attack: "token_env of the repository"}, "terra.yaml", "token_env: HOME"),
		field(attack{attack: "token_file of an environment"}, "staging/environment.yaml", "token_file: /etc/passwd"),
		field(attack{attack: "token_file of a connection"}, "staging/strava.yaml", "token_file: /etc/passwd"),
		field(attack{attack: "token_file of the repository"}, "terra.yaml", "token_file: /etc/passwd"),
		field(attack{attack: "base_url of an environment"}, "staging/environment.yaml", "base_url: FOREIGN"),
		field(attack{attack: "base_url of a connection"}, "staging/strava.yaml", "base_url: FOREIGN"),
		field(attack{attack: "base_url of the repository"}, "terra.yaml", "base_url: FOREIGN"),
		field(attack{attack: "probes of an environment"}, "staging/environment.yaml", "probes: {strava: FOREIGN}"),
		field(attack{attack: "probes of a connection"}, "staging/strava.yaml", "probes: {strava: FOREIGN}"),
		field(attack{attack: "probes of the repository"}, "terra.yaml", "probes: {strava: FOREIGN}"),
		field(attack{attack: "accounts of an environment"}, "staging/environment.yaml", "accounts: {default: {base_url: FOREIGN}}"),
		field(attack{attack: "accounts of a connection"}, "staging/strava.yaml", "accounts: {default: {base_url: FOREIGN}}"),
		field(attack{attack: "accounts of the repository"}, "terra.yaml", "accounts: {default: {base_url: FOREIGN}}"),
		{attack: "an account that the runner does not know", before: func(h *hostile) {
			h.more("staging/environment.yaml", "account: mine\n")
		}, dry: 1, exit: 4, says: "knows no such account", spared: exampleStaging},
		{attack: "a variable inside a value", before: func(h *hostile) {
			h.write("staging/polar.yaml", "provider: polar\nscopes: [\"${TERRA_ADMIN_TOKEN}\", \"$(env)\"]\n")
		}, dry: 1, exit: 4, says: "${TERRA_ADMIN_TOKEN}", spared: exampleStaging},
		{attack: "a redirect to a foreign host", before: func(h *hostile) {
			h.credential("staging/strava.yaml", "redirect_url: https://evil.example/steal")
		}, dry: 2, exit: 3, says: "redirect_url leads to evil.example", spared: exampleStaging + "/strava"},
		{attack: "a redirect to a port of one's own", before: func(h *hostile) {
			h.credential("staging/strava.yaml", "redirect_url: "+h.foreign+"/steal")
		}, dry: 2, exit: 3, says: "redirect-host", spared: exampleStaging + "/strava"},
		{attack: "a redirect to a foreign host, allowed by oneself", before: func(h *hostile) {
			h.credential("staging/strava.yaml", "redirect_url: https://access.tryterra.co.evil.example/steal")
			h.more("staging/strava.yaml", "policy: {allow: [{change: redirect_url, until: 2027-01-01, reason: mine}, {change: adopt, until: 2027-01-01, reason: mine}, {change: update-credentials, until: 2027-01-01, reason: mine}]}\n")
		}, dry: 2, exit: 3, says: "redirect_url leads to access.tryterra.co.evil.example", spared: exampleStaging + "/strava"},
		{attack: "a domain of one's own", before: func(h *hostile) {
			h.more("staging/strava.yaml", "domain: auth.evil.example\n")
		}, dry: 2, exit: 3, says: "domain leads to auth.evil.example", spared: nobody},
		{attack: "hosts of one's own for everything", before: func(h *hostile) {
			h.more("staging/environment.yaml", "redirect_hosts: [evil.example]\n")
		}, dry: 1, exit: 4, says: "unknown field `redirect_hosts`", spared: exampleStaging},
		{attack: "an approval of one's own for everything", before: func(h *hostile) {
			h.more("staging/environment.yaml", "policy: {allow: [{connection: strava, change: client_id, until: 2027-01-01, reason: mine}]}\n")
		}, dry: 1, exit: 4, says: "must name its target", spared: exampleStaging},
	}
}

func (h *hostile) swap(name, old, with string) {
	h.t.Helper()
	text := h.read(name)
	if !strings.Contains(text, old) {
		h.t.Fatalf("%s does not hold %q", name, old)
	}
	h.write(name, strings.Replace(text, old, with, 1))
}

func (h *hostile) credential(name, field string) {
	h.t.Helper()
	h.swap(name, "credentials:\n", "credentials:\n  "+field+"\n")
}

func (h *hostile) link(to, name string) {
	h.t.Helper()
	if err := os.RemoveAll(h.file(name)); err != nil {
		h.t.Fatal(err)
	}
	if err := os.Symlink(to, h.file(name)); err != nil {
		h.t.Fatal(err)
	}
}

// gitCommit commits with git itself, which takes names that go-git refuses.
func (h *hostile) gitCommit() {
	h.t.Helper()
	who := cmp.Or(h.author, "Somebody")
	for _, args := range [][]string{{"add", "--all"}, {"commit", "--quiet", "--allow-empty", "--message", cmp.Or(h.message, "Evil")}} {
		c := exec.Command("git", append([]string{"-C", h.repository(), "-c", "user.name=" + who, "-c", "user.email=somebody@example.com"}, args...)...)
		c.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
		if out, err := c.CombinedOutput(); err != nil {
			h.t.Fatalf("git %s: %v\n%s", args[0], err, out)
		}
	}
}

// treeWith commits a tree with a file of a name that no work tree can hold.
func (h *hostile) treeWith(name string) {
	h.t.Helper()
	repo, err := git.PlainOpen(h.repository())
	if err != nil {
		h.t.Fatal(err)
	}
	head, err := repo.Head()
	if err != nil {
		h.t.Fatal(err)
	}
	commit, err := repo.CommitObject(head.Hash())
	if err != nil {
		h.t.Fatal(err)
	}
	tree, err := commit.Tree()
	if err != nil {
		h.t.Fatal(err)
	}
	data := tree.Entries[0].Mode.String()[2:] + " " + name + "\x00" + string(tree.Entries[0].Hash[:])
	for _, e := range tree.Entries {
		data += strings.TrimLeft(e.Mode.String(), "0") + " " + e.Name + "\x00" + string(e.Hash[:])
	}
	parent := head.Hash().String()
	who := "A <a@example.com> 1 +0000\n"
	hash := h.store(repo, plumbing.CommitObject, "tree "+h.store(repo, plumbing.TreeObject, data).String()+"\nparent "+parent+"\nauthor "+who+"committer "+who+"\nEvil\n")
	if err := repo.Storer.SetReference(plumbing.NewHashReference(head.Name(), hash)); err != nil {
		h.t.Fatal(err)
	}
}

func (h *hostile) store(repo *git.Repository, kind plumbing.ObjectType, data string) plumbing.Hash {
	h.t.Helper()
	o := repo.Storer.NewEncodedObject()
	o.SetType(kind)
	w, err := o.Writer()
	if err != nil {
		h.t.Fatal(err)
	}
	if _, err := w.Write([]byte(data)); err != nil {
		h.t.Fatal(err)
	}
	hash, err := repo.Storer.SetEncodedObject(o)
	if err != nil {
		h.t.Fatal(err)
	}
	return hash
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
func plugin(t *testing.T, name string) (trace string) {
	t.Helper()
	bin := t.TempDir()
	trace = filepath.Join(bin, "ran")
	if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n: >"+trace+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	return trace
}

func (h *hostile) command(args ...string) []string {
	switch {
	case args[0] == "validate" || args[0] == "secret":
		return append(args, h.repository())
	case h.vars["config"] != "":
		return append(args, "--config="+h.vars["config"])
	default:
		return append(args, "--repo="+h.repository())
	}
}

// try does what an operator and a runner do with the commit.
func (h *hostile) try(a attack) {
	h.t.Helper()
	a.before(h)
	if a.args != nil {
		h.run(a.exit, h.command(a.args...)...)
		return
	}
	for _, form := range append([]string{"json"}, walk.Few(h.t, []string{"text", "markdown", "html"}, 1)...) {
		page := h.run(a.dry, h.command("--dry-run", "-o", form)...)
		if form == "html" && strings.Contains(page, "<script src") || form == "markdown" && strings.Contains(page, "@everyone") {
			h.t.Errorf("the %s holds what a browser or a forge acts on", form)
		}
	}
	if writes := h.terra.Writes(); len(writes) > 0 {
		h.t.Errorf("%d writes of a dry run", len(writes))
	}
	h.gitCommit()
	h.run(a.exit, h.command("--yes")...)
	h.run(0, "history")
	h.run(0, "history", "-v")
}

// gained reports what the attack was after.
func (h *hostile) gained(a attack) {
	h.t.Helper()
	if !strings.Contains(h.outputs.String(), a.says) {
		h.t.Errorf("got\n%s\nwant %q in it", h.outputs.String(), a.says)
	}
	for _, raw := range []string{"\x1b", "\a", "\u202e", h.vars["TERRA_ADMIN_TOKEN"]} {
		if strings.Contains(h.outputs.String(), raw) {
			h.t.Errorf("%q reached the output", raw)
		}
	}
	if command := pipelineCommand.FindString(h.outputs.String()); command != "" {
		h.t.Errorf("a pipeline would carry out %q", command)
	}
	for _, c := range h.terra.Effects() {
		if strings.HasPrefix(c.DevID+"/"+c.Provider, a.spared) {
			h.t.Errorf("%s %s had an effect", c.Method, c.Path)
		}
	}
	for provider, source := range h.terra.Live(exampleStaging).Sources {
		if c := source.Credential; c != nil && c.RedirectURL != "" {
			h.t.Errorf("end users of %s are sent to %s", provider, c.RedirectURL)
		}
	}
	if n := h.visits.Load(); n > 0 {
		h.t.Errorf("an address of the repository's choice was contacted %d times", n)
	}
}

// pipelineCommand is what GitHub Actions, Azure Pipelines and TeamCity take for a command
// in what a program prints.
var pipelineCommand = regexp.MustCompile(`(?m)^\s*::[A-Za-z-]+( [^\n]*)?::|##[A-Za-z]*\[`)

// TestHostileRepository lets somebody commit who wants more than to commit.
func TestHostileRepository(t *testing.T) {
	list := attacks()
	ran := plugin(t, "age-plugin-evil")
	t.Cleanup(func() {
		if _, err := os.Stat(ran); err == nil {
			t.Error("a program of the repository's choice ran")
		}
	})
	for _, a := range list {
		t.Run(a.attack, func(t *testing.T) {
			t.Parallel()
			if _, err := exec.LookPath("age-plugin-evil"); err != nil {
				t.Fatal(err) // nothing would run, whatever the program did
			}
			h := newHostile(t)
			h.try(a)
			h.gained(a)
		})
	}
	t.Logf("COUNT hostile_commits=%d", len(list))
}
