package gitsource

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/zlib"
	"context"
	"crypto"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	githash "github.com/go-git/go-git/v5/plumbing/hash"
)

// What a pack may cost, whatever it claims.
const (
	maxObjects  = 500_000  // objects in it
	maxObject   = 8 << 20  // bytes of an object that is looked into; of a larger one its size alone is known
	recentBytes = 16 << 20 // of what was unpacked, kept for the deltas upon it
	leastBytes  = 2 << 10  // that unpacking an object counts as
)

// pack is a received pack file, indexed. It is used by one goroutine.
type pack struct {
	kept    *spool
	objects []packed
	hashes  []plumbing.Hash // of the objects; zero where it is not known
	byHash  []int32         // the objects whose hash is known, sorted by it
	passed  bool            // an object's hash is not known, because it or what it stands on is larger than maxObject
	recent  map[int32][]byte
	order   []int32 // of recent, oldest first
	held    int     // bytes of recent
	work    int64   // bytes that may still be unpacked
	unzip   io.ReadCloser
	in      *bufio.Reader
}

// packed is an object as it lies in a pack.
type packed struct {
	start int64 // of its header
	data  int64 // of what is compressed
	size  int64 // of that, uncompressed
	makes int64 // size, or what the delta makes
	base  int32 // what the delta stands on; -1 for none, or none that is known yet
	kind  plumbing.ObjectType
}

// gitObject is an object as git knows it.
type gitObject struct {
	kind plumbing.ObjectType
	size int64
	data []byte // nil where it is longer than was asked for; not to be changed
}

// receivePack reads a pack to its end, checks and indexes it. What is too much is refused
// while it arrives: what the pack unpacks to may be limit bytes. The caller closes it.
func receivePack(ctx context.Context, from io.Reader, limit int64) (*pack, error) {
	p := &pack{kept: &spool{}, recent: map[int32][]byte{}, work: 4*limit + 1<<20, in: bufio.NewReader(nil)}
	in := &arriving{from: from, into: p.kept, sum: githash.New(crypto.SHA1), buffer: make([]byte, 32<<10)}
	err := p.index(ctx, in, limit)
	if err == nil {
		err = p.resolve(ctx)
	}
	if err == nil {
		return p, nil
	}
	p.close()
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, ErrTooLarge) || is[*NoRoomError](err):
		return nil, err
	case in.broken != nil:
		return nil, &UnreachableError{Reason: fmt.Sprintf("the answer broke off after %d bytes: %s", p.kept.size, clean(in.broken.Error()))}
	case p.kept.size == 0:
		return nil, &UnreachableError{Reason: "the server ended the conversation before it sent anything"}
	}
	return nil, &CorruptError{Reason: "the pack that was received is damaged: " + clean(err.Error())}
}

func (p *pack) close() { p.kept.close() }

// index goes through the objects as they arrive, and notes where they are. A delta that
// names its base by hash has that hash until it is resolved.
func (p *pack) index(ctx context.Context, in *arriving, limit int64) error {
	var head [12]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return err
	}
	if string(head[:8]) != "PACK\x00\x00\x00\x02" {
		return errors.New("it is no pack of version 2")
	}
	count := binary.BigEndian.Uint32(head[8:])
	if count > maxObjects {
		return fmt.Errorf("%d objects: %w", count, ErrTooLarge)
	}
	for range count {
		if err := ctx.Err(); err != nil {
			return err
		}
		o, hash, err := p.header(in)
		if err != nil {
			return err
		}
		if o.size > limit { // said before any of it is unpacked
			return ErrTooLarge
		}
		content, err := p.uncompressed(in)
		if err != nil {
			return err
		}
		if o.kind.IsDelta() {
			var instructions prefix
			if _, err = io.CopyN(&instructions, content, o.size); err == nil {
				o.makes, err = instructions.makes()
			}
		} else {
			hasher := plumbing.NewHasher(o.kind, o.size)
			_, err = io.CopyN(hasher, content, o.size)
			o.makes, hash = o.size, hasher.Sum()
		}
		if err == nil {
			err = atEnd(content)
		}
		if err != nil {
			return err
		}
		if limit -= max(o.size, o.makes); limit < 0 {
			return ErrTooLarge
		}
		p.objects, p.hashes = append(p.objects, o), append(p.hashes, hash)
	}
	return in.end()
}

// header reads what stands before an object's content. base is what a delta stands on,
// where it says so by a hash.
func (p *pack) header(in *arriving) (o packed, base plumbing.Hash, err error) {
	o = packed{start: in.at, base: -1}
	b, err := in.ReadByte()
	o.kind, o.size = plumbing.ObjectType(b>>4&7), int64(b&15)
	for shift := 4; err == nil && b&0x80 != 0; shift += 7 {
		if shift > 46 {
			return o, base, ErrTooLarge
		}
		b, err = in.ReadByte()
		o.size |= int64(b&0x7f) << shift
	}
	if err != nil {
		return o, base, err
	}
	switch o.kind {
	case plumbing.CommitObject, plumbing.TreeObject, plumbing.BlobObject, plumbing.TagObject:
	case plumbing.REFDeltaObject:
		_, err = io.ReadFull(in, base[:])
	case plumbing.OFSDeltaObject:
		back := int64(-1)
		for more := true; more && err == nil && back < o.start; more = b&0x80 != 0 {
			b, err = in.ReadByte()
			back = (back+1)<<7 | int64(b&0x7f)
		}
		at, found := slices.BinarySearchFunc(p.objects, o.start-back, func(o packed, start int64) int { return cmp.Compare(o.start, start) })
		if err == nil && !found {
			err = errors.New("a delta stands on nothing")
		}
		o.base = int32(at) //nolint:gosec // at most maxObjects
	default:
		err = fmt.Errorf("an object is of the unknown kind %d", o.kind)
	}
	o.data = in.at
	return o, base, err
}

// resolve learns what the deltas make. Each follows what it stands on at once, which is
// still at hand then.
func (p *pack) resolve(ctx context.Context) error {
	// The deltas upon an object, as lists: numbers of objects plus one.
	first, next, waiting := make([]int32, len(p.objects)), make([]int32, len(p.objects)), map[plumbing.Hash]int32{}
	open := 0
	for n, o := range p.objects {
		i := int32(n)
		if !o.kind.IsDelta() {
			continue
		}
		open++
		if o.base >= 0 {
			next[i], first[o.base] = first[o.base], i+1
		} else {
			next[i], waiting[p.hashes[i]] = waiting[p.hashes[i]], i+1
			p.hashes[i] = plumbing.ZeroHash
		}
	}
	var todo []int32
	push := func(base int32) (isBase bool) {
		before := len(todo)
		for d := first[base]; d > 0; d = next[d-1] {
			todo = append(todo, d-1)
		}
		for d := waiting[p.hashes[base]]; d > 0; d = next[d-1] {
			p.objects[d-1].base = base
			todo = append(todo, d-1)
		}
		delete(waiting, p.hashes[base])
		return len(todo) > before
	}
	for n := range p.objects {
		i := int32(n)
		if p.objects[i].base >= 0 || p.objects[i].kind.IsDelta() {
			continue
		}
		push(i)
		for len(todo) > 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			i := todo[len(todo)-1]
			todo = todo[:len(todo)-1]
			open--
			content, err := p.solve(i)
			if err != nil {
				return err
			}
			if push(i) && content != nil {
				p.remember(i, content)
			}
		}
	}
	if open > 0 && !p.passed {
		return errors.New("a delta stands on nothing")
	}
	for i, hash := range p.hashes {
		if !hash.IsZero() {
			p.byHash = append(p.byHash, int32(i))
		}
	}
	slices.SortFunc(p.byHash, func(a, b int32) int { return bytes.Compare(p.hashes[a][:], p.hashes[b][:]) })
	return nil
}

// solve learns the kind and hash of a delta. content is nil where they are too large.
func (p *pack) solve(i int32) (content []byte, err error) {
	o := &p.objects[i]
	base := p.objects[o.base]
	o.kind = base.kind
	if p.hashes[o.base].IsZero() || max(base.makes, o.makes, o.size) > maxObject {
		p.passed = true
		return nil, nil
	}
	if content, err = p.content(i); err != nil {
		return nil, err
	}
	p.hashes[i] = plumbing.ComputeHash(o.kind, content)
	return content, nil
}

// get finds an object. Of one above most bytes it gives kind and size only.
func (p *pack) get(hash plumbing.Hash, most int64) (gitObject, error) {
	at, found := slices.BinarySearchFunc(p.byHash, hash, func(i int32, hash plumbing.Hash) int { return bytes.Compare(p.hashes[i][:], hash[:]) })
	if !found && p.passed {
		return gitObject{}, ErrTooLarge
	}
	if !found {
		return gitObject{}, plumbing.ErrObjectNotFound
	}
	i := p.byHash[at]
	o := gitObject{kind: p.objects[i].kind, size: p.objects[i].makes}
	if o.size > min(most, maxObject) {
		return o, nil
	}
	var err error
	o.data, err = p.content(i)
	return o, err
}

// content unpacks an object, and for that what it stands on.
func (p *pack) content(i int32) (content []byte, err error) {
	var todo []int32
	for ; i >= 0; i = p.objects[i].base {
		recent, known := p.recent[i]
		if known {
			content = recent
			break
		}
		todo = append(todo, i)
	}
	for n := len(todo) - 1; n >= 0; n-- {
		o := p.objects[todo[n]]
		if p.work -= max(o.size+o.makes, leastBytes); p.work < 0 {
			return nil, fmt.Errorf("its deltas take too long to follow: %w", ErrTooLarge)
		}
		data := make([]byte, o.size)
		p.in.Reset(io.NewSectionReader(p.kept, o.data, p.kept.size-o.data))
		plain, err := p.uncompressed(p.in)
		if err == nil {
			_, err = io.ReadFull(plain, data)
		}
		if err == nil && o.base >= 0 {
			data, err = packfile.PatchDelta(content, data)
		}
		if err != nil {
			return nil, err
		}
		if content = data; n > 0 {
			p.remember(todo[n], content)
		}
	}
	return content, nil
}

// remember keeps a content for the deltas upon it.
func (p *pack) remember(i int32, content []byte) {
	if _, known := p.recent[i]; known {
		return
	}
	p.recent[i], p.order = content, append(p.order, i)
	for p.held += max(len(content), leastBytes); p.held > recentBytes; p.order = p.order[1:] {
		p.held -= max(len(p.recent[p.order[0]]), leastBytes)
		delete(p.recent, p.order[0])
	}
}

// uncompressed reads from where a compressed content begins. It takes no byte too many
// where from gives single ones.
func (p *pack) uncompressed(from io.Reader) (_ io.Reader, err error) {
	if again, ok := p.unzip.(zlib.Resetter); ok {
		return p.unzip, again.Reset(from, nil)
	}
	p.unzip, err = zlib.NewReader(from)
	return p.unzip, err
}

// atEnd wants nothing more to come, and the checksum to be right.
func atEnd(content io.Reader) error {
	n, err := io.ReadFull(content, make([]byte, 1))
	switch {
	case n > 0:
		return errors.New("an object is larger than it says")
	case errors.Is(err, io.EOF):
		return nil
	}
	return err
}

// prefix keeps the beginning of what is written to it.
type prefix struct{ head []byte }

func (p *prefix) Write(data []byte) (int, error) {
	if room := 2*binary.MaxVarintLen64 - len(p.head); room > 0 {
		p.head = append(p.head, data[:min(room, len(data))]...)
	}
	return len(data), nil
}

// makes is what a delta says that it makes.
func (p *prefix) makes() (int64, error) {
	_, n := binary.Uvarint(p.head)
	if n <= 0 {
		return 0, errors.New("a delta does not say what it changes")
	}
	makes, n := binary.Uvarint(p.head[n:])
	if n <= 0 || makes > 1<<62 {
		return 0, errors.New("a delta does not say what it makes")
	}
	return int64(makes), nil
}

// arriving is a pack on its way: what is read of it is kept.
type arriving struct {
	from   io.Reader
	into   *spool
	buffer []byte
	ready  []byte    // of buffer, not read yet
	at     int64     // bytes read
	sum    hash.Hash // of all but tail
	tail   []byte    // the last bytes that came: the checksum, in the end
	ended  error     // why nothing more comes
	broken error     // the same, where that is not the end
}

func (a *arriving) fill() error {
	for range 100 {
		if len(a.ready) > 0 {
			return nil
		}
		if a.ended != nil {
			return a.ended
		}
		n, err := a.from.Read(a.buffer)
		a.ready = a.buffer[:n]
		a.tail = append(a.tail, a.ready...)
		if extra := len(a.tail) - a.sum.Size(); extra > 0 {
			_, _ = a.sum.Write(a.tail[:extra])
			a.tail = append(a.tail[:0], a.tail[extra:]...)
		}
		if err := a.into.append(a.ready); err != nil {
			return err
		}
		if a.ended = err; err != nil && !errors.Is(err, io.EOF) {
			a.broken = err
		}
	}
	return io.ErrNoProgress
}

func (a *arriving) Read(p []byte) (int, error) {
	if err := a.fill(); err != nil {
		return 0, err
	}
	n := copy(p, a.ready)
	a.ready, a.at = a.ready[n:], a.at+int64(n)
	return n, nil
}

func (a *arriving) ReadByte() (byte, error) {
	if err := a.fill(); err != nil {
		return 0, err
	}
	b := a.ready[0]
	a.ready, a.at = a.ready[1:], a.at+1
	return b, nil
}

// end wants the checksum, and nothing after it.
func (a *arriving) end() error {
	if _, err := io.ReadFull(a, make([]byte, a.sum.Size())); err != nil {
		return err
	}
	if _, err := a.ReadByte(); !errors.Is(err, io.EOF) {
		return cmp.Or(err, errors.New("something follows the checksum"))
	}
	if !bytes.Equal(a.sum.Sum(nil), a.tail) {
		return errors.New("its checksum is wrong")
	}
	return nil
}
