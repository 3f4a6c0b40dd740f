package gitsource

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
)

// noise does not compress.
func noise(size int) string {
	r := rand.New(rand.NewPCG(1, 2))
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(r.UintN(256))
	}
	return string(data)
}

// cutter stands before a server and ends each connection after so many bytes of
// answer; negative means never.
type cutter struct {
	after  atomic.Int64
	passed atomic.Int64
}

func (c *cutter) serve(t testing.TB, to string) string {
	t.Helper()
	return accept(t, func(client net.Conn) {
		server, err := net.Dial("tcp", to)
		if err != nil {
			_ = client.Close()
			return
		}
		go func() { _, _ = io.Copy(server, client); _ = server.Close() }()
		var answer io.Reader = server
		if limit := c.after.Load(); limit >= 0 {
			answer = io.LimitReader(server, limit)
		}
		n, _ := io.Copy(client, answer)
		c.passed.Add(n)
		_ = client.Close()
		_ = server.Close()
	})
}

// Wherever a connection breaks, nothing of the commit is held, what was held
// stays, and the next fetch is whole.
func TestConnectionCutAnywhere(t *testing.T) {
	for _, transport := range []string{"http", "ssh"} {
		t.Run(transport, func(t *testing.T) {
			r := newRepository(t)
			first := r.commit("first", "a", "1", "noise", noise(100<<10))
			cut := &cutter{}
			cut.after.Store(-1)
			options := Options{Timeout: time.Minute}
			if transport == "http" {
				backend := serve(t, gitHTTP(t, r.dir))
				options.URL = "http://" + cut.serve(t, backend[len("http://"):]) + "/.git"
			} else {
				host, user := newSSHKey(t), newSSHKey(t)
				address := cut.serve(t, serveSSH(t, r.dir, host, user))
				options.URL = "ssh://" + address + "/.git"
				options.Auth = Auth{SSHKeyFile: user.file, KnownHostsFile: pin(t, address, host.signer.PublicKey())}
			}
			fetch(t, open(t, options), first)
			s := open(t, options)
			s.road.transport.DisableKeepAlives = true
			cuts, broken := 12, 0
			for i := range cuts {
				cut.after.Store(int64(i) * 110 << 10 / int64(cuts))
				_, err := s.Fetch(t.Context())
				if err == nil {
					continue
				}
				broken++
				if !is[*UnreachableError](err) && !is[*CorruptError](err) && !is[*TimeoutError](err) {
					t.Errorf("cut %d gave %T: %v", i, errors.Unwrap(err), err)
				}
				if _, err := s.FS(first); err == nil {
					t.Fatalf("cut %d left a commit behind", i)
				}
			}
			if broken < cuts/2 {
				t.Errorf("only %d of %d cuts broke a fetch; the test tests nothing", broken, cuts)
			}
			cut.after.Store(-1)
			fetch(t, s, first)
			if got := readFile(t, s, first, "noise"); got != noise(100<<10) {
				t.Error("the file is not whole")
			}
			second := r.commit("second", "b", noise(50<<10))
			cut.after.Store(20 << 10)
			if _, err := s.Fetch(t.Context()); err == nil {
				t.Error("a cut fetch succeeded")
			}
			if got := readFile(t, s, first, "a"); got != "1" {
				t.Errorf("the commit before reads %q", got)
			}
			cut.after.Store(-1)
			fetch(t, s, second)
		})
	}
}

// Looking at an unchanged branch costs little.
func TestUnchangedBranchIsCheap(t *testing.T) {
	r := newRepository(t)
	first := r.commit("first", "a", "1", "noise", noise(500<<10))
	backend := serve(t, gitHTTP(t, r.dir))
	count := &cutter{}
	count.after.Store(-1)
	s := open(t, Options{URL: "http://" + count.serve(t, backend[len("http://"):]) + "/.git"})
	s.road.transport.DisableKeepAlives = true
	fetch(t, s, first)
	waitFor(t, func() bool { return count.passed.Load() > 500<<10 })
	count.passed.Store(0)
	fetch(t, s, first)
	waitFor(t, func() bool { return count.passed.Load() > 0 })
	if got := count.passed.Load(); got > 2<<10 {
		t.Errorf("%d bytes travelled for nothing new", got)
	}
}

// Commits share the files they have in common.
func TestUnchangedFilesAreShared(t *testing.T) {
	r := newRepository(t)
	s := open(t, Options{URL: r.dir})
	first := r.commit("first", "a", "1", "dir/b", "same", "c", "same too")
	fetch(t, s, first)
	before := treeFS{root: s.find(plumbing.NewHash(first)).root}
	second := r.commit("second", "a", "2")
	fetch(t, s, second)
	after := treeFS{root: s.find(plumbing.NewHash(second)).root}
	for name, want := range map[string]bool{"a": false, "dir": true, "dir/b": true, "c": true} {
		one, err := before.lookup("test", name)
		if err != nil {
			t.Fatal(err)
		}
		other, err := after.lookup("test", name)
		if err != nil {
			t.Fatal(err)
		}
		if (one == other) != want {
			t.Errorf("%s is shared: %v, want %v", name, one == other, want)
		}
	}
}

func waitFor(t testing.TB, ready func() bool) {
	t.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ready() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatal("nothing happened for a minute")
		}
	}
}
