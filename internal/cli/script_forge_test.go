package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// fakeForge is a GitHub on loopback.
type fakeForge struct {
	mu     sync.Mutex
	status int
	posted []string // NAME STATE COMMIT DESCRIPTION
	seen   int      // that says has passed
	more   chan struct{}
}

// forgeCommand serves a GitHub and looks at the commit statuses that were posted there:
//
//	forge answers STATUS   to every status from now on, with the token in its words; sets FORGE
//	forge says PATTERN     wait until a new NAME STATE COMMIT DESCRIPTION matches
//	forge said N PATTERN   N have matched
func forgeCommand(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2, 3, "forge answers STATUS | forge says PATTERN | forge said N PATTERN")
	s := sceneOf(ts)
	if s.forge == nil {
		s.forge = &fakeForge{more: make(chan struct{})}
		server := httptest.NewServer(s.forge)
		ts.Defer(server.Close)
		ts.Setenv("FORGE", server.URL)
	}
	f := s.forge
	switch args[0] {
	case "answers":
		f.mu.Lock()
		defer f.mu.Unlock()
		f.status = number(ts, args[1])
	case "says":
		f.says(ts, args[1])
	case "said":
		need(ts, neg, args, 3, 3, "forge said N PATTERN")
		wanted := regexp.MustCompile(args[2])
		n := 0
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, line := range f.posted {
			if wanted.MatchString(line) {
				n++
			}
		}
		if n != number(ts, args[1]) {
			ts.Fatalf("%d match %s:\n%s", n, args[2], strings.Join(f.posted, "\n"))
		}
	default:
		ts.Fatalf("forge %s: unknown", args[0])
	}
}

func (f *fakeForge) says(ts *testscript.TestScript, pattern string) {
	wanted := regexp.MustCompile(pattern)
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		f.mu.Lock()
		for f.seen < len(f.posted) {
			f.seen++
			if wanted.MatchString(f.posted[f.seen-1]) {
				f.mu.Unlock()
				return
			}
		}
		more, all := f.more, strings.Join(f.posted, "\n")
		f.mu.Unlock()
		select {
		case <-more:
		case <-timer.C:
			ts.Fatalf("no status says %s within %s:\n%s", pattern, patience, all)
		}
	}
}

func (f *fakeForge) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	var body struct{ State, Context, Description string }
	commit, right := strings.CutPrefix(q.URL.Path, "/repos/acme/terra-config/statuses/")
	if err := json.NewDecoder(q.Body).Decode(&body); err != nil || !right || q.Method != http.MethodPost {
		http.Error(w, "no such thing", http.StatusTeapot)
		return
	}
	token, _ := strings.CutPrefix(q.Header.Get("Authorization"), "Bearer ")
	f.mu.Lock()
	defer f.mu.Unlock()
	f.posted = append(f.posted, fmt.Sprintf("%s %s %s %s", body.Context, body.State, commit, body.Description))
	close(f.more)
	f.more = make(chan struct{})
	w.WriteHeader(f.status)
	_, _ = fmt.Fprintf(w, `{"message": "you sent %s"}`, token)
}
