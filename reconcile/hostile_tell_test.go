package reconcile

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// TestHostileGuesses does two dry runs in which a committer writes six characters that do
// and do not stand in a secret of production, where the server says them again.
func TestHostileGuesses(t *testing.T) {
	t.Parallel()
	const right, wrong = "190807", "190809"
	hashes := regexp.MustCompile(`\b[0-9a-f]{8,64}\b`)
	for _, c := range []struct {
		attack string
		mode   report.Mode
		guess  func(w *world, guess string)
		says   string
	}{
		{attack: "in the dev_id of another environment", mode: report.DryRun, says: "no environment \\\"x.GUESS", guess: func(w *world, guess string) {
			w.write("zz/environment.yaml", "dev_id: x."+guess+"\nprune: never\n")
			w.write("zz/polar.yaml", "provider: polar\n")
		}},
		{attack: "beside a copy of the sealed secret", mode: report.DryRun, says: "no environment \\\"x.GUESS", guess: func(w *world, guess string) {
			w.write("zz/environment.yaml", "dev_id: x."+guess+"\nprune: never\n")
			w.write("zz/huawei.yaml", strings.Replace(string(w.files["production/strava.yaml"].Data), "strava", "huawei", 1))
		}},
		{attack: "in the dev_id of its own environment", mode: report.DryRun, says: "no environment \\\"x.GUESS", guess: func(w *world, guess string) {
			w.write("production/environment.yaml", "dev_id: x."+guess+"\nprune: never\n")
		}},
		{attack: "in the client id beside it", mode: report.Apply, says: "client_id GUESS is not known", guess: func(w *world, guess string) {
			w.own("strava", guess, "5f1d3e0c9b8a7f6e5d4c3b2a190807060504f0aa", "")
			w.terra.Fault(terratest.Fault{Kind: terratest.Problem, Operation: "setSourceCredentials", Status: 422, Code: "validation_failed", Times: terratest.Always, Detail: "client_id " + guess + " is not known"})
		}},
	} {
		t.Run(c.attack, func(t *testing.T) {
			says := map[string]string{}
			for _, guess := range []string{right, wrong} {
				w := newWorld(t)
				w.strava("5f1d3e0c9b8a7f6e5d4c3b2a190807060504f0aa", "")
				c.guess(w, guess)
				r := w.run(Run{Mode: c.mode})
				r.RunID = ""
				says[guess] = hashes.ReplaceAllString(strings.ReplaceAll(w.show(r), guess, "GUESS"), "HASH")
			}
			if diff := cmp.Diff(says[wrong], says[right]); diff != "" || !strings.Contains(says[wrong], c.says) {
				t.Errorf("want %q in %s; a right guess (+) shows:\n%s", c.says, says[wrong], diff)
			}
		})
	}
}
