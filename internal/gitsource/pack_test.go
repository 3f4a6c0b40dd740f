package gitsource

import (
	"bytes"
	"compress/zlib"
	"crypto"
	"encoding/binary"
	"hash"
	"os/exec"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	githash "github.com/go-git/go-git/v5/plumbing/hash"
)

// rawObject is an object as a pack holds it: type, claimed size and content.
// A delta's base is the object before it.
type rawObject struct {
	kind    byte
	claims  uint64
	head    []byte // between the size and what is compressed
	content []byte
}

// rawPack writes a pack that may claim anything.
func rawPack(t testing.TB, objects ...rawObject) []byte {
	t.Helper()
	var pack bytes.Buffer
	pack.WriteString("PACK")
	for _, number := range []uint32{2, uint32(len(objects))} {
		_ = binary.Write(&pack, binary.BigEndian, number)
	}
	before := 0
	for _, o := range objects {
		start := pack.Len()
		head := o.kind<<4 | byte(o.claims&15)
		for rest := o.claims >> 4; ; rest >>= 7 {
			if rest == 0 {
				pack.WriteByte(head)
				break
			}
			pack.WriteByte(head | 0x80)
			head = byte(rest & 0x7f)
		}
		if o.kind == 6 {
			pack.WriteByte(byte(start - before))
		}
		pack.Write(o.head)
		z := zlib.NewWriter(&pack)
		_, _ = z.Write(o.content)
		_ = z.Close()
		before = start
	}
	return sealed(pack.Bytes())
}

func newSum() hash.Hash { return githash.New(crypto.SHA1) }

func sealed(body []byte) []byte {
	sum := newSum()
	_, _ = sum.Write(body)
	return sum.Sum(bytes.Clone(body))
}

// otherChecksum changes nothing but the checksum.
func otherChecksum(pack []byte) []byte {
	pack[len(pack)-1] ^= 1
	return pack
}

// FuzzPack feeds damaged packs whose checksum fits, as a hostile server can.
func FuzzPack(f *testing.F) {
	r := newRepository(f)
	r.commit("first", "a", strings.Repeat("hello ", 100), "d/b", "b")
	head := r.commit("second", "a", strings.Repeat("hello ", 99)+"you", "d/c", "c")
	cmd := exec.Command("git", "pack-objects", "--revs", "--stdout", "-q")
	cmd.Dir, cmd.Env, cmd.Stdin = r.dir, gitEnv(), strings.NewReader("HEAD\n")
	pack, err := cmd.Output()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(pack[:len(pack)-githash.Size])
	f.Add(rawPack(f, rawObject{kind: 3, claims: 5, content: []byte("hello")}, rawObject{kind: 6, claims: 4, content: []byte{5, 5, 0x90, 5}}))
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := receivePack(t.Context(), bytes.NewReader(sealed(body)), 1<<20)
		if err != nil {
			return
		}
		defer p.close()
		_, _ = build(t.Context(), p, nil, plumbing.NewHash(head), wanted{path: ".", limit: 1 << 20})
	})
}
