package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/terra-reconcile/terra-reconcile/internal/terra/emulator"
	"github.com/terra-reconcile/terra-reconcile/secrets"
)

// bearer is the admin token of the emulated account.
const bearer = "terra_at_benchmark"

func devID(environment int) string       { return fmt.Sprintf("bench-app-%03d", environment) }
func provider(connection int) string     { return fmt.Sprintf("own_%03d", connection) }
func clientID(e, c int) string           { return fmt.Sprintf("client-%03d-%03d", e, c) }
func secret(e, c int) string             { return fmt.Sprintf("an-app-secret-of-forty-letters-%03d-%05d", e, c) }
func identityFile(dir string) string     { return filepath.Join(dir, "identity.txt") }
func runnerFile(dir string) string       { return filepath.Join(dir, "runner.txt") }
func repositoryFolder(dir string) string { return filepath.Join(dir, "config") }

// account is an emulated Terra where every connection is active and has the own
// app that the repository describes. Terra's rules are those of the emulator;
// the judge of the contract is left out.
func account(latency time.Duration, environments, connections int) http.Handler {
	s := emulator.New(emulator.Config{Latency: latency, LogLimit: 1})
	s.AddToken(emulator.Token{Bearer: bearer})
	for c := range connections {
		s.SetSourceType("", emulator.SourceType{Provider: provider(c), AuthType: "oauth2",
			CustomCredentialsAllowed: true, DataTypes: []string{}})
	}
	for e := range environments {
		s.AddEnvironment(devID(e), emulator.EnvironmentOptions{})
		for c := range connections {
			s.SetCredential(devID(e), provider(c), emulator.Credential{ClientID: clientID(e, c), Secret: secret(e, c)})
		}
	}
	return s
}

// writeRepository makes the identities and the config repository, committed,
// with one file and one sealed secret a connection. The runner's own identity
// opens none of them.
func writeRepository(dir string, environments, connections int) error {
	if _, err := writeIdentity(runnerFile(dir)); err != nil {
		return err
	}
	public, err := writeIdentity(identityFile(dir))
	if err != nil {
		return err
	}
	recipients, err := secrets.ParseRecipients([]string{public}, nil)
	if err != nil {
		return fmt.Errorf("make identity: %w", err)
	}
	root := "version: 1\nrecipients: [{paths: [\"**\"], age: [" + public + "]}]\nsecrets: {binding: require}\n"
	if err := writeFile(repositoryFolder(dir), "terra.yaml", root); err != nil {
		return err
	}
	for e := range environments {
		folder := filepath.Join(repositoryFolder(dir), fmt.Sprintf("env%03d", e))
		if err := writeFile(folder, "environment.yaml", "dev_id: "+devID(e)+"\nprune: never\n"); err != nil {
			return err
		}
		for c := range connections {
			at := secrets.Binding{DevID: devID(e), Provider: provider(c), Field: "client_secret"}
			sealed, err := secrets.Seal(secrets.NewValue([]byte(secret(e, c))), at, recipients)
			if err != nil {
				return fmt.Errorf("seal secret: %w", err)
			}
			text := "provider: " + provider(c) + "\ncredentials:\n  client_id: " + clientID(e, c) + "\n  client_secret: !age |\n    " +
				strings.ReplaceAll(strings.TrimSpace(sealed.Armor()), "\n", "\n    ") + "\n"
			if err := writeFile(folder, provider(c)+".yaml", text); err != nil {
				return err
			}
		}
	}
	return commit(repositoryFolder(dir))
}

func writeIdentity(name string) (public string, err error) {
	private, public, err := secrets.GenerateIdentity(false)
	if err == nil {
		err = os.WriteFile(name, []byte(private.Reveal()+"\n"), 0o600)
	}
	if err != nil {
		return "", fmt.Errorf("make identity: %w", err)
	}
	return public, nil
}

func writeFile(folder, name, text string) error {
	err := os.MkdirAll(folder, 0o700)
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600)
	}
	if err != nil {
		return fmt.Errorf("write repository: %w", err)
	}
	return nil
}

func commit(folder string) error {
	repository, err := git.PlainInit(folder, false)
	if err != nil {
		return fmt.Errorf("commit repository: %w", err)
	}
	tree, err := repository.Worktree()
	if err != nil {
		return fmt.Errorf("commit repository: %w", err)
	}
	if err := tree.AddWithOptions(&git.AddOptions{All: true}); err != nil {
		return fmt.Errorf("commit repository: %w", err)
	}
	who := &object.Signature{Name: "Bench", Email: "bench@example.com", When: time.Now()}
	if _, err := tree.Commit("Connect everything", &git.CommitOptions{Author: who, Committer: who}); err != nil {
		return fmt.Errorf("commit repository: %w", err)
	}
	return nil
}
