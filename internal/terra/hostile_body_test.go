package terra

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
)

type lastly func(*http.Request) (*http.Response, error)

func (f lastly) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestHostileMemoryOfBodies looks, once a call has ended, for what it sent where it stood.
func TestHostileMemoryOfBodies(t *testing.T) {
	const hidden = "706f5e1a2b3c4d5e6f708192a3b4c5d6e7f80910"
	for _, c := range []struct {
		attack string
		send   func(client *Client) error
	}{
		{attack: "in the body of set-credentials", send: func(client *Client) error {
			_, err := client.SetCredentials(t.Context(), "dev-1", "strava", CredentialWrite{ClientID: "123", ClientSecret: secret(hidden)}, "k")
			return err
		}},
		{attack: "in the body of update-credentials", send: func(client *Client) error {
			_, err := client.UpdateCredentials(t.Context(), "dev-1", "strava", CredentialPatch{ClientSecret: secret(hidden)}, "k")
			return err
		}},
	} {
		t.Run(c.attack, func(t *testing.T) {
			var sent []*http.Request
			var heard []byte
			answer := inTurn(with(reply(200, mediaJSON, credentialsJSON)))
			client := newClient(t, lastly(func(r *http.Request) (*http.Response, error) {
				sent = append(sent, r)
				heard, _ = io.ReadAll(r.Body)
				_ = r.Body.Close()
				r = r.Clone(r.Context())
				r.Body = io.NopCloser(bytes.NewReader(heard))
				return answer.RoundTrip(r)
			}))
			if err := c.send(client); err != nil || !strings.Contains(string(heard), hidden) {
				t.Fatalf("sent %d bytes, %v", len(heard), err)
			}
			for _, r := range sent {
				again, err := r.GetBody() // a copy of what the call holds
				if err != nil {
					t.Fatal(err)
				}
				rest, _ := io.ReadAll(again)
				if body := r.Body.(*sentBody); r.ContentLength != int64(len(heard)) || bytes.Contains(body.text, []byte(hidden)) || bytes.Contains(rest, []byte(hidden)) {
					t.Error("it stands there still")
				}
			}
		})
	}
}
