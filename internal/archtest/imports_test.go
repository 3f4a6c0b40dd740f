package archtest

import (
	"path"
	"slices"
	"strings"
)

// A row of the import law: which of our packages the package may import. Its
// test files are exempt. A new row needs an architecture decision record.
type row struct {
	name     string
	may      []string
	anything bool
}

func law() []row {
	return []row{
		{name: "cmd/reconcile", anything: true},
		{name: "cmd/terra-emulator", anything: true},
		{name: "internal/cli", anything: true},
		{name: "spec", may: []string{"internal/visible", "internal/yamlpos"}},
		{name: "secrets", may: []string{"internal/visible", "internal/advice"}},
		{name: "providers", may: []string{"spec", "secrets"}},
		{name: "reconcile/plan"},
		{name: "reconcile/keys", may: []string{"reconcile/plan"}},
		{name: "reconcile/report", may: []string{"reconcile/plan", "reconcile/keys", "internal/visible", "internal/advice"}},
		{name: "reconcile", may: []string{
			"reconcile/plan", "reconcile/keys", "reconcile/report", "spec", "secrets", "providers",
			"internal/terra", "internal/state", "internal/advice",
		}},
		{name: "internal/terra", may: []string{"secrets", "internal/visible"}},
		{name: "internal/terra/emulator", may: []string{"internal/terra"}},
		{name: "internal/terra/openapi"},
		{name: "internal/terra/terratest", may: []string{"internal/terra", "internal/terra/emulator", "internal/terra/openapi"}},
		{name: "internal/gitsource", may: []string{"internal/visible"}},
		{name: "internal/signature", may: []string{"internal/visible"}},
		{name: "internal/importer", may: []string{"spec", "providers", "internal/terra", "internal/visible"}},
		{name: "internal/repoedit", may: []string{"spec", "secrets", "internal/visible", "internal/advice"}},
		{name: "internal/doctor", may: []string{
			"reconcile/plan", "reconcile/keys", "reconcile/report", "spec", "secrets", "providers", "internal/config", "internal/daemon",
			"internal/gitsource", "internal/repoedit", "internal/state", "internal/terra", "internal/visible", "internal/advice",
		}},
		{name: "internal/state", may: []string{"reconcile/plan", "reconcile/keys", "internal/advice", "internal/neighbour"}},
		{name: "internal/state/statetest", may: []string{"internal/state"}},
		{name: "internal/daemon", may: []string{"reconcile/report"}},
		{name: "internal/config", may: []string{"reconcile/report", "internal/yamlpos", "internal/neighbour", "internal/advice"}},
		{name: "internal/notify", may: []string{"reconcile/plan", "reconcile/keys", "reconcile/report", "secrets", "internal/state"}},
		{name: "internal/metrics", may: []string{"reconcile/plan", "reconcile/keys", "reconcile/report", "internal/daemon", "internal/visible"}},
		{name: "internal/preview", may: []string{"internal/visible"}},
		{name: "internal/web", may: []string{"reconcile/plan", "reconcile/keys", "reconcile/report", "internal/daemon", "internal/state", "internal/visible"}},
		{name: "internal/visible"},
		{name: "internal/yamlpos", may: []string{"internal/visible"}},
		{name: "internal/neighbour", may: []string{"internal/advice"}},
		{name: "internal/advice"},
		{name: "internal/walk"},
		{name: "internal/archtest"},
	}
}

func lawFor(dir string) (row, bool) {
	rows := law()
	i := slices.IndexFunc(rows, func(r row) bool { return r.name == dir })
	if i < 0 {
		return row{}, false
	}
	return rows[i], true
}

// checkImports holds every package to its row. reconcile/plan may import the
// standard library only.
func checkImports(t tree) []finding {
	var found []finding
	reported := map[string]bool{}
	for _, f := range t.code() {
		r, ok := lawFor(f.dir())
		if !ok {
			if !reported[f.dir()] {
				found = append(found, finding{f.path, 0, "package " + f.dir() + " has no row in the import law"})
			}
			reported[f.dir()] = true
			continue
		}
		for _, s := range f.syntax.Imports {
			name := strings.Trim(s.Path.Value, `"`)
			ours, isOurs := strings.CutPrefix(name, module+"/")
			switch {
			case !isOurs && name != module:
				if r.name == "reconcile/plan" && !standard(name) {
					found = append(found, t.at(s, "% imports %: it may import the standard library only", r.name, name))
				}
			case !r.anything && !slices.Contains(r.may, ours):
				found = append(found, t.at(s, "% may not import %", r.name, ours))
			case r.anything && strings.HasPrefix(ours, "cmd/"):
				found = append(found, t.at(s, "nobody imports %", ours))
			}
		}
	}
	return found
}

func standard(name string) bool {
	first, _, _ := strings.Cut(name, "/")
	return !strings.Contains(first, ".")
}

// checkTestOnly keeps libraries for tests out of product code; the emulator may
// check itself against the contract.
func checkTestOnly(t tree) []finding {
	only := map[string][]string{
		"testing":                               {"internal/terra/terratest", "internal/walk", "internal/state/statetest"},
		"testing/fstest":                        nil,
		"net/http/httptest":                     {"internal/terra/terratest"},
		"github.com/google/go-cmp":              nil,
		"github.com/rogpeppe/go-internal":       nil,
		"github.com/gliderlabs/ssh":             nil,
		"github.com/chromedp":                   nil,
		"github.com/santhosh-tekuri/jsonschema": {"internal/terra/openapi"},
		module + "/internal/terra/openapi":      {"internal/terra/terratest"},
		module + "/internal/terra/terratest":    {"cmd/terra-emulator"},
		module + "/internal/walk":               nil,
		module + "/internal/state/statetest":    nil,
	}
	var found []finding
	for _, f := range t.code() {
		for _, s := range f.syntax.Imports {
			name := strings.Trim(s.Path.Value, `"`)
			for library, allowed := range only {
				if (name == library || strings.HasPrefix(name, library+"/") && library != "testing") &&
					!slices.Contains(allowed, f.dir()) {
					found = append(found, t.at(s, "% is for tests, % is product code", name, f.path))
				}
			}
		}
	}
	return found
}

// checkPure refuses effects where the answer must follow from the arguments.
func checkPure(t tree) []finding {
	effects := []string{"os", "os/*", "net", "net/http", "log", "log/slog", "math/rand", "math/rand/v2", "crypto/rand", "path/filepath"}
	banned := map[string][]string{
		"reconcile/plan":   append(slices.Clone(effects), "io/fs", "context", "sync"),
		"reconcile/keys":   append(slices.Clone(effects), "io/fs", "context", "sync"),
		"reconcile/report": effects,
		"spec":             effects,
		"internal/yamlpos": effects,
	}
	reads := []string{"time.Now", "time.Since", "time.Until"}
	waits := []string{"time.After", "time.AfterFunc", "time.NewTimer", "time.NewTicker", "time.Tick"}
	clocks := map[string][]string{
		"reconcile/plan":   append(waits, reads...),
		"reconcile/keys":   append(waits, reads...),
		"reconcile/report": append(waits, reads...),
		"spec":             append(waits, reads...),
		"internal/yamlpos": append(waits, reads...),
		"secrets":          reads, // a plugin's process gets a deadline, keys get the time as an argument
	}
	var found []finding
	for _, f := range t.code() {
		for _, s := range f.syntax.Imports {
			name := strings.Trim(s.Path.Value, `"`)
			if slices.ContainsFunc(banned[f.dir()], func(pattern string) bool {
				ok, err := path.Match(pattern, name)
				return ok || err != nil
			}) {
				found = append(found, t.at(s, "% is pure: it may not import %", f.dir(), name))
			}
		}
		found = append(found, t.calls(f, clocks[f.dir()], "% has no clock: take the time as an argument, not %")...)
	}
	return found
}
