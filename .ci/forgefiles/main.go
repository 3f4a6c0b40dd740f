// Command forgefiles checks the files of continuous integration that people copy and that
// `reconcile init` writes, by the parsers and schemas of their forges. Then it breaks copies
// of them, each of which has to be refused: a check that refuses nothing is none. .ci/forges
// calls it.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/nektos/act/pkg/schema"
	"github.com/rhysd/actionlint"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run takes the schema of GitLab, the root of the repository, and where shellcheck is.
func run(args []string) error {
	if len(args) != 3 {
		return errors.New("usage: forgefiles GITLAB-SCHEMA ROOT SHELLCHECK")
	}
	gitlab, err := compile(args[0])
	if err != nil {
		return err
	}
	c := checker{gitlab: gitlab, shellcheck: args[2]}
	files, err := filepath.Glob(filepath.Join(args[1], "examples/ci/*.yml"))
	if err != nil {
		return err
	}
	own, err := filepath.Glob(filepath.Join(args[1], "internal/cli/forges/*.yml"))
	if files = append(files, own...); err != nil || len(files) != 6 {
		return fmt.Errorf("find files: %d of 6: %w", len(files), err)
	}
	broken := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if err := c.check(file, text); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		for right, wrong := range slips() {
			if !bytes.Contains(text, []byte(right)) {
				continue
			}
			if c.check(file, bytes.ReplaceAll(text, []byte(right), []byte(wrong))) == nil {
				return fmt.Errorf("%s with %q in the place of %q is not refused", file, wrong, right)
			}
			broken++
		}
		if filepath.Base(file) == "forgejo.yml" && checkAct(bytes.ReplaceAll(text, []byte("runs-on:"), []byte("run-on:"))) == nil {
			return fmt.Errorf("%s with run-on is not refused by act", file)
		}
		fmt.Println(file)
	}
	fmt.Printf("COUNT forge_files=%d\nCOUNT broken_forge_files=%d\n", len(files), broken)
	return nil
}

// slips are what people get wrong, each by what stands in a file.
func slips() map[string]string {
	return map[string]string{
		"runs-on:":                         "run-on:",
		"steps:":                           "step:",
		"github.head_ref":                  "github.head",
		"github.event_name == ":            "github.event_name = ",
		"permissions: {contents: read}":    "permissions: {contents: reads}",
		"\"$RECONCILE_URL\" --ref":         "\"$RECONCILE_URL --ref",
		"esac":                             "",
		"  script:":                        "  scripts:",
		"rules:\n    - if:":                "rules:\n    - iff:",
		"when: always":                     "when: ever",
		"image: golang:1":                  "image: [golang]",
		"cron: \"17 6 * * 1-5\"":           "cron: \"17 6 * *\"",
		"with: {go-version: stable, cache": "with: {go-versions: stable, cache",
	}
}

type checker struct {
	gitlab     *jsonschema.Schema
	shellcheck string
}

func (c checker) check(file string, text []byte) error {
	switch filepath.Base(file) {
	case "gitlab.yml":
		return c.checkGitLab(text)
	case "forgejo.yml":
		if err := checkAct(text); err != nil {
			return err
		}
	}
	linter, err := actionlint.NewLinter(io.Discard, &actionlint.LinterOptions{Shellcheck: c.shellcheck})
	if err != nil {
		return err
	}
	// Forgejo's files are checked as those of GitHub, whose language it is.
	text = bytes.ReplaceAll(text, []byte("runs-on: docker"), []byte("runs-on: ubuntu-latest"))
	found, err := linter.Lint(file, text, nil)
	var all []error
	for _, problem := range found {
		all = append(all, problem)
	}
	return errors.Join(append(all, err)...)
}

// checkAct judges a workflow by the schema of act, of which Forgejo's runner is a fork.
func checkAct(text []byte) error {
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		return err
	}
	strict := schema.Node{Definition: "workflow-root-strict", Schema: schema.GetWorkflowSchema()}
	return strict.UnmarshalYAML(&document)
}

func (c checker) checkGitLab(text []byte) error {
	var document any
	if err := yaml.Unmarshal(text, &document); err != nil {
		return err
	}
	if err := c.gitlab.Validate(document); err != nil {
		return err
	}
	var jobs map[string]struct{ Script []string }
	if err := yaml.Unmarshal(text, &jobs); err != nil {
		return err
	}
	for name, job := range jobs {
		cmd := exec.Command(c.shellcheck, "--shell=bash", "-")
		cmd.Stdin = strings.NewReader("set -eo pipefail\n" + strings.Join(job.Script, "\n") + "\n")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("script of %s: %w\n%s", name, err, out)
		}
	}
	return nil
}

func compile(file string) (*jsonschema.Schema, error) {
	data, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer data.Close()
	document, err := jsonschema.UnmarshalJSON(data)
	if err != nil {
		return nil, err
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("gitlab-ci.json", document); err != nil {
		return nil, err
	}
	return compiler.Compile("gitlab-ci.json")
}
