package gitsource

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"context"
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/pktline"

	"github.com/terra-reconcile/terra-reconcile/internal/walk"
)

// memoryBudget is how much memory a process that fetches may ever hold, whatever it is
// sent: the figure of docs/security.md.
const memoryBudget = 256 << 20

// fetchAndMeasure is the process that fetches from a hostile server, some commits one
// after the other, and says how much memory that took.
func fetchAndMeasure(url string) {
	s, err := Open(Options{URL: url})
	for range 3 {
		var commit Commit
		if err == nil {
			commit, err = s.Fetch(context.Background())
		}
		if err != nil {
			break
		}
		fmt.Println("fetched", commit.Hash)
	}
	status, _ := os.ReadFile("/proc/self/status")
	_, peak, _ := strings.Cut(string(status), "VmHWM:")
	fmt.Printf("peak %s\nerror %v\n", strings.Fields(peak)[0], err)
}

// forged writes a pack to out without holding it.
type forged struct {
	out io.Writer
	sum hash.Hash
	at  int64
}

func (f *forged) Write(p []byte) (int, error) {
	f.at += int64(len(p))
	_, _ = f.sum.Write(p)
	return f.out.Write(p)
}

func forge(out io.Writer, objects int) *forged {
	f := &forged{out: out, sum: sha1.New()}
	_, _ = f.Write(binary.BigEndian.AppendUint32([]byte("PACK\x00\x00\x00\x02"), uint32(objects)))
	return f
}

func (f *forged) seal() { _, _ = f.out.Write(f.sum.Sum(nil)) }

// object writes an object, or the delta that makes one of the object at base.
func (f *forged) object(kind byte, base int64, content []byte) (at int64) {
	at = f.at
	var head []byte
	size := uint64(len(content))
	first := kind<<4 | byte(size&15)
	for size >>= 4; size > 0; size >>= 7 {
		head, first = append(head, first|0x80), byte(size&0x7f)
	}
	head = append(head, first)
	if kind == 6 {
		back := uint64(at - base)
		encoded := []byte{byte(back & 0x7f)}
		for back >>= 7; back > 0; back >>= 7 {
			back--
			encoded = append([]byte{0x80 | byte(back&0x7f)}, encoded...)
		}
		head = append(head, encoded...)
	}
	_, _ = f.Write(head)
	z, _ := zlib.NewWriterLevel(f, zlib.BestSpeed)
	_, _ = z.Write(content)
	_ = z.Close()
	return at
}

func hashOf(kind string, content []byte) plumbing.Hash {
	sum := sha1.New()
	fmt.Fprintf(sum, "%s %d\x00", kind, len(content))
	_, _ = sum.Write(content)
	return plumbing.Hash(sum.Sum(nil))
}

func commitOf(tree plumbing.Hash, message string) []byte {
	return []byte("tree " + tree.String() + "\nauthor A <a@example.com> 1 +0000\ncommitter A <a@example.com> 1 +0000\n\n" + message)
}

func entryOf(mode, name string, hash plumbing.Hash) string {
	return mode + " " + name + "\x00" + string(hash[:])
}

// hostileCommit is what a server sends for a fetch: the commit, and the answer from the
// first line on.
type hostileCommit struct {
	hash   plumbing.Hash
	answer func(w io.Writer)
}

// begin is what stands before a pack.
func begin(w io.Writer, hash plumbing.Hash) {
	lines := pktline.NewEncoder(w)
	_ = lines.EncodeString("shallow " + hash.String())
	_ = lines.Flush()
	_ = lines.EncodeString("NAK\n")
}

// inPack answers with a pack of so many objects, as a server without sidebands does.
func inPack(hash plumbing.Hash, objects int, write func(*forged)) hostileCommit {
	return hostileCommit{hash, func(w io.Writer) {
		begin(w, hash)
		f := forge(w, objects)
		write(f)
		f.seal()
	}}
}

// flatCommit holds so many files, made one by one. number tells commits apart.
func flatCommit(number, files int, name string, mode string, content func(i int) []byte) hostileCommit {
	var tree strings.Builder
	for i := range files {
		tree.WriteString(entryOf(mode, fmt.Sprintf(name, i), hashOf("blob", content(i))))
	}
	commit := commitOf(hashOf("tree", []byte(tree.String())), strconv.Itoa(number))
	return inPack(hashOf("commit", commit), files+2, func(f *forged) {
		f.object(1, 0, commit)
		f.object(2, 0, []byte(tree.String()))
		for i := range files {
			f.object(3, 0, content(i))
		}
	})
}

// filled makes contents that differ in their first bytes.
func filled(with byte, size int) func(int, int) []byte {
	content := bytes.Repeat([]byte{with}, size)
	return func(commit, file int) []byte {
		binary.BigEndian.PutUint64(content, uint64(commit)<<32|uint64(file)+1)
		return content
	}
}

// hostileServer sends one commit after the other.
type hostileServer struct {
	commits []func() hostileCommit
	refs    func(w io.Writer, head plumbing.Hash) // of the listing, nil for the branch alone
	header  http.Header
	turn    int
	now     hostileCommit
}

func (s *hostileServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	lines := pktline.NewEncoder(w)
	for name, values := range s.header {
		w.Header()[name] = values
	}
	if r.Method == http.MethodGet {
		s.now = s.commits[min(s.turn, len(s.commits)-1)]()
		s.turn++
		w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
		if s.header.Get("Content-Encoding") != "" {
			s.refs(w, s.now.hash)
			return
		}
		_ = lines.EncodeString("# service=git-upload-pack\n")
		_ = lines.Flush()
		_ = lines.EncodeString(s.now.hash.String() + " HEAD\x00shallow ofs-delta multi_ack\n")
		if s.refs != nil {
			s.refs(w, s.now.hash)
		}
		_ = lines.EncodeString(s.now.hash.String() + " refs/heads/main\n")
		_ = lines.Flush()
		return
	}
	_, _ = io.Copy(io.Discard, r.Body)
	w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
	s.now.answer(w)
}

// copies are the instructions that make size bytes of a base that is as long.
func deltaCopy(base, size int, tail []byte) []byte {
	delta := binary.AppendUvarint(nil, uint64(base))
	delta = binary.AppendUvarint(delta, uint64(size+len(tail)))
	for size > 0 {
		n := min(size, 0xffff)
		delta = append(delta, 0x80|0x10|0x20, byte(n), byte(n>>8))
		size -= n
	}
	if len(tail) > 0 {
		delta = append(append(delta, byte(len(tail))), tail...)
	}
	return delta
}

func TestHostileMemory(t *testing.T) {
	one := func(c hostileCommit) *hostileServer {
		return &hostileServer{commits: []func() hostileCommit{func() hostileCommit { return c }}}
	}
	several := func(commit func(number int) hostileCommit) *hostileServer {
		s := &hostileServer{}
		for number := range 3 {
			s.commits = append(s.commits, func() hostileCommit { return commit(number) })
		}
		return s
	}
	small := func() hostileCommit {
		return flatCommit(0, 1, "f%d.yaml", "100644", func(int) []byte { return []byte("x") })
	}
	numbered := func(number int) hostileCommit {
		return flatCommit(number, 1, "f%d.yaml", "100644", func(int) []byte { return []byte("x") })
	}
	attacks := []struct {
		attack string
		server *hostileServer // nil for a folder on this machine
		folder func(repository)
		says   string // "" for commits that are fetched
	}{
		{attack: "zeros in a repository on this machine", folder: func(r repository) {
			for i := range 12 {
				r.write(fmt.Sprintf("f%d.yaml", i), fmt.Sprint(i, strings.Repeat("\x00", 6<<20)))
			}
			r.commit("zeros")
		}},
		{attack: "70 MiB of files of ours in a repository on this machine", says: "larger than allowed", folder: func(r repository) {
			for i := range 70 {
				r.write(fmt.Sprintf("f%d.yaml", i), fmt.Sprintf("%02d%s", i, strings.Repeat("#", 1<<20-2)))
			}
			r.commit("much")
		}},
		{attack: "60 files of zeros, of 4 MiB each", server: several(func(n int) hostileCommit {
			content := filled(0, 4<<20)
			return flatCommit(n, 60, "f%02d", "100644", func(i int) []byte { return content(n, i) })
		})},
		{attack: "files of ours that are zeros, of 15 MiB each", server: several(func(n int) hostileCommit {
			content := filled(0, 15<<20)
			return flatCommit(n, 10, "f%02d.yaml", "100644", func(i int) []byte { return content(n, i) })
		})},
		{attack: "three commits of 60 other files of ours of 1 MiB", server: several(func(n int) hostileCommit {
			content := filled('#', 1<<20)
			return flatCommit(n, 60, "f%02d.yaml", "100644", func(i int) []byte { return content(n, i) })
		})},
		{attack: "70 files of ours of 1 MiB", says: "larger than allowed", server: several(func(n int) hostileCommit {
			content := filled('#', 1<<20)
			return flatCommit(n, 70, "f%03d.yaml", "100644", func(i int) []byte { return content(n, i) })
		})},
		{attack: "links whose targets are 15 MiB long", server: several(func(n int) hostileCommit {
			content := filled('/', 15<<20)
			return flatCommit(n, 10, "f%02d", "120000", func(i int) []byte { return content(n, i) })
		})},
		{attack: "a pack of four million objects of one byte", says: "4000000 objects: the commit is larger than allowed", server: func() *hostileServer {
			c := numbered(0)
			return one(hostileCommit{c.hash, func(w io.Writer) {
				begin(w, c.hash)
				f := forge(w, 4_000_000)
				blob := &bytes.Buffer{}
				forge(blob, 0).object(3, 0, []byte("x"))
				many := bytes.Repeat(blob.Bytes()[12:], 1000)
				for range 4000 {
					if _, err := f.Write(many); err != nil {
						return
					}
				}
				f.seal()
			}})
		}()},
		{attack: "a listing of two million branches", says: "larger than allowed", server: &hostileServer{
			commits: []func() hostileCommit{small},
			refs: func(w io.Writer, head plumbing.Hash) {
				lines := pktline.NewEncoder(w)
				for i := range 2_000_000 {
					if lines.EncodeString(fmt.Sprintf("%s refs/heads/b%07d\n", head, i)) != nil {
						return
					}
				}
			},
		}},
		{attack: "four million shallow commits before the pack", says: "larger than allowed", server: func() *hostileServer {
			c := small()
			return one(hostileCommit{c.hash, func(w io.Writer) {
				line := []byte("0034shallow " + c.hash.String())
				many := bytes.Repeat(line, 1000)
				for range 4000 {
					if _, err := w.Write(many); err != nil {
						return
					}
				}
				_, _ = w.Write([]byte("0000"))
				lines := &bytes.Buffer{}
				c.answer(lines)
				_, _ = w.Write(lines.Bytes()[len(line)+4:])
			}})
		}()},
		{attack: "four million acknowledgements before the pack", says: "larger than allowed", server: func() *hostileServer {
			c := small()
			return one(hostileCommit{c.hash, func(w io.Writer) {
				_, _ = w.Write([]byte("0034shallow " + c.hash.String() + "0000"))
				line := []byte("003aACK " + c.hash.String() + " continue\n")
				many := bytes.Repeat(line, 1000)
				for range 4000 {
					if _, err := w.Write(many); err != nil {
						return
					}
				}
				c.answer(w)
			}})
		}()},
		{attack: "a commit whose message is 64 MiB long", says: "has 67108981 bytes: the commit is larger than allowed", server: several(func(n int) hostileCommit {
			commit := commitOf(hashOf("tree", nil), strconv.Itoa(n)+strings.Repeat("m", 64<<20))
			return inPack(hashOf("commit", commit), 2, func(f *forged) {
				f.object(1, 0, commit)
				f.object(2, 0, nil)
			})
		})},
		{attack: "folders of 100,000 files, forty deep", says: "more than 200000 files", server: func() *hostileServer {
			blob := []byte("x")
			file := hashOf("blob", blob)
			var files strings.Builder
			for i := range 100_000 {
				files.WriteString(entryOf("100644", fmt.Sprintf("f%06d", i), file))
			}
			var trees [][]byte
			below := ""
			for range 40 {
				tree := []byte(below + files.String())
				trees = append(trees, tree)
				below = entryOf("40000", "a", hashOf("tree", tree))
			}
			commit := commitOf(hashOf("tree", trees[len(trees)-1]), "deep")
			return one(inPack(hashOf("commit", commit), len(trees)+2, func(f *forged) {
				f.object(1, 0, commit)
				for _, tree := range trees {
					f.object(2, 0, tree)
				}
				f.object(3, 0, blob)
			}))
		}()},
		{attack: "deltas of some bytes that make 1 MiB each", says: "larger than allowed", server: func() *hostileServer {
			base := bytes.Repeat([]byte("b"), 1<<20)
			var tree strings.Builder
			tail := func(i int) []byte { return []byte(fmt.Sprintf("%06d", i)) }
			for i := range 100 {
				tree.WriteString(entryOf("100644", fmt.Sprintf("f%04d.yaml", i), hashOf("blob", append(base[:len(base)-6:len(base)-6], tail(i)...))))
			}
			commit := commitOf(hashOf("tree", []byte(tree.String())), "deltas")
			return one(inPack(hashOf("commit", commit), 103, func(f *forged) {
				f.object(1, 0, commit)
				f.object(2, 0, []byte(tree.String()))
				at := f.object(3, 0, base)
				for i := range 100 {
					f.object(6, at, deltaCopy(len(base), len(base)-6, tail(i)))
				}
			}))
		}()},
		{attack: "a chain of a thousand deltas of 256 KiB", says: "commit", server: func() *hostileServer {
			c := numbered(0)
			return one(inPack(c.hash, 1001, func(f *forged) {
				base := bytes.Repeat([]byte("b"), 256<<10)
				at := f.object(3, 0, base)
				for i := range 1000 {
					at = f.object(6, at, deltaCopy(len(base), len(base)-4, binary.BigEndian.AppendUint32(nil, uint32(i))))
				}
			}))
		}()},
		{attack: "32 chains of deltas of 1 MiB in turns", says: "commit", server: func() *hostileServer {
			c := numbered(0)
			return one(inPack(c.hash, 32*9, func(f *forged) {
				base := bytes.Repeat([]byte("b"), 1<<20)
				var at [32]int64
				for chain := range at {
					at[chain] = f.object(3, 0, append(base[:len(base)-4:len(base)-4], binary.BigEndian.AppendUint32(nil, uint32(chain))...))
				}
				for i := range 8 {
					for chain := range at {
						at[chain] = f.object(6, at[chain], deltaCopy(len(base), len(base)-4, binary.BigEndian.AppendUint32(nil, uint32(i*64+chain+1000))))
					}
				}
			}))
		}()},
		{attack: "a listing of 8 GiB that travels as 8 MiB", says: "larger than allowed", server: &hostileServer{
			commits: []func() hostileCommit{small}, header: http.Header{"Content-Encoding": {"gzip"}},
			refs: func(w io.Writer, head plumbing.Hash) {
				z, _ := gzip.NewWriterLevel(w, gzip.BestSpeed)
				lines := pktline.NewEncoder(z)
				_ = lines.EncodeString("# service=git-upload-pack\n")
				_ = lines.Flush()
				_ = lines.EncodeString(head.String() + " HEAD\x00shallow\n")
				line := strings.Repeat("b", 60000)
				for range 140_000 {
					if lines.EncodeString(head.String()+" refs/heads/"+line+"\n") != nil {
						return
					}
				}
				_ = z.Close()
			},
		}},
		{attack: "a header of 9 MiB", says: "header", server: &hostileServer{
			commits: []func() hostileCommit{small}, header: http.Header{"X-Long": {strings.Repeat("h", 9<<20)}},
		}},
	}
	for _, c := range walk.Few(t, attacks, 4) {
		t.Run(c.attack, func(t *testing.T) {
			t.Parallel()
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			var url string
			if c.server != nil {
				url = serve(t, c.server) + "/hostile.git"
			} else {
				r := newRepository(t)
				c.folder(r)
				url = r.dir
			}
			child := exec.CommandContext(t.Context(), self)
			child.Env = append(os.Environ(), "FETCH_AND_MEASURE="+url)
			out, err := child.Output()
			if err != nil {
				t.Fatal(err)
			}
			said, peak := string(out), 0
			_, after, _ := strings.Cut(said, "peak ")
			if _, err := fmt.Sscanf(after, "%d", &peak); err != nil || peak == 0 {
				t.Fatalf("no peak was said:\n%s", said)
			}
			if c.says == "" && strings.Count(said, "fetched ") != 3 || c.says != "" && (strings.Contains(said, "fetched ") || !strings.Contains(said, c.says)) {
				t.Errorf("want %q, got:\n%s", c.says, said)
			}
			if peak > memoryBudget>>10 && !raceEnabled {
				t.Errorf("the process took %d MiB, want at most %d", peak>>10, memoryBudget>>20)
			}
			t.Logf("%d MiB", peak>>10)
		})
	}
}

// TestFiguresOfTheSecurityPage: what the page says is what the constants are.
func TestFiguresOfTheSecurityPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		fmt.Sprintf("| a process that fetches a commit, in all | %d MiB | %.0f minutes |", memoryBudget>>20, DefaultTimeout.Minutes()),
		fmt.Sprintf("| a pack on its way: %d MiB received, %d GiB unpacked, %d,000 objects | %d MiB, the rest in a temporary file | within those %.0f minutes; its deltas may be followed for %d GiB |",
			DefaultMaxPack>>20, DefaultMaxPack>>28, maxObjects/1000, spoolHeld>>20, DefaultTimeout.Minutes(), DefaultMaxPack>>26),
		fmt.Sprintf("| the list of branches and tags of a server | %d MiB received | within those %.0f minutes |", maxListing>>20, DefaultTimeout.Minutes()),
		fmt.Sprintf("| a commit: %d,000 files and folders, %d deep | %d MiB of files of a configuration, none above %d MiB; of other files nothing in the daemon, %d MiB in a command | within those %.0f minutes, and so in a folder |",
			maxEntries/1000, maxDepth, maxKept>>20, maxKeptFile>>20, maxOthers>>20, DefaultTimeout.Minutes()),
	} {
		if !strings.Contains(string(page), want) {
			t.Errorf("docs/security.md lacks %q", want)
		}
	}
}
