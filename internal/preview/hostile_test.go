package preview

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestHostilePreviews: whoever cannot sign, or signs something else, is told nothing and
// starts nothing.
func TestHostilePreviews(t *testing.T) {
	const other = "fedcba9876543210fedcba9876543210"
	at, body := time.Unix(1_800_000_000, 0), bodyOf(t, ofBranch("topic"))
	good := sign(testKey, http.MethodPost, at, nonce(1), body).String()
	edited := func(old, fresh string) string { return strings.Replace(good, old, fresh, 1) }
	fork := func(ref string) []byte { return bodyOf(t, Request{Ref: ref, Format: "text"}) }
	for _, c := range []struct {
		attack    string
		method    string // "" is POST
		signature string // "" is a good one of the body
		body      []byte
		code      int
	}{
		{attack: "no signature", signature: " ", body: body, code: 401},
		{attack: "the token itself", signature: "Bearer " + testKey, body: body, code: 401},
		{attack: "another scheme", signature: edited("Reconcile-HMAC-SHA256", "Reconcile-HMAC-MD5"), body: body, code: 401},
		{attack: "a signature of another token", signature: sign(other, http.MethodPost, at, nonce(1), body).String(), body: body, code: 401},
		{attack: "a signature of an empty token", signature: sign("", http.MethodPost, at, nonce(1), body).String(), body: body, code: 401},
		{attack: "an empty signature", signature: good[:strings.LastIndex(good, "=")+1], body: body, code: 401},
		{attack: "half a signature", signature: good[:len(good)-32], body: body, code: 401},
		{attack: "a signature of another body", signature: good, body: bodyOf(t, ofBranch("main")), code: 401},
		{attack: "another time stamp", signature: edited("time=1800000000", "time=1800000001"), body: body, code: 401},
		{attack: "another nonce", signature: edited(nonce(1), nonce(2)), body: body, code: 401},
		{attack: "a nonce that can be guessed", signature: sign(testKey, http.MethodPost, at, "1", body).String(), body: body, code: 401},
		{attack: "a nonce with a line of its own", signature: edited(nonce(1), "a\nb"), body: body, code: 401},
		{attack: "a time stamp below zero", signature: edited("time=1800000000", "time=-1"), body: body, code: 401},
		{attack: "a time stamp without end", signature: edited("time=1800000000", "time="+strings.Repeat("9", 400)), body: body, code: 401},
		{attack: "a signature of another method", method: http.MethodGet, signature: good, body: body, code: 401},
		{attack: "another method that is signed", method: http.MethodGet, signature: sign(testKey, http.MethodGet, at, nonce(1), body).String(), body: body, code: 401},
		{attack: "a body without end", body: bytes.Repeat([]byte("x"), maxRequest+1), code: 413},
		{attack: "a body that is no request", body: []byte("[]"), code: 400},
		{attack: "a request with more after it", body: append(bytes.Clone(body), []byte(`{"ref":"refs/heads/main"}`)...), code: 400},
		{attack: "a field that nobody knows", body: []byte(`{"ref":"refs/heads/main","format":"text","probe":true}`), code: 400},
		{attack: "a nest of lists", body: []byte(strings.Repeat("[", maxRequest)), code: 400},
		{attack: "a pull request of a fork", body: fork("refs/pull/7/head"), code: 403},
		{attack: "the merge of a pull request of a fork", body: fork("refs/pull/7/merge"), code: 403},
		{attack: "a merge request of a fork", body: fork("refs/merge-requests/7/head"), code: 403},
		{attack: "a tag", body: fork("refs/tags/v1"), code: 400},
		{attack: "a ref that the forge hides", body: fork("refs/keep-around/0123"), code: 400},
		{attack: "a revision of git", body: fork("refs/heads/main~3"), code: 400},
		{attack: "a flag of git", body: fork("--upload-pack=x"), code: 400},
		{attack: "a short name", body: fork("main"), code: 400},
		{attack: "a commit alone", body: bodyOf(t, Request{Commit: strings.Repeat("a", 40), Format: "text"}), code: 400},
		{attack: "a part of a commit", body: bodyOf(t, Request{Ref: "refs/heads/main", Commit: "abc1234", Format: "text"}), code: 400},
		{attack: "another format", body: bodyOf(t, Request{Ref: "refs/heads/main", Format: "yaml"}), code: 400},
	} {
		t.Run(c.attack, func(t *testing.T) {
			var log bytes.Buffer
			d := newDoor(t, func(o *Options) {
				o.Now = func() time.Time { return at }
				o.Log = slog.New(slog.NewTextHandler(&log, nil))
				o.Plan = nil // must not be reached
			})
			if c.method == "" {
				c.method = http.MethodPost
			}
			if c.signature == "" {
				c.signature = sign(testKey, c.method, at, nonce(1), c.body).String()
			}
			w := ask(t, d, c.method, strings.TrimSpace(c.signature), c.body)
			if w.Code != c.code || len(d.seen) != 0 || len(d.queue) != 0 {
				t.Errorf("got %d %s, want %d; %d nonces kept", w.Code, w.Body, c.code, len(d.seen))
			}
			if text := w.Body.String(); c.code == 401 && text != `{"error":"no"}`+"\n" || strings.Contains(text+log.String(), testKey) || strings.Contains(log.String(), good[len(good)-64:]) {
				t.Errorf("says %s, and logs %s", text, &log)
			}
		})
	}
	allowed := newDoor(t, func(o *Options) { o.Now, o.Forks = func() time.Time { return at }, true })
	if w := signed(t, allowed, 1, at, Request{Ref: "refs/pull/7/head", Format: "text"}); w.Code != http.StatusOK {
		t.Errorf("with forks: %d %s", w.Code, w.Body)
	}
}

// TestHostileFlood: who cannot sign fills neither the memory nor the log.
func TestHostileFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		d := newDoor(t, func(o *Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
		time.Sleep(time.Hour)
		for i := range 10_000 {
			ask(t, d, http.MethodPost, sign("a guess of the token", http.MethodPost, time.Now(), nonce(i), nil).String(), nil)
			time.Sleep(10 * time.Millisecond)
		}
		if n := strings.Count(log.String(), "\n"); n != 2 || len(d.seen) != 0 {
			t.Errorf("%d lines are logged, %d nonces kept", n, len(d.seen))
		}
		if w := signed(t, d, 1, time.Now(), ofBranch("topic")); w.Code != http.StatusOK {
			t.Errorf("then a good one got %d", w.Code)
		}
		for i := range 5000 {
			signed(t, d, 1_000_000+i, time.Now(), ofBranch("topic"))
			time.Sleep(time.Second)
		}
		if len(d.seen) > int(2*maxSkew/oftenest)+atOnce {
			t.Errorf("%d nonces are kept", len(d.seen))
		}
	})
}

// TestHostileBodies: a caller that sends slowly is not waited for by others.
func TestHostileBodies(t *testing.T) {
	d := newDoor(t)
	stuck, feed := io.Pipe()
	defer feed.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, Path, stuck)
	if err != nil {
		t.Fatal(err)
	}
	begun := make(chan struct{})
	go func() {
		_, _ = feed.Write([]byte("{"))
		close(begun)
	}()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		d.ServeHTTP(discard{}, r)
	}()
	<-begun
	if w := signed(t, d, 1, time.Now(), ofBranch("topic")); w.Code != http.StatusOK {
		t.Errorf("got %d", w.Code)
	}
	_ = feed.Close()
	<-ended
}

// discard answers nobody.
type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) WriteHeader(int)             {}

// TestFiguresOfPreviews: what the security page says is what the constants are.
func TestFiguresOfPreviews(t *testing.T) {
	page, err := os.ReadFile("../../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		fmt.Sprintf("a request of %d KiB, a document of %d MiB, one preview at a time and %d that wait; %d nonces |", maxRequest>>10, maxDocument>>20, maxWaiting, int(2*maxSkew/oftenest)+atOnce),
		fmt.Sprintf("%.0f minutes for each, waiting included; five at once, then one in ten seconds |", within.Minutes()),
	} {
		if !strings.Contains(string(page), want) {
			t.Errorf("docs/security.md lacks %q", want)
		}
	}
	if atOnce != 5 || oftenest != 10*time.Second {
		t.Error("the pages say five at once, then one in ten seconds")
	}
}
