package terratest

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/terra-reconcile/terra-reconcile/internal/terra"
)

// ownStrava gives strava an own app with everything set.
func ownStrava(s *Server) {
	s.SetDomain(devID, "strava", "auth.example.com")
	s.SetCredential(devID, "strava", Credential{
		ClientID: "42", Secret: "first-secret", Verification: "verify", Sandbox: true,
		RedirectURL: "https://auth.example.com/auth/strava",
	})
}

func reference(s *Server) {
	s.SetSecretStore("aws", map[string]string{"client_secret": "stored-secret", "id": "77"}, true)
	s.SetCredential(devID, "strava", Credential{ClientID: "42", SecretRef: &SecretRef{Store: "aws", Config: map[string]string{"role_arn": "r", "secret_arn": "s"}}})
}

func TestSetCredentials(t *testing.T) {
	enabled := func(s *Server) { s.Enable(devID, "strava") }
	const path = "/strava/credentials"
	runMutations(t, []mutation{
		{name: "set", set: enabled, method: "PUT", path: path, body: `{"client_id":"42","client_secret":"first-secret"}`, status: 200, would: "set"},
		{name: "replace and drop what is not sent", set: ownStrava, method: "PUT", path: path, body: `{"client_id":"42","client_secret":"first-secret"}`, status: 200, would: "replace"},
		{
			name: "the same again", set: ownStrava, method: "PUT", path: path, status: 200, would: "noop",
			body: `{"client_id":"42","client_secret":"first-secret","verification_secret":"verify","sandbox":true,"redirect_url":"https://auth.example.com/auth/strava"}`,
		},
		{name: "without secret", set: enabled, method: "PUT", path: path, body: `{"client_id":"42"}`, status: 400, code: "validation_failed", errors: []string{"client_secret: is required"}},
		{name: "without id", set: enabled, method: "PUT", path: path, body: `{"client_secret":"x"}`, status: 400, code: "validation_failed", errors: []string{"client_id: is required"}},
		{
			name: "empty", set: enabled, method: "PUT", path: path, status: 400, code: "validation_failed",
			body:   `{"client_id":"","client_secret":"","verification_secret":"","redirect_url":""}`,
			errors: []string{"client_id: must not be empty", "client_secret: must not be empty", "redirect_url: must not be empty", "verification_secret: must not be empty"},
		},
		{
			name: "null", set: enabled, method: "PUT", path: path, status: 400, code: "validation_failed",
			body: `{"client_id":"42","client_secret":"x","redirect_url":null,"sandbox":null}`, errors: []string{"redirect_url: must be a string", "sandbox: must be true or false"},
		},
		{name: "unknown field", set: enabled, method: "PUT", path: path, body: `{"client_id":"42","client_secret":"x","secret":"y"}`, status: 400, code: "validation_failed", errors: []string{"secret: unknown field"}},
		{name: "field twice", set: enabled, method: "PUT", path: path, body: `{"client_id":"42","client_secret":"x","client_secret":"y"}`, status: 400, code: "validation_failed", errors: []string{"body: a field is there twice"}},
		{name: "not JSON", set: enabled, method: "PUT", path: path, body: `{"client_id":`, status: 400, code: "validation_failed", errors: []string{"body: must be one JSON object"}},
		{name: "two objects", set: enabled, method: "PUT", path: path, body: `{"client_id":"42","client_secret":"x"}{}`, status: 400, code: "validation_failed", errors: []string{"body: must be one JSON object"}},
		{name: "a list", set: enabled, method: "PUT", path: path, body: `[]`, status: 400, code: "validation_failed", errors: []string{"body: must be one JSON object"}},
		{
			name: "not declared as JSON", set: enabled, method: "PUT", path: path, body: `{"client_id":"42","client_secret":"x"}`, header: http.Header{"Content-Type": {"text/plain"}},
			status: 400, code: "validation_failed", errors: []string{"Content-Type: must be application/json"},
		},
		{name: "not enabled", method: "PUT", path: path, body: `{"client_id":"42","client_secret":"x"}`, status: 404, code: "not_found"},
		{name: "no own app allowed", set: func(s *Server) { s.Enable(devID, "freestylelibre") }, method: "PUT", path: "/freestylelibre/credentials", body: `{"client_id":"42","client_secret":"x"}`, status: 422, code: "unsupported_operation"},
		{name: "redirect on Terra", set: enabled, method: "PUT", path: path, body: `{"client_id":"42","client_secret":"x","redirect_url":"https://access.tryterra.co/auth/strava"}`, status: 200, would: "set"},
		{
			name: "redirect elsewhere", set: enabled, method: "PUT", path: path, body: `{"client_id":"42","client_secret":"x","redirect_url":"https://auth.example.com/auth"}`,
			status: 400, code: "validation_failed", errors: []string{"redirect_url: the host is neither Terra's nor a custom domain of this provider"},
		},
		{
			name: "redirect in plain http", set: enabled, method: "PUT", path: path, body: `{"client_id":"42","client_secret":"x","redirect_url":"http://access.tryterra.co/auth"}`,
			status: 400, code: "validation_failed", errors: []string{"redirect_url: must be an https address without port, user or fragment"},
		},
		{
			name: "redirect on another provider's domain", set: func(s *Server) { enabled(s); s.SetDomain(devID, "whoop", "auth.example.com") },
			method: "PUT", path: path, body: `{"client_id":"42","client_secret":"x","redirect_url":"https://auth.example.com/auth"}`,
			status: 400, code: "validation_failed", errors: []string{"redirect_url: the host is neither Terra's nor a custom domain of this provider"},
		},
		{
			name: "redirect on another environment's domain", method: "PUT", path: path,
			set: func(s *Server) {
				enabled(s)
				s.AddEnvironment("dev-2", EnvironmentOptions{})
				s.SetDomain("dev-2", "strava", "auth.example.com")
			},
			body:   `{"client_id":"42","client_secret":"x","redirect_url":"https://auth.example.com/auth"}`,
			status: 200, would: "set",
		},
		{
			name: "redirect on a domain that failed", set: func(s *Server) { ownStrava(s); s.FailDomain("auth.example.com", "no record") },
			method: "PUT", path: path, body: `{"client_id":"42","client_secret":"x","redirect_url":"https://auth.example.com/auth"}`,
			status: 400, code: "validation_failed", errors: []string{"redirect_url: the custom domain does not serve yet"},
		},
		{
			name: "domain cannot be checked", set: func(s *Server) { ownStrava(s); s.SetDomainCheck(false) }, method: "PUT", path: path,
			body: `{"client_id":"42","client_secret":"x","redirect_url":"https://auth.example.com/auth"}`, status: 503, code: "dependency_failed",
		},
		{
			name: "OAuth 1.0", set: func(s *Server) { s.Enable(devID, "fatsecret") }, method: "PUT", path: "/fatsecret/credentials", status: 400, code: "validation_failed",
			body: `{"client_id":"42","client_secret":"x","verification_secret":"v","sandbox":false}`, errors: []string{"verification_secret: not for an OAuth 1.0 app", "sandbox: not for an OAuth 1.0 app"},
		},
	})
}

func TestUpdateCredentials(t *testing.T) {
	const path = "/strava/credentials"
	runMutations(t, []mutation{
		{name: "rotate", set: ownStrava, method: "PATCH", path: path, body: `{"client_secret":"second-secret"}`, status: 200, would: "update"},
		{name: "the same secret", set: ownStrava, method: "PATCH", path: path, body: `{"client_secret":"first-secret"}`, status: 200, would: "noop"},
		{name: "the same verification secret", set: ownStrava, method: "PATCH", path: path, body: `{"verification_secret":"verify"}`, status: 200, would: "noop"},
		{name: "another verification secret", set: ownStrava, method: "PATCH", path: path, body: `{"verification_secret":"other"}`, status: 200, would: "update"},
		{name: "clear the verification secret", set: ownStrava, method: "PATCH", path: path, body: `{"verification_secret":null}`, status: 200, would: "update"},
		{name: "reset the redirect", set: ownStrava, method: "PATCH", path: path, body: `{"redirect_url":null}`, status: 200, would: "update"},
		{name: "id and secret", set: ownStrava, method: "PATCH", path: path, body: `{"client_id":"43","client_secret":"second-secret"}`, status: 200, would: "update"},
		{
			name: "secret while the domain does not serve", set: func(s *Server) { ownStrava(s); s.FailDomain("auth.example.com", "gone") },
			method: "PATCH", path: path, body: `{"client_secret":"second-secret"}`, status: 200, would: "update",
		},
		{name: "empty secret", set: ownStrava, method: "PATCH", path: path, body: `{"client_secret":""}`, status: 400, code: "validation_failed", errors: []string{"client_secret: must not be empty"}},
		{name: "empty verification secret", set: ownStrava, method: "PATCH", path: path, body: `{"verification_secret":""}`, status: 400, code: "validation_failed", errors: []string{"verification_secret: must not be empty"}},
		{name: "null secret", set: ownStrava, method: "PATCH", path: path, body: `{"client_secret":null}`, status: 400, code: "validation_failed", errors: []string{"client_secret: must be a string"}},
		{name: "nothing", set: ownStrava, method: "PATCH", path: path, body: `{}`, status: 400, code: "validation_failed", errors: []string{"body: at least one field is needed"}},
		{name: "no secret_ref, where none is", set: ownStrava, method: "PATCH", path: path, body: `{"sandbox":true,"secret_ref":null}`, status: 400, code: "validation_failed", errors: []string{"client_secret: is required to take the place of secret_ref"}},
		{name: "no own credentials yet", set: func(s *Server) { s.Enable(devID, "strava") }, method: "PATCH", path: path, body: `{"client_secret":"x"}`, status: 404, code: "not_found"},
		{name: "not enabled", set: func(s *Server) { ownStrava(s); s.Disable(devID, "strava") }, method: "PATCH", path: path, body: `{"client_secret":"x"}`, status: 404, code: "not_found"},
		{name: "no own app allowed", set: func(s *Server) { s.Enable(devID, "samsung") }, method: "PATCH", path: "/samsung/credentials", body: `{"client_secret":"x"}`, status: 422, code: "unsupported_operation"},
		{
			name: "OAuth 1.0", set: func(s *Server) { s.SetCredential(devID, "fatsecret", Credential{ClientID: "42", Secret: "x"}) }, method: "PATCH", path: "/fatsecret/credentials",
			body: `{"verification_secret":null}`, status: 400, code: "validation_failed", errors: []string{"verification_secret: not for an OAuth 1.0 app"},
		},
	})
}

func TestPairsAreCheckedLive(t *testing.T) {
	own := func(s *Server) {
		s.SetCredential(devID, "garmin", Credential{ClientID: "42", Secret: "first-secret"})
		s.AcceptPair("garmin", "42", "second-secret")
	}
	const path = "/garmin/credentials"
	runMutations(t, []mutation{
		{name: "good", set: own, method: "PATCH", path: path, body: `{"client_secret":"second-secret"}`, status: 200, would: "update"},
		{name: "bad", set: own, method: "PATCH", path: path, body: `{"client_secret":"third-secret"}`, status: 422, code: "provider_credentials_rejected"},
		{name: "bad id", set: own, method: "PATCH", path: path, body: `{"client_id":"43"}`, status: 422, code: "provider_credentials_rejected"},
		{name: "not changed", set: func(s *Server) { own(s); s.AcceptPair("garmin", "42", "first-secret") }, method: "PATCH", path: path, body: `{"client_secret":"first-secret"}`, status: 200, would: "noop"},
		{name: "bad but not changed", set: own, method: "PATCH", path: path, body: `{"client_secret":"first-secret"}`, status: 422, code: "provider_credentials_rejected"},
		{name: "another field with a bad pair", set: own, method: "PATCH", path: path, body: `{"sandbox":true}`, status: 422, code: "provider_credentials_rejected"},
		{
			name: "rejected", set: func(s *Server) { own(s); s.RejectPair("garmin", "42", "second-secret") },
			method: "PATCH", path: path, body: `{"client_secret":"second-secret"}`, status: 422, code: "provider_credentials_rejected",
		},
		{
			name: "unreachable", set: func(s *Server) { own(s); s.SetReachable("garmin", false) },
			method: "PATCH", path: path, body: `{"client_secret":"second-secret"}`, status: 503, code: "dependency_failed",
		},
	})
}

func TestSecretReferences(t *testing.T) {
	enabled := func(s *Server) { reference(s); s.RemoveCredential(devID, "strava") }
	const path = "/strava/credentials"
	runMutations(t, []mutation{
		{name: "set", set: enabled, method: "PUT", path: path, body: `{"client_id":"42","secret_ref":{"store":"aws","config":{"role_arn":"r","secret_arn":"s"}}}`, status: 200, would: "set"},
		{name: "set with the id from the store", set: enabled, method: "PUT", path: path, body: `{"secret_ref":{"store":"aws","config":{"role_arn":"r","secret_arn":"s"},"client_id_field":"id"}}`, status: 200, would: "set"},
		{name: "set null", set: enabled, method: "PUT", path: path, body: `{"client_id":"42","client_secret":"x","secret_ref":null}`, status: 200, would: "set"},
		{name: "set without id", set: enabled, method: "PUT", path: path, body: `{"secret_ref":{"store":"aws","config":{"role_arn":"r","secret_arn":"s"}}}`, status: 400, code: "validation_failed", errors: []string{"client_id: is required"}},
		{name: "set both", set: enabled, method: "PUT", path: path, body: `{"client_id":"42","client_secret":"x","secret_ref":{"store":"aws","config":{"role_arn":"r","secret_arn":"s"}}}`, status: 400, code: "validation_failed", errors: []string{"client_secret: not together with secret_ref"}},
		{
			name: "set badly", set: enabled, method: "PUT", path: path, body: `{"client_id":"42","secret_ref":{"stor":"aws","config":1,"client_secret_field":""}}`, status: 400, code: "validation_failed",
			errors: []string{"secret_ref.client_secret_field: must not be empty", "secret_ref.config: must be an object of strings", "secret_ref.stor: unknown field", "secret_ref.store: is required"},
		},
		{name: "set as text", set: enabled, method: "PUT", path: path, body: `{"client_id":"42","secret_ref":"aws"}`, status: 400, code: "validation_failed", errors: []string{"secret_ref: must be an object"}},
		{name: "config of aws", set: enabled, method: "PUT", path: path, body: `{"client_id":"42","secret_ref":{"store":"aws","config":{"arn":"x","role_arn":""}}}`, status: 400, code: "validation_failed",
			errors: []string{"secret_ref.config.arn: unknown field", "secret_ref.config.role_arn: is required", "secret_ref.config.secret_arn: is required"}},
		{name: "unknown store", set: enabled, method: "PUT", path: path, body: `{"client_id":"42","secret_ref":{"store":"gcp","config":{"role_arn":"r","secret_arn":"s"}}}`, status: 400, code: "validation_failed", errors: []string{"secret_ref.store: unknown store"}},
		{name: "unknown field", set: enabled, method: "PUT", path: path, body: `{"client_id":"42","secret_ref":{"store":"aws","config":{"role_arn":"r","secret_arn":"s"},"client_secret_field":"none"}}`, status: 400, code: "validation_failed", errors: []string{"secret_ref.client_secret_field: the store holds no such field"}},
		{name: "unknown id field", set: enabled, method: "PUT", path: path, body: `{"secret_ref":{"store":"aws","config":{"role_arn":"r","secret_arn":"s"},"client_id_field":"none"}}`, status: 400, code: "validation_failed", errors: []string{"secret_ref.client_id_field: the store holds no such field"}},
		{name: "unreachable store", set: func(s *Server) { enabled(s); s.SetSecretStore("aws", nil, false) }, method: "PUT", path: path, body: `{"client_id":"42","secret_ref":{"store":"aws","config":{"role_arn":"r","secret_arn":"s"}}}`, status: 503, code: "dependency_failed"},
		{name: "not for a login", set: func(s *Server) { enabled(s); s.Enable(devID, "virtuagym") }, method: "PUT", path: "/virtuagym/credentials", body: `{"client_id":"42","secret_ref":{"store":"aws","config":{"role_arn":"r","secret_arn":"s"}}}`, status: 422, code: "unsupported_operation"},
		{name: "secret in its place", set: reference, method: "PATCH", path: path, body: `{"client_secret":"x"}`, status: 200, would: "update"},
		{name: "secret in its place, said twice", set: reference, method: "PATCH", path: path, body: `{"client_secret":"x","secret_ref":null}`, status: 200, would: "update"},
		{name: "patch both", set: reference, method: "PATCH", path: path, body: `{"client_secret":"x","secret_ref":{"store":"aws","config":{"role_arn":"r","secret_arn":"s"}}}`, status: 400, code: "validation_failed", errors: []string{"client_secret: not together with secret_ref"}},
		{name: "the same", set: reference, method: "PATCH", path: path, body: `{"secret_ref":{"store":"aws","config":{"role_arn":"r","secret_arn":"s"}}}`, status: 200, would: "noop"},
		{name: "remove it", set: reference, method: "PATCH", path: path, body: `{"secret_ref":null}`, status: 400, code: "validation_failed", errors: []string{"client_secret: is required to take the place of secret_ref"}},
		{name: "another field", set: reference, method: "PATCH", path: path, body: `{"sandbox":true}`, status: 200, would: "update"},
	})
}

func TestCredentialsReadBack(t *testing.T) {
	mask, redirect, two := "****cret", "https://auth.example.com/auth/strava", "2"
	refMask := terra.SecretRefView{Store: "aws"}
	own := func(provider string) *terra.CredentialView {
		address := "https://access.tryterra.co/api/v2/auth/" + provider + "/oauth2"
		return &terra.CredentialView{ClientID: "42", SecretMask: &mask, RedirectURL: &address, OAuthVersion: &two}
	}
	for _, c := range []struct {
		name, provider string
		set            func(*Server)
		want           terra.Credentials
	}{
		{"own", "strava", ownStrava, terra.Credentials{HasCredentials: true, Credential: &terra.CredentialView{
			ClientID: "42", SecretMask: &mask, RedirectURL: &redirect, Sandbox: true, OAuthVersion: &two, HasVerificationSecret: true,
		}}},
		{"own, paused", "whoop", func(s *Server) {
			s.SetCredential(devID, "whoop", Credential{ClientID: "42", Secret: "first-secret"})
			s.Pause(devID, "whoop")
		}, terra.Credentials{HasCredentials: true, Credential: own("whoop")}},
		{"none", "strava", func(s *Server) { s.Enable(devID, "strava") }, terra.Credentials{}},
		{"Terra's", "polar", func(s *Server) { s.Enable(devID, "polar") }, terra.Credentials{TerraOwned: true}},
		{"own without a word about whose app", "polar", func(s *Server) {
			s.SetCredential(devID, "polar", Credential{ClientID: "42", Secret: "first-secret"})
		}, terra.Credentials{HasCredentials: true, Credential: own("polar")}},
		{"own, but back to Terra's", "polar", func(s *Server) {
			s.SetCredential(devID, "polar", Credential{ClientID: "42", Secret: "first-secret"})
			s.SetAuthVariant(devID, "polar", "standard")
		}, terra.Credentials{HasCredentials: true, TerraOwned: true}},
		{"own in use", "polar", func(s *Server) {
			s.SetCredential(devID, "polar", Credential{ClientID: "42", Secret: "first-secret"})
			s.SetAuthVariant(devID, "polar", "byo")
		}, terra.Credentials{HasCredentials: true, Credential: own("polar")}},
		{"own of a login", "virtuagym", func(s *Server) {
			s.SetCredential(devID, "virtuagym", Credential{ClientID: "42", Secret: "first-secret"})
		}, terra.Credentials{HasCredentials: true, Credential: &terra.CredentialView{ClientID: "42", SecretMask: &mask}}},
		{"no app at all", "samsung", func(s *Server) { s.Enable(devID, "samsung") }, terra.Credentials{}},
		{"in a store", "strava", reference, terra.Credentials{HasCredentials: true, Credential: &terra.CredentialView{
			ClientID: "42", RedirectURL: own("strava").RedirectURL, OAuthVersion: &two, SecretRef: &refMask,
		}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := scene(t, Config{})
			c.set(s)
			c.want.Provider = c.provider
			var have terra.Credentials
			do(t, s, sent{path: sources + "/" + c.provider + "/credentials"}).into(t, &have)
			if d := cmp.Diff(c.want, have); d != "" {
				t.Errorf("credentials (-want +got):\n%s", d)
			}
		})
	}
}
