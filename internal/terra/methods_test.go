package terra

import (
	"errors"
	"testing"

	"github.com/terra-reconcile/terra-reconcile/secrets"
)

// method is one way into the client, with an answer that it accepts.
type method struct {
	name, operation string
	write           bool
	status          int
	body            string
	sends           string // method, target, body
	call            func(*testing.T, *Client) error
}

const (
	env  = "/environments/dev-1"
	srcs = env + "/unified-api/sources"
	one  = srcs + "/strava"
)

// methods lists every call of the client but the two that dry-run.
func methods() []method {
	return append(readMethods(), writeMethods()...)
}

func readMethods() []method {
	return []method{
		{"Me", "getMe", false, 200, meJSON, "GET /me", func(t *testing.T, c *Client) error {
			v, err := c.Me(t.Context())
			return need(err, v.TokenID == "t1" && v.ExpiresAt != nil && v.LastUsedAt == nil)
		}},
		{"ListSourceTypes", "listSourceTypes", false, 200, list(sourceTypeJSON), "GET " + env + "/unified-api/source-types", func(t *testing.T, c *Client) error {
			v, err := c.ListSourceTypes(t.Context(), "dev-1")
			return need(err, len(v) == 1 && v[0].BYOSupported && v[0].Setup == nil)
		}},
		{"ListSources", "listSources", false, 200, list(sourceJSON), "GET " + srcs, func(t *testing.T, c *Client) error {
			v, err := c.ListSources(t.Context(), "dev-1")
			return need(err, len(v) == 1 && v[0].Active && v[0].AuthVariant == "byo")
		}},
		{"GetCredentials", "getSourceCredentials", false, 200, credentialsJSON, "GET " + one + "/credentials", func(t *testing.T, c *Client) error {
			v, err := c.GetCredentials(t.Context(), "dev-1", "strava")
			own := v.Credential
			return need(err, own != nil && own.SecretMask != nil && *own.SecretMask == "****cret" && own.SecretRef != nil && own.SecretRef.ClientIDField == nil)
		}},
		{"GetScopes", "getSourceScopes", false, 200, scopesJSON, "GET " + one + "/scopes", func(t *testing.T, c *Client) error {
			v, err := c.GetScopes(t.Context(), "dev-1", "strava")
			return need(err, len(v.Scopes) == 1 && v.Scopes[0].Required)
		}},
		{"GetDomain", "getSourceDomain", false, 200, domainJSON, "GET " + one + "/domain", func(t *testing.T, c *Client) error {
			v, found, err := c.GetDomain(t.Context(), "dev-1", "strava")
			return need(err, found && v.DNSRecord.Value == "192.0.2.1")
		}},
		{"GetWebhookEndpoints", "getSourceWebhookEndpoints", false, 200, webhooksJSON, "GET " + one + "/webhook-endpoints", func(t *testing.T, c *Client) error {
			v, err := c.GetWebhookEndpoints(t.Context(), "dev-1", "strava")
			return need(err, len(v.Entries) == 1 && v.Entries[0].Action == "set")
		}},
		{"CountUsers", "listUsers", false, 200, list(userJSON), "GET " + env + "/users?active=true&limit=100&provider=strava", func(t *testing.T, c *Client) error {
			n, exact, err := c.CountUsers(t.Context(), "dev-1", "strava", 1000)
			return need(err, n == 1 && exact)
		}},
		{"ListUsers", "listUsers", false, 200, list(userJSON), "GET " + env + "/users?limit=100", func(t *testing.T, c *Client) error {
			n := 0
			for u, err := range c.ListUsers(t.Context(), "dev-1", UserFilter{}) {
				if err != nil || u.UserID != "u1" {
					return need(err, false)
				}
				n++
			}
			return need(nil, n == 1)
		}},
	}
}

func writeMethods() []method {
	return []method{
		{"BatchEnable", "batchEnableSources", true, 200, `{"data":[` + sourceJSON + `]}`, `POST ` + srcs + `/batch-enable {"providers":["strava"]}`, func(t *testing.T, c *Client) error {
			v, err := c.BatchEnable(t.Context(), "dev-1", []string{"strava"}, "key-1")
			return need(err, len(v) == 1 && v[0].Provider == "strava")
		}},
		{"EnableSource", "enableSource", true, 200, sourceJSON, "PUT " + one, func(t *testing.T, c *Client) error {
			v, err := c.EnableSource(t.Context(), "dev-1", "strava", "key-1")
			return need(err, v.Active)
		}},
		{"UpdateSource", "updateSource", true, 200, sourceJSON, `PATCH ` + one + ` {"active":false}`, func(t *testing.T, c *Client) error {
			v, err := c.UpdateSource(t.Context(), "dev-1", "strava", SourceUpdate{Active: ptr(false)}, "key-1")
			return need(err, v.Provider == "strava")
		}},
		{"DisableSource", "disableSource", true, 204, "", "DELETE " + one, func(t *testing.T, c *Client) error {
			return c.DisableSource(t.Context(), "dev-1", "strava", "key-1")
		}},
		{
			"SetCredentials", "setSourceCredentials", true, 200, credentialsJSON,
			`PUT ` + one + `/credentials {"client_id":"123","client_secret":"s3cret-value","redirect_url":"https://a.example/x","sandbox":true,"verification_secret":"verify-me"}`,
			func(t *testing.T, c *Client) error {
				v, err := c.SetCredentials(t.Context(), "dev-1", "strava", CredentialWrite{
					ClientID: "123", ClientSecret: secret("s3cret-value"), RedirectURL: ptr("https://a.example/x"),
					VerificationSecret: secret("verify-me"), Sandbox: ptr(true),
				}, "key-1")
				return need(err, v.HasCredentials)
			},
		},
		{
			"UpdateCredentials", "updateSourceCredentials", true, 200, credentialsJSON,
			`PATCH ` + one + `/credentials {"client_secret":"a\"b\u003c\u0026é","redirect_url":null,"verification_secret":null}`,
			func(t *testing.T, c *Client) error {
				_, err := c.UpdateCredentials(t.Context(), "dev-1", "strava", CredentialPatch{
					ClientSecret: secret(`a"b<&é`), RedirectURL: Null[string](), VerificationSecret: Null[secrets.Value](),
				}, "key-1")
				return err
			},
		},
		{"SetScopes", "setSourceScopes", true, 200, scopesJSON, `PUT ` + one + `/scopes {"scopes":[]}`, func(t *testing.T, c *Client) error {
			_, err := c.SetScopes(t.Context(), "dev-1", "strava", nil, "key-1")
			return err
		}},
		{"ResetScopes", "resetSourceScopes", true, 204, "", "DELETE " + one + "/scopes", func(t *testing.T, c *Client) error {
			return c.ResetScopes(t.Context(), "dev-1", "strava", "key-1")
		}},
		{"SetDomain", "setSourceDomain", true, 201, domainJSON, `PUT ` + one + `/domain {"hostname":"auth.acme.example"}`, func(t *testing.T, c *Client) error {
			v, err := c.SetDomain(t.Context(), "dev-1", "strava", "auth.acme.example", "key-1")
			return need(err, v.Serving)
		}},
		{"DeleteDomain", "deleteSourceDomain", true, 204, "", "DELETE " + one + "/domain", func(t *testing.T, c *Client) error {
			return c.DeleteDomain(t.Context(), "dev-1", "strava", "key-1")
		}},
		{
			"ApplyWebhookEndpoints", "applySourceWebhookEndpoints", true, 202, appliedJSON,
			`POST ` + one + `/webhook-endpoints/apply {"fingerprint":"f1","acknowledge_replacing_existing":true}`,
			func(t *testing.T, c *Client) error {
				v, err := c.ApplyWebhookEndpoints(t.Context(), "dev-1", "strava", WebhookApply{Fingerprint: "f1", AcknowledgeReplacingExisting: true}, "key-1")
				return need(err, len(v.AppliedAppIDs) == 1)
			},
		},
	}
}

func need(err error, ok bool) error {
	if err == nil && !ok {
		return errors.New("the answer was not decoded as it stands")
	}
	return err
}
