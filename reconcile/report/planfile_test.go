package report

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/terra-reconcile/terra-reconcile/internal/advice"
	"github.com/terra-reconcile/terra-reconcile/internal/visible"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

const oneDay = 24 * time.Hour

func madeAt() time.Time { return time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC) }

// planned is a report as a dry run of a commit makes it, with a secret that has a
// number, one that has none, and names that hide something.
func planned() Report {
	live, wanted := "paused\u202e", "active"
	p := plan.Plan{Environment: "production", DevID: "prod-1", Unchanged: 2, Changes: []plan.Change{
		{ID: "production/strava:rotate-secret", Connection: "production/strava", Provider: "strava", Action: plan.RotateSecret, Class: plan.Safe, Gate: plan.Ready,
			Cause: plan.Rotation, Fields: []plan.FieldChange{{Field: plan.FieldClientSecret, From: plan.FieldValue{Mask: "****9876", Key: 1, Compared: plan.Differs},
				To: plan.FieldValue{Key: 2, Sealed: "sha256:" + strings.Repeat("ab", 32)}}}},
		{ID: "production/oura:update-credentials", Connection: "production/oura", Provider: "oura", Action: plan.UpdateCredentials, Class: plan.Disruptive, Gate: plan.Approval,
			Guard: "adopt", ActiveUsers: &plan.Users{Count: 3, Exact: true},
			Fields: []plan.FieldChange{{Field: plan.FieldVerificationSecret, From: plan.FieldValue{Compared: plan.Uncertain}, To: plan.FieldValue{Sealed: "sha256:" + strings.Repeat("cd", 32)}},
				{Field: plan.FieldScopes, From: plan.FieldValue{List: []string{}}, To: plan.FieldValue{Default: true}}}},
		{ID: "production/polar:resume", Connection: "production/polar", Provider: "polar", Action: plan.Resume, Class: plan.Safe, Gate: plan.Ready,
			Fields: []plan.FieldChange{{Field: plan.FieldState, From: plan.FieldValue{Value: &live}, To: plan.FieldValue{Value: &wanted}}}},
	}}
	r := New(DryRun, strings.Repeat("c0ffee00", 5), madeAt())
	r.RunID = "RUN"
	r.Environments = append(r.Environments, planOf(p, plan.Hash(p)))
	r.Finish(madeAt().Add(time.Second))
	return r
}

func written(t testing.TB, r Report) string {
	t.Helper()
	var out bytes.Buffer
	if err := JSON(&out, r); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestPlanFileIsReadAsItWasWritten(t *testing.T) {
	want := planned()
	got, err := ReadPlan(strings.NewReader(written(t, want)), madeAt().Add(oneDay-1), oneDay)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
	if hash := plan.Hash(got.Environments[0].Plan()); hash != want.Environments[0].PlanHash {
		t.Errorf("hash: got %s, want %s", hash, want.Environments[0].PlanHash)
	}
}

func TestPlanFileIsRefused(t *testing.T) {
	good := written(t, planned())
	edit := func(old, with string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("no %q in\n%s", old, good)
		}
		return strings.Replace(good, old, with, 1)
	}
	changed := func(change func(*Report)) string {
		r := planned()
		change(&r)
		return written(t, r)
	}
	for name, c := range map[string]struct{ text, words string }{
		"nothing":                      {"", "it is empty"},
		"blank":                        {" \n", "it is empty"},
		"no JSON":                      {"provider: strava\n", "no JSON report"},
		"a list":                       {"[]", "no JSON report"},
		"another document":             {`{"version": 1}`, "no report of reconcile"},
		"a newer schema":               {edit("report/v1", "report/v2"), `schema is "terra-reconcile/report/v2"`},
		"an unknown field":             {edit(`"mode"`, `"extra": 1, "mode"`), "another version of reconcile"},
		"twice the same":               {good + good, "no JSON report"},
		"a field that stands twice":    {edit(`"mode": "dry-run"`, `"mode": "apply", "mode": "dry-run"`), "not as reconcile wrote it"},
		"other spaces":                 {edit("\n  \"mode\"", "\n \"mode\""), "not as reconcile wrote it"},
		"a byte after the end":         {good + "\n", "not as reconcile wrote it"},
		"a field in other letters":     {edit(`"mode"`, `"Mode"`), "not as reconcile wrote it"},
		"an apply":                     {changed(func(r *Report) { r.Mode = Apply }), `mode "apply"`},
		"a preview":                    {changed(func(r *Report) { r.PreviewOf = "refs/heads/topic" }), "a preview of refs/heads/topic, which is no plan to apply"},
		"a preview without the word":   {strings.Replace(changed(func(r *Report) { r.PreviewOf = "refs/heads/topic" }), "\n  \"preview_of\": \"refs/heads/topic\",", "", 1), "not as reconcile wrote it"},
		"an error":                     {changed(func(r *Report) { r.Error = "no\x1b[2Jgit" }), `error instead of a plan: no\u001B[2Jgit`},
		"an error of an environment":   {changed(func(r *Report) { r.Environments[0].Error = "token" }), "production has an error instead of a plan: token"},
		"a dry run that wrote":         {changed(func(r *Report) { r.Environments[0].MayHaveWritten = []string{"x/client_secret"} }), "may have been changed by the dry run itself"},
		"an outcome":                   {changed(func(r *Report) { r.Environments[0].Changes[0].Outcome = Applied }), `has the outcome "applied"`},
		"files that are not committed": {changed(func(r *Report) { r.Commit = "worktree" }), "files that are not committed"},
		"no commit":                    {changed(func(r *Report) { r.Commit = "c0ffee" }), `its commit "c0ffee" is none`},
		"no environment":               {changed(func(r *Report) { r.Environments = nil }), "no environment"},
		"an environment twice":         {changed(func(r *Report) { r.Environments = append(r.Environments, r.Environments[0]) }), "no name or dev_id of its own"},
		"two names of one dev_id":      {changed(func(r *Report) { e := r.Environments[0]; e.Name = "other"; r.Environments = append(r.Environments, e) }), "no name or dev_id of its own"},
		"no dev_id":                    {changed(func(r *Report) { r.Environments[0].DevID = "" }), "no name or dev_id of its own"},
		"another dev_id":               {edit("prod-1", "prod-2"), "changed by hand"},
		"a change taken out":           {changed(func(r *Report) { r.Environments[0].Changes = r.Environments[0].Changes[:2] }), "changed by hand"},
		"another value":                {edit(`"value": "active"`, `"value": "paused"`), "changed by hand"},
		"another secret":               {edit("abab", "abac"), "changed by hand"},
		"a secret without its seal":    {changed(func(r *Report) { r.Environments[0].Changes[0].Fields[0].To.Sealed = "" }), "changed by hand"},
		"a worse class":                {edit(`"class": "safe"`, `"class": "destructive"`), "not as reconcile wrote it"},
		"another gate":                 {edit(`"gate": "ready"`, `"gate": "waiting"`), "not as reconcile wrote it"},
		"a later time":                 {edit(`"started_at": "2026-11-26T09:00:00Z"`, `"started_at": "2026-11-26T09:30:00Z"`), "not as reconcile wrote it"},
		"another digest":               {edit(`"digest": "sha256:`, `"digest": "sha256:0`), "not as reconcile wrote it"},
		"another hash":                 {edit(`"plan_hash": "sha256:`, `"plan_hash": "sha256:0`), "changed by hand"},
		"no time":                      {changed(func(r *Report) { r.StartedAt = time.Time{} }), "when it was made"},
		"the future":                   {changed(func(r *Report) { r.StartedAt = madeAt().Add(oneDay + time.Second) }), "from the future"},
		"too old":                      {changed(func(r *Report) { r.StartedAt = madeAt().Add(-time.Second) }), "it has expired: made 2026-11-26 08:59:59 UTC, 24h0m0s ago"},
		"a day old, to the nanosecond": {changed(func(r *Report) { r.StartedAt = madeAt().Add(-1) }), "it has expired"},
	} {
		got, err := ReadPlan(strings.NewReader(c.text), madeAt().Add(oneDay-1), oneDay)
		next := advice.All(err)
		if err == nil || !strings.Contains(err.Error(), c.words) || len(next) != 1 || strings.Join(next[0].Command, " ") != "plan --out plan.json" {
			t.Errorf("%s: got %v, want it refused: %s", name, err, c.words)
		}
		if diff := cmp.Diff(Report{}, got); diff != "" {
			t.Errorf("%s: something was read:\n%s", name, diff)
		}
	}
}

// TestPlanFileThatIsCutOffIsRefused at every byte.
func TestPlanFileThatIsCutOffIsRefused(t *testing.T) {
	good := written(t, planned())
	for n := range len(good) {
		if _, err := ReadPlan(strings.NewReader(good[:n]), madeAt(), oneDay); err == nil {
			t.Fatalf("cut off after %d of %d bytes: got no error", n, len(good))
		}
	}
	if _, err := ReadPlan(io.LimitReader(spaces{}, maxPlanFile+2), madeAt(), oneDay); err == nil || !strings.Contains(err.Error(), "larger than 64 MiB") {
		t.Errorf("without an end: got %v", err)
	}
	t.Logf("COUNT plan_file_cuts=%d", len(good))
}

type spaces struct{}

func (spaces) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// FuzzReadPlan reads wild files: one that is read is a plan whose hash is its own,
// and stands as JSON writes it; an error is safe to print.
func FuzzReadPlan(f *testing.F) {
	good := written(f, planned())
	for _, seed := range []string{good, good[:len(good)/2], strings.Replace(good, "prod-1", "prod-2", 1), strings.Replace(good, `"dry-run"`, `"apply"`, 1),
		strings.Replace(good, `"sealed"`, `"Sealed"`, 1), strings.Replace(good, "null", `{"count": -1}`, 1), "", "{}", `{"schema": "terra-reconcile/report/v1"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := ReadPlan(bytes.NewReader(text), madeAt().Add(time.Hour), oneDay)
		if err != nil {
			for _, c := range err.Error() {
				if visible.Hides(c) {
					t.Errorf("%U in %q", c, err)
				}
			}
			return
		}
		if !bytes.Equal(text, []byte(written(t, r))) {
			t.Error("it is not as it is written")
		}
		for _, e := range r.Environments {
			if plan.Hash(e.Plan()) != e.PlanHash || e.DevID == "" || r.Mode != DryRun {
				t.Errorf("accepted: %+v", e)
			}
		}
	})
}
