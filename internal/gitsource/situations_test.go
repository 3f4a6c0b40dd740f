package gitsource

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/terra-reconcile/terra-reconcile/internal/walk"
)

// situation is one way in which a repository is found in the world: what git itself
// reads is read, and what can not be read is told as what it is.
type situation struct {
	name string
	try  func(t *testing.T)
}

// counted situations, of all tests that run them.
func runSituations(t *testing.T, count *atomic.Int64, all []situation) {
	t.Helper()
	for _, s := range all {
		count.Add(1)
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			s.try(t)
		})
	}
}

// TestGitSituations tries an eighth of each kind, and all where more was asked for.
func TestGitSituations(t *testing.T) {
	r := newRepository(t)
	r.commit("first", "a.yaml", "one: 1\n", "sub/b.yaml", "two: 2\n")
	if err := errors.Join(os.MkdirAll(filepath.Join(r.dir, ".git/info"), 0o700), os.RemoveAll(pattern()), os.Rename(r.dir, pattern())); err != nil {
		t.Fatal(err)
	}
	var count atomic.Int64
	for name, all := range map[string][]situation{
		"config": configSituations(), "layout": layoutSituations(), "work tree": workTreeSituations(), "refs": refSituations(),
		"hostile": hostileSituations(), "url": urlSituations(), "way": waySituations(), "ssh": sshSituations(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			slices.SortFunc(all, func(a, b situation) int { return strings.Compare(a.name, b.name) })
			runSituations(t, &count, walk.Few(t, all, max(1, len(all)/8)))
		})
	}
	t.Cleanup(func() { t.Logf("COUNT git_situations=%d", count.Load()) })
}

// pattern is where the repository is that plain copies.
func pattern() string { return filepath.Join(os.Getenv("HOME"), "pattern") }

// plain is a repository with one commit of a.yaml and sub/b.yaml.
func plain(t *testing.T) (r repository, head string) {
	t.Helper()
	r = repository{t: t, dir: filepath.Join(t.TempDir(), "repo")}
	if err := os.CopyFS(r.dir, os.DirFS(pattern())); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(r.dir, ".git/refs/heads/main"))
	if err != nil {
		t.Fatal(err)
	}
	return r, strings.TrimSpace(string(text))
}

// clean expects that a folder is read as the commit that git says it is.
func cleanTree(t *testing.T, dir, head string) Tree {
	t.Helper()
	tree, err := WorkTree(t.Context(), dir, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if tree.Dirty || tree.Commit.Hash != head {
		t.Fatalf("got commit %q with changes %v, want %q and none", tree.Commit.Hash, tree.Changes, head)
	}
	holds(t, tree.FS, "a.yaml", "one: 1\n")
	fetch(t, open(t, Options{URL: dir}), head)
	return tree
}

// dirty expects changes.
func dirty(t *testing.T, dir string, changes ...string) Tree {
	t.Helper()
	tree, err := WorkTree(t.Context(), dir, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if !tree.Dirty || !slices.Equal(tree.Changes, changes) {
		t.Fatalf("changes are %v, want %v", tree.Changes, changes)
	}
	return tree
}

func holds(t *testing.T, files fs.FS, name, want string) {
	t.Helper()
	if data, err := fs.ReadFile(files, name); string(data) != want || err != nil {
		t.Errorf("%s is %q, %v, want %q", name, data, err, want)
	}
}

// cloned is a clone of r, made with the flags, and set up with the commands.
func cloned(t *testing.T, r repository, flags []string, commands ...[]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "clone")
	runGit(t, ".", slices.Concat([]string{"clone", "-q"}, flags, []string{"file://" + r.dir, dir})...)
	for _, command := range commands {
		runGit(t, dir, command...)
	}
	return dir
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	repository{t: t, dir: dir}.write(name, text)
}

// configSituations are texts of .git/config that git takes.
func configSituations() []situation {
	var all []situation
	for name, text := range map[string]string{
		"gh pr checkout":                    "[branch \"fix\"]\n\tremote = origin\n\tmerge = refs/pull/12/head\n",
		"glab mr checkout":                  "[branch \"fix\"]\n\tmerge = refs/merge-requests/12/head\n",
		"a branch of a tag":                 "[branch \"fix\"]\n\tmerge = refs/tags/v1\n",
		"rebase = merges":                   "[branch \"main\"]\n\trebase = merges\n",
		"rebase = yes":                      "[branch \"main\"]\n\trebase = yes\n",
		"a negative refspec":                "[remote \"origin\"]\n\turl = x\n\tfetch = ^refs/heads/gh-pages\n",
		"a refspec without a destination":   "[remote \"origin\"]\n\turl = x\n\tfetch = refs/heads/main\n",
		"a remote without URL":              "[remote \"origin\"]\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n",
		"several URLs and pushInsteadOf":    "[remote \"o\"]\n\turl = a\n\turl = b\n[url \"ssh://x/\"]\n\tpushInsteadOf = https://x/\n",
		"numbers with a unit":               "[pack]\n\twindow = 1k\n[core]\n\tbigFileThreshold = 1m\n",
		"a branch that is a pattern":        "[branch \"*\"]\n\trebase = true\n",
		"a section as of old":               "[branch.old]\n\tremote = origin\n",
		"bytes that are no UTF-8":           "[user]\n\tname = Mat\xecj\n",
		"a name without a value":            "[core]\n\tsymlinks\n",
		"sections in capitals":              "[CORE]\n\tFileMode = FALSE\n",
		"a value over two lines":            "[alias]\n\tx = log \\\n\t\t--oneline\n",
		"comments and quotes":               "; a\n# b\n[x \"y\\\"z\"]\n\ta = \"b ; c\" ; d\n",
		"CRLF":                              "[x]\r\n\ta = b\r\n",
		"no end of line":                    "[x]\n\ta = b",
		"an include that is not there":      "[include]\n\tpath = nowhere\n",
		"a conditional include":             "[includeIf \"onbranch:main\"]\n\tpath = nowhere\n",
		"file mode false":                   "[core]\n\tfilemode = false\n",
		"cases ignored":                     "[core]\n\tignorecase = true\n\tprecomposeunicode = true\n",
		"worktreeConfig":                    "[core]\n\trepositoryformatversion = 1\n[extensions]\n\tworktreeConfig = true\n",
		"preciousObjects":                   "[core]\n\trepositoryformatversion = 1\n[extensions]\n\tpreciousObjects = true\n",
		"objectFormat named":                "[core]\n\trepositoryformatversion = 1\n[extensions]\n\tobjectFormat = sha1\n",
		"signing asked for":                 "[commit]\n\tgpgsign = true\n[tag]\n\tgpgsign = true\n[log]\n\tshowSignature = true\n",
		"status set to be short":            "[status]\n\tshort = true\n\tbranch = true\n\tshowUntrackedFiles = no\n\trelativePaths = false\n\trenames = copies\n",
		"colours and columns always":        "[color]\n\tui = always\n\tstatus = always\n[column]\n\tui = always\n",
		"quotePath and a log format":        "[core]\n\tquotePath = true\n\tabbrev = 4\n[format]\n\tpretty = oneline\n[log]\n\tdate = relative\n",
		"untracked cache, split index":      "[core]\n\tuntrackedCache = true\n\tsplitIndex = true\n[index]\n\tversion = 4\n[feature]\n\tmanyFiles = true\n",
		"a submodule that is to be visited": "[submodule]\n\trecurse = true\n[status]\n\tsubmoduleSummary = true\n",
	} {
		all = append(all, situation{name, func(t *testing.T) {
			r, head := plain(t)
			config := filepath.Join(r.dir, ".git/config")
			before, err := os.ReadFile(config)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(config, append(before, text...), 0o600); err != nil {
				t.Fatal(err)
			}
			cleanTree(t, r.dir, head)
			write(t, r.dir, "a.yaml", "one: 2\n")
			write(t, r.dir, "c ü.yaml", "new\n")
			dirty(t, r.dir, "a.yaml", "c ü.yaml")
		}})
	}
	return append(all,
		situation{"a BOM before the configuration", func(t *testing.T) {
			r, head := plain(t)
			text, err := os.ReadFile(filepath.Join(r.dir, ".git/config"))
			if err != nil {
				t.Fatal(err)
			}
			write(t, r.dir, ".git/config", "\xef\xbb\xbf"+string(text))
			cleanTree(t, r.dir, head)
		}},
		situation{"a configuration that git can not read", func(t *testing.T) {
			r, _ := plain(t)
			write(t, r.dir, ".git/config", "[core\n")
			_, err := WorkTree(t.Context(), r.dir, "", nil)
			wantError[*CorruptError](t, err, "bad config line", "run git status in "+r.dir)
		}},
		situation{"an extension that is newer than git", func(t *testing.T) {
			r, _ := plain(t)
			r.git("config", "core.repositoryformatversion", "1")
			r.git("config", "extensions.fromTheFuture", "true")
			tree := dirty(t, r.dir)
			wantError[*OldGitError](t, tree.Blind, "fromthefuture", "newer git")
			holds(t, tree.FS, "a.yaml", "one: 1\n")
			_, err := open(t, Options{URL: r.dir}).Fetch(t.Context())
			wantError[*OldGitError](t, err)
		}},
	)
}

// layoutSituations are ways in which git keeps a repository.
func layoutSituations() []situation {
	return []situation{
		{"a linked work tree", func(t *testing.T) {
			r, head := plain(t)
			linked := filepath.Join(t.TempDir(), "linked")
			r.git("worktree", "add", "-q", "-b", "side", linked)
			cleanTree(t, linked, head)
			write(t, linked, "a.yaml", "changed\n")
			dirty(t, linked, "a.yaml")
			cleanTree(t, r.dir, head)
		}},
		{"a linked work tree by a relative path", func(t *testing.T) {
			r, head := plain(t)
			r.git("worktree", "add", "-q", "-b", "side", "../linked")
			linked := filepath.Join(r.dir, "../linked")
			write(t, linked, ".git", "gitdir: ../repo/.git/worktrees/linked\n")
			cleanTree(t, linked, head)
		}},
		{"a linked work tree of a bare repository", func(t *testing.T) {
			r, head := plain(t)
			bare := cloned(t, r, []string{"--bare"}, []string{"worktree", "add", "-q", "-b", "side", "../linked"})
			cleanTree(t, filepath.Join(bare, "../linked"), head)
		}},
		{"a git directory elsewhere", func(t *testing.T) {
			r, head := plain(t)
			dir := cloned(t, r, []string{"--separate-git-dir", filepath.Join(t.TempDir(), "elsewhere")})
			cleanTree(t, dir, head)
		}},
		{"core.worktree", func(t *testing.T) {
			r, head := plain(t)
			dir := t.TempDir()
			if err := os.Rename(filepath.Join(r.dir, ".git"), filepath.Join(dir, "store.git")); err != nil {
				t.Fatal(err)
			}
			write(t, r.dir, ".git", "gitdir: "+dir+"/store.git\n")
			runGit(t, dir, "--git-dir", "store.git", "config", "core.worktree", r.dir)
			cleanTree(t, r.dir, head)
		}},
		{"core.worktree that leads away", func(t *testing.T) {
			r, head := plain(t)
			r.git("config", "core.worktree", t.TempDir())
			fetch(t, open(t, Options{URL: r.dir}), head)
			tree, err := WorkTree(t.Context(), r.dir, "", nil)
			if err != nil || tree.Commit.Hash != head {
				t.Fatalf("got %+v, %v", tree, err)
			}
			holds(t, tree.FS, "a.yaml", "one: 1\n")
		}},
		{"a submodule as the folder", func(t *testing.T) {
			inner, head := plain(t)
			r, _ := plain(t)
			r.git("submodule", "--quiet", "add", "file://"+inner.dir, "config")
			cleanTree(t, filepath.Join(r.dir, "config"), head)
		}},
		{"a submodule below the folder is no folder of it", func(t *testing.T) {
			inner, _ := plain(t)
			r, _ := plain(t)
			r.git("submodule", "--quiet", "add", "file://"+inner.dir, "config")
			r.commit("submodule")
			_, err := WorkTree(t.Context(), r.dir, "config", nil)
			wantError[*NotFoundError](t, err, "is a repository of its own, not read with this one; check the path")
			_, err = open(t, Options{URL: r.dir, Path: "config"}).Fetch(t.Context())
			wantError[*MissingPathError](t, err)
		}},
		{"submodules inside are left alone", func(t *testing.T) {
			inner, _ := plain(t)
			r, _ := plain(t)
			r.git("submodule", "--quiet", "add", "file://"+inner.dir, "inner")
			head := r.commit("submodule")
			write(t, r.dir, "inner/a.yaml", "changed\n")
			write(t, r.dir, "inner/new.yaml", "new\n")
			tree := cleanTree(t, r.dir, head)
			if _, err := fs.ReadFile(tree.FS, "inner/a.yaml"); err == nil {
				t.Error("a file of a submodule was read")
			}
			cleanTree(t, cloned(t, r, nil), head)
		}},
		{"a repository that is not tracked lies inside", func(t *testing.T) {
			r, _ := plain(t)
			runGit(t, r.dir, "init", "-q", "nested")
			write(t, r.dir, "nested/x.yaml", "x\n")
			runGit(t, r.dir+"/nested", "add", "-A")
			runGit(t, r.dir+"/nested", "commit", "-qm", "x")
			dirty(t, r.dir, "nested")
		}},
		{"alternates, absolute", func(t *testing.T) {
			r, head := plain(t)
			cleanTree(t, cloned(t, r, []string{"--shared"}), head)
		}},
		{"alternates, relative", func(t *testing.T) {
			r, head := plain(t)
			dir := cloned(t, r, []string{"--shared"})
			store, err := filepath.Rel(filepath.Join(dir, ".git/objects"), filepath.Join(r.dir, ".git/objects"))
			if err != nil {
				t.Fatal(err)
			}
			write(t, dir, ".git/objects/info/alternates", "# the cache of the runner\n\n/gone/objects\n"+store+"\n")
			cleanTree(t, dir, head)
		}},
		{"alternates of alternates", func(t *testing.T) {
			r, head := plain(t)
			one := cloned(t, r, []string{"--shared"})
			cleanTree(t, cloned(t, repository{t: t, dir: one}, []string{"--shared"}), head)
		}},
		{"an old pack index", func(t *testing.T) {
			r, head := plain(t)
			r.git("config", "pack.indexVersion", "1")
			r.git("repack", "-adq")
			cleanTree(t, r.dir, head)
		}},
		{"a multi-pack-index, bitmaps, a commit graph", func(t *testing.T) {
			r, _ := plain(t)
			r.git("repack", "-dq")
			head := r.commit("more", "c.yaml", "3\n")
			r.git("repack", "-dq", "--write-midx", "--write-bitmap-index")
			r.git("commit-graph", "write", "--reachable")
			cleanTree(t, r.dir, head)
		}},
		{"packed refs", func(t *testing.T) {
			r, head := plain(t)
			r.git("pack-refs", "--all", "--prune")
			cleanTree(t, r.dir, head)
		}},
		{"cruft packs and promises kept", func(t *testing.T) {
			r, _ := plain(t)
			r.commit("gone", "c.yaml", "3\n")
			r.git("reset", "-q", "--hard", "HEAD~1")
			r.git("repack", "-adq", "--cruft")
			cleanTree(t, r.dir, r.git("rev-parse", "HEAD"))
		}},
		{"deep deltas", func(t *testing.T) {
			r, _ := plain(t)
			var head string
			for i := range 8 {
				head = r.commit("more", "a.yaml", "one: 1\n", "long.yaml", strings.Repeat("line\n", 200)+fmt.Sprint(i))
			}
			r.git("repack", "-adfq", "--depth=50", "--window=50")
			cleanTree(t, r.dir, head)
		}},
		{"replace refs", func(t *testing.T) {
			r, first := plain(t)
			head := r.commit("second", "a.yaml", "one: 1\n", "c.yaml", "3\n")
			r.git("replace", head, first)
			tree, err := WorkTree(t.Context(), r.dir, "", nil)
			if err != nil || tree.Commit.Hash != head {
				t.Fatalf("got %+v, %v, want the true commit", tree.Commit, err)
			}
			fetch(t, open(t, Options{URL: r.dir}), head)
		}},
		{"grafts", func(t *testing.T) {
			r, first := plain(t)
			head := r.commit("second", "a.yaml", "one: 1\n", "c.yaml", "3\n")
			write(t, r.dir, ".git/info/grafts", head+"\n"+first+"\n")
			cleanTree(t, r.dir, head)
		}},
		{"a partial clone", func(t *testing.T) {
			r, head := plain(t)
			r.git("config", "uploadpack.allowFilter", "true")
			cleanTree(t, cloned(t, r, []string{"--filter=blob:none"}), head)
		}},
		{"a partial clone that lacks a file", func(t *testing.T) {
			r, _ := plain(t)
			r.git("config", "uploadpack.allowFilter", "true")
			dir := cloned(t, r, []string{"--filter=blob:none", "--sparse"})
			_, err := WorkTree(t.Context(), dir, "", nil)
			wantError[*NotFoundError](t, err, "this clone is partial and lacks blob", "clone it without --filter")
			_, err = open(t, Options{URL: dir}).Fetch(t.Context())
			wantError[*NotFoundError](t, err, "this clone is partial and lacks blob")
		}},
		{"a treeless clone that was filled", func(t *testing.T) {
			r, head := plain(t)
			r.git("config", "uploadpack.allowFilter", "true")
			cleanTree(t, cloned(t, r, []string{"--filter=tree:0", "--depth=1"}), head)
		}},
		{"SHA-256", func(t *testing.T) {
			dir := t.TempDir()
			runGit(t, dir, "init", "-q", "--object-format=sha256", ".")
			write(t, dir, "a.yaml", "1\n")
			runGit(t, dir, "add", "-A")
			runGit(t, dir, "commit", "-qm", "x")
			_, err := WorkTree(t.Context(), dir, "", nil)
			wantError[*UnsupportedError](t, err, "sha256")
		}},
		{"bare", func(t *testing.T) {
			r, head := plain(t)
			tree := cleanTree(t, cloned(t, r, []string{"--bare"}), head)
			holds(t, tree.FS, "sub/b.yaml", "two: 2\n")
		}},
		{"bare, and git is set to refuse what is not named", func(t *testing.T) {
			r, head := plain(t)
			dir := cloned(t, r, []string{"--bare"})
			g, err := openGit(t.Context(), dir, false, "HEAD")
			if err != nil {
				t.Fatal(err)
			}
			g.env = append(g.env, "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.bareRepository", "GIT_CONFIG_VALUE_0=explicit")
			if out, err := g.run(t.Context(), "rev-parse", "HEAD"); strings.TrimSpace(out) != head {
				t.Errorf("got %q, %v", out, err)
			}
		}},
		{"bare, with a ref", func(t *testing.T) {
			r, head := plain(t)
			r.git("branch", "other")
			r.commit("more", "c.yaml", "3\n")
			fetch(t, open(t, Options{URL: cloned(t, r, []string{"--bare"}), Ref: "other", Path: "sub"}), head)
		}},
		{"bare and empty", func(t *testing.T) {
			dir := t.TempDir()
			runGit(t, dir, "init", "-q", "--bare", ".")
			_, err := WorkTree(t.Context(), dir, "", nil)
			if !errors.Is(err, ErrEmptyRepository) {
				t.Errorf("got %v", err)
			}
		}},
		{"a mirror", func(t *testing.T) {
			r, head := plain(t)
			cleanTree(t, cloned(t, r, []string{"--mirror"}), head)
		}},
		{"the folder .git itself", func(t *testing.T) {
			r, head := plain(t)
			fetch(t, open(t, Options{URL: r.dir + "/.git"}), head)
			fetch(t, open(t, Options{URL: "file://" + r.dir + "/.git/"}), head)
		}},
		{"a folder through a link", func(t *testing.T) {
			r, head := plain(t)
			alias := filepath.Join(t.TempDir(), "alias")
			if err := os.Symlink(r.dir, alias); err != nil {
				t.Fatal(err)
			}
			cleanTree(t, alias, head)
			cleanTree(t, alias+"/", head)
		}},
		{"a folder with odd letters", func(t *testing.T) {
			r, head := plain(t)
			dir := filepath.Join(t.TempDir(), "a b%20'\"ü $x")
			if err := os.Rename(r.dir, dir); err != nil {
				t.Fatal(err)
			}
			cleanTree(t, dir, head)
		}},
		{"a repository of another user", func(t *testing.T) {
			r, _ := plain(t)
			g, err := openGit(t.Context(), r.dir, false, "HEAD")
			if err != nil {
				t.Fatal(err)
			}
			g.env = append(g.env, "GIT_TEST_ASSUME_DIFFERENT_OWNER=1")
			g.dir = filepath.Join(r.dir, "sub")
			err = g.find(t.Context(), "HEAD")
			wantError[*OwnerError](t, err, "belongs to another user", "git config --global --add safe.directory '"+r.dir+"'")
		}},
		{"no git at all in the folder", func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, "a.yaml", "1\n")
			tree := dirty(t, dir)
			if tree.Commit.Hash != "" || tree.Blind != nil {
				t.Errorf("got %+v", tree)
			}
		}},
		{"a .git that is no repository", func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, ".git/nothing", "")
			_, err := WorkTree(t.Context(), dir, "", nil)
			wantError[*CorruptError](t, err, "does not take "+dir+"/.git for a repository")
		}},
		{"a loose object is damaged", func(t *testing.T) {
			r, _ := plain(t)
			blob := r.git("rev-parse", "HEAD:a.yaml")
			name := filepath.Join(r.dir, ".git/objects", blob[:2], blob[2:])
			if err := errors.Join(os.Chmod(name, 0o600), os.WriteFile(name, []byte("x"), 0o600)); err != nil {
				t.Fatal(err)
			}
			_, err := WorkTree(t.Context(), r.dir, "", nil)
			wantError[*CorruptError](t, err, "git fsck")
		}},
	}
}

// workTreeSituations are work trees that git calls clean, and some that it does not.
func workTreeSituations() []situation {
	attributes := func(text string) func(t *testing.T) (repository, string) {
		return func(t *testing.T) (repository, string) {
			t.Helper()
			r, _ := plain(t)
			return r, r.commit("attributes", ".gitattributes", text)
		}
	}
	return []situation{
		{"eol=crlf", func(t *testing.T) {
			r, head := attributes("*.yaml text eol=crlf\n")(t)
			dir := cloned(t, r, nil)
			if data, err := os.ReadFile(filepath.Join(dir, "a.yaml")); !strings.Contains(string(data), "\r\n") {
				t.Fatalf("the clone has no CRLF: %q, %v", data, err)
			}
			cleanTree(t, dir, head)
			write(t, dir, "a.yaml", "one: 2\r\n")
			tree := dirty(t, dir, "a.yaml")
			holds(t, tree.FS, "a.yaml", "one: 2\r\n")
		}},
		{"core.autocrlf=true", func(t *testing.T) {
			r, head := plain(t)
			cleanTree(t, cloned(t, r, []string{"-c", "core.autocrlf=true"}), head)
		}},
		{"core.autocrlf=input and safecrlf", func(t *testing.T) {
			r, head := plain(t)
			cleanTree(t, cloned(t, r, []string{"-c", "core.autocrlf=input", "-c", "core.safecrlf=true"}), head)
		}},
		{"core.eol=crlf and text=auto", func(t *testing.T) {
			r, head := attributes("* text=auto\n")(t)
			cleanTree(t, cloned(t, r, []string{"-c", "core.eol=crlf"}), head)
		}},
		{"attributes in .git/info", func(t *testing.T) {
			r, head := plain(t)
			dir := cloned(t, r, []string{"--no-checkout"})
			write(t, dir, ".git/info/attributes", "*.yaml eol=crlf\n")
			runGit(t, dir, "checkout", "-q", "main")
			cleanTree(t, dir, head)
		}},
		{"working-tree-encoding", func(t *testing.T) {
			r, _ := plain(t)
			r.write(".gitattributes", "w.yaml text working-tree-encoding=UTF-16LE-BOM\n")
			r.write("w.yaml", "\xff\xfea\x00\n\x00")
			head := r.commit("wide")
			tree := cleanTree(t, r.dir, head)
			holds(t, tree.FS, "w.yaml", "a\n")
		}},
		{"ident", func(t *testing.T) {
			r, _ := plain(t)
			r.write(".gitattributes", "i.yaml ident\n")
			head := r.commit("ident", "i.yaml", "# $Id$\n")
			tree := cleanTree(t, cloned(t, r, nil), head)
			holds(t, tree.FS, "i.yaml", "# $Id$\n")
		}},
		{"pointers of LFS stay pointers", func(t *testing.T) {
			const pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12\n"
			r, _ := plain(t)
			r.write(".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n")
			head := r.commit("large", "x.bin", pointer)
			tree := cleanTree(t, cloned(t, r, nil), head)
			holds(t, tree.FS, "x.bin", pointer)
		}},
		{"a sparse checkout by patterns", func(t *testing.T) {
			r, head := plain(t)
			dir := cloned(t, r, nil, []string{"sparse-checkout", "set", "--no-cone", "/*", "!/sub/"})
			tree := cleanTree(t, dir, head)
			holds(t, tree.FS, "sub/b.yaml", "two: 2\n")
			write(t, dir, "a.yaml", "one: 2\n")
			tree = dirty(t, dir, "a.yaml")
			holds(t, tree.FS, "a.yaml", "one: 2\n")
			holds(t, tree.FS, "sub/b.yaml", "two: 2\n")
			if list, err := fs.ReadDir(tree.FS, "."); err != nil || len(list) != 2 {
				t.Errorf("the folder lists %v, %v", list, err)
			}
		}},
		{"a sparse checkout in cone mode", func(t *testing.T) {
			r, _ := plain(t)
			head := r.commit("more", "other/c.yaml", "3\n", "other/deep/d.yaml", "4\n")
			dir := cloned(t, r, nil, []string{"sparse-checkout", "set", "--cone", "sub"})
			tree := cleanTree(t, dir, head)
			holds(t, tree.FS, "other/deep/d.yaml", "4\n")
			write(t, dir, "sub/b.yaml", "changed\n")
			tree = dirty(t, dir, "sub/b.yaml")
			holds(t, tree.FS, "other/deep/d.yaml", "4\n")
			if list, err := fs.ReadDir(tree.FS, "other"); err != nil || len(list) != 2 {
				t.Errorf("the folder lists %v, %v", list, err)
			}
			names := 0
			if err := fs.WalkDir(tree.FS, ".", func(_ string, d fs.DirEntry, err error) error {
				if err == nil && !d.IsDir() {
					names++
				}
				return err
			}); err != nil || names != 4 {
				t.Errorf("%d files, %v", names, err)
			}
		}},
		{"a sparse index", func(t *testing.T) {
			r, _ := plain(t)
			head := r.commit("more", "other/c.yaml", "3\n")
			dir := cloned(t, r, nil, []string{"sparse-checkout", "set", "--cone", "--sparse-index", "sub"})
			tree := cleanTree(t, dir, head)
			holds(t, tree.FS, "other/c.yaml", "3\n")
		}},
		{"the folder itself is not checked out", func(t *testing.T) {
			r, head := plain(t)
			dir := cloned(t, r, nil, []string{"sparse-checkout", "set", "--no-cone", "/*", "!/sub/"})
			tree, err := WorkTree(t.Context(), dir, "sub", nil)
			if err != nil || tree.Dirty || tree.Commit.Hash != head {
				t.Fatalf("got %+v, %v", tree, err)
			}
			holds(t, tree.FS, "b.yaml", "two: 2\n")
		}},
		{"skip-worktree, unchanged", func(t *testing.T) {
			r, head := plain(t)
			r.git("update-index", "--skip-worktree", "a.yaml")
			cleanTree(t, r.dir, head)
		}},
		{"skip-worktree, changed", func(t *testing.T) {
			r, _ := plain(t)
			r.git("update-index", "--skip-worktree", "a.yaml")
			write(t, r.dir, "a.yaml", "mine\n")
			holds(t, dirty(t, r.dir, "a.yaml").FS, "a.yaml", "mine\n")
		}},
		{"assume-unchanged, unchanged", func(t *testing.T) {
			r, head := plain(t)
			r.git("update-index", "--assume-unchanged", "a.yaml")
			cleanTree(t, r.dir, head)
		}},
		{"assume-unchanged, changed", func(t *testing.T) {
			r, _ := plain(t)
			r.git("update-index", "--assume-unchanged", "a.yaml", "sub/b.yaml")
			write(t, r.dir, "a.yaml", "mine\n")
			if err := os.Remove(filepath.Join(r.dir, "sub/b.yaml")); err != nil {
				t.Fatal(err)
			}
			dirty(t, r.dir, "a.yaml", "sub/b.yaml")
		}},
		{"core.fileMode=false and other bits", func(t *testing.T) {
			r, head := plain(t)
			if err := os.Chmod(filepath.Join(r.dir, "a.yaml"), 0o755); err != nil {
				t.Fatal(err)
			}
			cleanTree(t, r.dir, head)
		}},
		{"ignored, and read all the same", func(t *testing.T) {
			r, _ := plain(t)
			r.write(".git/info/exclude", "local/\n")
			write(t, r.dir, "local/environment.yaml", "x\n")
			dirty(t, r.dir, "local/environment.yaml")
		}},
		{"status.showUntrackedFiles=no", func(t *testing.T) {
			r, _ := plain(t)
			r.git("config", "status.showUntrackedFiles", "no")
			write(t, r.dir, "new.yaml", "x\n")
			dirty(t, r.dir, "new.yaml")
		}},
		{"names that git would quote", func(t *testing.T) {
			r, _ := plain(t)
			name := "odd \"ü\"\t\n'$(x)'.yaml"
			head := r.commit("odd", name, "1\n", "-rf.yaml", "2\n", ":(glob)*.yaml", "3\n")
			cleanTree(t, r.dir, head)
			write(t, r.dir, name, "changed\n")
			dirty(t, r.dir, name)
		}},
		{"a folder whose name is a pattern", func(t *testing.T) {
			r, _ := plain(t)
			odd := []string{"*", ":(top)", ":(attr:x)y", ":!a"}
			for _, sub := range odd {
				r.write(sub+"/c.yaml", "1\n")
			}
			r.commit("odd")
			for _, sub := range odd {
				write(t, r.dir, sub+"/c.yaml", "changed\n")
				if tree, err := WorkTree(t.Context(), r.dir, sub, nil); err != nil || !slices.Equal(tree.Changes, []string{"c.yaml"}) {
					t.Errorf("%s: got %+v, %v", sub, tree, err)
				}
			}
		}},
		{"staged and unstaged", func(t *testing.T) {
			r, head := plain(t)
			r.write("a.yaml", "two\n")
			r.git("add", "a.yaml")
			dirty(t, r.dir, "a.yaml")
			r.write("a.yaml", "one: 1\n")
			cleanTree(t, r.dir, head)
		}},
		{"a rename, a copy, a deletion", func(t *testing.T) {
			r, _ := plain(t)
			r.git("mv", "a.yaml", "z.yaml")
			r.git("rm", "-q", "sub/b.yaml")
			dirty(t, r.dir, "a.yaml", "sub/b.yaml", "z.yaml")
		}},
		{"a conflict", func(t *testing.T) {
			r, _ := plain(t)
			r.git("checkout", "-q", "-b", "side")
			r.commit("side", "a.yaml", "side\n")
			r.git("checkout", "-q", "main")
			r.commit("main", "a.yaml", "main\n")
			cmd := exec.Command("git", "merge", "-q", "side")
			cmd.Dir, cmd.Env = r.dir, gitEnv()
			if cmd.Run() == nil {
				t.Fatal("no conflict")
			}
			dirty(t, r.dir, "a.yaml")
		}},
		{"intent to add", func(t *testing.T) {
			r, _ := plain(t)
			r.write("new.yaml", "x\n")
			r.git("add", "-N", "new.yaml")
			dirty(t, r.dir, "new.yaml")
		}},
		{"files that differ in case only", func(t *testing.T) {
			r, _ := plain(t)
			head := r.commit("case", "A.yaml", "other\n")
			tree := cleanTree(t, r.dir, head)
			holds(t, tree.FS, "A.yaml", "other\n")
		}},
		{"a tracked link", func(t *testing.T) {
			r, _ := plain(t)
			if err := os.Symlink("a.yaml", filepath.Join(r.dir, "link.yaml")); err != nil {
				t.Fatal(err)
			}
			head := r.commit("link")
			tree := cleanTree(t, r.dir, head)
			if _, err := fs.ReadFile(tree.FS, "link.yaml"); err == nil {
				t.Error("a link was followed")
			}
			cleanTree(t, cloned(t, r, []string{"-c", "core.symlinks=false"}), head)
		}},
		{"no index yet", func(t *testing.T) {
			r, _ := plain(t)
			if err := os.Remove(filepath.Join(r.dir, ".git/index")); err != nil {
				t.Fatal(err)
			}
			dirty(t, r.dir, "a.yaml", "sub/b.yaml")
		}},
		{"a locked index", func(t *testing.T) {
			r, head := plain(t)
			write(t, r.dir, ".git/index.lock", "")
			cleanTree(t, r.dir, head)
		}},
		{"nothing is written by looking", func(t *testing.T) {
			r, head := plain(t)
			later := filepath.Join(r.dir, "a.yaml")
			info, err := os.Stat(later)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(later, info.ModTime(), info.ModTime().Add(5e9)); err != nil { // so that git status would refresh its index
				t.Fatal(err)
			}
			before, err := os.ReadFile(filepath.Join(r.dir, ".git/index"))
			if err != nil {
				t.Fatal(err)
			}
			cleanTree(t, r.dir, head)
			if after, err := os.ReadFile(filepath.Join(r.dir, ".git/index")); string(after) != string(before) || err != nil {
				t.Errorf("the index was written, %v", err)
			}
		}},
	}
}

// refSituations are names of commits, as checkouts of CI and people leave and give them.
func refSituations() []situation {
	local := func(name string, prepare func(t *testing.T, r repository) (dir, ref string)) situation {
		return situation{name, func(t *testing.T) {
			r, head := plain(t)
			dir, ref := prepare(t, r)
			fetch(t, open(t, Options{URL: dir, Ref: ref}), head)
			if ref == "" {
				cleanTree(t, dir, head)
			}
		}}
	}
	all := []situation{
		local("detached HEAD", func(_ *testing.T, r repository) (string, string) {
			r.git("checkout", "-q", "--detach")
			return r.dir, ""
		}),
		local("actions/checkout of a pull request", func(t *testing.T, r repository) (string, string) {
			t.Helper()
			r.git("update-ref", "refs/pull/1/merge", "HEAD")
			dir := t.TempDir()
			runGit(t, dir, "init", "-q", ".")
			runGit(t, dir, "fetch", "-q", "--no-tags", "--depth=1", "file://"+r.dir, "+refs/pull/1/merge:refs/remotes/pull/1/merge")
			runGit(t, dir, "checkout", "-q", "--force", "refs/remotes/pull/1/merge")
			return dir, ""
		}),
		local("a branch that only the remote has", func(t *testing.T, r repository) (string, string) {
			t.Helper()
			dir := cloned(t, r, []string{"--depth=1"}, []string{"checkout", "-q", "--detach"}, []string{"branch", "-qD", "main"})
			return dir, "main"
		}),
		local("a branch of a remote by its name", func(t *testing.T, r repository) (string, string) {
			t.Helper()
			return cloned(t, r, []string{"--origin", "upstream"}), "upstream/main"
		}),
		local("HEAD of a clone of a commit", func(t *testing.T, r repository) (string, string) {
			t.Helper()
			dir := t.TempDir()
			runGit(t, dir, "init", "-q", ".")
			runGit(t, dir, "fetch", "-q", "--depth=1", "file://"+r.dir, r.git("rev-parse", "HEAD"))
			runGit(t, dir, "checkout", "-q", "FETCH_HEAD")
			return dir, ""
		}),
		local("GitLab's detached checkout with a pipeline ref", func(t *testing.T, r repository) (string, string) {
			t.Helper()
			r.git("update-ref", "refs/pipelines/77", "HEAD")
			return r.dir, "refs/pipelines/77"
		}),
	}
	names := map[string]string{
		"a full SHA": "", "a branch with slashes": "team/eu/main", "a branch in other letters": "größe/日本", "a tag with slashes": "release/v1.0",
		"a tag of a tag": "nested", "refs/pull/1/merge": "refs/pull/1/merge", "pull/1/merge": "pull/1/merge", "heads/team/eu/main": "heads/team/eu/main", "tags/v1": "tags/v1",
		"a name with @ and +": "user@host+x", "a branch named like a flag, in full": "refs/heads/-x",
	}
	for name, ref := range names {
		for _, way := range []string{"folder", "http"} {
			all = append(all, situation{name + ", " + way, func(t *testing.T) {
				r, head := plain(t)
				for _, branch := range []string{"team/eu/main", "größe/日本", "user@host+x"} {
					r.git("branch", branch)
				}
				r.git("update-ref", "refs/heads/-x", "HEAD")
				r.git("update-ref", "refs/pull/1/merge", "HEAD")
				r.git("tag", "-a", "-m", "v1", "v1")
				r.git("tag", "release/v1.0")
				r.git("tag", "-a", "-m", "again", "nested", "v1")
				r.commit("newer", "c.yaml", "3\n")
				if ref == "" {
					ref = head
				}
				url := r.dir
				if way == "http" {
					url = serve(t, gitHTTP(t, r.dir)) + "/.git"
				}
				s := open(t, Options{URL: url, Ref: ref})
				fetch(t, s, head)
				fetch(t, s, head)
			}})
		}
	}
	for _, way := range []string{"folder", "http"} {
		url := func(t *testing.T, dir string) string {
			t.Helper()
			if way == "http" {
				return serve(t, gitHTTP(t, dir)) + "/.git"
			}
			return dir
		}
		all = append(all,
			situation{"a default branch of any name, " + way, func(t *testing.T) {
				r, _ := plain(t)
				r.git("branch", "-m", "main", "trunk/größe")
				fetch(t, open(t, Options{URL: url(t, r.dir)}), r.git("rev-parse", "HEAD"))
			}},
			situation{"a detached HEAD at the server, " + way, func(t *testing.T) {
				r, head := plain(t)
				r.git("checkout", "-q", "--detach")
				r.git("branch", "-qD", "main")
				fetch(t, open(t, Options{URL: url(t, r.dir)}), head)
			}},
			situation{"HEAD names a branch that is gone, " + way, func(t *testing.T) {
				r, _ := plain(t)
				r.git("symbolic-ref", "HEAD", "refs/heads/gone")
				_, err := open(t, Options{URL: url(t, r.dir)}).Fetch(t.Context())
				wantError[*MissingRefError](t, err, "choose one: main")
			}},
			situation{"an abbreviated SHA, " + way, func(t *testing.T) {
				r, head := plain(t)
				_, err := open(t, Options{URL: url(t, r.dir), Ref: head[:10]}).Fetch(t.Context())
				wantError[*MissingRefError](t, err, "all its 40 digits")
			}},
			situation{"a SHA that is not there, " + way, func(t *testing.T) {
				r, _ := plain(t)
				_, err := open(t, Options{URL: url(t, r.dir), Ref: strings.Repeat("ab", 20)}).Fetch(t.Context())
				wantError[*UnknownCommitError](t, err, "abababababab")
			}},
			situation{"empty, " + way, func(t *testing.T) {
				r := newRepository(t)
				if _, err := open(t, Options{URL: url(t, r.dir)}).Fetch(t.Context()); !errors.Is(err, ErrEmptyRepository) {
					t.Errorf("got %v", err)
				}
			}},
			situation{"only tags, " + way, func(t *testing.T) {
				r, head := plain(t)
				r.git("tag", "v1")
				r.git("checkout", "-q", "--detach")
				r.git("branch", "-qD", "main")
				fetch(t, open(t, Options{URL: url(t, r.dir), Ref: "v1"}), head)
			}},
			situation{"a tag and a branch of one name, " + way, func(t *testing.T) {
				r, _ := plain(t)
				r.git("tag", "same")
				head := r.commit("newer", "c.yaml", "3\n")
				r.git("branch", "same")
				for ref, want := range map[string]string{"same": "refs/tags/same", "main": "", "refs/heads/same": ""} {
					s := open(t, Options{URL: url(t, r.dir), Ref: ref})
					fetch(t, s, head)
					if got, err := s.Fetch(t.Context()); err != nil || got.Aside != want {
						t.Errorf("%s: got %q aside, %v", ref, got.Aside, err)
					}
				}
			}},
			situation{"a ref that is a file, " + way, func(t *testing.T) {
				r, _ := plain(t)
				r.git("tag", "blob", "HEAD:a.yaml")
				_, err := open(t, Options{URL: url(t, r.dir), Ref: "blob"}).Fetch(t.Context())
				wantError[*CorruptError](t, err, "where a commit is wanted")
			}},
			situation{"a ref that is a folder, " + way, func(t *testing.T) {
				r, _ := plain(t)
				r.git("tag", "tree", "HEAD:sub")
				_, err := open(t, Options{URL: url(t, r.dir), Ref: "tree"}).Fetch(t.Context())
				wantError[*CorruptError](t, err, "where a commit is wanted")
			}},
		)
	}
	return all
}

// hostileSituations are repositories whose own configuration names programs. Looking
// starts none of them.
func hostileSituations() []situation {
	settings := map[string][][2]string{
		"fsmonitor":             {{"core.fsmonitor", "X"}},
		"hooks":                 {{"core.hooksPath", "HOOKS"}},
		"a filter":              {{"filter.evil.clean", "X"}, {"filter.evil.smudge", "X"}, {"filter.evil.required", "true"}},
		"a filter process":      {{"filter.evil.process", "X"}},
		"a filter of odd name":  {{"filter.e v.i\"l.clean", "X"}},
		"aliases":               {{"alias.status", "!X"}, {"alias.rev-parse", "!X"}, {"alias.cat-file", "!X"}, {"alias.config", "!X"}, {"alias.ls-files", "!X"}},
		"diff and textconv":     {{"diff.external", "X"}, {"diff.evil.textconv", "X"}, {"diff.evil.command", "X"}},
		"pager and editor":      {{"core.pager", "X"}, {"pager.status", "X"}, {"core.editor", "X"}, {"sequence.editor", "X"}},
		"signatures":            {{"gpg.program", "X"}, {"gpg.ssh.program", "X"}, {"log.showSignature", "true"}},
		"transport":             {{"core.sshCommand", "X"}, {"core.gitProxy", "X"}, {"core.askPass", "X"}, {"credential.helper", "!X"}},
		"packs":                 {{"uploadpack.packObjectsHook", "X"}, {"core.alternateRefsCommand", "X"}},
		"a promise over ssh":    {{"remote.p.promisor", "true"}, {"remote.p.url", "ssh://nobody@127.0.0.1/x"}, {"core.sshCommand", "X"}, {"extensions.partialClone", "p"}},
		"a promise of a helper": {{"remote.p.promisor", "true"}, {"remote.p.url", "ext::X"}, {"protocol.ext.allow", "always"}, {"protocol.allow", "always"}, {"extensions.partialClone", "p"}},
		"a promise by a path":   {{"remote.p.promisor", "true"}, {"remote.p.url", "."}, {"remote.p.uploadpack", "X"}, {"extensions.partialClone", "p"}},
	}
	var all []situation
	for name, pairs := range settings {
		places := []string{"its own file"}
		if strings.Contains(name, "filter") || name == "fsmonitor" {
			places = append(places, "an include", "the work tree's file")
		}
		for _, where := range places {
			all = append(all, situation{name + ", in " + where, func(t *testing.T) { lookAtHostile(t, where, pairs) }})
		}
	}
	return append(all, situation{"a filter that -c could not name", func(t *testing.T) {
		r, _ := plain(t)
		for _, set := range [][2]string{{"user.name", "Somebody"}, {"user.email", "somebody@example.com"}, {"filter.a=b.clean", "true"}} {
			r.git("config", set[0], set[1])
		}
		_, err := WorkTree(t.Context(), r.dir, "", nil)
		wantError[*CorruptError](t, err, "names a program for the filter")
		_, err = PrepareCommit(t.Context(), r.dir, []string{"a.yaml"})
		wantError[*CorruptError](t, err, "names a program for the filter")
	}})
}

func lookAtHostile(t *testing.T, where string, pairs [][2]string) {
	t.Helper()
	r, _ := plain(t)
	r.write(".gitattributes", "*.yaml filter=evil diff=evil\n[attr]x filter=evil\n")
	r.git("config", "user.name", "Somebody")
	r.git("config", "user.email", "somebody@example.com")
	head := r.commit("attributes")
	marks, hooks := t.TempDir(), t.TempDir()
	program := filepath.Join(hooks, "evil")
	script := "#!/bin/sh\ntouch " + marks + "/$$\n"
	for _, name := range []string{"evil", "post-index-change", "fsmonitor-watchman", "query-watchman", "pre-commit", "post-checkout", "reference-transaction", "pre-auto-gc"} {
		if err := os.WriteFile(filepath.Join(hooks, name), []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(r.dir, ".git/config")
	switch where {
	case "an include":
		r.git("config", "include.path", "included")
		file = filepath.Join(r.dir, ".git/included")
	case "the work tree's file":
		r.git("config", "core.repositoryformatversion", "1")
		r.git("config", "extensions.worktreeConfig", "true")
		file = filepath.Join(r.dir, ".git/config.worktree")
	}
	for _, pair := range pairs {
		value := strings.ReplaceAll(strings.ReplaceAll(pair[1], "HOOKS", hooks), "X", program)
		at := file
		if pair[0] == "extensions.partialClone" {
			at = filepath.Join(r.dir, ".git/config")
			runGit(t, ".", "config", "-f", at, "core.repositoryformatversion", "1")
		}
		runGit(t, ".", "config", "-f", at, pair[0], value)
	}
	gone := r.dir + "/.git/objects/" + func() string {
		blob := strings.TrimSpace(runGit(t, r.dir, "-c", "alias.x=", "hash-object", "--no-filters", "sub/b.yaml"))
		return blob[:2] + "/" + blob[2:]
	}()
	look := func() {
		write(t, r.dir, "a.yaml", "one: 1\n") // git has to look into it: its time is new
		_, _ = WorkTree(t.Context(), r.dir, "", nil)
		write(t, r.dir, "a.yaml", "one: 2\n")
		_, _ = WorkTree(t.Context(), r.dir, "", nil)
		_, _ = open(t, Options{URL: r.dir}).Fetch(t.Context())
		_, _ = PrepareCommit(t.Context(), r.dir, []string{"a.yaml"})
	}
	look()
	if s := open(t, Options{URL: r.dir}); true {
		fetch(t, s, head)
	}
	if err := os.Remove(gone); err != nil {
		t.Fatal(err)
	}
	look()
	if ran, err := os.ReadDir(marks); len(ran) != 0 || err != nil {
		t.Errorf("%d programs of the repository ran, %v", len(ran), err)
	}
}
