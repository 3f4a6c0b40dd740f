package config

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/terra-reconcile/terra-reconcile/internal/yamlpos"
)

// FromEnvironment builds the configuration of a run of one command; getenv is
// usually [os.Getenv]. It reads:
//
//	TERRA_ADMIN_TOKEN               token of the account "default"
//	TERRA_BASE_URL                  its base URL, default [DefaultBaseURL]
//	RECONCILE_AGE_KEY_FILE          identity files, ":" between them
//	SOPS_AGE_KEY_FILE               the same, when RECONCILE_AGE_KEY_FILE is empty
//	RECONCILE_AGE_KEY               identities themselves, one a line
//	RECONCILE_REDIRECT_HOSTS        [Account.RedirectHosts], "," between them
//	RECONCILE_STATE_DIR             see [Config.StateDir]
//	RECONCILE_GIT_USERNAME          see [RepoAuth], as are the next three
//	RECONCILE_GIT_TOKEN
//	RECONCILE_GIT_SSH_KEY_FILE
//	RECONCILE_GIT_KNOWN_HOSTS_FILE
//
// An unset token is no error here: reading it is. Repo.URL stays empty, it is the
// command line's; Apply stays false. The error names the variable that is wrong.
func FromEnvironment(getenv func(string) string) (Config, error) {
	if err := pasted(getenv); err != nil {
		return Config{}, err
	}
	c := defaults(getenv)
	base, err := baseFrom(getenv)
	if err != nil {
		return Config{}, err
	}
	hosts, err := hostsFrom(getenv("RECONCILE_REDIRECT_HOSTS"))
	if err != nil {
		return Config{}, fmt.Errorf("RECONCILE_REDIRECT_HOSTS: %w", err)
	}
	c.Accounts[DefaultAccount] = Account{
		Token:         EnvSecret("TERRA_ADMIN_TOKEN", getenv),
		BaseURL:       base,
		DevIDs:        []string{AnyDevID},
		RedirectHosts: hosts,
	}
	c.Repo.Auth = RepoAuth{
		Username:       getenv("RECONCILE_GIT_USERNAME"),
		SSHKeyFile:     getenv("RECONCILE_GIT_SSH_KEY_FILE"),
		KnownHostsFile: getenv("RECONCILE_GIT_KNOWN_HOSTS_FILE"),
		Settings: AuthSettings{Token: "RECONCILE_GIT_TOKEN", SSHKeyFile: "RECONCILE_GIT_SSH_KEY_FILE",
			KnownHostsFile: "RECONCILE_GIT_KNOWN_HOSTS_FILE"},
	}
	if getenv("RECONCILE_GIT_TOKEN") != "" {
		c.Repo.Auth.Token = EnvSecret("RECONCILE_GIT_TOKEN", getenv)
	}
	return c, nil
}

// pasted refuses a private key or a token in a variable that holds a name, a path or an
// address: messages would repeat it.
func pasted(getenv func(string) string) error {
	for _, name := range []string{
		"RECONCILE_AGE_KEY_FILE", "SOPS_AGE_KEY_FILE", "RECONCILE_STATE_DIR", "XDG_STATE_HOME", "HOME", "TERRA_BASE_URL",
		"RECONCILE_REDIRECT_HOSTS", "RECONCILE_GIT_USERNAME", "RECONCILE_GIT_SSH_KEY_FILE", "RECONCILE_GIT_KNOWN_HOSTS_FILE",
	} {
		if kind := yamlpos.Key(getenv(name)); kind != "" {
			return fmt.Errorf("%s: this is %s, and no name, path or address; make a new one, because it may have been recorded", name, kind)
		}
	}
	return nil
}

func baseFrom(getenv func(string) string) (string, error) {
	text := getenv("TERRA_BASE_URL")
	if text == "" {
		return DefaultBaseURL, nil
	}
	base, err := checkBaseURL(text)
	if err != nil {
		return "", fmt.Errorf("TERRA_BASE_URL: %w", err)
	}
	return base, nil
}

func hostsFrom(text string) ([]string, error) {
	var hosts []string
	for _, host := range strings.Split(text, ",") {
		if host = strings.TrimSpace(host); host == "" {
			continue
		}
		if err := checkRedirectHost(host); err != nil {
			return nil, fmt.Errorf("%q %w", host, err)
		}
		hosts = append(hosts, host)
	}
	return hosts, nil
}

// defaults is what holds when daemon.yaml says nothing.
func defaults(getenv func(string) string) Config {
	return Config{
		Repo:          Repo{Poll: DefaultPoll},
		Accounts:      map[string]Account{},
		Identities:    identitiesFrom(getenv),
		StateDir:      stateDirFrom(getenv),
		Listen:        DefaultListen,
		CycleDeadline: DefaultCycleDeadline,
		UnreadyAfter:  DefaultUnreadyAfter, ScheduleSpread: DefaultScheduleSpread,
		Log: Log{Format: DefaultLogFormat, Level: DefaultLogLevel},
	}
}

func identitiesFrom(getenv func(string) string) Identities {
	var ids Identities
	files := getenv("RECONCILE_AGE_KEY_FILE")
	if files == "" {
		files = getenv("SOPS_AGE_KEY_FILE")
	}
	for _, file := range strings.Split(files, ":") {
		if file == "" {
			continue
		}
		if abs, err := filepath.Abs(file); err == nil {
			file = abs
		}
		ids.Files = append(ids.Files, file)
	}
	if getenv("RECONCILE_AGE_KEY") != "" {
		ids.Inline = EnvSecret("RECONCILE_AGE_KEY", getenv)
		ids.Inline.lines = true
	}
	return ids
}

// stateDirFrom follows the XDG base directory specification, which says that a
// relative XDG_STATE_HOME is to be ignored.
func stateDirFrom(getenv func(string) string) string {
	if dir := getenv("RECONCILE_STATE_DIR"); dir != "" {
		if abs, err := filepath.Abs(dir); err == nil && yamlpos.Key(dir) == "" {
			return abs
		}
		return ""
	}
	if base := getenv("XDG_STATE_HOME"); filepath.IsAbs(base) {
		return filepath.Join(base, "terra-reconcile")
	}
	if home := getenv("HOME"); filepath.IsAbs(home) {
		return filepath.Join(home, ".local", "state", "terra-reconcile")
	}
	return ""
}
