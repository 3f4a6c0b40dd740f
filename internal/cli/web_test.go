package cli

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/internal/web"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

// TestApproverOf: a token is that of one person, or nobody's; also one that was replaced
// while the daemon runs, by one that reads or that somebody else has.
func TestApproverOf(t *testing.T) {
	t.Parallel()
	jo, kim, read := strings.Repeat("j", 32), strings.Repeat("k", 32), strings.Repeat("r", 32)
	for name, c := range map[string]struct {
		jo, kim, read string // as they are now
		given         string
		who           string
		fails         bool
	}{
		"jo's":                             {jo: jo, kim: kim, read: read, given: jo, who: "jo"},
		"nobody's":                         {jo: jo, kim: kim, read: read, given: "x"},
		"none":                             {jo: jo, kim: kim, read: read, given: ""},
		"the one that reads":               {jo: jo, kim: kim, read: read, given: read},
		"one that reads as well":           {jo: jo, kim: kim, read: jo, given: jo},
		"of two":                           {jo: jo, kim: jo, read: read, given: jo, fails: true},
		"a short one":                      {jo: "short", kim: kim, read: read, given: "short", fails: true},
		"where another is short":           {jo: "short", kim: kim, read: read, given: kim, who: "kim"},
		"where none can be told to read":   {jo: jo, kim: kim, read: "short", given: jo, fails: true},
		"an empty one, where hers is gone": {jo: "", kim: kim, read: read, given: "", fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			secret := func(text string) config.Secret { return config.EnvSecret("T", func(string) string { return text }) }
			conf := config.Config{Web: &config.Web{Read: secret(c.read)}, Approvals: config.Approvals{People: map[string]config.Secret{"jo": secret(c.jo), "kim": secret(c.kim)}}}
			who, err := approverOf(conf, c.given)
			if who != c.who || (err != nil) != c.fails {
				t.Errorf("%q, %v", who, err)
			}
			if err != nil && c.given != "" && strings.Contains(errors.Join(err).Error(), c.given+" ") {
				t.Errorf("the token is told: %v", err)
			}
		})
	}
}

// TestFileOfShowsNoSecret: what a page shows of a file is in words, and sealed stays sealed.
func TestFileOfShowsNoSecret(t *testing.T) {
	t.Parallel()
	const armor = "-----BEGIN AGE ENCRYPTED FILE-----\nYWdl"
	text := func(s string) spec.Field[string] { return spec.Field[string]{Presence: spec.Given, Value: s} }
	at := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	c := spec.Connection{Provider: "strava", File: "production/strava.yaml", State: spec.Paused, App: text("own"), Domain: spec.Field[string]{Presence: spec.Null},
		Credentials: spec.Credentials{ClientID: text("123"), Keys: []spec.Key{{Secret: spec.Secret{Armor: armor}}, {NotBefore: at.AddDate(0, 0, 9), Secret: spec.Secret{Armor: armor}}},
			VerificationSecret: spec.Field[spec.Secret]{Presence: spec.Given, Value: spec.Secret{Armor: armor}}},
		Options: map[string]spec.Option{"route": {Values: []string{"a", "b"}}}, Setup: map[string]spec.SetupStep{"app": {Value: "x", Done: at}, "callback_domain": {Value: "access.tryterra.co"}, "scopes": {}, "support": {State: "active", Fields: map[string]string{"ticket": "T-1"}}}}
	got := fileOf("production", c, at)
	var lines []string
	for _, f := range append(append([]web.Field{}, got.Fields...), got.Evidence...) {
		lines = append(lines, f.Name+": "+f.Value)
	}
	want := "state: paused\napp: own\nclient_id: 123\nclient_secret: key 1 of 2, sealed\nverification_secret: sealed\ndomain: Terra's default\noptions.route: a, b\nsetup app: x, done 2026-12-01\nsetup callback_domain: access.tryterra.co\nsetup scopes: nothing is recorded\nsetup support: active, ticket T-1"
	if text := strings.Join(lines, "\n"); text != want || strings.Contains(text, "YWdl") {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
}
