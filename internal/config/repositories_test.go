package config

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestSeveralRepositoriesAreRead(t *testing.T) {
	dir, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	c, err := Load("testdata/repos.yaml", env(nil))
	if err != nil {
		t.Fatal(err)
	}
	each := c.Each()
	if len(each) != 2 || !slices.Equal(c.Names(), []string{"apps", "payments"}) || c.Repo.URL != "" {
		t.Fatalf("%d repositories, %v, and %q beside them", len(each), c.Names(), c.Repo.URL)
	}
	apps, payments := each[0], each[1]
	if apps.Repo.URL != dir+"/apps" || apps.Repo.Path != "terra" || apps.Preview != nil || apps.NotifyCommit != nil || apps.Environments != nil || !slices.Equal(apps.Identities.Files, []string{dir + "/keys/age.txt"}) || apps.Repo.Setting() != "repos.apps" {
		t.Errorf("apps: %+v", apps)
	}
	want := Repo{Name: "payments", Accounts: []string{"payments"}, URL: "https://git.acme.example/payments/terra.git", Ref: "main", Poll: DefaultPoll,
		Auth: RepoAuth{Token: FileSecret(dir + "/secrets/payments-git"), Settings: AuthSettings{Token: "repos.payments.auth.token_file or token_env in repos.yaml",
			SSHKeyFile: "repos.payments.auth.ssh_key_file", KnownHostsFile: "repos.payments.auth.known_hosts_file in repos.yaml"}},
		Hook: &Hook{Forge: "github", Secret: EnvSecret("PAYMENTS_HOOK", nil)}, Verify: &Verify{AllowedSigners: dir + "/signers"}}
	if diff := cmp.Diff(want, payments.Repo, sameSecret(), cmpopts.IgnoreFields(Hook{}, "At"), cmpopts.IgnoreFields(Verify{}, "At")); diff != "" {
		t.Errorf("payments (-want +got):\n%s", diff)
	}
	if !slices.Equal(payments.Identities.Files, []string{dir + "/keys/payments.txt"}) || payments.Preview.Token.File() != dir+"/secrets/payments-preview" ||
		payments.NotifyCommit.Token.File() != dir+"/secrets/payments-forge" || !slices.Equal(payments.Environments, []string{"production"}) {
		t.Errorf("what is its own: %+v", payments)
	}
	one, err := Load("testdata/full.yaml", env(nil))
	if err != nil {
		t.Fatal(err)
	}
	if alone := one.Each(); len(alone) != 1 || alone[0].Repo.URL != one.Repo.URL || one.Names() != nil || one.Repo.Setting() != "repo" {
		t.Errorf("one alone: %+v", alone)
	}
}

// TestARepositoryReachesItsAccountsAlone: neither another's, nor by * a dev_id that an account
// lists which it may not use.
func TestARepositoryReachesItsAccountsAlone(t *testing.T) {
	c, err := Load("testdata/repos.yaml", env(nil))
	if err != nil {
		t.Fatal(err)
	}
	apps, payments := c.Each()[0], c.Each()[1]
	for _, test := range []struct {
		config         Config
		account, devID string
		want           bool
	}{
		{payments, "payments", "prod-app-x81LmQ", true}, {apps, "payments", "prod-app-x81LmQ", false}, {apps, "apps", "prod-app-x81LmQ", false}, {apps, "apps", "PROD-app-x81LmQ", false},
		{apps, "apps", "another-app", true}, {payments, "apps", "another-app", false}, {apps, "sandbox", "sandbox-app-1", true}, {payments, "sandbox", "sandbox-app-1", false},
	} {
		if got := test.config.Allows(test.account, test.devID); got != test.want {
			t.Errorf("%s: account %s and %s: %t", test.config.Repo.Name, test.account, test.devID, got)
		}
	}
	if apps.Assigns("payments", "prod-app-x81LmQ") || !payments.Assigns("payments", "prod-app-x81LmQ") {
		t.Error("what the runner assigns to an account is of the repositories that may use it")
	}
}

// TestPreviewsOfTwoRepositoriesHaveTwoTokens: the token says whose branches are planned.
func TestPreviewsOfTwoRepositoriesHaveTwoTokens(t *testing.T) {
	vars := map[string]string{"A": strings.Repeat("a", 32), "B": strings.Repeat("b", 32)}
	for second, want := range map[string]bool{"A": false, "B": true} {
		text := "repos: {apps: {url: /srv/apps, accounts: [a], preview: {token_env: A}}, payments: {url: /srv/p, accounts: [a], preview: {token_env: " + second + "}}}\n" +
			"accounts: {a: {token_env: T, dev_ids: [d]}}\napply: false\n"
		c, err := Parse("/etc/daemon.yaml", []byte(text), env(vars))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.CheckServing(); (err == nil) != want || err != nil && !strings.Contains(err.Error(), "/etc/daemon.yaml:1:") {
			t.Errorf("token %s: %v", second, err)
		}
	}
}
