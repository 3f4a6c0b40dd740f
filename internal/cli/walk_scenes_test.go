//go:build linux

package cli

import (
	"slices"
	"testing"

	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

const (
	walkKeyA = "aaaa0000aaaa0000aaaa0000aaaa0000aaaa1111"
	walkKeyB = "bbbb0000bbbb0000bbbb0000bbbb0000bbbb2222"
	walkKeyC = "cccc0000cccc0000cccc0000cccc0000cccc3333"
	walkKeyD = "dddd0000dddd0000dddd0000dddd0000dddd4444"
	walkKeyE = "eeee0000eeee0000eeee0000eeee0000eeee5555"
	walkKeyF = "ffff0000ffff0000ffff0000ffff0000ffff6666"

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
			report.ExitDone, func(s terratest.LiveSource) bool { return s.OwnApp && s.Credential.Secret == walkKeyB }, "polar"},
		{"Terra's app", func(_ testing.TB, w *walkWorld) { w.connection("polar", "app: terra\n") },
			report.ExitDone, func(s terratest.LiveSource) bool { return !s.OwnApp }, "polar"},
		{"disable", func(_ testing.TB, w *walkWorld) { w.connection("polar", "state: disabled\n") },
			report.ExitDone, state("disabled"), "polar"},
		{"prune", func(_ testing.TB, w *walkWorld) {
			w.environment("prune: disable\n" + walkCaps +
				"  allow: [{connection: withings, change: prune, until: 2027-01-01, reason: test}]\n")
			delete(w.files, "production/withings.yaml")
		}, report.ExitDone, state("disabled"), "withings"},
	}
	return slices.Concat(scenes, domainScenes(state), keyScenes(secret), fallScenes(secret))
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
		{"release the domain", func(t testing.TB, w *walkWorld) {
			for row := range w.live().Sources["garmin"].Webhooks { // in Garmin's portal, as whoever releases must
				w.terra.SetWebhookRow(walkGarmin, row, terratest.WebhookRow{URL: "https://hooks.acme.example/" + row, Enabled: true, UploadType: "push"})
			}
			garmin(t, w, "  redirect_url: null\ndomain: null\n")
		}, report.ExitDone, func(s terratest.LiveSource) bool { return s.Domain == "" && s.State == "active" }, "garmin"},
	}
}

// keyScenes take Strava's keys through months: due at their time, proved before,
// watched after, taken back when the provider goes on refusing what it had accepted.
func keyScenes(secret func(string) func(terratest.LiveSource) bool) []walkScene {
	const first, second, third = "2026-01-01T00:00:00Z", "2026-12-01T02:00:00Z", "2027-03-01T02:00:00Z"
	wait := func(until string) func(testing.TB, *walkWorld) {
		return func(_ testing.TB, w *walkWorld) { w.at(until) }
	}
	return []walkScene{
		{"a key for later", func(t testing.TB, w *walkWorld) {
			w.terra.AcceptPair("strava", "777777", walkKeyA)
			w.terra.AcceptPair("strava", "777777", walkKeyB)
			w.keys(t, "777777", [2]string{walkKeyA, first}, [2]string{walkKeyB, second})
		}, report.ExitDone, secret(walkKeyA), "strava"},
		{"its time has come", wait("2026-12-01T02:10:00Z"), report.ExitDone, secret(walkKeyB), "strava"},
		{"the provider refuses it once", func(_ testing.TB, w *walkWorld) {
			w.at("2026-12-01T04:10:00Z")
			w.terra.RejectPair("strava", "777777", walkKeyB)
		}, report.ExitDone, secret(walkKeyB), "strava"},
		{"and once more", wait("2026-12-01T04:12:00Z"), report.ExitDone, secret(walkKeyB), "strava"},
		{"the provider rejects it: back", wait("2026-12-01T04:16:00Z"), report.ExitHeld, secret(walkKeyA), "strava"},
		{"a third key, and the rejected one goes", func(t testing.TB, w *walkWorld) {
			w.at("2027-02-01T04:10:00Z")
			w.terra.AcceptPair("strava", "777777", walkKeyC)
			w.keys(t, "777777", [2]string{walkKeyA, first}, [2]string{walkKeyC, third})
		}, report.ExitDone, secret(walkKeyA), "strava"},
		{"the third is due", wait("2027-03-01T02:10:00Z"), report.ExitDone, secret(walkKeyC), "strava"},
		{"the third has soaked", wait("2027-03-03T02:10:00Z"), report.ExitDone, secret(walkKeyC), "strava"},
		{"it fails a month later: nobody goes back", func(_ testing.TB, w *walkWorld) {
			w.at("2027-04-03T02:10:00Z")
			w.terra.RejectPair("strava", "777777", walkKeyC)
		}, report.ExitDone, secret(walkKeyC), "strava"},
	}
}

// fallScenes let end users fall away from a key that its provider accepts when it is
// asked: too many of them at two counts, and it is held, whether or not the old key
// works.
func fallScenes(secret func(string) func(terratest.LiveSource) bool) []walkScene {
	const first, second, third, fourth = "2027-05-01T02:00:00Z", "2027-06-01T02:00:00Z", "2027-07-01T02:00:00Z", "2027-08-01T02:00:00Z"
	return []walkScene{
		{"a fourth key, and people", func(t testing.TB, w *walkWorld) {
			w.at("2027-05-01T02:10:00Z")
			w.terra.SetUsers(walkDevID, "strava", 40, 3)
			w.terra.AcceptPair("strava", "777777", walkKeyD)
			w.keys(t, "777777", [2]string{walkKeyD, first})
		}, report.ExitDone, secret(walkKeyD), "strava"},
		{"a fifth key", func(t testing.TB, w *walkWorld) {
			w.at("2027-06-01T02:10:00Z")
			w.terra.AcceptPair("strava", "777777", walkKeyE)
			w.keys(t, "777777", [2]string{walkKeyD, first}, [2]string{walkKeyE, second})
		}, report.ExitDone, secret(walkKeyE), "strava"},
		{"its people fall away", func(_ testing.TB, w *walkWorld) {
			w.breakKey(walkKeyE, "2027-06-01T03:00:00Z", "2027-06-01T05:00:00Z")
		}, report.ExitDone, secret(walkKeyE), "strava"},
		{"they are still gone: held", func(_ testing.TB, w *walkWorld) {
			w.at("2027-06-01T05:06:00Z")
			w.fell = true
		}, report.ExitHeld, secret(walkKeyE), "strava"},
		{"a sixth key for the few that are left", func(t testing.TB, w *walkWorld) {
			w.at("2027-07-01T02:10:00Z")
			w.fell = false
			w.terra.SetUsers(walkDevID, "strava", 12, 0)
			w.terra.AcceptPair("strava", "777777", walkKeyF)
			w.keys(t, "777777", [2]string{walkKeyD, first}, [2]string{walkKeyF, third})
		}, report.ExitDone, secret(walkKeyF), "strava"},
		{"four people fall away: nobody goes back", func(_ testing.TB, w *walkWorld) {
			w.breakKey(walkKeyF, "2027-07-01T03:00:00Z", "2027-07-01T05:10:00Z")
		}, report.ExitDone, secret(walkKeyF), "strava"},
		{"the fifth again, as a new entry", func(t testing.TB, w *walkWorld) {
			w.at("2027-08-01T02:10:00Z")
			w.terra.SetUsers(walkDevID, "strava", 40, 0)
			w.keys(t, "777777", [2]string{walkKeyF, third}, [2]string{walkKeyE, fourth})
		}, report.ExitDone, secret(walkKeyE), "strava"},
		{"its people fall away, and the old key is dead", func(_ testing.TB, w *walkWorld) {
			w.breakKey(walkKeyE, "2027-08-01T03:00:00Z", "2027-08-01T05:00:00Z")
			w.terra.RejectPair("strava", "777777", walkKeyF)
		}, report.ExitDone, secret(walkKeyE), "strava"},
		{"they are still gone, and it is still dead: held", func(_ testing.TB, w *walkWorld) {
			w.at("2027-08-01T05:06:00Z")
			w.fell = true
		}, report.ExitHeld, secret(walkKeyE), "strava"},
	}
}

// breakKey lets Strava's live key fail from one time to another, and nobody look
// meanwhile: of its end users a third is gone after two hours.
func (w *walkWorld) breakKey(key, from, to string) {
	w.at(from)
	w.terra.RejectPair("strava", "777777", key)
	w.at(to)
	w.terra.AcceptPair("strava", "777777", key)
}
