package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/terra-reconcile/terra-reconcile/internal/visible"
	"github.com/terra-reconcile/terra-reconcile/providers"
	"github.com/terra-reconcile/terra-reconcile/secrets"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

func newValidateCommand(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:   "validate [DIR]",
		Short: "Check the files of a config repository, offline",
		Long: `Check the files of a config repository: every error of every file in one run,
each with file:line:column. It needs no network, no account and no age identity;
what is sealed stays sealed.`,
		Example: "  reconcile validate\n  reconcile validate ./config",
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
			return validate(env, os.DirFS(dir))
		},
	}
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
	if _, err := os.Stat(filepath.Join(dir, "terra.yaml")); errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(filepath.Join(dir, "..", "terra.yaml")); err == nil {
			return usageError("name the folder of terra.yaml, which is %s", filepath.Join(dir, ".."))
		}
	}
	return nil
}

func validate(env *environment, files fs.FS) error {
	set, problems := spec.Load(files, providers.Vocabulary())
	problems = append(problems, catalogueProblems(set, env.Now())...)
	failed := 0
	for _, p := range problems {
		if p.Severity == spec.Error {
			failed++
		}
		if _, err := fmt.Fprintln(env.Stdout, visible.Text(env.asked.complete(p.String()))); err != nil {
			return err
		}
	}
	connections := 0
	for _, e := range set.Environments {
		connections += len(e.Connections)
	}
	if failed > 0 {
		return &exitError{exitFailed, fmt.Errorf("validate: %s", plural(failed, "error", "errors"))}
	}
	_, err := fmt.Fprintf(env.Stdout, "valid: %s with %s\n",
		plural(len(set.Environments), "environment", "environments"), plural(connections, "connection", "connections"))
	return err
}

// catalogueProblems adds what the catalogue of providers knows offline, and
// sealed fields that are no age file.
func catalogueProblems(set spec.Set, now time.Time) []spec.Problem {
	var out []spec.Problem
	for _, e := range set.Environments {
		for _, c := range e.Connections {
			for _, f := range findings(c, now) {
				if f.Origin.File == "" {
					f.Origin = c.Origin
				}
				out = append(out, spec.Problem{Severity: f.Severity, Environment: e.Name, Origin: f.Origin, Message: f.Message, Hint: f.Hint})
			}
			for _, k := range c.Credentials.Keys {
				if k.Unknown || k.Secret.Armor == "" { // that it is not sealed was said
					continue
				}
				if _, err := secrets.Parse(k.Secret.Armor); err != nil {
					out = append(out, spec.Problem{Severity: spec.Error, Environment: e.Name, Origin: k.Secret.Origin, Message: err.Error(), Hint: "seal it again with `reconcile secret encrypt`"})
				}
			}
		}
	}
	return out
}

func findings(c spec.Connection, now time.Time) []providers.Finding {
	p, ok := providers.Lookup(c.Provider)
	if !ok {
		return nil
	}
	return p.Check(c, providers.Seen{Now: now})
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
