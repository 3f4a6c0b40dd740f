package plan

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestRows plans every row of the table in the package comment.
func TestRows(t *testing.T) {
	text, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(text), "//\t--------")
	if !found {
		t.Fatal("doc.go has no table")
	}
	rows := 0
	for line := range strings.Lines(table) {
		cells := regexp.MustCompile(` {2,}`).Split(strings.TrimSpace(strings.TrimPrefix(line, "//\t")), -1)
		if !strings.HasPrefix(line, "//\t") || len(cells) < 5 {
			continue
		}
		rows++
		in := facts{Environment: Environment{Name: "e", PruneDisable: true}, Observed: map[string]Observed{}, Memory: Memory{Known: true, Connections: map[string]Remembered{}}}
		if cells[0] != "-" {
			in.Desired = []Desired{{Provider: "strava", Origin: "e/strava.yaml:1", State: State(cells[0])}}
		}
		switch cells[1] {
		case "active", "paused":
			in.Observed["strava"] = Observed{Active: cells[1] == "active"}
		case "unreadable":
			in.Observed["strava"] = Observed{Failed: "HTTP 500"}
		}
		if cells[2] != "-" {
			in.Memory.Connections["strava"] = Remembered{Enabled: cells[2] == "enabled", Fields: map[string]string{FieldState: cells[2]}}
		}
		p := Make(in.input())
		changes, cause, beside := "", "-", ""
		for _, c := range p.Changes {
			changes, cause = strings.TrimPrefix(changes+", "+string(c.Action), ", "), string(c.Cause)
		}
		switch {
		case len(p.NotCompared) > 0:
			beside = "not compared"
		case len(p.Warnings) > 0:
			beside = "a warning"
		case len(p.Unmanaged) > 0 && len(p.Changes) == 0:
			beside = "unmanaged"
		}
		want := append(cells, "")[3:6]
		if changes == "" {
			changes = "-"
		}
		if got := []string{changes, cause, beside}; strings.Join(got, "|") != strings.Join(want, "|") {
			t.Errorf("%q: got %q, want %q", cells[:3], got, want)
		}
	}
	if rows < 15 {
		t.Errorf("rows: got %d, want the whole table", rows)
	}
	t.Logf("COUNT plan_rows=%d", rows)
}
