package cli

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// dataProvider is a data provider on loopback, such as Strava.
type dataProvider struct {
	mu     sync.Mutex
	status int
	body   string
	asked  int
	hangs  chan struct{} // not nil: a question waits until it is closed
}

// providerCommand serves and looks at a data provider that is asked about pairs:
//
//	provider answers STATUS BODY   to every question from now on; sets PROVIDER
//	provider asked N               so often since the last look
//	provider hangs                 and answers nothing from now on
//	provider waits                 until it is asked
func providerCommand(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 1, 3, "provider answers STATUS BODY | provider asked N | provider hangs | provider waits")
	s := sceneOf(ts)
	if s.provider == nil {
		s.provider = &dataProvider{}
		server := httptest.NewServer(s.provider)
		ts.Defer(server.Close)
		ts.Setenv("PROVIDER", server.URL)
	}
	p := s.provider
	if args[0] == "waits" {
		p.waits(ts)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch args[0] {
	case "hangs":
		hangs := make(chan struct{})
		ts.Defer(func() { close(hangs) })
		p.hangs = hangs
	case "answers":
		need(ts, neg, args, 3, 3, "provider answers STATUS BODY")
		p.status, p.body, p.hangs = number(ts, args[1]), args[2], nil
	case "asked":
		if want := number(ts, args[1]); p.asked != want {
			ts.Fatalf("asked %d times, want %d", p.asked, want)
		}
		p.asked = 0
	default:
		ts.Fatalf("provider %s: unknown", args[0])
	}
}

// waits until somebody has asked.
func (p *dataProvider) waits(ts *testscript.TestScript) {
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for until := time.Now().Add(patience); ; <-again.C {
		p.mu.Lock()
		asked := p.asked
		p.mu.Unlock()
		if asked > 0 {
			return
		}
		if time.Now().After(until) {
			ts.Fatalf("nobody asked within %s", patience)
		}
	}
}

func (p *dataProvider) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	p.mu.Lock()
	p.asked++
	hangs := p.hangs
	p.mu.Unlock()
	if hangs != nil {
		select {
		case <-hangs:
		case <-q.Context().Done():
		}
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if strings.Contains(q.URL.String(), "secret") || q.PostFormValue("client_secret") == "" {
		http.Error(w, "the secret must travel in the body", http.StatusTeapot)
		return
	}
	w.WriteHeader(p.status)
	_, _ = io.WriteString(w, p.body)
}

// fillCommand writes the values of variables into a file that has none itself:
// ${NAME} becomes what the script has set.
func fillCommand(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 1, 1, "fill FILE")
	file := ts.MkAbs(args[0])
	text, err := os.ReadFile(file)
	ts.Check(err)
	ts.Check(os.WriteFile(file, []byte(os.Expand(string(text), ts.Getenv)), 0o600))
}

// flatCommand looks for a text in standard output without regard to where its
// lines end.
func flatCommand(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: [!] flat TEXT")
	}
	if strings.Contains(unfolded(ts.ReadFile("stdout")), unfolded(args[0])) == neg {
		ts.Fatalf("standard output holds it: %v, want %v: %s", neg, !neg, args[0])
	}
}
