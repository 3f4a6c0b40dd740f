package terratest

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/terra-reconcile/terra-reconcile/internal/terra"
)

func TestRights(t *testing.T) {
	noon := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	s := scene(t, Config{Clock: func() time.Time { return noon }})
	s.AddEnvironment("dev-2", EnvironmentOptions{})
	s.AddEnvironment("dev-off", EnvironmentOptions{})
	s.DisableEnvironment("dev-off")
	s.AddEnvironment("dev-gone", EnvironmentOptions{})
	s.RemoveEnvironment("dev-gone")
	all := DaemonScopes()
	for _, token := range []Token{
		{Bearer: "terra_st_session"},
		{Bearer: "terra_dt_data"},
		{Bearer: "terra_at_old", ExpiresAt: noon},
		{Bearer: "terra_at_young", ExpiresAt: noon.Add(time.Second)},
		{Bearer: "terra_at_revoked"},
		{Bearer: "terra_at_reader", Scopes: []string{"providers:read"}},
		{Bearer: "terra_at_nothing", Scopes: []string{}},
		{Bearer: "terra_at_limited", Scopes: all, DevIDs: []string{"dev-2"}},
		{Bearer: "terra_at_nowhere", Scopes: all, DevIDs: []string{}},
	} {
		s.AddToken(token)
	}
	s.RevokeToken("terra_at_revoked")
	for _, c := range []struct {
		name, bearer, method, path string
		status                     int
		code, detail               string
	}{
		{"no token", "none", "GET", "/me", 401, "unauthorized", "missing"},
		{"unknown token", "terra_at_unknown", "GET", "/me", 401, "unauthorized", "not known"},
		{"revoked token", "terra_at_revoked", "GET", "/me", 401, "unauthorized", "not known"},
		{"data token", "terra_dt_data", "GET", "/me", 401, "unauthorized", "data token"},
		{"unknown data token", "terra_dt_unknown", "GET", "/me", 401, "unauthorized", "data token"},
		{"session token", "terra_st_session", "GET", "/me", 200, "", ""},
		{"expired", "terra_at_old", "GET", "/me", 401, "token_expired", "2026-11-23T12:00:00Z"},
		{"not expired yet", "terra_at_young", "GET", "/me", 200, "", ""},
		{"no scope needed", "terra_at_nothing", "GET", "/me", 200, "", ""},
		{"scope for reading", "terra_at_nothing", "GET", sources, 403, "scope_missing", "providers:read"},
		{"scope for writing", "terra_at_reader", "PUT", sources + "/strava", 403, "scope_missing", "providers:write"},
		{"scope for a dry run", "terra_at_reader", "PUT", sources + "/strava?dry_run=true", 403, "scope_missing", "providers:write"},
		{"scope for users", "terra_at_reader", "GET", "/environments/dev-1/users", 403, "scope_missing", "connections:read"},
		{"scope for the account", "terra_at_reader", "GET", "/environments", 403, "scope_missing", "account:read"},
		{"in the audience", "terra_at_limited", "GET", "/environments/dev-2/users", 200, "", ""},
		{"outside the audience", "terra_at_limited", "GET", sources, 403, "audience_restricted", "dev-1"},
		{"outside the audience, unknown", "terra_at_limited", "GET", "/environments/dev-9/users", 403, "audience_restricted", "dev-9"},
		{"empty audience", "terra_at_nowhere", "GET", sources, 403, "audience_restricted", "dev-1"},
		{"account with an audience", "terra_at_limited", "GET", "/environments", 403, "scope_missing", "account:read"},
		{"environment with an audience", "terra_at_limited", "GET", "/environments/dev-2", 403, "scope_missing", "account:read"},
		{"unknown environment", bearer, "GET", "/environments/dev-9/users", 404, "dev_id_not_found", "dev-9"},
		{"removed environment", bearer, "GET", "/environments/dev-gone/users", 404, "dev_id_not_found", "dev-gone"},
		{"disabled environment", bearer, "GET", "/environments/dev-off/users", 403, "environment_disabled", "dev-off"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := do(t, s, sent{method: c.method, path: c.path, bearer: c.bearer})
			wantStatus(t, g, c.status, c.code)
			if !strings.Contains(g.Detail, c.detail) {
				t.Errorf("detail: got %q, want it to name %q", g.Detail, c.detail)
			}
		})
	}
	if len(s.Effects()) != 0 {
		t.Errorf("got effects %v, want none", s.Effects())
	}
}

func TestMe(t *testing.T) {
	start := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	s := scene(t, Config{Clock: func() time.Time { return start }})
	end := start.Add(time.Hour)
	s.AddToken(Token{Bearer: "terra_at_limited", TokenID: "t", Name: "ci", DevIDs: []string{devID}, ExpiresAt: end})
	var me terra.Me
	do(t, s, sent{path: "/me", bearer: "terra_at_limited"}).into(t, &me)
	want := terra.Me{
		TokenID: "t", Kind: "admin", CustomerID: "customer-emulator", Name: "ci", CreatedVia: "emulator",
		Scopes: []string{"providers:read", "providers:write", "connections:read"}, DevIDs: []string{devID},
		ExpiresAt: &end, GrantAnchorAt: &start, LastUsedAt: &start,
	}
	if d := cmp.Diff(want, me); d != "" {
		t.Errorf("me (-want +got):\n%s", d)
	}
}

// TestStrictRequests sends what the contract does not describe.
func TestStrictRequests(t *testing.T) {
	s := scene(t, Config{})
	s.Enable(devID, "strava")
	for _, c := range []struct {
		name, method, path, body string
		status                   int
		errors                   []string
	}{
		{"typing error in dry_run", "DELETE", sources + "/strava?dryrun=true", "", 400, []string{"query: unknown parameter"}},
		{"dry_run that is no boolean", "DELETE", sources + "/strava?dry_run=1", "", 400, []string{"dry_run: must be true or false"}},
		{"empty dry_run", "DELETE", sources + "/strava?dry_run=", "", 400, []string{"dry_run: must be true or false"}},
		{"dry_run twice", "DELETE", sources + "/strava?dry_run=true&dry_run=false", "", 400, []string{"dry_run: given twice"}},
		{"dry_run before a semicolon", "DELETE", sources + "/strava?dry_run=true;x", "", 400, []string{"query: cannot be read"}},
		{"dry_run with a broken escape", "DELETE", sources + "/strava?dry_run=true%zz", "", 400, []string{"query: cannot be read"}},
		{"dry_run of a read", "GET", sources + "?dry_run=true", "", 400, []string{"query: unknown parameter"}},
		{"cursor where there are no pages", "GET", sources + "?cursor=x", "", 400, []string{"query: unknown parameter"}},
		{"body of a read", "GET", sources, "{}", 400, []string{"body: this operation takes none"}},
		{"body of a delete", "DELETE", sources + "/strava", "{}", 400, []string{"body: this operation takes none"}},
		{"limit of none", "GET", "/environments/dev-1/users?limit=0", "", 400, []string{"limit: must be a number of at least 1"}},
		{"limit in words", "GET", "/environments/dev-1/users?limit=all", "", 400, []string{"limit: must be a number of at least 1"}},
		{"cursor of nowhere", "GET", "/environments/dev-1/users?cursor=x", "", 400, []string{"cursor: not a cursor of this list"}},
		{"pages of environments", "GET", "/environments?limit=1", "", 400, []string{"query: unknown parameter"}},
		{"unknown provider of users", "GET", "/environments/dev-1/users?provider=nike", "", 400, []string{`provider: unknown provider "nike"`}},
		{"users that are perhaps active", "GET", "/environments/dev-1/users?active=maybe", "", 400, []string{"active: must be true or false"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := do(t, s, sent{method: c.method, path: c.path, body: c.body})
			wantStatus(t, g, c.status, "validation_failed")
			if d := cmp.Diff(c.errors, g.Errors); d != "" {
				t.Errorf("errors (-want +got):\n%s", d)
			}
		})
	}
	if len(s.Effects()) != 0 {
		t.Errorf("got effects %v, want none", s.Effects())
	}
}

func TestOutsideTheAPI(t *testing.T) {
	s := scene(t, Config{})
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/nothing", 404},
		{"GET", "/environments/dev-1/unified-api/sources/", 404},
		{"GET", "/environments//users", 404},
		{"DELETE", "/me", 405},
		{"POST", sources + "/strava", 405},
		{"GET", sources + "/batch-enable", 405},
	} {
		r := sent{method: c.method, path: c.path}.request(t, BaseURL)
		w, err := s.RoundTripper().RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		if kind := w.Header.Get("Content-Type"); w.StatusCode != c.status || !strings.HasPrefix(kind, "text/plain") {
			t.Errorf("%s %s: got %d %s, want a plain %d", c.method, c.path, w.StatusCode, kind, c.status)
		}
	}
	w, err := s.RoundTripper().RoundTrip(sent{path: "/me"}.request(t, "https://terra.invalid/api/v2"))
	if err != nil || w.StatusCode != http.StatusNotFound {
		t.Errorf("another base path: got %v %v, want 404", w, err)
	}
	if log := s.Log(); log[0].Operation != "" || log[0].Status != 404 {
		t.Errorf("log: got %+v", log[0])
	}
}

func TestPages(t *testing.T) {
	s := scene(t, Config{})
	for i := range 7 {
		s.AddEnvironment(fmt.Sprintf("more-%d", i), EnvironmentOptions{})
	}
	s.SetUsers(devID, "strava", 120, 30)
	s.SetUsers(devID, "whoop", 53, 0)
	for _, c := range []struct {
		path  string
		total int
		pages []int
	}{
		{"/environments", 8, []int{8}},
		{"/environments/dev-1/users?limit=1000", 203, []int{200, 3}},
		{"/environments/dev-1/users?provider=STRAVA&active=true", 120, []int{50, 50, 20}},
		{"/environments/dev-1/users?provider=strava&active=false", 30, []int{30}},
		{"/environments/dev-1/users?active=true&limit=100", 173, []int{100, 73}},
		{"/environments/dev-1/users?provider=polar", 0, []int{0}},
	} {
		var pages []int
		seen := map[string]bool{}
		path := c.path
		for {
			g := do(t, s, sent{path: path})
			wantStatus(t, g, http.StatusOK, "")
			pages = append(pages, len(g.Data))
			for _, raw := range g.Data {
				seen[string(raw)] = true
			}
			if g.HasMore != (g.Next != nil) {
				t.Fatalf("%s: has_more %v with cursor %v", path, g.HasMore, g.Next)
			}
			if !g.HasMore {
				break
			}
			separator := "?"
			if strings.Contains(c.path, "?") {
				separator = "&"
			}
			path = c.path + separator + "cursor=" + *g.Next
		}
		if d := cmp.Diff(c.pages, pages); d != "" || len(seen) != c.total {
			t.Errorf("%s: got pages %v with %d entries, want %v with %d", c.path, pages, len(seen), c.pages, c.total)
		}
	}
	next := do(t, s, sent{path: "/environments/dev-1/users?limit=5"}).Next
	g := do(t, s, sent{path: "/environments/dev-1/users?active=true&cursor=" + *next})
	wantStatus(t, g, 400, "validation_failed")
}

// Fewer active users are the same users, some of them now inactive.
func TestUsersKeepTheirIDs(t *testing.T) {
	s := scene(t, Config{})
	list := func(query string) map[string]bool {
		ids := map[string]bool{}
		for _, raw := range do(t, s, sent{path: "/environments/dev-1/users?" + query}).Data {
			var u terra.UserConnection
			got{body: string(raw)}.into(t, &u)
			ids[u.UserID] = u.Active
		}
		return ids
	}
	s.SetUsers(devID, "strava", 10, 0)
	before := list("provider=strava")
	s.SetUsers(devID, "strava", 4, 6)
	after := list("provider=strava")
	active := 0
	for id, on := range after {
		if _, ok := before[id]; !ok {
			t.Errorf("user %s is new", id)
		}
		if on {
			active++
		}
	}
	if len(after) != 10 || active != 4 || len(list("active=true")) != 4 {
		t.Errorf("got %d users, %d of them active, want 10 and 4", len(after), active)
	}
}

func TestRateLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := scene(t, Config{RateLimit: Rate{Calls: 2, Per: 10 * time.Second}})
		s.AddToken(Token{Bearer: "terra_at_other"})
		if g := do(t, s, sent{path: "/me"}); g.header.Get("X-RateLimit-Limit") != "" {
			t.Errorf("a read: got X-RateLimit headers %v", g.header)
		}
		time.Sleep(4 * time.Second)
		g := do(t, s, sent{method: "PUT", path: sources + "/strava"})
		limits := func(g got) [3]string {
			return [3]string{g.header.Get("X-RateLimit-Limit"), g.header.Get("X-RateLimit-Remaining"), g.header.Get("X-RateLimit-Reset")}
		}
		if got, want := limits(g), [3]string{"2", "0", "6"}; got != want {
			t.Errorf("a write: got %v, want %v", got, want)
		}
		for range 2 {
			g = do(t, s, sent{method: "PUT", path: sources + "/whoop"})
			wantStatus(t, g, 429, "rate_limited")
			if after := g.header.Get("Retry-After"); after != "6" {
				t.Errorf("Retry-After: got %s, want 6", after)
			}
		}
		wantStatus(t, do(t, s, sent{path: "/me", bearer: "terra_at_other"}), 200, "")
		time.Sleep(6 * time.Second)
		wantStatus(t, do(t, s, sent{method: "PUT", path: sources + "/whoop"}), 200, "")
	})
}

func TestRateLimitInEpochSeconds(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	s := scene(t, Config{RateLimit: Rate{Calls: 5, Epoch: true}, Clock: func() time.Time { return now }})
	g := do(t, s, sent{method: "PUT", path: sources + "/strava"})
	if got, want := g.header.Get("X-RateLimit-Reset"), strconv.FormatInt(now.Unix()+60, 10); got != want {
		t.Errorf("X-RateLimit-Reset: got %s, want %s", got, want)
	}
}

func TestNotices(t *testing.T) {
	s := scene(t, Config{})
	s.AddNotice("listSources", "first")
	s.AddNotice("listSources", "second")
	g := do(t, s, sent{path: sources})
	if d := cmp.Diff([]string{"first", "second"}, g.header["Terra-Notice"]); d != "" {
		t.Errorf("Terra-Notice (-want +got):\n%s", d)
	}
	if g := do(t, s, sent{path: "/me"}); g.header["Terra-Notice"] != nil {
		t.Errorf("another operation: got %v", g.header["Terra-Notice"])
	}
}
