package gitsource

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

// counted counts the packs that a server is asked for.
func counted(h http.Handler, packs *atomic.Int64) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/git-upload-pack") && r.Method == http.MethodPost {
			packs.Add(1)
		}
		h.ServeHTTP(w, r)
	})
}

// A commit that the branch has left behind is found in its history where the
// server gives out nothing but what branches name: git's own default over ssh.
func TestCommitOfAServerThatGivesOutBranchesOnly(t *testing.T) {
	r := newRepository(t)
	r.git("config", "--unset", "uploadpack.allowReachableSHA1InWant")
	first := r.commit("first", "a", "1", "b", "same")
	second := r.commit("second", "a", "2")
	host, user := newSSHKey(t), newSSHKey(t)
	address := serveSSH(t, r.dir, host, user)
	options := Options{URL: "ssh://git@" + address + "/.git", Auth: Auth{SSHKeyFile: user.file, KnownHostsFile: pin(t, address, host.signer.PublicKey())}}

	s := open(t, options)
	if got, err := s.FetchCommit(t.Context(), first); err != nil || got.Hash != first || got.Subject != "first" {
		t.Fatalf("FetchCommit gave %v, %v", got, err)
	}
	got := readFile(t, s, first, "a") + readFile(t, s, first, "b")
	fetch(t, s, second)
	if got += readFile(t, s, second, "a"); got != "1same2" {
		t.Errorf("files are %q", got)
	}

	for i := range 60 { // deeper than the first look
		r.commit("more", "a", fmt.Sprint("more", i))
	}
	if got, err := open(t, options).FetchCommit(t.Context(), first); err != nil || got.Hash != first {
		t.Errorf("60 commits later FetchCommit gave %v, %v", got, err)
	}
	options.MaxPack = 4 << 10
	_, err := open(t, options).FetchCommit(t.Context(), first)
	wantError[*UnknownCommitError](t, err, first[:12], "push a newer one")
}

// A commit that a forced push took away is unknown, and its branch is fetched
// for it once, not at each poll.
func TestCommitThatIsGone(t *testing.T) {
	r := newRepository(t)
	r.git("config", "--unset", "uploadpack.allowReachableSHA1InWant")
	r.commit("first", "a", "1")
	gone := r.commit("gone", "a", "2")
	r.git("reset", "-q", "--hard", "HEAD~1")
	var packs atomic.Int64
	s := open(t, Options{URL: serve(t, counted(gitHTTP(t, r.dir), &packs)) + "/.git"})
	for range 3 {
		_, err := s.FetchCommit(t.Context(), gone)
		wantError[*UnknownCommitError](t, err, gone[:12], "the branch's history does not hold it")
	}
	if got := packs.Load(); got != 5 {
		t.Errorf("%d packs were asked for, want 3 by name and 2 of the history", got)
	}
	r.git("reset", "-q", "--hard", gone)
	r.commit("back", "a", "3")
	if got, err := s.FetchCommit(t.Context(), gone); err != nil || got.Hash != gone {
		t.Errorf("after it came back FetchCommit gave %v, %v", got, err)
	}
}

// A history that is larger than allowed already with fifty commits is not asked for
// whole, and not again before the branch moves.
func TestHistoryThatIsTooLarge(t *testing.T) {
	r := newRepository(t)
	r.git("config", "--unset", "uploadpack.allowReachableSHA1InWant")
	for i := range 40 {
		r.commit("more", "a", fmt.Sprint("more", i))
	}
	gone := r.commit("gone", "a", "2")
	r.git("reset", "-q", "--hard", "HEAD~1")
	var packs atomic.Int64
	s := open(t, Options{URL: serve(t, counted(gitHTTP(t, r.dir), &packs)) + "/.git", MaxPack: 4 << 10})
	for range 3 {
		_, err := s.FetchCommit(t.Context(), gone)
		wantError[*UnknownCommitError](t, err, gone[:12], "push a newer one")
	}
	if got := packs.Load(); got != 4 {
		t.Errorf("%d packs were asked for, want 3 by name and 1 of the history", got)
	}
}
