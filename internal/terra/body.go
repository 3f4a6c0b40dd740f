package terra

import (
	"bytes"
	"io"
	"net/http"
	"sync"
)

// sentBody is the body of one attempt, in memory of its own that is overwritten when the
// transport is done with it.
type sentBody struct {
	mu   sync.Mutex
	text []byte
	at   int
}

func newSentBody(text []byte) *sentBody { return &sentBody{text: bytes.Clone(text)} }

func (b *sentBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.at == len(b.text) {
		return 0, io.EOF
	}
	n := copy(p, b.text[b.at:])
	b.at += n
	return n, nil
}

// Close overwrites the body. What is read afterwards is at its end.
func (b *sentBody) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.text)
	b.at = len(b.text)
	return nil
}

// carry gives a request a body that can be sent again over another connection.
func carry(request *http.Request, text []byte) {
	request.Body, request.ContentLength = newSentBody(text), int64(len(text))
	request.GetBody = func() (io.ReadCloser, error) { return newSentBody(text), nil }
}
