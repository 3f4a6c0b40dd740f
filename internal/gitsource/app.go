package gitsource

import (
	"bytes"
	"cmp"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"

	"github.com/terra-reconcile/terra-reconcile/internal/visible"
)

// AppOptions say which GitHub App signs in where.
type AppOptions struct {
	// ID is the number of the app.
	ID int64
	// Installation is the number of its installation; 0 asks GitHub which one the repository has.
	Installation int64
	// KeyFile holds the private key of the app as PEM, RSA of 2048 bits or more. It is read
	// anew for each token.
	KeyFile string
	// API is the address of GitHub's API, without a trailing slash: https, or http on this machine.
	API string
	// Repository is OWNER/NAME. Tokens are for it alone.
	Repository string
	// Permission and Access say what tokens may do, and nothing else: contents, read.
	Permission, Access string
	// Way is how the API is reached.
	Way Way
	// Now is the time; nil is the machine's clock.
	Now func() time.Time
	// Settings says where a person sets these, for messages.
	Settings AppSettings
}

// AppSettings are the names of fields; empty ones are left out.
type AppSettings struct{ ID, Installation, KeyFile string }

// App gives tokens of one installation of a GitHub App. It keeps the last one, in memory
// alone, until shortly before it expires. It may be used by several goroutines.
type App struct {
	o    AppOptions
	road *road
	busy chan struct{} // held while a token is asked for

	installation int64
	token        string
	until        time.Time // by our own clock, when another one is asked for
}

const (
	appTokenRest   = 5 * time.Minute // a token that expires sooner is replaced
	appTokenLasts  = time.Hour       // as GitHub says it does, at most
	appClaimBefore = time.Minute     // clocks differ
	appClaimLasts  = 9 * time.Minute // GitHub takes ten, by its own clock
	appAnswer      = 256 << 10       // bytes of an answer
	appTimeout     = 30 * time.Second
	appKeyBits     = 2048
	appClockOff    = 30 * time.Second // of which a refusal tells
)

// NewApp checks the options. It opens no connection and reads no file.
func NewApp(o AppOptions) (*App, error) {
	owner, name, found := strings.Cut(o.Repository, "/")
	if !found || owner == "" || name == "" || strings.Contains(name, "/") {
		return nil, &OptionError{Option: "URL", Reason: "names no repository as OWNER/NAME, which a GitHub App needs"}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &App{o: o, road: newRoad(o.Way), busy: make(chan struct{}, 1), installation: o.Installation}, nil
}

// Token gives a token that is valid for some minutes at least. Errors are those of a fetch,
// and hold no secret.
func (a *App) Token(ctx context.Context) (string, error) {
	select {
	case a.busy <- struct{}{}:
		defer func() { <-a.busy }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	if a.token != "" && a.o.Now().Before(a.until) {
		return a.token, nil
	}
	a.token = ""
	ctx, cancel := context.WithTimeout(ctx, appTimeout)
	defer cancel()
	claim, err := a.claim()
	if err != nil {
		return "", err
	}
	if a.installation == 0 {
		if a.installation, err = a.find(ctx, claim); err != nil {
			return "", err
		}
	}
	if err := a.ask(ctx, claim); err != nil {
		if a.o.Installation == 0 {
			a.installation = 0 // it may have been installed anew
		}
		return "", err
	}
	return a.token, nil
}

// Refused forgets a token that the server did not take: it may have been revoked.
func (a *App) Refused(token string) {
	a.busy <- struct{}{}
	defer func() { <-a.busy }()
	if a.token == token {
		a.token = ""
	}
}

// claim is a JWT that says that we are the app.
func (a *App) claim() (string, error) {
	key, err := AppKey(a.o.KeyFile)
	if err != nil {
		return "", &AuthError{Reason: err.Error()}
	}
	now := a.o.Now()
	head, _ := json.Marshal(struct { // texts and numbers always can be
		Algorithm string `json:"alg"`
		Type      string `json:"typ"`
	}{"RS256", "JWT"})
	body, _ := json.Marshal(struct {
		IssuedAt int64  `json:"iat"`
		Expires  int64  `json:"exp"`
		Issuer   string `json:"iss"`
	}{now.Add(-appClaimBefore).Unix(), now.Add(appClaimLasts).Unix(), strconv.FormatInt(a.o.ID, 10)})
	text := base64.RawURLEncoding.EncodeToString(head) + "." + base64.RawURLEncoding.EncodeToString(body)
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		return "", &AuthError{Reason: "sign as the GitHub App: " + clean(err.Error())}
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

// AppKey reads the private key of an app.
func AppKey(file string) (*rsa.PrivateKey, error) {
	fail := func(format string, args ...any) (*rsa.PrivateKey, error) {
		return nil, fmt.Errorf("read private key %s: %s", file, fmt.Sprintf(format, args...))
	}
	data, err := readBounded(file)
	if err != nil {
		return nil, fmt.Errorf("read private key: %w", err)
	}
	block, _ := pem.Decode(visible.Decode(data))
	if block == nil {
		return fail("it holds no key as PEM; put the .pem file there that GitHub gave for the app")
	}
	var parsed any
	switch block.Type {
	case "RSA PRIVATE KEY":
		parsed, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "PRIVATE KEY":
		parsed, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	default:
		return fail("it holds no RSA key as PEM: %s; put the .pem file there that GitHub gave for the app", clean(block.Type))
	}
	if err != nil {
		return fail("the key can not be read; put the .pem file there that GitHub gave for the app")
	}
	key, ok := parsed.(*rsa.PrivateKey)
	switch {
	case !ok:
		return fail("it is no RSA key, and apps of GitHub have such keys")
	case key.N.BitLen() < appKeyBits:
		return fail("it has %d bits, and a key has at least %d; make a new one at GitHub", key.N.BitLen(), appKeyBits)
	}
	return key, nil
}

// readBounded reads a file that a person could have named by mistake.
func readBounded(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return io.ReadAll(io.LimitReader(f, 64<<10))
}

// find asks which installation the repository has.
func (a *App) find(ctx context.Context, claim string) (int64, error) {
	owner, name, _ := strings.Cut(a.o.Repository, "/")
	var got struct {
		ID int64 `json:"id"`
	}
	status, _, err := a.call(ctx, claim, http.MethodGet, "/repos/"+url.PathEscape(owner)+"/"+url.PathEscape(name)+"/installation", nil, &got)
	switch {
	case err != nil:
		return 0, err
	case status == http.StatusNotFound:
		return 0, &AuthError{Reason: fmt.Sprintf("the GitHub App is not installed at %s, or there is no such repository; install it there with the right to read contents", clean(a.o.Repository))}
	case status != http.StatusOK:
		return 0, unexpected(status)
	case got.ID <= 0:
		return 0, &UnreachableError{Reason: "GitHub did not say which installation of the app the repository has"}
	}
	return got.ID, nil
}

// ask asks for a token for this repository alone, and keeps it.
func (a *App) ask(ctx context.Context, claim string) error {
	_, name, _ := strings.Cut(a.o.Repository, "/")
	wanted, _ := json.Marshal(struct { // texts always can be
		Repositories []string          `json:"repositories"`
		Permissions  map[string]string `json:"permissions"`
	}{[]string{name}, map[string]string{a.o.Permission: a.o.Access}})
	var got struct {
		Token   string    `json:"token"`
		Expires time.Time `json:"expires_at"`
	}
	began := a.o.Now()
	status, answered, err := a.call(ctx, claim, http.MethodPost, fmt.Sprintf("/app/installations/%d/access_tokens", a.installation), wanted, &got)
	switch {
	case err != nil:
		return err
	case status == http.StatusNotFound && a.o.Installation != 0:
		return &AuthError{Reason: fmt.Sprintf("the GitHub App has no installation %d; correct %s, or leave it out", a.installation, cmp.Or(a.o.Settings.Installation, "its number"))}
	case status == http.StatusNotFound:
		return &AuthError{Reason: "the installation of the GitHub App is gone; install it again at " + clean(a.o.Repository)}
	case status == http.StatusForbidden:
		return &AuthError{Reason: "GitHub gives the app no token: its installation is suspended, or a rule of its owner refuses it; look at the installation's page"}
	case status == http.StatusUnprocessableEntity:
		return &AuthError{Reason: fmt.Sprintf("the installation of the GitHub App may not %s %s of %s; grant it that right, and choose that repository", a.o.Access, a.o.Permission, clean(a.o.Repository))}
	case status != http.StatusCreated && status != http.StatusOK:
		return unexpected(status)
	case got.Token == "" || strings.ContainsFunc(got.Token, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return &UnreachableError{Reason: "GitHub gave an answer without a token for the app"}
	}
	lasts := min(appTokenLasts, got.Expires.Sub(answered))
	if lasts <= 0 {
		return &UnreachableError{Reason: "GitHub gave a token for the app that has expired already"}
	}
	a.token, a.until = got.Token, began.Add(max(lasts-appTokenRest, lasts/2))
	return nil
}

// call holds one conversation with the API. answered is when, by the server's clock, or by
// ours where it does not say. What it answers is never repeated.
func (a *App) call(ctx context.Context, claim, method, path string, body []byte, into any) (status int, answered time.Time, err error) {
	transport, err := a.road.now()
	if err != nil {
		return 0, answered, err
	}
	req, err := http.NewRequestWithContext(ctx, method, a.o.API+path, bytes.NewReader(body))
	if err != nil {
		return 0, answered, &OptionError{Option: "URL", Reason: "can not be used for GitHub's API"}
	}
	req.Header.Set("Authorization", "Bearer "+claim)
	req.Header.Set("Accept", "application/vnd.github+json")
	req.Header.Set("X-GitHub-Api-Version", "2022-11-28")
	req.Header.Set("User-Agent", capability.DefaultAgent())
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	if err != nil {
		switch {
		case errors.Is(ctx.Err(), context.DeadlineExceeded):
			return 0, answered, &TimeoutError{After: appTimeout}
		case ctx.Err() != nil:
			return 0, answered, ctx.Err()
		}
		proxy, _ := transport.Proxy(req)
		return 0, answered, about("GitHub's API", a.o.Way.broken(req.URL, proxy, err))
	}
	defer func() { _ = res.Body.Close() }()
	now := a.o.Now()
	if answered, err = http.ParseTime(res.Header.Get("Date")); err != nil {
		answered = now
	}
	switch {
	case res.StatusCode == http.StatusUnauthorized:
		return 0, answered, a.refused(now.Sub(answered))
	case res.StatusCode >= 300 && res.StatusCode < 400:
		return 0, answered, &AuthError{Reason: "GitHub says that the repository, or its API, is elsewhere now; correct the URL"}
	case res.StatusCode != http.StatusOK && res.StatusCode != http.StatusCreated:
		return res.StatusCode, answered, nil
	}
	raw, err := io.ReadAll(io.LimitReader(res.Body, appAnswer))
	if err != nil {
		return 0, answered, &UnreachableError{Reason: "GitHub's API broke off its answer"}
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return 0, answered, &UnreachableError{Reason: "what answers is not GitHub's API", Next: "check its URL, and what stands between (a proxy)"}
	}
	return res.StatusCode, answered, nil
}

// refused is what a refused claim means, where our clock is off by so much.
func (a *App) refused(off time.Duration) error {
	if off.Abs() > appClockOff {
		return &AuthError{Reason: fmt.Sprintf("GitHub refused the signature of the app, and this machine's clock is %s off; set the clock", off.Abs().Round(10*time.Second))}
	}
	return &AuthError{Reason: fmt.Sprintf("GitHub refused the signature of app %d; check that %s and %s are of one app, and that the key was not deleted there",
		a.o.ID, cmp.Or(a.o.Settings.ID, "its number"), cmp.Or(a.o.Settings.KeyFile, "its key"))}
}

func unexpected(status int) error {
	return &UnreachableError{Reason: fmt.Sprintf("GitHub's API answered with status %d", status), Next: "check the API's URL, or wait: it is asked again with the next poll"}
}

// about says which server an error is about, where it is not the repository's.
func about(server string, err error) error {
	var away *UnreachableError
	if errors.As(err, &away) {
		return &UnreachableError{Reason: server + ": " + away.Reason, Next: away.Next}
	}
	return err
}
