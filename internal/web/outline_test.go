package web

import (
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// outline is the structure of a page as somebody has it who does not see it: landmarks,
// headings, tables with their cells, lists, links, forms, one a line with its text.
func outline(t testing.TB, page string) string {
	t.Helper()
	shown := []string{"header", "nav", "main", "section", "footer", "h1", "h2", "h3", "p", "a", "table", "caption", "tr", "th", "td", "li", "dt", "dd", "form", "fieldset", "legend", "label", "input", "button", "details", "summary", "rect", "pre"}
	told := map[string][]string{"a": {"href", "aria-label"}, "input": {"type", "name", "value"}, "form": {"method", "action"}, "section": {"aria-labelledby"}, "th": {"scope"}, "rect": {"width"}, "nav": {"aria-label"}, "details": {"open"}}
	decoder := xml.NewDecoder(strings.NewReader(page))
	decoder.Strict, decoder.AutoClose, decoder.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	var out strings.Builder
	depth, skip := 0, 0
	line := ""
	end := func() {
		if line != "" {
			out.WriteString(line + "\n")
		}
		line = ""
	}
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			end()
			return out.String()
		}
		if err != nil {
			t.Fatal(err)
		}
		switch e := token.(type) {
		case xml.StartElement:
			if e.Name.Local == "head" {
				skip++
			}
			if !slices.Contains(shown, e.Name.Local) || skip > 0 {
				continue
			}
			end()
			line = strings.Repeat("  ", depth) + e.Name.Local
			for _, a := range e.Attr {
				if slices.Contains(told[e.Name.Local], a.Name.Local) {
					line += " " + a.Name.Local + "=" + a.Value
				}
			}
			depth++
		case xml.EndElement:
			if e.Name.Local == "head" {
				skip--
			}
			if slices.Contains(shown, e.Name.Local) && skip == 0 {
				end()
				depth--
			}
		case xml.CharData:
			if text := strings.Join(strings.Fields(string(e)), " "); text != "" && skip == 0 {
				if line == "" {
					line = strings.Repeat("  ", depth) + "-"
				}
				line += " " + text
			}
		}
	}
}

// TestStructure: the pages are built as they were. A change is looked at, in the outline and in
// the pictures of the documents, and taken with -update.
func TestStructure(t *testing.T) {
	t.Parallel()
	starting := empty()
	starting.status.Poll = daemon.PollStatus{}
	unread := empty()
	unread.status.Poll.Error = "fetch https://git.acme.example/platform/terra.git: authentication required"
	unread.status.Unready = []daemon.Unready{{What: "git", Since: noon().Add(-20 * 60e9), Cause: unread.status.Poll.Error}}
	unread.status.Config = daemon.ConfigStatus{RefusedSince: &unread.status.Unready[0].Since, Error: "daemon.yaml:6:1: unknown field `aply`"}
	unread.status.Stuck = []string{"git poll"}
	calm := empty()
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "i"} {
		calm.add(name, 2, report.Environment{}, fileOf(name, "oura"), fileOf(name, "strava"))
	}
	refused := empty()
	refused.status.Mode = report.DryRun
	refused.add("production", 0, report.Environment{}, fileOf("production", "strava"))
	e := &refused.status.Environments[0]
	e.BehindReason, e.RewoundFrom, e.LastRun = "its files have errors in 4f2c9a7e1b3d: production/strava.yaml:3:1: unknown field", commitHash, nil
	delete(refused.reports, "production")
	for name, c := range map[string]struct {
		d    *daemonOf
		path string
	}{
		"overview": {busy(), "/"}, "environment": {busy(), "/environments/production"}, "connection": {busy(), "/connections/production/huawei"}, "history": {busy(), "/history"},
		"approve": {busy(), "/approve?environment=production&provider=huawei"}, "pause": {busy(), "/pause?target=production"}, "resume": {busy(), "/resume?target=staging"},
		"starting": {starting, "/"}, "none": {empty(), "/"}, "unread": {unread, "/"}, "calm": {calm, "/"}, "refused": {refused, "/"}, "nobody-approves": {busy(), "/approve?environment=production"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := site(t, c.d, func(o *Options) {
				if name == "nobody-approves" {
					o.Approver = nil
				}
			})
			w := asking(t, s, http.MethodGet, c.path, "")
			if w.Code != http.StatusOK {
				t.Fatalf("%d", w.Code)
			}
			got, golden := outline(t, w.Body.String()), filepath.Join("testdata", name+".outline")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("the page is built otherwise (-want +got); look at it, then make generate:\n%s", diff)
			}
		})
	}
}
