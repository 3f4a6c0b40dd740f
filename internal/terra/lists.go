package terra

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"strconv"
	"strings"
)

// pageSize is how many items of a list are asked for at a time.
const pageSize = 100

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

func listUsers(devID string, filter UserFilter) call {
	k := call{devID: devID, op: operation{
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

// collect reads a paged list to its end.
func collect[T any](ctx context.Context, c *Client, k call) ([]T, error) {
	all := []T{}
	for p, err := range pages[T](ctx, c, k) {
		if err != nil {
			return nil, err
		}
		all = append(all, p.Data...)
	}
	return all, nil
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
