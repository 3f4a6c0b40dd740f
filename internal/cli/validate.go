package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/terra-reconcile/terra-reconcile/internal/doctor"
	"github.com/terra-reconcile/terra-reconcile/internal/repoedit"
	"github.com/terra-reconcile/terra-reconcile/internal/visible"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

// validateSchema names the form of the JSON document.
const validateSchema = "terra-reconcile/validate/v1"

func newValidateCommand(proc *Process) *cobra.Command {
	format := "text"
	cmd := &cobra.Command{
		Use:   "validate [DIR]",
		Short: "Check the files of a config repository, offline",
		Long: `Check the files of a config repository: every error of every file in one run,
each with file:line:column. It needs no network, no account and no age identity;
what is sealed stays sealed. A private key in the repository is an error, and a
schema that another version of reconcile wrote is a warning.

With -o github each is an annotation of a pull request, in GitHub Actions.`,
		Example: "  reconcile validate\n  reconcile validate ./config\n  reconcile validate -o github",
		Args:    takes(0, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			dir := "."
			if len(args) == 1 {
				dir = args[0]
			}
			if strings.Contains(dir, "://") || strings.Contains(dir, "@") && strings.Contains(dir, ":") { // it may hold a password
				return usageError("validate: name a folder of this machine, not a URL; clone the repository first")
			}
			if err := isRoot(dir); err != nil {
				return fmt.Errorf("validate %s: %w", dir, err)
			}
			return validate(proc, dir, format)
		},
	}
	cmd.Flags().VarP(choice{&format, []string{"text", "json", "github"}}, "output", "o", "`format`: text, json or github")
	return cmd
}

// isRoot refuses a folder that cannot be the one of terra.yaml, because it is none or
// because the one around it is.
func isRoot(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("there is no such folder; check the path")
	case err != nil:
		return err
	case !info.IsDir():
		return usageError("name the folder of terra.yaml, not a file")
	}
	root, err := repoedit.RootAbove(dir)
	if err != nil {
		return usageError("%w", err)
	}
	full, err := filepath.Abs(dir)
	if up, err := filepath.Rel(full, root); err == nil && root != "" && root != full {
		return usageError("name the folder of terra.yaml, which is %s", filepath.Join(dir, up))
	}
	return err
}

// validated is one problem of the JSON document.
type validated struct {
	Severity     string             `json:"severity"`    // error or warning
	Environment  string             `json:"environment"` // "" is the whole repository
	File         string             `json:"file"`
	Line         int                `json:"line"`
	Column       int                `json:"column"`
	Message      string             `json:"message"`
	Remediations []plan.Remediation `json:"remediations"`
}

// problemsOf loads files, and lists all that is wrong with them and with what lies beside
// them.
func problemsOf(files fs.FS, now time.Time) (spec.Set, []spec.Problem) {
	set, problems := doctor.Load(files, now)
	for _, p := range doctor.Beside(files) {
		said := func(o spec.Problem) bool { return o.Origin.File == p.Origin.File && o.Origin.Line == p.Origin.Line }
		if !slices.ContainsFunc(problems, said) {
			problems = append(problems, p)
		}
	}
	return set, problems
}

func validate(proc *Process, dir, format string) error {
	set, problems := problemsOf(os.DirFS(dir), proc.Now())
	others, err := otherSchemas(dir)
	if err != nil {
		return err
	}
	problems = append(problems, others...)
	if format != "json" { // there each environment has its own
		problems = once(problems)
	}
	failed, connections := 0, 0
	for _, p := range problems {
		if p.Severity == spec.Error {
			failed++
		}
	}
	for _, e := range set.Environments {
		connections += len(e.Connections)
	}
	code := exitOK
	if failed > 0 {
		code = exitFailed
	}
	switch format {
	case "json":
		err = validateJSON(proc, code, len(set.Environments), connections, problems)
	case "github":
		for _, p := range problems {
			if _, err = fmt.Fprintln(proc.Stdout, annotation(dir, p)); err != nil {
				break
			}
		}
	default:
		for _, p := range problems {
			if _, err = fmt.Fprintln(proc.Stdout, visible.Text(p.String()+typedFor(proc, p))); err != nil {
				break
			}
		}
		if err == nil && failed == 0 {
			_, err = fmt.Fprintf(proc.Stdout, "valid: %s with %s\n",
				visible.Plural(len(set.Environments), "environment", "environments"), visible.Plural(connections, "connection", "connections"))
		}
	}
	switch {
	case err != nil || failed == 0:
		return err
	case format == "json":
		return &exitError{code: code}
	}
	return &exitError{code, fmt.Errorf("validate: %s", visible.Plural(failed, "error", "errors"))}
}

// once leaves out what was said already of a file that environments share.
func once(problems []spec.Problem) []spec.Problem {
	said := map[spec.Problem]bool{}
	return slices.DeleteFunc(problems, func(p spec.Problem) bool {
		p.Environment = ""
		again := said[p]
		said[p] = true
		return again
	})
}

// typedFor is what to type for a problem, as the end of its line.
func typedFor(proc *Process, p spec.Problem) string {
	if p.Command == "" {
		return ""
	}
	return ": " + proc.asked.command(strings.Fields(p.Command)).String()
}

func validateJSON(proc *Process, code, environments, connections int, problems []spec.Problem) error {
	list := []validated{}
	for _, p := range problems {
		v := validated{Severity: "error", Environment: p.Environment, File: p.Origin.File, Line: p.Origin.Line, Column: p.Origin.Column,
			Message: p.Message, Remediations: []plan.Remediation{}}
		if p.Severity == spec.Warning {
			v.Severity = "warning"
		}
		if p.Hint != "" {
			v.Remediations = append(v.Remediations, plan.Remediation{Kind: plan.ByCommit, Text: p.Hint, File: p.Origin.File, Command: proc.asked.command(strings.Fields(p.Command))})
		}
		list = append(list, v)
	}
	return printJSON(proc.Stdout, struct {
		Schema       string      `json:"schema"`
		ExitCode     int         `json:"exit_code"`
		Environments int         `json:"environments"`
		Connections  int         `json:"connections"`
		Problems     []validated `json:"problems"`
	}{validateSchema, code, environments, connections, list})
}

// annotation is a problem as a workflow command of GitHub Actions. Files are named from
// the folder in which the command runs, the top of the checkout.
func annotation(dir string, p spec.Problem) string {
	value := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	kind, at, text := "error", "", p
	if p.Severity == spec.Warning {
		kind = "warning"
	}
	if p.Origin.File != "" {
		at = " file=" + property.Replace(visible.Text(filepath.ToSlash(filepath.Join(dir, filepath.FromSlash(p.Origin.File)))))
		if p.Origin.Line > 0 {
			at += fmt.Sprintf(",line=%d,col=%d", p.Origin.Line, p.Origin.Column)
		}
	}
	text.Origin = spec.Origin{}
	return "::" + kind + at + "::" + value.Replace(visible.Text(text.Text()))
}
