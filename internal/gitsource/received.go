package gitsource

import (
	"errors"
	"io"
)

const pieceSize = 1 << 20

// received is what a server sent, in pieces: a slice that grows holds it twice
// for a while, and up to 256 MiB may come.
type received struct {
	pieces [][]byte // all but the last are full
	size   int64
}

// receiveAll reads until the end, or an error, which is not io.EOF.
func receiveAll(r io.Reader) (*received, error) {
	all := &received{}
	for {
		last := len(all.pieces) - 1
		if last < 0 || len(all.pieces[last]) == pieceSize {
			all.pieces, last = append(all.pieces, make([]byte, 0, pieceSize)), last+1
		}
		piece := all.pieces[last]
		n, err := r.Read(piece[len(piece):pieceSize])
		all.pieces[last], all.size = piece[:len(piece)+n], all.size+int64(n)
		switch {
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return all, err
		}
	}
}

func (r *received) Size() int64 { return r.size }

func (r *received) ReadAt(p []byte, at int64) (n int, err error) {
	for n < len(p) && at < r.size {
		read := copy(p[n:], r.pieces[at/pieceSize][at%pieceSize:])
		n += read
		at += int64(read)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}
