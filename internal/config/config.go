package config

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/terra-reconcile/terra-reconcile/internal/advice"
	"github.com/terra-reconcile/terra-reconcile/internal/neighbour"
	"github.com/terra-reconcile/terra-reconcile/internal/yamlpos"
)

// Defaults of fields that daemon.yaml and the environment may leave out.
const (
	DefaultAccount       = "default"
	DefaultBaseURL       = "https://access.tryterra.co/api/v3/admin"
	DefaultPoll          = time.Minute
	DefaultListen        = "127.0.0.1:8080"
	DefaultCycleDeadline = 15 * time.Minute
	DefaultUnreadyAfter  = 15 * time.Minute

	// DefaultScheduleSpread leaves a run in the minute of its schedule, so that it meets the
	// shortest window that begins with it.
	DefaultScheduleSpread = 30 * time.Second
	DefaultLogFormat      = "json"
	DefaultLogLevel       = "info"
	DefaultGitHub         = "https://api.github.com"
	DefaultGitLab         = "https://gitlab.com"
	DefaultStatusContext  = "terra-reconcile"
)

// What a daemon may wait for: longer, and nobody would notice that it is stuck.
const (
	longestPoll  = 30 * 24 * time.Hour
	longestCycle = 24 * time.Hour
)

// strictDigits of a hash are asked for where several people approve: nobody makes two
// plans that begin with the same.
const strictDigits = 32

// AnyDevID, as the only entry of an account's dev_ids, lets the account touch
// every environment its token reaches.
const AnyDevID = "*"

// Config is everything the runner decides. The zero value is not usable: build
// one with [Load], [Parse] or [FromEnvironment].
type Config struct {
	// Repo is the config repository. daemon.yaml: repo, required where there is no repos.
	Repo Repo
	// Repos are config repositories in the place of one, by name; then Repo, Environments,
	// Preview and NotifyCommit are zero, and [Config.Each] gives them. daemon.yaml: repos.
	Repos []Repository
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
	// ListenAt is where daemon.yaml says so, for messages; zero where it does not.
	ListenAt yamlpos.Origin
	// TLS is what the HTTP server shows to prove who it is; zero where it speaks plain
	// HTTP. daemon.yaml: tls.
	TLS TLS
	// Preview says who may have a branch planned; nil: nobody. daemon.yaml: preview.
	Preview *Preview
	// Web says who may read the page and the API, and who may approve there; nil: whoever
	// reaches a listener of this machine alone may read. daemon.yaml: web.
	Web *Web
	// Environments names the environments this runner handles; empty means all.
	// daemon.yaml: environments, without which it is all; there it may not be empty.
	Environments []string
	// Apply says whether the daemon changes Terra (true) or only compares and
	// reports (false). daemon.yaml: apply, required: nobody starts changing
	// production by leaving a line out.
	Apply bool
	// Approvals says who approves plans. daemon.yaml: approvals.
	Approvals Approvals
	// Probes map providers to the whole address to ask about a pair, instead of
	// the one that the catalogue knows. https, or http on the loopback interface;
	// no user, query or fragment. daemon.yaml: probes, default none.
	Probes map[string]string
	// CycleDeadline is how long one run over one environment may take.
	// daemon.yaml: cycle_deadline, default 15m, at least 1s, at most 24h.
	CycleDeadline time.Duration
	// ScheduleSpread is how late a run by a schedule begins at most. daemon.yaml:
	// schedule_spread, default 30s, at most 30s; 0s is to the second.
	ScheduleSpread time.Duration
	// UnreadyAfter is how long git, or Terra for an environment, may fail until the daemon
	// is not ready. daemon.yaml: unready_after, default 15m, at least 1s, at most 24h.
	UnreadyAfter time.Duration
	// Notify is who is told what happens; nil tells nobody. daemon.yaml: notify.
	Notify *Notify
	// NotifyCommit is where commits get a status; nil posts none. daemon.yaml:
	// notify_commit.
	NotifyCommit *NotifyCommit
	// Log is the daemon's log. daemon.yaml: log.
	Log Log
}

// NotifyCommit is a project of a forge whose commits get a status.
type NotifyCommit struct {
	// Forge is github, gitlab or gitea. daemon.yaml: notify_commit.forge, required.
	Forge string
	// URL is https, or http on the loopback interface, without a trailing slash: of GitHub
	// its API, of the others the forge itself. daemon.yaml: notify_commit.url, default
	// https://api.github.com or https://gitlab.com; required for gitea.
	URL string
	// Project is OWNER/NAME; of GitLab also with groups, or its number. daemon.yaml:
	// notify_commit.project, required.
	Project string
	// Token may post statuses. daemon.yaml: notify_commit.token_file or token_env, exactly
	// one, or none where Repo is set.
	Token Secret
	// Repo is the repository whose GitHub App gives the token; nil where Token does.
	Repo *Repo
	// Context begins the name of each status. daemon.yaml: notify_commit.context, default
	// terra-reconcile.
	Context string
}

// Repo says where the config repository is and how to reach it.
type Repo struct {
	// Name is by which people tell it from others; "" where it is the only one.
	// daemon.yaml: the name under repos.
	Name string
	// Accounts are those that its environments may use, where there are several repositories;
	// alone it may use all. daemon.yaml: repos.NAME.accounts, required.
	Accounts []string
	// URL is https://, ssh://, git@host:path, file:///path or a directory. A
	// directory that does not begin with "/" is relative to daemon.yaml's folder.
	// daemon.yaml: repo.url, required. It may not hold a password.
	URL string
	// Ref is a branch; empty means the one the remote's HEAD names.
	// daemon.yaml: repo.ref.
	Ref string
	// Versions is a rule about versions, as in ">=1": the tag of the highest one that
	// satisfies it is followed, and Ref is empty. daemon.yaml: repo.ref.semver.
	Versions string
	// Path is the folder of terra.yaml inside the repository, "/" between names;
	// empty means its root. daemon.yaml: repo.path.
	Path string
	// Poll is the time between two looks at the remote. daemon.yaml: repo.poll,
	// default 1m, at least 1s, at most 720h.
	Poll time.Duration
	// Auth is how to sign in. daemon.yaml: repo.auth.
	Auth RepoAuth
	// Hook lets a forge hint at a push; nil: none may. daemon.yaml: repo.hook.
	Hook *Hook
	// Verify says whose signatures a commit needs; nil: none. daemon.yaml: repo.verify.
	Verify *Verify
	// TLS says whom to trust beside the system's issuers; nil: nobody. daemon.yaml: repo.tls.
	TLS *RemoteTLS
	// Proxy is what the repository is reached through; nil: what the environment variables
	// say. daemon.yaml: repo.proxy.
	Proxy *Proxy
}

// RemoteTLS says whom to trust where a remote shows its certificate.
type RemoteTLS struct {
	// CAFile holds certificates of issuers, as PEM. daemon.yaml: repo.tls.ca_file, required.
	CAFile string
	// At is where daemon.yaml says so, for messages.
	At yamlpos.Origin
}

// Problem is what is wrong with the file, at the place that names it.
func (t RemoteTLS) Problem(err error) error { return problemAt(t.At, err) }

// Proxy is what one remote is reached through.
type Proxy struct {
	// URL is http, https, socks5 or socks5h, without user, path, query and fragment.
	// daemon.yaml: repo.proxy or repo.proxy.url.
	URL string
	// Username goes with Password. daemon.yaml: repo.proxy.username.
	Username string
	// Password goes with Username. daemon.yaml: repo.proxy.password_file or password_env.
	Password Secret
	// At is where daemon.yaml says so, for messages.
	At yamlpos.Origin
}

// Address is the address of the proxy with its user and password. Nothing of an error is a
// secret.
func (p Proxy) Address() (*url.URL, error) {
	u, err := url.Parse(p.URL)
	if err != nil {
		return nil, errors.New("read proxy: its address can not be read")
	}
	if p.Username == "" {
		return u, nil
	}
	password, err := p.Password.Read()
	if err != nil {
		return nil, err
	}
	u.User = url.UserPassword(p.Username, password)
	return u, nil
}

// Problem is what is wrong with the password, at the place that names it.
func (p Proxy) Problem(err error) error { return problemAt(p.At, err) }

// GitHubApp signs in as an installation of an app.
type GitHubApp struct {
	// ID is the number of the app. daemon.yaml: repo.auth.github_app.app_id, required.
	ID int64
	// Installation is the number of the installation; 0 is that of the repository.
	// daemon.yaml: repo.auth.github_app.installation_id.
	Installation int64
	// KeyFile holds the app's private key as PEM. daemon.yaml:
	// repo.auth.github_app.private_key_file, required.
	KeyFile string
	// URL is that of the API, https, or http on the loopback interface, without a trailing
	// slash. daemon.yaml: repo.auth.github_app.url, default https://api.github.com, required
	// where the repository is not at github.com.
	URL string
	// At is where daemon.yaml says so, for messages.
	At yamlpos.Origin
}

// Problem is what is wrong with the key, at the place that names it.
func (a GitHubApp) Problem(err error) error { return problemAt(a.At, err) }

// Followed names what the configuration says to follow, "" where that is up to the remote.
func (r Repo) Followed() string {
	if r.Versions != "" {
		return "tags " + r.Versions
	}
	return r.Ref
}

// At is the repository at another ref, whatever was to be followed.
func (r Repo) At(ref string) Repo {
	r.Ref, r.Versions = ref, ""
	return r
}

// Hook says which forge may hint at a push.
type Hook struct {
	// Forge is one of [Forges], or bitbucket. daemon.yaml: repo.hook.forge, required.
	Forge string
	// Secret is shared with the forge. daemon.yaml: repo.hook.secret_file or secret_env,
	// exactly one.
	Secret Secret
	// At is where daemon.yaml says so, for messages.
	At yamlpos.Origin
}

// ShortestHookSecret is how many characters the secret of a hook has at least.
const ShortestHookSecret = 16

// Key reads the secret, and refuses one that is short.
func (h Hook) Key() (string, error) {
	secret, err := h.Secret.Read()
	if err != nil {
		return "", err
	}
	if n := utf8.RuneCountInString(secret); n < ShortestHookSecret {
		return "", fmt.Errorf("read secret: %s has %d characters, and the secret of a hook has at least %d; make one with `openssl rand -hex 32`", h.Secret, n, ShortestHookSecret)
	}
	return secret, nil
}

// check refuses a secret that cannot be used or read again, or that others can read.
func (h Hook) check() error {
	if file := h.Secret.File(); file != "" {
		if err := neighbour.Unread("secret file", file); err != nil {
			return problemAt(h.At, err)
		}
		if info, err := os.Stat(file); err == nil && !info.Mode().IsRegular() { // anybody who asks would leave a thread that waits
			return problemAt(h.At, fmt.Errorf("%s is read for each request, so it has to be a file and no pipe", file))
		}
	}
	if _, err := h.Key(); err != nil {
		return problemAt(h.At, err)
	}
	return nil
}

// Verify says whose signatures a commit needs to be used. At least one of the files is set.
type Verify struct {
	// Every asks for a signature of each commit that came since the last accepted one, and
	// not of the newest alone. daemon.yaml: repo.verify.mode, every or head; required.
	Every bool
	// AllowedSigners are ssh keys in the form of ssh-keygen(1).
	// daemon.yaml: repo.verify.allowed_signers.
	AllowedSigners string
	// Keyring holds OpenPGP public keys. daemon.yaml: repo.verify.gpg_keyring.
	Keyring string
	// At is where daemon.yaml says so, for messages.
	At yamlpos.Origin
}

// Problem is what is wrong with the files, at the place that names them.
func (v Verify) Problem(err error) error { return problemAt(v.At, err) }

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
	// GitHubApp gives the token; nil for none. daemon.yaml: repo.auth.github_app.
	GitHubApp *GitHubApp
	// Settings says where these are set, for messages about them.
	Settings AuthSettings
}

// AuthSettings are the variables or the fields that a RepoAuth was read from.
type AuthSettings struct{ Token, SSHKeyFile, KnownHostsFile string }

// TLS are the files of a certificate. Both are set, or neither.
type TLS struct {
	// CertFile holds the certificate, and those of its issuers below it, as PEM.
	// daemon.yaml: tls.cert_file.
	CertFile string
	// KeyFile holds its private key as PEM. daemon.yaml: tls.key_file.
	KeyFile string
	// At is where daemon.yaml says so, for messages.
	At yamlpos.Origin
}

// IsSet reports whether the server speaks TLS.
func (t TLS) IsSet() bool { return t.CertFile != "" }

// Problem is what is wrong with the files, at the place that names them.
func (t TLS) Problem(err error) error { return problemAt(t.At, err) }

// Preview says who may have a branch planned by the daemon.
type Preview struct {
	// Token signs requests. daemon.yaml: preview.token_file or preview.token_env, exactly
	// one.
	Token Secret
	// Forks lets also that be planned which anybody may open from a fork.
	// daemon.yaml: preview.forks, default false.
	Forks bool
	// At is where daemon.yaml says so, for messages.
	At yamlpos.Origin
}

// ShortestPreviewToken is how many characters the token of previews has at least: a person
// does not make up so many.
const ShortestPreviewToken = 32

// Key reads the token, and refuses one that is short.
func (p Preview) Key() (string, error) {
	token, err := p.Token.Read()
	if err != nil {
		return "", err
	}
	if n := utf8.RuneCountInString(token); n < ShortestPreviewToken {
		return "", fmt.Errorf("read secret: %s has %d characters, and the token of previews has at least %d; make one with `openssl rand -hex 32`", p.Token, n, ShortestPreviewToken)
	}
	return token, nil
}

// ListensHere tells whether nobody but this machine reaches Listen.
func (c Config) ListensHere() bool { return loopbackListen().MatchString(c.Listen) }

// CheckServing refuses what a server cannot begin with: a token of previews or of the page
// that cannot be used or read again, and a file of these blocks that another user of the
// machine can read. An error stands at the place of daemon.yaml that is to blame.
func (c Config) CheckServing() error {
	for _, one := range c.Each() {
		if hook := one.Repo.Hook; hook != nil {
			if err := hook.check(); err != nil {
				return err
			}
		}
		if app := one.Repo.Auth.GitHubApp; app != nil {
			if err := neighbour.Unread("private key", app.KeyFile); err != nil {
				return app.Problem(err)
			}
		}
	}
	if c.TLS.IsSet() {
		if err := neighbour.Unread("private key", c.TLS.KeyFile); err != nil {
			return c.TLS.Problem(err)
		}
	}
	if err := c.Notify.Check(); err != nil {
		return err
	}
	if err := c.checkWeb(); err != nil {
		return err
	}
	return c.checkTokens()
}

// problemAt is an error of a value that only what it names can show.
func problemAt(at yamlpos.Origin, err error) error {
	p := Problem{Origin: at, Message: err.Error()}
	var hints []string
	for _, next := range advice.All(err) {
		hints = append(hints, next.Text)
	}
	p.Hint = strings.Join(hints, "; ")
	return &InvalidError{Problems: []Problem{p}}
}

// Web says who may read the page and the API, and who may approve and pause there.
type Web struct {
	// Read lets read; not set, whoever reaches a listener of this machine alone may.
	// daemon.yaml: web.read.token_file or web.read.token_env.
	Read Secret
	// Approve lets approve, pause, resume and run, where no person has a token of their
	// own; not set, nobody does that here. daemon.yaml: web.approve.token_file or
	// web.approve.token_env.
	Approve Secret
	// At and its parts are where daemon.yaml says so, for messages.
	At, ReadAt, ApproveAt yamlpos.Origin
}

// ShowsPage reports whether the page and the API are served: to this machine, or by TLS to
// who has the token that reads.
func (c Config) ShowsPage() bool {
	return c.ListensHere() || c.TLS.IsSet() && c.Web != nil && c.Web.Read.IsSet()
}

// Approvers are the tokens that approve on the page, by the name under which the history
// has it: those of the people, or else the one of the page.
func (c Config) Approvers() map[string]Secret {
	switch {
	case len(c.Approvals.People) > 0:
		return c.Approvals.People
	case c.Web != nil && c.Web.Approve.IsSet():
		return map[string]Secret{WebApprover: c.Web.Approve}
	}
	return nil
}

// WebApprover is who approved by the token of the page.
const WebApprover = "web"

// ShortestWebToken is how many characters a token has at least that travels to the page: a
// person does not make up so many.
const ShortestWebToken = ShortestPreviewToken

// WebToken reads a token of the page or of a person, and refuses one that is short.
func WebToken(s Secret) (string, error) {
	token, err := s.Read()
	if err != nil {
		return "", err
	}
	if n := utf8.RuneCountInString(token); n < ShortestWebToken {
		return "", fmt.Errorf("read secret: %s has %d characters, and a token of the page has at least %d; make one with `openssl rand -hex 32`", s, n, ShortestWebToken)
	}
	return token, nil
}

// checkWeb refuses tokens of the page that cannot be used or read again, that another user
// of the machine can read, and that are equal: who reads must not approve.
func (c Config) checkWeb() error {
	if c.Web == nil {
		return nil
	}
	type token struct {
		name string
		Secret
		at yamlpos.Origin
	}
	all := []token{{"web.read", c.Web.Read, c.Web.ReadAt}, {"web.approve", c.Web.Approve, c.Web.ApproveAt}}
	for _, one := range c.Each() {
		if one.Preview != nil { // it never travels, and these do
			all = append(all, token{strings.TrimPrefix(one.Repo.Setting()+".preview", "repo."), one.Preview.Token, one.Preview.At})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Approvals.People)) {
		all = append(all, token{"approvals.people." + name, c.Approvals.People[name], c.Web.At})
	}
	seen := map[string]string{}
	for _, t := range all {
		if !t.IsSet() {
			continue
		}
		if err := serves(t.Secret); err != nil {
			return problemAt(t.at, err)
		}
		text, err := WebToken(t.Secret)
		if err != nil {
			return problemAt(t.at, err)
		}
		if other, taken := seen[text]; taken {
			return problemAt(t.at, fmt.Errorf("%s and %s are one token; make another one with `openssl rand -hex 32`", other, t.name))
		}
		seen[text] = t.name
	}
	return nil
}

// serves refuses a token file that cannot be read for each request, or that others read.
func serves(token Secret) error {
	file := token.File()
	if file == "" {
		return nil
	}
	if err := neighbour.Unread("token file", file); err != nil {
		return err
	}
	if info, err := os.Stat(file); err == nil && !info.Mode().IsRegular() { // anybody who asks would leave a thread that waits
		return fmt.Errorf("%s is read for each request, so it has to be a file and no pipe", file)
	}
	return nil
}

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
	// the token reaches and no other account lists. daemon.yaml: accounts.NAME.dev_ids, required.
	DevIDs []string
	// RedirectHosts are the hosts, beside Terra's own, to which a commit may send end
	// users by redirect_url or domain: names in small letters, and `*.` in place of
	// the first label for any one label. daemon.yaml: accounts.NAME.redirect_hosts,
	// default none.
	RedirectHosts []string
}

// Allows reports whether an account may touch the environment devID. An account without
// dev-ids may touch none, and one that may touch any may not touch what another one
// lists, in whatever letters: a commit could send its secrets elsewhere. One that the
// repository may not use may touch none.
func (c Config) Allows(account, devID string) bool {
	own := c.Accounts[account].DevIDs
	return c.MayUse(account) && (slices.Contains(own, devID) || slices.Contains(own, AnyDevID) && !c.listedBeside(account, devID))
}

// Assigns reports whether the runner's configuration itself says that the environment
// devID belongs to an account: that account lists it, and no other one does.
func (c Config) Assigns(account, devID string) bool {
	return c.MayUse(account) && slices.Contains(c.Accounts[account].DevIDs, devID) && !c.listedBeside(account, devID)
}

func (c Config) listedBeside(account, devID string) bool {
	for name, other := range c.Accounts {
		if name != account && slices.ContainsFunc(other.DevIDs, func(id string) bool { return strings.EqualFold(id, devID) }) {
			return true
		}
	}
	return false
}

// Approvals are the runner's rule about approvals by hash. What a commit allows is the
// business of the repository's own reviews.
type Approvals struct {
	// Required is how many people must approve what For names; 0 is one.
	// daemon.yaml: approvals.required, default 1, at most 9.
	Required int
	// For lists classes of changes: safe, disruptive, destructive.
	// daemon.yaml: approvals.for, required beside approvals.required.
	For []string
	// Digits is how many digits of a hash an approval gives at least; 0 is 8.
	// daemon.yaml: approvals.digits, 8 to 64, default 8, or 32 where approvals.required is
	// 2 or more.
	Digits int
	// People have a token each and are known by it; without any, people are known as the
	// operating system knows them. daemon.yaml: approvals.people.NAME.token_file or
	// token_env.
	People map[string]Secret
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

// maxSecret bounds what is read from one secret file, in bytes.
const maxSecret = 64 << 10

// Secret says where a secret is kept: in a file or in an environment variable.
// It holds no secret, so it may be printed. The zero value is kept nowhere.
type Secret struct {
	file   string
	env    string
	getenv func(string) string
	lines  bool
}

// FileSecret is a secret kept in the file at path, on one line.
func FileSecret(path string) Secret { return Secret{file: path} }

// EnvSecret is a secret kept in the environment variable name, on one line;
// getenv is how it is looked up, usually [os.Getenv].
func EnvSecret(name string, getenv func(string) string) Secret {
	return Secret{env: name, getenv: getenv}
}

// IsSet reports whether s names a place at all; the place may still be empty.
func (s Secret) IsSet() bool { return s.file != "" || s.env != "" }

// File is the path of the file that s is kept in, "" where it is kept elsewhere.
func (s Secret) File() string { return s.file }

// String names the place, never the secret: "file /run/secrets/terra" or
// "environment variable TERRA_ADMIN_TOKEN", and "nowhere" for the zero value.
func (s Secret) String() string {
	switch {
	case s.file != "":
		return "file " + s.file
	case s.env != "":
		return "environment variable " + s.env
	}
	return "nowhere"
}

// GoString is String: no verb prints anything else.
func (s Secret) GoString() string { return s.String() }

// Read reads the secret now, so that a replaced file counts from the next call
// on. White space around it is dropped. Errors name the place and never quote
// what is there: an unset, unreadable, empty or oversized (64 KiB) secret,
// one that spreads over several lines where a single one is meant, and one in a file that
// another user of the machine could write to.
func (s Secret) Read() (string, error) {
	raw, err := s.raw()
	if err != nil {
		return "", err
	}
	text := strings.TrimSpace(raw)
	if text == "" {
		return "", fmt.Errorf("read secret: %s is empty or not set; put the secret there", s)
	}
	if !s.lines && strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }) {
		return "", fmt.Errorf("read secret: %s holds more than one line, or a control or invisible character; keep only the secret there", s)
	}
	return text, nil
}

func (s Secret) raw() (string, error) {
	if s.file == "" {
		if s.env == "" {
			return "", errors.New("read secret: no file and no environment variable is named for it")
		}
		return s.getenv(s.env), nil
	}
	f, err := os.Open(s.file)
	if err != nil {
		return "", fmt.Errorf("read secret: %w", err)
	}
	defer f.Close()
	if err := neighbour.Opened("token file", f); err != nil {
		return "", fmt.Errorf("read secret: %w", err)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil {
		return "", fmt.Errorf("read secret: %w", err)
	}
	if len(data) > maxSecret {
		return "", fmt.Errorf("read secret: %s is larger than 64 KiB; is it the right file?", s)
	}
	return string(data), nil
}
