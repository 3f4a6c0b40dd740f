package reconcile

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

const (
	garminID       = "0a1b2c3d-0000-4000-8000-0123456789ab"
	garminDomain   = "garmin.acme.example"
	garminRedirect = "https://" + garminDomain + "/auth/garmin/oauth2"
	garminFile     = "  redirect_url: " + garminRedirect + "\ndomain: " + garminDomain + "\nwebhooks: managed\n"
	garminSetup    = "setup:\n  review: {done: 2026-08-01}\n  oauth2_app: {done: 2026-08-01}\n  custom_domain: {value: " + garminDomain + "}\n"
)

// garminReady is a world whose Garmin connection has its keys and a custom
// domain that serves; only the webhooks are not applied.
func garminReady(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.own("garmin", garminID, secretA, garminFile+garminSetup)
	w.terra.Enable(devID, "garmin")
	w.terra.SetDomain(devID, "garmin", garminDomain)
	w.terra.SetCredential(devID, "garmin", terratest.Credential{
		ClientID: garminID, Secret: secretA, RedirectURL: "https://" + garminDomain + "/auth/garmin/oauth2",
	})
	return w
}

// TestGarminFromNothing goes the whole way: enable, domain, DNS, keys with the
// redirect on the domain, webhooks under the fingerprint that was reviewed.
func TestGarminFromNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.own("garmin", garminID, secretA, garminFile+garminSetup)
	r := w.apply()
	if got := warned(r.Environments[0].Warnings); !strings.Contains(got, "the record that Terra asks for: A "+garminDomain+" 203.0.113.10") {
		t.Errorf("nobody is told what to publish:\n%s", got)
	}
	expectGate(t, w.change(w.dryRun(), "garmin:apply-webhooks"), plan.Waiting, "order")
	w.terra.PublishDNS(garminDomain)
	w.terra.Serve(garminDomain)
	for range 3 {
		r = w.apply()
	}
	if r.ExitCode != report.ExitDone {
		t.Fatalf("exit %d\n%s", r.ExitCode, w.show(r))
	}
	live := w.terra.Live(devID).Sources["garmin"]
	if len(live.Webhooks) != 10 {
		t.Fatalf("%d webhook rows, want 10", len(live.Webhooks))
	}
	for id, row := range live.Webhooks {
		if !strings.HasPrefix(row.URL, "https://"+garminDomain+"/hooks/garmin/push/") || !row.Enabled || row.UploadType != "push" {
			t.Errorf("row %s = %+v", id, row)
		}
	}
	if live.Credential == nil || live.Credential.RedirectURL != "https://"+garminDomain+"/auth/garmin/oauth2" {
		t.Errorf("credential = %+v", live.Credential)
	}
	w.inSync()
	t.Logf("COUNT garmin_rows=%d", len(live.Webhooks))
}

func TestGarminAppliesOnlyWhatWasReviewed(t *testing.T) {
	t.Parallel()
	w := garminReady(t)
	w.terra.SetUsers(devID, "garmin", 7, 0)
	changed := false
	w.wrap = func(next http.RoundTripper) http.RoundTripper {
		return roundTrip(func(q *http.Request) (*http.Response, error) {
			if strings.HasSuffix(q.URL.Path, "/webhook-endpoints/apply") && !changed {
				changed = true // somebody edits a row between the review and the apply
				w.terra.SetWebhookRow(garminID, "dailiesUrl", terratest.WebhookRow{URL: "https://other.example/x", Enabled: true, UploadType: "push"})
			}
			return next.RoundTrip(q)
		})
	}
	r := w.apply()
	c := w.change(r, "garmin:apply-webhooks")
	if c.Outcome != report.Failed || !strings.Contains(c.Error, "412") {
		t.Errorf("outcome %q (%s), want failed with 412", c.Outcome, c.Error)
	}
	if got := w.terra.Live(devID).Sources["garmin"].Webhooks["dailiesUrl"].URL; got != "https://other.example/x" {
		t.Errorf("a row that nobody reviewed was replaced: %q", got)
	}
	w.wrap = nil
	r = w.dryRun() // other people's endpoints are there now: replacing them disturbs
	if c = w.change(r, "garmin:apply-webhooks"); c.Class == plan.Safe {
		t.Errorf("replacing existing webhooks is %s", c.Class)
	}
}

// TestGarminRowsAreReviewedAfterARotation sets a new secret, and finds the row that the
// reset in Garmin's portal took away.
func TestGarminRowsAreReviewedAfterARotation(t *testing.T) {
	t.Parallel()
	w := garminReady(t)
	w.apply()
	w.terra.AcceptPair("garmin", garminID, secretB)
	w.own("garmin", garminID, secretB, garminFile+garminSetup)
	r := w.apply()
	if c := w.change(r, "garmin:rotate-secret"); c.Outcome != report.Applied {
		t.Fatalf("outcome %q, %s\n%s", c.Outcome, c.GateReason, w.show(r))
	}
	expectText(t, warned(r.Environments[0].Warnings), "the next run reviews Garmin's webhook rows again")
	w.inSync()
	w.terra.SetWebhookRow(garminID, "dailiesUrl", terratest.WebhookRow{})
	w.now = w.now.Add(time.Hour) // Garmin locks the rows for some minutes after each save
	if c := w.change(w.apply(), "garmin:apply-webhooks"); c.Outcome != report.Applied {
		t.Errorf("outcome %q, %s", c.Outcome, c.GateReason)
	}
	if row := w.terra.Live(devID).Sources["garmin"].Webhooks["dailiesUrl"]; !row.Enabled {
		t.Errorf("row = %+v", row)
	}
	w.inSync()
}

// TestOutageAtGarminRejectsNoKey: Terra refuses a new key because Garmin does, and the live
// one as well: that says nothing of either, however often it is heard. The same where the
// live one is accepted rejects the new one.
func TestOutageAtGarminRejectsNoKey(t *testing.T) {
	t.Parallel()
	for _, outage := range []bool{true, false} {
		w := garminReady(t)
		w.own("garmin", garminID, secretA, garminSetup)
		w.terra.AcceptPair("garmin", garminID, secretA)
		w.applied()
		w.own("garmin", garminID, secretB, garminSetup)
		if outage {
			w.terra.RejectPair("garmin", garminID, secretA)
		}
		for range 8 {
			w.apply()
			w.now = w.now.Add(7 * time.Minute)
		}
		if k := w.keyStatus(w.apply()); (len(k.Rejected) == 0) != outage || len(k.Rejected)+len(k.Unconfirmed) != 1 {
			t.Errorf("an outage: %t, and it is %s: rejected %+v, unconfirmed %+v", outage, k.State, k.Rejected, k.Unconfirmed)
		}
		w.terra.AcceptPair("garmin", garminID, secretB)
		w.now = w.now.Add(24 * time.Hour)
		w.expectExit(w.apply(), report.ExitDone)
		if live := w.terra.Live(devID).Sources["garmin"].Credential.Secret; live != secretB {
			t.Errorf("an outage: %t, and the key is not live after it", outage)
		}
	}
}

// TestRowOfAnUnknownWordIsNotWritten: what Terra says of a row is a word that nobody here
// knows. An apply may never end that, so none is tried.
func TestRowOfAnUnknownWordIsNotWritten(t *testing.T) {
	t.Parallel()
	w := garminReady(t)
	w.applied()
	w.terra.ResetLog()
	w.wrap = func(next http.RoundTripper) http.RoundTripper {
		return roundTrip(func(q *http.Request) (*http.Response, error) {
			response, err := next.RoundTrip(q)
			if err == nil && strings.HasSuffix(q.URL.Path, "/webhook-endpoints") {
				body, _ := io.ReadAll(response.Body)
				body = bytes.Replace(body, []byte(`"action":"ok"`), []byte(`"action":"renew"`), 1)
				response.Body, response.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
				response.Header.Del("Content-Length")
			}
			return response, err
		})
	}
	for range 3 {
		w.now = w.now.Add(time.Hour)
		n := w.apply().Environments[0].NotCompared
		if len(n) != 1 || n[0].Field != plan.FieldWebhooks || !strings.Contains(n[0].Reason, `"renew", a word that this version does not know`) {
			t.Errorf("not compared: %+v", n)
		}
	}
	if n := len(w.terra.Writes()); n != 0 {
		t.Errorf("%d writes", n)
	}
}

func TestGarminRowsAreLockedAfterASave(t *testing.T) {
	t.Parallel()
	w := garminReady(t)
	w.terra.SetWebhookRow(garminID, "dailiesUrl", terratest.WebhookRow{})
	w.terra.LockWebhooks(garminID)
	r := w.apply()
	c := w.change(r, "garmin:apply-webhooks")
	expectGate(t, c, plan.Waiting, "order")
	if !strings.Contains(c.GateReason, "few minutes") || r.ExitCode != report.ExitDone {
		t.Errorf("exit %d, %s", r.ExitCode, c.GateReason)
	}
	w.now = w.now.Add(4 * time.Minute)
	if c := w.change(w.apply(), "garmin:apply-webhooks"); c.Outcome != report.Applied {
		t.Errorf("after the lock: %q %s", c.Outcome, c.GateReason)
	}
}

// TestSeveralGarminAppsAreAppliedInTheEnd: an apply that fails half way is said with the
// apps that it wrote, and the rest follows from a new review.
func TestSeveralGarminAppsAreAppliedInTheEnd(t *testing.T) {
	t.Parallel()
	w := garminReady(t)
	w.terra.AddGarminApp(devID, "second-app")
	w.terra.FailWebhookApply(1)
	r := w.apply()
	c := w.change(r, "garmin:apply-webhooks")
	if c.Outcome != report.Failed || !strings.Contains(c.Error, "written before it failed: the webhooks of "+garminID) || r.ExitCode != report.ExitFailed {
		t.Errorf("exit %d, %s %q", r.ExitCode, c.Outcome, c.Error)
	}
	expectGate(t, w.change(w.apply(), "garmin:apply-webhooks"), plan.Waiting, "order") // Garmin locks the rows after a save
	w.now = w.now.Add(4 * time.Minute)
	w.applied()
	if more := w.terra.Live(devID).Sources["garmin"].MoreWebhooks; len(more) != 1 || len(more[0]) != 10 {
		t.Errorf("the second app has %d", len(more))
	}
}

// moveWebhooks points Garmin's webhooks elsewhere, as a person does in Garmin's portal:
// Terra keeps a domain while they point at it.
func moveWebhooks(w *world) {
	for row, r := range w.terra.Live(devID).Sources["garmin"].Webhooks {
		r.URL = "https://elsewhere.acme.example/" + row
		w.terra.SetWebhookRow(garminID, row, r)
	}
}

// TestDomainWaitsForGarminsWebhooks: Terra refuses to release a domain that Garmin's
// webhooks point at. That is no failure: it is released by the run after they moved.
func TestDomainWaitsForGarminsWebhooks(t *testing.T) {
	t.Parallel()
	w := garminReady(t)
	w.applied()
	w.own("garmin", garminID, secretA, "  redirect_url: null\ndomain: null\n"+garminSetup)
	r := w.apply()
	c := w.change(r, "garmin:release-domain")
	if c.Outcome != report.Waiting || !strings.Contains(c.Error, "Garmin's webhooks point at") || r.ExitCode == report.ExitFailed {
		t.Errorf("exit %d, %s, %q", r.ExitCode, c.Outcome, c.Error)
	}
	moveWebhooks(w)
	if c := w.change(w.apply(), "garmin:release-domain"); c.Outcome != report.Applied {
		t.Errorf("after they moved: %s, %q", c.Outcome, c.Error)
	}
	w.inSync()
}

// TestDomainIsNotReleasedUnderItsOwnRedirect: Terra would release it all the same, and
// nobody could finish to sign in.
func TestDomainIsNotReleasedUnderItsOwnRedirect(t *testing.T) {
	t.Parallel()
	for name, file := range map[string]string{
		"the file says nothing of it": "domain: null\n",
		"the file keeps it":           "  redirect_url: https://strava.acme.example/auth/strava\ndomain: null\n",
	} {
		w := newWorld(t)
		w.strava(secretA, file)
		w.terra.SetDomain(devID, "strava", "strava.acme.example")
		w.terra.SetCredential(devID, "strava", terratest.Credential{
			ClientID: "123456", Secret: secretA, RedirectURL: "https://strava.acme.example/auth/strava",
		})
		approved := func() report.Report {
			return w.run(Run{Mode: report.Apply, Approve: map[string]string{"production": w.dryRun().Environments[0].PlanHash}})
		}
		expectGate(t, w.change(approved(), "strava:release-domain"), plan.Waiting, "domain")
		if w.terra.Live(devID).Sources["strava"].Domain == "" {
			t.Errorf("%s: released under its redirect, by an approval", name)
		}
		w.strava(secretA, "domain: null\n")
		w.terra.SetCredential(devID, "strava", terratest.Credential{ClientID: "123456", Secret: secretA})
		r := approved()
		if w.terra.Live(devID).Sources["strava"].Domain != "" {
			t.Errorf("%s: not released once the redirect moved\n%s", name, w.show(r))
		}
	}
}

// TestRedirectThatComesBackKeepsItsDomain: somebody moves the redirect back right before
// the domain under it is released.
func TestRedirectThatComesBackKeepsItsDomain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	own := terratest.Credential{ClientID: "123456", Secret: secretA, RedirectURL: "https://strava.acme.example/auth/strava"}
	w.strava(secretA, "  redirect_url: null\ndomain: null\n")
	w.terra.SetDomain(devID, "strava", "strava.acme.example")
	w.terra.SetCredential(devID, "strava", own)
	var moved atomic.Bool
	w.wrap = func(next http.RoundTripper) http.RoundTripper {
		return tripper(func(r *http.Request) (*http.Response, error) {
			read := r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/credentials")
			if read && moved.Load() {
				w.terra.SetCredential(devID, "strava", own)
			}
			response, err := next.RoundTrip(r)
			if read && w.terra.Live(devID).Sources["strava"].Credential.RedirectURL == "" {
				moved.Store(true)
			}
			return response, err
		})
	}
	hash := w.dryRun().Environments[0].PlanHash
	r := w.run(Run{Mode: report.Apply, Approve: map[string]string{"production": hash}})
	if c := w.change(r, "strava:release-domain"); c.Outcome != report.Waiting || !moved.Load() || w.terra.Live(devID).Sources["strava"].Domain == "" {
		t.Errorf("%s %s\n%s", c.Outcome, c.Error, w.show(r))
	}
}

// TestSharedDomainIsNotReleased: what another environment set up may be used, and is
// never released from here, whether or not Terra shows it before the redirect is on it.
func TestSharedDomainIsNotReleased(t *testing.T) {
	t.Parallel()
	const redirect = "  redirect_url: https://strava.acme.example/auth/strava\n"
	for _, unseen := range []bool{false, true} {
		w := newWorldOf(t, terratest.Config{Reading: terratest.Reading{SharedUnseen: unseen}})
		w.terra.AddEnvironment("other-app", terratest.EnvironmentOptions{})
		w.terra.SetDomain("other-app", "strava", "strava.acme.example")
		w.hosts = []string{"strava.acme.example"}
		w.strava(secretA, "domain: strava.acme.example\n")
		w.applied()
		w.strava(secretA, redirect+"domain: strava.acme.example\n")
		w.applied()
		if got := w.terra.Live(devID).Sources["strava"].Credential.RedirectURL; got != "https://strava.acme.example/auth/strava" {
			t.Errorf("redirect %q", got)
		}
		w.strava(secretA, redirect+"domain: null\n")
		w.inSync()
		if w.terra.Live("other-app").Sources["strava"].Domain == "" {
			t.Error("the other environment's domain is gone")
		}

		w = newWorldOf(t, terratest.Config{Reading: terratest.Reading{SharedUnseen: unseen}}) // both at once
		w.terra.AddEnvironment("other-app", terratest.EnvironmentOptions{})
		w.terra.SetDomain("other-app", "strava", "strava.acme.example")
		w.hosts = []string{"strava.acme.example"}
		w.strava(secretA, redirect+"domain: strava.acme.example\n")
		w.apply()
		w.applied() // the redirect follows the domain
	}
}

// TestDomainNeedsNoEnabledSource: it is set up while a human step holds the enabling,
// and is not set again by the next run.
func TestDomainNeedsNoEnabledSource(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.environment("policy: {require_setup: true}\n")
	w.own("garmin", garminID, secretA, "  redirect_url: "+garminRedirect+"\ndomain: "+garminDomain+"\n")
	r := w.apply()
	expectGate(t, w.change(r, "garmin:enable"), plan.Waiting, "setup")
	if c := w.change(r, "garmin:set-domain"); c.Outcome != report.Applied {
		t.Fatalf("%s %s\n%s", c.Outcome, c.GateReason, w.show(r))
	}
	w.terra.Serve(garminDomain)
	r = w.dryRun()
	for _, c := range r.Environments[0].Changes {
		if c.Action == plan.SetDomain {
			t.Errorf("it is set again\n%s", w.show(r))
		}
	}
}

// TestDomainIsReleasedOnceNoRedirectUsesIt moves the redirect away in the commit
// that releases the domain under it.
func TestDomainIsReleasedOnceNoRedirectUsesIt(t *testing.T) {
	t.Parallel()
	w := garminReady(t)
	w.applied()
	w.own("garmin", garminID, secretA, "  redirect_url: null\ndomain: null\n"+garminSetup)
	moveWebhooks(w)
	w.applied()
	if live := w.terra.Live(devID).Sources["garmin"]; live.Domain != "" || live.Credential.RedirectURL != "" {
		t.Errorf("live = %+v", live)
	}
}

// TestGarminOAuth1 warns by the clock, unless Terra shows or the file records
// that the app is one of OAuth 2.
func TestGarminOAuth1(t *testing.T) {
	t.Parallel()
	const recorded = "  oauth2_app: {done: 2026-08-01}\n"
	unrecorded := strings.ReplaceAll(garminSetup, recorded, "")
	tests := []struct {
		name, setup, auth string // auth: of the live app; "" is not live
		day               int    // of December 2026
		want              string // "" for no warning
	}{
		{"not set yet", unrecorded, "", 1, "OAuth 1 at Garmin ends on 2026-12-31, in 30 days"},
		{"the last day", unrecorded, "", 30, "OAuth 1 at Garmin ends on 2026-12-31, in a day"},
		{"over", unrecorded, "", 31, "OAuth 1 at Garmin ended on 2026-12-31"},
		{"recorded", garminSetup, "", 1, ""},
		{"live with OAuth 2", unrecorded, "oauth2", 1, ""},
		{"live with OAuth 1, whatever is recorded", garminSetup, "oauth1", 1, "OAuth 1 at Garmin ends on 2026-12-31, in 30 days"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			w.now = time.Date(2026, 12, test.day, 0, 0, 0, 0, time.UTC)
			w.own("garmin", garminID, secretA, test.setup)
			if test.auth != "" {
				w.terra.SetSourceType("", terratest.SourceType{Provider: "garmin", DisplayName: "Garmin", AuthType: test.auth, DataTypes: []string{},
					CustomerCredentialsRequired: true, CustomCredentialsAllowed: true})
				w.terra.SetCredential(devID, "garmin", terratest.Credential{ClientID: garminID, Secret: secretA})
			}
			warnings := warned(w.dryRun().Environments[0].Warnings)
			if test.want == "" && strings.Contains(warnings, "OAuth 1") || !strings.Contains(warnings, test.want) {
				t.Errorf("warnings:\n%s\nwant %q", warnings, test.want)
			}
		})
	}
}

// roundTrip answers in place of the network.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(q *http.Request) (*http.Response, error) { return f(q) }
