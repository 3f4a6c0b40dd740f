package gitsource

import (
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/google/go-cmp/cmp"
)

// commitLine commits a line of empty commits without writing them to disk, and gives their
// hashes, the oldest first.
func (r repository) commitLine(count int) []string {
	r.t.Helper()
	var in strings.Builder
	for i := range count {
		fmt.Fprintf(&in, "commit refs/heads/main\ncommitter Ada <ada@acme.example> %d +0000\ndata 4\nline\n", 1795168800+i)
	}
	cmd := exec.Command("git", "fast-import", "--quiet")
	cmd.Dir, cmd.Env, cmd.Stdin = r.dir, gitEnv(), strings.NewReader(in.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		r.t.Fatalf("git fast-import: %v\n%s", err, out)
	}
	r.git("reset", "-q", "--hard")
	return strings.Fields(r.git("rev-list", "--reverse", "main"))
}

// TestSince compares what a head has beyond bases with what git says of it.
func TestSince(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(t *testing.T, r repository, o Options) {
		t.Helper()
		if o.URL != r.dir && !strings.HasPrefix(o.URL, "file:") {
			r.git("config", "uploadpack.allowAnySHA1InWant", "true")
			if strings.HasPrefix(o.URL, "ssh") {
				r.git("config", "uploadpack.allowFilter", "true")
			}
		}
		line := r.commitLine(70)
		r.commit("one, ")
		two := r.commit("and another")
		r.git("checkout", "-q", "-b", "side", line[60])
		r.commit("beside", "s", "1")
		side := r.commit("beside, too", "s", "2")
		r.git("checkout", "-q", "main")
		r.git("merge", "-q", "--no-ff", "-m", "merged", "side")
		merged := r.git("rev-parse", "HEAD")
		r.git("checkout", "-q", "-B", "main", line[65])
		forced := r.commit("forced", "f", "1")
		r.git("checkout", "-q", "--orphan", "other")
		unrelated := r.commit("from nothing", "u", "1")
		r.git("branch", "-D", "side")
		gone := strings.Repeat("ab", 20)
		for _, c := range []struct {
			name, head string
			bases      []string
		}{
			{"the same", line[69], []string{line[69]}},
			{"a child", line[69], []string{line[68]}},
			{"two at once", two, []string{line[69]}},
			{"far away", two, []string{line[3]}},
			{"a merge", merged, []string{two}},
			{"a merge of what was there", merged, []string{side}},
			{"back", line[10], []string{merged}},
			{"back and on", forced, []string{merged}},
			{"unrelated", unrelated, []string{merged}},
			{"from what is gone", forced, []string{gone, line[60]}},
			{"from what is gone, and nothing else is known", two, []string{gone}},
		} {
			r.git("update-ref", "refs/heads/main", c.head)
			r.git("symbolic-ref", "HEAD", "refs/heads/main")
			s := open(t, o)
			fetch(t, s, c.head)
			got, err := s.Since(t.Context(), c.head, c.bases...)
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			var hashes []string
			for _, one := range got.Commits {
				hashes = append(hashes, one.Hash)
			}
			args := []string{"rev-list", c.head, "--not"}
			for _, b := range c.bases {
				if b != gone {
					args = append(args, b)
				}
			}
			want := strings.Fields(r.git(args...))
			if len(want) > 0 && hashes[0] != c.head {
				t.Errorf("%s: the first is %s, not the head", c.name, hashes[0])
			}
			slices.Sort(want)
			slices.Sort(hashes)
			if diff := cmp.Diff(want, hashes, cmp.Transformer("none", func(s []string) string { return strings.Join(s, " ") })); diff != "" {
				t.Errorf("%s: commits differ (-want +got):\n%s", c.name, diff)
			}
			continues := c.bases[0] != gone && exec.Command("git", "-C", r.dir, "merge-base", "--is-ancestor", c.bases[0], c.head).Run() == nil
			if got.Continues != continues {
				t.Errorf("%s: Continues is %v, want %v", c.name, got.Continues, continues)
			}
			held, err := s.Holding(t.Context(), c.head, []string{gone, line[3], side, merged, unrelated})
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			for _, one := range []string{line[3], side, merged, unrelated} {
				if within := exec.Command("git", "-C", r.dir, "merge-base", "--is-ancestor", one, c.head).Run() == nil; within != slices.Contains(held, one) {
					t.Errorf("%s: it holds %s: %v, want %v", c.name, one, !within, within)
				}
			}
			if slices.Contains(held, gone) {
				t.Errorf("%s: it holds what is gone", c.name)
			}
		}
	})
}

// fewObjects are objects that somebody chose.
type fewObjects map[plumbing.Hash]gitObject

func (f fewObjects) get(hash plumbing.Hash, _ int64) (gitObject, error) {
	if o, ok := f[hash]; ok {
		return o, nil
	}
	return gitObject{}, plumbing.ErrObjectNotFound
}

func (f fewObjects) add(raw string) plumbing.Hash {
	hash := plumbing.ComputeHash(plumbing.CommitObject, []byte(raw))
	f[hash] = gitObject{kind: plumbing.CommitObject, size: int64(len(raw)), data: []byte(raw)}
	return hash
}

// TestSinceMissesNothing leaves out what a server would rather not show.
func TestSinceMissesNothing(t *testing.T) {
	t.Parallel()
	people := "author Ada <ada@acme.example> 1795168800 +0000\ncommitter Ada <ada@acme.example> 1795168800 +0000\n\nx\n"
	all := fewObjects{}
	commit := func(parents ...plumbing.Hash) plumbing.Hash {
		raw := "tree " + strings.Repeat("12", 20) + "\n"
		for _, p := range parents {
			raw += "parent " + p.String() + "\n"
		}
		return all.add(raw + people)
	}
	root := commit()
	base := commit(root)
	hidden := commit(base)
	head := commit(hidden, base)
	h, err := since(t.Context(), all, head, []plumbing.Hash{base})
	if err != nil || len(h.Commits) != 2 || !h.Continues {
		t.Fatalf("since gave %d commits, %v, %v", len(h.Commits), h.Continues, err)
	}
	delete(all, hidden)
	if _, err := since(t.Context(), all, head, []plumbing.Hash{base}); !errors.Is(err, errCut) {
		t.Errorf("without the commit in between since gave %v", err)
	}
	if _, err := since(t.Context(), all, head, []plumbing.Hash{commit()}); !errors.Is(err, errCut) {
		t.Errorf("where it is not known whether the base is there since gave %v", err)
	}
}

// TestSignedIsWhatIsUsed wants the files to be those of the head that was signed.
func TestSignedIsWhatIsUsed(t *testing.T) {
	t.Parallel()
	raw := []byte("tree " + strings.Repeat("12", 20) + "\nauthor A <a@x> 1 +0000\ncommitter A <a@x> 1 +0000\n\nx\n")
	s := open(t, Options{URL: t.TempDir()})
	hash := plumbing.ComputeHash(plumbing.CommitObject, raw)
	s.keep(&snapshot{hash: hash, raw: raw, tree: plumbing.NewHash(strings.Repeat("12", 20))}, true)
	if _, err := s.Signed(hash.String()); err != nil {
		t.Error(err)
	}
	s.keep(&snapshot{hash: hash, raw: raw, tree: plumbing.NewHash(strings.Repeat("34", 20))}, true)
	_, err := s.Signed(hash.String())
	wantError[*OddCommitError](t, err, "its files are not those of its head")
}

// TestParseSigned refuses what two programs could read as two commits.
func TestParseSigned(t *testing.T) {
	t.Parallel()
	tree, parent := "tree "+strings.Repeat("12", 20)+"\n", "parent "+strings.Repeat("34", 20)+"\n"
	author := "author Ada <ada@acme.example> 1795168800 +0100\n"
	committer := "committer Bo B <bo@acme.example> 1795168801 -0200\n"
	signature := "gpgsig one\n two\n three\n"
	hash := plumbing.NewHash(strings.Repeat("56", 20))
	for name, raw := range map[string]string{
		"last":   tree + parent + parent + author + committer + "encoding x\n" + signature + "\nwhat\n",
		"middle": tree + parent + parent + author + committer + signature + "encoding x\n\nwhat\n",
	} {
		got, _, err := parseSigned(hash, []byte(raw))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		want := Signed{Hash: hash.String(), Parents: []string{strings.Repeat("34", 20), strings.Repeat("34", 20)}, Committer: "bo@acme.example",
			When: time.Unix(1795168801, 0).UTC(), Payload: []byte(tree + parent + parent + author + committer + "encoding x\n\nwhat\n"), Signature: []byte("one\ntwo\nthree\n")}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	nested := tree + author + committer + "mergetag object x\n gpgsig no\n more\n\nwhat\n"
	if got, _, err := parseSigned(hash, []byte(nested)); err != nil || got.Signature != nil || string(got.Payload) != nested {
		t.Errorf("of a tag inside it gave %q, %q, %v", got.Payload, got.Signature, err)
	}
	for name, raw := range map[string]string{
		"two signatures":          tree + author + committer + signature + signature + "\nx\n",
		"a signature for SHA-256": tree + author + committer + "gpgsig-sha256 a\n tree b\n\nx\n",
		"two trees":               tree + tree + author + committer + "\nx\n",
		"a tree at the end":       tree + author + committer + tree + "\nx\n",
		"a late parent":           tree + author + committer + parent + "\nx\n",
		"a parent after another":  tree + parent + author + parent + committer + "\nx\n",
		"no tree":                 parent + author + committer + "\nx\n",
		"no committer":            tree + author + "\nx\n",
		"two committers":          tree + author + committer + committer + "\nx\n",
		"two addresses":           tree + author + "committer A <a@x> <b@x> 1 +0000\n\nx\n",
		"a short hash":            "tree 12\n" + author + committer + "\nx\n",
		"a zero byte":             tree + author + "committer A\x00 <a@x> 1 +0000\n\nx\n",
		"no end":                  tree + author + strings.TrimSpace(committer),
		"nothing":                 "",
	} {
		_, _, err := parseSigned(hash, []byte(raw))
		if odd := (*OddCommitError)(nil); !errors.As(err, &odd) {
			t.Errorf("%s gave %v", name, err)
		}
	}
}
