package report

import (
	"bytes"
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

// acts is what a forge, a browser or a reader's eye would act on.
var acts = regexp.MustCompile(`@\w|#\d|!\d|%\w|\bGH-\d|https?:|www\.|\]\(|<(script|img|a|!--)|(^|\s)\x60{3}|\x1b|\x{202e}|\n(reconcile|\$|Next)`)

// TestHostileWords puts words of a committer and of a server into every place of a
// report that shows some, and looks at the comment for what would act.
func TestHostileWords(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ attack, words string }{
		{attack: "a mention", words: "ping @everyone"},
		{attack: "a mention of a team", words: "ping @acme/security"},
		{attack: "a mention in full-width letters", words: "@all @all"},
		{attack: "a reference to an issue", words: "fixes #1"},
		{attack: "a reference to an issue of another repository", words: "closes acme/terra#1"},
		{attack: "a reference in GitHub's old form", words: "fixes GH-1"},
		{attack: "a reference to a merge request", words: "see !1"},
		{attack: "a milestone", words: "%release"},
		{attack: "a link", words: "[approve](https://evil.example)"},
		{attack: "a bare address", words: "https://evil.example/approve"},
		{attack: "an address without scheme", words: "www.evil.example"},
		{attack: "an image that tells who reads", words: "![x](https://evil.example/pixel)"},
		{attack: "an HTML image", words: `<img src=//evil.example>`},
		{attack: "a script", words: "<script>alert(1)</script>"},
		{attack: "a comment that hides what follows", words: "<!-- "},
		{attack: "the end of a fold", words: "</details></summary>"},
		{attack: "emphasis", words: "**Approved by security**"},
		{attack: "a code block with a command of ours", words: "```sh\nreconcile approve production sha256:0\n```"},
		{attack: "a line that looks like our next step", words: "fine\n\nNext  reconcile approve production sha256:0"},
		{attack: "a line that looks like a prompt", words: "fine\n$ reconcile approve production"},
		{attack: "a row of the table", words: "x | y | z |\n| + | strava | nothing | | ready |"},
		{attack: "a heading", words: "\n# Approved"},
		{attack: "an escape sequence", words: "\x1b[2J\x1b]0;owned\a"},
		{attack: "text that runs backwards", words: "\u202edevorppa\u202c"},
		{attack: "an entity", words: "&#64;everyone"},
	} {
		t.Run(c.attack, func(t *testing.T) {
			t.Parallel()
			value := c.words
			r := Report{Mode: DryRun, Error: c.words, Commit: c.words, Warnings: plan.Warnings(c.words), Environments: []Environment{{
				Name: c.words, DevID: c.words, Error: c.words, Unmanaged: []string{c.words},
				NotCompared: []plan.NotCompared{{Connection: c.words, Field: c.words, Reason: c.words}},
				Changes: []Change{{Change: plan.Change{Connection: c.words, Provider: c.words, Action: plan.UpdateCredentials, Class: plan.Disruptive, ClassReason: c.words,
					Reason: c.words, Gate: plan.Blocked, GateReason: c.words, Guard: c.words, Origin: c.words,
					Fields: []plan.FieldChange{{Field: c.words, From: plan.FieldValue{Value: &value}, To: plan.FieldValue{Mask: c.words}}}}, Error: c.words}},
			}}}
			var out bytes.Buffer
			if err := Markdown(&out, r); err != nil {
				t.Fatal(err)
			}
			got := out.String()
			for _, ours := range []string{Marker, "<details><summary>", "<details open><summary>", "</summary>", "</details>", "<br>", "**error**", "**Next**"} {
				got = strings.ReplaceAll(got, ours, "")
			}
			got = regexp.MustCompile(`&#(x[0-9a-f]+|\d+);(&#8203;)?`).ReplaceAllString(got, "")
			if found := acts.FindString(got); found != "" || strings.Contains(out.String(), "**Approved") {
				t.Errorf("%q would act:\n%s", found, out.String())
			}
		})
	}
}

// TestApprovalNamesTheWholeHost: who is asked to approve sees where end users would go,
// however long the address is.
func TestApprovalNamesTheWholeHost(t *testing.T) {
	t.Parallel()
	const host = "access.tryterra.co.a-rather-long-name-in-front-of-it.evil.example"
	for _, field := range []struct{ attack, name, value string }{
		{attack: "a redirect whose path ends like Terra's", name: plan.FieldRedirectURL, value: "https://" + host + "/" + strings.Repeat("a", 300) + "/access.tryterra.co/ok"},
		{attack: "a domain that begins like Terra's", name: plan.FieldDomain, value: host},
	} {
		t.Run(field.attack, func(t *testing.T) {
			t.Parallel()
			c := change("strava", plan.UpdateCredentials, plan.Disruptive, plan.Commit, plan.FieldChange{Field: field.name, From: value("https://access.tryterra.co/auth/strava"), To: value(field.value)}).
				held(plan.Approval, "redirect-host", "end users would go to a host that nobody here listed",
					plan.Remediation{Kind: plan.ByApproval, Text: "approve this connection alone"})
			out := render(t, func(w io.Writer) error { return Text(w, scene(DryRun, 0, c), TextOptions{}) })
			_, next, _ := strings.Cut(out, "Next")
			if flat := strings.Join(strings.Fields(next), ""); !strings.Contains(flat, "endusersgoto"+host) {
				t.Errorf("next names no host:\n%s", out)
			}
			if flat := strings.Join(strings.Fields(out), ""); !strings.Contains(flat, "->"+strings.TrimSuffix(field.value[:min(len(field.value), len("https://")+len(host))], "/")) {
				t.Errorf("the row does not show the whole host:\n%s", out)
			}
		})
	}
}
