package terra

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// Me introspects the calling token. It needs no scope.
func (c *Client) Me(ctx context.Context) (Me, error) {
	return get[Me](ctx, c, call{op: operation{
		id: "getMe", method: http.MethodGet, path: "/me", does: "read the token's own record",
	}})
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

// pageSize is how many end users are asked for at a time. No other list has pages.
const pageSize = 100

// largestPage is the most that Terra lists in one answer.
const largestPage = 200

// maxPages bounds a list: 100,000 pages of 100 are ten million end users.
const maxPages = 100_000

// page is one answer of a list.
type page[T any] struct {
	Data       []T     `json:"data"`
	HasMore    bool    `json:"has_more"`
	NextCursor *string `json:"next_cursor"`
}

// next is the cursor of the page that follows, "" for none.
func (p page[T]) next() string {
	if p.NextCursor == nil {
		return ""
	}
	return *p.NextCursor
}

// ListUsers walks over the end users of an environment, newest first, page by
// page. An error ends the walk: what came before it is then not the whole list.
func (c *Client) ListUsers(ctx context.Context, devID string, filter UserFilter) iter.Seq2[UserConnection, error] {
	k := listUsers(devID, filter)
	return func(yield func(UserConnection, error) bool) {
		for p, err := range pages[UserConnection](ctx, c, k) {
			if err == nil {
				err = filter.check(k, p.Data)
			}
			if err != nil {
				yield(UserConnection{}, err)
				return
			}
			for _, u := range p.Data {
				if !yield(u, nil) {
					return
				}
			}
		}
	}
}

// CountUsers counts the active end users of a connection. It stops at limit, at
// least 1: then exact is false unless the list ends there too. On an error the
// count is unknown, which is not zero.
func (c *Client) CountUsers(ctx context.Context, devID, provider string, limit int) (count int, exact bool, err error) {
	active := true
	filter := UserFilter{Provider: provider, Active: &active}
	k := listUsers(devID, filter)
	if err := checkSegment("provider", provider); err != nil {
		return 0, false, fmt.Errorf("%s: %w", k.op.step(), err)
	}
	if limit < 1 {
		return 0, false, fmt.Errorf("%s: limit %d is below 1", k.op.step(), limit)
	}
	for p, err := range pages[UserConnection](ctx, c, k) {
		if err == nil {
			err = filter.check(k, p.Data)
		}
		if err != nil {
			return 0, false, err
		}
		count += len(p.Data)
		if count > limit || count == limit && p.HasMore {
			return limit, false, nil
		}
	}
	return count, true, nil
}

// CountAllUsers counts the active end users of every connection in one call, by provider
// in lower case; one that is not there has none. whole is false, and nothing was counted,
// where there are more than one call lists. On an error the counts are unknown.
func (c *Client) CountAllUsers(ctx context.Context, devID string) (counts map[string]int, whole bool, err error) {
	active := true
	filter := UserFilter{Active: &active}
	k := listUsers(devID, filter).withQuery("limit", strconv.Itoa(largestPage))
	p, err := get[page[UserConnection]](ctx, c, k)
	if err == nil {
		err = p.check(k, nil)
	}
	if err == nil {
		err = filter.check(k, p.Data)
	}
	if err != nil || p.HasMore {
		return nil, false, err
	}
	counts = map[string]int{}
	for _, u := range p.Data {
		counts[strings.ToLower(u.Provider)]++
	}
	return counts, true, nil
}

func listUsers(devID string, filter UserFilter) call {
	k := call{devID: devID, quiet: true, op: operation{
		id: "listUsers", method: http.MethodGet, path: "/environments/{dev_id}/users",
		does: "list end users of", scope: "connections:read",
	}}
	if filter.Provider != "" {
		k = k.withQuery("provider", filter.Provider)
		k.provider = filter.Provider
	}
	if filter.Active != nil {
		k = k.withQuery("active", strconv.FormatBool(*filter.Active))
	}
	return k
}

// check refuses users that were not asked for: a server that ignores the filter
// must not be counted on.
func (f UserFilter) check(k call, users []UserConnection) error {
	for i, u := range users {
		switch {
		case f.Provider != "" && !strings.EqualFold(u.Provider, f.Provider):
			return k.bad(http.StatusOK, fmt.Sprintf("data[%d].provider: not the one that was asked for", i))
		case f.Active != nil && u.Active != *f.Active:
			return k.bad(http.StatusOK, fmt.Sprintf("data[%d].active: not what was asked for", i))
		}
	}
	return nil
}

// whole reads a list that has no pages: has_more means that the rest cannot be
// had.
func whole[T any](ctx context.Context, c *Client, k call) ([]T, error) {
	p, err := get[page[T]](ctx, c, k)
	switch {
	case err != nil:
		return nil, err
	case p.HasMore || p.next() != "":
		return nil, k.partial("has_more is set, and this list has no pages")
	}
	return p.Data, nil
}

// pages walks a list page by page.
//
// A page that is shorter than asked for although more follows can be the server's
// own maximum or half an answer. It is asked for once more at the size it came in:
// a server with a smaller maximum then fills it, half an answer is short again.
func pages[T any](ctx context.Context, c *Client, k call) iter.Seq2[page[T], error] {
	return func(yield func(page[T], error) bool) {
		size, smaller := pageSize, false
		seen := map[string]struct{}{}
		for cursor := ""; len(seen) < maxPages; {
			ask := k.withQuery("limit", strconv.Itoa(size))
			if cursor != "" {
				ask = ask.withQuery("cursor", cursor)
			}
			p, err := get[page[T]](ctx, c, ask)
			if err == nil {
				err = p.check(k, seen)
			}
			if err == nil && p.HasMore && len(p.Data) < size {
				if !smaller {
					size, smaller = len(p.Data), true
					continue
				}
				err = k.partial("a page is shorter than asked for although more follow")
			}
			if err != nil {
				yield(page[T]{}, err)
				return
			}
			if !yield(p, nil) || !p.HasMore {
				return
			}
			cursor = p.next()
			seen[cursor] = struct{}{}
		}
		yield(page[T]{}, k.partial("it does not end"))
	}
}

// check refuses a page that contradicts itself or the pages before it.
func (p page[T]) check(k call, seen map[string]struct{}) error {
	next := p.next()
	_, again := seen[next]
	switch {
	case p.HasMore && next == "":
		return k.partial("more items follow, but the server gave no cursor to them")
	case p.HasMore && len(p.Data) == 0:
		return k.partial("an empty page although more follow")
	case p.HasMore && again:
		return k.partial("the cursor leads back to an earlier page")
	case !p.HasMore && next != "":
		return k.partial("has_more is not set, but there is a cursor")
	}
	return nil
}

func (k call) partial(reason string) *PartialListError {
	return &PartialListError{Operation: k.op.id, Action: k.action(), Reason: reason}
}
