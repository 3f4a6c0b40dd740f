package archtest

import "strings"

// checkCommands holds the Makefile to its words, CONTRIBUTING.md to naming them,
// and CI to its stages, so that none disappears unseen.
func checkCommands(t tree) []finding {
	wants := map[string][]string{
		"Makefile": {
			"\nbuild:", "\ntest:", "\nlint:", "\ngenerate:", "\ncheck:", "\nbench:", "\nwalk:", "WALK=all",
			"CGO_ENABLED=0", "-trimpath", "\tgo test ./...\n", "\t.ci/run\n",
		},
		"CONTRIBUTING.md": {"make build", "make test", "make lint", "make generate", "make check", "make bench", "make walk"},
		".ci/run": {
			"\nexport REQUIRE_ALL=1 ", "\nset -euo pipefail\n", "CGO_ENABLED=0 go build -trimpath",
			"  go vet ./...\n", "  go test ./...\n", ".ci/golangci-lint run ./...\n",
			"go test -race -v ./...", "-fuzztime 10s", ".ci/empty-root ",
			"go run ./cmd/reconcile demo\n", "COUNT ",
		},
		".ci/empty-root":    {"\nset -euo pipefail\n", "--userspec=65532:65532", "remount,ro,bind", "for command in version demo", "INTERP"},
		".ci/golangci-lint": {"\nset -euo pipefail\n", "\nversion="},
		".golangci.yml": {
			"default: none", "- govet\n", "- staticcheck\n", "- errorlint\n", "- unparam\n", "- misspell\n",
			"- gochecknoinits\n", "- gochecknoglobals\n", "- sloglint\n", "- usetesting\n", "- gofmt\n",
			"- ineffassign\n", "- unused\n", "- bodyclose\n", "- noctx\n",
		},
		"LICENSE": {"Apache License\n", "Version 2.0, January 2004\n"},
	}
	found := missingStages(t)
	for name, parts := range wants {
		f, ok := t.find(name)
		if !ok {
			found = append(found, finding{name, 0, "missing"})
			continue
		}
		for _, part := range parts {
			if !strings.Contains(f.text, part) {
				found = append(found, finding{name, 0, "lacks \"" + strings.TrimSpace(part) + "\""})
			}
		}
	}
	return found
}

// missingStages says which stages .ci/run declares but does not run.
func missingStages(t tree) []finding {
	f, ok := t.find(".ci/run")
	if !ok {
		return nil
	}
	run := map[string]bool{}
	for line := range strings.Lines(f.text) {
		words := strings.Fields(line)
		if strings.HasPrefix(line, "stage \"") || line == "summary\n" {
			run[words[len(words)-1]] = true
		}
	}
	var found []finding
	for _, name := range []string{
		"prerequisites", "build", "vet", "tests", "lint", "race", "fuzz", "empty_root", "demo", "summary",
	} {
		if !run[name] {
			found = append(found, finding{f.path, 0, "does not run its stage " + name})
		}
	}
	return found
}
