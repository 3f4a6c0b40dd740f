package archtest

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
)

// An instruction of a Dockerfile, its continuation lines joined.
type instruction struct {
	line            int
	name, arguments string
}

func instructions(text string) []instruction {
	var all []instruction
	open := false
	for i, line := range strings.Split(text, "\n") {
		trimmed := strings.TrimSpace(line)
		if trimmed == "" || strings.HasPrefix(trimmed, "#") {
			continue
		}
		body, continued := strings.CutSuffix(trimmed, `\`)
		if open {
			all[len(all)-1].arguments += " " + strings.TrimSpace(body)
		} else {
			name, arguments, _ := strings.Cut(body, " ")
			all = append(all, instruction{i + 1, strings.ToUpper(name), strings.TrimSpace(arguments)})
		}
		open = continued
	}
	return all
}

var goDirective = regexp.MustCompile(`(?m)^go (\d+\.\d+)`)

var toolchain = regexp.MustCompile(`(?m)^toolchain (go\S+)`)

// checkDockerfile reads the properties of the image that can be read without a
// container engine; .ci/empty-root runs the binary in a root like it.
func checkDockerfile(t tree) []finding {
	f, ok := t.find("Dockerfile")
	if !ok {
		return []finding{{"Dockerfile", 0, "missing"}}
	}
	all := instructions(f.text)
	last := -1
	for i, in := range all {
		if in.name == "FROM" {
			last = i
		}
	}
	if last < 1 {
		return []finding{{f.path, 0, "wants a build stage and a final stage"}}
	}
	var found []finding
	say := func(line int, message string) { found = append(found, finding{f.path, line, message}) }
	if mod, ok := t.find("go.mod"); ok {
		if m := goDirective.FindStringSubmatch(mod.text); m != nil && !buildsWith(all[:last], m[1]) {
			say(0, "the build stage is not golang:"+m[1]+", which go.mod asks for")
		}
	}
	if mod, ok := t.find("go.mod"); ok {
		m := toolchain.FindStringSubmatch(mod.text)
		if m == nil || !slices.ContainsFunc(all[:last], func(in instruction) bool { return in.name == "ENV" && in.arguments == "GOTOOLCHAIN="+m[1] }) {
			say(0, "the build stage does not compile with the toolchain that go.mod names")
		}
	}
	for _, message := range buildFlaws(all[:last]) {
		say(0, message)
	}
	for _, flaw := range finalFlaws(all[last:]) {
		say(flaw.line, flaw.message)
	}
	return found
}

func buildsWith(stage []instruction, version string) bool {
	return slices.ContainsFunc(stage, func(in instruction) bool {
		return in.name == "ARG" && strings.HasPrefix(in.arguments, "GO_IMAGE=golang:"+version) ||
			in.name == "FROM" && strings.HasPrefix(in.arguments, "golang:"+version)
	})
}

func buildFlaws(stage []instruction) []string {
	var flaws []string
	for _, part := range []string{"CGO_ENABLED=0", "-trimpath", "-X main.version="} {
		if !slices.ContainsFunc(stage, func(in instruction) bool {
			return in.name == "RUN" && strings.Contains(in.arguments, "go build") && strings.Contains(in.arguments, part)
		}) {
			flaws = append(flaws, "go build lacks "+part)
		}
	}
	return flaws
}

type flaw struct {
	line    int
	message string
}

func finalFlaws(stage []instruction) []flaw {
	var flaws []flaw
	if stage[0].arguments != "scratch" {
		flaws = append(flaws, flaw{stage[0].line, "the final stage is not FROM scratch"})
	}
	wanted := map[string]func(string) bool{
		"COPY":        func(a string) bool { return strings.Contains(a, "/ca-certificates.crt /etc/ssl/certs/") },
		"USER":        func(a string) bool { return a == "65532:65532" },
		"VOLUME":      func(a string) bool { return strings.Contains(a, "/state") },
		"ENTRYPOINT":  func(a string) bool { return a == `["/reconcile"]` },
		"HEALTHCHECK": func(a string) bool { return strings.Contains(a, `CMD ["/reconcile"`) },
	}
	for _, in := range stage {
		if ok := wanted[in.name]; ok != nil && ok(in.arguments) {
			delete(wanted, in.name)
		}
		switch in.name {
		case "RUN", "SHELL", "ADD":
			flaws = append(flaws, flaw{in.line, in.name + " in the final stage: there is no shell, and nothing is fetched"})
		case "CMD", "ENTRYPOINT":
			if json.Unmarshal([]byte(in.arguments), &[]string{}) != nil {
				flaws = append(flaws, flaw{in.line, in.name + " in shell form: there is no shell"})
			}
		case "USER":
			if in.arguments != "65532:65532" {
				flaws = append(flaws, flaw{in.line, "USER is not 65532:65532"})
			}
		}
	}
	for name := range wanted {
		flaws = append(flaws, flaw{0, "the final stage lacks the right " + name})
	}
	return flaws
}
