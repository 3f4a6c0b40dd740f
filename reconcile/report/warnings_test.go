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
func TestNoticesAreFolded(t *testing.T) {
	setup := func(about, provider string) plan.Warning {
		return plan.Warning{Connection: about, Cause: "steps not recorded", Text: about + ": all of it", Remediations: []plan.Remediation{plan.NextCommand("see what", "providers", provider)}}
	}
	ages := func(about, in string) plan.Warning {
		return plan.Warning{Connection: about, Cause: "the live key grows old", Detail: in, Text: about + " " + in, Remediations: []plan.Remediation{{Text: "see"}}}
	}
	us := warned(setup("us/strava", "strava"), setup("us/whoop", "whoop"))
	us.Name = "us"
	uk := warned(ages("uk/polar", "in 3 days"))
	uk.Name = "uk"
	plain := warned()
	plain.Warnings = plan.Warnings("end users are not counted", "eu/x.yaml:1:2: this file is not read")
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
			[]string{"eu/strava: steps not recorded; see what: reconcile providers strava"}},
		{"the same in two environments", Report{Environments: []Environment{warned(setup("eu/strava", "strava"), setup("eu/whoop", "whoop")), us}}, "4 warnings of 1 cause",
			[]string{"steps not recorded (eu/strava, eu/whoop, us/strava, us/whoop); see what: reconcile providers strava"}},
		{"one detail", Report{Environments: []Environment{warned(ages("eu/strava", "in 3 days"), ages("eu/whoop", "in 3 days")), uk}}, "3 warnings of 1 cause",
			[]string{"the live key grows old in 3 days (eu/strava, eu/whoop, uk/polar); see"}},
		{"different details", Report{Environments: []Environment{warned(ages("eu/strava", "in 3 days"), ages("eu/whoop", "in 4 days"))}}, "2 warnings of 1 cause",
			[]string{"the live key grows old (eu/strava in 3 days, eu/whoop in 4 days); see"}},
		{"of the run, and of an environment", Report{Warnings: plan.Warnings("no memory"), Environments: []Environment{plain}}, "3 warnings",
			[]string{"no memory", "eu: end users are not counted", "eu/x.yaml:1:2: this file is not read"}},
	} {
		var got []string
		found := notices(row.r)
		for _, n := range found {
			line := n.words
			for _, s := range n.next {
				line += "; " + s.line()
			}
			got = append(got, line)
		}
		if diff := cmp.Diff(row.want, got); diff != "" || noticesTitle(found) != row.title {
			t.Errorf("%s: %q (-want +got)\n%s", row.name, noticesTitle(found), diff)
		}
	}
	if words := notices(Report{Environments: []Environment{warned(many...)}})[0].words; !strings.HasSuffix(words, "c18, eu/c19 and 2 more)") {
		t.Errorf("many: %s", words)
	}
}

// Nothing that is warned of is lost, and none of it stands before the changes.
func TestWarningsFollowTheChanges(t *testing.T) {
	r := fixture(t, "testdata/every-change.json")
	e := &r.Environments[0]
	e.Warn(plan.Warn("production/strava", "first of a kind"), plan.Warn("production/whoop", "first of a kind"))
	for form, got := range everyForm(t, r) {
		last, first := strings.LastIndex(got, "suunto"), strings.Index(got, "first of a kind")
		if first < 0 || first < last || !strings.Contains(got, "production/strava, production/whoop") {
			t.Errorf("%s: the warning stands at %d, the last change at %d:\n%s", form, first, last, got)
		}
	}
	if html := everyForm(t, r)["html"]; !strings.Contains(html, "<li>production/whoop: first of a kind</li>") {
		t.Errorf("the page does not have it in full:\n%s", html)
	}
}

// What failed comes first, then what a person must decide, then what happens, then what
// only waits; each connection is one row.
func TestRowsAreInOrder(t *testing.T) {
	change := func(connection string, gate plan.Gate, outcome Outcome) Change {
		return Change{Change: plan.Change{Connection: "eu/" + connection, Gate: gate}, Outcome: outcome}
	}
	got := ""
	for _, w := range rows(Report{}, Environment{Name: "eu", Changes: []Change{
		change("a", plan.Blocked, ""), change("b", plan.Ready, ""), change("b", plan.Waiting, ""),
		change("c", plan.Approval, Applied), change("d", plan.Waiting, Waiting), change("d", plan.Ready, Failed), change("e", plan.Waiting, ""),
	}}) {
		got += w.name + w.sign + " "
	}
	if want := "dx a! b~ c~ e· "; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// What is not compared for one reason is told once, and in full.
func TestNotComparedIsFolded(t *testing.T) {
	got := notCompared(Environment{Name: "eu", NotCompared: []plan.NotCompared{
		{Connection: "eu/strava", Field: "client_secret", Reason: "no identity"}, {Connection: "eu/oura", Reason: "503"},
		{Connection: "eu/whoop", Field: "client_secret", Reason: "no identity"}, {Connection: "eu/polar", Field: "scopes", Reason: "no identity"},
	}})
	want := []uncompared{{"2 connections", "client_secret: no identity: strava, whoop"}, {"oura", "503"}, {"polar", "scopes: no identity"}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(uncompared{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
