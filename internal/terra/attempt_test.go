package terra

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/terra-reconcile/terra-reconcile/secrets"
)

// TestAttempted: each attempt is told once, with what became of it and how long it waits
// until the next, and without a word of what was sent or answered.
func TestAttempted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &fakeServer{answer: func(n int, _ *http.Request, _ string) (*http.Response, error) {
			<-time.After(time.Second)
			switch n {
			case 0:
				return reply(503, "text/plain", "canary answer"), nil
			case 1:
				return replyProblem(429, "rate_limited", "Retry-After", "7", "X-RateLimit-Remaining", "3", "X-RateLimit-Reset", "60"), nil
			case 2:
				return nil, errors.New("canary network")
			case 3:
				return replyJSON(`{"canary": "half`), nil
			}
			return replyProblem(403, "forbidden", "X-RateLimit-Remaining", "41", "X-RateLimit-Reset", "60"), nil
		}}
		var mu sync.Mutex
		var told []Attempt
		c, err := New(Options{BaseURL: DefaultBaseURL, Token: func() (string, error) { return testToken, nil }, Transport: server, Version: "test",
			Attempted: func(a Attempt) { mu.Lock(); defer mu.Unlock(); told = append(told, a) }})
		if err != nil {
			t.Fatal(err)
		}
		secret := secrets.NewValue([]byte("canary-secret-9182"))
		_, _ = c.ListSources(t.Context(), "dev")
		_, _ = c.UpdateCredentials(t.Context(), "dev", "strava", CredentialPatch{ClientSecret: secret}, NewIdempotencyKey())
		held := c.Holding(func(string) error { return errors.New("canary hold") })
		_, _ = held.UpdateCredentials(t.Context(), "dev", "strava", CredentialPatch{ClientSecret: secret}, NewIdempotencyKey())
		text, err := json.Marshal(told)
		if err != nil || strings.Contains(string(text), "canary") || strings.Contains(string(text), "Canary") {
			t.Errorf("%v: it repeats what was sent or answered: %s", err, text)
		}
		for i := range told {
			if a := &told[i]; a.Pause > 0 {
				if a.Status == 429 && a.Pause < 7*time.Second {
					t.Errorf("after Retry-After: 7 it waits %s", a.Pause)
				}
				a.Pause = 1 // with jitter
			}
			if a := &told[i]; a.Try == 3 {
				if a.Waited > time.Second { // the next attempt's turn comes after the pause
					t.Errorf("waited %s", a.Waited)
				}
			}
			told[i].Waited = 0
		}
		want := []Attempt{
			{Operation: "listSources", DevID: "dev", Try: 1, Took: time.Second, Status: 503, Problem: ProblemStatus, Pause: 1},
			{Operation: "listSources", DevID: "dev", Try: 2, Took: time.Second, Status: 429, Problem: ProblemStatus, Pause: 1},
			{Operation: "listSources", DevID: "dev", Try: 3, Took: time.Second, Problem: ProblemNetwork, Pause: 1},
			{Operation: "listSources", DevID: "dev", Try: 4, Took: time.Second, Status: 200},
			{Operation: "updateSourceCredentials", Write: true, DevID: "dev", Provider: "strava", Try: 1, Took: time.Second, Status: 403, Problem: ProblemStatus, Remaining: ptr(41)},
			{Operation: "updateSourceCredentials", Write: true, DevID: "dev", Provider: "strava", Try: 1, Problem: ProblemHeld},
		}
		if d := cmp.Diff(want, told); d != "" {
			t.Errorf("attempts (-want +got):\n%s", d)
		}
	})
}
