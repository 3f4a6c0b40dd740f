package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/terra-reconcile/terra-reconcile/internal/notify"
)

// messageReceiver takes messages on loopback: webhooks at /hook, Slack at /services/….
type messageReceiver struct {
	mu     sync.Mutex
	status int // 0 hangs
	taken  []string
	ids    []string // of webhooks that were taken
	tries  int
	seen   int
	bodies []byte
	more   chan struct{}
	closed chan struct{}
}

// receiverCommand serves a receiver of messages and looks at what came:
//
//	receiver answers STATUS   to every message from now on, or hangs; sets RECEIVER
//	receiver says PATTERN     wait until a new line matches: hook PHASE EVENT SEVERITY OWNER TITLE, or slack TITLE
//	receiver tried            wait until somebody tries in vain from now on
//	receiver took N PATTERN   N of all lines match
//	receiver once             no id of a webhook was taken twice
func receiverCommand(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 1, 3, "receiver answers STATUS|hangs | receiver says PATTERN | receiver tried | receiver took N PATTERN | receiver once")
	s := sceneOf(ts)
	if s.receiver == nil {
		r := &messageReceiver{more: make(chan struct{}), closed: make(chan struct{})}
		s.receiver = r
		server := httptest.NewServer(r)
		ts.Defer(func() {
			s.keep(ts, "messages", string(r.bodies))
			close(r.closed)
			server.Close()
		})
		ts.Setenv("RECEIVER", server.URL)
	}
	r := s.receiver
	switch args[0] {
	case "answers":
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.status = 0; args[1] != "hangs" {
			r.status = number(ts, args[1])
		}
	case "says":
		wanted := regexp.MustCompile(strings.Join(args[1:], " "))
		r.wait(ts, wanted.String(), func() bool {
			for r.seen < len(r.taken) {
				if r.seen++; wanted.MatchString(r.taken[r.seen-1]) {
					return true
				}
			}
			return false
		})
	case "tried":
		r.mu.Lock()
		before := r.tries
		r.mu.Unlock()
		r.wait(ts, "a try", func() bool { return r.tries > before })
	case "took":
		need(ts, neg, args, 3, 3, "receiver took N PATTERN")
		wanted := regexp.MustCompile(args[2])
		r.mu.Lock()
		defer r.mu.Unlock()
		n := len(slices.DeleteFunc(slices.Clone(r.taken), func(line string) bool { return !wanted.MatchString(line) }))
		if n != number(ts, args[1]) {
			ts.Fatalf("%d match %s:\n%s", n, wanted, strings.Join(r.taken, "\n"))
		}
	case "once":
		r.mu.Lock()
		defer r.mu.Unlock()
		ids := slices.Sorted(slices.Values(r.ids))
		if n := len(slices.Compact(slices.Clone(ids))); n != len(ids) || n == 0 {
			ts.Fatalf("%d webhooks, %d ids:\n%s", len(ids), n, strings.Join(r.taken, "\n"))
		}
	default:
		ts.Fatalf("receiver %s: unknown", args[0])
	}
}

func (r *messageReceiver) wait(ts *testscript.TestScript, what string, found func() bool) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		r.mu.Lock()
		ok, more, all := found(), r.more, strings.Join(r.taken, "\n")
		r.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-more:
		case <-timer.C:
			ts.Fatalf("no %s within %s:\n%s", what, patience, all)
		}
	}
}

func (r *messageReceiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	if q.Method == http.MethodHead {
		return // it can be reached
	}
	body, err := io.ReadAll(q.Body)
	var m struct {
		notify.Message
		Text string `json:"text"`
	}
	if err == nil {
		err = json.Unmarshal(body, &m)
	}
	line := fmt.Sprintf("slack %s", m.Text)
	if q.URL.Path == "/hook" {
		line = fmt.Sprintf("hook %s %s %s %q %s", m.Phase, m.Event, m.Severity, m.Owner, m.Title)
		if q.Header.Get("Webhook-Id") != m.ID || q.Header.Get("Webhook-Signature") == "" {
			err = http.ErrNotSupported
		}
	}
	if err != nil {
		http.Error(w, "no message", http.StatusTeapot)
		return
	}
	r.mu.Lock()
	status := r.status
	r.bodies = append(append(r.bodies, body...), '\n')
	if r.tries++; status >= 200 && status < 300 {
		r.taken = append(r.taken, line)
		if q.URL.Path == "/hook" {
			r.ids = append(r.ids, m.ID)
		}
	}
	close(r.more)
	r.more = make(chan struct{})
	r.mu.Unlock()
	if status == 0 {
		select {
		case <-q.Context().Done():
		case <-r.closed:
		}
		return
	}
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, "you are at %s", q.URL.Path)
}
