package terratest

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/terra-reconcile/terra-reconcile/internal/terra/emulator"
)

// BenchmarkCalls reads one connection of 10,000 in 100 environments. The cost of
// a call must not depend on their number.
func BenchmarkCalls(b *testing.B) {
	for _, size := range []struct{ environments, sources int }{{1, 1}, {100, 100}} {
		for _, judged := range []bool{false, true} {
			b.Run(fmt.Sprintf("connections=%d/judged=%v", size.environments*size.sources, judged), func(b *testing.B) {
				s := emulator.New(Config{LogLimit: 1000})
				if judged {
					s = New(Config{LogLimit: 1000}).Server
				}
				s.AddToken(Token{Bearer: bearer})
				for e := range size.environments {
					id := fmt.Sprintf("dev-%d", e)
					s.AddEnvironment(id, EnvironmentOptions{})
					for n := range size.sources {
						provider := fmt.Sprintf("own-%d", n)
						s.SetSourceType("", SourceType{Provider: provider, AuthType: "oauth2", CustomCredentialsAllowed: true, DataTypes: []string{}})
						s.SetCredential(id, provider, Credential{ClientID: "42", Secret: "secret"})
					}
				}
				transport := s.RoundTripper()
				path := BaseURL + "/environments/dev-0/unified-api/sources/own-0/credentials"
				for b.Loop() {
					r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, path, http.NoBody)
					if err != nil {
						b.Fatal(err)
					}
					r.Header.Set("Authorization", "Bearer "+bearer)
					w, err := transport.RoundTrip(r)
					if err != nil || w.StatusCode != http.StatusOK {
						b.Fatal(w, err)
					}
				}
			})
		}
	}
}
