package daemon

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// beginSeveral runs a daemon of sources in the current bubble.
func beginSeveral(t *testing.T, log *bytes.Buffer, sources ...Source) *Daemon {
	t.Helper()
	d, err := New(Options{Sources: sources, Log: slog.New(slog.NewJSONHandler(log, nil)), Deadline: 10 * time.Minute, AtOnce: 2, UnreadyAfter: 5 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	return d
}

func readyOf(d *Daemon) (int, string) {
	w := httptest.NewRecorder()
	d.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/readyz", nil))
	return w.Code, w.Body.String()
}

// TestOneSourceThatHangsKeepsNoOtherWaiting: the other is read and run as if it were alone, and
// only the one that hangs is not ready.
func TestOneSourceThatHangsKeepsNoOtherWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stub{running: map[string]int{}, began: time.Now(), environments: []Environment{{Name: "production", Revision: "a"}}}
		log := &bytes.Buffer{}
		wake := make(chan struct{}, 1)
		d := beginSeveral(t, log, Source{Name: "acme", Poller: hanging{}, Runner: s, Poll: time.Minute}, Source{Name: "beta", Poller: s, Runner: s, Poll: time.Minute, Wake: wake})
		after(time.Second)
		if code, page := readyOf(d); code != 503 || page != "not ready: git acme was not read yet\n" {
			t.Errorf("at first %d %q", code, page)
		}
		wake <- struct{}{}
		after(6 * time.Minute)
		s.mu.Lock()
		polls := s.polls
		s.mu.Unlock()
		if polls != 8 || !slices.Equal(s.ran(), []string{"production@0"}) {
			t.Errorf("the other was polled %d times and ran %v", polls, s.ran())
		}
		if code, page := readyOf(d); code != 503 || !strings.HasPrefix(page, "not ready: git acme fails since ") || strings.Contains(page, "beta") {
			t.Errorf("then %d %q", code, page)
		}
		after(5 * time.Minute)
		status := d.Status()
		if len(status.Repositories) != 2 || status.Repositories[0].Poll.Error == "" || status.Repositories[1].Poll.Error != "" || status.Poll.Error != "acme: context deadline exceeded" {
			t.Errorf("status %+v, the worst %+v", status.Repositories, status.Poll)
		}
		if u := status.Unready; len(u) != 1 || u[0].String() != "git acme" || len(status.Stuck) > 0 || status.Environments[0].Repository != "beta" {
			t.Errorf("unready %+v, stuck %v, %+v", u, status.Stuck, status.Environments)
		}
		if !strings.Contains(log.String(), `"msg":"poll failed; nothing is followed yet","repo":"acme"`) || strings.Contains(log.String(), `"msg":"poll failed; the environments stay on what they had","repo":"beta"`) {
			t.Errorf("the log: %s", log)
		}
	})
}

// TestANameIsOfOneSource: what another has already is left out, and never taken over while the
// first has it. What one source drops or lacks is none of the other's business.
func TestANameIsOfOneSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := &stub{running: map[string]int{}, began: time.Now(), environments: []Environment{{Name: "production", Revision: "a"}}}
		second := &stub{running: map[string]int{}, began: time.Now(), environments: []Environment{{Name: "staging", Revision: "b"}}}
		log := &bytes.Buffer{}
		d := beginSeveral(t, log, Source{Name: "acme", Poller: first, Runner: first, Poll: time.Minute}, Source{Name: "beta", Poller: second, Runner: second, Poll: time.Minute})
		after(time.Second)
		second.set(nil, Environment{Name: "production", Revision: "c"}, Environment{Name: "staging", Revision: "b"})
		after(2 * time.Minute)
		if !slices.Equal(first.ran(), []string{"production@0"}) || !slices.Equal(second.ran(), []string{"staging@0"}) {
			t.Errorf("ran %v and %v", first.ran(), second.ran())
		}
		if n := len(d.Status().Environments); n != 2 || !strings.Contains(log.String(), `left out`) {
			t.Errorf("%d environments; the log: %s", n, log)
		}
		first.set(errors.New("no route"))
		second.set(nil, Environment{Name: "production", Revision: "c"})
		after(2 * time.Minute)
		if got := d.Status().Environments; len(got) != 1 || got[0].Name != "production" || got[0].Repository != "acme" || got[0].Revision != "a" {
			t.Errorf("after an outage %+v", got)
		}
	})
}

func TestSourcesAreToldApart(t *testing.T) {
	t.Parallel()
	s := &stub{}
	one := Source{Name: "acme", Poller: s, Runner: s, Poll: time.Minute}
	for what, sources := range map[string][]Source{"none": nil, "one name twice": {one, one}, "without a poller": {{Runner: s, Poll: time.Minute}}, "without a runner": {{Poller: s, Poll: time.Minute}}, "never polled": {{Poller: s, Runner: s}}} {
		if _, err := New(Options{Sources: sources, Log: discard(), Deadline: time.Minute, AtOnce: 1, UnreadyAfter: time.Minute}); err == nil {
			t.Errorf("%s: it starts", what)
		}
	}
}
