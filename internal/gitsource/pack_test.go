package gitsource

import (
	"bytes"
	"compress/zlib"
	"crypto"
	"encoding/binary"
	"errors"
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

type verdict string

const (
	sound    verdict = "sound"
	tooLarge verdict = "too large"
	corrupt  verdict = "corrupt"
)

func TestPackClaims(t *testing.T) {
	blob := rawObject{kind: 3, claims: 5, content: []byte("hello")}
	delta := func(makes uint64, tail ...byte) rawObject {
		content := binary.AppendUvarint([]byte{5}, makes)
		content = append(content, tail...)
		return rawObject{kind: 6, claims: uint64(len(content)), content: content}
	}
	for name, test := range map[string]struct {
		pack []byte
		want verdict
	}{
		"sound":                 {rawPack(t, blob), sound},
		"delta":                 {rawPack(t, blob, delta(5, 0x90, 5)), sound},
		"claims terabytes":      {rawPack(t, rawObject{kind: 3, claims: 1 << 41, content: []byte("x")}), tooLarge},
		"many small ones":       {rawPack(t, rawObject{kind: 3, claims: 600, content: make([]byte, 600)}, rawObject{kind: 3, claims: 601, content: make([]byte, 601)}), tooLarge},
		"delta makes terabytes": {rawPack(t, blob, delta(1<<41, 0x90, 5)), tooLarge},
		"more than it claims":   {rawPack(t, rawObject{kind: 3, claims: 5, content: make([]byte, 1<<20)}), corrupt},
		"delta without sizes":   {rawPack(t, blob, rawObject{kind: 6, claims: 0}), corrupt},
		"no base":               {rawPack(t, delta(5, 0x90, 5)), corrupt},
		"empty":                 {nil, corrupt},
		"only a checksum":       {sealed(nil), corrupt},
		"wrong checksum":        {append(rawPack(t, blob)[:30], make([]byte, githash.Size)...), corrupt},
		"another checksum":      {otherChecksum(rawPack(t, blob)), corrupt},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := openPack(bytes.NewReader(test.pack), 1200)
			got := corrupt
			switch {
			case err == nil:
				got = sound
				hash := plumbing.ComputeHash(plumbing.BlobObject, []byte("hello"))
				if o, err := p.get(hash); err != nil || o.Size() != 5 {
					t.Errorf("the object is %v, %v", o, err)
				}
			case errors.Is(err, ErrTooLarge):
				got = tooLarge
			case !is[*CorruptError](err):
				t.Fatalf("got %T: %v", err, err)
			}
			if got != test.want {
				t.Errorf("got %s (%v), want %s", got, err, test.want)
			}
		})
	}
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
		p, err := openPack(bytes.NewReader(sealed(body)), 1<<20)
		if err != nil {
			return
		}
		_, _ = build(t.Context(), p, nil, plumbing.NewHash(head), ".", 1<<20)
	})
}
