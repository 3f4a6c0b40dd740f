package gitsource

import (
	"encoding/binary"
	"errors"
	"io"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/idxfile"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
)

// pack is a received pack file, indexed. It is used by one goroutine.
type pack struct{ file *packfile.Packfile }

// bytesAt are bytes that can be read anywhere; a bytes.Reader is that too.
type bytesAt interface {
	io.ReaderAt
	Size() int64
}

func fromStart(data bytesAt) *io.SectionReader { return io.NewSectionReader(data, 0, data.Size()) }

// openPack checks and indexes a pack. What it unpacks to may be limit bytes.
func openPack(data bytesAt, limit int64) (pack, error) {
	corrupt := func(err error) (pack, error) {
		return pack{}, &CorruptError{Reason: "the pack that was received is damaged: " + clean(err.Error())}
	}
	if err := measure(data, limit); err != nil {
		if errors.Is(err, ErrTooLarge) {
			return pack{}, err
		}
		return corrupt(err)
	}
	index := new(idxfile.Writer)
	parser, err := packfile.NewParser(packfile.NewScanner(fromStart(data)), index)
	if err == nil {
		_, err = parser.Parse()
	}
	if err != nil {
		return corrupt(err)
	}
	found, err := index.Index()
	if err != nil {
		return corrupt(err)
	}
	return pack{file: packfile.NewPackfile(found, nil, memoryFile{fromStart(data)}, 0)}, nil
}

func (p pack) get(hash plumbing.Hash) (plumbing.EncodedObject, error) { return p.file.Get(hash) }

// measure adds up what the pack's objects claim to unpack to, before anything
// is unpacked: a few kilobytes can claim terabytes. The library holds each
// object to its claim.
func measure(data bytesAt, limit int64) error {
	scanner := packfile.NewScanner(fromStart(data))
	_, count, err := scanner.Header()
	if err != nil {
		return err
	}
	var total int64
	for range count {
		header, err := scanner.NextObjectHeader()
		if err != nil {
			return err
		}
		size := header.Length
		if header.Type.IsDelta() && size >= 0 && size <= limit-total {
			var delta prefix
			if _, _, err := scanner.NextObject(&delta); err != nil {
				return err
			}
			if size, err = delta.target(size); err != nil {
				return err
			}
		}
		if size < 0 || size > limit-total {
			return ErrTooLarge
		}
		total += size
	}
	return nil
}

// prefix keeps the beginning of what is written to it.
type prefix struct{ head []byte }

func (p *prefix) Write(data []byte) (int, error) {
	if room := 2*binary.MaxVarintLen64 - len(p.head); room > 0 {
		p.head = append(p.head, data[:min(room, len(data))]...)
	}
	return len(data), nil
}

// target is the larger of a delta's own size and of what it makes.
func (p *prefix) target(size int64) (int64, error) {
	_, n := binary.Uvarint(p.head)
	if n <= 0 {
		return 0, errors.New("a delta does not say what it changes")
	}
	makes, n := binary.Uvarint(p.head[n:])
	if n <= 0 || makes > 1<<62 {
		return 0, errors.New("a delta does not say what it makes")
	}
	return max(size, int64(makes)), nil
}

// memoryFile is a pack in memory, as the library wants to see it.
type memoryFile struct{ *io.SectionReader }

var errReadOnly = errors.New("is read-only")

func (memoryFile) Name() string              { return "pack" }
func (memoryFile) Write([]byte) (int, error) { return 0, errReadOnly }
func (memoryFile) Truncate(int64) error      { return errReadOnly }
func (memoryFile) Lock() error               { return nil }
func (memoryFile) Unlock() error             { return nil }
func (memoryFile) Close() error              { return nil }
