package cli

import (
	"strings"
	"testing"

	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
	"github.com/terra-reconcile/terra-reconcile/internal/state"
)

// TestApproversAreKnownByTheirTokens, and a token that two have is nobody's: the one who
// holds it would count as two people.
func TestApproversAreKnownByTheirTokens(t *testing.T) {
	tokens := map[string]string{"JO": "token-of-jo", "KIM": "token-of-kim", "LEE": "token-of-both", "MAX": "token-of-both"}
	place := func(name string) config.Secret {
		return config.EnvSecret(name, func(name string) string { return tokens[name] })
	}
	people := map[string]config.Secret{"jo": place("JO"), "kim": place("KIM"), "lee": place("LEE"), "max": place("MAX")}
	for _, c := range []struct {
		name   string
		people map[string]config.Secret
		token  string
		want   string
		says   string
	}{
		{"without people the operating system tells", nil, "token-of-jo", "root-1000", ""},
		{"one of them", people, "token-of-jo", "jo", ""},
		{"another", people, "token-of-kim", "kim", ""},
		{"none given", people, "", "", "set yours in RECONCILE_APPROVER_TOKEN"},
		{"one that nobody has", people, "token-of-j", "", "set yours in RECONCILE_APPROVER_TOKEN"},
		{"one that two have", people, "token-of-both", "", "lee and max have one token in approvals.people"},
		{"somebody without a token", map[string]config.Secret{"jo": place("JO"), "ned": place("NED")}, "token-of-jo", "", "approvals.people.ned: read secret: environment variable NED is empty"},
		{"nobody has a token, none given", map[string]config.Secret{"ned": place("NED")}, "", "", "approvals.people.ned: read secret"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := reconciler{sources: sources{{config: config.Config{Approvals: config.Approvals{People: c.people}}}}}
			for range 20 { // the order of a map must not matter
				got, err := r.person(daemon.Approval{Token: c.token, Owner: "root-1000"})
				if got != c.want || (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
					t.Fatalf("got %q, %v, want %q, %q", got, err, c.want, c.says)
				}
				if err != nil && strings.Contains(err.Error(), "token-of") {
					t.Fatalf("the error quotes a token: %v", err)
				}
			}
		})
	}
}

// TestApprovalCountsPeopleWhereNoRunTells: as long as no run has told how many people an
// approval takes, it takes as many as the rule can ask for.
func TestApprovalCountsPeopleWhereNoRunTells(t *testing.T) {
	t.Parallel()
	r := reconciler{sources: sources{{config: config.Config{Approvals: config.Approvals{Required: 2}}}}}
	if got := r.approvedOf("production", state.Approval{By: []string{"jo"}}).Missing; got != 1 {
		t.Errorf("%d people are missing, want 1", got)
	}
	digits := strings.Repeat("a", 64)
	for _, given := range []string{digits, "sha256:" + digits} {
		if got, err := r.hashOf(daemon.Approval{Environment: "production", Hash: given}); err != nil || got != "sha256:"+digits {
			t.Errorf("%s: got %q, %v", given, got, err)
		}
	}
}

func TestEnvironmentAndProvider(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][2]string{"production/strava": {"production", "strava"}, "eu/production/strava": {"eu/production", "strava"}, "strava": {"", "strava"}, "eu/": {"eu", ""}} {
		if environment, provider := environmentAndProvider(text); environment != want[0] || provider != want[1] {
			t.Errorf("%s: got %q and %q", text, environment, provider)
		}
	}
}
