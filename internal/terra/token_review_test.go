package terra_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/terra-reconcile/terra-reconcile/internal/terra"
)

func TestReviewToken(t *testing.T) {
	now := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	in := func(d time.Duration) *time.Time { at := now.Add(d); return &at }
	const day = 24 * time.Hour
	all := []string{"providers:read", "providers:write", "connections:read", "account:read"}
	for _, c := range []struct {
		name   string
		me     terra.Me
		devIDs []string
		reads  bool // the runner only compares
		want   string
	}{
		{name: "all is well", me: terra.Me{Scopes: all, ExpiresAt: in(14 * day), GrantAnchorAt: in(-76 * day)}, devIDs: []string{"*"}},
		{name: "account:read may be missing", me: terra.Me{Scopes: all[:3]}},
		{name: "nothing is there", me: terra.Me{}, want: "lacks providers:read, lacks connections:read, lacks providers:write"},
		{name: "comparing needs less", me: terra.Me{Scopes: all}, reads: true, want: "has providers:write"},
		{name: "too much", me: terra.Me{Scopes: append([]string{"tokens:admin", "payloads:read", "events:read"}, all...)},
			want: "has events:read, has payloads:read!, has tokens:admin!"},
		{name: "limited", me: terra.Me{Scopes: all, DevIDs: []string{"b", "c"}}, devIDs: []string{"a", "b"}, want: "cannot reach a"},
		{name: "reaches nothing", me: terra.Me{Scopes: all, DevIDs: []string{}}, devIDs: []string{"a"}, want: "cannot reach a"},
		{name: "limited, and the runner does not mind", me: terra.Me{Scopes: all, DevIDs: []string{"b"}}, devIDs: []string{"*"}},
		{name: "14 days less a moment", me: terra.Me{Scopes: all, ExpiresAt: in(14*day - 1), GrantAnchorAt: in(-10 * day)},
			want: "it expires on 2026-12-07 08:59 UTC (in 13 days); renew it, or create a new one in Terra's dashboard"},
		{name: "one hour", me: terra.Me{Scopes: all, ExpiresAt: in(90 * time.Minute)}, want: "it expires on 2026-11-23 10:30 UTC (in 1 h); renew it, or create a new one in Terra's dashboard"},
		{name: "expired", me: terra.Me{Scopes: all, ExpiresAt: in(0)}, want: "expired, it expired on 2026-11-23 09:00 UTC; create a new one in Terra's dashboard"},
		{name: "the window ends", me: terra.Me{Scopes: all, ExpiresAt: in(20 * day), GrantAnchorAt: in(-77 * day)},
			want: "its window of 90 days for renewal ends on 2026-12-06 09:00 UTC (in 13 days); create a new one in Terra's dashboard"},
		{name: "the window has ended", me: terra.Me{Scopes: all, ExpiresAt: in(5 * day), GrantAnchorAt: in(-90 * day)},
			want: "it expires on 2026-11-28 09:00 UTC (in 5 days); create a new one in Terra's dashboard, its window of 90 days for renewal ended on 2026-11-23 09:00 UTC; create a new one in Terra's dashboard"},
	} {
		r := terra.ReviewToken(c.me, c.devIDs, !c.reads, now)
		var got []string
		for _, s := range r.Missing {
			got = append(got, "lacks "+s.Scope)
		}
		for _, s := range r.Surplus {
			got = append(got, "has "+s.Scope+map[bool]string{true: "!"}[s.Dangerous])
		}
		for _, id := range r.Unreachable {
			got = append(got, "cannot reach "+id)
		}
		if r.Expired {
			got = append(got, "expired")
		}
		for _, end := range r.Endings {
			got = append(got, end.What+"; "+end.Next)
		}
		if diff := cmp.Diff(c.want, strings.Join(got, ", ")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}
