package config

import (
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/yamlpos"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// whichDevIDs says what to write as dev_ids.
const whichDevIDs = `list the dev-ids this account may touch, or ["*"] for all`

// fields are those of daemon.yaml. Its reader, its JSON Schema and docs/operations.md
// take them from here. What an only repository has, and some of what stands beside it, each of
// several has as well.
func fields() yamlpos.Fields {
	all := declared()
	for block, list := range declared() {
		if under := ofEach(block); under != "" {
			all[under] = append(slices.Clone(list), all[under]...)
		}
	}
	return all
}

// ofEach is where each of several repositories has a block of its own, "" for one that it has not.
func ofEach(block string) string {
	root, rest, _ := strings.Cut(block, ".")
	switch root {
	case "repo":
		return yamlpos.Below("repos.*", rest)
	case "identities", "preview", "notify_commit":
		return "repos.*." + block
	}
	return ""
}

// declared are the fields as they are declared once.
func declared() yamlpos.Fields {
	return yamlpos.Fields{
		"": {
			{Name: "repo", Form: yamlpos.Block, Omitted: "required, or `repos`", Means: "the config repository"},
			{Name: "repos", Form: yamlpos.Named, Least: 1, Names: accountName, Value: "mapping by name", Omitted: "there is one", Means: "config repositories in the place of `repo` ([below](#several-repositories)). Each has the fields of `repo` and those that follow; `environments`, `preview` and `notify_commit` stand here then"},
			{Name: "accounts", Form: yamlpos.Named, Required: true, Least: 1, Names: accountName, Value: "mapping by name", Means: "the ways into Terra's Admin API, by the names that `account` of an environment.yaml uses"},
			{Name: "apply", Form: yamlpos.Boolean, Required: true, Ask: "write `apply: true` to change Terra, or `apply: false` to only watch", Means: "`true` changes Terra, `false` only compares and reports"},
			{Name: "approvals", Form: yamlpos.Block, Means: "how many people must approve what ([below](#four-eyes))"},
			{Name: "identities", Form: yamlpos.Block, Omitted: "`RECONCILE_AGE_KEY_FILE`, `RECONCILE_AGE_KEY`", Means: "the private age keys that open secrets"},
			{Name: "probes", Form: yamlpos.TextsBy, Names: providerName, Pattern: addressPattern, Value: "addresses by provider", Omitted: "the provider's own", Means: "the whole address to ask about a pair of client id and secret: a proxy of yours. https, or http on this machine; no user, `?` or `#`"},
			{Name: "state_dir", Value: "folder", Omitted: "`RECONCILE_STATE_DIR`, else `$XDG_STATE_HOME/terra-reconcile`, else `$HOME/.local/state/terra-reconcile`", Means: "the folder of the [state](#state)"},
			{Name: "listen", Pattern: listenPattern, Value: "`host:port`", Default: DefaultListen, Means: "where `/healthz` and [the page](page.md) are served; the default is this machine only"},
			{Name: "tls", Form: yamlpos.Block, Omitted: "plain HTTP", Means: "serve `listen` by TLS, 1.2 or newer"},
			{Name: "preview", Form: yamlpos.Block, Omitted: "no previews", Means: "plan a branch for who has a token and asks at `listen`, as for a pull request ([below](#previews-of-pull-requests)). Where other machines reach `listen` it needs `tls`"},
			{Name: "web", Form: yamlpos.Block, Omitted: "on this machine anybody reads and nobody approves; elsewhere there is no page", Means: "who reads [the page and the API](page.md), and who approves and pauses there. Where other machines reach `listen` it needs `tls` and `read`"},
			{Name: "environments", Form: yamlpos.Texts, Least: 1, Value: "list of names", Omitted: "all", Means: "the environments to handle. One that the repository lacks is an error of it in `status` and in the log"},
			{Name: "cycle_deadline", Form: yamlpos.Span, Pattern: spanPattern, Shortest: time.Second, Longest: longestCycle, Value: "`1s` to `24h`", Default: "15m", Means: "how long one run over one environment may take"},
			{Name: "schedule_spread", Form: yamlpos.Span, Pattern: spanPattern, Longest: DefaultScheduleSpread, Value: "`0s` to `30s`", Default: "30s", Means: "how late a run by a `schedule` begins at most, so that environments with one schedule do not begin in one second ([below](#schedules)); `0s`: to the second"},
			{Name: "unready_after", Form: yamlpos.Span, Pattern: spanPattern, Shortest: time.Second, Longest: longestCycle, Value: "`1s` to `24h`", Default: "15m", Means: "how long git, or Terra for an environment, may fail until `/readyz` answers 503 and `status` exits 1; at once where the newest commit is refused and none before it was used"},
			{Name: "notify", Form: yamlpos.Block, Omitted: "nobody is told", Means: "who is told what happens, and how ([below](#messages))"},
			{Name: "notify_commit", Form: yamlpos.Block, Omitted: "none are posted", Means: "the forge at which commits get a status ([below](#commit-statuses))"},
			{Name: "log", Form: yamlpos.Block, Means: "on standard error"},
		},
		"notify": {
			{Name: "receivers", Form: yamlpos.Named, Required: true, Least: 1, Names: accountName, Value: "mapping by name", Means: "to whom or what messages go. Each has exactly one of the fields below it"},
			{Name: "routes", Form: yamlpos.Blocks, Required: true, Least: 1, Most: 100, Ask: "write `routes: [{receivers: [NAME]}]` to send it everything", Means: "which messages go where. Each that matches counts, and a receiver gets a message once"},
		},
		"notify.receivers.*": {
			{Name: "webhook", Form: yamlpos.Block, Means: "the message as a JSON document, signed ([how to check it](#signed-webhooks))"},
			{Name: "slack", Form: yamlpos.Block, Means: "an incoming webhook of Slack, or of what takes the same, such as Mattermost"},
			{Name: "teams", Form: yamlpos.Block, Means: "a webhook of Microsoft Teams, made by a workflow"},
			{Name: "ntfy", Form: yamlpos.Block, Means: "a topic of ntfy"},
			{Name: "email", Form: yamlpos.Block, Means: "one mail to all"},
		},
		"notify.receivers.*.webhook": append(append([]yamlpos.Declared{
			{Name: "url", Pattern: addressPattern, Value: "address", Means: "https, or http on this machine; one of the three"},
		}, secretFields("url", "its address, where that is a secret itself; one of the three")...), secretFields("secret", "what signs messages: any text, or `whsec_` and base64; one of the two")...),
		"notify.receivers.*.slack": secretFields("url", "the address that Slack shows, a secret; one of the two"),
		"notify.receivers.*.teams": secretFields("url", "the address that Teams shows, a secret; one of the two"),
		"notify.receivers.*.ntfy": append(secretFields("url", "the address of the topic, as `https://ntfy.sh/TOPIC`, a secret; one of the two"),
			secretFields("token", "an access token, where the topic asks for one")...),
		"notify.receivers.*.email": append([]yamlpos.Declared{
			{Name: "server", Required: true, Pattern: serverPattern, Says: "a mail server; write it as in mail.acme.example:587", Value: "`host:port`", Means: "at port 465 by TLS, else by STARTTLS, which only a server of this machine may lack"},
			{Name: "from", Required: true, Pattern: mailPattern, Says: mailSays, Value: "mail address", Means: "the sender"},
			{Name: "to", Form: yamlpos.Texts, Required: true, Least: 1, Most: 50, Pattern: mailPattern, Says: mailSays, Value: "list of mail addresses", Means: "who gets it"},
			{Name: "username", Omitted: "it signs in nowhere", Means: "with which it signs in; goes with the password"},
		}, secretFields("password", "the password")...),
		"notify.routes": {
			{Name: "events", Form: yamlpos.Texts, Least: 1, Words: routedEvents(), Value: "list of [events](#messages)", Omitted: "all", Means: "which events"},
			{Name: "severity", Form: yamlpos.Texts, Least: 1, Words: severities(), Value: "list of `info`, `warning`, `critical`", Omitted: "all", Means: "of which severity; each event has one"},
			{Name: "environments", Form: yamlpos.Texts, Least: 1, Pattern: environmentGlob, Says: "an environment; write the path of its folder, `*` for any name in it", Value: "list of names", Omitted: "all", Means: "of which environments; `*` stands for any part of a name. A message about none, such as a token or the repository, passes"},
			{Name: "owners", Form: yamlpos.Texts, Least: 1, Chars: longestOwner, Pattern: ownerPattern, Says: "an owner; write one line of at most 200 characters, as it stands in the files", Value: "list of texts", Omitted: "all", Means: "of whom, as `owner` of the [files](files.md) says, letter by letter"},
			{Name: "receivers", Form: yamlpos.Texts, Required: true, Least: 1, Value: "list of names", Means: "who gets them"},
			{Name: "remind", Form: yamlpos.Span, Pattern: spanPattern, Longest: longestPoll, Value: "`0s` to `720h`", Default: "24h", Means: "after how long they hear again of what lasts; `0s`: never"},
		},
		"notify_commit": append([]yamlpos.Declared{
			{Name: "forge", Form: yamlpos.Word, Required: true, Words: Forges(), Means: "whose API it speaks"},
			{Name: "url", Pattern: addressPattern, Value: "address", Omitted: "`" + DefaultGitHub + "`, `" + DefaultGitLab + "`; required for the others", Means: "of GitHub its API, of the others the forge itself. https, or http on this machine"},
			{Name: "project", Required: true, Pattern: forgeProject, Chars: 255, Says: "a project; write it as in acme/terra-config", Value: "`OWNER/NAME`", Means: "the project whose commits these are; of GitLab also with groups, or its number"},
			{Name: "context", Pattern: statusContext, Chars: 100, Says: "a name for statuses; write letters, digits, spaces, ., _, / and -, as in terra-reconcile", Value: "text", Default: DefaultStatusContext, Means: "a status is named so, with `/` and the environment after it"},
		}, tokenFields("the token that may post statuses, and nothing else; one of the two, or none where `repo.auth.github_app` signs in to the same owner")...),
		"repos.*": {
			{Name: "accounts", Form: yamlpos.Texts, Required: true, Ask: "list the accounts that its environments may use", Least: 1, Value: "list of names of `accounts`", Means: "the accounts that its environments may use"},
			{Name: "environments", Form: yamlpos.Texts, Least: 1, Value: "list of names", Omitted: "all", Means: "the environments of it to handle. One that is named here is this repository's, whichever had it before"},
			{Name: "identities", Form: yamlpos.Block, Omitted: "`identities`", Means: "what opens its secrets, in the place of `identities`"},
			{Name: "preview", Form: yamlpos.Block, Omitted: "no previews", Means: "as `preview`, of its branches and with a token of its own"},
			{Name: "notify_commit", Form: yamlpos.Block, Omitted: "none are posted", Means: "as `notify_commit`, for its commits"},
		},
		"repo": {
			{Name: "url", Required: true, Never: credentialsInURL, Value: "`https://`, `ssh://`, `git@host:path`, `file:///` or a folder", Means: "a folder of this machine is watched as well as polled; one that does not begin with `/` is below that of daemon.yaml. It may not hold a password"},
			{Name: "ref", Form: yamlpos.TextOrBlock, Value: "branch, or mapping", Omitted: "the branch of the remote's HEAD", Means: "the branch to follow, or a rule about tags"},
			{Name: "path", Pattern: pathPattern, Never: pathNever, Value: "folder", Omitted: "the root", Means: "the folder of terra.yaml inside the repository, `/` between names"},
			{Name: "poll", Form: yamlpos.Span, Pattern: spanPattern, Shortest: time.Second, Longest: longestPoll, Value: "`1s` to `720h`", Default: "1m", Means: "the time between two looks at the remote; each comes up to a tenth earlier or later, so that many daemons do not ask at once"},
			{Name: "auth", Form: yamlpos.Block, Omitted: "none: the repository is public, or a folder", Means: "how to sign in: a token for https, a key for ssh"},
			{Name: "tls", Form: yamlpos.Block, Omitted: "the system's issuers alone", Means: "whom to trust when the repository shows its certificate ([below](#a-ca-or-a-proxy-of-your-own)); for https"},
			{Name: "proxy", Form: yamlpos.TextOrBlock, Pattern: proxyPattern, Never: proxyNever, Value: "address, or mapping", Omitted: "`HTTPS_PROXY` and `NO_PROXY`", Means: "the proxy through which this repository alone is reached, as in `http://proxy.acme.example:3128` ([below](#a-ca-or-a-proxy-of-your-own)); for https"},
			{Name: "hook", Form: yamlpos.Block, Omitted: "the remote is only polled", Means: "let the forge say at `listen` that somebody pushed ([below](#webhooks-of-the-forge))"},
			{Name: "verify", Form: yamlpos.Block, Omitted: "no signature is asked for", Means: "whose signatures a commit needs to be used ([below](#signed-commits)); at least one of the two files"},
		},
		"repo.ref": {
			{Name: "semver", Required: true, Pattern: versionsPattern, Chars: 200, Says: "a rule about versions; write it as in \">=1\", \"~1.4\" or \">=1.4 <2\"", Value: "rule", Means: "follow the tag of the highest version that satisfies it, as in `\">=1\"` ([below](#releases))"},
		},
		"repo.hook": {
			{Name: "forge", Form: yamlpos.Word, Required: true, Words: append(Forges(), "bitbucket"), Means: "who says so, which is how a request is signed"},
			{Name: "secret_file", Value: "file", Means: "holds the secret that the forge signs by, of at least 16 characters; one of the two"},
			{Name: "secret_env", Pattern: variableName, Says: "the name of an environment variable (not the secret itself)", Value: "name of a variable", Means: "holds that secret"},
		},
		"repo.verify": {
			{Name: "mode", Form: yamlpos.Word, Required: true, Words: []string{"head", "every"}, Means: "`head`: the newest commit; `every`: also each one that came with it since the last accepted one"},
			{Name: "allowed_signers", Value: "file", Omitted: "no ssh signature counts", Means: "ssh keys by committer, as `ssh-keygen` and git have them"},
			{Name: "gpg_keyring", Value: "file", Omitted: "no OpenPGP signature counts", Means: "public keys, as `gpg --export` writes them"},
		},
		"repo.auth": append(append([]yamlpos.Declared{
			{Name: "username", Omitted: "one that common servers take", Means: "goes with the token"},
		}, tokenFields("the password or access token")...),
			yamlpos.Declared{Name: "ssh_key_file", Value: "file", Means: "a private key without a passphrase; only with `known_hosts_file`"},
			yamlpos.Declared{Name: "known_hosts_file", Value: "file", Means: "the server's host keys, in OpenSSH's format; only with `ssh_key_file`"},
			yamlpos.Declared{Name: "github_app", Form: yamlpos.Block, Means: "sign in as a GitHub App, in place of a token ([below](#sign-in-as-a-github-app))"}),
		"repo.auth.github_app": {
			{Name: "app_id", Form: yamlpos.Number, Required: true, Low: 1, High: mostAppID, Value: "number", Means: "the App ID that the page of the app shows"},
			{Name: "private_key_file", Value: "file", Required: true, Means: "a private key of the app, the `.pem` file that GitHub made"},
			{Name: "installation_id", Form: yamlpos.Number, Low: 1, High: mostAppID, Value: "number", Omitted: "that of the repository", Means: "the installation of the app"},
			{Name: "url", Pattern: addressPattern, Value: "address", Omitted: "`" + DefaultGitHub + "`; required where the repository is not at github.com", Means: "of the API, as in `https://github.acme.example/api/v3`. https, or http on this machine"},
		},
		"repo.tls": {
			{Name: "ca_file", Value: "file", Required: true, Means: "certificates as PEM of issuers to trust for this repository, beside those of the system"},
		},
		"repo.proxy": append([]yamlpos.Declared{
			{Name: "url", Required: true, Pattern: proxyPattern, Never: proxyNever, Value: "address", Means: "`http://`, `https://`, `socks5://` or `socks5h://`, a host and a port"},
			{Name: "username", Omitted: "it signs in nowhere", Means: "with which it signs in; goes with the password"},
		}, secretFields("password", "the password; one of the two")...),
		"accounts.*": append(tokenFields("the Admin API token; one of the two"),
			yamlpos.Declared{Name: "base_url", Pattern: addressPattern, Value: "address", Omitted: "`TERRA_BASE_URL`, else `" + DefaultBaseURL + "`", Means: "https, or http on this machine"},
			yamlpos.Declared{Name: "dev_ids", Form: yamlpos.Texts, Required: true, Ask: whichDevIDs, Least: 1, Pattern: devID, Says: `a dev-id; write it out as Terra shows it, or ["*"] alone for all`, Value: "list of dev-ids, or `[\"*\"]`", Means: "those that the account may touch; `*` is all that its token reaches and no other account lists"},
			yamlpos.Declared{Name: "redirect_hosts", Form: yamlpos.Texts, Pattern: redirectHost, Chars: 253, Says: "the name of a host in small letters, as in auth.acme.example or *.acme.example; no address, port or path, other alphabets as xn--…", Value: "list of host names, `*.` in front covers those below", Omitted: "none", Means: "the only hosts, beside Terra's own, to which a commit may send end users without approval ([below](#hosts-that-end-users-are-sent-to))"}),
		"approvals": {
			{Name: "required", Form: yamlpos.Number, Low: 1, High: 9, Omitted: "1", Means: "how many people must approve what `for` names"},
			{Name: "for", Form: yamlpos.Texts, Words: []string{"safe", "disruptive", "destructive"}, Value: "list of `safe`, `disruptive`, `destructive`", Omitted: "required beside 2 or more", Means: "the classes of changes that so many approve"},
			{Name: "digits", Form: yamlpos.Number, Low: 8, High: 64, Omitted: "8, or 32 where 2 or more are required", Means: "how many digits of a hash an approval gives at least"},
			{Name: "people", Form: yamlpos.Named, Names: accountName, Value: "mapping by name", Omitted: "the users of the operating system", Means: "who approves, each known by a token"},
		},
		"approvals.people.*": tokenFields("the token of this person; one of the two"),
		"tls": {
			{Name: "cert_file", Required: true, Value: "file", Means: "the certificate, and those of its issuers below it, as PEM. A renewed one is taken within five seconds"},
			{Name: "key_file", Required: true, Value: "file", Means: "its private key as PEM, for this user alone"},
		},
		"preview": append(tokenFields("the token that signs requests, of at least 32 characters; one of the two"),
			yamlpos.Declared{Name: "forks", Form: yamlpos.Boolean, Default: "false", Means: "plan `refs/pull/N/head`, `refs/pull/N/merge` and `refs/merge-requests/N/head` too, which anybody may open from a fork"}),
		"web": {
			{Name: "read", Form: yamlpos.Block, Omitted: "whoever reaches a `listen` of this machine alone", Means: "who reads"},
			{Name: "approve", Form: yamlpos.Block, Omitted: "those of `approvals.people`, else nobody", Means: "who approves, pauses and runs, where no person has a token of their own; the history says `web`"},
		},
		"web.read":    tokenFields("the token that reads, of at least 32 characters; one of the two"),
		"web.approve": tokenFields("the token that approves, another one of at least 32 characters; one of the two"),
		"identities": {
			{Name: "files", Form: yamlpos.Texts, Value: "list of files", Omitted: "none", Means: "age identities, one a line, or ssh private keys"},
			{Name: "allow_plugins", Form: yamlpos.Texts, Pattern: pluginName, Says: "the name of a plugin, as in yubikey", Value: "list of names", Omitted: "none", Means: "the age plugins that may be run"},
		},
		"log": {
			{Name: "format", Form: yamlpos.Word, Words: []string{"json", "text"}, Default: DefaultLogFormat, Means: "how a line looks"},
			{Name: "level", Form: yamlpos.Word, Words: []string{"debug", "info", "warn", "error"}, Default: DefaultLogLevel, Means: "which lines there are"},
		},
	}
}

// tokenFields say where a token is kept.
func tokenFields(means string) []yamlpos.Declared { return secretFields("token", means) }

// secretFields say where a secret of a name is kept.
func secretFields(name, means string) []yamlpos.Declared {
	return []yamlpos.Declared{
		{Name: name + "_file", Value: "file", Means: "holds " + means},
		{Name: name + "_env", Pattern: variableName, Says: "the name of an environment variable (not the " + name + " itself)", Value: "name of a variable", Means: "holds " + means},
	}
}

// routedEvents are the events that go by routes.
func routedEvents() (names []string) {
	for _, k := range report.Kinds() {
		if k.Name != report.EventMessagesDropped && k.Name != report.EventTest { // which go to a receiver
			names = append(names, string(k.Name))
		}
	}
	return names
}

func severities() (names []string) {
	for _, s := range report.Severities() {
		names = append(names, string(s))
	}
	return names
}

const (
	mailSays     = "a mail address; write it as in ops@acme.example"
	longestOwner = 200
	mostAppID    = 1<<31 - 1 // what an int holds on every machine
)

// The patterns match each text that its reader takes, and as few others as can be said
// without reading it.
var (
	accountName  = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9][a-z0-9_-]*$`) })
	variableName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`) })
	providerName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9]+(_[a-z0-9]+)*$`) })
	// redirectHost is a name that can be compared letter by letter. After `*.` stand at
	// least two labels, so that nobody lists a whole top-level domain.
	redirectHost = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^(\*\.)?([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]([a-z0-9-]*[a-z0-9])?$`)
	})
	// forgeProject has no names that a path of an address takes for something else.
	forgeProject = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^\.?[A-Za-z0-9_-][A-Za-z0-9._-]*(/\.?[A-Za-z0-9_-][A-Za-z0-9._-]*)*$`)
	})
	versionsPattern = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^` + versions + `( ?\|\| ?` + versions + `){0,9}$`) })
	statusContext   = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9 ._/-]*[A-Za-z0-9])?$`) })
	serverPattern   = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^([^:\[\]/@ ]+|\[[^\[\]]+\]):` + port + `$`) })
	mailPattern     = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[^@<>(),;:"\\\s]+@[^@<>(),;:"\\\s]+$`) })
	environmentGlob = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[^\[\]\\]+$`) })
	ownerPattern    = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[^\n]+$`) })
	devID           = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^(\*|[A-Za-z0-9][A-Za-z0-9._-]*)$`) })
	pluginName      = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9+._-]*$`) })
	listenPattern   = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^([^:\[\]]*|\[[^\[\]]*\]):` + port + `$`) })
	// loopbackListen are the places of listen that no other machine reaches.
	loopbackListen = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^` + loopback + `:` + port + `$`) })
	// addressPattern is an address that gives away nothing of what is sent there.
	addressPattern = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^([Hh][Tt][Tt][Pp][Ss]://(\[[^\[\]/?#@]+\]|[^\[\]/?#@: ]+)|[Hh][Tt][Tt][Pp]://` + loopback + `)(:` + port + `?)?(/[^?#]*)?#?$`)
	})
	// credentialsInURL is a password in an address or in user:password@host:path, and what
	// could hold one, behind ? or #.
	credentialsInURL = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^[Hh][Tt][Tt][Pp][Ss]?://[^/?#]*@|://[^/?#@]*:[^/?#@]*@|^[^/@]*:[^/@]*@|://[^#]*\?|://[^#]*#.`)
	})
	// proxyPattern is an address without a user: that has its own place.
	proxyPattern = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^([Hh][Tt][Tt][Pp][Ss]?|[Ss][Oo][Cc][Kk][Ss]5[Hh]?)://(\[[^\[\]/?#@%]+\]|[^\[\]/?#@%: ]+)(:` + port + `)?/?$`)
	})
	proxyNever  = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`@`) })
	pathPattern = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[^/]+(/[^/]+)*$`) })
	pathNever   = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^\.\.$|^\.\.?/|/\.\.?(/|$)`) })
	spanPattern = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^` + yamlpos.Duration + `$`)
	})
)

// versions are rules about versions that hold together, or a range, as a pattern.
const (
	versionPart = `(0|[1-9][0-9]{0,8}|[xX*])`
	versionWord = `(0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)`
	version     = `v?` + versionPart + `(\.` + versionPart + `){0,2}(-` + versionWord + `(\.` + versionWord + `)*)?`
	versionRule = `(!=|>=?|<=?|=[<>]?|~>?|\^)? ?` + version
	versions    = `(` + version + ` - ` + version + `|` + versionRule + `((, ?| )` + versionRule + `)*)`
)

// loopback is this machine, as a pattern.
const loopback = `(localhost|127(\.[0-9]{1,3}){3}|\[::1\])`

// port is the number of a port, as a pattern.
const port = `0*(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[0-9]{1,4})`
