package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/terra-reconcile/terra-reconcile/internal/terra/emulator"
	"github.com/terra-reconcile/terra-reconcile/providers"
	"github.com/terra-reconcile/terra-reconcile/secrets"
)

// Two apps at the emulated Strava, and the secrets that come later.
const (
	demoClientID      = "123456"
	demoSecret        = "5f1d3e0c9b8a7f6e5d4c3b2a190807060504f001"
	demoNewSecret     = "6e2f4d1c0b9a8f7e6d5c4b3a291817161514f002"
	demoWrongSecret   = "7d3e5f2b1c0a9e8f7d6c5b4a392827262524f003"
	demoStagingID     = "654321"
	demoStagingSecret = "0a1b2c3d4e5f60718293a4b5c6d7e8f901234f02"
)

func demoProduction() string { return "demo-prod-x81LmQ" }
func demoStaging() string    { return "demo-stag-Wq72Rt" }

// demoTree draws the repository.
func demoTree() string {
	return `   terra.yaml                   who can open the secrets
   production/environment.yaml  one environment: its dev-id, schedule and policy
   production/strava.yaml       own app, client secret sealed with age
   production/virtuagym.yaml    portal name and API key, sealed
   production/freestylelibre.yaml
   staging/environment.yaml
   staging/strava.yaml
`
}

// prepare makes the emulated account, the identity and the repository, and the
// environment in which the commands run.
func (s *stage) prepare(env *environment, address string) error {
	token := s.terra.AddToken(emulator.Token{}).Bearer
	s.terra.AddEnvironment(demoProduction(), emulator.EnvironmentOptions{Name: "production"})
	s.terra.AddEnvironment(demoStaging(), emulator.EnvironmentOptions{Name: "staging"})
	s.terra.Enable(demoProduction(), "polar")
	s.terra.SetUsers(demoProduction(), "polar", 31, 2)

	private, public, err := secrets.GenerateIdentity(false)
	if err != nil {
		return fmt.Errorf("make demo identity: %w", err)
	}
	key := filepath.Join(s.dir, "identity.txt")
	if err := os.WriteFile(key, []byte(private.Reveal()+"\n"), 0o600); err != nil {
		return fmt.Errorf("make demo identity: %w", err)
	}
	if err := s.repository(public, env.Now()); err != nil {
		return fmt.Errorf("make demo repository: %w", err)
	}
	if err := s.runner(address); err != nil {
		return fmt.Errorf("make demo configuration: %w", err)
	}
	settings := map[string]string{
		"TERRA_ADMIN_TOKEN": token, "TERRA_BASE_URL": address, "RECONCILE_AGE_KEY_FILE": key,
		"RECONCILE_STATE_DIR": filepath.Join(s.dir, "state"),
	}
	inner := *env
	inner.brief = true
	inner.Now = func() time.Time { return env.Now().Add(s.passed) }
	inner.Getenv = func(name string) string {
		if v, ok := settings[name]; ok {
			return v
		}
		if slices.Contains([]string{"NO_COLOR", "TERM"}, name) {
			return env.Getenv(name)
		}
		return ""
	}
	s.env = &inner
	return nil
}

// runner writes daemon.yaml: where Terra and Strava are, and what Strava knows.
func (s *stage) runner(address string) error {
	origin := strings.TrimSuffix(address, emulator.BasePath)
	strava, _ := providers.Lookup("strava")
	probe, ok := emulator.ProviderAddress(origin, strava.Probe.URL)
	if !ok {
		return fmt.Errorf("nobody answers for %s", strava.Probe.URL)
	}
	s.terra.AcceptPair("strava", demoClientID, demoSecret)
	s.terra.AcceptPair("strava", demoStagingID, demoStagingSecret)
	text := "repo: {url: ./config}\n" +
		"accounts:\n  default: {token_env: TERRA_ADMIN_TOKEN, base_url: " + strconv.Quote(address) + ", dev_ids: [\"*\"]}\n" +
		"identities: {files: [./identity.txt]}\nstate_dir: ./state\napply: true\n" +
		"probes: {strava: " + strconv.Quote(probe) + "}\n"
	return os.WriteFile(filepath.Join(s.dir, "daemon.yaml"), []byte(text), 0o600)
}

// repository writes the files and commits them.
func (s *stage) repository(recipient string, now time.Time) error {
	dir := filepath.Join(s.dir, "config")
	files, err := demoFiles(recipient)
	if err != nil {
		return err
	}
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return err
		}
	}
	repo, err := git.PlainInit(dir, false)
	if err != nil {
		return err
	}
	tree, err := repo.Worktree()
	if err != nil {
		return err
	}
	if err := tree.AddGlob("."); err != nil {
		return err
	}
	settings, err := repo.Config()
	if err != nil {
		return err
	}
	settings.User.Name, settings.User.Email = "Demo", "demo@example.com"
	if err := repo.SetConfig(settings); err != nil {
		return err
	}
	who := &object.Signature{Name: "Demo", Email: "demo@example.com", When: now}
	_, err = tree.Commit("Connect Strava, Virtuagym and FreeStyle Libre", &git.CommitOptions{Author: who, Committer: who})
	return err
}

func demoFiles(recipient string) (map[string]string, error) {
	recipients, err := secrets.ParseRecipients([]string{recipient}, nil)
	if err != nil {
		return nil, err
	}
	files := map[string]string{
		"terra.yaml": "version: 1\nrecipients:\n  - paths: [\"**\"]\n    age: [" + recipient + "]\nsecrets: {binding: require}\n",
		"production/environment.yaml": "dev_id: " + demoProduction() + "\nschedule: \"*/15 * * * *\"\nprune: never\n" +
			"policy:\n  protect: [strava]\n",
		"production/freestylelibre.yaml": "provider: freestylelibre\n",
		"staging/environment.yaml":       "dev_id: " + demoStaging() + "\nprune: disable\n",
	}
	sealed := func(devID, provider, secret string) string {
		at := secrets.Binding{DevID: devID, Provider: provider, Field: "client_secret"}
		var age secrets.Sealed
		if err == nil {
			age, err = secrets.Seal(secrets.NewValue([]byte(secret)), at, recipients)
		}
		return "!age |\n    " + strings.ReplaceAll(strings.TrimSpace(age.Armor()), "\n", "\n    ") + "\n"
	}
	const stravaSetup = "setup:\n  app: {done: 2026-08-01}\n  callback_domain: {value: access.tryterra.co, done: 2026-08-01}\n"
	files["production/strava.yaml"] = "provider: strava\ncredentials:\n  client_id: \"" + demoClientID + "\"\n  client_secret: " +
		sealed(demoProduction(), "strava", demoSecret) +
		"scopes: [activity:read_all, profile:read_all]\n" + stravaSetup
	files["production/virtuagym.yaml"] = "provider: virtuagym\ncredentials:\n  portal_name: acme-gyms\n  api_key: " +
		sealed(demoProduction(), "virtuagym", "q8Zt3LmX0vRw7NcY5bKd2HsG9jPf4TaE6uQi1oBxWk") +
		"setup:\n  partnership: {done: 2026-07-20}\n  api_key: {done: 2026-07-24}\n"
	files["staging/strava.yaml"] = "provider: strava\ncredentials:\n  client_id: \"" + demoStagingID + "\"\n  client_secret: " +
		sealed(demoStaging(), "strava", demoStagingSecret) + stravaSetup
	return files, err
}
