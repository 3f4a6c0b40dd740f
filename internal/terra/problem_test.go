package terra

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestProblemFields(t *testing.T) {
	body := `{"type":"about:blank","title":"Validation failed","instance":"/x","code":"validation_failed","detail":"Two fields are wrong.",` +
		`"remediation":"Fix them.","errors":["client_id: unknown","sandbox: not for OAuth 1.0"]}`
	server := always(400, mediaProblem+"; charset=utf-8", body, "Retry-After", "3")
	_, err := newClient(t, server).GetScopes(t.Context(), "dev-1", "strava")
	var got *Problem
	if !errors.As(err, &got) {
		t.Fatalf("error %v", err)
	}
	want := &Problem{
		Status: 400, Code: CodeValidationFailed, Title: "Validation failed", Detail: "Two fields are wrong.", Remediation: "Fix them.",
		Errors: []string{"client_id: unknown", "sandbox: not for OAuth 1.0"}, Operation: "getSourceScopes",
		Action: "read scopes of dev-1/strava", RetryAfter: 3 * time.Second,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("problem (-want +got):\n%s", diff)
	}
}

// TestErrorTexts shows every message a person can get, in full.
func TestErrorTexts(t *testing.T) {
	problem := func(status int, code, rest string) *http.Response {
		return reply(status, mediaProblem, `{"type":"t","title":"A title","instance":"/x","code":"`+code+`"`+rest+`}`)
	}
	for _, test := range []struct {
		name   string
		answer func() (*http.Response, error)
		want   string
	}{
		{
			"detail, errors, remediation", with(problem(422, "unsupported_operation", `,"detail":"Not for this provider.","errors":["a: b","c: d"],"remediation":"Use another."`)),
			`read scopes of dev-1/strava: Terra says 422 unsupported_operation: Not for this provider: a: b; c: d; Terra says: "Use another"`,
		},
		{
			"scope in the detail", with(problem(403, CodeScopeMissing, `,"detail":"This needs connections:read."`)),
			"read scopes of dev-1/strava: Terra says 403 scope_missing: This needs connections:read; create a token with the scope connections:read in Terra's dashboard and give it to the runner",
		},
		{
			"scope of the operation", with(problem(403, CodeScopeMissing, "")),
			"read scopes of dev-1/strava: Terra says 403 scope_missing: A title; create a token with the scope providers:read in Terra's dashboard and give it to the runner",
		},
		{
			"expired", with(problem(401, CodeTokenExpired, "")),
			"read scopes of dev-1/strava: Terra says 401 token_expired: A title; create a new token in Terra's dashboard and give it to the runner",
		},
		{
			"unauthorized", with(problem(401, CodeUnauthorized, "")),
			"read scopes of dev-1/strava: Terra says 401 unauthorized: A title; check the token that the runner uses, or create a new one in Terra's dashboard",
		},
		{
			"audience", with(problem(403, CodeAudienceRestricted, "")),
			"read scopes of dev-1/strava: Terra says 403 audience_restricted: A title; use a token that may act on this dev_id",
		},
		{
			"environment unknown", with(problem(404, CodeDevIDNotFound, "")),
			"read scopes of dev-1/strava: Terra says 404 dev_id_not_found: A title; check dev_id in environment.yaml and the account it names",
		},
		{
			"environment disabled", with(problem(403, CodeEnvironmentDisabled, "")),
			"read scopes of dev-1/strava: Terra says 403 environment_disabled: A title; enable the environment in Terra's dashboard, or leave it out: a folder with _ before its name is not read",
		},
		{
			"no document", with(reply(403, "text/html", "<p>")),
			"read scopes of dev-1/strava: 403: forbidden, without a problem document; something before the admin API may have answered: check the base URL and the proxy",
		},
		{
			"unknown status", with(reply(499, "", "")),
			"read scopes of dev-1/strava: 499: an error without a problem document; something before the admin API may have answered: check the base URL and the proxy",
		},
		{
			"missed", with(reply(404, "text/html", "<p>")),
			"read scopes of dev-1/strava: the request missed the admin API (404 at https://terra.test/api/v3/admin/environments/dev-1/unified-api/sources/strava/scopes): check the base URL or the server's version",
		},
		{
			"redirect", with(reply(302, "", "", "Location", "https://login.example/")),
			"read scopes of dev-1/strava: unusable answer (302): a redirect, which is never followed (to login.example): check the base URL",
		},
		{
			"no rights", with(problem(403, CodeAccessDenied, "")),
			"read scopes of dev-1/strava: Terra says 403 access_denied: A title; use a token of somebody whose role allows it: a token has the rights of the person who made it",
		},
		{
			"no rights, explained", with(problem(403, CodeAccessDenied, `,"remediation":"Ask an owner."`)),
			`read scopes of dev-1/strava: Terra says 403 access_denied: A title; Terra says: "Ask an owner"`,
		},
		{
			"not in the plan", with(problem(403, CodeEntitlementRequired, `,"product":"custom_domains"`)),
			"read scopes of dev-1/strava: Terra says 403 entitlement_required: A title (product custom_domains); the plan of this Terra account does not include it: change the plan or ask Terra support, and leave it out of the files until then",
		},
		{
			"not in the plan, explained", with(problem(403, CodeEntitlementRequired, `,"remediation":"Upgrade to Scale."`)),
			`read scopes of dev-1/strava: Terra says 403 entitlement_required: A title; Terra says: "Upgrade to Scale"`,
		},
		{
			"server fault", with(problem(500, CodeInternalError, "")),
			"read scopes of dev-1/strava: Terra says 500 internal_error: A title; run again later, or ask Terra support if it lasts",
		},
		{
			"entitlements unreadable", with(problem(503, "authorization_unavailable", `,"remediation":"Try again in a minute."`)),
			`read scopes of dev-1/strava: Terra says 503 authorization_unavailable: A title; Terra says: "Try again in a minute"`,
		},
		{
			"gateway", with(reply(502, "text/html", "<p>")),
			"read scopes of dev-1/strava: 502: bad gateway, without a problem document; run again later, or ask Terra support if it lasts",
		},
		{
			"rate", with(problem(429, CodeRateLimited, "")),
			"read scopes of dev-1/strava: Terra says 429 rate_limited: A title; run again later, or ask Terra support if it lasts",
		},
		{
			"changed meanwhile", with(problem(409, CodeConflict, "")),
			"read scopes of dev-1/strava: Terra says 409 conflict: A title; run again: somebody else may have changed it meanwhile",
		},
		{
			"refused field", with(problem(400, CodeValidationFailed, `,"errors":["a: b"]`)),
			"read scopes of dev-1/strava: Terra says 400 validation_failed: A title: a: b",
		},
		{
			"web page", with(reply(200, "text/html", "<p>")),
			"read scopes of dev-1/strava: unusable answer (200): not application/json; something before the admin API may have answered: check the base URL and the proxy",
		},
		{
			"cut off", with(replyJSON(`{"x":`)),
			"read scopes of dev-1/strava: unusable answer (200): not JSON, or cut off; run again later",
		},
		{
			"no route", failing(noRoute()),
			"read scopes of dev-1/strava: no answer: dial: connection refused; check the base URL, the network and the proxy, or run again later",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			var err error
			took(t, func(t *testing.T) {
				_, err = newClient(t, inTurn(test.answer)).GetScopes(t.Context(), "dev-1", "strava")
			})
			if err == nil || err.Error() != test.want {
				t.Errorf("got\n  %v\nwant\n  %s", err, test.want)
			}
			if want := strings.Contains(test.want, "run again later") || strings.Contains(test.want, " 503 "); Passes(err) != want {
				t.Errorf("Passes: got %v, want %v of %v", !want, want, err)
			}
		})
	}
}

func TestTextsOfTheOtherErrors(t *testing.T) {
	for want, err := range map[string]error{
		"pause x: refused: this client is read-only (dry run)":                                                                                     &ReadOnlyError{Action: "pause x"},
		"list x: the list is incomplete: why; run again later":                                                                                     &PartialListError{Action: "list x", Reason: "why"},
		"prove dry_run: the server was not asked yet whether it honours dry_run":                                                                   &DryRunUnprovenError{},
		"prove dry_run: the server did not honour dry_run":                                                                                         &DryRunUnprovenError{Tried: true},
		"prove dry_run: x: Terra says 403 scope_missing":                                                                                           &DryRunUnprovenError{Tried: true, Err: &Problem{Action: "x", Status: 403, Code: CodeScopeMissing}},
		"compare client_secret of dev-1/strava: the server stopped honouring dry_run: may have been written: strava/client_secret":                 &MayHaveWrittenError{"dev-1", "strava", "client_secret"},
		"set x: sent, and whether it happened is unknown: no answer: reset":                                                                        &AmbiguousError{Action: "set x", Err: &ConnectionError{Action: "set x", Reason: "reset"}},
		"set x: sent, and whether it happened is unknown: 500 internal_error: T; run again later, or ask Terra support if it lasts":                &AmbiguousError{Action: "set x", Err: &Problem{Action: "set x", Status: 500, Code: CodeInternalError, Title: "T"}},
		"set x: sent, and whether it happened is unknown: unusable answer (200): empty":                                                            &AmbiguousError{Action: "set x", Err: &BadAnswerError{Action: "set x", Status: 200, Reason: "empty"}},
		"set x: sent, and whether it happened is unknown: the request missed the admin API (404 at u): check the base URL or the server's version": &AmbiguousError{Action: "set x", Err: &MissedAPIError{Action: "set x", Status: 404, Target: "u"}},
	} {
		if got := err.Error(); got != want {
			t.Errorf("got\n  %s\nwant\n  %s", got, want)
		}
	}
}

// TestApplyThatFailedHalfWay: which Garmin apps were written already is said.
func TestApplyThatFailedHalfWay(t *testing.T) {
	body := `{"type":"about:blank","title":"T","instance":"/x","code":"dependency_failed","detail":"Garmin did not answer","applied_app_ids":["app-1","app-2"]}`
	c := newClient(t, always(503, mediaProblem, body)) // not tried again: what was reviewed is no more
	_, err := c.ApplyWebhookEndpoints(t.Context(), "dev-1", "garmin", WebhookApply{Fingerprint: "f"}, "k")
	var p *Problem
	if !errors.As(err, &p) || len(p.AppliedAppIDs) != 2 || !strings.Contains(err.Error(), "written before it failed: the webhooks of app-1, app-2") {
		t.Errorf("%v, %+v", err, p)
	}
}

func TestManyFieldErrorsAreCut(t *testing.T) {
	body := `{"type":"t","title":"T","instance":"/x","code":"validation_failed","errors":["x: y"` + strings.Repeat(`,"x: y"`, 99) + `]}`
	_, err := newClient(t, always(400, mediaProblem, body)).Me(t.Context())
	var p *Problem
	if !errors.As(err, &p) || len(p.Errors) != maxProblemErrors+1 || p.Errors[maxProblemErrors] != "and 80 more" {
		t.Errorf("%+v", err)
	}
}

func TestHelpers(t *testing.T) {
	found := &Problem{Status: 404, Code: CodeNotFound}
	for name, test := range map[string]struct {
		err  error
		want bool
	}{
		"not_found":  {found, true},
		"wrapped":    {errors.Join(errors.New("x"), found), true},
		"nil":        {nil, false},
		"dev_id":     {&Problem{Status: 404, Code: CodeDevIDNotFound}, false},
		"plain 404":  {&Problem{Status: 404}, false},
		"missed API": {&MissedAPIError{Status: 404}, false},
		"ambiguous":  {&AmbiguousError{Err: found}, false},
	} {
		if got := IsNotFound(test.err); got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}
