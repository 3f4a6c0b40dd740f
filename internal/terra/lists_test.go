package terra

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// book serves a list of n users in pages.
type book struct {
	n       int
	most    int  // the server's own maximum per page, 0 for none
	halve   bool // every page that is not the last loses half of its items
	oneHalf bool // only the first answer does

	answered int
}

func (b *book) answer(_ int, r *http.Request, _ string) (*http.Response, error) {
	limit, err := strconv.Atoi(r.URL.Query().Get("limit"))
	if err != nil {
		return nil, err
	}
	if b.most > 0 {
		limit = min(limit, b.most)
	}
	from, _ := strconv.Atoi(r.URL.Query().Get("cursor"))
	to := min(from+limit, b.n)
	next, more := "null", to < b.n
	if more {
		next = strconv.Quote(fmt.Sprint(to))
	}
	b.answered++
	if more && (b.halve || b.oneHalf && b.answered == 1) {
		to = from + (to-from)/2
	}
	var items []string
	for i := from; i < to; i++ {
		items = append(items, strings.Replace(userJSON, "u1", fmt.Sprint("u", i), 1))
	}
	return replyJSON(fmt.Sprintf(`{"data":[%s],"has_more":%v,"next_cursor":%s}`, strings.Join(items, ","), more, next)), nil
}

func TestCountUsers(t *testing.T) {
	for _, test := range []struct {
		book     book
		limit    int
		count    int
		exact    bool
		requests int
	}{
		{book{n: 0}, 1000, 0, true, 1},
		{book{n: 1}, 1000, 1, true, 1},
		{book{n: 100}, 1000, 100, true, 1},
		{book{n: 101}, 1000, 101, true, 2},
		{book{n: 999}, 1000, 999, true, 10},
		{book{n: 1000}, 1000, 1000, true, 10},
		{book{n: 1001}, 1000, 1000, false, 10},
		{book{n: 5000}, 1000, 1000, false, 10},
		{book{n: 5}, 1, 1, false, 1},
		{book{n: 70, most: 30}, 1000, 70, true, 4},
		{book{n: 450, oneHalf: true}, 1000, 450, true, 10},
	} {
		server := &fakeServer{answer: test.book.answer}
		count, exact, err := newClient(t, server).CountUsers(t.Context(), "dev-1", "strava", test.limit)
		if err != nil || count != test.count || exact != test.exact || len(server.requests()) != test.requests {
			t.Errorf("%+v: %d, %v, %v in %d requests; want %d, %v in %d",
				test.book, count, exact, err, len(server.requests()), test.count, test.exact, test.requests)
		}
	}
}

func TestListUsersStopsWhenAsked(t *testing.T) {
	server := &fakeServer{answer: (&book{n: 1000}).answer}
	seen := map[string]bool{}
	for u, err := range newClient(t, server).ListUsers(t.Context(), "dev-1", UserFilter{Provider: "strava", Active: ptr(true)}) {
		if err != nil {
			t.Fatal(err)
		}
		if seen[u.UserID] = true; len(seen) == 150 {
			break
		}
	}
	if len(seen) != 150 || len(server.requests()) != 2 {
		t.Errorf("%d users in %d requests", len(seen), len(server.requests()))
	}
	if got, want := server.requests()[1].target, "/api/v3/admin/environments/dev-1/users?active=true&cursor=100&limit=100&provider=strava"; got != want {
		t.Errorf("asked %s, want %s", got, want)
	}
}

func TestPartialLists(t *testing.T) {
	paged := func(data, more, next string) *http.Response {
		return replyJSON(`{"data":[` + data + `],"has_more":` + more + `,"next_cursor":` + next + `}`)
	}
	hundred := strings.TrimSuffix(strings.Repeat(userJSON+",", 100), ",")
	for name, test := range map[string]struct {
		server *fakeServer
		reason string
	}{
		"has_more without a cursor": {inTurn(with(paged(hundred, "true", "null"))), "no cursor"},
		"has_more, empty cursor":    {inTurn(with(paged(hundred, "true", `""`))), "no cursor"},
		"cursor without has_more":   {inTurn(with(paged(userJSON, "false", `"x"`))), "there is a cursor"},
		"empty page":                {inTurn(with(paged("", "true", `"x"`))), "an empty page"},
		"cursor in a circle":        {inTurn(with(paged(hundred, "true", `"x"`))), "back to an earlier page"},
		"half pages":                {&fakeServer{answer: (&book{n: 450, halve: true}).answer}, "shorter than asked for"},
	} {
		server := test.server
		count, exact, err := newClient(t, server).CountUsers(t.Context(), "dev-1", "strava", 1000)
		if !as[*PartialListError](err) || !strings.Contains(err.Error(), test.reason) || count != 0 || exact {
			t.Errorf("%s: %d, %v, %v", name, count, exact, err)
		}
		var last error
		for _, err := range newClient(t, server).ListUsers(t.Context(), "dev-1", UserFilter{}) {
			last = err
		}
		if !as[*PartialListError](last) {
			t.Errorf("%s: the walk ended with %v", name, last)
		}
	}
	for name, body := range map[string]string{
		"has_more": `{"data":[` + sourceJSON + `],"has_more":true,"next_cursor":null}`,
		"a cursor": `{"data":[` + sourceJSON + `],"has_more":false,"next_cursor":"x"}`,
	} {
		v, err := newClient(t, always(200, mediaJSON, body)).ListSources(t.Context(), "dev-1")
		var partial *PartialListError
		if !errors.As(err, &partial) || v != nil {
			t.Errorf("listSources with %s: %v, %v", name, v, err)
		}
	}
}

func TestUsersThatWereNotAskedFor(t *testing.T) {
	for name, user := range map[string]string{
		"inactive":         strings.Replace(userJSON, `"active":true`, `"active":false`, 1),
		"another provider": strings.Replace(userJSON, `"provider":"strava"`, `"provider":"whoop"`, 1),
	} {
		_, _, err := newClient(t, always(200, mediaJSON, list(userJSON, user))).CountUsers(t.Context(), "dev-1", "strava", 10)
		if !as[*BadAnswerError](err) {
			t.Errorf("%s: %v, want a BadAnswerError", name, err)
		}
	}
}

func TestUsersAreReadToTheEnd(t *testing.T) {
	server := &fakeServer{answer: func(n int, _ *http.Request, _ string) (*http.Response, error) {
		var items []string
		for i := range 100 {
			items = append(items, strings.Replace(userJSON, "u1", fmt.Sprintf("u-%d-%d", n, i), 1))
		}
		if n == 2 {
			return replyJSON(list(items[:7]...)), nil
		}
		return replyJSON(fmt.Sprintf(`{"data":[%s],"has_more":true,"next_cursor":"c%d"}`, strings.Join(items, ","), n)), nil
	}}
	count, exact, err := newClient(t, server).CountUsers(t.Context(), "dev-1", "strava", 1000)
	if err != nil || count != 207 || !exact {
		t.Errorf("%d end users, exact %v, %v; want 207", count, exact, err)
	}
}
