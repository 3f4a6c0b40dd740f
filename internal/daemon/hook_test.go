package daemon

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

const everybody = "It's a Secret to Everybody"

// signedAs is how each forge signs a body.
func signedAs(forge, secret, body string, at time.Time) map[string]string {
	sum := func(key []byte, text string) []byte {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(text))
		return mac.Sum(nil)
	}
	digits := hex.EncodeToString(sum([]byte(secret), body))
	switch forge {
	case "github":
		return map[string]string{"X-Hub-Signature-256": "sha256=" + digits}
	case "bitbucket":
		return map[string]string{"X-Hub-Signature": "sha256=" + digits}
	case "gitea":
		return map[string]string{"X-Gitea-Signature": digits}
	case "forgejo":
		return map[string]string{"X-Forgejo-Signature": digits, "X-Gitea-Signature": digits}
	case "gitlab":
		return map[string]string{"X-Gitlab-Token": secret}
	}
	key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	stamp := fmt.Sprint(at.Unix())
	return map[string]string{"Webhook-Id": "msg_1", "Webhook-Timestamp": stamp, "Webhook-Signature": "v1,AAAA v1," + base64.StdEncoding.EncodeToString(sum(key, "msg_1."+stamp+"."+body))}
}

func post(handler http.Handler, method, path, body string, headers map[string]string) (code int, said string) {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	data, _ := io.ReadAll(w.Result().Body)
	return w.Code, string(data)
}

// TestHooks takes what each forge signs, and nothing else.
func TestHooks(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 12, 1, 8, 0, 0, 0, time.UTC)
	const whsec = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	for kind, forge := range map[string]string{"github": "github", "bitbucket": "bitbucket", "gitea": "gitea", "forgejo": "forgejo", "gitlab": "gitlab", "gitlab, signed": "gitlab"} {
		secret := everybody
		if kind != forge {
			secret = whsec
		}
		woken := 0
		handler, stop := Hook(HookOptions{Forge: forge, Secret: func() (string, error) { return secret, nil }, Wake: func() { woken++ }, Now: func() time.Time { return now }})
		defer stop()
		good := signedAs(kind, secret, "{}", now)
		if code, said := post(handler, "POST", HookPath, "{}", good); code != http.StatusAccepted || said != "" || woken != 1 {
			t.Errorf("%s: %d %q, woken %d times", kind, code, said, woken)
		}
		refused := map[string]map[string]string{"nothing": nil, "another secret": signedAs(kind, "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "{}", now)}
		if kind != "gitlab" { // which signs no body
			refused["another body"] = signedAs(kind, secret, "{ }", now)
		}
		if kind == "gitlab, signed" {
			refused["from before"] = signedAs(kind, secret, "{}", now.Add(-6*time.Minute))
			refused["from the future"] = signedAs(kind, secret, "{}", now.Add(6*time.Minute))
			refused["a good token beside a wrong signature"] = map[string]string{"Webhook-Id": "1", "Webhook-Timestamp": fmt.Sprint(now.Unix()), "Webhook-Signature": "v1," + base64.StdEncoding.EncodeToString(make([]byte, 32)), "X-Gitlab-Token": secret}
		}
		cut, other := map[string]string{}, map[string]string{}
		for name, value := range good {
			cut[name] = value[:len(value)-2]
			other["X-Else"] = value
		}
		refused["cut"], refused["in another header"] = cut, other
		for name, headers := range refused {
			if code, said := post(handler, "POST", HookPath, "{}", headers); code != http.StatusUnauthorized || said != "" {
				t.Errorf("%s: %s gave %d %q", kind, name, code, said)
			}
		}
		if code, _ := post(handler, "GET", HookPath, "", good); code != http.StatusMethodNotAllowed {
			t.Errorf("%s: GET gave %d", kind, code)
		}
	}
	// As the forges' own pages have it.
	for forge, c := range map[string][3]string{
		"github":    {"X-Hub-Signature-256", "Hello, World!", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"},
		"bitbucket": {"X-Hub-Signature", "Hello World!", "sha256=a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9"},
	} {
		handler, stop := Hook(HookOptions{Forge: forge, Secret: func() (string, error) { return everybody, nil }, Wake: func() {}, Now: time.Now})
		defer stop()
		if code, _ := post(handler, "POST", HookPath, c[1], map[string]string{c[0]: c[2]}); code != http.StatusAccepted {
			t.Errorf("%s: its own example gave %d", forge, code)
		}
	}
}

// TestHooksThatCannotBeJudged have no secret, or too much of a body.
func TestHooksThatCannotBeJudged(t *testing.T) {
	t.Parallel()
	for name, secret := range map[string]func() (string, error){"none": func() (string, error) { return "", nil }, "unreadable": func() (string, error) { return everybody, errors.New("gone") }} {
		handler, stop := Hook(HookOptions{Forge: "github", Secret: secret, Wake: func() { t.Error("woken") }, Now: time.Now})
		defer stop()
		for _, key := range []string{"", everybody} {
			if code, _ := post(handler, "POST", HookPath, "{}", signedAs("github", key, "{}", time.Now())); code != http.StatusUnauthorized {
				t.Errorf("%s: %d", name, code)
			}
		}
	}
	handler, stop := Hook(HookOptions{Forge: "github", Secret: func() (string, error) { return everybody, nil }, Wake: func() { t.Error("woken") }, Now: time.Now})
	defer stop()
	long := strings.Repeat("a", maxHookBody+1)
	if code, _ := post(handler, "POST", HookPath, long, signedAs("github", everybody, long, time.Now())); code != http.StatusUnauthorized {
		t.Errorf("a long body gave %d", code)
	}
}

// TestHooksAreHints: many wake once, then once after the gap, and one that comes again never.
func TestHooksAreHints(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var woken atomic.Int64
		handler, stop := Hook(HookOptions{Forge: "github", Secret: func() (string, error) { return everybody, nil }, Wake: func() { woken.Add(1) }, Now: time.Now})
		push := func(body string) {
			t.Helper()
			if code, _ := post(handler, "POST", HookPath, body, signedAs("github", everybody, body, time.Now())); code != http.StatusAccepted {
				t.Fatalf("got %d", code)
			}
		}
		want := func(n int64, when string) {
			t.Helper()
			synctest.Wait()
			if got := woken.Load(); got != n {
				t.Errorf("%s: woken %d times, want %d", when, got, n)
			}
		}
		for i := range 50 {
			push(fmt.Sprint(i))
		}
		want(1, "at once")
		time.Sleep(hookGap - time.Millisecond)
		want(1, "within the gap")
		time.Sleep(2 * time.Millisecond)
		want(2, "after it")
		time.Sleep(time.Minute)
		for i := range 50 {
			push(fmt.Sprint(i))
		}
		time.Sleep(time.Minute)
		want(2, "replayed")
		push("new")
		push("newer")
		want(3, "new")
		stop()
		time.Sleep(time.Minute)
		want(3, "stopped")
	})
}

// TestHookElsewhere: a 404 is said to who runs the daemon, and not once per request.
func TestHookElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		handler := HookElsewhere([]string{"acme", "beta"}, slog.New(slog.NewTextHandler(&log, nil)))
		said := func(want int) {
			t.Helper()
			if got := strings.Count(log.String(), "post to /hooks/git/acme, /hooks/git/beta"); got != want {
				t.Errorf("said %d times, want %d: %s", got, want, log.String())
			}
		}
		if code, _ := post(handler, "GET", HookPath, "", nil); code != http.StatusNotFound {
			t.Errorf("got %d", code)
		}
		said(0)
		for range 3 {
			if code, _ := post(handler, "POST", HookPath+"/evil", "{}", nil); code != http.StatusNotFound {
				t.Errorf("got %d", code)
			}
		}
		said(1)
		after(time.Hour)
		post(handler, "POST", HookPath, "{}", nil)
		said(2)
		if strings.Contains(log.String(), "evil") {
			t.Error("it repeats what was asked")
		}
	})
}
