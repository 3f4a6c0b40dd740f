package terra

import (
	"fmt"
	"slices"
	"time"
)

const (
	// TokenWarn is how long before an end everybody is warned.
	TokenWarn = 14 * 24 * time.Hour
	// grantWindow is how long, from its grant on, Terra lets a token be renewed.
	grantWindow = 90 * 24 * time.Hour
)

// TokenScope is a scope of the Admin API and what it means for us.
type TokenScope struct {
	Scope     string `json:"scope"`
	Why       string `json:"why"`
	Dangerous bool   `json:"dangerous"` // whoever has the token can do harm that we never do
}

// TokenReview is Terra's record of an admin token, judged for what a runner does.
type TokenReview struct {
	Missing     []TokenScope // without which something of ours does not work
	Surplus     []TokenScope // that we never use
	Unreachable []string     // dev-ids that the runner lets it touch and Terra does not
	WindowEnds  time.Time    // after which it cannot be renewed; zero: unknown
	Expired     bool
	Endings     []Ending // that are near or past
}

// Ending is an end that is near or past, and what to do about it.
type Ending struct{ What, Next string }

// ReviewToken judges a token. devIDs are those that the runner lets it touch, or
// "*"; writes tells whether the runner applies changes. It has no effect.
func ReviewToken(me Me, devIDs []string, writes bool, now time.Time) TokenReview {
	var out TokenReview
	needed := neededScopes(writes)
	for _, s := range needed {
		if !slices.Contains(me.Scopes, s.Scope) {
			out.Missing = append(out.Missing, s)
		}
	}
	for _, scope := range slices.Sorted(slices.Values(me.Scopes)) {
		if scope != "account:read" && !slices.ContainsFunc(needed, func(s TokenScope) bool { return s.Scope == scope }) {
			out.Surplus = append(out.Surplus, surplus(scope))
		}
	}
	for _, id := range devIDs {
		if id != "*" && me.DevIDs != nil && !slices.Contains(me.DevIDs, id) {
			out.Unreachable = append(out.Unreachable, id)
		}
	}
	if me.GrantAnchorAt != nil {
		out.WindowEnds = me.GrantAnchorAt.Add(grantWindow).UTC()
	}
	out.Expired = me.ExpiresAt != nil && !now.Before(*me.ExpiresAt)
	out.Endings = endings(me.ExpiresAt, out.WindowEnds, now)
	return out
}

// neededScopes are those without which something does not work. account:read
// lists environments, which only importing does; a token that is limited to
// environments cannot have it.
func neededScopes(writes bool) []TokenScope {
	needed := []TokenScope{
		{Scope: "providers:read", Why: "nothing can be compared"},
		{Scope: "connections:read", Why: "end users are not counted, so they are taken for some"},
	}
	if writes {
		needed = append(needed, TokenScope{Scope: "providers:write", Why: "nothing can be applied"})
	}
	return needed
}

// surplus says what a scope that we never use lets others do.
func surplus(scope string) TokenScope {
	dangerous := map[string]string{
		"billing:write": "it can change what you pay",
		"keys:write":    "it can replace the API keys of environments",
		"team:write":    "it can change who is in the team",
		"tokens:admin":  "it can make and end everybody's tokens",
		"tokens:write":  "it can make tokens",
	}
	if why, ok := dangerous[scope]; ok {
		return TokenScope{Scope: scope, Why: why, Dangerous: true}
	}
	sensitive := map[string]string{
		"keys:read":     "it shows API keys",
		"payloads:read": "it shows the data of end users",
	}
	if why, ok := sensitive[scope]; ok {
		return TokenScope{Scope: scope, Why: why, Dangerous: true}
	}
	return TokenScope{Scope: scope, Why: "never used here"}
}

// endings tells of ends within two weeks. Renewing helps only while the window is
// open and the token lives.
func endings(expires *time.Time, window, now time.Time) []Ending {
	var out []Ending
	if expires != nil && expires.Sub(now) < TokenWarn {
		next := "renew it, or create a new one in Terra's dashboard"
		if !window.IsZero() && !window.After(now) || !now.Before(*expires) {
			next = "create a new one in Terra's dashboard"
		}
		out = append(out, Ending{"it " + endsOn("expires", "expired", *expires, now), next})
	}
	if !window.IsZero() && window.Sub(now) < TokenWarn {
		out = append(out, Ending{"its window of 90 days for renewal " + endsOn("ends", "ended", window, now), "create a new one in Terra's dashboard"})
	}
	return out
}

func endsOn(present, past string, at, now time.Time) string {
	date := " on " + at.UTC().Format("2006-01-02 15:04 UTC")
	if !at.After(now) {
		return past + date
	}
	return present + date + " (" + Away(at.Sub(now)) + ")"
}

// Away says how far ahead, or past, something is: in days, within two in hours.
func Away(span time.Duration) string {
	text := fmt.Sprintf("%d days", int(span.Abs().Hours())/24)
	if span.Abs() < 48*time.Hour {
		text = fmt.Sprintf("%d h", int(span.Abs().Hours()))
	}
	if span <= 0 {
		return text + " ago"
	}
	return "in " + text
}
