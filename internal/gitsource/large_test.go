package gitsource

import (
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/pktline"
)

const largeFile = 8 << 20

// largeServer serves one commit with so many files of 8 MiB, which do not
// compress, and looks at our memory while it sends.
type largeServer struct {
	t       *testing.T
	busy    sync.Mutex // held while a request is answered
	files   int
	content []byte
	sent    int64
	peak    uint64 // bytes of heap
}

// objects are the commit, its tree, and what makes the files.
func (s *largeServer) objects() (commit plumbing.Hash, small []rawObject) {
	var tree strings.Builder
	for i := range s.files {
		hash := plumbing.ComputeHash(plumbing.BlobObject, s.file(i))
		tree.WriteString(fmt.Sprintf("100644 f%03d\x00", i) + string(hash[:]))
	}
	treeHash := plumbing.ComputeHash(plumbing.TreeObject, []byte(tree.String()))
	text := fmt.Sprintf("tree %s\nauthor A <a@example.com> 1 +0000\ncommitter A <a@example.com> 1 +0000\n\n%d files\n", treeHash, s.files)
	return plumbing.ComputeHash(plumbing.CommitObject, []byte(text)), []rawObject{
		{kind: 1, claims: uint64(len(text)), content: []byte(text)},
		{kind: 2, claims: uint64(tree.Len()), content: []byte(tree.String())},
	}
}

// file differs from the others in its first bytes, and is good until the next call.
func (s *largeServer) file(i int) []byte {
	binary.BigEndian.PutUint64(s.content, uint64(i+1))
	return s.content
}

func (s *largeServer) Write(p []byte) (int, error) {
	s.sent += int64(len(p))
	return len(p), nil
}

func (s *largeServer) look() {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	s.peak = max(s.peak, m.HeapInuse)
}

func (s *largeServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.busy.Lock()
	defer s.busy.Unlock()
	head, small := s.objects()
	lines := pktline.NewEncoder(w)
	if r.Method == http.MethodGet {
		w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
		_ = lines.EncodeString("# service=git-upload-pack\n")
		_ = lines.Flush()
		_ = lines.EncodeString(head.String()+" HEAD\x00shallow\n", head.String()+" refs/heads/main\n")
		_ = lines.Flush()
		return
	}
	_, _ = io.Copy(io.Discard, r.Body)
	w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
	_ = lines.EncodeString("shallow " + head.String() + "\n")
	_ = lines.Flush()
	_ = lines.EncodeString("NAK\n")
	beginning := rawPack(s.t, small...)
	binary.BigEndian.PutUint32(beginning[8:], uint32(len(small)+s.files))
	sum := newSum()
	out := io.MultiWriter(w, sum, s)
	_, _ = out.Write(beginning[:len(beginning)-sum.Size()])
	for i := range s.files {
		_, _ = out.Write([]byte{0xb0, 0x80, 0x80, 0x20}) // a blob of 8 MiB
		z, _ := zlib.NewWriterLevel(out, zlib.NoCompression)
		_, _ = z.Write(s.file(i))
		if z.Close() != nil {
			return // nobody listens any more
		}
		s.look()
	}
	_, _ = w.Write(sum.Sum(nil))
}

// A pack above the limit that nobody changed is refused while it arrives; what was
// there before stays, and the memory that it takes is bounded.
func TestPackAboveTheDefaultLimit(t *testing.T) {
	server := &largeServer{t: t, files: 1, content: make([]byte, largeFile)}
	s := open(t, Options{URL: serve(t, server) + "/large.git"})
	first, _ := server.objects()
	fetch(t, s, first.String())
	runtime.GC()
	server.busy.Lock()
	server.look()
	before := server.peak

	server.files, server.sent, server.peak = 34, 0, 0
	large, _ := server.objects()
	server.busy.Unlock()
	_, err := s.Fetch(t.Context())
	if !errors.Is(err, ErrTooLarge) || !strings.Contains(err.Error(), "the commit is larger than allowed; keep specs in a repository of their own") {
		t.Fatalf("got %v", err)
	}
	if _, err := s.FS(large.String()); !is[*UnknownCommitError](err) {
		t.Errorf("the large commit is held: %v", err)
	}
	if files, err := s.FS(first.String()); err != nil {
		t.Errorf("the commit before is not held: %v", err)
	} else if info, err := fs.Stat(files, "f000"); err != nil || info.Size() != largeFile {
		t.Errorf("the file of the commit before is %v, %v", info, err)
	}
	server.busy.Lock() // the server has noticed, too
	if server.sent < DefaultMaxPack {
		t.Errorf("refused after %d bytes, which is below the limit", server.sent)
	}
	const bound = 64 << 20
	grown := max(server.peak, before) - before // less than before where what it held went meanwhile
	if grown > bound {
		t.Errorf("the heap grew by %d MiB, want at most %d", grown>>20, bound>>20)
	}
	t.Logf("COUNT large_pack_mib_sent=%d", server.sent>>20)
	t.Logf("COUNT large_pack_mib_heap=%d", grown>>20)

	server.files = 1
	server.busy.Unlock()
	fetch(t, s, first.String())
}
