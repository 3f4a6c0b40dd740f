package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/internal/gitsource"
	"github.com/terra-reconcile/terra-reconcile/internal/state"
)

// forger is a repository whose first commit ada has signed, and who may push to it.
type forger struct {
	t        *testing.T
	dir      string
	ada, eve string // private keys
	when     string
	base     string
}

func newForger(t *testing.T) *forger {
	t.Helper()
	for _, program := range []string{"git", "ssh-keygen"} {
		if _, err := exec.LookPath(program); err != nil {
			if os.Getenv("REQUIRE_ALL") != "" {
				t.Fatal(program + " is not installed")
			}
			t.Skip(program + " is not installed")
		}
	}
	f := &forger{t: t, dir: t.TempDir(), when: "2026-11-20T12:00:00Z"}
	keys := t.TempDir()
	f.ada, f.eve = filepath.Join(keys, "ada"), filepath.Join(keys, "eve")
	for _, key := range []string{f.ada, f.eve} {
		f.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", key)
	}
	f.git("init", "-q", "--template=", "-b", "main")
	f.sign(f.ada, "commit", "--allow-empty", "-m", "base")
	f.base = f.git("rev-parse", "HEAD")
	return f
}

func (f *forger) run(program string, args ...string) string {
	f.t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir = f.dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null", "TZ=UTC", "SSH_AUTH_SOCK=", "GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@acme.example",
		"GIT_AUTHOR_DATE="+f.when, "GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@acme.example", "GIT_COMMITTER_DATE="+f.when)
	out, err := cmd.CombinedOutput()
	if err != nil {
		f.t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func (f *forger) git(args ...string) string { f.t.Helper(); return f.run("git", args...) }

func (f *forger) unsigned() string {
	f.t.Helper()
	f.git("commit", "-q", "--allow-empty", "-m", "unsigned")
	return f.git("rev-parse", "HEAD")
}

// sign runs git with a key, by which it signs.
func (f *forger) sign(key string, args ...string) {
	f.t.Helper()
	f.git(append([]string{"-c", "gpg.format=ssh", "-c", "user.signingkey=" + key, args[0], "-q", "-S"}, args[1:]...)...)
}

func (f *forger) signed() string {
	f.t.Helper()
	f.sign(f.ada, "commit", "--allow-empty", "-m", "signed")
	return f.git("rev-parse", "HEAD")
}

func (f *forger) public(key string) string {
	f.t.Helper()
	data, err := os.ReadFile(key + ".pub")
	if err != nil {
		f.t.Fatal(err)
	}
	return strings.TrimSpace(string(data))
}

// TestHostileCommits lets who may push, or controls the git server, try what a signature is
// to keep them from. docs/security.md has each of these lines, with what becomes of it.
func TestHostileCommits(t *testing.T) {
	t.Parallel()
	const taken = ""
	page, err := os.ReadFile("../../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, attack := range []struct {
		name        string
		do          func(f *forger)
		head, every string // what the refusal says; taken
		who         string // allowed signers in the place of ada's
		lost        bool   // nothing was accepted before
	}{
		{name: "a commit that nobody signed", do: func(f *forger) { f.unsigned() }, head: "it is not signed", every: "it is not signed"},
		{name: "a commit signed by a key of their own", do: func(f *forger) { f.sign(f.eve, "commit", "--allow-empty", "-m", "x") }, head: "does not know", every: "does not know"},
		{name: "a commit in the name of somebody else", do: func(f *forger) { f.signed() }, who: "bo@acme.example ADA", head: "is not about the committer", every: "is not about the committer"},
		{name: "the signature of another commit", do: func(f *forger) {
			raw, signed := f.git("cat-file", "commit", f.unsigned()), f.git("cat-file", "commit", f.base)
			stolen := signed[strings.Index(signed, "gpgsig"):strings.Index(signed, "\n\n")]
			head, message, _ := strings.Cut(raw, "\n\n")
			if err := os.WriteFile(filepath.Join(f.dir, "forged"), []byte(head+"\n"+stolen+"\n\n"+message+"\n"), 0o600); err != nil {
				f.t.Fatal(err)
			}
			f.git("reset", "-q", "--hard", f.git("hash-object", "-t", "commit", "-w", "forged"))
		}, head: "is not of this commit", every: "is not of this commit"},
		{name: "an unsigned commit below a signed one", do: func(f *forger) { f.unsigned(); f.signed() }, head: taken, every: "came with it: it is not signed"},
		{name: "an unsigned branch in a signed merge", do: func(f *forger) {
			f.git("checkout", "-q", "-b", "side")
			f.unsigned()
			f.git("checkout", "-q", "main")
			f.sign(f.ada, "merge", "--no-ff", "-m", "merged", "side")
		}, head: taken, every: "came with it: it is not signed"},
		{name: "an expired key with an older date", do: func(f *forger) { f.signed() }, who: `* valid-before="20261121Z" ADA`, head: "let it sign until", every: "let it sign until"},
		{name: "a key that was taken out", do: func(f *forger) { f.signed() }, who: "* EVE", head: "does not know", every: "does not know"},
		{name: "an older commit that was signed", do: func(f *forger) { f.signed(); f.git("reset", "-q", "--hard", f.base) }, head: taken, every: taken},
		{name: "another history that was signed", do: func(f *forger) {
			f.git("checkout", "-q", "--orphan", "other")
			f.signed()
			f.git("branch", "-M", "main")
		}, head: taken, every: taken},
		{name: "another history, of which not all was signed", do: func(f *forger) {
			f.git("checkout", "-q", "--orphan", "other")
			f.unsigned()
			f.signed()
			f.git("branch", "-M", "main")
		}, head: taken, every: "came with it: it is not signed"},
		{name: "an unsigned commit before the first start", do: func(f *forger) { f.unsigned(); f.signed() }, lost: true, head: taken, every: taken},
	} {
		t.Run(attack.name, func(t *testing.T) {
			t.Parallel()
			f := newForger(t)
			attack.do(f)
			who := attack.who
			if who == "" {
				who = "ada@acme.example ADA"
			}
			file := filepath.Join(t.TempDir(), "allowed_signers")
			if err := os.WriteFile(file, []byte(strings.NewReplacer("ADA", f.public(f.ada), "EVE", f.public(f.eve)).Replace(who)+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			git, err := gitsource.Open(gitsource.Options{URL: f.dir, Ref: "main"})
			if err != nil {
				t.Fatal(err)
			}
			head, err := git.Fetch(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			followed := state.Followed{Newest: f.base, Verified: []string{f.base}}
			if attack.lost {
				followed = state.Followed{}
			}
			for mode, want := range map[string]string{"head": attack.head, "every": attack.every} {
				rule, err := newSignatures(&config.Verify{Every: mode == "every", AllowedSigners: file})
				if err != nil {
					t.Fatal(err)
				}
				j, err := rule.judgeNew(t.Context(), git, head.Hash, followed, nil, time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC))
				if err != nil {
					t.Fatal(err)
				}
				if want == taken && j.refused != nil || want != taken && (j.refused == nil || !strings.Contains(j.refused.Error(), want)) {
					t.Errorf("%s: refused: %v, want %q", mode, j.refused, want)
				}
			}
			says := map[bool]string{true: "taken", false: "refused"}
			line := regexp.MustCompile(`(?m)^\| ` + regexp.QuoteMeta(attack.name) + ` \| ` + says[attack.head == taken] + `[^|]* \| ` + says[attack.every == taken] + `[^|]* \|`)
			if !line.Match(page) {
				t.Errorf("docs/security.md lacks a line as in %s", line)
			}
		})
	}
}
