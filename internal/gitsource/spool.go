package gitsource

import (
	"io"
	"os"
)

const (
	pieceSize = 1 << 20
	spoolHeld = 16 << 20 // bytes that stay in memory
)

// spool keeps bytes in memory, and those beyond spoolHeld in a temporary file that no
// name leads to.
type spool struct {
	pieces [][]byte // all but the last are full
	file   *os.File // nil until it is needed
	size   int64
}

func (s *spool) append(data []byte) error {
	for len(data) > 0 && s.size < spoolHeld {
		last := len(s.pieces) - 1
		if last < 0 || len(s.pieces[last]) == pieceSize {
			s.pieces, last = append(s.pieces, make([]byte, 0, pieceSize)), last+1
		}
		n := min(pieceSize-len(s.pieces[last]), len(data))
		s.pieces[last] = append(s.pieces[last], data[:n]...)
		s.size += int64(n)
		data = data[n:]
	}
	if len(data) == 0 {
		return nil
	}
	if s.file == nil {
		file, err := os.CreateTemp("", "reconcile-pack-*")
		if err != nil {
			return &NoRoomError{Reason: clean(err.Error())}
		}
		_ = os.Remove(file.Name()) // where it cannot be removed while it is open, close does it
		s.file = file
	}
	n, err := s.file.Write(data)
	s.size += int64(n)
	if err != nil {
		return &NoRoomError{Reason: clean(err.Error())}
	}
	return nil
}

func (s *spool) ReadAt(p []byte, at int64) (n int, err error) {
	for n < len(p) && at < min(s.size, spoolHeld) {
		read := copy(p[n:], s.pieces[at/pieceSize][at%pieceSize:])
		n += read
		at += int64(read)
	}
	switch {
	case n == len(p):
		return n, nil
	case s.file == nil:
		return n, io.EOF
	}
	more, err := s.file.ReadAt(p[n:], at-spoolHeld)
	return n + more, err
}

func (s *spool) close() {
	s.pieces = nil
	if s.file != nil {
		_ = s.file.Close() // nobody needs it any more
		_ = os.Remove(s.file.Name())
	}
}
