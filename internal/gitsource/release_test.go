package gitsource

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestFollowsTheHighestRelease: by precedence and not by letters, and never what the rule
// leaves out.
func TestFollowsTheHighestRelease(t *testing.T) {
	eachTransport(t, func(t *testing.T, r repository, o Options) {
		t.Helper()
		o.Versions = ">=1"
		old := r.commit("zero", "a.yaml", "0")
		_, err := open(t, o).Fetch(t.Context())
		wantError[*MissingReleaseError](t, err, "satisfies >=1", "none is a version at all")
		r.git("tag", "v0.9.0")
		_, err = open(t, o).Fetch(t.Context())
		wantError[*MissingReleaseError](t, err, "the highest is v0.9.0")

		nine := r.commit("nine", "a.yaml", "9")
		r.git("tag", "-m", "nine", "v1.9.0")
		ten := r.commit("ten", "a.yaml", "10")
		r.git("tag", "-m", "ten", "v1.10.0")
		r.git("branch", "v3.0.0") // no tag
		for _, other := range []string{"v1.11", "v01.12.0", "release-1.12.0", "v1.12.0x", "nested/v1.12.0"} {
			r.git("tag", other)
		}
		early := r.commit("early", "a.yaml", "early")
		r.git("tag", "2.0.0-rc.1")
		s := open(t, o)
		got, err := s.Fetch(t.Context())
		if err != nil || got.Hash != ten || got.Tag != "v1.10.0" || readFile(t, s, ten, "a.yaml") != "10" {
			t.Fatalf("got %+v, %v", got, err)
		}
		for rule, want := range map[string]string{">=1 <1.10": nine, "~1.9": nine, "0.x": old, ">=2.0.0-0": early, "^1 || ^2": ten, "1.10.0": ten} {
			o.Versions = rule
			fetch(t, open(t, o), want)
		}
		o.Versions = ">=2"
		_, err = open(t, o).Fetch(t.Context())
		wantError[*MissingReleaseError](t, err, "satisfies >=2; the highest is 2.0.0-rc.1")

		// What was followed stays readable whatever the tags do, and what they do is seen.
		if _, err := s.FetchCommit(t.Context(), nine); err != nil {
			t.Errorf("a former release is not to be had: %v", err)
		}
		r.git("tag", "-f", "-m", "moved", "v1.10.0", early)
		fetch(t, s, early)
		r.git("tag", "1.10.0", ten)
		_, err = s.Fetch(t.Context())
		wantError[*TwoReleasesError](t, err, "1.10.0 and v1.10.0")
		r.git("tag", "-f", "1.10.0", early+"^{commit}")
		if got, err := s.Fetch(t.Context()); err != nil || got.Tag != "1.10.0" || got.Hash != early {
			t.Errorf("two names of one release gave %+v, %v", got, err)
		}
		r.git("tag", "-d", "1.10.0", "v1.10.0")
		if got, err := s.Fetch(t.Context()); err != nil || got.Tag != "v1.9.0" || got.Hash != nine {
			t.Errorf("without its tag got %+v, %v", got, err)
		}
	})
}

// TestFormerReleaseOfAServerThatIsStrict: a commit that only a tag names is had by the tag.
func TestFormerReleaseOfAServerThatIsStrict(t *testing.T) {
	r := newRepository(t)
	r.git("config", "uploadpack.allowReachableSHA1InWant", "false")
	r.commit("first", "a.yaml", "a")
	r.git("checkout", "-q", "-b", "line")
	former := r.commit("a line of its own", "a.yaml", "b")
	r.git("tag", "-m", "one", "v1.0.0")
	r.git("checkout", "-q", "main")
	r.commit("second", "a.yaml", "c")
	r.git("tag", "v2.0.0")
	r.git("branch", "-D", "line")
	host, user := newSSHKey(t), newSSHKey(t)
	address := serveSSH(t, r.dir, host, user) // over http git gives out whatever can be reached
	s := open(t, Options{URL: "ssh://git@" + address + "/.git", Versions: "*", Timeout: time.Minute,
		Auth: Auth{SSHKeyFile: user.file, KnownHostsFile: pin(t, address, host.signer.PublicKey())}})
	if _, err := s.Fetch(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := s.FetchCommit(t.Context(), former); err != nil || got.Hash != former {
		t.Errorf("got %+v, %v", got, err)
	}
}

// TestManyReleases: ten thousand tags cost a listing, and no more memory than one may have.
func TestManyReleases(t *testing.T) {
	const many = 10_000
	r := newRepository(t)
	head := r.commit("first", "a.yaml", "a")
	var packed strings.Builder
	packed.WriteString("# pack-refs with: peeled fully-peeled sorted \n")
	for i := range many {
		fmt.Fprintf(&packed, "%s refs/tags/v1.%05d.0\n", head, i) // no versions: a number begins with no 0
	}
	for i := range many {
		fmt.Fprintf(&packed, "%s refs/tags/v2.%d.%d\n", head, i/100, i%100)
	}
	if err := os.WriteFile(filepath.Join(r.dir, ".git", "packed-refs"), []byte(packed.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, url := range []string{r.dir, serve(t, gitHTTP(t, r.dir)) + "/.git"} {
		o := Options{URL: url, Versions: "<2.99.99", Timeout: time.Minute}
		got, err := open(t, o).Fetch(t.Context())
		if err != nil || got.Tag != "v2.99.98" || got.Hash != head {
			t.Errorf("%s: got %+v, %v", url, got, err)
		}
	}
	t.Logf("COUNT tags of a listing=%d", 2*many)
}

func TestRulesAboutVersions(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{" ", "newest", ">=", ">=1..2", ">= one", "1.2.3.4", strings.Repeat(">=1 ", 500)} {
		_, err := Open(Options{URL: "https://git.example/x", Versions: bad})
		wantError[*OptionError](t, err, "is no rule about versions")
	}
	_, err := Open(Options{URL: "https://git.example/x", Versions: ">=1", Ref: "main"})
	wantError[*OptionError](t, err, "keep one")
	for _, c := range []struct {
		a, b string
		want bool
	}{{"v1.9.0", "v1.10.0", true}, {"1.10.0", "v1.9.0", false}, {"v1.0.0", "1.0.0", false}, {"v1.0.0-rc.1", "v1.0.0", true}, {"", "v1.0.0", false}, {"v1.0.0", "", false}} {
		if got := LowerVersion(c.a, c.b); got != c.want {
			t.Errorf("%q before %q: %t", c.a, c.b, got)
		}
	}
}
