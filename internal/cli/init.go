package cli

import (
	"cmp"
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/terra-reconcile/terra-reconcile/internal/advice"
	"github.com/terra-reconcile/terra-reconcile/internal/importer"
	"github.com/terra-reconcile/terra-reconcile/internal/repoedit"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
	"github.com/terra-reconcile/terra-reconcile/secrets"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

// initFlags are the flags of the command init.
type initFlags struct {
	environment, devID, identity, forge string
	recipients                          []string
	postQuantum                         bool
}

func newInitCommand(proc *Process) *cobra.Command {
	f := &initFlags{}
	cmd := &cobra.Command{
		Use:   "init [DIR]",
		Short: "Begin a config repository",
		Long: `Begin a config repository in a folder, which is made where there is none.

It writes terra.yaml, a .gitignore, JSON Schemas for editors, a check for pull
requests and, with --env and --dev-id, an environment that only looks (mode:
observe). On a terminal it asks for what no flag says. Files that are there stay
as they are. The identity that opens the secrets is made outside of the
repository, readable by you alone; one that is there already is taken, and
--recipient names those of others instead. What Terra already has comes into
the repository with "reconcile import".`,
		Example: `  reconcile init ~/terra-config
  reconcile init --env production --dev-id acme-prod-x81LmQ --ci gitlab
  reconcile init --post-quantum --identity ~/keys/identity.txt`,
		Args: takes(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := "."
			if len(args) == 1 {
				dir = args[0]
			}
			if err := f.check(dir); err != nil {
				return err
			}
			if proc.Terminals.Stdin && proc.Terminals.Stderr && f.environment == "" && f.devID == "" {
				if err := f.ask(cmd.Context(), newQuestions(proc), cmd.Flags().Changed("ci")); err != nil {
					return fmt.Errorf("init %s: %w", dir, err)
				}
			}
			return f.begin(proc, dir)
		},
	}
	p := cmd.Flags()
	p.StringVar(&f.environment, "env", "", "`name` of a first environment: its folder")
	p.StringVar(&f.devID, "dev-id", "", "its `dev-id`, as Terra's dashboard shows it")
	p.StringVar(&f.identity, "identity", "", "`file` of the identity (default: identity.txt in the folder terra-reconcile of your configuration)")
	p.StringArrayVar(&f.recipients, "recipient", nil, "`recipient` who can open the secrets, instead of an identity of yours (may repeat)")
	p.BoolVar(&f.postQuantum, "post-quantum", false, "make an identity that is also safe against quantum computers")
	f.forge = "github"
	p.Var(choice{&f.forge, forgeNames()}, "ci", "check pull requests on this `forge`: github, gitlab, forgejo or none")
	return cmd
}

func forgeNames() []string { return []string{"github", "gitlab", "forgejo", "none"} }

const (
	badEnvironment = "no folder of an environment can have that name; write letters, digits, ., _ and -, as in production or eu/production"
	badDevID       = "no environment of Terra has that name; copy the dev-id from its dashboard: letters, digits, ., _ and -"
)

// ask asks on the terminal for the first environment and, unless a flag said it, the
// forge. No name of an environment is none. What cannot be is said, and asked again.
func (f *initFlags) ask(ctx context.Context, q questions, forgeIsKnown bool) (err error) {
	until := func(question, standard, bad string, good func(string) bool) (answer string, err error) {
		for {
			if answer, err = q.ask(ctx, question); err != nil {
				return "", err
			}
			if answer = cmp.Or(answer, standard); good(answer) {
				return answer, nil
			}
			_, _ = fmt.Fprint(q.proc.Stderr, strings.Join(report.Lines(bad, width), "\n")+"\n")
		}
	}
	f.environment, err = until("Name of a first environment, as production (empty: none yet): ", "", badEnvironment,
		func(name string) bool { return name == "" || spec.IsEnvironment(name) })
	if err == nil && f.environment != "" {
		f.devID, err = until("Its dev-id, as Terra's dashboard shows it: ", "", badDevID, spec.IsDevID)
	}
	if err == nil && !forgeIsKnown {
		f.forge, err = until("Check pull requests on github, gitlab, forgejo or none [github]: ", f.forge, "write one of these four",
			func(name string) bool { return slices.Contains(forgeNames(), name) })
	}
	return err
}

// check refuses flags that make no sense, and a folder in which nothing can begin.
func (f *initFlags) check(dir string) error {
	switch {
	case (f.environment == "") != (f.devID == ""):
		return usageError("--env and --dev-id go together: the name of the folder, and which environment of Terra it is")
	case f.environment != "" && !spec.IsEnvironment(f.environment):
		return usageError("--env: %s", badEnvironment)
	case f.devID != "" && !spec.IsDevID(f.devID):
		return usageError("--dev-id: %s", badDevID)
	case len(f.recipients) > 0 && (f.identity != "" || f.postQuantum):
		return usageError("--recipient names who can open the secrets; --identity and --post-quantum are for making one who can")
	}
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		return usageError("init %s: it is no folder", dir)
	}
	root, err := repoedit.RootAbove(dir)
	switch {
	case err != nil:
		return fmt.Errorf("init %s: %w", dir, err)
	case root != "" && f.environment != "":
		return advice.With(fmt.Errorf("init %s: there is a terra.yaml in %s already", dir, root),
			"add an environment", "import", "--env", f.environment, "--dev-id", f.devID, "--out", root)
	case root != "":
		return advice.With(fmt.Errorf("init %s: there is a terra.yaml in %s already", dir, root), "check it", "validate", root)
	}
	return nil
}

func (f *initFlags) begin(proc *Process, dir string) error {
	recipients, identity, isNew, err := f.readers(proc, dir)
	if err != nil {
		return err
	}
	files, err := schemaFiles()
	if err != nil {
		return err
	}
	maps.Copy(files, map[string][]byte{
		"terra.yaml": []byte(schemaLine("terra", "terra.yaml") + rootText(recipients)),
		".gitignore": []byte("# Private keys, state, plans and unfinished files do not belong into git.\nidentity*.txt\n*.agekey\n*.key\nstate/\nplan*.json\n.reconcile-*\n"),
	})
	if f.environment != "" {
		name := f.environment + "/environment.yaml"
		files[name] = []byte(schemaLine("environment", name) + importer.Environment(f.devID, ""))
	}
	check, text, err := forgeFile(f.forge)
	if err != nil {
		return err
	}
	if check != "" {
		files[check] = text
	}
	var there []string
	for name := range files {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil && name != "terra.yaml" {
			there = append(there, name)
			delete(files, name)
		}
	}
	made, err := newFolders(dir)
	if err == nil {
		err = os.MkdirAll(dir, 0o755) //nolint:gosec // as git makes folders
	}
	if err == nil {
		err = (repoedit.Repository{Root: dir}).Add(files)
	}
	if err != nil {
		for _, folder := range made {
			_ = os.Remove(folder) // where it was made, and nobody else has put anything there
		}
		return notAdded(fmt.Errorf("init %s: %w", dir, err))
	}
	return f.sayBegun(proc, dir, there, identity, isNew)
}

// readers gives who can open the secrets: those of --recipient, else whose identity is in
// a file, which is made where there is none.
func (f *initFlags) readers(proc *Process, dir string) (recipients []string, identity string, made bool, err error) {
	if len(f.recipients) > 0 {
		list, err := secrets.ParseRecipients(f.recipients, nil)
		if err != nil {
			return nil, "", false, usageError("--recipient: %w", err)
		}
		return list.Strings(), "", false, nil
	}
	if identity = f.identity; identity == "" {
		base := proc.Getenv("XDG_CONFIG_HOME")
		if home := proc.Getenv("HOME"); !filepath.IsAbs(base) && filepath.IsAbs(home) {
			base = filepath.Join(home, ".config")
		}
		if !filepath.IsAbs(base) {
			return nil, "", false, usageError("init: no home folder is known to put an identity in; name a file with --identity, or who can open the secrets with --recipient")
		}
		identity = filepath.Join(base, "terra-reconcile", "identity.txt")
	}
	if inside, err := isWithin(identity, dir); err != nil || inside || repositoryAround(identity) != "" {
		return nil, "", false, usageError("--identity %s: it would be a private key in a repository, which everybody who has it could use; name a file elsewhere", identity)
	}
	if _, err := os.Lstat(identity); errors.Is(err, fs.ErrNotExist) {
		public, err := makeIdentity(identity, proc.Now(), f.postQuantum)
		return []string{public}, identity, true, err
	}
	known, err := secrets.LoadIdentities(secrets.Source{Files: []string{identity}})
	if err != nil {
		return nil, "", false, err
	}
	for _, r := range known.Recipients() {
		if text, ok := r.(fmt.Stringer); ok {
			recipients = append(recipients, text.String())
		}
	}
	if len(recipients) == 0 {
		return nil, "", false, fmt.Errorf("init: %s does not say who its recipient is; name them with --recipient", identity)
	}
	return recipients, identity, false, nil
}

// newFolders are those that making a folder makes, the innermost first.
func newFolders(dir string) (list []string, err error) {
	for at := filepath.Clean(dir); ; at = filepath.Dir(at) {
		_, err := os.Lstat(at)
		if !errors.Is(err, fs.ErrNotExist) {
			return list, err
		}
		list = append(list, at)
	}
}

// notAdded says of files that could not be written that none is there, and what to do.
func notAdded(err error) error {
	next := ""
	switch {
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("%w, and says something else; rename it or take it away; nothing was written", err)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EFBIG):
		next = "make room there, and do it again"
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		next = "let your user write there, or name another folder"
	}
	if err = fmt.Errorf("%w; nothing was written", err); next != "" {
		return advice.With(err, next)
	}
	return err
}

// isWithin tells whether a file would be in a folder or below it.
func isWithin(file, dir string) (bool, error) {
	full, err := filepath.Abs(file)
	if err != nil {
		return false, err
	}
	folder, err := filepath.Abs(dir)
	if err != nil {
		return false, err
	}
	name, err := filepath.Rel(folder, full)
	return err == nil && filepath.IsLocal(name), err
}

func rootText(recipients []string) string {
	return "version: 1\n" +
		"recipients: # who can open the secrets; the first entry whose path matches decides\n" +
		"  - paths: [\"**\"]\n" +
		"    age:\n      - " + strings.Join(recipients, "\n      - ") + "\n" +
		"secrets: {binding: require}\n"
}

// forges holds the check of pull requests of each forge. It needs no account and no key.
//
//go:embed forges
var forges embed.FS

// forgeFile is the check of a forge, and the place in a repository where it looks for it.
func forgeFile(forge string) (name string, text []byte, err error) {
	switch forge {
	case "github":
		name = ".github/workflows/reconcile.yml"
	case "forgejo":
		name = ".forgejo/workflows/reconcile.yml"
	case "gitlab":
		name = ".gitlab-ci.yml"
	default:
		return "", nil, nil
	}
	text, err = forges.ReadFile("forges/" + forge + ".yml")
	return name, text, err
}

// sayBegun tells what was made, and the next two commands, which are right from any
// folder.
func (f *initFlags) sayBegun(proc *Process, dir string, there []string, identity string, made bool) error {
	full, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	out := newPage(proc)
	out.folded("A config repository begins in ", full)
	for _, name := range there {
		if name == ".gitignore" {
			name += "; see that it has identity*.txt and state/"
		}
		out.folded("  left as it was: ", name)
	}
	if around := repositoryAround(full); around != "" {
		out.folded("  it stands in: ", around+"; a forge looks for its checks at the top of a repository")
	}
	switch {
	case made:
		out.folded("  identity: ", identity+"; keep a copy offline: without it nobody can open the secrets")
	case identity != "":
		out.folded("  identity: ", identity+", which was there")
	}
	out.add("\n")
	if identity != "" {
		out.add("Next  export RECONCILE_AGE_KEY_FILE=" + plan.ShellWord(identity) + "\n      export TERRA_ADMIN_TOKEN=terra_at_…\n\n")
	}
	env, devID := f.environment, f.devID
	if env == "" {
		env, devID = "production", "DEV_ID"
	}
	words := []string{"import", "--env", env, "--dev-id", devID}
	check := []string{"validate"}
	if dir != "." {
		words, check = append(words, "--out", full), append(check, full)
	}
	out.note("      1. ", 9, tell("write what Terra has", words...))
	out.note("      2. ", 9, tell("check the files", check...))
	return out.print(proc.Stdout)
}
