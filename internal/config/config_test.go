package config

import (
	"errors"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/terra-reconcile/terra-reconcile/internal/yamlpos"
)

var update = flag.Bool("update", false, "rewrite the expected messages")

func env(pairs map[string]string) func(string) string {
	return func(name string) string { return pairs[name] }
}

// sameSecret compares secrets by the place they name.
func sameSecret() cmp.Option {
	return cmp.Comparer(func(a, b Secret) bool { return a.String() == b.String() })
}

func TestLoadReadsEveryField(t *testing.T) {
	dir, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	got, err := Load("testdata/full.yaml", env(nil))
	if err != nil {
		t.Fatal(err)
	}
	at := func(line, column int) yamlpos.Origin {
		return yamlpos.Origin{File: "testdata/full.yaml", Line: line, Column: column}
	}
	want := Config{
		Repo: Repo{
			URL: "https://git.acme.example/platform/terra.git", Ref: "main", Path: "terra/eu", Poll: 30 * time.Second,
			Auth: RepoAuth{Username: "reconcile", Token: FileSecret(dir + "/secrets/git-token"), Settings: AuthSettings{
				Token: "repo.auth.token_file or token_env in full.yaml", SSHKeyFile: "repo.auth.ssh_key_file", KnownHostsFile: "repo.auth.known_hosts_file in full.yaml"}},
		},
		Accounts: map[string]Account{
			"default": {
				Token: FileSecret("/run/secrets/terra"), BaseURL: "https://access.tryterra.co/api/v3/admin",
				DevIDs: []string{"prod-app-x81LmQ", "staging-app-1"}, RedirectHosts: []string{"auth.acme.example", "*.users.acme.example"},
			},
			"sandbox_2": {
				Token: EnvSecret("SANDBOX_TOKEN", nil), BaseURL: "http://127.0.0.1:9000/api/v3/admin",
				DevIDs: []string{"*"},
			},
		},
		Identities:   Identities{Files: []string{dir + "/keys/age.txt", "/run/secrets/age-2"}, AllowPlugins: []string{"yubikey"}},
		StateDir:     dir + "/state",
		Listen:       "0.0.0.0:9090",
		ListenAt:     yamlpos.Origin{File: "testdata/full.yaml", Line: 26, Column: 9},
		Web:          &Web{Read: FileSecret(dir + "/secrets/web-read"), At: yamlpos.Origin{File: "testdata/full.yaml", Line: 58, Column: 6}, ReadAt: yamlpos.Origin{File: "testdata/full.yaml", Line: 58, Column: 13}},
		TLS:          TLS{CertFile: dir + "/tls/tls.crt", KeyFile: "/run/secrets/tls.key", At: yamlpos.Origin{File: "testdata/full.yaml", Line: 27, Column: 6}},
		Preview:      &Preview{Token: FileSecret(dir + "/secrets/preview-token"), Forks: true, At: yamlpos.Origin{File: "testdata/full.yaml", Line: 28, Column: 10}},
		Environments: []string{"production", "staging"},
		Probes: map[string]string{
			"strava": "https://proxy.acme.example/strava/oauth/token", "dexcom_eu": "http://127.0.0.1:9001/token",
		},
		Apply: true,
		Approvals: Approvals{Required: 2, For: []string{"disruptive", "destructive"}, Digits: 40, People: map[string]Secret{
			"jo": FileSecret(dir + "/secrets/approver-jo"), "kim": EnvSecret("APPROVER_KIM", nil),
		}},
		NotifyCommit: &NotifyCommit{Forge: "gitea", URL: "https://git.acme.example", Project: "platform/terra", Token: FileSecret(dir + "/secrets/forge-token"), Context: "terra eu"},
		Notify: &Notify{Receivers: []Receiver{
			{Name: "chat", Form: "slack", Address: FileSecret(dir + "/secrets/slack-url"), At: at(41, 5)},
			{Name: "mail", Form: "email", Server: "mail.acme.example:587", Username: "reconcile", From: "reconcile@acme.example", To: []string{"ops@acme.example", "jo@acme.example"},
				Secret: FileSecret(dir + "/secrets/mail"), At: at(44, 5)},
			{Name: "office", Form: "teams", Address: EnvSecret("TEAMS_URL", nil), At: at(42, 5)},
			{Name: "ops", Form: "webhook", URL: "https://hooks.acme.example/terra", Secret: FileSecret(dir + "/secrets/hook"), At: at(40, 5)},
			{Name: "phone", Form: "ntfy", Address: FileSecret(dir + "/secrets/topic"), Secret: EnvSecret("NTFY_TOKEN", nil), At: at(43, 5)},
		}, Routes: []Route{
			{Events: []string{"failed", "held"}, Severities: []string{"critical", "warning"}, Environments: []string{"production", "eu/*"}, Owners: []string{"Team Payments"}, Receivers: []string{"ops", "phone"}, EnvironmentsAt: yamlpos.Origin{File: "testdata/full.yaml", Line: 47, Column: 77}},
			{Receivers: []string{"chat", "office", "mail"}, Remind: 48 * time.Hour, EnvironmentsAt: yamlpos.Origin{File: "testdata/full.yaml", Line: 48, Column: 7}},
		}},
		CycleDeadline: 20 * time.Minute,
		UnreadyAfter:  30 * time.Minute, ScheduleSpread: 10 * time.Second,
		Log: Log{Format: "text", Level: "debug"},
	}
	if diff := cmp.Diff(want, got, sameSecret()); diff != "" {
		t.Errorf("Load differs (-want +got):\n%s", diff)
	}
}

// TestLoadReadsTheWayToTheRepository also when its app gives the token of commit statuses.
func TestLoadReadsTheWayToTheRepository(t *testing.T) {
	dir, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	got, err := Load("testdata/app.yaml", env(nil))
	if err != nil {
		t.Fatal(err)
	}
	at := func(line, column int) yamlpos.Origin {
		return yamlpos.Origin{File: "testdata/app.yaml", Line: line, Column: column}
	}
	want := Repo{
		URL: "https://git.acme.example/platform/terra.git", Versions: ">=1 <3", Poll: time.Minute,
		Auth: RepoAuth{
			GitHubApp: &GitHubApp{ID: 4711, Installation: 8150, KeyFile: dir + "/secrets/app.pem", URL: "https://git.acme.example/api/v3", At: at(6, 17)},
			Settings:  AuthSettings{Token: "repo.auth.github_app in app.yaml", SSHKeyFile: "repo.auth.ssh_key_file", KnownHostsFile: "repo.auth.known_hosts_file in app.yaml"},
		},
		TLS:   &RemoteTLS{CAFile: dir + "/tls/ca.pem", At: at(7, 8)},
		Proxy: &Proxy{URL: "http://proxy.acme.example:3128", Username: "reconcile", Password: FileSecret(dir + "/secrets/proxy"), At: at(8, 10)},
	}
	if diff := cmp.Diff(want, got.Repo, sameSecret()); diff != "" {
		t.Errorf("the repository differs (-want +got):\n%s", diff)
	}
	status := &NotifyCommit{Forge: "github", URL: "https://git.acme.example/api/v3", Project: "platform/terra", Repo: &want, Context: "terra-reconcile"}
	if diff := cmp.Diff(status, got.NotifyCommit, sameSecret()); diff != "" {
		t.Errorf("the statuses differ (-want +got):\n%s", diff)
	}
	if got.Repo.Followed() != "tags >=1 <3" || got.Repo.At("main").Followed() != "main" {
		t.Errorf("it follows %q", got.Repo.Followed())
	}
}

// TestRulesAboutVersions: what the pattern takes the library takes, so the schema says what loads.
func TestRulesAboutVersions(t *testing.T) {
	t.Parallel()
	for _, rule := range []string{">=1", "~1.4", "^1.4.0", ">=1.4 <2", ">= 1.4, < 2", "1.x", "*", "1.2 - 2.3.4", "v1", "=1.0.0", "!=1.2.3", "~>1.2", "=>1", "=<2", ">=1.0.0-0", ">=1.0.0-rc.1", "1||2 || >=3 <4", "x", "1.2.X"} {
		if !versionsPattern().MatchString(rule) || checkVersions(rule) != nil {
			t.Errorf("%q is refused: %v", rule, checkVersions(rule))
		}
	}
	for _, rule := range []string{"", " >=1", "newest", "Acme-1", "1.2.3.4", ">=", "01.2", "1..2", ">=1 || ", "1.0.0+build", ">>1", strings.Repeat("1||", 10) + "1"} {
		if versionsPattern().MatchString(rule) {
			t.Errorf("%q is taken", rule)
		}
	}
}

// TestAddressOfAProxy: its password is read each time, and stands nowhere else.
func TestAddressOfAProxy(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	p := Proxy{URL: "http://proxy.example:3128", Username: "me", Password: FileSecret(file)}
	if _, err := p.Address(); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("without its file it gave %v", err)
	}
	if err := os.WriteFile(file, []byte("a b\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if u, err := p.Address(); err != nil || u.String() != "http://me:a%20b@proxy.example:3128" {
		t.Errorf("got %v, %v", u, err)
	}
	p.Username = ""
	if u, err := p.Address(); err != nil || u.User != nil {
		t.Errorf("got %v, %v", u, err)
	}
}

const smallest = `
repo: {url: ./specs}
accounts: {default: {token_env: T, dev_ids: [dev-1]}}
apply: false
`

func TestForgejoSpeaksTheAPIOfGitea(t *testing.T) {
	text := smallest + "notify_commit: {forge: forgejo, url: \"https://git.acme.example\", project: acme/terra, token_env: T}\n"
	c, err := Parse("/etc/reconcile/daemon.yaml", []byte(text), env(map[string]string{"HOME": "/home/ada"}))
	if err != nil || c.NotifyCommit.Forge != "gitea" {
		t.Errorf("got %+v, %v", c.NotifyCommit, err)
	}
}

func TestParseFillsDefaults(t *testing.T) {
	got, err := Parse("/etc/reconcile/daemon.yaml", []byte(smallest), env(map[string]string{
		"HOME": "/home/ada", "RECONCILE_AGE_KEY_FILE": "/a:/b",
	}))
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		Repo: Repo{URL: "/etc/reconcile/specs", Poll: time.Minute, Auth: RepoAuth{Settings: AuthSettings{
			Token: "repo.auth.token_file or token_env in daemon.yaml", SSHKeyFile: "repo.auth.ssh_key_file", KnownHostsFile: "repo.auth.known_hosts_file in daemon.yaml"}}},
		Accounts:      map[string]Account{"default": {Token: EnvSecret("T", nil), BaseURL: DefaultBaseURL, DevIDs: []string{"dev-1"}}},
		Identities:    Identities{Files: []string{"/a", "/b"}},
		StateDir:      "/home/ada/.local/state/terra-reconcile",
		Listen:        "127.0.0.1:8080",
		CycleDeadline: 15 * time.Minute,
		UnreadyAfter:  15 * time.Minute, ScheduleSpread: 30 * time.Second,
		Log: Log{Format: "json", Level: "info"},
	}
	if diff := cmp.Diff(want, got, sameSecret()); diff != "" {
		t.Errorf("Parse differs (-want +got):\n%s", diff)
	}
}

// TestDigitsOfSeveralPeople: whoever asks for four eyes asks for what nobody can make two
// of, unless the file says how many digits are enough.
func TestDigitsOfSeveralPeople(t *testing.T) {
	for rule, want := range map[string]int{
		"": 0, "{required: 1, for: [destructive]}": 0, "{required: 2, for: [destructive]}": 32, "{required: 2, for: [destructive], digits: 8}": 8, "{digits: 64}": 64,
	} {
		text := smallest
		if rule != "" {
			text += "approvals: " + rule + "\n"
		}
		got, err := Parse("/etc/reconcile/daemon.yaml", []byte(text), env(map[string]string{"HOME": "/home/ada"}))
		if err != nil || got.Approvals.Digits != want {
			t.Errorf("%s: %d digits, %v, want %d", rule, got.Approvals.Digits, err, want)
		}
	}
}

func TestParseReportsAllProblemsWithTheirPlace(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no bad files to try: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			_, err = Parse("daemon.yaml", data, env(nil))
			var invalid *InvalidError
			if !errors.As(err, &invalid) {
				t.Fatalf("Parse gave %v, want an InvalidError", err)
			}
			golden := strings.TrimSuffix(file, ".yaml") + ".want"
			got := err.Error() + "\n"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("problems differ (-want +got):\n%s", diff)
			}
			for _, secret := range []string{"hunter2", "terra_at_abc", "token=x"} {
				if strings.Contains(got, secret) {
					t.Errorf("problems quote the secret %q", secret)
				}
			}
		})
	}
}

// TestRepositoryFolderIsRelativeToTheFile, as every other path is.
func TestRepositoryFolderIsRelativeToTheFile(t *testing.T) {
	for text, want := range map[string]string{
		"config": "/etc/reconcile/config", "./config": "/etc/reconcile/config", "../config": "/etc/config", ".": "/etc/reconcile", "/srv/config": "/srv/config",
		"git@host:team/config": "git@host:team/config", "https://host/config": "https://host/config", "file:///srv/config": "file:///srv/config",
	} {
		c, err := Parse("/etc/reconcile/daemon.yaml", []byte(strings.Replace(smallest, "./specs", text, 1)), env(nil))
		if err != nil || c.Repo.URL != want {
			t.Errorf("%s: got %q, %v, want %q", text, c.Repo.URL, err, want)
		}
	}
}

func TestLoadRefusesHugeFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "daemon.yaml")
	if err := os.WriteFile(path, []byte(smallest+"#"+strings.Repeat("x", yamlpos.MaxFile)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path, env(nil)); err == nil || !strings.Contains(err.Error(), "larger than 1 MiB") {
		t.Errorf("Load gave %v, want a refusal of the size", err)
	}
	if _, err := Load(path+".none", env(nil)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Load of no file gave %v, want ErrNotExist", err)
	}
}

func TestFromEnvironment(t *testing.T) {
	full := map[string]string{
		"TERRA_ADMIN_TOKEN": "terra_at_x", "TERRA_BASE_URL": "http://localhost:1/api/",
		"RECONCILE_AGE_KEY_FILE": "/a::/b", "SOPS_AGE_KEY_FILE": "/sops", "RECONCILE_AGE_KEY": "AGE-1\nAGE-2\n",
		"RECONCILE_STATE_DIR": "/state", "XDG_STATE_HOME": "/xdg", "HOME": "/home/ada",
		"RECONCILE_GIT_USERNAME": "bot", "RECONCILE_GIT_TOKEN": "t", "RECONCILE_GIT_SSH_KEY_FILE": "/id",
		"RECONCILE_GIT_KNOWN_HOSTS_FILE": "/known", "RECONCILE_REDIRECT_HOSTS": "auth.acme.example, *.users.acme.example,",
	}
	c, err := FromEnvironment(env(full))
	if err != nil {
		t.Fatal(err)
	}
	account := c.Accounts[DefaultAccount]
	if account.BaseURL != "http://localhost:1/api" || !c.Allows(DefaultAccount, "anything") {
		t.Errorf("account is %+v, want the loopback URL and every dev-id", account)
	}
	if diff := cmp.Diff([]string{"auth.acme.example", "*.users.acme.example"}, account.RedirectHosts); diff != "" {
		t.Errorf("redirect hosts differ (-want +got):\n%s", diff)
	}
	if got, err := account.Token.Read(); got != "terra_at_x" || err != nil {
		t.Errorf("token is %q, %v", got, err)
	}
	if got, err := c.Identities.Inline.Read(); got != "AGE-1\nAGE-2" || err != nil {
		t.Errorf("inline identities are %q, %v", got, err)
	}
	if diff := cmp.Diff([]string{"/a", "/b"}, c.Identities.Files); diff != "" {
		t.Errorf("identity files differ (-want +got):\n%s", diff)
	}
	want := RepoAuth{Username: "bot", Token: EnvSecret("RECONCILE_GIT_TOKEN", nil), SSHKeyFile: "/id", KnownHostsFile: "/known",
		Settings: AuthSettings{Token: "RECONCILE_GIT_TOKEN", SSHKeyFile: "RECONCILE_GIT_SSH_KEY_FILE", KnownHostsFile: "RECONCILE_GIT_KNOWN_HOSTS_FILE"}}
	if diff := cmp.Diff(want, c.Repo.Auth, sameSecret()); diff != "" {
		t.Errorf("git auth differs (-want +got):\n%s", diff)
	}
	if c.Apply || c.StateDir != "/state" {
		t.Errorf("apply %v, state %q, want false and /state", c.Apply, c.StateDir)
	}
}

// TestRedirectHostsAreNames: what could be read as more than it says is refused.
func TestRedirectHostsAreNames(t *testing.T) {
	for host, want := range map[string]bool{
		"auth.acme.example": true, "acme.example": true, "*.acme.example": true, "xn--bcher-kva.example": true, "a-1.b2.acme.example": true,
		"*": false, "*.example": false, "example": false, "**.acme.example": false, "*.*.acme.example": false, "a.*.example": false, "*acme.example": false,
		"Auth.acme.example": false, "auth.acme.example.": false, ".acme.example": false, "a..example": false, "-a.example": false, "a-.example": false,
		"203.0.113.9": false, "[::1]": false, "auth.acme.example:443": false, "https://auth.acme.example": false, "auth.acme.example/a": false,
		"bücher.example": false, "аuth.acme.example": false, "a.example b.example": false, "user@a.example": false,
		strings.Repeat("a.", 130) + "example": false,
	} {
		_, err := FromEnvironment(env(map[string]string{"RECONCILE_REDIRECT_HOSTS": "first.acme.example," + host}))
		if (err == nil) != want {
			t.Errorf("%q: got error %v, want taken %t", host, err, want)
		}
		if err != nil && !strings.HasPrefix(err.Error(), "RECONCILE_REDIRECT_HOSTS: ") {
			t.Errorf("%q: the error does not name the variable: %v", host, err)
		}
	}
}

func TestFromEnvironmentFallsBack(t *testing.T) {
	for _, test := range []struct {
		name string
		env  map[string]string
		dir  string
	}{
		{"xdg", map[string]string{"XDG_STATE_HOME": "/xdg", "HOME": "/h"}, "/xdg/terra-reconcile"},
		{"relative xdg is ignored", map[string]string{"XDG_STATE_HOME": "xdg", "HOME": "/h"}, "/h/.local/state/terra-reconcile"},
		{"nothing", nil, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			pairs := map[string]string{"SOPS_AGE_KEY_FILE": "/sops"}
			maps.Copy(pairs, test.env)
			c, err := FromEnvironment(env(pairs))
			if err != nil {
				t.Fatal(err)
			}
			if c.StateDir != test.dir {
				t.Errorf("state is %q, want %q", c.StateDir, test.dir)
			}
			if diff := cmp.Diff([]string{"/sops"}, c.Identities.Files); diff != "" {
				t.Errorf("identity files differ (-want +got):\n%s", diff)
			}
			account := c.Accounts[DefaultAccount]
			if account.BaseURL != DefaultBaseURL {
				t.Errorf("base URL is %q", account.BaseURL)
			}
			if _, err := account.Token.Read(); err == nil || !strings.Contains(err.Error(), "TERRA_ADMIN_TOKEN is empty") {
				t.Errorf("reading an unset token gave %v", err)
			}
		})
	}
}

// A rehearsal that exports the emulator's address must not reach the real Terra
// because daemon.yaml says nothing of it.
func TestAccountWithoutBaseURLFollowsTheVariable(t *testing.T) {
	const head = "repo: {url: /r}\napply: false\naccounts: {default: {token_env: T, dev_ids: [dev-1]"
	for _, test := range []struct{ variable, own, want string }{
		{"", "", DefaultBaseURL},
		{"http://127.0.0.1:8080/api/", "", "http://127.0.0.1:8080/api"},
		{"http://127.0.0.1:8080/api", ", base_url: https://terra.example/api", "https://terra.example/api"},
	} {
		c, err := Parse("/etc/daemon.yaml", []byte(head+test.own+"}}\n"), env(map[string]string{"TERRA_BASE_URL": test.variable}))
		if err != nil || c.Accounts["default"].BaseURL != test.want {
			t.Errorf("%q and %q: got %q, %v, want %q", test.variable, test.own, c.Accounts["default"].BaseURL, err, test.want)
		}
	}
	if _, err := Parse("/etc/daemon.yaml", []byte(head+"}}\n"), env(map[string]string{"TERRA_BASE_URL": "http://terra.example"})); err == nil || !strings.Contains(err.Error(), "TERRA_BASE_URL: ") {
		t.Errorf("an address that is not safe: got %v, want an error that names the variable", err)
	}
}

func TestBaseURLIsSafe(t *testing.T) {
	for text, want := range map[string]bool{
		"https://terra.example/api": true, "http://127.0.0.1:8080": true, "http://[::1]:1/": true, "http://localhost": true,
		"http://terra.example": false, "http://localhost.evil.example": false, "http://127.0.0.1.evil.example": false,
		"https://u:hunter2@terra.example": false, "https://hunter2@terra.example": false, "https://terra.example/?x": false,
		"https://terra.example/#hunter2": false, "ftp://terra.example": false, "terra.example/hunter2": false, "": false,
		"https://": false, "https://terra.example/%zzhunter2": false, "https://terra.example?": false,
	} {
		_, err := FromEnvironment(env(map[string]string{"TERRA_BASE_URL": text}))
		if text == "" {
			err = errors.New("checked below")
			if _, direct := checkBaseURL(text); direct == nil {
				t.Error("an empty base URL passed")
			}
		}
		if (err == nil) != want {
			t.Errorf("%q: %v, want allowed=%v", text, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: the error quotes the value: %v", text, err)
		}
	}
}

// The page for people who run a daemon has the declared fields; -update writes them there.
func TestFieldsAreDocumented(t *testing.T) {
	const name = "../../docs/operations.md"
	page, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	want := fields().Table(func(path string) bool { // what each repository has as an only one has it stands there once
		name, own := strings.CutPrefix(path, "repos.*.")
		return !own || declared().Has("repos.*", name)
	})
	got := regexp.MustCompile(`(?m)^\| field \|.*\n(\|.*\n)+`).FindString(string(page))
	if *update && got != "" {
		if err := os.WriteFile(name, []byte(strings.Replace(string(page), got, want, 1)), 0o644); err != nil {
			t.Fatal(err)
		}
		got = want
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the fields (-declared +on the page); make generate writes them:\n%s", diff)
	}
	for field, defaults := range map[string][]string{
		"accounts.NAME.base_url": {"TERRA_BASE_URL", DefaultBaseURL},
		"state_dir":              {"RECONCILE_STATE_DIR", "$XDG_STATE_HOME/terra-reconcile", "$HOME/.local/state/terra-reconcile"},
	} {
		_, row, found := strings.Cut(want, "\n| `"+field+"`")
		row, _, _ = strings.Cut(row, "\n")
		for _, value := range defaults {
			if !found || !strings.Contains(row, "`"+value+"`") {
				t.Errorf("%s … does not say that the default is %s", field, value)
			}
		}
	}
}

// TestExampleOfMessages: what the page shows can be copied.
func TestExampleOfMessages(t *testing.T) {
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?s)```yaml\n(notify:\n.*?)```").FindStringSubmatch(string(page))
	if found == nil {
		t.Fatal("the page shows no notify")
	}
	c, err := Parse("/etc/reconcile/daemon.yaml", []byte(smallest+found[1]), env(map[string]string{"HOME": "/home/ada"}))
	if err != nil || len(c.Notify.Receivers) != 5 || len(c.Notify.Routes) != 3 {
		t.Errorf("%+v, %v", c.Notify, err)
	}
}

// TestDefaultsAreWhatOmittedMeans: the declared default of a field, written, changes
// nothing.
func TestDefaultsAreWhatOmittedMeans(t *testing.T) {
	parse := func(text string) Config {
		c, err := Parse("/etc/reconcile/daemon.yaml", []byte(text), env(map[string]string{"HOME": "/home/ada"}))
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		return c
	}
	tried := 0
	for block, all := range declared() {
		for _, d := range all {
			if d.Default == "" {
				continue
			}
			tried++
			omitted, text := smallest, smallest+yamlpos.Below(block, d.Name)+": "+d.Default+"\n"
			switch block {
			case "notify_commit":
				const begun = "notify_commit: {forge: github, project: acme/terra, token_env: T"
				omitted, text = smallest+begun+"}\n", smallest+begun+", "+d.Name+": "+d.Default+"}\n"
			case "notify.routes":
				const begun = "notify: {receivers: {ops: {slack: {url_env: S}}}, routes: [{receivers: [ops]"
				omitted, text = smallest+begun+"}]}\n", smallest+begun+", "+d.Name+": "+d.Default+"}]}\n"
			case "repo":
				text = strings.Replace(smallest, "./specs", "./specs, "+d.Name+": "+d.Default, 1)
			case "log":
				text = smallest + "log: {" + d.Name + ": " + d.Default + "}\n"
			case "preview":
				omitted = smallest + "preview: {token_env: P}\n"
				text = smallest + "preview: {token_env: P, " + d.Name + ": " + d.Default + "}\n"
			}
			if diff := cmp.Diff(parse(omitted), parse(text), sameSecret(), cmpopts.IgnoreFields(Config{}, "ListenAt")); diff != "" {
				t.Errorf("%s: omitted is not %s (-omitted +said):\n%s", d.Name, d.Default, diff)
			}
		}
	}
	if tried < 5 {
		t.Errorf("only %d defaults: are these all?", tried)
	}
}

// TestPreviewWantsTLS: where other machines reach the listener, what previews say is for
// nobody in between.
func TestPreviewWantsTLS(t *testing.T) {
	for listen, protected := range map[string]bool{
		"": true, "127.0.0.1:8080": true, "localhost:1": true, `"[::1]:8080"`: true, "127.9.9.9:0": true,
		":8080": false, "0.0.0.0:8080": false, `"[::]:8080"`: false, "10.0.0.1:8080": false, "localhost.example:8080": false, "127.0.0.1.example:80": false,
	} {
		text := smallest + "preview: {token_env: P}\n"
		if listen != "" {
			text += "listen: " + listen + "\n"
		}
		_, err := Parse("/etc/reconcile/daemon.yaml", []byte(text), env(map[string]string{"HOME": "/home/ada"}))
		if (err == nil) != protected || err != nil && !strings.Contains(err.Error(), "daemon.yaml:5:10: preview needs tls") {
			t.Errorf("listen on %s: %v", listen, err)
		}
		if _, err := Parse("/etc/reconcile/daemon.yaml", []byte(text+"tls: {cert_file: c, key_file: k}\n"), env(map[string]string{"HOME": "/home/ada"})); err != nil {
			t.Errorf("listen on %s with tls: %v", listen, err)
		}
	}
}

// TestCheckServing: a server does not begin with a token that can be guessed.
func TestCheckServing(t *testing.T) {
	for token, says := range map[string]string{"": "is empty or not set", strings.Repeat("x", 31): "has 31 characters", strings.Repeat("x", 32): ""} {
		c, err := Parse("/etc/reconcile/daemon.yaml", []byte(smallest+"preview: {token_env: P}\n"), env(map[string]string{"HOME": "/home/ada", "P": token}))
		if err != nil {
			t.Fatal(err)
		}
		err = c.CheckServing()
		if (err == nil) != (says == "") || err != nil && (!strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "daemon.yaml:5:10: ") || token != "" && strings.Contains(err.Error(), token)) {
			t.Errorf("a token of %d characters: %v", len(token), err)
		}
	}
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	end, err := os.OpenFile(pipe, os.O_RDWR, 0) // nobody waits for the other end of it
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = end.Close() }()
	if _, err := end.WriteString(strings.Repeat("x", 32)); err != nil {
		t.Fatal(err)
	}
	if err := (Config{Preview: &Preview{Token: FileSecret(pipe)}}).CheckServing(); err == nil || !strings.Contains(err.Error(), "no pipe") {
		t.Errorf("a token in a pipe: %v", err)
	}
}

// TestWebIsProtected: where other machines reach the listener there is no page without TLS
// and a token that reads, and a page that was asked for is an error then.
func TestWebIsProtected(t *testing.T) {
	const tls, read = "tls: {cert_file: c, key_file: k}\n", "web: {read: {token_env: R}}\n"
	for _, c := range []struct {
		text, says string
		shows      bool
	}{
		{text: "", shows: true},
		{text: "listen: localhost:1\nweb: {approve: {token_env: A}}\n", shows: true},
		{text: "listen: 0.0.0.0:8080\n"},
		{text: "listen: 0.0.0.0:8080\n" + tls},
		{text: "listen: 0.0.0.0:8080\n" + tls + read, shows: true},
		{text: "listen: 0.0.0.0:8080\n" + read, says: "daemon.yaml:6:6: web needs tls"},
		{text: "listen: 0.0.0.0:8080\n" + tls + "web: {approve: {token_env: A}}\n", says: "daemon.yaml:7:6: web.read is missing"},
	} {
		got, err := Parse("/etc/reconcile/daemon.yaml", []byte(smallest+c.text), env(map[string]string{"HOME": "/home/ada"}))
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) || err == nil && got.ShowsPage() != c.shows {
			t.Errorf("%s: shows the page: %t, %v", c.text, got.ShowsPage(), err)
		}
	}
}

// TestCheckServingThePage: no page begins with a token that can be guessed, or with one
// that does two things.
func TestCheckServingThePage(t *testing.T) {
	long, other := strings.Repeat("a", 32), strings.Repeat("b", 32)
	for _, c := range []struct {
		text, r, a string
		says       string
	}{
		{text: "web: {read: {token_env: R}, approve: {token_env: A}}", r: long, a: other},
		{text: "web: {read: {token_env: R}, approve: {token_env: A}}", r: long, a: long, says: "daemon.yaml:5:38: web.read and web.approve are one token"},
		{text: "web: {read: {token_env: R}, approve: {token_env: A}}", r: long[1:], a: other, says: "daemon.yaml:5:13: read secret: environment variable R has 31 characters"},
		{text: "web: {read: {token_env: R}, approve: {token_env: A}}", r: long, says: "daemon.yaml:5:38: read secret: environment variable A is empty"},
		{text: "web: {read: {token_env: R}}\napprovals: {people: {jo: {token_env: A}}}", r: long, a: long, says: "web.read and approvals.people.jo are one token"},
		{text: "web: {read: {token_env: R}}\napprovals: {people: {jo: {token_env: A}}}", r: long, a: "short", says: "environment variable A has 5 characters"},
		{text: "web: {read: {token_env: R}}\npreview: {token_env: A}", r: long, a: long, says: "daemon.yaml:6:10: web.read and preview are one token"},
		{text: "approvals: {people: {jo: {token_env: A}}}", a: "short"}, // nothing is said of the page: as before there was one
	} {
		parsed, err := Parse("/etc/reconcile/daemon.yaml", []byte(smallest+c.text+"\n"), env(map[string]string{"HOME": "/home/ada", "R": c.r, "A": c.a}))
		if err != nil {
			t.Fatal(err)
		}
		err = parsed.CheckServing()
		if (err == nil) != (c.says == "") || err != nil && (!strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), long)) {
			t.Errorf("%s: %v", c.text, err)
		}
	}
}
