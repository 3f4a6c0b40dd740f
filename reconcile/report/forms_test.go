package report

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/terra-reconcile/terra-reconcile/internal/visible"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

// everyForm renders a report for people in every way there is.
func everyForm(t *testing.T, r Report) map[string]string {
	t.Helper()
	return map[string]string{
		"text":     render(t, func(w io.Writer) error { return Text(w, r, TextOptions{}) }),
		"markdown": render(t, func(w io.Writer) error { return Markdown(w, r) }),
		"html":     render(t, func(w io.Writer) error { return HTML(w, r) }),
	}
}

// many is a run whose comment would be far too long.
func many(t *testing.T, environments, changes int) Report {
	t.Helper()
	r := fixture(t, "testdata/every-change.json")
	template := r.Environments[0]
	r.Environments = nil
	for n := range environments {
		e := template
		e.Name, e.Changes = fmt.Sprintf("environment-%03d", n), nil
		for len(e.Changes) < changes {
			e.Changes = append(e.Changes, template.Changes...)
		}
		r.Environments = append(r.Environments, e)
	}
	return r
}

func TestMarkdownIsCutHonestly(t *testing.T) {
	long := strings.Repeat("<@|", 30_000)
	hostile := many(t, 3, 3)
	hostile.Error, hostile.Commit = long, long
	hostile.Environments[0].Name, hostile.Environments[0].Error = long, long
	hostile.Environments[1].Changes[0].Fields = nil
	hostile.Environments[1].Changes[0].Reason = long
	warned := many(t, 1, 1)
	for n := range 10_000 {
		warned.Warn(plan.Warning{Text: fmt.Sprintf("warning %d, as long as most", n)})
	}
	for name, r := range map[string]Report{
		"many environments": many(t, 200, 10), "many changes": many(t, 1, 1000), "long texts": hostile, "many warnings": warned,
	} {
		got := render(t, func(w io.Writer) error { return Markdown(w, r) })
		if n := utf8.RuneCountInString(got); n > maxMarkdown {
			t.Errorf("%s: got %d characters, want at most %d", name, n, maxMarkdown)
		}
		if !strings.Contains(got, "Left out: ") {
			t.Errorf("%s: cut without a word", name)
		}
		if opened, closed := strings.Count(got, "<details"), strings.Count(got, "</details>"); opened != closed {
			t.Errorf("%s: %d folds opened, %d closed", name, opened, closed)
		}
	}
	for name, r := range fixtures(t) {
		if got := everyForm(t, r)["markdown"]; strings.Contains(got, "Left out: ") {
			t.Errorf("%s is cut without need", name)
		}
	}
}

// Whatever a committer lets fill a comment, the one change that can harm end users is in
// it, whole, also where it is ready and all else needs a person.
func TestMarkdownNeverCutsTheDangerousChange(t *testing.T) {
	reason := strings.Repeat("a reason as long as may be ", 8)
	noise := func(name string, n int, gate plan.Gate) Environment {
		e := Environment{Name: name, DevID: "id-" + name, PlanHash: "sha256:00"}
		for i := range n {
			provider := fmt.Sprintf("aaa%05d", i)
			e.Changes = append(e.Changes, Change{Change: plan.Change{ID: name + "/" + provider + ":set-scopes", Connection: name + "/" + provider, Provider: provider,
				Action: plan.SetScopes, Class: plan.Safe, Cause: plan.Commit, Gate: gate, GateReason: reason, Reason: reason,
				Remediations: []plan.Remediation{{Kind: plan.ByCommit, Text: reason, YAML: reason}}}})
		}
		return e
	}
	long := strings.Repeat("x", 400)
	danger := Change{Change: plan.Change{ID: "zzz/zwift:disable", Connection: "zzz/zwift", Provider: "zwift", Action: plan.Disable, Class: plan.Destructive,
		Cause: plan.Prune, Gate: plan.Ready, ActiveUsers: &plan.Users{Count: 210, Exact: true}}}
	moved := danger
	moved.Action, moved.Class = plan.UpdateCredentials, plan.Disruptive
	moved.Connection, moved.Provider = "zzz/zepp", "zepp"
	for i := range 6 {
		moved.Fields = append(moved.Fields, plan.FieldChange{Field: fmt.Sprintf("field_%d", i), From: plan.FieldValue{Value: &long}, To: plan.FieldValue{Value: &long}})
	}
	many := func(environments, changes int, gate plan.Gate) Report {
		var r Report
		for i := range environments {
			r.Environments = append(r.Environments, noise(fmt.Sprintf("aaa%05d", i), changes, gate))
		}
		last := noise("zzz", changes, gate)
		last.Changes = append(last.Changes, moved, danger)
		r.Environments = append(r.Environments, last)
		return r
	}
	for name, r := range map[string]Report{
		"changes that are held":       many(0, 500, plan.Blocked),
		"changes that need a person":  many(0, 500, plan.Approval),
		"changes that are ready":      many(0, 500, plan.Ready),
		"environments":                many(400, 1, plan.Blocked),
		"environments and next steps": many(400, 2, plan.Approval),
	} {
		got := render(t, func(w io.Writer) error { return Markdown(w, r) })
		if n := utf8.RuneCountInString(got); n > maxMarkdown || !strings.Contains(got, "Left out: ") {
			t.Errorf("%s: %d characters", name, n)
		}
		for _, want := range []string{"#### zzz\n", "| zwift | disable | **210 users cut off** | ready |", "field_0", "field_1", "field_5"} {
			if !strings.Contains(got, want) {
				t.Errorf("%s: no %q in the comment", name, want)
			}
		}
		if strings.Contains(got, "ly changed connection") {
			t.Errorf("%s: dangerous changes are left out", name)
		}
	}
}

// Nothing of a repository or a server becomes markup, a link or a mention.
func TestMarkdownOfHostileNames(t *testing.T) {
	got := everyForm(t, fixture(t, "testdata/hostile.json"))["markdown"]
	if !strings.HasPrefix(got, Marker+"\n") {
		t.Errorf("the first line is %q", strings.SplitN(got, "\n", 2)[0])
	}
	for _, ours := range []string{Marker, "<details><summary>", "<details open><summary>", "</summary>", "</details>", "<br>", "<code>", "</code>", "&#8203;"} {
		got = strings.ReplaceAll(got, ours, "")
	}
	for _, bad := range []string{"<", "@", "http:", "www.", "](", "\u202e", "\u200b", "\x1b", "**bold"} {
		if strings.Contains(got, bad) {
			t.Errorf("%q is in the comment:\n%s", bad, got)
		}
	}
	for line := range strings.Lines(got) {
		if strings.HasPrefix(line, "|") && strings.Count(line, "|") != 6 {
			t.Errorf("a row with %d bars: %s", strings.Count(line, "|"), line)
		}
	}
}

// What is to be copied from a comment is code, and stands as it has to be typed.
func TestMarkdownCanBeCopied(t *testing.T) {
	hash := "sha256:" + strings.Repeat("a3", 32)
	r := fixture(t, "testdata/design.json")
	e := &r.Environments[0]
	e.Approval.Text, e.Approval.Command = "approve this plan", plan.Command{"--config", "a@b#1/daemon.yaml", "--approve", "x```y=" + hash}
	state := "/" + strings.Repeat("long/", 60)
	e.Changes[0].Gate, e.Changes[0].GateReason = plan.Blocked, "as a_b__c asks"
	e.Changes[0].Remediations = []plan.Remediation{plan.NextCommand("` `` a lone ` mark @x", "resume", "--state", state, "production/strava"),
		{Kind: plan.ByCommit, File: "production/a@b.yaml", YAML: "policy: {x: [`y`]}"}}
	got := everyForm(t, r)["markdown"]
	for _, want := range []string{
		"\n- what is ready (1 connection)\n  ````sh\n  reconcile --config 'a@b#1/daemon.yaml' --approve 'x```y=a3a3a3a3'\n  ````\n",
		"\n  ```sh\n  reconcile resume --state " + state + " production/strava\n  ```\n",
		": <code>reconcile resume --state " + state + " production/strava</code>\n", " mark &#64;&#8203;x: ", "as a_b&#95;&#95;c asks",
		"  - can: commit to <code>production/a&#64;b.yaml</code>: <code>policy: {x: &#91;&#96;y&#96;&#93;}</code>\n",
		"\n- **strava rotate-secret** (production/strava.yaml&#58;9)\n  - field: client_secret &#42;&#42;&#42;&#42;9876 (key 1) -&#62; key 2\n  - why: rotation: key 2 of 2",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
}

// Nothing in a comment is a wall of text.
func TestMarkdownIsReadable(t *testing.T) {
	measured := 0
	for name, r := range fixtures(t) {
		if name == "hostile" {
			continue
		}
		for line := range strings.Lines(everyForm(t, r)["markdown"]) {
			if measured++; !strings.HasPrefix(line, "|") && utf8.RuneCountInString(line) > 260 {
				t.Errorf("%s: %d characters: %s", name, utf8.RuneCountInString(line), line)
			}
		}
	}
	if measured < 50 {
		t.Fatalf("%d lines", measured)
	}
}

func TestHTMLNeedsNothingElse(t *testing.T) {
	for name, r := range fixtures(t) {
		got := everyForm(t, r)["html"]
		for _, bad := range []string{"<script", "src=", "<link", "url(", "@import", "javascript:", " style=", "onclick", "ZgotmplZ"} {
			if strings.Contains(strings.ReplaceAll(got, "img-src=", ""), bad) {
				t.Errorf("%s: %q is in the page", name, bad)
			}
		}
		if !strings.Contains(got, "default-src &#39;none&#39;; style-src &#39;sha256-") {
			t.Errorf("%s: no content security policy", name)
		}
		if captions, tables := strings.Count(got, "<caption>"), strings.Count(got, "<table>"); captions != tables {
			t.Errorf("%s: %d captions for %d tables", name, captions, tables)
		}
		for _, r := range got {
			if r != '\n' && visible.Hides(r) {
				t.Errorf("%s: %U in the page", name, r)
			}
		}
	}
}
