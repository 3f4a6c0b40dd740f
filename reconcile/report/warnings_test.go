package report

import (
	"fmt"
	"io"
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

// Of the same rank what harms most people is first, in every form, and what nobody counted
// before all that was.
func TestTheMostHarmfulIsFirst(t *testing.T) {
	r := scene(DryRun, 3, sevenHeld()...)
	want := []string{"withings", "huawei", "strava", "oura", "polar", "whoop", "fitbit"}
	var got []string
	for _, w := range rows(r, r.Environments[0]) {
		got = append(got, w.name)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	forms := everyForm(t, r)
	forms["json"] = render(t, func(w io.Writer) error { return JSON(w, r) })
	for form, marks := range map[string][2]string{
		"text": {"  ! ", " "}, "markdown": {"| `!` | ", " |"}, "html": {`aria-hidden="true">!</span><strong>`, "</strong>"}, "json": {`"provider": "`, `"`},
	} {
		at := -1
		for _, name := range want {
			next := strings.Index(forms[form], marks[0]+name+marks[1])
			if next <= at {
				t.Errorf("%s: %s does not stand where it should:\n%s", form, name, forms[form])
			}
			at = next
		}
	}
	for i, name := range []string{"withings", "huawei", "strava"} {
		if got := r.Environments[0].Connections[i].Name; got != "production/"+name {
			t.Errorf("approval %d is of %s", i, got)
		}
	}
}

// What reverts drift says what else has drifted, as far as the run looked.
func TestRevertingDriftSaysWhatElse(t *testing.T) {
	drift := func(provider string) Change {
		c := sevenHeld()[3]
		c.Provider, c.Connection, c.ID = provider, "production/"+provider, "production/"+provider+":set-scopes"
		return c
	}
	other := drift("oura")
	other.Then = plan.Approval
	committed := sevenHeld()[2]
	says := func(r Report) (out []string) {
		for _, c := range r.Environments[0].Changes {
			for _, n := range c.Remediations {
				if n.YAML == plan.RevertDrift {
					out = append(out, n.Text)
				}
			}
		}
		return out
	}
	part := scene(DryRun, 3, drift("whoop"), committed)
	part.Environments[0].Selected = []string{"production/whoop"}
	part.Finish(sceneAt())
	for name, row := range map[string]struct {
		r    Report
		want []string
	}{
		"alone":  {scene(DryRun, 3, drift("whoop"), committed), []string{"holds for all of production; today only whoop drifted"}},
		"two":    {scene(DryRun, 3, drift("whoop"), other, committed), []string{"holds for all of production; today whoop, oura (after an approval) drifted", "holds for all of production; today whoop, oura (after an approval) drifted"}},
		"a part": {part, []string{"holds for all of production; today at least whoop drifted"}},
	} {
		if diff := cmp.Diff(row.want, says(row.r)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// Of many approvals each has a command of its own, those that harm most first, and the
// one for all is last. What all does not cover is named.
func TestTheNarrowApprovalIsFirst(t *testing.T) {
	var held []Change
	for i := range 12 {
		provider := fmt.Sprintf("p%02d", i)
		held = append(held, change(provider, plan.UpdateCredentials, plan.Destructive, plan.Commit, plan.FieldChange{Field: plan.FieldClientID, From: value("a"), To: value("b")}).
			hurting(exactly(i+1), "").held(plan.Approval, "destructive", "destructive, and nobody has approved it", approve()))
	}
	list := nextSteps(scene(DryRun, 0, append(held, sevenHeld()[0])...))
	if len(list) != approvalsShown+4 {
		t.Fatalf("%d steps: %+v", len(list), list)
	}
	for i, s := range list[:approvalsShown] {
		if want := fmt.Sprintf("--approve production/p%02d=", 11-i); !s.alone || !strings.Contains(s.command, want) {
			t.Errorf("step %d is %+v, want %s", i, s, want)
		}
	}
	rest := list[approvalsShown:]
	if rest[0].name != "strava" || rest[1].name != "strava" || rest[2].text != "4 more can be approved alone, too: -v prints how" {
		t.Errorf("behind them: %+v", rest)
	}
	if last := rest[3]; last.text != "all 12 at once, without strava: 78 users affected" || !strings.Contains(last.command, "--approve production=") {
		t.Errorf("last: %+v", last)
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
