package cli

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/terra-reconcile/terra-reconcile/reconcile"
)

// Reading shows its progress once it has taken a second, and then at most ten
// times a second.
const (
	progressAfter = time.Second
	progressEvery = 100 * time.Millisecond
)

// progress shows on a terminal how far reading has come, on one line that is
// gone before the report is printed.
type progress struct {
	w       io.Writer // nil: no terminal
	now     func() time.Time
	started time.Time

	mu    sync.Mutex
	last  time.Time
	width int
	done  bool
	wait  *time.Timer // says that nothing has come back yet
}

func newProgress(proc *Process) *progress {
	p := &progress{now: proc.Now, started: proc.Now()}
	if proc.Terminals.Stderr {
		p.w = proc.Stderr
		p.wait = time.AfterFunc(progressAfter, p.waiting)
	}
	return p
}

func (p *progress) show(at reconcile.Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	if p.w == nil || now.Sub(p.started) < progressAfter || now.Sub(p.last) < progressEvery {
		return
	}
	p.last = now
	text := fmt.Sprintf("reading %q: %d of %d connections", at.Environment, at.Done, at.Total)
	p.line(text)
}

// waiting fills the silence before the first connection is read: a git server
// or Terra has not answered yet.
func (p *progress) waiting() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.done && p.width == 0 {
		p.line("waiting for an answer (Ctrl-C ends it)")
	}
}

// clear takes the line away, for good.
func (p *progress) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done = true
	if p.wait != nil {
		p.wait.Stop()
	}
	if p.w != nil && p.width > 0 {
		p.line("")
		_, _ = io.WriteString(p.w, "\r")
	}
}

func (p *progress) line(text string) {
	_, _ = io.WriteString(p.w, "\r"+text+strings.Repeat(" ", max(0, p.width-len(text))))
	p.width = len(text)
}
