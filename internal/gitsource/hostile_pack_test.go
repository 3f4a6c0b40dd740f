package gitsource

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	githash "github.com/go-git/go-git/v5/plumbing/hash"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// delta makes so many bytes of a base of five.
func delta(makes uint64, instructions ...byte) rawObject {
	content := append(binary.AppendUvarint([]byte{5}, makes), instructions...)
	return rawObject{kind: 6, claims: uint64(len(content)), content: content}
}

// A pack that lies is refused, and one that does not is read.
func TestHostilePacks(t *testing.T) {
	blob := rawObject{kind: 3, claims: 5, content: []byte("hello")}
	byName := func(base string, instructions ...byte) rawObject {
		hash := hashOf("blob", []byte(base))
		return rawObject{kind: 7, claims: uint64(len(instructions)), head: hash[:], content: instructions}
	}
	const tooLarge, corrupt, unreachable = "*errors.errorString", "*gitsource.CorruptError", "*gitsource.UnreachableError"
	for _, c := range []struct {
		attack string
		pack   []byte
		want   string
	}{
		{attack: "an object that claims terabytes", pack: rawPack(t, rawObject{kind: 3, claims: 1 << 41, content: []byte("x")}), want: tooLarge},
		{attack: "a size that does not end", pack: rawPack(t, rawObject{kind: 3, claims: 1 << 62, content: []byte("x")}), want: tooLarge},
		{attack: "small objects that are too much together", pack: rawPack(t, rawObject{kind: 3, claims: 600, content: make([]byte, 600)}, rawObject{kind: 3, claims: 601, content: make([]byte, 601)}), want: tooLarge},
		{attack: "a delta that makes terabytes", pack: rawPack(t, blob, delta(1<<41, 0x90, 5)), want: tooLarge},
		{attack: "an object that is more than it claims", pack: rawPack(t, rawObject{kind: 3, claims: 5, content: make([]byte, 1<<20)}), want: corrupt},
		{attack: "an object that is less than it claims", pack: rawPack(t, rawObject{kind: 3, claims: 6, content: []byte("hello")}), want: corrupt},
		{attack: "a delta without sizes", pack: rawPack(t, blob, rawObject{kind: 6}), want: corrupt},
		{attack: "a delta for another base", pack: rawPack(t, blob, rawObject{kind: 6, claims: 4, content: []byte{6, 5, 0x90, 5}}), want: corrupt},
		{attack: "a delta that copies from beyond its base", pack: rawPack(t, blob, delta(5, 0x91, 3, 5)), want: corrupt},
		{attack: "a delta that makes more than it says", pack: rawPack(t, blob, delta(5, 0x90, 5, 0x90, 5)), want: corrupt},
		{attack: "a delta that makes less than it says", pack: rawPack(t, blob, delta(5, 0x90, 4)), want: corrupt},
		{attack: "a delta that inserts what it lacks", pack: rawPack(t, blob, delta(5, 5, 'h')), want: corrupt},
		{attack: "a delta that ends in an instruction", pack: rawPack(t, blob, delta(5, 0xff, 0)), want: corrupt},
		{attack: "a delta with an instruction that does not exist", pack: rawPack(t, blob, delta(5, 0)), want: corrupt},
		{attack: "a delta upon nothing", pack: rawPack(t, delta(5, 0x90, 5)), want: corrupt},
		{attack: "a delta upon an object that is not there", pack: rawPack(t, blob, byName("other", 5, 5, 0x90, 5)), want: corrupt},
		{attack: "a delta upon itself", pack: rawPack(t, blob, byName("jello", 5, 5, 1, 'j', 0x91, 1, 4)), want: corrupt},
		{attack: "an object of a kind that does not exist", pack: rawPack(t, rawObject{kind: 5, claims: 1, content: []byte("x")}), want: corrupt},
		{attack: "more objects than are there", pack: sealed(append([]byte("PACK\x00\x00\x00\x02\x00\x00\x00\x09"), rawPack(t, blob)[12:20]...)), want: corrupt},
		{attack: "four billion objects", pack: sealed([]byte("PACK\x00\x00\x00\x02\xff\xff\xff\xff")), want: tooLarge},
		{attack: "fewer objects than are there", pack: sealed(append([]byte("PACK\x00\x00\x00\x02\x00\x00\x00\x00"), rawPack(t, blob)[12:20]...)), want: corrupt},
		{attack: "another version", pack: sealed([]byte("PACK\x00\x00\x00\x03\x00\x00\x00\x00")), want: corrupt},
		{attack: "no pack at all", pack: sealed([]byte("<!doctype html><title>log in</title>")), want: corrupt},
		{attack: "nothing", want: unreachable},
		{attack: "a checksum alone", pack: sealed(nil), want: corrupt},
		{attack: "a checksum of zeros", pack: append(rawPack(t, blob)[:30], make([]byte, githash.Size)...), want: corrupt},
		{attack: "another checksum", pack: otherChecksum(rawPack(t, blob)), want: corrupt},
		{attack: "something after the checksum", pack: append(rawPack(t, blob), rawPack(t, blob)...), want: corrupt},
		{attack: "a deflated stream with another sum", pack: sealed(flipped(rawPack(t, blob), 6)), want: corrupt},
	} {
		t.Run(c.attack, func(t *testing.T) {
			_, err := receivePack(t.Context(), bytes.NewReader(c.pack), 1200)
			got := fmt.Sprintf("%T", err)
			if errors.Is(err, ErrTooLarge) {
				got = tooLarge
			}
			if got != c.want {
				t.Errorf("got %s (%v), want %s", got, err, c.want)
			}
		})
	}
	sound := [][]byte{
		rawPack(t, blob), rawPack(t, blob, delta(5, 0x90, 5)), rawPack(t, blob, byName("hello", 5, 5, 0x90, 5)),
		rawPack(t, byName("jello", 5, 5, 1, 'h', 0x91, 1, 4), byName("hello", 5, 5, 1, 'j', 0x91, 1, 4), blob), // bases that follow
	}
	for i, pack := range sound {
		p, err := receivePack(t.Context(), bytes.NewReader(pack), 1200)
		if err != nil {
			t.Errorf("sound pack %d: %v", i, err)
			continue
		}
		if o, err := p.get(hashOf("blob", []byte("hello")), 5); err != nil || string(o.data) != "hello" {
			t.Errorf("sound pack %d: the object is %q, %v", i, o.data, err)
		}
	}
}

// flipped changes a byte so far before the checksum, which is taken off.
func flipped(pack []byte, before int) []byte {
	body := pack[:len(pack)-githash.Size]
	body[len(body)-before] ^= 1
	return body
}

// A folder that no file system could hold, or that only a hostile program writes.
func TestHostileFolders(t *testing.T) {
	s := stored{}
	blob := s.put(plumbing.BlobObject, "x")
	at := func(name string, mode filemode.FileMode, hash plumbing.Hash) object.TreeEntry {
		return object.TreeEntry{Name: name, Mode: mode, Hash: hash}
	}
	file := func(name string) plumbing.Hash { return s.tree(at(name, filemode.Regular, blob)) }
	bomb := file("f") // ten folders of ten each, twelve times over: a trillion files in 13 objects
	for range 12 {
		var entries []object.TreeEntry
		for i := range 10 {
			entries = append(entries, at(string(rune('a'+i)), filemode.Dir, bomb))
		}
		bomb = s.tree(entries...)
	}
	deep := file("f")
	for range maxDepth + 1 {
		deep = s.tree(at("d", filemode.Dir, deep))
	}
	for _, c := range []struct {
		attack string
		tree   plumbing.Hash
		says   string
	}{
		{attack: "a file named ..", tree: file(".."), says: "which is refused"},
		{attack: "a file named .", tree: file("."), says: "which is refused"},
		{attack: "a file with a slash in its name", tree: file("a/b"), says: "which is refused"},
		{attack: "a file named from the root", tree: file("/a"), says: "which is refused"},
		{attack: "a file named .git", tree: file(".git"), says: "which is refused"},
		{attack: "a file named .GIT", tree: file(".GIT"), says: "which is refused"},
		{attack: "a file with a backslash in its name", tree: file(`a\b`), says: "which is refused"},
		{attack: "a file whose name is no text", tree: file("a\xff"), says: "which is refused"},
		{attack: "a file without a name", tree: file(""), says: "which is refused"},
		{attack: "two files of one name", tree: s.tree(at("a", filemode.Regular, blob), at("a", filemode.Regular, blob)), says: "twice"},
		{attack: "a file and a folder of one name", tree: s.tree(at("a", filemode.Regular, blob), at("a", filemode.Dir, file("b"))), says: "twice"},
		{attack: "a folder that is a file", tree: s.tree(at("a", filemode.Dir, blob)), says: "is a blob where a tree is wanted"},
		{attack: "a folder that is a file that was read before", tree: s.tree(at("a", filemode.Regular, blob), at("b", filemode.Dir, blob)), says: "is a blob where a tree is wanted"},
		{attack: "a file that is a folder that was read before", tree: s.tree(at("a", filemode.Dir, file("b")), at("c", filemode.Regular, file("b"))), says: "is a tree where a blob is wanted"},
		{attack: "a file that is not there", tree: s.tree(at("a", filemode.Regular, hashOf("blob", []byte("gone")))), says: "missing"},
		{attack: "a device", tree: s.tree(at("a", 0o020000, blob)), says: "unknown mode"},
		{attack: "a folder that is cut", tree: s.put(plumbing.TreeObject, "100644 a\x00abc"), says: "can not be read"},
		{attack: "a folder whose mode is no number", tree: s.put(plumbing.TreeObject, "10x644 a\x00"+strings.Repeat("h", 20)), says: "can not be read"},
		{attack: "a trillion files in 13 folders", tree: bomb, says: "more than 200000 files"},
		{attack: "folders without end", tree: deep, says: "100 deep"},
	} {
		t.Run(c.attack, func(t *testing.T) {
			_, err := build(t.Context(), s, nil, s.commit(c.tree), wanted{path: ".", limit: 1 << 20})
			if !is[*CorruptError](err) && !errors.Is(err, ErrTooLarge) && !errors.Is(err, errMissingObject) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %q", err, c.says)
			}
		})
	}
}

// What stands in a folder that is not committed is not read beyond what a file of ours
// may have.
func TestHostileWorkTree(t *testing.T) {
	for _, c := range []struct {
		attack string
		make   func(path string) error
		says   error
	}{
		{attack: "a file of 400 MiB that takes no room", make: func(path string) error {
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				return err
			}
			return os.Truncate(path, 400<<20)
		}, says: errTooBig},
		{attack: "a link to a file that never ends", make: func(path string) error { return os.Symlink("/dev/zero", path) }, says: errLink},
	} {
		t.Run(c.attack, func(t *testing.T) {
			r := newRepository(t)
			if err := c.make(r.dir + "/strava.yaml"); err != nil {
				t.Fatal(err)
			}
			tree, err := WorkTree(t.Context(), r.dir, ".", nil)
			if err != nil {
				t.Fatal(err)
			}
			if data, err := fs.ReadFile(tree.FS, "strava.yaml"); !errors.Is(err, c.says) {
				t.Errorf("read %d bytes, %v, want %v", len(data), err, c.says)
			}
		})
	}
}
