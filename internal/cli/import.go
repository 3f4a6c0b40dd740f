package cli

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/terra-reconcile/terra-reconcile/internal/advice"
	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/internal/importer"
	"github.com/terra-reconcile/terra-reconcile/internal/repoedit"
	"github.com/terra-reconcile/terra-reconcile/internal/terra"
	"github.com/terra-reconcile/terra-reconcile/internal/visible"
	"github.com/terra-reconcile/terra-reconcile/reconcile"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

// importFlags are the flags of the command import.
type importFlags struct {
	environment, devID, account, out, config, secrets string
	yesNew, yesOther                                  bool
}

func newImportCommand(proc *Process) *cobra.Command {
	f := &importFlags{}
	cmd := &cobra.Command{
		Use:   "import",
		Short: "Write what Terra has in an environment as files",
		Long: `Write what Terra has in an environment as files of a config repository.

It reads every connection of the dev-id and writes a file for each one that has
none yet: state, client id, scopes, domain and redirect where they are not
Terra's defaults, and the JSON Schemas by which editors check them. A dry run
finds nothing to change. It writes nothing to Terra and changes no file that is
there: all new files are written, or none.

Secrets do not leave Terra. A key that was set by hand is {unknown: true}: it
stays as it is until "reconcile rotate add" gives the connection one that you
have. A new environment begins with mode: observe, so a daemon only looks. Human
steps that nobody has recorded stand in the files as comments.

With --secrets it seals the secrets of a file, or of standard input, into the
connections that have files: all of them or none. The file is one that nobody
else can read (chmod 600), outside of the repository. It holds lines

  production/strava client_secret=…
  PRODUCTION_POLAR_CLIENT_SECRET=…

or what "bw list items", an export of Bitwarden or "op item get --format json"
print, with items that are named production/strava. A client id in it must be
that of the connection. Each client secret is compared with the live one, by its
last characters and by a dry run: the live one takes the place of {unknown:
true}, another one only after a question. Anything that belongs nowhere is an
error. The file stays.

The token needs providers:read.`,
		Example: `  reconcile import --env production --dev-id acme-prod-x81LmQ
  reconcile import --env production --out ~/terra-config
  reconcile import --secrets ~/secrets.txt
  bw list items --search terra | reconcile import --secrets -`,
		Args: takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.out != "." {
				proc.asked.flags = append(proc.asked.flags, givenFlag{"repo", f.out})
				proc.asked.folder = f.out
			}
			if f.secrets != "" {
				return f.importSecrets(cmd.Context(), proc)
			}
			if f.environment == "" {
				return misused(cmd, "missing: --env NAME")
			}
			return runImport(cmd.Context(), proc, f)
		},
	}
	p := cmd.Flags()
	p.StringVar(&f.environment, "env", "", "`name` of the environment: its folder (required without --secrets)")
	p.StringVar(&f.devID, "dev-id", "", "`dev-id` as Terra's dashboard shows it (required for a new environment)")
	p.StringVar(&f.account, "account", "", "`name` of the runner's account (default: the one that lists the dev-id)")
	p.StringVar(&f.out, "out", ".", "`folder` of the config repository")
	p.StringVar(&f.config, "config", "", "take the accounts from this `daemon.yaml`")
	p.StringVar(&f.secrets, "secrets", "", "seal the secrets of this `file`, - for standard input, into the files that are there")
	addYesNew(cmd, &f.yesNew)
	p.BoolVar(&f.yesOther, "yes-not-live", false, "with --secrets: seal secrets that are not the live ones, without asking")
	return cmd
}

func runImport(ctx context.Context, proc *Process, f *importFlags) error {
	runner, err := runnerConfig(proc, f.config)
	if err != nil {
		return err
	}
	repository, err := openRepository(f.out)
	if err != nil {
		return err
	}
	env, isNew, err := f.place(repository)
	if err != nil {
		return err
	}
	if isNew {
		env.Account = cmp.Or(f.account, accountOf(runner, env.DevID))
	}
	client, err := newClients(runner, terra.Options{Transport: terra.NewTransport(), Limits: terra.NewLimits(), Version: proc.Version, ReadOnly: true})(env.Account, env.DevID)
	if err != nil {
		return err
	}
	has := func(provider string) bool {
		return slices.ContainsFunc(env.Connections, func(c spec.Connection) bool { return c.Provider == provider })
	}
	progress := newProgress(proc)
	connections, err := importer.Read(ctx, client, env.DevID, has, func(done, total int) {
		progress.show(reconcile.Progress{Environment: env.Name, Done: done, Total: total})
	})
	progress.clear()
	switch {
	case err != nil:
		return fmt.Errorf("%w; nothing was written", err)
	case len(connections) == 0 && isNew:
		return fmt.Errorf("import %s: Terra lists no connection of %s; check the dev-id; nothing was written", env.Name, env.DevID)
	case len(connections) == 0:
		text := "Terra lists no connection of " + env.DevID
		if len(env.Connections) > 0 {
			text += " that has no file yet"
		}
		return say(proc, tell(text+"; nothing was written"))
	}
	files, err := missingSchemas(repository)
	if err != nil {
		return err
	}
	if isNew {
		account := strings.TrimSuffix(env.Account, config.DefaultAccount)
		name := env.Name + "/environment.yaml"
		files[name] = []byte(schemaLine("environment", name) + importer.Environment(env.DevID, account))
	}
	imported := map[string]importer.File{}
	for _, c := range connections {
		file, err := importer.Write(c, env.DevID, proc.Now())
		if err != nil {
			return fmt.Errorf("%w; nothing was written", err)
		}
		imported[c.Provider] = file
		name := env.Name + "/" + c.Provider + ".yaml"
		files[name] = []byte(schemaLine("connection", name) + file.Text)
	}
	if err := repository.Add(files); err != nil {
		return notAdded(err)
	}
	return sayImported(proc, env.Name, connections, imported)
}

// missingSchemas are the schemas that new files name and a repository does not have. Where
// something else than a folder has their place there are none.
func missingSchemas(r repoedit.Repository) (map[string][]byte, error) {
	files, err := schemaFiles()
	if err != nil {
		return nil, err
	}
	folder, err := os.Lstat(r.Path("schema"))
	other := err == nil && !folder.IsDir()
	maps.DeleteFunc(files, func(name string, _ []byte) bool {
		_, err := os.Lstat(r.Path(name))
		return err == nil || other
	})
	return files, nil
}

// place is the environment to import into, as its files have it, or a new one.
func (f *importFlags) place(r repoedit.Repository) (env spec.Environment, isNew bool, err error) {
	for _, p := range r.Problems {
		if p.Severity == spec.Error && (p.Environment == "" && len(r.Set.Environments) > 0 || p.Environment == f.environment) {
			return env, false, advice.With(fmt.Errorf("import into %s: its files have an error, which comes first: %s", r.Root, p.String()), "see all", "validate", r.Root)
		}
	}
	for _, e := range r.Set.Environments {
		switch same := e.Name == f.environment; {
		case same && f.devID != "" && f.devID != e.DevID:
			return env, false, usageError("--dev-id %s: environment %s has the dev_id %s", f.devID, e.Name, e.DevID)
		case same && f.account != "" && f.account != e.Account:
			return env, false, usageError("--account %s: environment %s has the account %s", f.account, e.Name, e.Account)
		case same:
			return e, false, nil
		case f.devID != "" && strings.EqualFold(e.DevID, f.devID):
			return env, false, usageError("--dev-id %s: it is that of environment %s; import into it with --env %s", f.devID, e.Name, e.Name)
		}
	}
	if !spec.IsEnvironment(f.environment) {
		return env, false, usageError("--env: no folder of an environment can have that name; write letters, digits, ., _ and -, as in production or eu/production")
	}
	if f.devID != "" && !spec.IsDevID(f.devID) {
		return env, false, usageError("--dev-id: no environment of Terra has that name; copy the dev-id from its dashboard: letters, digits, ., _ and -")
	}
	if f.devID == "" {
		return env, false, usageError("--env %s: the repository has no such environment yet; name its dev-id with --dev-id", f.environment)
	}
	return spec.Environment{Name: f.environment, DevID: f.devID}, true, nil
}

// accountOf is the account of the runner that lists a dev-id, else its default one.
func accountOf(c config.Config, devID string) string {
	for name := range c.Accounts {
		if c.Assigns(name, devID) {
			return name
		}
	}
	return config.DefaultAccount
}

// sayImported tells what each file holds, what none does, and what comes next.
func sayImported(proc *Process, environment string, connections []importer.Connection, files map[string]importer.File) error {
	out, unknown, open := newPage(proc), []string{}, 0
	out.add(environment + ": " + visible.Plural(len(connections), "connection", "connections") + " imported\n\n")
	widest := 24
	for _, c := range connections {
		widest = max(widest, len(environment+"/"+c.Provider+".yaml"))
	}
	for _, c := range connections {
		file := files[c.Provider]
		words := "Terra's app"
		if file.NoKeys {
			words = "no app of yours yet, and it needs one"
		}
		switch {
		case file.UnknownKey:
			words, unknown = "own app, a key that nobody can read", append(unknown, c.Provider)
		case c.Credentials.HasCredentials && !c.Credentials.TerraOwned:
			words = "own app, which stays as it is"
		}
		if !c.Source.Active {
			words += ", paused"
		}
		if file.Open {
			open++
			words += ", human steps to record"
		}
		out.folded(fmt.Sprintf("  %-*s ", widest, environment+"/"+c.Provider+".yaml"), words)
		for _, left := range file.Left {
			out.folded("    not in the file: ", left)
		}
	}
	out.add("\n")
	if len(unknown) > 0 {
		out.paragraph("The keys that nobody can read stay as they are, and nothing could put them back. Where somebody still has one, seal it first; then it can be replaced and taken back.")
	}
	next := []note{tell("see that nothing changes", "--dry-run", "--env", environment)}
	switch len(unknown) {
	case 0:
	case 1:
		next = append(next, tell("seal the live key of a connection", "rotate", "add", environment+"/"+unknown[0]))
	default:
		words := []string{"import", "--secrets", "FILE"}
		if out := proc.asked.value("repo"); out != "" {
			words = append(words, "--out", out)
		}
		next = append(next, tell("seal the live keys, from a file of yours", words...))
	}
	if open > 0 {
		next = append(next, tell("see what each provider needs", "providers"))
	}
	for i, n := range next {
		head := fmt.Sprintf("Next  %d. ", i+1)
		if i > 0 {
			head = fmt.Sprintf("      %d. ", i+1)
		}
		out.note(head, len(head), n)
	}
	return out.print(proc.Stdout)
}
