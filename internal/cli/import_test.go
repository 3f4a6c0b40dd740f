package cli

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/terra"
	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
	"github.com/terra-reconcile/terra-reconcile/internal/walk"
	"github.com/terra-reconcile/terra-reconcile/providers"
)

const importedDevID = "acme-live-Kk31Zp"

// newAccount is an empty repository beside an emulated account that somebody clicked.
func newAccount(t *testing.T, o terratest.EnvironmentOptions) *example {
	t.Helper()
	empty := t.TempDir()
	write(t, filepath.Join(empty, "terra.yaml"), "version: 1\n")
	e := newExampleOf(t, empty, time.Date(2026, 11, 30, 9, 0, 0, 0, time.UTC))
	e.terra.AddEnvironment(importedDevID, o)
	return e
}

func (e *example) imports(want int, more ...string) string {
	e.t.Helper()
	return e.run(want, append([]string{"import", "--env", "live", "--dev-id", importedDevID, "--out", e.repository()}, more...)...)
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (e *example) client() *terra.Client {
	e.t.Helper()
	client, err := terra.New(terra.Options{BaseURL: e.vars["TERRA_BASE_URL"], Version: "test", Transport: terra.NewTransport(), Limits: terra.NewLimits(),
		Token: func() (string, error) { return e.vars["TERRA_ADMIN_TOKEN"], nil }})
	if err != nil {
		e.t.Fatal(err)
	}
	return client
}

// offered is what Terra offers, by provider.
func (e *example) offered() map[string]terra.SourceType {
	e.t.Helper()
	list, err := e.client().ListSourceTypes(e.t.Context(), importedDevID)
	if err != nil {
		e.t.Fatal(err)
	}
	out := map[string]terra.SourceType{}
	for _, offer := range list {
		out[offer.Provider] = offer
	}
	return out
}

// clicked sets up a connection in one of the ways in which the emulator can hold one.
func clicked(e *example, r *rand.Rand, p providers.Provider, offer terra.SourceType, n int) (secret string) {
	dev, slug := importedDevID, p.Slug
	e.terra.Enable(dev, slug)
	if id, has := p.Field(providers.ClientID); offer.CustomCredentialsAllowed && has && r.IntN(4) > 0 {
		secret = fmt.Sprintf("aSecretThatNobodyMayRead%08d", n)
		c := terratest.Credential{ClientID: id.Sample, Secret: secret, Sandbox: r.IntN(4) == 0}
		if r.IntN(4) == 0 {
			c.Verification = "another" + secret
		}
		if p.CustomDomain && r.IntN(2) == 0 {
			host := strings.ReplaceAll(slug, "_", "-") + ".acme.example"
			e.terra.SetDomain(dev, slug, host)
			if r.IntN(4) > 0 {
				e.terra.PublishDNS(host)
				e.terra.Serve(host)
				c.RedirectURL = "https://" + host + "/auth/" + slug
			}
		}
		e.terra.SetCredential(dev, slug, c)
		if offer.BYOSupported && r.IntN(3) == 0 {
			e.terra.SetAuthVariant(dev, slug, "byo")
		}
	}
	if offer.CustomScopesSupported && r.IntN(2) == 0 {
		scopes, err := e.client().GetScopes(e.t.Context(), dev, slug)
		if err != nil {
			e.t.Fatal(err)
		}
		var chosen []string
		for _, s := range scopes.Scopes {
			if !s.Required && r.IntN(2) == 0 {
				chosen = append(chosen, s.Scope)
			}
		}
		e.terra.SetScopes(dev, slug, chosen)
	}
	if r.IntN(4) == 0 {
		e.terra.Pause(dev, slug)
	}
	return secret
}

// TestRandomAccountsAreImportedWithoutDifference sets up every provider of the
// catalogue in random ways, imports the account, and finds nothing to change in a dry
// run of the files as an environment that applies. No secret, and no piece of one, is in
// a file or was printed.
func TestRandomAccountsAreImportedWithoutDifference(t *testing.T) {
	r := rand.New(rand.NewPCG(uint64(walk.Seed(t)), 4))
	for n := range walk.Times(16) {
		e := newAccount(t, terratest.EnvironmentOptions{LegacyHost: n%2 == 1})
		types := e.offered()
		var planted []string
		for i, p := range providers.All() {
			if offer, ok := types[p.Slug]; ok && r.IntN(5) > 0 {
				if secret := clicked(e, r, p, offer, i); secret != "" {
					planted = append(planted, secret[len(secret)-8:])
				}
			}
		}
		printed := e.imports(0)
		settled := strings.Replace(e.read("live/environment.yaml"), "mode: observe", "mode: apply", 1)
		write(t, filepath.Join(e.repository(), "live/environment.yaml"), settled)
		e.commit("Import")
		if out := e.run(0, "--repo", e.repository(), "--dry-run"); !strings.Contains(out, "in sync") {
			t.Fatalf("a dry run after the import: %s\nafter %s", out, printed)
		}
		for _, name := range e.files("live") {
			for _, secret := range planted {
				if strings.Contains(e.read(name), secret) {
					t.Fatalf("%s holds a piece of a secret:\n%s", name, e.read(name))
				}
			}
		}
		for _, secret := range planted {
			if strings.Contains(e.outputs.String(), secret) {
				t.Fatal("a piece of a secret was printed")
			}
		}
		if again := flat(e.imports(0)); !strings.Contains(again, "nothing was written") {
			t.Fatalf("imported again: %s", again)
		}
	}
}

func (e *example) read(name string) string {
	e.t.Helper()
	text, err := os.ReadFile(filepath.Join(e.repository(), name))
	if err != nil {
		e.t.Fatal(err)
	}
	return string(text)
}

func (e *example) files(folder string) (names []string) {
	e.t.Helper()
	entries, err := os.ReadDir(filepath.Join(e.repository(), folder))
	if err != nil {
		e.t.Fatal(err)
	}
	for _, entry := range entries {
		names = append(names, folder+"/"+entry.Name())
	}
	return names
}

// TestImport has what a random account has not.
func TestImport(t *testing.T) {
	arn := map[string]string{"role_arn": "arn:aws:iam::1:role/terra", "secret_arn": "arn:aws:secretsmanager:eu-west-1:1:secret:strava"}
	for name, c := range map[string]struct {
		click  func(e *example)
		file   string   // that is looked at
		has    []string // in it
		hasNot []string
	}{
		"a provider that the catalogue does not know": {
			func(e *example) {
				e.terra.SetSourceType("", terratest.SourceType{Provider: "peloton", AuthType: "oauth2", CustomCredentialsAllowed: true, DataTypes: []string{}})
				e.terra.Enable(importedDevID, "peloton")
				e.terra.SetCredential(importedDevID, "peloton", terratest.Credential{ClientID: "null", Secret: "aSecretNobodyMayRead0001"})
			},
			"live/peloton.yaml", []string{"provider: peloton\n", "  client_id: \"null\"\n"}, nil,
		},
		"texts that YAML would misread": {
			func(e *example) {
				e.terra.Enable(importedDevID, "withings")
				e.terra.SetCredential(importedDevID, "withings", terratest.Credential{ClientID: "0123: \"#x", Secret: "aSecretNobodyMayRead0001"})
			},
			"live/withings.yaml", []string{`client_id: "0123: \"#x"`}, nil,
		},
		"a client id that the catalogue believes to be impossible": {
			func(e *example) {
				e.terra.Enable(importedDevID, "huawei")
				e.terra.SetCredential(importedDevID, "huawei", terratest.Credential{ClientID: "no digits", Secret: "aSecretNobodyMayRead0001"})
			},
			"live/huawei.yaml", []string{"# Not in this file: the own app, client id no digits: "}, []string{"credentials:"},
		},
		"a client id that would be lines of its own": {
			func(e *example) {
				e.terra.Enable(importedDevID, "strava")
				e.terra.SetCredential(importedDevID, "strava", terratest.Credential{ClientID: "12\nstate: disabled\n# x", Secret: "aSecretNobodyMayRead0001"})
			},
			"live/strava.yaml", []string{"# Not in this file: the own app, client id 12"}, []string{"\nstate:", "credentials:"},
		},
		"a secret in a store": {
			func(e *example) {
				e.terra.SetSecretStore("aws", map[string]string{"client_secret": "aSecretNobodyMayRead0001"}, true)
				e.terra.Enable(importedDevID, "strava")
				e.terra.SetCredential(importedDevID, "strava", terratest.Credential{ClientID: "123456", SecretRef: &terratest.SecretRef{Store: "aws", Config: arn}})
			},
			"live/strava.yaml", []string{"# Not in this file: the own app: Terra reads its secret from a store of yours (aws)"}, []string{"credentials:", "arn:"},
		},
		"a domain of another environment": {
			func(e *example) {
				e.terra.AddEnvironment("acme-other", terratest.EnvironmentOptions{})
				e.terra.SetDomain("acme-other", "strava", "auth.acme.example")
				e.terra.PublishDNS("auth.acme.example")
				e.terra.Serve("auth.acme.example")
				e.terra.Enable(importedDevID, "strava")
				e.terra.SetCredential(importedDevID, "strava", terratest.Credential{ClientID: "123456", Secret: "aSecretNobodyMayRead0001", RedirectURL: "https://auth.acme.example/auth/strava"})
			},
			"live/strava.yaml", []string{"domain: auth.acme.example\n", "redirect_url: https://auth.acme.example/auth/strava\n"}, nil,
		},
		"a domain that does not serve": {
			func(e *example) {
				e.terra.Enable(importedDevID, "strava")
				e.terra.SetDomain(importedDevID, "strava", "auth.acme.example")
				e.terra.FailDomain("auth.acme.example", "the record points elsewhere")
			},
			"live/strava.yaml", []string{"# Not in this file: the domain auth.acme.example, which does not serve: FAILED\n"}, []string{"\ndomain:"},
		},
		"an app that Terra does not offer any more": {
			func(e *example) {
				e.terra.Enable(importedDevID, "freestylelibre")
				e.terra.WithdrawSourceType("freestylelibre")
			},
			"live/freestylelibre.yaml", []string{"provider: freestylelibre\n"}, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := newAccount(t, terratest.EnvironmentOptions{})
			c.click(e)
			e.imports(0)
			text := e.read(c.file)
			for _, want := range c.has {
				if !strings.Contains(text, want) {
					t.Errorf("it lacks %q:\n%s", want, text)
				}
			}
			for _, bad := range c.hasNot {
				if strings.Contains(text, bad) {
					t.Errorf("it has %q:\n%s", bad, text)
				}
			}
			e.commit("Import")
			e.run(0, "--repo", e.repository(), "--dry-run")
		})
	}
}

// TestImportOfNamesThatYAMLMisreads: as a slug, a client id and the name of a folder.
func TestImportOfNamesThatYAMLMisreads(t *testing.T) {
	words := []string{"no", "on", "y", "null", "true", "1e3", "0x10", "0o7", "1_000", "2026", "007"}
	e := newAccount(t, terratest.EnvironmentOptions{})
	own := func(slug, clientID string) {
		e.terra.Enable(importedDevID, slug)
		e.terra.SetCredential(importedDevID, slug, terratest.Credential{ClientID: clientID, Secret: "aSecretNobodyMayRead0001"})
	}
	for _, word := range words {
		e.terra.SetSourceType("", terratest.SourceType{Provider: word, AuthType: "oauth2", CustomCredentialsAllowed: true, DataTypes: []string{}})
		own(word, word)
	}
	for _, word := range []string{"~", ".inf", "2026-12-01", "1:30", "a: b", "- x", "=", "%", "@x", "[x", "x #y", "!x", "&x", "*x"} {
		own("withings", word)
		if err := os.RemoveAll(filepath.Join(e.repository(), "no")); err != nil {
			t.Fatal(err)
		}
		e.run(0, "import", "--env", "no", "--dev-id", importedDevID, "--out", e.repository())
		e.commit("Import")
		for _, slug := range words { // as other readers of YAML take them, too
			if want := fmt.Sprintf("provider: %q\n", slug); !strings.Contains(e.read("no/"+slug+".yaml"), want) {
				t.Errorf("%s.yaml lacks %s", slug, want)
			}
		}
		if out := e.run(0, "--repo", e.repository(), "--dry-run"); !strings.Contains(out, fmt.Sprintf("no: in sync, %d connections", len(words)+1)) || strings.Contains(e.read("no/withings.yaml"), "# Not in") {
			t.Errorf("%q: %s\n%s", word, out, e.read("no/withings.yaml"))
		}
	}
}

// TestImportOfAnOwnAppThatNoFileCanHold: the report does not call it Terra's.
func TestImportOfAnOwnAppThatNoFileCanHold(t *testing.T) {
	e := newAccount(t, terratest.EnvironmentOptions{})
	e.terra.Enable(importedDevID, "huawei")
	e.terra.SetCredential(importedDevID, "huawei", terratest.Credential{ClientID: "cid-5", Secret: "aSecretNobodyMayRead0001"})
	out := e.run(0, "import", "--env", "live", "--dev-id", importedDevID, "--out", e.repository())
	if !strings.Contains(out, "own app, which stays as it is") || !strings.Contains(out, "not in the file") || strings.Contains(out, "Terra's app") {
		t.Errorf("got %s", out)
	}
}

// TestImportAddsWhatIsMissing leaves alone what is there.
func TestImportAddsWhatIsMissing(t *testing.T) {
	e := newAccount(t, terratest.EnvironmentOptions{})
	e.terra.Enable(importedDevID, "strava")
	e.terra.Enable(importedDevID, "oura")
	const mine = "# mine\nprovider: strava\nstate: paused\n"
	write(t, filepath.Join(e.repository(), "live/environment.yaml"), "dev_id: "+importedDevID+"\nprune: never\n")
	write(t, filepath.Join(e.repository(), "live/a.yaml"), mine)
	if out := e.run(0, "import", "--env", "live", "--out", e.repository()); !strings.Contains(out, "live: 1 connection imported") {
		t.Errorf("got %s", out)
	}
	if e.read("live/a.yaml") != mine || !strings.Contains(e.read("live/oura.yaml"), "provider: oura") {
		t.Errorf("got %v", e.files("live"))
	}
}

// TestImportOfNothing says so, and not that all of it has files.
func TestImportOfNothing(t *testing.T) {
	e := newAccount(t, terratest.EnvironmentOptions{})
	write(t, filepath.Join(e.repository(), "live/environment.yaml"), "dev_id: "+importedDevID+"\nprune: never\n")
	if out := flat(e.imports(0)); out != "Terra lists no connection of "+importedDevID+"; nothing was written" {
		t.Errorf("got %q", out)
	}
}

// TestImportOfFiveHundred is one wave of reads.
func TestImportOfFiveHundred(t *testing.T) {
	e := newAccount(t, terratest.EnvironmentOptions{})
	for n := range 500 {
		slug := fmt.Sprintf("source_%03d", n)
		e.terra.SetSourceType("", terratest.SourceType{Provider: slug, AuthType: "oauth2", DataTypes: []string{}})
		e.terra.Enable(importedDevID, slug)
	}
	e.imports(0)
	if files := e.files("live"); len(files) != 501 {
		t.Errorf("got %d files", len(files))
	}
}

// TestImportWritesAllOrNothing: what is wrong is said with what to do, and no file is
// there that was not.
func TestImportWritesAllOrNothing(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(e *example)
		args    []string
		code    int
		says    string
	}{
		"an account that lacks a scope": {
			func(e *example) {
				e.vars["TERRA_ADMIN_TOKEN"] = e.terra.AddToken(terratest.Token{Scopes: []string{"connections:read"}}).Bearer
			}, nil, 1, "providers:read",
		},
		"one answer fails": {
			func(e *example) {
				e.terra.Fault(terratest.Fault{Kind: terratest.Problem, Operation: "getSourceCredentials", Status: 403, Code: "access_denied", Nth: 2, Times: terratest.Always})
			}, nil, 1, "nothing was written",
		},
		"the list is empty": {
			func(e *example) { e.terra.AddEnvironment("acme-empty", terratest.EnvironmentOptions{}) },
			[]string{"--dev-id", "acme-empty"}, 1, "Terra lists no connection of acme-empty; check the dev-id",
		},
		"no such dev-id": {func(*example) {}, []string{"--dev-id", "acme-prod"}, 1, "acme-prod"},
		"a file of that name says something else": {
			func(e *example) {
				write(e.t, filepath.Join(e.repository(), "live/environment.yaml"), "dev_id: "+importedDevID+"\nprune: never\n")
				write(e.t, filepath.Join(e.repository(), "live/strava.yaml"), "provider: garmin\n")
			}, nil, 1, "write live/strava.yaml: file already exists, and says something else; rename it or take it away; nothing was written",
		},
		"the folder is a link": {
			func(e *example) {
				if err := os.Symlink(e.t.TempDir(), filepath.Join(e.repository(), "live")); err != nil {
					e.t.Fatal(err)
				}
			}, nil, 1, "live",
		},
		"a dev-id that is none": {func(*example) {}, []string{"--dev-id", "a/b"}, 64, "--dev-id: no environment of Terra has that name"},
		"another environment has the dev-id": {
			func(e *example) {
				write(e.t, filepath.Join(e.repository(), "prod/environment.yaml"), "dev_id: "+importedDevID+"\nprune: never\n")
			}, nil, 64, "it is that of environment prod; import into it with --env prod",
		},
		"the environment has another dev-id": {
			func(e *example) {
				write(e.t, filepath.Join(e.repository(), "live/environment.yaml"), "dev_id: acme-x\nprune: never\n")
			}, nil, 64, "environment live has the dev_id acme-x",
		},
		"its files have an error": {
			func(e *example) {
				write(e.t, filepath.Join(e.repository(), "live/environment.yaml"), "dev_id: "+importedDevID+"\nprune: perhaps\n")
			}, nil, 1, "which comes first: live/environment.yaml:2:8",
		},
		"a name that no folder may have": {func(*example) {}, []string{"--env", "../live"}, 64, "no folder of an environment can have that name"},
		"a provider with the name of our own file": {
			func(e *example) {
				e.terra.SetSourceType("", terratest.SourceType{Provider: "environment", AuthType: "oauth2", DataTypes: []string{}})
				e.terra.Enable(importedDevID, "environment")
			}, nil, 1, `Terra shows one with the name "environment", which no file can have`,
		},
		"no repository": {func(e *example) {}, []string{"--out", "/"}, 1, "no terra.yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			e := newAccount(t, terratest.EnvironmentOptions{})
			e.terra.Enable(importedDevID, "strava")
			e.terra.Enable(importedDevID, "oura")
			c.prepare(e)
			before := e.tree()
			e.imports(c.code, c.args...)
			if said := e.outputs.String(); !strings.Contains(said, c.says) {
				t.Errorf("said %s", said)
			}
			if after := e.tree(); after != before {
				t.Errorf("before\n%s\nafter\n%s", before, after)
			}
		})
	}
}

// tree lists the files of the repository, and what is beside it.
func (e *example) tree() string {
	var names []string
	err := filepath.WalkDir(e.dir, func(name string, d os.DirEntry, err error) error {
		if d != nil && d.Name() == ".git" {
			return filepath.SkipDir
		}
		names = append(names, name)
		return err
	})
	if err != nil {
		e.t.Fatal(err)
	}
	return strings.Join(names, "\n")
}
