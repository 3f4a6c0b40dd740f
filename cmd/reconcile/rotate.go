package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/secrets"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

func newRotateCommand(env *environment) *cobra.Command {
	return family(&cobra.Command{
		Use:   "rotate",
		Short: "Replace the client secrets of connections",
		Long: `Replace the client secrets of connections.

No provider can make a secret by API: a person makes it in the provider's portal
and adds it here, sealed. The rest follows by itself: at its time the new key is
proved, set at Terra, read back and watched.`,
		Example: "  reconcile rotate status\n  reconcile rotate add production/strava\n  reconcile rotate prune production/strava --key 1",
	}, newRotateStatusCommand(env), newRotateAddCommand(env), newRotatePruneCommand(env))
}

// keyFlags are the flags of the commands that change the keys of a file.
type keyFlags struct {
	repo, config, state string
	commit              bool
}

func (f *keyFlags) add(cmd *cobra.Command) {
	p := cmd.Flags()
	p.StringVar(&f.repo, "repo", ".", "config repository: a `folder`, or one in it")
	p.StringVar(&f.config, "config", "", "take identities, plugins and probes from this `daemon.yaml`")
	p.StringVar(&f.state, "state", "", "`folder` of the memory (default: RECONCILE_STATE_DIR)")
	p.BoolVar(&f.commit, "commit", false, "commit the changed files, and nothing else, with the author that git knows")
}

func (f *keyFlags) runner(env *environment) (config.Config, error) {
	return (&runFlags{config: f.config, repo: ".", state: f.state}).configuration(env)
}

// folder is where the files are that the command works on: the one that --repo names,
// else the one around here, else the one that --config names.
func (f *keyFlags) folder(runner config.Config) string {
	if _, err := openSecretRepository(f.repo); err == nil || f.repo != "." || f.config == "" {
		return f.repo
	}
	var v invocation
	if v.reads(runner.Repo); v.folder == "" {
		return f.repo
	}
	return v.folder
}

// keyFile is a connection file whose keys are worked on.
type keyFile struct {
	repository secretRepository
	env        spec.Environment
	connection spec.Connection
	text       []byte
	names      []string // of its client secret, the usual one first
}

// name is the connection as people read it.
func (k keyFile) name() string { return k.env.Name + "/" + k.connection.Provider }

func (k keyFile) binding() secrets.Binding {
	return secrets.Binding{DevID: k.env.DevID, Provider: k.connection.Provider, Field: plan.FieldClientSecret}
}

// openKeyFile finds the file of a connection, given as ENVIRONMENT/PROVIDER. A
// file with errors is refused: what is added to it could mean something else.
func openKeyFile(dir, name string) (keyFile, error) {
	if !strings.Contains(name, "/") || strings.HasSuffix(name, ".yaml") {
		like, isFile := strings.CutSuffix(filepath.ToSlash(name), ".yaml")
		if !isFile || !strings.Contains(like, "/") {
			like = "production/strava"
		}
		return keyFile{}, usageError("%q is not a connection; write it as %s", name, like)
	}
	repository, err := openSecretRepository(dir)
	if err != nil {
		return keyFile{}, err
	}
	k := keyFile{repository: repository}
	var known []string
	for _, e := range repository.set.Environments {
		for _, c := range e.Connections {
			is := e.Name + "/" + c.Provider
			if known = append(known, is); is == name {
				k.env, k.connection = e, c
			}
		}
	}
	if k.connection.File == "" {
		hint := ""
		if near := nearConnection(name, known); near != "" {
			hint = "did you mean " + near + "? "
		}
		return keyFile{}, fmt.Errorf("%s: no file describes this connection; %sthe repository has %s", name, hint, strings.Join(known, ", "))
	}
	if bad := repository.errorsIn(k.connection.File); len(bad) > 0 || k.env.DevID == "" {
		if len(bad) == 0 {
			return keyFile{}, fmt.Errorf("%s/environment.yaml: it has no valid dev_id; %s says more", k.env.Name, repository.checking())
		}
		return keyFile{}, fmt.Errorf("%s; mend it first", bad[0])
	}
	if _, k.names, err = fieldNames(k.connection.Provider, plan.FieldClientSecret); err != nil {
		return keyFile{}, err
	}
	k.text, err = os.ReadFile(repository.path(k.connection.File))
	return k, err
}

// keyEdit is a change of a file's keys that can be saved whole.
type keyEdit struct {
	keyFile
	commit     bool
	now        time.Time
	sealed     secrets.Sealed // a new one, to be noted; zero for none
	recipients secrets.Recipients
}

// begin makes sure, before anything is asked or changed, that a change can be saved.
func (k keyFile) begin(commit bool, now time.Time) (keyEdit, error) {
	e := keyEdit{keyFile: k, commit: commit, now: now}
	_, _, err := e.prepare()
	return e, err
}

func (e keyEdit) prepare() (secrets.Lock, *commitment, error) {
	lock, err := e.repository.lock()
	if err != nil || !e.commit {
		return lock, nil, err
	}
	commit, err := prepareCommit(e.repository.root, []string{e.connection.File, secrets.LockPath}, e.now)
	return lock, commit, err
}

// save writes the file and the lock, and commits both if that was wanted. Both are
// looked at again: a person may have taken an hour to find the secret.
func (e keyEdit) save(text []byte, message string) (hash string, err error) {
	lock, commit, err := e.prepare()
	if err == nil {
		err = e.repository.unchanged(e.connection.File, e.text)
	}
	if err != nil {
		return "", err
	}
	if err := replaceFile(e.repository.path(e.connection.File), text); err != nil {
		return "", err
	}
	after, err := openSecretRepository(e.repository.root)
	if err != nil {
		return "", err
	}
	lock.Record(e.sealed, e.recipients)
	if err := after.saveLock(lock); err != nil {
		return "", err
	}
	if commit == nil {
		return "", nil
	}
	if hash, err = commit.make(message); err != nil {
		return "", fmt.Errorf("%s and %s are written but not committed: %w", e.connection.File, secrets.LockPath, err)
	}
	return hash, nil
}
