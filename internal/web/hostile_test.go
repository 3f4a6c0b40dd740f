package web

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// TestHostileReaders: who may not read learns nothing, on any path.
func TestHostileReaders(t *testing.T) {
	t.Parallel()
	token, open := site(t, busy(), withReader), site(t, busy())
	session := asking(t, token, http.MethodPost, "/login", "token="+readToken).Result().Cookies()[0]
	for _, c := range []struct {
		attack  string
		headers []string
		status  int
	}{
		{attack: "no token", status: http.StatusSeeOther},
		{attack: "a wrong token", headers: []string{"Authorization", "Bearer wrong"}, status: http.StatusSeeOther},
		{attack: "the token that approves", headers: []string{"Authorization", "Bearer " + approveToken}, status: http.StatusSeeOther},
		{attack: "the digest of nothing", headers: []string{"Authorization", "Bearer "}, status: http.StatusSeeOther},
		{attack: "a session of nobody", headers: []string{"Cookie", "reconcile=AAAAAAAAAAAAAAAAAAAAAAAAAA"}, status: http.StatusSeeOther},
		{attack: "a session in the name of another cookie", headers: []string{"Cookie", "session=" + session.Value}, status: http.StatusSeeOther},
		{attack: "a name of another server that leads here", headers: []string{"Host", "evil.example:8080"}, status: http.StatusMisdirectedRequest},
		{attack: "the same with the token", headers: []string{"Host", "evil.example:8080", "Authorization", "Bearer " + readToken}, status: http.StatusMisdirectedRequest},
		{attack: "a name that begins like this machine", headers: []string{"Host", "127.0.0.1.evil.example"}, status: http.StatusMisdirectedRequest},
		{attack: "a name below localhost", headers: []string{"Host", "evil.localhost:8080"}, status: http.StatusMisdirectedRequest},
		{attack: "an address of the network", headers: []string{"Host", "10.0.0.1:8080"}, status: http.StatusMisdirectedRequest},
		{attack: "no name", headers: []string{"Host", ""}, status: http.StatusMisdirectedRequest},
		{attack: "a user in the name", headers: []string{"Host", "localhost@evil.example"}, status: http.StatusMisdirectedRequest},
		{attack: "a proxy that lets others in", headers: []string{"X-Forwarded-For", "203.0.113.9"}, status: http.StatusForbidden},
		{attack: "a proxy that says so as it should", headers: []string{"Forwarded", "for=203.0.113.9"}, status: http.StatusForbidden},
	} {
		on := site(t, busy())
		if c.status == http.StatusSeeOther || strings.Contains(c.attack, "token") {
			on = site(t, busy(), withReader) // a fresh one, so that no rate is in the way
		}
		for _, path := range []string{"/", "/environments/production", "/connections/production/huawei", "/history", "/approve?environment=production", "/pause?target=%2A", "/resume?target=staging", "/run",
			"/api/v1/status", "/api/v1/reports", "/api/v1/plans", "/api/v1/approvals", "/api/v1/history", "/api/v1/openapi.yaml"} {
			want := c.status
			if want == http.StatusSeeOther && strings.HasPrefix(path, apiPath) {
				want = http.StatusUnauthorized
			}
			w := asking(t, on, http.MethodGet, path, "", c.headers...)
			if w.Code != want && w.Code != http.StatusTooManyRequests || strings.Contains(w.Body.String(), "huawei") || strings.Contains(w.Body.String(), "staging") {
				t.Errorf("%s: %s is answered %d, want %d:\n%s", c.attack, path, w.Code, want, w.Body)
			}
		}
	}
	for _, host := range []string{"127.0.0.1:8080", "localhost:8080", "LOCALHOST", "[::1]:8080", "127.9.9.9"} {
		if w := asking(t, open, http.MethodGet, "/", "", "Host", host); w.Code != http.StatusOK {
			t.Errorf("%s is this machine, and is answered %d", host, w.Code)
		}
	}
	w := asking(t, token, http.MethodGet, "/", "", "Cookie", "reconcile="+session.Value, "X-Forwarded-For", "203.0.113.9")
	if w.Code != http.StatusOK {
		t.Errorf("through a proxy with a session: %d", w.Code)
	}
}

// TestHostileForms: nothing is done that somebody who may did not type into the very form
// that showed it.
func TestHostileForms(t *testing.T) {
	t.Parallel()
	approve := func(hash string) string {
		return "environment=production&provider=huawei&token=" + approveToken + "&hash=" + hash
	}
	good := busy()
	left, _ := good.Left("production")
	hash := plan.ConnectionHashes(left.Plan())["production/huawei"]
	for _, c := range []struct {
		attack, path, body string
		headers            []string
		status             int
	}{
		{attack: "none", path: "/approve", body: approve(hash), status: http.StatusSeeOther},
		{attack: "a form of another page", path: "/approve", body: approve(hash), headers: []string{"Origin", "https://evil.example"}, status: http.StatusForbidden},
		{attack: "one of another port", path: "/approve", body: approve(hash), headers: []string{"Origin", "http://127.0.0.1:9090"}, status: http.StatusForbidden},
		{attack: "one of another scheme", path: "/approve", body: approve(hash), headers: []string{"Origin", "https://127.0.0.1:8080"}, status: http.StatusForbidden},
		{attack: "one without an origin", path: "/approve", body: approve(hash), headers: []string{"Origin", "null"}, status: http.StatusForbidden},
		{attack: "one that says nothing", path: "/approve", body: approve(hash), headers: []string{"Origin", ""}, status: http.StatusForbidden},
		{attack: "one of a page of the same site", path: "/approve", body: approve(hash), headers: []string{"Sec-Fetch-Site", "same-site"}, status: http.StatusForbidden},
		{attack: "one of another site", path: "/approve", body: approve(hash), headers: []string{"Sec-Fetch-Site", "cross-site"}, status: http.StatusForbidden},
		{attack: "an approval without a token", path: "/approve", body: "environment=production&provider=huawei&hash=" + hash, status: http.StatusForbidden},
		{attack: "a token in the address", path: "/approve?token=" + approveToken, body: "environment=production&provider=huawei&hash=" + hash, status: http.StatusForbidden},
		{attack: "the token that reads", path: "/approve", body: strings.Replace(approve(hash), approveToken, readToken, 1), status: http.StatusForbidden},
		{attack: "another plan", path: "/approve", body: approve("sha256:" + strings.Repeat("0", 64)), status: http.StatusConflict},
		{attack: "the plan of everything", path: "/approve", body: approve(plan.Hash(left.Plan())), status: http.StatusConflict},
		{attack: "a hash in the address", path: "/approve?hash=" + hash, body: "environment=production&provider=huawei&token=" + approveToken, status: http.StatusConflict},
		{attack: "a body without end", path: "/approve", body: approve(hash) + "&x=" + strings.Repeat("x", maxBody), status: http.StatusBadRequest},
		{attack: "a pause of another page", path: "/pause", body: "target=%2A&reason=x&seconds=3600&token=" + approveToken, headers: []string{"Origin", "https://evil.example"}, status: http.StatusForbidden},
		{attack: "a pause without a token", path: "/pause", body: "target=%2A&reason=x&seconds=3600", status: http.StatusForbidden},
		{attack: "a resume of another pause", path: "/resume", body: "target=staging&since=2026-01-01T00:00:00Z&token=" + approveToken, status: http.StatusConflict},
		{attack: "a resume of everything, where there is none", path: "/resume", body: "target=%2A&token=" + approveToken, status: http.StatusConflict},
		{attack: "a pause of an empty name", path: "/pause", body: "target=&reason=x&seconds=3600&token=" + approveToken, status: http.StatusConflict},
		{attack: "a pause of two empty names", path: "/pause", body: "target=%2F&reason=x&seconds=3600&token=" + approveToken, status: http.StatusConflict},
		{attack: "a resume of two empty names", path: "/resume", body: "target=%2F&token=" + approveToken, status: http.StatusConflict},
		{attack: "a resume of an empty name", path: "/resume", body: "target=&token=" + approveToken, status: http.StatusConflict},
		{attack: "a run without a token", path: "/run", body: "environment=production", status: http.StatusForbidden},
		{attack: "a login of another page", path: "/login", body: "token=" + readToken, headers: []string{"Origin", "https://evil.example"}, status: http.StatusForbidden},
		{attack: "a logout of another page", path: "/logout", headers: []string{"Origin", "https://evil.example"}, status: http.StatusForbidden},
	} {
		t.Run(c.attack, func(t *testing.T) {
			t.Parallel()
			d := busy()
			change := func(*Options) {}
			if strings.HasPrefix(c.path, "/log") {
				change = withReader
			}
			w := asking(t, site(t, d, change), http.MethodPost, c.path, c.body, c.headers...)
			if w.Code != c.status {
				t.Errorf("%d, want %d:\n%s", w.Code, c.status, w.Body)
			}
			if done := len(d.did) > 0; done != (c.attack == "none") {
				t.Errorf("did %v", d.did)
			}
			if strings.Contains(w.Body.String(), approveToken) || strings.Contains(w.Header().Get("Location"), "token") {
				t.Error("the token comes back")
			}
		})
	}
	for _, path := range []string{"/approve", "/pause", "/resume", "/run", "/login", "/logout"} {
		d := busy()
		if w := asking(t, site(t, d), http.MethodGet, path+"?environment=production&provider=huawei&target=production&reason=x&seconds=60&token="+approveToken+"&hash="+hash, ""); len(d.did) > 0 {
			t.Errorf("GET %s (%d) did %v", path, w.Code, d.did)
		}
	}
}

// TestHostileFlood: guesses of tokens end, and nobody asks more than a run can bear.
func TestHostileFlood(t *testing.T) {
	t.Parallel()
	now := noon()
	clock := func(o *Options) { o.Now = func() time.Time { return now } }
	guess := func(s *Site, how string) int {
		switch how {
		case "bearer":
			return asking(t, s, http.MethodGet, "/api/v1/status", "", "Authorization", "Bearer guess").Code
		case "login":
			return asking(t, s, http.MethodPost, "/login", "token=guess").Code
		}
		r := asking(t, s, http.MethodPost, "/api/v1/runs", "{}", "Authorization", "Bearer guess", "Content-Type", "application/json")
		return r.Code
	}
	for how, refused := range map[string]int{"bearer": 401, "login": 403, "api": 403} {
		s := site(t, busy(), withReader, clock)
		for i := range 10 {
			if got := guess(s, how); got != refused {
				t.Fatalf("%s: guess %d is answered %d", how, i, got)
			}
		}
		if got := guess(s, how); got != http.StatusTooManyRequests {
			t.Errorf("%s: guess 11 is answered %d", how, got)
		}
		if w := asking(t, s, http.MethodGet, "/api/v1/status", "", "Authorization", "Bearer "+readToken); how == "bearer" && w.Code != http.StatusTooManyRequests {
			t.Errorf("%s: the right token after guesses from there: %d", how, w.Code)
		}
		now = now.Add(11 * time.Second)
		if got := guess(s, how); got != refused {
			t.Errorf("%s: a guess after a while is answered %d", how, got)
		}
	}
	s := site(t, busy(), clock)
	answered := 0
	for range 100 {
		if asking(t, s, http.MethodGet, "/login", "").Code == http.StatusSeeOther {
			answered++
		}
	}
	if want := burstPerAddress / costOfPage; answered != want {
		t.Errorf("%d of 100 pages at once are answered, want %d", answered, want)
	}
	now = now.Add(time.Second)
	for range 100 {
		if asking(t, s, http.MethodGet, "/api/v1/status", "").Code == http.StatusOK {
			answered++
		}
	}
	if want := burstPerAddress/costOfPage + perAddress; answered != want {
		t.Errorf("%d pages and documents are answered within a second, want %d", answered, want)
	}
	l := newRates(1, 1, 1e9, 1e9)
	for i := range 10 * maxAddresses {
		l.own(fmt.Sprint(i), 1, now)
	}
	if len(l.each) > maxAddresses+1 {
		t.Errorf("%d addresses are kept, want at most %d", len(l.each), maxAddresses)
	}
	now = now.Add(time.Hour)
	if l.own("new", 1, now); len(l.each) != 1 {
		t.Errorf("%d addresses are kept after an hour, want 1", len(l.each))
	}
	sessions := newSessions()
	for range 10 * maxSessions {
		sessions.begin([32]byte{1}, now)
	}
	if len(sessions.all) > maxSessions {
		t.Errorf("%d sessions are kept, want at most %d", len(sessions.all), maxSessions)
	}
}

// hidden is what a form sends and nobody sees.
var hidden = regexp.MustCompile(`<input type="hidden"[^<>]*>`)

// TestHostileNames: what committers, Terra and people write does nothing on the page.
func TestHostileNames(t *testing.T) {
	t.Parallel()
	names := []string{`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, "a\u202egnp.exe", "zero\u200bwidth", strings.Repeat("long", 60), "javascript:alert(1)", `{{.}}`, "::add-mask::x", "\x1b[31mred", "ENV %2e%2e %00 ? #"}
	d := hostile(names...)
	s := site(t, d, func(o *Options) { o.Now = nextMinute() })
	targets := []string{"/", "/history", "/history?q=" + strings.Repeat("%3Cscript%3E", 3), "/pause?target=%3Cscript%3E", "/resume?target=%3Cscript%3Ealert(1)%3C%2Fscript%3E"}
	for _, name := range names {
		targets = append(targets, environmentPath(name), connectionPath(name+"/strava"), connectionPath(name+"/oura"), query("/approve", "environment", name, "provider", "strava"), query("/pause", "target", name), query("/run", "environment", name),
			query("/approve", "environment", name+"x", "provider", name))
	}
	shown := 0
	for _, target := range targets {
		w := asking(t, s, http.MethodGet, target, "")
		page := hidden.ReplaceAllString(w.Body.String(), "")
		if w.Code == http.StatusOK {
			shown++
		} else if w.Code != http.StatusNotFound {
			t.Errorf("%s: %d", target, w.Code)
		}
		for _, bad := range []string{"<script", "<img", "onerror=alert(1)>", "\u202e", "\u200b", "\x1b", `href="javascript:`, "{{", " style="} {
			if bad == "{{" && strings.Contains(page, "{{.}}") { // text, and no template
				continue
			}
			if at := strings.Index(page, bad); at >= 0 {
				t.Errorf("%s has %q: %s", target, bad, page[max(0, at-80):min(len(page), at+80)])
			}
		}
	}
	if want := len(targets) * 2 / 3; shown < want {
		t.Errorf("only %d of %d pages are shown", shown, len(targets))
	}
	for _, path := range []string{"status", "reports", "plans", "history"} {
		w := asking(t, s, http.MethodGet, apiPath+path, "")
		if w.Code != http.StatusOK || strings.ContainsAny(w.Body.String(), "\u202e\u200b\x1b") {
			t.Errorf("%s: %d, or what it shows acts", path, w.Code)
		}
	}
}

// hostile is a daemon in which every text is one of some names.
func hostile(names ...string) *daemonOf {
	d := empty()
	for i, name := range names {
		c := changeOf(name, "strava", plan.UpdateCredentials, plan.Destructive, plan.Commit, plan.FieldChange{Field: plan.FieldClientID, From: value(name), To: value(name)})
		c = gated(c, plan.Approval, name, name, plan.Remediation{Kind: plan.ByCommit, Text: name, File: name, YAML: name})
		c.ClassReason, c.Reason = name, name
		k := keyOf(name+"/strava", 95, "overdue")
		k.Text = name
		e := report.Environment{Changes: []report.Change{c}, Keys: nil, Unmanaged: []string{name}, NotCompared: []plan.NotCompared{{Connection: name + "/oura", Field: name, Reason: name}},
			Events: []report.Event{{Kind: report.EventKind(name), Connection: name + "/strava", Text: name}}, Warnings: []plan.Warning{{Connection: name + "/strava", Text: name}}}
		e.Keys = append(e.Keys, k)
		d.add(name, 1, e, fileOf(name, "strava", Field{name, name}), fileOf(name, "oura"))
		d.entries = append(d.entries, state.Entry{Sequence: int64(i + 1), At: noon(), Event: name, Environment: name, Connection: name + "/strava", Reason: name, Author: name, Owner: name, Error: name})
	}
	for i := range d.status.Environments {
		e := &d.status.Environments[i]
		e.BehindReason, e.RewoundFrom, e.NextRunReason = e.Name, e.Name, e.Name
		e.Approved = []daemon.Approved{{Connection: e.Name + "/strava", By: []string{e.Name}, Hash: e.Name, Until: noon().Add(time.Hour)}}
	}
	d.status.Paused = []daemon.Pause{{Target: names[0], Reason: names[1%len(names)], Owner: names[2%len(names)], Until: noon().Add(time.Hour)}}
	d.status.Unready = []daemon.Unready{{What: "git", Cause: names[1%len(names)], Since: noon().Add(-time.Hour)}}
	d.status.Repository, d.status.Branch, d.status.HeadBranch, d.status.Poll.Error = names[0], names[1%len(names)], names[2%len(names)], names[0]
	return d
}

// TestHostileNotices: what is said of the whole daemon is safe to show, wherever it is from.
func TestHostileNotices(t *testing.T) {
	t.Parallel()
	const worst = "a\u202eb"
	since := noon().Add(-time.Hour)
	for _, s := range []daemon.Status{
		{Stuck: []string{worst}},
		{Config: daemon.ConfigStatus{RefusedSince: &since, Error: "daemon.yaml:1:1: " + worst}},
		{Unready: []daemon.Unready{{What: "environment", Environment: worst, Cause: worst, Since: since}}},
		{Poll: daemon.PollStatus{Error: worst}},
		{Paused: []daemon.Pause{{Target: worst, Owner: worst, Reason: worst, Until: noon()}}},
		{Receivers: []daemon.Receiver{{Name: worst, Error: worst, FailingSince: &since}}},
		{HeadBranch: worst},
		{TagAside: worst},
		{ForcedPush: &daemon.ForcedPush{At: since, From: worst, To: worst}},
	} {
		got := notices(s, nil, noon())
		if len(got) != 1 {
			t.Errorf("%+v gave %d notices", s, len(got))
			continue
		}
		said := got[0].Label + got[0].Text
		if got[0].Link != nil {
			said += got[0].Link.Text
		}
		if strings.Contains(said, "\u202e") || !strings.Contains(said, "a") {
			t.Errorf("%q", said)
		}
	}
}

// longNames is a daemon in which every text is long, without a place to break it.
func longNames() *daemonOf { return hostile(strings.Repeat("long", 60)) }

// nextMinute is a clock that goes on a minute each time, so that no rate is in the way.
func nextMinute() func() time.Time {
	n := 0
	return func() time.Time { n++; return noon().Add(time.Duration(n%600) * time.Second) }
}

// TestAnswersSayWhatABrowserMayDo: on every path, also where it refuses.
func TestAnswersSayWhatABrowserMayDo(t *testing.T) {
	t.Parallel()
	s := site(t, busy(), withReader)
	for _, target := range []string{"/", "/login", "/nowhere", "/api/v1/status", "/api/v1/nowhere"} {
		for _, host := range []string{"127.0.0.1:8080", "evil.example"} {
			h := asking(t, s, http.MethodGet, target, "", "Host", host).Header()
			for name, want := range map[string]string{"Content-Security-Policy": "default-src 'none'", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Cross-Origin-Opener-Policy": "same-origin", "Referrer-Policy": "same-origin"} {
				if !strings.HasPrefix(h.Get(name), want) {
					t.Errorf("%s of %s: %s is %q", target, host, name, h.Get(name))
				}
			}
			if csp := h.Get("Content-Security-Policy"); strings.Contains(csp, "unsafe") || strings.Contains(csp, "script-src") {
				t.Errorf("%s: %s", target, csp)
			}
		}
	}
	tls := site(t, busy(), withReader, func(o *Options) { o.TLS, o.Loopback = true, false })
	c := asking(t, tls, http.MethodPost, "/login", "token="+readToken, "Origin", "https://reconcile.example", "Host", "reconcile.example").Result().Cookies()
	if len(c) != 1 || c[0].Name != "__Host-reconcile" || !c[0].Secure || !c[0].HttpOnly || c[0].SameSite != http.SameSiteStrictMode || c[0].MaxAge != 12*60*60 || strings.Contains(c[0].Value, readToken) {
		t.Errorf("the cookie is %+v", c)
	}
}

// TestTokensThatCannotBeRead: then nobody reads and nobody approves, and the log says why,
// once, without the token.
func TestTokensThatCannotBeRead(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	d := busy()
	s := site(t, d, func(o *Options) {
		o.Log = slog.New(slog.NewTextHandler(&log, nil))
		o.Reader = func() ([32]byte, error) { return [32]byte{}, errors.New("read secret: file web-read is empty") }
		o.Approver = func(string) (string, error) { return "", errors.New("read secret: file web-approve is empty") }
	})
	for range 3 {
		for _, token := range []string{"", readToken} {
			if w := asking(t, s, http.MethodGet, "/api/v1/status", "", "Authorization", "Bearer "+token); w.Code != http.StatusServiceUnavailable {
				t.Errorf("reading: %d", w.Code)
			}
		}
		if w := asking(t, s, http.MethodPost, "/api/v1/runs", "{}", "Authorization", "Bearer "+approveToken, "Content-Type", "application/json"); w.Code != http.StatusServiceUnavailable || len(d.did) > 0 {
			t.Errorf("approving: %d, did %v", w.Code, d.did)
		}
		if w := asking(t, s, http.MethodPost, "/login", "token="); w.Code != http.StatusServiceUnavailable {
			t.Errorf("login: %d", w.Code)
		}
	}
	if strings.Count(log.String(), "web-read is empty") != 1 || strings.Count(log.String(), "web-approve is empty") != 1 || strings.Contains(log.String(), approveToken) {
		t.Errorf("the log says\n%s", log.String())
	}
}

// TestHostileBodies: of what is sent no more is read than a form may have, whatever the method
// and the kind, and no file of a form comes to the disk.
func TestHostileBodies(t *testing.T) {
	t.Parallel()
	const start = "--b\r\nContent-Disposition: form-data; name=\"x\"; filename=\"x\"\r\n\r\n"
	for _, c := range []struct{ method, path, media string }{
		{http.MethodGet, "/pause?target=%2A", "multipart/form-data; boundary=b"},
		{http.MethodGet, "/approve?environment=production", "multipart/form-data; boundary=b"},
		{http.MethodHead, "/run", "multipart/form-data; boundary=b"},
		{http.MethodPost, "/pause", "multipart/form-data; boundary=b"},
		{http.MethodPost, "/pause", "application/x-www-form-urlencoded"},
		{http.MethodPost, "/api/v1/runs", "application/json"},
	} {
		body := strings.NewReader(start + strings.Repeat("x", 1<<20) + "\r\n--b--\r\n")
		whole := body.Len()
		r := httptest.NewRequestWithContext(t.Context(), c.method, "http://127.0.0.1:8080"+c.path, body)
		r.RemoteAddr = "127.0.0.1:50000"
		r.Header.Set("Content-Type", c.media)
		if c.method == http.MethodPost {
			r.Header.Set("Origin", "http://127.0.0.1:8080")
			r.Header.Set("Authorization", "Bearer "+approveToken)
		}
		site(t, busy()).ServeHTTP(httptest.NewRecorder(), r)
		if read := whole - body.Len(); read > 2*maxBody {
			t.Errorf("%s %s of %s: %d bytes were read, want at most %d", c.method, c.path, c.media, read, maxBody)
		}
	}
}

// TestHostileGuessesKeepNobodyOut: who guesses from many addresses is refused, and who has the
// token and guesses nothing is not.
func TestHostileGuessesKeepNobodyOut(t *testing.T) {
	t.Parallel()
	s := site(t, busy(), withReader)
	read := func(from, token string) int {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1:8080/api/v1/status", nil)
		r.RemoteAddr = from
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		return w.Code
	}
	guesser := func(i int) string { return fmt.Sprintf("[2001:db8:0:%x::1]:50000", i) }
	for i := range 20 {
		for range 9 {
			read(guesser(i), "guess")
		}
	}
	if got := read(guesser(1), readToken); got != http.StatusTooManyRequests {
		t.Errorf("one of many guessers is answered %d", got)
	}
	for range 2 { // a token that is right counts as no guess
		if got := read("203.0.113.9:50000", readToken); got != http.StatusOK {
			t.Errorf("while others guess, the right token is answered %d", got)
		}
	}
}

// TestHostileStrangersUseNothingUp: however many addresses ask without a token, who reads
// is answered.
func TestHostileStrangersUseNothingUp(t *testing.T) {
	t.Parallel()
	now := noon()
	s := site(t, busy(), withReader, func(o *Options) { o.Now = func() time.Time { return now } })
	ask := func(from, token string) int {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1:8080/", nil)
		r.RemoteAddr = from
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		return w.Code
	}
	for i := range 8 {
		from := fmt.Sprintf("203.0.113.%d:50000", i)
		for range burstPerAddress / costOfPage {
			if got := ask(from, ""); got != http.StatusSeeOther {
				t.Fatalf("%s is answered %d", from, got)
			}
		}
		if got := ask(from, ""); got != http.StatusTooManyRequests {
			t.Errorf("%s asked %d times and is answered %d", from, burstPerAddress/costOfPage+1, got)
		}
	}
	if got := ask("203.0.113.100:50000", readToken); got != http.StatusOK {
		t.Errorf("after strangers asked, a reader is answered %d", got)
	}
	for i := range burst / costOfPage {
		ask(fmt.Sprintf("198.51.100.%d:50000", i%4), readToken)
	}
	if got := ask("203.0.113.100:50000", readToken); got != http.StatusTooManyRequests {
		t.Errorf("after readers asked all that is for all, one more is answered %d", got)
	}
}
