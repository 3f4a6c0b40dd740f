package reconcile

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// TestHostileShown lets a server show a secret that was not sent in this run, and that
// nothing else opens, where something else belongs.
func TestHostileShown(t *testing.T) {
	const hidden = "q8Zt3LmX0vRw7NcY5bKd2HsG9jPf4TaE6uQi1oBxWk"
	for _, c := range []struct {
		attack string
		shown  string
		field  string
	}{
		{"the secret as the client id", hidden, "provider_client_id"},
		{"half of the secret as the client id", hidden[:22], "provider_client_id"},
		{"the secret as the client id, in base64", base64.StdEncoding.EncodeToString([]byte(hidden)), "provider_client_id"},
		{"the secret in the redirect", "https://access.tryterra.co/" + hidden, "redirect_url"},
	} {
		t.Run(c.attack, func(t *testing.T) {
			w := newWorld(t)
			w.strava(hidden, "")
			w.applied()
			w.wrap = func(next http.RoundTripper) http.RoundTripper {
				return tripper(func(r *http.Request) (*http.Response, error) {
					answer, err := next.RoundTrip(r)
					if err != nil || r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, "/credentials") {
						return answer, err
					}
					var document map[string]any
					body, _ := io.ReadAll(answer.Body)
					_ = json.Unmarshal(body, &document)
					document["credential"].(map[string]any)[c.field] = c.shown
					body, _ = json.Marshal(document)
					answer.Body, answer.ContentLength = io.NopCloser(strings.NewReader(string(body))), int64(len(body))
					answer.Header.Set("Content-Length", fmt.Sprint(len(body)))
					return answer, nil
				})
			}
			for _, mode := range []report.Mode{report.DryRun, report.Apply} {
				r := w.run(Run{Mode: mode})
				text, _ := json.Marshal(r)
				shown := w.show(r) + string(text)
				if strings.Contains(shown, c.shown[:min(len(c.shown), 20)]) && c.field == "provider_client_id" || strings.Contains(shown, hidden[:12]) {
					t.Errorf("the report holds it: %s", shown)
				}
				if !strings.Contains(shown, "it shows a secret of this file") {
					t.Errorf("nothing is said: %s", shown)
				}
			}
		})
	}
}
