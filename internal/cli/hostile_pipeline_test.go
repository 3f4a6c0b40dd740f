package cli

import (
	"strings"
	"testing"
)

// TestHostilePipelines: what somebody names in a pull request is no command of the pipeline
// that validates it.
func TestHostilePipelines(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ attack, file, text string }{
		{attack: "a folder as GitHub's command", file: "::stop-commands::x/environment.yaml", text: "dev_id: a1\nprune: never\n"},
		{attack: "a folder as GitHub's command with properties", file: "::add-mask name=x::e/environment.yaml", text: "dev_id: a1\nprune: never\n"},
		{attack: "a folder as GitHub's former command", file: "##[add-path]x/environment.yaml", text: "dev_id: a1\nprune: never\n"},
		{attack: "a folder as Azure's command", file: "##vso[task.prependpath]x/environment.yaml", text: "dev_id: a1\nprune: never\n"},
		{attack: "a file as Azure's command", file: "production/##vso[task.complete result=Succeeded;]x.yaml", text: "provider: polar\nfoo: 1\n"},
		{attack: "a file that ends an annotation", file: "production/a,title=b::c.yaml", text: "provider: polar\nfoo: 1\n"},
		{attack: "a file with a coded line end", file: "production/a%0A::error::c.yaml", text: "provider: polar\nfoo: 1\n"},
		{attack: "a field as TeamCity's command", file: "production/polar.yaml", text: "provider: polar\n\"##teamcity[buildStop]\": 1\n"},
		{attack: "a provider as a command", file: "production/polar.yaml", text: "provider: \"::error::x ##[x]\"\n"},
	} {
		t.Run(c.attack, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.write(c.file, c.text)
			for _, format := range []string{"text", "github", "json"} {
				if code := b.run("", "validate", b.dir, "-o", format); code != exitFailed {
					t.Errorf("%s: got exit %d", format, code)
				}
				for line := range strings.Lines(b.outText + b.errText) {
					kind, rest, ours := strings.Cut(line, " file="+b.dir+"/")
					if ours && format == "github" && (kind == "::error" || kind == "::warning") {
						_, line, _ = strings.Cut(rest, ",line=")
						_, line, _ = strings.Cut(line, "::") // what follows is the message, whatever it holds
						line = rest[:strings.Index(rest, ",line=")] + " " + line
						if strings.ContainsAny(rest[:strings.Index(rest, ",line=")], ":,") {
							t.Errorf("%s: a name ends the annotation: %s", format, rest)
						}
					}
					if command := pipelineCommand.FindString(line); command != "" {
						t.Errorf("%s: a pipeline would carry out %q", format, command)
					}
				}
			}
		})
	}
}
