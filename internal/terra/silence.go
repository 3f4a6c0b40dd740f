package terra

import (
	"errors"
	"sync"
	"time"
)

const (
	silenceLasts = 30 * time.Second // after the last call that waited in vain
	silentWait   = 10 * time.Second // for one answer meanwhile
)

// silence notices a server that takes the calls of a token and answers none of
// them. A call waits a minute and a half for it; a run must not do so for each of its
// calls. Once one has waited in vain, and no other one was answered meanwhile, no
// write is sent and a read waits once and shortly, until something is answered
// again or the silence has lasted long enough to try anew.
type silence struct {
	mu    sync.Mutex
	heard time.Time // when the latest answer came
	until time.Time
}

func (s *silence) answered(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard, s.until = now, time.Time{}
}

// waitedInVain ends a call that began at a time and got no answer until now.
func (s *silence) waitedInVain(began, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.heard.After(began) {
		s.until = now.Add(silenceLasts)
	}
}

func (s *silence) lasts(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return now.Before(s.until)
}

// unsent is the error of a write that a silent server is spared.
func (k call) unsent() error {
	return &ConnectionError{
		Operation: k.op.id, Action: k.action(),
		Reason: "not sent, for the server answers nothing at all; a later run sends it",
	}
}

func timedOut(err error) bool {
	var connection *ConnectionError
	return errors.As(err, &connection) && connection.Timeout
}
