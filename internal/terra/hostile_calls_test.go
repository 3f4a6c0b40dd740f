package terra

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/terra-reconcile/terra-reconcile/secrets"
)

// TestHostileCalls lets a server give a secret away in pieces over the answers to several
// calls, none of which holds enough of it: what one run shows is judged together.
func TestHostileCalls(t *testing.T) {
	t.Parallel()
	const hidden = "q8Zt3LmX0vRw7NcY5bKd2HsG9jPf4TaE6uQi1oBxWk"
	const inHex = "706f5e1a2b3c4d5e6f708192a3b4c5d6e7f80910"
	token := strings.TrimPrefix(testToken, tokenPrefix)
	says := func(field string) func(piece string) (*http.Response, error) {
		return func(piece string) (*http.Response, error) {
			text, _ := json.Marshal("the value " + piece + " is wrong")
			document := `{"code":"validation_failed","title":"x"}`
			if field == "errors" {
				text = []byte("[" + string(text) + "]")
			}
			return reply(422, mediaProblem, strings.Replace(document, "{", fmt.Sprintf("{%q:%s,", field, text), 1)), nil
		}
	}
	header := func(status int, name, value string) func(piece string) (*http.Response, error) {
		return func(piece string) (*http.Response, error) {
			return reply(status, mediaJSON, credentialsJSON, name, fmt.Sprintf(value, piece)), nil
		}
	}
	detail := says("detail")
	for _, c := range []struct {
		attack string
		open   string // the secret; "" for the token
		step   int
		devIDs int // in how many environments the pieces are said
		opened bool
		answer func(piece string) (*http.Response, error)
		order  func([]string)
	}{
		{attack: "a client secret", open: hidden, step: 5, answer: detail},
		{attack: "a client secret that was opened and not sent", open: hidden, step: 5, opened: true, answer: detail},
		{attack: "a client secret in pieces of four", open: hidden, step: 4, answer: detail},
		{attack: "a client secret in hex", open: inHex, step: 4, answer: detail},
		{attack: "the token", step: 5, answer: detail},
		{attack: "the token, over environments", step: 5, devIDs: 6, answer: detail},
		{attack: "a client secret, over environments", open: hidden, step: 5, devIDs: 6, answer: detail},
		{attack: "in what it advises", open: hidden, step: 5, answer: says("remediation")},
		{attack: "in what it says of fields", open: hidden, step: 5, answer: says("errors")},
		{attack: "the last piece first", open: hidden, step: 5, answer: detail, order: slices.Reverse[[]string]},
		{attack: "each piece backwards", open: hidden, step: 5, answer: detail, order: func(pieces []string) {
			for i, p := range pieces {
				b := []byte(p)
				slices.Reverse(b)
				pieces[i] = string(b)
			}
		}},
		{attack: "in other letters", open: hidden, step: 5, answer: detail, order: func(pieces []string) {
			for i, p := range pieces {
				pieces[i] = strings.ToUpper(p)
			}
		}},
		{attack: "as hosts of redirects", open: hidden, step: 5, answer: header(302, "Location", "https://%s.example/")},
		{attack: "as an answer that is no HTTP", open: hidden, step: 5, answer: func(piece string) (*http.Response, error) {
			return nil, fmt.Errorf("malformed HTTP response %q", piece)
		}},
		{attack: "as codes of errors", open: "wqzjxkvbpfmhgdtrnlcysaeiou", step: 4, answer: func(piece string) (*http.Response, error) {
			return reply(422, mediaProblem, `{"code":"x_`+piece+`","title":"x"}`), nil
		}},
		{attack: "half in notices", open: hidden, step: 5, answer: func() func(string) (*http.Response, error) {
			n := 0
			return func(piece string) (*http.Response, error) {
				if n++; n%2 == 0 {
					return detail(piece)
				}
				return reply(422, mediaProblem, `{"code":"validation_failed","title":"x"}`, "Terra-Notice", "say "+piece), nil
			}
		}()},
	} {
		t.Run(c.attack, func(t *testing.T) {
			t.Parallel()
			took(t, func(t *testing.T) {
				secretOf := c.open
				if secretOf == "" {
					secretOf = token
				}
				pieces := cutInto(secretOf, c.step)
				if c.order != nil {
					c.order(pieces)
				}
				next := 0
				var said []string
				client := newClient(t, &fakeServer{answer: func(n int, _ *http.Request, _ string) (*http.Response, error) {
					if n == 0 {
						return replyJSON(credentialsJSON), nil
					}
					return c.answer(pieces[next])
				}}, func(o *Options) { o.Notice = func(_, text string) { said = append(said, text) } })
				patch := CredentialPatch{ClientSecret: secret("another-one-0987")}
				switch {
				case c.opened:
					client.Guard(func(devID string) []secrets.Value { return []secrets.Value{secret(hidden)} })
				case c.open != "":
					patch.ClientSecret = secret(c.open)
				}
				if _, err := client.UpdateCredentials(t.Context(), "dev-0", "strava", patch, "k"); err != nil {
					t.Fatal(err)
				}
				for next = range pieces {
					_, err := client.GetCredentials(t.Context(), fmt.Sprintf("dev-%d", next%max(1, c.devIDs)), "strava")
					if err == nil {
						t.Fatal("no error")
					}
					said = append(said, err.Error())
					var p *Problem
					if errors.As(err, &p) {
						said = append(said, fmt.Sprintf("%+v", *p))
					}
				}
				shown, all := 0, strings.Join(said, "\n")
				for _, p := range pieces {
					if strings.Contains(all, p) {
						shown += len(p)
					}
				}
				if !strings.Contains(all, withheld) || shown > len(secretOf)/2+c.step || shown == 0 {
					t.Errorf("%d of %d characters were shown:\n%s", shown, len(secretOf), all)
				}
			})
		})
	}
}

func cutInto(text string, step int) (pieces []string) {
	for i := 0; i < len(text); i += step {
		pieces = append(pieces, text[i:min(i+step, len(text))])
	}
	return pieces
}

// A server that names each request, as many do, is heard to the end, though four digits of
// a secret in hex stand in such a name now and then.
func TestHonestRequestIDsAreShown(t *testing.T) {
	t.Parallel()
	took(t, func(t *testing.T) {
		digits := func(of string, n int) string { return fmt.Sprintf("%x", sha256.Sum256(fmt.Append(nil, of, n))) }
		var open []secrets.Value
		for n := range 10 {
			open = append(open, secret(digits("secret", n)[:40]))
		}
		var id string
		client := newClient(t, &fakeServer{answer: func(int, *http.Request, string) (*http.Response, error) {
			return reply(422, mediaProblem, `{"code":"validation_failed","title":"x","detail":"request `+id+`"}`), nil
		}})
		client.Guard(func(string) []secrets.Value { return open })
		shown := 0
		for n := range 300 {
			d := digits("request", n)
			id = d[:8] + "-" + d[8:12] + "-" + d[12:16] + "-" + d[16:20] + "-" + d[20:32]
			_, err := client.GetScopes(t.Context(), "dev-1", "strava")
			if strings.Contains(fmt.Sprint(err), id) {
				shown++
			} else if !secrets.Repeats(id, open...) && !secrets.RepeatsInPieces([]string{id}, open...) {
				t.Fatalf("got %v, want %s in it", err, id)
			}
		}
		if shown < 290 {
			t.Errorf("%d of 300 were shown", shown)
		}
	})
}
