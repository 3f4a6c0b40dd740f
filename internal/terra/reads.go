package terra

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Me introspects the calling token. It needs no scope.
func (c *Client) Me(ctx context.Context) (Me, error) {
	return get[Me](ctx, c, call{op: operation{
		id: "getMe", method: http.MethodGet, path: "/me", does: "read the token's own record",
	}})
}

// ListEnvironments returns every environment of the account.
func (c *Client) ListEnvironments(ctx context.Context) ([]Environment, error) {
	k := call{op: operation{
		id: "listEnvironments", method: http.MethodGet, path: "/environments",
		does: "list environments", scope: "account:read",
	}}
	all, err := collect[Environment](ctx, c, k)
	if err != nil {
		return nil, err
	}
	return keep(all, k.unique(len(all), "dev_id", func(i int) string { return all[i].DevID }))
}

// GetEnvironment returns one environment with its masked keys.
func (c *Client) GetEnvironment(ctx context.Context, devID string) (Environment, error) {
	k := call{devID: devID, op: operation{
		id: "getEnvironment", method: http.MethodGet, path: "/environments/{dev_id}",
		does: "read settings of", scope: "account:read",
	}}
	e, err := get[Environment](ctx, c, k)
	if err == nil && e.DevID != devID {
		err = k.bad(http.StatusOK, "about another environment")
	}
	return keep(e, err)
}

// ListSourceTypes returns the catalogue of providers that the environment can
// enable.
func (c *Client) ListSourceTypes(ctx context.Context, devID string) ([]SourceType, error) {
	k := call{devID: devID, op: operation{
		id: "listSourceTypes", method: http.MethodGet, path: "/environments/{dev_id}/unified-api/source-types",
		does: "list providers of", scope: "providers:read",
	}}
	all, err := whole[SourceType](ctx, c, k)
	if err != nil {
		return nil, err
	}
	return keep(all, k.unique(len(all), "provider", func(i int) string { return all[i].Provider }))
}

// ListSources returns the enabled providers of the environment, paused ones
// included, in no particular order.
func (c *Client) ListSources(ctx context.Context, devID string) ([]Source, error) {
	k := call{devID: devID, op: operation{
		id: "listSources", method: http.MethodGet, path: "/environments/{dev_id}/unified-api/sources",
		does: "list connections of", scope: "providers:read",
	}}
	all, err := whole[Source](ctx, c, k)
	if err != nil {
		return nil, err
	}
	return keep(all, k.unique(len(all), "provider", func(i int) string { return all[i].Provider }))
}

// GetCredentials returns the connection's own app, its secret masked.
func (c *Client) GetCredentials(ctx context.Context, devID, provider string) (Credentials, error) {
	k := call{devID: devID, provider: provider, op: operation{
		id: "getSourceCredentials", method: http.MethodGet,
		path: "/environments/{dev_id}/unified-api/sources/{provider}/credentials",
		does: "read credentials of", scope: "providers:read",
	}}
	credentials, err := get[Credentials](ctx, c, k)
	if err == nil {
		err = k.about(http.StatusOK, credentials.Provider)
	}
	return keep(credentials, err)
}

// GetScopes returns every OAuth scope that the provider can request. A provider
// that is not enabled is a problem with the code not_found.
func (c *Client) GetScopes(ctx context.Context, devID, provider string) (SourceScopes, error) {
	k := call{devID: devID, provider: provider, op: operation{
		id: "getSourceScopes", method: http.MethodGet,
		path: "/environments/{dev_id}/unified-api/sources/{provider}/scopes",
		does: "read scopes of", scope: "providers:read",
	}}
	scopes, err := get[SourceScopes](ctx, c, k)
	if err == nil {
		err = k.about(http.StatusOK, scopes.Provider)
	}
	return keep(scopes, err)
}

// GetDomain returns the custom domain of the provider's redirect; false is none.
// Each call makes Terra probe DNS and TLS: poll no faster than every 5 s.
func (c *Client) GetDomain(ctx context.Context, devID, provider string) (SourceDomain, bool, error) {
	k := call{devID: devID, provider: provider, op: operation{
		id: "getSourceDomain", method: http.MethodGet,
		path: "/environments/{dev_id}/unified-api/sources/{provider}/domain",
		does: "read domain of", scope: "providers:read",
	}}
	domain, err := get[SourceDomain](ctx, c, k)
	if IsNotFound(err) {
		return SourceDomain{}, false, nil
	}
	if err == nil {
		err = k.about(http.StatusOK, domain.Provider)
	}
	domain, err = keep(domain, err)
	return domain, err == nil, err
}

// GetWebhookEndpoints reviews the webhook rows in the customer's Garmin apps. It
// can take a minute.
func (c *Client) GetWebhookEndpoints(ctx context.Context, devID, provider string) (WebhookEndpoints, error) {
	k := call{devID: devID, provider: provider, op: operation{
		id: "getSourceWebhookEndpoints", method: http.MethodGet,
		path: "/environments/{dev_id}/unified-api/sources/{provider}/webhook-endpoints",
		does: "review webhooks of", scope: "providers:read", slow: true,
	}}
	endpoints, err := get[WebhookEndpoints](ctx, c, k)
	if err == nil {
		err = k.about(http.StatusOK, endpoints.Provider)
	}
	return keep(endpoints, err)
}

// get makes a read of one document.
func get[T any](ctx context.Context, c *Client, k call) (T, error) {
	a, err := c.do(ctx, k)
	if err == nil && a.status != http.StatusOK {
		err = k.bad(a.status, "want 200")
	}
	if err != nil {
		var none T
		return none, err
	}
	return decode[T](k, a)
}

// keep returns v, or nothing of it when there is an error.
func keep[T any](v T, err error) (T, error) {
	if err != nil {
		var none T
		return none, err
	}
	return v, nil
}

// about refuses an answer for another provider than the one that was asked for.
func (k call) about(status int, provider string) error {
	if !strings.EqualFold(provider, k.provider) {
		return k.bad(status, "about another provider")
	}
	return nil
}

// unique refuses a list that holds the same name twice, or none.
func (k call) unique(n int, field string, name func(int) string) error {
	seen := make(map[string]struct{}, n)
	for i := range n {
		key := strings.ToLower(name(i))
		if key == "" {
			return k.bad(http.StatusOK, fmt.Sprintf("data[%d].%s: empty", i, field))
		}
		if _, twice := seen[key]; twice {
			return k.bad(http.StatusOK, fmt.Sprintf("data[%d].%s: the same as an earlier one", i, field))
		}
		seen[key] = struct{}{}
	}
	return nil
}

// withQuery returns the call with one more query parameter.
func (k call) withQuery(name, value string) call {
	query := url.Values{}
	for n, v := range k.query {
		query[n] = v
	}
	query.Set(name, value)
	k.query = query
	return k
}
