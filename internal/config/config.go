package config

import (
	"slices"
	"time"
)

// Defaults of fields that daemon.yaml and the environment may leave out.
const (
	DefaultAccount       = "default"
	DefaultBaseURL       = "https://access.tryterra.co/api/v3/admin"
	DefaultPoll          = time.Minute
	DefaultListen        = "127.0.0.1:8080"
	DefaultCycleDeadline = 15 * time.Minute
	DefaultLogFormat     = "json"
	DefaultLogLevel      = "info"
)

// What a daemon may wait for: longer, and nobody would notice that it is stuck.
const (
	longestPoll  = 30 * 24 * time.Hour
	longestCycle = 24 * time.Hour
)

// AnyDevID, as the only entry of an account's dev_ids, lets the account touch
// every environment its token reaches.
const AnyDevID = "*"

// Config is everything the runner decides. The zero value is not usable: build
// one with [Load], [Parse] or [FromEnvironment].
type Config struct {
	// Repo is the config repository. daemon.yaml: repo, required.
	Repo Repo
	// Accounts maps the names that environment.yaml uses to tokens.
	// daemon.yaml: accounts, at least one. Names: a-z, 0-9, "-" and "_".
	Accounts map[string]Account
	// Identities open sealed secrets. daemon.yaml: identities. Without it the
	// environment variables of [FromEnvironment] decide.
	Identities Identities
	// StateDir is the folder of the runner's memory, an absolute path.
	// daemon.yaml: state_dir, else RECONCILE_STATE_DIR, else
	// $XDG_STATE_HOME/terra-reconcile, else $HOME/.local/state/terra-reconcile.
	// Empty when none of them is known: there is no memory then.
	StateDir string
	// Listen is the address of the daemon's HTTP server, host:port.
	// daemon.yaml: listen, default 127.0.0.1:8080 (this machine only).
	Listen string
	// Environments names the environments this runner handles; empty means all.
	// daemon.yaml: environments, without which it is all; there it may not be empty.
	Environments []string
	// Apply says whether the daemon changes Terra (true) or only compares and
	// reports (false). daemon.yaml: apply, required: nobody starts changing
	// production by leaving a line out.
	Apply bool
	// Probes map providers to the whole address to ask about a pair, instead of
	// the one that the catalogue knows. https, or http on the loopback interface;
	// no user, query or fragment. daemon.yaml: probes, default none.
	Probes map[string]string
	// CycleDeadline is how long one run over one environment may take.
	// daemon.yaml: cycle_deadline, default 15m, at least 1s, at most 24h.
	CycleDeadline time.Duration
	// Log is the daemon's log. daemon.yaml: log.
	Log Log
}

// Repo says where the config repository is and how to reach it.
type Repo struct {
	// URL is https://, ssh://, git@host:path, file:///path or a directory. A
	// directory that does not begin with "/" is relative to daemon.yaml's folder.
	// daemon.yaml: repo.url, required. It may not hold a password.
	URL string
	// Ref is a branch; empty means the one the remote's HEAD names.
	// daemon.yaml: repo.ref.
	Ref string
	// Path is the folder of terra.yaml inside the repository, "/" between names;
	// empty means its root. daemon.yaml: repo.path.
	Path string
	// Poll is the time between two looks at the remote. daemon.yaml: repo.poll,
	// default 1m, at least 1s, at most 720h.
	Poll time.Duration
	// Auth is how to sign in. daemon.yaml: repo.auth.
	Auth RepoAuth
}

// RepoAuth signs in to the git server. For https: Username and Token; for ssh:
// SSHKeyFile and KnownHostsFile. All of it may be empty for a public repository.
type RepoAuth struct {
	// Username goes with Token; empty lets the git client choose a name that
	// common servers take. daemon.yaml: repo.auth.username.
	Username string
	// Token is the password or access token. daemon.yaml: repo.auth.token_file or
	// repo.auth.token_env, not both.
	Token Secret
	// SSHKeyFile is a private key without a passphrase.
	// daemon.yaml: repo.auth.ssh_key_file.
	SSHKeyFile string
	// KnownHostsFile pins the server's host keys, in OpenSSH's format. It stands
	// with every SSHKeyFile. daemon.yaml: repo.auth.known_hosts_file.
	KnownHostsFile string
	// Settings says where these are set, for messages about them.
	Settings AuthSettings
}

// AuthSettings are the variables or the fields that a RepoAuth was read from.
type AuthSettings struct{ Token, SSHKeyFile, KnownHostsFile string }

// Account is one way into Terra's Admin API.
type Account struct {
	// Token is the Admin API token. daemon.yaml: accounts.NAME.token_file or
	// token_env, exactly one. Its form is checked by who sends it, not here.
	Token Secret
	// BaseURL is https://…, or http://… on the loopback interface, without a
	// trailing slash. daemon.yaml: accounts.NAME.base_url, default TERRA_BASE_URL, else
	// https://access.tryterra.co/api/v3/admin.
	BaseURL string
	// DevIDs lists the dev-ids the account may touch, or only "*" for all that
	// the token reaches. daemon.yaml: accounts.NAME.dev_ids, required.
	DevIDs []string
	// RedirectHosts are the hosts, beside Terra's own, to which a commit may send end
	// users by redirect_url or domain: names in small letters, and `*.` in place of
	// the first label for any one label. daemon.yaml: accounts.NAME.redirect_hosts,
	// default none.
	RedirectHosts []string
}

// Allows reports whether the account may touch the environment devID. An
// account without dev-ids may touch none.
func (a Account) Allows(devID string) bool {
	return slices.Contains(a.DevIDs, AnyDevID) || slices.Contains(a.DevIDs, devID)
}

// Identities are the private age keys of the runner.
type Identities struct {
	// Files hold identities, one a line, as age-keygen writes them, or ssh
	// private keys. daemon.yaml: identities.files.
	Files []string
	// Inline is the text of an identity file kept in an environment variable
	// (RECONCILE_AGE_KEY); unset when that variable is empty.
	Inline Secret
	// AllowPlugins names the age plugins that may be run ("yubikey" for
	// age-plugin-yubikey). daemon.yaml: identities.allow_plugins, default none.
	AllowPlugins []string
}

// Log is how the daemon logs, on standard error.
type Log struct {
	// Format is json or text. daemon.yaml: log.format, default json.
	Format string
	// Level is debug, info, warn or error. daemon.yaml: log.level, default info.
	Level string
}
