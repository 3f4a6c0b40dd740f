//go:build linux

package main

import (
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

const (
	walkKeyA = "aaaa0000aaaa0000aaaa0000aaaa0000aaaa1111"
	walkKeyB = "bbbb0000bbbb0000bbbb0000bbbb0000bbbb2222"
	walkKeyC = "cccc0000cccc0000cccc0000cccc0000cccc3333"

	walkGarmin = "0a1b2c3d-0000-4000-8000-0123456789ab"
	walkCaps   = "policy:\n  max_changes: {count: 20, percent: 100}\n"
)

// walkScene is a commit, something that people did, or time that went by. What
// the binary makes of it, run until it has nothing to do, is what it must also
// make of it when it is killed on the way.
type walkScene struct {
	name string
	set  func(t testing.TB, w *walkWorld)
	exit int                               // of a run that has nothing to do
	done func(s terratest.LiveSource) bool // of the connection below
	on   string
}

// walkScenes go from nothing through every action, and then through the life of
// keys over months. To walk through more, add scenes at the end.
func walkScenes() []walkScene {
	state := func(want string) func(terratest.LiveSource) bool {
		return func(s terratest.LiveSource) bool { return s.State == want }
	}
	secret := func(want string) func(terratest.LiveSource) bool {
		return func(s terratest.LiveSource) bool {
			return s.State == "active" && s.Credential != nil && s.Credential.Secret == want
		}
	}
	strava := func(more string) func(testing.TB, *walkWorld) {
		return func(t testing.TB, w *walkWorld) { w.own(t, "strava", "123456", walkKeyB, more) }
	}
	scenes := []walkScene{
		{"enable", func(_ testing.TB, w *walkWorld) {
			w.environment("prune: never\n" + walkCaps)
			w.connection("freestylelibre", "")
		}, report.ExitDone, state("active"), "freestylelibre"},
		{"enable and set credentials", func(t testing.TB, w *walkWorld) {
			w.own(t, "strava", "123456", walkKeyA, "")
		}, report.ExitDone, secret(walkKeyA), "strava"},
		{"rotate a secret that nobody is asked about", func(t testing.TB, w *walkWorld) {
			w.terra.SetUsers(walkDevID, "strava", 12, 3)
			strava("")(t, w)
		}, report.ExitDone, secret(walkKeyB), "strava"},
		{"set scopes", strava("scopes: [activity:read_all]\n"), report.ExitDone,
			func(s terratest.LiveSource) bool { return len(s.Scopes) == 1 }, "strava"},
		{"reset scopes", strava("scopes: null\n"), report.ExitDone,
			func(s terratest.LiveSource) bool { return s.Scopes == nil }, "strava"},
		{"pause", strava("state: paused\n"), report.ExitDone, state("paused"), "strava"},
		{"resume", strava(""), report.ExitDone, state("active"), "strava"},
		{"pause and new scopes", strava("state: paused\nscopes: [activity:read_all]\n"), report.ExitDone, state("paused"), "strava"},
		{"new client_id, and resume", func(t testing.TB, w *walkWorld) {
			w.own(t, "strava", "777777", walkKeyA,
				"policy: {allow: [{change: client_id, to: \"777777\", until: 2027-01-01, reason: test}]}\n")
		}, report.ExitDone, secret(walkKeyA), "strava"},
		{"three at once", func(_ testing.TB, w *walkWorld) {
			for _, p := range []string{"polar", "withings", "core"} {
				w.connection(p, "")
			}
		}, report.ExitDone, state("active"), "withings"},
		{"own app", func(t testing.TB, w *walkWorld) { w.own(t, "polar", "polar-app-1", walkKeyB, "") },
			report.ExitDone, func(s terratest.LiveSource) bool { return s.AuthVariant == "byo" && s.Credential.Secret == walkKeyB }, "polar"},
		{"Terra's app", func(_ testing.TB, w *walkWorld) { w.connection("polar", "app: terra\n") },
			report.ExitDone, func(s terratest.LiveSource) bool { return s.AuthVariant == "standard" }, "polar"},
		{"disable", func(_ testing.TB, w *walkWorld) { w.connection("polar", "state: disabled\n") },
			report.ExitDone, state("disabled"), "polar"},
		{"prune", func(_ testing.TB, w *walkWorld) {
			w.environment("prune: disable\n" + walkCaps +
				"  allow: [{connection: withings, change: prune, until: 2027-01-01, reason: test}]\n")
			delete(w.files, "production/withings.yaml")
		}, report.ExitDone, state("disabled"), "withings"},
	}
	return append(append(scenes, domainScenes(state)...), keyScenes(secret)...)
}

// domainScenes claim a domain, use it for keys and webhooks, and let it go.
func domainScenes(state func(string) func(terratest.LiveSource) bool) []walkScene {
	const host = "garmin.acme.example"
	garmin := func(t testing.TB, w *walkWorld, more string) {
		w.own(t, "garmin", walkGarmin, walkKeyA, more+"setup:\n  review: {done: 2026-08-01}\n  oauth2_app: {done: 2026-08-01}\n  custom_domain: {value: "+host+"}\n")
	}
	return []walkScene{
		{"claim a domain", func(t testing.TB, w *walkWorld) {
			garmin(t, w, "  redirect_url: https://"+host+"/auth/garmin/oauth2\ndomain: "+host+"\nwebhooks: managed\n")
		}, report.ExitDone, func(s terratest.LiveSource) bool { return s.Domain == host }, "garmin"},
		{"the domain serves: webhooks", func(_ testing.TB, w *walkWorld) {
			w.terra.PublishDNS(host)
			w.terra.Serve(host)
		}, report.ExitDone, func(s terratest.LiveSource) bool { return len(s.Webhooks) == 10 && s.Credential != nil }, "garmin"},
		{"release the domain", func(t testing.TB, w *walkWorld) { garmin(t, w, "  redirect_url: null\ndomain: null\n") },
			report.ExitDone, func(s terratest.LiveSource) bool { return s.Domain == "" && s.State == "active" }, "garmin"},
	}
}

// keyScenes take Strava's keys through months: due at their time, proved before,
// watched after, taken back when the provider rejects what it had accepted.
func keyScenes(secret func(string) func(terratest.LiveSource) bool) []walkScene {
	at := func(text string) time.Time {
		moment, err := time.Parse(time.RFC3339, text)
		if err != nil {
			panic(err)
		}
		return moment
	}
	const first, second, third = "2026-01-01T00:00:00Z", "2026-12-01T02:00:00Z", "2027-03-01T02:00:00Z"
	wait := func(until string) func(testing.TB, *walkWorld) {
		return func(_ testing.TB, w *walkWorld) { w.now = at(until) }
	}
	return []walkScene{
		{"a key for later", func(t testing.TB, w *walkWorld) {
			w.terra.AcceptPair("strava", "777777", walkKeyA)
			w.terra.AcceptPair("strava", "777777", walkKeyB)
			w.keys(t, "777777", [2]string{walkKeyA, first}, [2]string{walkKeyB, second})
		}, report.ExitDone, secret(walkKeyA), "strava"},
		{"its time has come", wait("2026-12-01T02:10:00Z"), report.ExitDone, secret(walkKeyB), "strava"},
		{"the provider rejects it: back", func(_ testing.TB, w *walkWorld) {
			w.now = at("2026-12-01T04:10:00Z")
			w.terra.RejectPair("strava", "777777", walkKeyB)
		}, report.ExitHeld, secret(walkKeyA), "strava"},
		{"a third key, and the rejected one goes", func(t testing.TB, w *walkWorld) {
			w.now = at("2027-02-01T04:10:00Z")
			w.terra.AcceptPair("strava", "777777", walkKeyC)
			w.keys(t, "777777", [2]string{walkKeyA, first}, [2]string{walkKeyC, third})
		}, report.ExitDone, secret(walkKeyA), "strava"},
		{"the third is due", wait("2027-03-01T02:10:00Z"), report.ExitDone, secret(walkKeyC), "strava"},
		{"the third has soaked", wait("2027-03-03T02:10:00Z"), report.ExitDone, secret(walkKeyC), "strava"},
		{"it fails a month later: nobody goes back", func(_ testing.TB, w *walkWorld) {
			w.now = at("2027-04-03T02:10:00Z")
			w.terra.RejectPair("strava", "777777", walkKeyC)
		}, report.ExitDone, secret(walkKeyC), "strava"},
	}
}
