package terra

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestNewRefusesBaseURL(t *testing.T) {
	for _, test := range []struct{ url, want string }{
		{"https://access.tryterra.co/api/v3/admin", ""},
		{"https://access.tryterra.co/api/v3/admin/", ""},
		{"http://127.0.0.1:8080/api/v3/admin", ""},
		{"http://localhost:1", ""},
		{"http://[::1]:8080", ""},
		{"", "no base URL"},
		{"access.tryterra.co", "no host"},
		{"https://", "no host"},
		{"http://access.tryterra.co/x", "only https"},
		{"http://127.0.0.1.evil.example", "only https"},
		{"http://localhost.evil.example", "only https"},
		{"http://0.0.0.0:1", "only https"},
		{"ftp://access.tryterra.co", "scheme"},
		{"https://user:Canary-pass@access.tryterra.co", "a user or a password"},
		{"https://access.tryterra.co/?x=1", "a query"},
		{"https://access.tryterra.co/#x", "a fragment"},
		{"https://access.try terra.co:x/", "cannot be parsed"},
	} {
		_, err := New(Options{BaseURL: test.url, Version: "1", Token: func() (string, error) { return testToken, nil }})
		switch {
		case test.want == "" && err != nil:
			t.Errorf("%s: %v, want no error", test.url, err)
		case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
			t.Errorf("%s: %v, want %q", test.url, err, test.want)
		case err != nil && strings.Contains(err.Error(), "Canary"):
			t.Errorf("the error repeats a password: %v", err)
		}
	}
}

func TestNewRefusesOptions(t *testing.T) {
	token := func() (string, error) { return testToken, nil }
	for name, o := range map[string]Options{
		"no token":         {BaseURL: DefaultBaseURL, Version: "1"},
		"no version":       {BaseURL: DefaultBaseURL, Token: token},
		"odd version":      {BaseURL: DefaultBaseURL, Token: token, Version: "1\r\nX: y"},
		"negative timeout": {BaseURL: DefaultBaseURL, Token: token, Version: "1", Timeout: -time.Second},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestTokenIsRefusedUnsent(t *testing.T) {
	for _, test := range []struct {
		token string
		err   error
		want  string
	}{
		{"terra_dt_DataTokenCanary", nil, "does not start with terra_at_"},
		{"terra_st_SessionTokenCanary", nil, "does not start with terra_at_"},
		{"", nil, "it is empty"},
		{" \n", nil, "it is empty"},
		{"terra_at_", nil, "nothing follows"},
		{"terra_at_…", nil, "placeholder"},
		{"terra_at_a\r\nX-Canary: 1", nil, "a space or a character"},
		{"", io.ErrUnexpectedEOF, io.ErrUnexpectedEOF.Error()},
	} {
		server := always(200, mediaJSON, meJSON)
		c := newClient(t, server, func(o *Options) { o.Token = func() (string, error) { return test.token, test.err } })
		_, err := c.Me(t.Context())
		if !as[*TokenError](err) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: %v, want a TokenError with %q", test.token, err, test.want)
		}
		if err != nil && strings.Contains(err.Error(), "Canary") {
			t.Errorf("the error repeats the token: %v", err)
		}
		if test.err != nil && !errors.Is(err, test.err) {
			t.Errorf("%v does not wrap %v", err, test.err)
		}
		if n := len(server.requests()); n != 0 {
			t.Errorf("%q: %d requests were sent", test.token, n)
		}
	}
}

func TestTokenSpaceIsTrimmed(t *testing.T) {
	server := always(200, mediaJSON, meJSON)
	c := newClient(t, server, func(o *Options) { o.Token = func() (string, error) { return testToken + "\n", nil } })
	if _, err := c.Me(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := server.requests()[0].header.Get("Authorization"), "Bearer "+testToken; got != want {
		t.Errorf("sent %q, want %q", got, want)
	}
}

func TestTokenIsReadOncePerClientAndAgainAfter401(t *testing.T) {
	reads := 0
	tokens := []string{"terra_at_first-token", "terra_at_second-token"}
	server := inTurn(with(replyJSON(meJSON)), with(replyProblem(401, CodeTokenExpired)), with(replyJSON(meJSON)))
	c := newClient(t, server, func(o *Options) {
		o.Token = func() (string, error) { reads++; return tokens[min(reads, 2)-1], nil }
	})
	for range 2 {
		if _, err := c.Me(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, s := range server.requests() {
		got = append(got, s.header.Get("Authorization"))
	}
	want := []string{"Bearer " + tokens[0], "Bearer " + tokens[0], "Bearer " + tokens[1]}
	if diff := cmp.Diff(want, got); diff != "" || reads != 2 {
		t.Errorf("%d reads, sent (-want +got):\n%s", reads, diff)
	}
}

func TestSame401TokenIsNotSentAgain(t *testing.T) {
	for name, token := range map[string]func() (string, error){
		"unchanged": func() (string, error) { return testToken, nil },
	} {
		server := inTurn(with(replyProblem(401, CodeUnauthorized)))
		_, err := newClient(t, server, func(o *Options) { o.Token = token }).Me(t.Context())
		if !HasCode(err, CodeUnauthorized) || len(server.requests()) != 1 {
			t.Errorf("%s: %v after %d requests", name, err, len(server.requests()))
		}
	}
}

// TestReadOnly calls everything: what is declared a write is refused unsent, all
// else goes out.
func TestReadOnly(t *testing.T) {
	writes := map[string]bool{}
	for _, o := range declaredOperations(t) {
		writes[o.id] = o.write
	}
	refused := 0
	for _, m := range methods() {
		server := always(m.status, mediaJSON, m.body)
		err := m.call(t, newClient(t, server, readOnly))
		var readOnly *ReadOnlyError
		if got := errors.As(err, &readOnly); got != writes[m.operation] {
			t.Errorf("%s: %v", m.name, err)
			continue
		}
		sent := len(server.requests())
		if writes[m.operation] {
			refused++
			if sent != 0 || readOnly.Operation != m.operation {
				t.Errorf("%s: %d requests, %+v", m.name, sent, readOnly)
			}
		} else if sent != 1 || err != nil {
			t.Errorf("%s: %d requests, %v", m.name, sent, err)
		}
	}
	if refused != 11 {
		t.Errorf("%d methods were refused, want 11", refused)
	}
}

func TestWriteNeedsKey(t *testing.T) {
	server := always(204, "", "")
	err := newClient(t, server).DisableSource(t.Context(), "dev-1", "strava", "")
	if !errors.Is(err, ErrNoIdempotencyKey) || len(server.requests()) != 0 {
		t.Errorf("%v after %d requests, want ErrNoIdempotencyKey unsent", err, len(server.requests()))
	}
	if a, b := NewIdempotencyKey(), NewIdempotencyKey(); a == b || len(a) < 30 {
		t.Errorf("keys %q and %q", a, b)
	}
}

func TestArgumentsAreRefusedUnsent(t *testing.T) {
	server := always(200, mediaJSON, sourceJSON)
	c := newClient(t, server)
	many := make([]string, 101)
	for i := range many {
		many[i] = "p" + strings.Repeat("x", i)
	}
	for name, call := range map[string]func() error{
		"empty dev_id":   func() error { _, err := c.ListSources(t.Context(), ""); return err },
		"path dev_id":    func() error { _, err := c.ListSources(t.Context(), ".."); return err },
		"slash dev_id":   func() error { _, err := c.ListSources(t.Context(), "a/b"); return err },
		"escape dev_id":  func() error { _, err := c.ListSources(t.Context(), "a%2fb"); return err },
		"query provider": func() error { _, err := c.GetScopes(t.Context(), "dev-1", "strava?x=1"); return err },
		"empty provider": func() error { return c.DisableSource(t.Context(), "dev-1", "", "k") },
		"count all":      func() error { _, _, err := c.CountUsers(t.Context(), "dev-1", "", 10); return err },
		"count none":     func() error { _, _, err := c.CountUsers(t.Context(), "dev-1", "strava", 0); return err },
		"empty update": func() error {
			_, err := c.UpdateSource(t.Context(), "dev-1", "strava", SourceUpdate{}, "k")
			return err
		},
		"empty hostname": func() error { _, err := c.SetDomain(t.Context(), "dev-1", "strava", "", "k"); return err },
		"no fingerprint": func() error {
			_, err := c.ApplyWebhookEndpoints(t.Context(), "dev-1", "garmin", WebhookApply{}, "k")
			return err
		},
		"empty batch": func() error { _, err := c.BatchEnable(t.Context(), "dev-1", nil, "k"); return err },
		"large batch": func() error { _, err := c.BatchEnable(t.Context(), "dev-1", many, "k"); return err },
		"batch twice": func() error {
			_, err := c.BatchEnable(t.Context(), "dev-1", []string{"oura", "Oura"}, "k")
			return err
		},
		"empty patch": func() error {
			_, err := c.UpdateCredentials(t.Context(), "dev-1", "strava", CredentialPatch{}, "k")
			return err
		},
		"no secret": func() error {
			_, err := c.SetCredentials(t.Context(), "dev-1", "strava", CredentialWrite{ClientID: "1"}, "k")
			return err
		},
		"no client_id": func() error {
			_, err := c.SetCredentials(t.Context(), "dev-1", "strava", CredentialWrite{ClientSecret: secret("x")}, "k")
			return err
		},
		"invalid UTF-8": func() error {
			_, err := c.UpdateCredentials(t.Context(), "dev-1", "strava", CredentialPatch{ClientSecret: secret("a\xffb")}, "k")
			return err
		},
		"empty redirect": func() error {
			_, err := c.UpdateCredentials(t.Context(), "dev-1", "strava", CredentialPatch{RedirectURL: To("")}, "k")
			return err
		},
		"empty client_id": func() error {
			_, err := c.UpdateCredentials(t.Context(), "dev-1", "strava", CredentialPatch{ClientID: ptr("")}, "k")
			return err
		},
	} {
		if err := call(); err == nil || as[*AmbiguousError](err) {
			t.Errorf("%s: %v, want a plain error", name, err)
		}
	}
	if n := len(server.requests()); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}

func TestNoticesAreToldOnceAndCleaned(t *testing.T) {
	server := always(200, mediaJSON, meJSON, "Terra-Notice", "strava\x1b[31m moves to v4\r\n on 1 May", "Terra-Notice", "saw "+testToken)
	var got []string
	c := newClient(t, server, func(o *Options) {
		o.Notice = func(operation, text string) { got = append(got, operation+": "+text) }
	})
	for range 3 {
		if _, err := c.Me(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"getMe: strava [31m moves to v4 on 1 May", "getMe: " + withheld}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("notices (-want +got):\n%s", diff)
	}
}

func TestCanonicalIsTheBodyThatIsSent(t *testing.T) {
	patch := CredentialPatch{ClientID: ptr("123"), ClientSecret: secret("s3cret-value"), Sandbox: ptr(false)}
	write := CredentialWrite{ClientID: "123", ClientSecret: secret("s3cret-value")}
	server := always(200, mediaJSON, credentialsJSON)
	c := newClient(t, server)
	if _, err := c.UpdateCredentials(t.Context(), "dev-1", "strava", patch, "k1"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.SetCredentials(t.Context(), "dev-1", "strava", write, "k2"); err != nil {
		t.Fatal(err)
	}
	sent := server.requests()
	if got := patch.Canonical().Reveal(); got != sent[0].body {
		t.Errorf("canonical patch %s, sent %s", got, sent[0].body)
	}
	if got := write.Canonical().Reveal(); got != sent[1].body {
		t.Errorf("canonical write %s, sent %s", got, sent[1].body)
	}
	if v := (CredentialPatch{}).Canonical(); !v.IsZero() {
		t.Error("a patch that is refused has a canonical body")
	}
}

func TestDefaultTransport(t *testing.T) {
	transport := NewTransport()
	if transport.MaxIdleConnsPerHost < 64 || transport.TLSClientConfig.MinVersion < 0x0303 || transport.TLSClientConfig.InsecureSkipVerify {
		t.Errorf("transport %+v", transport)
	}
	var _ http.RoundTripper = transport
}
