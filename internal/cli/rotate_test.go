package cli

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// rotate runs one rotate command on the repository.
func (b *bench) rotate(stdin string, args ...string) int {
	b.t.Helper()
	code := b.run(stdin, append([]string{"rotate"}, append(args, "--repo", b.dir)...)...)
	for line := range strings.Lines(b.outText) {
		alone := strings.HasPrefix(strings.TrimSpace(line), "reconcile ") // a command that is longer than a line stays whole
		if utf8.RuneCountInString(strings.TrimSpace(line)) > 80 && !alone {
			b.t.Errorf("wider than 80 columns: %s", line)
		}
	}
	return code
}

func (b *bench) mustRotate(stdin string, args ...string) string {
	b.t.Helper()
	if code := b.rotate(stdin, args...); code != exitOK {
		b.t.Fatalf("%q: got exit %d, want 0\n%s%s", args, code, b.outText, b.errText)
	}
	return b.outText
}

// newSecret is the n-th generation of the typed secret.
func newSecret(n int) string { return fmt.Sprintf("%s%02d", typedSecret[:38], n) }

func TestRotateAdd(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.must(typedSecret, "encrypt", "production/strava.yaml")
	before := b.read("production/strava.yaml")
	out := b.mustRotate(newSecret(2)+"\n", "add", "production/strava", "--not-before", "2026-11-28T02:00:00Z")
	for _, want := range []string{
		"Added key 2 of production/strava, sealed for 1 recipient.\n  due       from 2026-11-28T02:00:00Z; until then key 1 stays\n  compared  differs from 1 other key\n",
		"  1. Commit and push production/strava.yaml and .reconcile/recipients.lock.\n",
		"Strava: reset, then within minutes. ",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("got\n%s\nwant %q in it", out, want)
		}
	}
	after := b.read("production/strava.yaml")
	if got, want := strings.Join(strings.Fields(after), " "), strings.Join(strings.Fields(before), " "); !strings.HasPrefix(got, strings.Replace(want, "client_secret:", "keys: - client_secret:", 1)) ||
		!strings.Contains(after, "\r\n    - issued: 2026-11-23\r\n      not_before: 2026-11-28T02:00:00Z\r\n      client_secret: !age |\r\n") {
		t.Errorf("got\n%s\nof\n%s", after, before)
	}
	for key, want := range map[string]string{"1": typedSecret, "2": newSecret(2)} {
		if got := b.must("", "decrypt", "production/strava.yaml", "--key", key); got != want+"\n" {
			t.Errorf("key %s opens as another text", key)
		}
	}
	b.must(newSecret(7), "encrypt", "production/whoop.yaml")
	b.mustRotate(newSecret(3), "add", "production/whoop", "--not-before", "2026-11-29")
	if !strings.Contains(b.outText, "Added key 3 of production/whoop") || !strings.Contains(b.read("production/whoop.yaml"), "not_before: 2026-11-29\n") {
		t.Errorf("got\n%s\n%s", b.outText, b.read("production/whoop.yaml"))
	}
	b.mustRotate(newSecret(4), "add", "production/virtuagym", "--unknown-first")
	if text := b.read("production/virtuagym.yaml"); !strings.HasSuffix(strings.Split(text, "-----BEGIN")[0], "  keys:\n    - {unknown: true}\n    - issued: 2026-11-23\n      api_key: !age |\n        ") {
		t.Errorf("got\n%s", text)
	}
	if !strings.Contains(b.outText, "Only then make an end of the old secret") || strings.Contains(b.outText, "compared") {
		t.Errorf("Virtuagym: commit first, and nothing to compare; got\n%s", b.outText)
	}
	b.must("", "recipients", "--check", b.dir)
	delete(b.vars, "RECONCILE_AGE_KEY_FILE")
	b.mustRotate(newSecret(5), "add", "production/virtuagym")
	if !strings.Contains(b.outText, "  compared  not compared: no private key at hand opens 1 other key\n") {
		t.Errorf("got\n%s", b.outText)
	}
	b.mustRotate(newSecret(6), "add", "production/strava", "--not-before", "2026-11-28T02:00:00Z")
	if !strings.Contains(b.outText, "Added key 3 of production/strava") {
		t.Errorf("got\n%s", b.outText)
	}
}

func TestNotesKeepCommandsWhole(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("long-", 20) + "word"
	for _, row := range []struct {
		n    note
		want string
	}{
		{tell("Look at what is live", "rotate", "status"), "  1. Look at what is live: reconcile rotate status\n"},
		{tell("See", "one", long), "  1. See:\n     reconcile one " + long + "\n"},
		{tell("", "one", long), "  1. reconcile one " + long + "\n"},
		{tell(strings.Repeat("many words ", 9), "now"), "  1. many words many words many words many words many words many words many\n     words many words many words:\n     reconcile now\n"},
	} {
		p := &page{}
		p.folded("  1. ", row.n.text, row.n.command...)
		if got := p.out.String(); got != row.want {
			t.Errorf("got\n%s\nwant\n%s", got, row.want)
		}
	}
}

// A key that is due at once after one that has a time would not stand oldest
// first without a time of its own.
func TestRotateAddAtOnceAfterADatedKey(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.write("production/whoop.yaml", "provider: whoop\ncredentials:\n  keys:\n    - {unknown: true}\n    - not_before: 2026-11-20\n")
	b.must(typedSecret, "encrypt", "production/whoop.yaml")
	b.mustRotate(newSecret(2), "add", "production/whoop")
	if text := b.read("production/whoop.yaml"); !strings.Contains(text, "    - issued: 2026-11-23\n      not_before: 2026-11-23T09:00:00Z\n") || !strings.Contains(b.outText, "  due       at once\n") {
		t.Errorf("got\n%s\n%s", b.outText, text)
	}
	if code := b.run("", "validate", b.dir); code != exitOK {
		t.Errorf("validate: exit %d\n%s%s", code, b.outText, b.errText)
	}
}

func TestRotateAddRefuses(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.must(typedSecret, "encrypt", "production/strava.yaml")
	b.must(newSecret(7), "encrypt", "production/whoop.yaml")
	b.write("production/polar.yaml", "provider: polar\ncredentials:\n  client_id: \"1\"\n  client_secret: \"\"\n")
	b.write("production/withings.yaml", "provider: withings\ncredentials:\n  keys:\n    - {unknown: true}\n    - not_before: 2026-11-20\n    - not_before: 2026-12-20\n")
	for _, key := range []string{"2", "3"} {
		b.must(newSecret(8), "encrypt", "production/withings.yaml", "--key", key)
	}
	b.write("staging/apple.yaml", "provider: freestylelibre\n")
	for _, c := range []struct {
		name, stdin string
		args        []string
		code        int
		want        string
	}{
		{"no connection", "", []string{"add"}, exitUsage, "missing: CONNECTION"},
		{"a file", "", []string{"add", "production/strava.yaml"}, exitUsage, `"production/strava.yaml" is not a connection; write it as production/strava`},
		{"no provider", "", []string{"add", "production"}, exitUsage, "is not a connection"},
		{"not in the repository", typedSecret, []string{"add", "production/oura"}, exitFailed, "production/oura: no file describes this connection; the repository has production/polar, production/strava"},
		{"nearly in the repository", typedSecret, []string{"add", "production/stravaa"}, exitFailed, "production/stravaa: no file describes this connection; did you mean production/strava? the repository has production/polar, "},
		{"a bad time", typedSecret, []string{"add", "production/strava", "--not-before", "tomorrow"}, exitUsage, `--not-before "tomorrow": write it like`},
		{"part of a second", typedSecret, []string{"add", "production/strava", "--not-before", "2026-11-28T02:00:00.5Z"}, exitUsage, `--not-before "2026-11-28T02:00:00.5Z": write it like`},
		{"a year that the file may not hold", typedSecret, []string{"add", "production/strava", "--not-before", "0001-01-01"}, exitUsage, "it must lie in the years 1970 to 2999"},
		{"a slip in the year", newSecret(2), []string{"add", "production/strava", "--not-before", "2026-01-28"}, exitUsage, "--not-before 2026-01-28: it is more than a day ago; leave it out to use the key at once"},
		{"before the key that is due", newSecret(2), []string{"add", "production/withings", "--not-before", "2026-11-19"}, exitFailed, "production/withings.yaml:5:7: key 2 is due since 2026-11-20T00:00:00Z, and a key from before that would never be live; to have the new one at once leave --not-before out"},
		{"the same secret", typedSecret, []string{"add", "production/strava"}, exitFailed, "production/strava.yaml:5:18: key 1 is this very secret; make a new one in the provider's portal; nothing was changed"},
		{"pasted with a space", " " + newSecret(2), []string{"add", "production/strava"}, exitFailed, "begins or ends with white space"},
		{"pasted with a blank line", newSecret(2) + "\n\n", []string{"add", "production/strava"}, exitFailed, "begins or ends with white space"},
		{"two lines", newSecret(2) + "\n" + newSecret(3), []string{"add", "production/strava"}, exitFailed, "control or invisible"},
		{"nothing", "", []string{"add", "production/strava"}, exitFailed, "secret is empty; nothing was changed"},
		{"not as the provider's", "<" + newSecret(2) + ">", []string{"add", "production/strava"}, exitFailed, "nothing was changed"},
		{"unknown beside a key", newSecret(2), []string{"add", "production/strava", "--unknown-first"}, exitFailed, "the file has a key already"},
		{"errors in the file", newSecret(2), []string{"add", "production/polar"}, exitFailed, "production/polar.yaml:4:18: credentials.client_secret is not sealed under !age"},
		{"no git", newSecret(2), []string{"add", "production/strava", "--commit"}, exitFailed, "is not in a git repository; run git init, or drop --commit"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b.t = t
			before := b.snapshot()
			if code := b.rotate(c.stdin, c.args...); code != c.code || !strings.Contains(b.errText, c.want) || b.outText != "" {
				t.Errorf("got exit %d, %q and output %q, want %d, %q and none", code, b.errText, b.outText, c.code, c.want)
			}
			for file, text := range before {
				if b.read(file) != text {
					t.Errorf("%s changed", file)
				}
			}
		})
	}
}

// TestRotateAddProbes asks a provider on this machine, at an address that only
// the runner can name.
func TestRotateAddProbes(t *testing.T) {
	b := newBench(t)
	answer := http.StatusOK
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(answer)
		_, _ = w.Write([]byte(map[int]string{
			http.StatusBadRequest:         `{"message":"Bad Request","errors":[{"resource":"AuthorizationCode","field":"code","code":"invalid"}]}`,
			http.StatusUnauthorized:       `{"message":"Authorization Error","errors":[{"resource":"Application","field":"","code":"invalid"}]}`,
			http.StatusServiceUnavailable: "",
		}[answer]))
	}))
	t.Cleanup(provider.Close)
	b.write("daemon.yaml", "repo: {url: "+b.dir+"}\napply: false\naccounts: {default: {token_env: T, dev_ids: [\"*\"]}}\nprobes: {strava: "+provider.URL+"}\nidentities: {files: ["+b.at("identity.txt")+"]}\n")
	b.must(typedSecret, "encrypt", "production/strava.yaml")
	before := b.read("production/strava.yaml")
	answer = http.StatusUnauthorized
	if code := b.rotate(newSecret(2), "add", "production/strava", "--probe", "--config", b.at("daemon.yaml")); code != exitFailed || !strings.Contains(b.errText, "production/strava.yaml: strava rejects the new secret: ") || b.read("production/strava.yaml") != before {
		t.Errorf("rejected: got exit %d, %q", code, b.errText)
	}
	for n, c := range []struct {
		status int
		want   string
	}{{http.StatusBadRequest, "  probe     accepted: "}, {http.StatusServiceUnavailable, "  probe     unknown: the provider is unavailable (HTTP 503)\n"}} {
		answer = c.status
		if out := b.mustRotate(newSecret(3+n), "add", "production/strava", "--probe", "--config", b.at("daemon.yaml")); !strings.Contains(out, c.want) {
			t.Errorf("HTTP %d: got\n%s", c.status, out)
		}
	}
}

// repository makes the bench a git repository with a commit and an author.
func (b *bench) repository() *git.Repository {
	b.t.Helper()
	home := b.t.TempDir()
	b.t.Setenv("HOME", home)
	b.t.Setenv("XDG_CONFIG_HOME", "")
	if err := os.WriteFile(filepath.Join(home, ".gitconfig"), []byte("[user]\n\tname = Ada\n\temail = ada@acme.example\n"), 0o600); err != nil {
		b.t.Fatal(err)
	}
	if err := os.Remove(b.at("identity.txt")); err != nil {
		b.t.Fatal(err)
	}
	delete(b.vars, "RECONCILE_AGE_KEY_FILE")
	if _, err := commitAll(b.dir, "Begin", time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)); err != nil {
		b.t.Fatal(err)
	}
	repo, err := git.PlainOpen(b.dir)
	if err != nil {
		b.t.Fatal(err)
	}
	return repo
}

func headOf(t *testing.T, repo *git.Repository) *object.Commit {
	t.Helper()
	ref, err := repo.Head()
	if err != nil {
		t.Fatal(err)
	}
	commit, err := repo.CommitObject(ref.Hash())
	if err != nil {
		t.Fatal(err)
	}
	return commit
}

// In the midst of what somebody began, a commit would end up in the wrong place.
func TestRotateCommitsNothingIntoWhatIsUnfinished(t *testing.T) {
	b := newBench(t)
	b.must(typedSecret, "encrypt", "production/strava.yaml")
	repo := b.repository()
	head := headOf(t, repo)
	for file, what := range map[string]string{
		"MERGE_HEAD": "merge", "CHERRY_PICK_HEAD": "cherry-pick", "REVERT_HEAD": "revert",
		"rebase-merge/onto": "rebase", "rebase-apply/onto": "rebase", "BISECT_LOG": "bisect",
	} {
		b.write(".git/"+file, head.Hash.String()+"\n")
		before := b.snapshot()
		want := "prepare commit: a " + what + " is not finished; finish it first; nothing was changed"
		if code := b.rotate(newSecret(2), "add", "production/strava", "--commit"); code != exitFailed || !strings.Contains(b.errText, want) || b.changed(before) != "" {
			t.Errorf("%s: got exit %d, %q, changed %q, want %q", file, code, b.errText, b.changed(before), want)
		}
		if err := os.RemoveAll(b.at(".git/" + strings.Split(file, "/")[0])); err != nil {
			t.Fatal(err)
		}
	}
	b.mustRotate(newSecret(2), "add", "production/strava", "--commit")
}

// An environment's name may hold slashes itself.
func TestRotateInANestedEnvironment(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.write("eu/production/environment.yaml", "dev_id: eu-x\nprune: never\n")
	b.write("eu/production/strava.yaml", "provider: strava\ncredentials:\n  client_id: \"123456\"\n")
	if out := b.mustRotate(typedSecret, "add", "eu/production/strava"); !strings.Contains(out, "Added key 1 of eu/production/strava") {
		t.Errorf("got\n%s", out)
	}
	b.mustRotate(newSecret(2), "add", "eu/production/strava", "--not-before", "2026-11-28")
	if code := b.rotate("", "prune", "eu/production/strava", "--key", "1"); code != exitFailed || !strings.Contains(b.errText, "key 1 may still be needed") {
		t.Errorf("prune: got exit %d, %q", code, b.errText)
	}
}

func TestRotateCommits(t *testing.T) {
	b := newBench(t)
	b.must(typedSecret, "encrypt", "production/strava.yaml")
	repo := b.repository()
	b.write("staging/environment.yaml", "dev_id: staging-x\nprune: never # not committed, and not to slip in\n")
	b.write("notes", "untracked")
	t.Setenv("GIT_AUTHOR_DATE", "2026-11-23T09:00:00Z")
	out := b.mustRotate(newSecret(2), "add", "production/strava", "--commit", "--not-before", "2026-11-28")
	head := headOf(t, repo)
	if want := "Add key 2 of production/strava\n\nDue from 2026-11-28T00:00:00Z. Sealed for 1 recipient.\n"; head.Message != want {
		t.Errorf("got message %q, want %q", head.Message, want)
	}
	if head.Author.String() != "Ada <ada@acme.example>" || !head.Author.When.Equal(time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)) {
		t.Errorf("got author %s at %s", head.Author.String(), head.Author.When)
	}
	stats, err := head.Stats()
	if err != nil || len(stats) != 2 || stats[0].Name != ".reconcile/recipients.lock" || stats[1].Name != "production/strava.yaml" {
		t.Errorf("got %v, %v, want the file and the lock alone", stats, err)
	}
	if want := "  1. Push commit " + head.Hash.String()[:10] + "."; !strings.Contains(out, want) {
		t.Errorf("got\n%s\nwant %q", out, want)
	}
	tree, err := repo.Worktree()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		do   func() error
		want string
	}{
		{"a dirty file", func() error {
			b.write("production/strava.yaml", b.read("production/strava.yaml")+"# mine\r\n")
			return nil
		}, "production/strava.yaml has changes that are not committed and would slip in; commit them first; nothing was changed"},
		{"something staged", func() error { _, err := tree.Add("notes"); return err }, "notes is staged and would slip in; commit it first"},
		{"no author", func() error { return os.Remove(filepath.Join(os.Getenv("HOME"), ".gitconfig")) }, "git knows no author; set user.name and user.email"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b.t = t
			if err := c.do(); err != nil {
				t.Fatal(err)
			}
			before := b.snapshot()
			if code := b.rotate(newSecret(3), "add", "production/strava", "--commit", "--not-before", "2026-11-29"); code != exitFailed || !strings.Contains(b.errText, c.want) {
				t.Errorf("got exit %d, %q, want %q", code, b.errText, c.want)
			}
			if b.changed(before) != "" || headOf(t, repo).Hash != head.Hash {
				t.Error("something was changed or committed")
			}
		})
	}
}

// A commit is made by the user's own git: their author, hooks, signature, includes.
func TestRotateCommitsAsItsUser(t *testing.T) {
	gitOf := func(b *bench, args ...string) string {
		b.t.Helper()
		out, err := exec.Command("git", append([]string{"-C", b.dir}, args...)...).CombinedOutput()
		if err != nil {
			b.t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	config := func(b *bench, name, text string) {
		b.t.Helper()
		if err := os.WriteFile(filepath.Join(os.Getenv("HOME"), name), []byte(text), 0o600); err != nil {
			b.t.Fatal(err)
		}
	}
	hook := func(b *bench, name, script string) {
		b.t.Helper()
		b.write(".git/hooks/"+name, "#!/bin/sh\n"+script+"\n")
		if err := os.Chmod(b.at(".git/hooks/"+name), 0o700); err != nil {
			b.t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name  string
		do    func(t *testing.T, b *bench)
		check func(t *testing.T, b *bench)
		fails string
	}{
		{"variables decide who", func(t *testing.T, _ *bench) {
			t.Helper()
			for name, value := range map[string]string{"AUTHOR_NAME": "bot", "AUTHOR_EMAIL": "bot@ci.example", "COMMITTER_NAME": "ci", "COMMITTER_EMAIL": "ci@ci.example"} {
				t.Setenv("GIT_"+name, value)
			}
		}, func(t *testing.T, b *bench) {
			t.Helper()
			if got := gitOf(b, "log", "-1", "--format=%an %ae %cn %ce"); got != "bot bot@ci.example ci ci@ci.example" {
				t.Errorf("the commit is by %s", got)
			}
		}, ""},
		{"a conditional include", func(_ *testing.T, b *bench) {
			dir, err := filepath.EvalSymlinks(b.dir)
			if err != nil {
				b.t.Fatal(err)
			}
			config(b, ".gitconfig", "[user]\n\tname = Me\n\temail = me@home.example\n[includeIf \"gitdir:"+dir+"/\"]\n\tpath = ~/work\n")
			config(b, "work", "[user]\n\temail = me@work.example\n")
		}, func(t *testing.T, b *bench) {
			t.Helper()
			if got := gitOf(b, "log", "-1", "--format=%ae"); got != "me@work.example" {
				t.Errorf("the commit is by %s", got)
			}
		}, ""},
		{"signed by ssh", func(_ *testing.T, b *bench) {
			key := filepath.Join(os.Getenv("HOME"), "signer")
			if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key).CombinedOutput(); err != nil {
				b.t.Fatalf("ssh-keygen: %v\n%s", err, out)
			}
			config(b, ".gitconfig", "[user]\n\tname = Ada\n\temail = a@b.example\n\tsigningkey = "+key+".pub\n[commit]\n\tgpgsign = true\n[gpg]\n\tformat = ssh\n")
		}, func(t *testing.T, b *bench) {
			t.Helper()
			if got := gitOf(b, "cat-file", "commit", "HEAD"); !strings.Contains(got, "BEGIN SSH SIGNATURE") {
				t.Errorf("the commit is not signed:\n%s", got)
			}
		}, ""},
		{"signing fails", func(_ *testing.T, b *bench) {
			config(b, ".gitconfig", "[user]\n\tname = Ada\n\temail = a@b.example\n[commit]\n\tgpgsign = true\n[gpg]\n\tprogram = false\n")
		}, nil, "are written but not committed: git says: error: gpg failed to sign the data"},
		{"a hook refuses", func(_ *testing.T, b *bench) {
			hook(b, "pre-commit", "echo 'no \033[31mkeys on a Friday'; exit 1")
		}, nil, `git says: no \u001B[31mkeys on a Friday; mend that and commit them yourself`},
		{"a hook completes the message", func(_ *testing.T, b *bench) {
			hook(b, "prepare-commit-msg", `echo "Ticket: OPS-7" >>"$1"`)
		}, func(t *testing.T, b *bench) {
			t.Helper()
			if got := gitOf(b, "log", "-1", "--format=%B"); !strings.Contains(got, "Ticket: OPS-7") {
				t.Errorf("the message is %q", got)
			}
		}, ""},
		{"line endings are the repository's", func(_ *testing.T, b *bench) {
			b.write(".gitattributes", "*.yaml text eol=crlf\n")
			gitOf(b, "add", ".gitattributes")
			gitOf(b, "commit", "-qm", "attributes")
			file := "production/strava.yaml"
			b.write(file, strings.ReplaceAll(strings.ReplaceAll(b.read(file), "\r\n", "\n"), "\n", "\r\n"))
			gitOf(b, "add", "--renormalize", ".")
			gitOf(b, "commit", "-qm", "renormalized", "--allow-empty")
		}, func(t *testing.T, b *bench) {
			t.Helper()
			if strings.Contains(gitOf(b, "show", "HEAD:production/strava.yaml"), "\r") || !strings.Contains(b.read("production/strava.yaml"), "\r\n") {
				t.Error("CRLF is to stand in the work tree and not in the commit")
			}
			if got := gitOf(b, "status", "--porcelain"); got != "" {
				t.Errorf("afterwards git status says %s", got)
			}
		}, ""},
		{"an alias does not stand in for commit", func(_ *testing.T, b *bench) {
			gitOf(b, "config", "alias.commit", "!false")
			gitOf(b, "config", "alias.status", "!false")
		}, nil, ""},
		{"variables of a hook name another repository", func(t *testing.T, _ *bench) {
			t.Helper()
			t.Setenv("GIT_DIR", filepath.Join(t.TempDir(), ".git"))
			t.Setenv("GIT_INDEX_FILE", filepath.Join(t.TempDir(), "index"))
		}, func(t *testing.T, b *bench) {
			t.Helper()
			for _, name := range []string{"GIT_DIR", "GIT_INDEX_FILE"} {
				if err := os.Unsetenv(name); err != nil {
					t.Fatal(err)
				}
			}
		}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			b.must(typedSecret, "encrypt", "production/strava.yaml")
			b.repository()
			c.do(t, b)
			if c.fails != "" {
				if code := b.rotate(newSecret(2), "add", "production/strava", "--commit"); code != exitFailed || !strings.Contains(b.errText, c.fails) {
					t.Errorf("got exit %d, %q, want %q", code, b.errText, c.fails)
				}
				return
			}
			b.mustRotate(newSecret(2), "add", "production/strava", "--commit")
			if c.check != nil {
				c.check(t, b)
			}
			if got := gitOf(b, "show", "--format=%s", "--name-only", "HEAD"); got != "Add key 2 of production/strava\n\n.reconcile/recipients.lock\nproduction/strava.yaml" {
				t.Errorf("HEAD is %q", got)
			}
		})
	}
}
