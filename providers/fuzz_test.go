package providers

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/terra-reconcile/terra-reconcile/secrets"
)

// FuzzJudge feeds every judge any answer. None may panic; a verdict needs a JSON
// object, and Bad needs a word of refusal in it.
func FuzzJudge(f *testing.F) {
	for _, r := range recorded() {
		f.Add(r.status, []byte(r.body))
	}
	f.Add(200, []byte("{}\v")) // no white space of JSON's
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		for _, p := range All() {
			if p.Probe == nil {
				continue
			}
			got := judge(p.Probe, Answer{Status: status, Body: body})
			if got.Reason == "" {
				t.Errorf("%s: no reason", p.Slug)
			}
			if got.Verdict == Unknown {
				continue
			}
			if !json.Valid(body) || status == 429 || status >= 300 && status < 400 || status >= 500 {
				t.Errorf("%s: %v from HTTP %d", p.Slug, got, status)
			}
			if got.Verdict == Bad && (status < 400 || !bytes.Contains(body, []byte("invalid")) && !bytes.ContainsAny(body, "12345670\\")) {
				t.Errorf("%s: %v without a word of refusal", p.Slug, got)
			}
		}
	})
}

// FuzzCheck feeds every rule any value. None may panic, and no finding may hold
// the value, as long as the value is not a word of ours.
func FuzzCheck(f *testing.F) {
	for _, seed := range []string{"", " ", "<x>", hex40, "CS-1-ACCESS-x", "a.b.c", "Bearer x", "\xff", "\u200b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		marked := "7h1s-1s-n0-w0rd" + text
		for _, p := range All() {
			for _, value := range []string{text, marked, text + marked} {
				found := append(p.CheckClientID(value), p.CheckSecret(ClientSecret, secrets.NewValue([]byte(value)))...)
				for _, finding := range found {
					if finding.Message == "" || finding.Hint == "" {
						t.Errorf("%s: a finding without message or next step", p.Slug)
					}
					if bytes.Contains([]byte(finding.Message+finding.Hint), []byte("7h1s-1s")) {
						t.Errorf("%s: a finding holds the value", p.Slug)
					}
				}
			}
		}
	})
}
