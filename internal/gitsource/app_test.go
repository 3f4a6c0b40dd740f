package gitsource

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// github is an API of GitHub that knows one app and its installation, and a git server that
// lets in who has one of its tokens that has not expired.
type github struct {
	t     *testing.T
	key   *rsa.PublicKey
	git   http.Handler
	clock func() time.Time
	lasts time.Duration
	fails int // status of the next answers for tokens; 0: none
	body  string

	mu     sync.Mutex
	tokens map[string]time.Time // when they end
	asked  []string
}

const (
	theApp          = 4711
	theInstallation = 8150
)

// claims judges a JWT as GitHub does, "" where it is good.
func (g *github) claims(authorization string) string {
	text, bearer := strings.CutPrefix(authorization, "Bearer ")
	parts := strings.Split(text, ".")
	if !bearer || len(parts) != 3 {
		return "no JWT"
	}
	raw := make([][]byte, 3)
	for i, part := range parts {
		var err error
		if raw[i], err = base64.RawURLEncoding.DecodeString(part); err != nil {
			return err.Error()
		}
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err := rsa.VerifyPKCS1v15(g.key, crypto.SHA256, sum[:], raw[2]); err != nil {
		return err.Error()
	}
	var head struct{ Alg, Typ string }
	var body struct {
		Iat, Exp int64
		Iss      string
	}
	if json.Unmarshal(raw[0], &head) != nil || json.Unmarshal(raw[1], &body) != nil || head.Alg != "RS256" || head.Typ != "JWT" || body.Iss != fmt.Sprint(theApp) {
		return "not of the app"
	}
	switch now := g.clock(); {
	case time.Unix(body.Iat, 0).After(now):
		return "issued in the future"
	case !time.Unix(body.Exp, 0).After(now):
		return "expired"
	case time.Unix(body.Exp, 0).After(now.Add(10 * time.Minute)):
		return "expires too far in the future"
	}
	return ""
}

func (g *github) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	w.Header().Set("Date", g.clock().UTC().Format(http.TimeFormat))
	if strings.HasPrefix(r.URL.Path, "/acme/") {
		user, token, _ := r.BasicAuth()
		if end, known := g.tokens[token]; user != "x-access-token" || !known || !g.clock().Before(end) {
			http.Error(w, "bad "+token, http.StatusUnauthorized)
			return
		}
		r.URL.Path = strings.Replace(r.URL.Path, "/acme/terra.git", "/.git", 1)
		g.git.ServeHTTP(w, r)
		return
	}
	g.asked = append(g.asked, r.Method+" "+r.URL.Path)
	if wrong := g.claims(r.Header.Get("Authorization")); wrong != "" {
		http.Error(w, wrong+": "+r.Header.Get("Authorization"), http.StatusUnauthorized)
		return
	}
	switch r.Method + " " + r.URL.Path {
	case "GET /api/repos/acme/terra/installation":
		fmt.Fprintf(w, `{"id": %d, "account": {"login": "acme"}}`, theInstallation)
	case fmt.Sprintf("POST /api/app/installations/%d/access_tokens", theInstallation):
		var wanted struct {
			Repositories []string
			Permissions  map[string]string
		}
		if json.NewDecoder(r.Body).Decode(&wanted) != nil || fmt.Sprint(wanted) != "{[terra] map[contents:read]}" {
			w.WriteHeader(http.StatusUnprocessableEntity)
			return
		}
		if g.fails != 0 {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(g.fails)
			fmt.Fprint(w, r.Header.Get("Authorization"))
			return
		}
		if g.body != "" {
			w.WriteHeader(http.StatusCreated)
			fmt.Fprint(w, g.body)
			return
		}
		token := "ghs_" + rand.Text()
		g.tokens[token] = g.clock().Add(g.lasts)
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, `{"token": %q, "expires_at": %q}`, token, g.tokens[token].UTC().Format(time.RFC3339))
	default:
		http.NotFound(w, r)
	}
}

// set changes how the server is, between requests.
func (g *github) set(change func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	change()
}

func (g *github) was() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	defer func() { g.asked = nil }()
	return strings.Join(g.asked, ", ")
}

// wallClock is a clock that a test sets.
type wallClock struct {
	mu  sync.Mutex
	off time.Duration
}

func (c *wallClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.off)
}

func (c *wallClock) set(off time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.off = off
}

func (c *wallClock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.off += d
}

func appKey(t testing.TB) (*rsa.PrivateKey, string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key, pemFile(t, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key))
}

func pemFile(t testing.TB, kind string, der []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "app.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// atGitHub is a repository there, its newest commit, and how an app signs in to it.
func atGitHub(t *testing.T, own, theirs *wallClock) (g *github, address, head string, o AppOptions) {
	t.Helper()
	r := newRepository(t)
	head = r.commit("first", "a.yaml", "a")
	key, file := appKey(t)
	g = &github{t: t, key: &key.PublicKey, git: gitHTTP(t, r.dir), clock: theirs.now, lasts: time.Hour, tokens: map[string]time.Time{}}
	address = serve(t, g)
	return g, address, head, AppOptions{ID: theApp, KeyFile: file, API: address + "/api", Repository: "acme/terra", Permission: "contents", Access: "read", Now: own.now,
		Settings: AppSettings{ID: "app_id", Installation: "installation_id", KeyFile: "private_key_file"}}
}

func newApp(t testing.TB, o AppOptions) *App {
	t.Helper()
	app, err := NewApp(o)
	if err != nil {
		t.Fatal(err)
	}
	return app
}

// TestAppSignsIn: a token is asked for once, kept while it lasts, and replaced before it ends
// or when the server does not take it any more.
func TestAppSignsIn(t *testing.T) {
	clock := &wallClock{}
	g, address, head, o := atGitHub(t, clock, clock)
	s := open(t, Options{URL: address + "/acme/terra.git", Timeout: time.Minute, Auth: Auth{App: newApp(t, o)}})
	const find, ask = "GET /api/repos/acme/terra/installation", "POST /api/app/installations/8150/access_tokens"
	want := func(when, want string) {
		t.Helper()
		fetch(t, s, head)
		if got := g.was(); got != want {
			t.Errorf("%s it asked for %q, want %q", when, got, want)
		}
	}
	want("first", find+", "+ask)
	want("again", "")
	clock.pass(54 * time.Minute)
	want("before the token is due", "")
	clock.pass(2 * time.Minute)
	want("shortly before it ends", ask)
	g.set(func() { clear(g.tokens) })
	_, err := s.Fetch(t.Context())
	wantError[*AuthError](t, err, "refused the token of the GitHub App")
	if got := g.was(); strings.Contains(err.Error(), "ghs_") || got != "" {
		t.Errorf("got %v after %q", err, got)
	}
	want("after it was revoked", ask)
	o.Installation = theInstallation
	s = open(t, Options{URL: address + "/acme/terra.git", Timeout: time.Minute, Auth: Auth{App: newApp(t, o)}})
	want("of a given installation", ask)
	g.set(func() { g.lasts = 4 * time.Minute })
	clock.pass(time.Hour)
	want("of a short life", ask)
	want("in the first half of it", "")
}

// TestAppOverAWay: its calls go through the proxy, and trust the CA, of the repository.
func TestAppOverAWay(t *testing.T) {
	clock := &wallClock{}
	g, _, head, o := atGitHub(t, clock, clock)
	own, p := newAuthority(t), &proxyServer{}
	at, err := url.Parse(serve(t, p))
	if err != nil {
		t.Fatal(err)
	}
	address := own.serve(t, g)
	o.API = address + "/api"
	_, err = newApp(t, o).Token(t.Context())
	wantError[*UnreachableError](t, err, "GitHub's API: the certificate of 127.0.0.1 is signed by an issuer that this machine does not trust")
	o.Way = Way{CAFile: own.file, Proxy: func() (*url.URL, error) { return at, nil }}
	fetch(t, open(t, Options{URL: address + "/acme/terra.git", Timeout: time.Minute, Auth: Auth{App: newApp(t, o)}, Way: o.Way}), head)
	if got := fmt.Sprint(p.noted()); got != "[CONNECT "+strings.TrimPrefix(address, "https://")+"]" {
		t.Errorf("the proxy led to %s", got)
	}
}

// TestAppOfAWrongClock: half a minute of difference does no harm, and more is told.
func TestAppOfAWrongClock(t *testing.T) {
	ours, theirs := &wallClock{}, &wallClock{}
	g, _, _, o := atGitHub(t, ours, theirs)
	for off, want := range map[time.Duration]string{0: "", 50 * time.Second: "", -5 * time.Minute: "", 3 * time.Minute: "clock is 3m0s off", -20 * time.Minute: "clock is 20m0s off"} {
		ours.set(off)
		app := newApp(t, o)
		token, err := app.Token(t.Context())
		switch {
		case want == "" && err != nil:
			t.Errorf("off by %s: %v", off, err)
		case want == "":
			ours.pass(50 * time.Minute)
			if again, err := app.Token(t.Context()); err != nil || again != token {
				t.Errorf("off by %s it did not last: %v", off, err)
			}
			ours.pass(6 * time.Minute)
			if again, err := app.Token(t.Context()); err == nil && again == token {
				t.Errorf("off by %s it lasted too long", off)
			}
		default:
			wantError[*AuthError](t, err, want, "set the clock")
		}
	}
	// A short life is counted by the server's clock: by ours it would be half as long again.
	ours.set(-5 * time.Minute)
	g.set(func() { g.lasts = 10 * time.Minute })
	app := newApp(t, o)
	token, err := app.Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ours.pass(6 * time.Minute)
	if again, err := app.Token(t.Context()); err != nil || again == token {
		t.Errorf("a short life lasted too long: %v", err)
	}
}

// TestAppIsRefused: each answer says what to do, and repeats nothing of what was sent.
func TestAppIsRefused(t *testing.T) {
	clock := &wallClock{}
	g, _, _, o := atGitHub(t, clock, clock)
	_, other := appKey(t)
	for name, c := range map[string]struct {
		change func(o *AppOptions)
		status int
		body   string
		want   []string
	}{
		"another key":        {func(o *AppOptions) { o.KeyFile = other }, 0, "", []string{"refused the signature of app 4711", "app_id and private_key_file are of one app"}},
		"another app":        {func(o *AppOptions) { o.ID = 1 }, 0, "", []string{"refused the signature of app 1"}},
		"not installed":      {func(o *AppOptions) { o.Repository = "acme/other" }, 0, "", []string{"not installed at acme/other", "install it there"}},
		"no installation":    {func(o *AppOptions) { o.Installation = 12 }, 0, "", []string{"has no installation 12; correct installation_id"}},
		"gone":               {nil, 404, "", []string{"install it again at acme/terra"}},
		"suspended":          {nil, 403, "", []string{"suspended"}},
		"no right":           {nil, 422, "", []string{"may not read contents of acme/terra; grant it that right"}},
		"elsewhere":          {nil, 301, "", []string{"correct the URL"}},
		"in trouble":         {nil, 502, "", []string{"status 502"}},
		"limited":            {nil, 429, "", []string{"status 429", "asked again with the next poll"}},
		"no JSON":            {nil, 0, "<html>", []string{"what answers is not GitHub's API"}},
		"no token":           {nil, 0, "{}", []string{"without a token"}},
		"a token that ended": {nil, 0, `{"token": "ghs_abc", "expires_at": "2020-01-01T00:00:00Z"}`, []string{"expired already"}},
		"a token for a log":  {nil, 0, `{"token": "a\nb", "expires_at": "2099-01-01T00:00:00Z"}`, []string{"without a token"}},
		"nobody":             {func(o *AppOptions) { o.API = "http://127.0.0.1:1" }, 0, "", []string{"GitHub's API: ", "connection refused"}},
	} {
		t.Run(name, func(t *testing.T) {
			g.set(func() { g.fails, g.body = c.status, c.body })
			o := o
			if c.change != nil {
				c.change(&o)
			}
			_, err := newApp(t, o).Token(t.Context())
			if err == nil || !ours(err) {
				t.Fatalf("got %v", err)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %q, want %q in it", err, want)
				}
			}
			if text := err.Error(); strings.Contains(text, "eyJ") || strings.Contains(text, "ghs_") || strings.Contains(text, "Bearer") {
				t.Errorf("it repeats a secret: %s", text)
			}
		})
	}
}

func TestKeysOfApps(t *testing.T) {
	t.Parallel()
	key, file := appKey(t)
	if got, err := AppKey(file); err != nil || !got.Equal(key) {
		t.Errorf("got %v", err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := AppKey(pemFile(t, "PRIVATE KEY", pkcs8)); err != nil || !got.Equal(key) {
		t.Errorf("got %v", err)
	}
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, err := x509.MarshalPKCS8PrivateKey(curve)
	if err != nil {
		t.Fatal(err)
	}
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("hunter2"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, file := range map[string]string{
		"no such file":        filepath.Join(t.TempDir(), "none"),
		"holds no key as PEM": text,
		"it has 1024 bits":    pemFile(t, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(short)),
		"no RSA key":          pemFile(t, "PRIVATE KEY", other),
		"it holds no RSA key as PEM: CERTIFICATE": pemFile(t, "CERTIFICATE", []byte("x")),
		"can not be read":                         pemFile(t, "RSA PRIVATE KEY", []byte("hunter2")),
	} {
		if _, err := AppKey(file); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), file) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
