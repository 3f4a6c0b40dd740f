package reconcile

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/terra"
	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// asked counts the questions about the token since the last look.
func (w *world) asked() int {
	n := 0
	for _, c := range w.terra.Log() {
		if c.Operation == "getMe" {
			n++
		}
	}
	w.terra.ResetLog()
	return n
}

func TestReportsWarnOfTheTokensEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.token = w.terra.AddToken(terratest.Token{ExpiresAt: w.now.Add(20 * 24 * time.Hour), GrantAnchorAt: w.now}).Bearer
	w.strava(secretA, "")
	if r := w.applied(); len(r.Warnings) != 0 && strings.Contains(warned(r.Warnings), "token") {
		t.Errorf("20 days ahead: got %q", r.Warnings)
	}
	w.now = w.now.Add(7 * 24 * time.Hour)
	const want = "token of account default: it expires on 2026-12-13 09:00 UTC (in 13 days); renew it, or create a new one in Terra's dashboard"
	for _, mode := range []report.Mode{report.DryRun, report.Apply} {
		if r := w.run(Run{Mode: mode}); !slices.Contains(strings.Split(warned(r.Warnings), "\n"), want) || r.ExitCode != report.ExitDone {
			t.Errorf("%s 13 days ahead: got exit %d, %q", mode, r.ExitCode, r.Warnings)
		}
	}
}

func TestTokenIsAskedAboutOnceADay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.terra.AddEnvironment("stag-1", terratest.EnvironmentOptions{})
	w.write("staging/environment.yaml", "dev_id: stag-1\nprune: never\n")
	w.write("staging/freestylelibre.yaml", "provider: freestylelibre\n")
	w.strava(secretA, "")
	w.apply()
	if got := w.asked(); got != 1 {
		t.Errorf("two environments with one token: asked %d times, want once", got)
	}
	w.now = w.now.Add(24*time.Hour - 1)
	w.apply()
	if got := w.asked(); got != 0 {
		t.Errorf("within a day: asked %d times, want none", got)
	}
	w.token = w.terra.AddToken(terratest.Token{ExpiresAt: w.now.Add(time.Hour)}).Bearer
	if r := w.apply(); !strings.Contains(warned(r.Warnings), "it expires on") || w.asked() != 1 {
		t.Errorf("another token: got %q, want it asked about at once", r.Warnings)
	}
	w.now = w.now.Add(24 * time.Hour)
	w.token = w.terra.AddToken(terratest.Token{}).Bearer
	w.dryRun()
	w.dryRun()
	if got := w.asked(); got != 2 {
		t.Errorf("two dry runs after a day: asked %d times, want once in each", got)
	}
}

// TestTokenThatWarnsIsAskedAboutAgain: it may have been renewed, which leaves its value as it was.
func TestTokenThatWarnsIsAskedAboutAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.terra.AddToken(terratest.Token{ExpiresAt: w.now.Add(72 * time.Hour), GrantAnchorAt: w.now})
	w.token, w.began = token.Bearer, w.now
	w.strava(secretA, "")
	for _, c := range []struct {
		name  string
		after time.Duration
		start bool
		asked int
	}{
		{"the first run", 0, false, 1},
		{"within the hour", time.Hour - 1, false, 0},
		{"after an hour", 1, false, 1},
		{"after a start", time.Minute, true, 1},
		{"once after it", time.Minute, false, 0},
	} {
		if w.now = w.now.Add(c.after); c.start {
			w.began = w.now
		}
		r := w.apply()
		if got := w.asked(); got != c.asked || !strings.Contains(warned(r.Warnings), "it expires on") {
			t.Errorf("%s: asked %d times, want %d; warned %q", c.name, got, c.asked, r.Warnings)
		}
	}
	w.terra.AddToken(terratest.Token{TokenID: token.TokenID, Bearer: token.Bearer, ExpiresAt: w.now.Add(60 * 24 * time.Hour), GrantAnchorAt: w.now})
	w.now = w.now.Add(time.Hour)
	if r := w.apply(); strings.Contains(warned(r.Warnings), "it expires on") || w.asked() != 1 || !r.Environments[0].TokenEnds.After(w.now.Add(59*24*time.Hour)) {
		t.Errorf("renewed: got %q, ends %s", r.Warnings, r.Environments[0].TokenEnds)
	}
	w.now, w.began = w.now.Add(time.Hour), w.now.Add(time.Hour)
	if w.apply(); w.asked() != 0 {
		t.Error("one that does not warn was asked about after an hour and a start")
	}
}

// What a token lacks is data: the names of scopes, beside the account whose token it is.
// The sentences of the report say of each what Terra's client says.
func TestMissingScopesAreNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.token = w.terra.AddToken(terratest.Token{Scopes: []string{"providers:read"}}).Bearer
	w.strava(secretA, "")
	r := w.run(Run{Mode: report.Apply})
	want := []string{"connections:read", "providers:write"}
	if e := r.Environments[0]; !slices.Equal(r.MissingScopes, want) || !slices.Equal(slices.Sorted(slices.Values(e.MissingScopes)), want) || e.Account != "default" {
		t.Fatalf("got %q, of account %s %q, want %q", r.MissingScopes, e.Account, e.MissingScopes, want)
	}
	var out strings.Builder
	if err := report.Text(&out, r, report.TextOptions{Width: 400}); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	for _, s := range terra.ReviewToken(terra.Me{}, nil, true, w.now).Missing {
		if has := slices.Contains(want, s.Scope); strings.Contains(text, "lacks the scope "+s.Scope+": "+s.Why+".") != has {
			t.Errorf("%s (%s) told: %t, want %t:\n%s", s.Scope, s.Why, !has, has, text)
		}
	}
}

// Whatever becomes of the question, the run goes on.
func TestTokenThatTellsNothingHoldsNothingUp(t *testing.T) {
	t.Parallel()
	for _, kind := range []terratest.Kind{terratest.Problem, terratest.BrokenJSON, terratest.Status500} {
		w := newWorld(t)
		w.options.MaxAttempts = 1
		w.strava(secretA, "")
		w.terra.Fault(terratest.Fault{Kind: kind, Status: http.StatusForbidden, Code: "access_denied", Operation: "getMe", Times: terratest.Always})
		r := w.applied()
		if len(r.Warnings) == 0 || !strings.HasPrefix(r.Warnings[len(r.Warnings)-1].Text, "token of account default: its end is unknown: ") {
			t.Errorf("%s: got %q", kind, r.Warnings)
		}
	}
}

// The connections are read while the question is still open.
func TestTokenIsAskedAboutBesideTheOtherReads(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.strava(secretA, "")
	w.applied()
	w.now = w.now.Add(24 * time.Hour)
	others := make(chan struct{})
	w.wrap = func(next http.RoundTripper) http.RoundTripper {
		return roundTrip(func(q *http.Request) (*http.Response, error) {
			if strings.HasSuffix(q.URL.Path, "/me") {
				select {
				case <-others:
				case <-q.Context().Done():
				}
			}
			r, err := next.RoundTrip(q)
			if strings.HasSuffix(q.URL.Path, "/credentials") && q.Method == http.MethodGet {
				close(others)
			}
			return r, err
		})
	}
	if r := w.apply(); r.ExitCode != report.ExitDone || len(r.Warnings) != 0 {
		t.Errorf("got exit %d, %q", r.ExitCode, r.Warnings)
	}
}
