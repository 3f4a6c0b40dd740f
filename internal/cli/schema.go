package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/internal/yamlpos"
	"github.com/terra-reconcile/terra-reconcile/providers"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

func newSchemaCommand(proc *Process) *cobra.Command {
	only := ""
	cmd := &cobra.Command{
		Use:   "schema [DIR]",
		Short: "Write JSON Schemas, by which editors check the files",
		Long: `Write JSON Schemas, by which editors check the files.

They are written to the folder schema of a config repository: of terra.yaml,
environment.yaml and connections, with what each provider takes, and of the
runner's daemon.yaml. A file names its schema in its first line, as those of
"reconcile init" and "reconcile import" do, and then no internet is needed:

  # yaml-language-server: $schema=../schema/connection.schema.json

Run it again after an upgrade. It changes no file that it has not written.`,
		Example: `  reconcile schema
  reconcile schema ~/terra-config
  reconcile schema --print daemon`,
		Args: takes(0, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			files, err := schemaFiles()
			if err != nil {
				return err
			}
			switch {
			case only != "" && len(args) > 0:
				return usageError("--print writes no file, so it takes no folder")
			case only != "":
				_, err := proc.Stdout.Write(files[schemaFile(only)])
				return err
			}
			dir := "."
			if len(args) == 1 {
				dir = args[0]
			}
			return writeSchemas(proc, dir, files)
		},
	}
	cmd.Flags().Var(choice{&only, []string{"terra", "environment", "connection", "daemon"}}, "print", "print the schema of one `kind` of file instead: terra, environment, connection or daemon")
	return cmd
}

// schemaFile is where the schema of a kind of file is, below the root of a repository.
func schemaFile(kind string) string { return "schema/" + kind + ".schema.json" }

// schemaFiles are all schemas, by their names below the root of a repository.
func schemaFiles() (map[string][]byte, error) {
	list, err := spec.JSONSchemas(providers.Vocabulary())
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for _, one := range list {
		files[schemaFile(one.Name)] = one.Text
	}
	files[schemaFile("daemon")], err = config.JSONSchema()
	return files, err
}

// schemaLine is the first line of a file of a repository, by which editors find its schema.
func schemaLine(kind, file string) string {
	up := strings.Repeat("../", strings.Count(path.Clean(file), "/"))
	return "# yaml-language-server: $schema=" + up + schemaFile(kind) + "\n"
}

// writeSchemas writes those that are not there or were written by another version. All of
// them are looked at before one is written.
func writeSchemas(proc *Process, dir string, files map[string][]byte) error {
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return usageError("schema %s: it is no folder", dir)
	}
	folder := filepath.Join(dir, "schema")
	if info, err := os.Lstat(folder); err == nil && !info.IsDir() {
		return fmt.Errorf("write schemas: %s is no folder", folder)
	}
	var others []string
	for _, name := range slices.Sorted(maps.Keys(files)) {
		full := filepath.Join(dir, name)
		text, err := readSchema(full)
		switch {
		case errors.Is(err, fs.ErrNotExist), err == nil && !bytes.Equal(text, files[name]):
			others = append(others, name)
		case err != nil:
			return fmt.Errorf("write schemas: %w; nothing was written", err)
		}
	}
	if len(others) == 0 {
		return say(proc, tell("All schemas are there, as this version writes them"))
	}
	if err := os.MkdirAll(folder, 0o755); err != nil { //nolint:gosec // as git makes folders
		return fmt.Errorf("write schemas: %w", err)
	}
	for _, name := range others {
		full := filepath.Join(dir, name)
		err := replaceFile(full, files[name])
		if err == nil {
			err = os.Chmod(full, 0o644) //nolint:gosec // as git makes files
		}
		if err != nil {
			return fmt.Errorf("write schemas: %w", err)
		}
	}
	return say(proc, tell("Written: "+strings.Join(others, ", ")))
}

// otherSchemas is what validate says of schemas that another version of this program wrote:
// by them an editor completes and refuses other fields than a run.
func otherSchemas(dir string) ([]spec.Problem, error) {
	files, err := schemaFiles()
	if err != nil {
		return nil, err
	}
	var others []string
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if text, err := readSchema(filepath.Join(dir, name)); err == nil && !bytes.Equal(text, files[name]) {
			others = append(others, name)
		}
	}
	if len(others) == 0 {
		return nil, nil
	}
	return []spec.Problem{{
		Severity: spec.Warning, Origin: spec.Origin{File: others[0], Line: 1, Column: 1},
		Message: "another version of reconcile wrote " + strings.Join(others, ", ") + ": editors complete and check by it",
		Hint:    "write the schemas again", Command: "schema",
	}}, nil
}

// readSchema reads a file that an earlier version may have written, and refuses any other.
func readSchema(name string) ([]byte, error) {
	info, err := os.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > yamlpos.MaxFile {
		return nil, fmt.Errorf("%s is no schema of this program; take it away", name)
	}
	text, err := os.ReadFile(filepath.Clean(name))
	if err == nil && !bytes.Contains(text, []byte(yamlpos.Written)) {
		err = fmt.Errorf("%s was not written by this program; rename it", name)
	}
	return text, err
}
