package report

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

func warned(list ...plan.Warning) Environment {
	e := Environment{Name: "eu"}
	e.Warn(list...)
	return e
}

// Warnings of one cause are one line, with all that they are about.
func TestCausesAreFolded(t *testing.T) {
	setup := func(about, provider string) plan.Warning {
		return plan.Warning{About: about, Cause: "steps not recorded", Next: "`reconcile providers " + provider + "` says what", Text: about + ": all of it"}
	}
	ages := func(about, in string) plan.Warning {
		return plan.Warning{About: about, Cause: "the live key grows old", Detail: in, Next: "see", Text: about + " " + in}
	}
	us := warned(setup("us/strava", "strava"), setup("us/whoop", "whoop"))
	us.Name = "us"
	uk := warned(ages("uk/polar", "in 3 days"))
	uk.Name = "uk"
	plain := warned()
	plain.Warnings = []string{"end users are not counted", "eu/x.yaml:1:2: this file is not read"}
	var many []plan.Warning
	for n := range aboutShown + 2 {
		many = append(many, plan.Warn(fmt.Sprintf("eu/c%02d", n), "not ours"))
	}
	for _, row := range []struct {
		name  string
		r     Report
		title string
		want  []string
	}{
		{"none", Report{Environments: []Environment{warned()}}, "0 warnings", nil},
		{"one", Report{Environments: []Environment{warned(setup("eu/strava", "strava"))}}, "1 warning",
			[]string{"eu/strava: steps not recorded; `reconcile providers strava` says what"}},
		{"the same in two environments", Report{Environments: []Environment{warned(setup("eu/strava", "strava"), setup("eu/whoop", "whoop")), us}}, "4 warnings of 1 cause",
			[]string{"steps not recorded (eu, us: strava, whoop); for one, `reconcile providers strava` says what"}},
		{"different connections", Report{Environments: []Environment{warned(setup("eu/strava", "strava")), us}}, "3 warnings of 1 cause",
			[]string{"steps not recorded (eu/strava; us: strava, whoop); for one, `reconcile providers strava` says what"}},
		{"one detail", Report{Environments: []Environment{warned(ages("eu/strava", "in 3 days"), ages("eu/whoop", "in 3 days")), uk}}, "3 warnings of 1 cause",
			[]string{"the live key grows old in 3 days (eu: strava, whoop; uk/polar); see"}},
		{"different details", Report{Environments: []Environment{warned(ages("eu/strava", "in 3 days"), ages("eu/whoop", "in 4 days"))}}, "2 warnings of 1 cause",
			[]string{"the live key grows old (eu: strava in 3 days, whoop in 4 days); see"}},
		{"of the run, and of an environment", Report{Warnings: []string{"no memory"}, Environments: []Environment{plain}}, "3 warnings",
			[]string{"no memory", "eu: end users are not counted", "eu/x.yaml:1:2: this file is not read"}},
	} {
		var got []string
		found := causes(row.r)
		for _, c := range found {
			got = append(got, c.line())
		}
		if diff := cmp.Diff(row.want, got); diff != "" || warningsTitle(found) != row.title {
			t.Errorf("%s: %q (-want +got)\n%s", row.name, warningsTitle(found), diff)
		}
	}
	if line := causes(Report{Environments: []Environment{warned(many...)}})[0].line(); !strings.HasSuffix(line, "c18, c19 and 2 more)") {
		t.Errorf("many: %s", line)
	}
}

// Nothing that is warned of is lost, and none of it stands before the changes.
func TestWarningsFollowTheChanges(t *testing.T) {
	r := fixture(t, "testdata/every-change.json")
	e := &r.Environments[0]
	e.Warn(plan.Warn("production/strava", "first of a kind"), plan.Warn("production/whoop", "first of a kind"))
	for form, got := range everyForm(t, r) {
		last, first := strings.LastIndex(got, "withings"), strings.Index(got, "first of a kind")
		if first < 0 || first < last && form != "markdown" || !strings.Contains(got, "strava, whoop") {
			t.Errorf("%s: the warning stands at %d, the last change at %d:\n%s", form, first, last, got)
		}
	}
	if html := everyForm(t, r)["html"]; !strings.Contains(html, "<li>production/whoop: first of a kind</li>") {
		t.Errorf("the page does not have it in full:\n%s", html)
	}
}

// What failed comes first, what is only held last, and each connection keeps its steps
// together and in order.
func TestInOrder(t *testing.T) {
	change := func(connection, id string, gate plan.Gate, outcome Outcome) Change {
		return Change{Change: plan.Change{Connection: connection, ID: id, Gate: gate}, Outcome: outcome}
	}
	got := ""
	for _, c := range inOrder([]Change{
		change("a", "a1", plan.Blocked, ""), change("b", "b1", plan.Ready, ""), change("b", "b2", plan.Waiting, ""),
		change("c", "c1", plan.Approval, Applied), change("d", "d1", plan.Waiting, Waiting), change("d", "d2", plan.Ready, Failed),
	}) {
		got += c.ID + " "
	}
	if want := "d1 d2 b1 b2 c1 a1 "; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// What is not compared for one reason is told once, and in full.
func TestNotComparedIsFolded(t *testing.T) {
	got := notCompared(Environment{Name: "eu", NotCompared: []plan.NotCompared{
		{Connection: "eu/strava", Field: "client_secret", Reason: "no identity"}, {Connection: "eu/oura", Reason: "503"},
		{Connection: "eu/whoop", Field: "client_secret", Reason: "no identity"}, {Connection: "eu/polar", Field: "scopes", Reason: "no identity"},
	}})
	want := []skipped{{"2 connections", "client_secret: no identity: strava, whoop"}, {"oura", "503"}, {"polar", "scopes: no identity"}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(skipped{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
