package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/neighbour"
	"github.com/terra-reconcile/terra-reconcile/internal/yamlpos"
)

// Problem is one thing wrong in daemon.yaml: its place, what it is, and the next step.
type Problem = yamlpos.Problem

// InvalidError lists every problem of one daemon.yaml, in the file's order. No
// message repeats a value that may be a secret.
type InvalidError struct {
	Problems []Problem
}

// Error gives one problem a line.
func (e *InvalidError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Load reads the daemon.yaml at path. Files it names by a relative path are
// relative to its own folder. getenv, usually [os.Getenv], gives the variables
// that token_env names and the defaults of [FromEnvironment]. Everything wrong
// in the file is reported at once, as an [*InvalidError]. What another user of the machine
// could write to, of it and of the files it names, is refused as a [*neighbour.OpenError].
func Load(path string, getenv func(string) string) (Config, error) {
	data, err := read(path)
	if err != nil {
		return Config{}, err
	}
	c, err := Parse(path, data, getenv)
	if err == nil {
		err = c.CheckFiles()
	}
	if err != nil {
		return Config{}, err
	}
	return c, nil
}

// CheckFiles refuses a named file that another user of the machine could change, as an
// [*neighbour.OpenError]. [Load] does so, and a daemon again before it uses what they hold:
// rights change.
func (c Config) CheckFiles() error {
	named := [][2]string{{"certificate", c.TLS.CertFile}, {"private key", c.TLS.KeyFile}}
	tokens := slices.Collect(maps.Values(c.Approvals.People))
	identities := slices.Clone(c.Identities.Files)
	for _, one := range c.Each() {
		named = append(named, one.Repo.namedFiles()...)
		identities = append(identities, one.Identities.Files...)
		if one.NotifyCommit != nil {
			tokens = append(tokens, one.NotifyCommit.Token)
		}
		if one.Preview != nil {
			tokens = append(tokens, one.Preview.Token)
		}
	}
	for _, file := range identities {
		named = append(named, [2]string{"identity file", file})
	}
	for _, account := range c.Accounts {
		tokens = append(tokens, account.Token)
	}
	if c.Notify != nil {
		for _, r := range c.Notify.Receivers {
			tokens = append(tokens, r.Address, r.Secret)
		}
	}
	if c.Web != nil {
		tokens = append(tokens, c.Web.Read, c.Web.Approve)
	}
	for _, token := range tokens {
		named = append(named, [2]string{"token file", token.File()})
	}
	slices.SortFunc(named, func(a, b [2]string) int { return slices.Compare(a[:], b[:]) })
	for _, f := range slices.Compact(named) {
		if f[1] == "" {
			continue
		}
		if err := neighbour.File(f[0], f[1]); err != nil {
			return err
		}
	}
	return nil
}

func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read configuration: %w; name the file with --config", err)
	}
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	defer f.Close()
	if err := neighbour.Opened("configuration", f); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, yamlpos.MaxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return data, nil
}

// Parse is [Load] on data that was read already; path stands in messages and
// its folder is what relative paths start from.
func Parse(path string, data []byte, getenv func(string) string) (Config, error) {
	if err := pasted(getenv); err != nil {
		return Config{}, err
	}
	base, err := baseFrom(getenv)
	if err != nil {
		return Config{}, err
	}
	r := reader{base: base, getenv: getenv}
	root := r.parse(path, data)
	if root == nil {
		return Config{}, r.invalid()
	}
	c := r.config(root)
	if len(r.problems) > 0 {
		return Config{}, r.invalid()
	}
	if err := c.resolve(filepath.Dir(path)); err != nil {
		return Config{}, err
	}
	return c, nil
}

// reader reads one daemon.yaml and collects problems instead of stopping at one.
type reader struct {
	base     string // of accounts that name none
	getenv   func(string) string
	problems []Problem
}

// Report implements yamlpos.Reporter.
func (r *reader) Report(p Problem) { r.problems = append(r.problems, p) }

func (r *reader) report(at yamlpos.Origin, hint, format string, args ...any) {
	r.Report(Problem{Origin: at, Message: fmt.Sprintf(format, args...), Hint: hint})
}

// parse returns the tree, nil where nothing of it can be told.
func (r *reader) parse(path string, data []byte) *yamlpos.Node {
	root, problems := yamlpos.Parse(data, yamlpos.Options{File: path, Exact: true})
	if len(bytes.TrimSpace(data)) == 0 && len(problems) > 0 {
		problems[0].Hint = "it needs at least repo, accounts and apply"
	}
	r.problems = append(r.problems, problems...)
	return root
}

// invalid is the error of what was found, in the file's order.
func (r *reader) invalid() *InvalidError {
	slices.SortStableFunc(r.problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Origin.Line, b.Origin.Line), cmp.Compare(a.Origin.Column, b.Origin.Column))
	})
	return &InvalidError{Problems: r.problems}
}

func (r *reader) config(root *yamlpos.Node) Config {
	c := defaults(r.getenv)
	file := filepath.Base(root.Origin.File)
	o, ok := yamlpos.Open(r, root, yamlpos.Schema{Fields: fields()})
	if !ok {
		return c
	}
	o.Require()
	c.Repo = r.repo(o, file)
	c.Accounts = r.accounts(o)
	c.Apply = o.Boolean("apply").Value
	c.CycleDeadline = r.duration(o, "cycle_deadline", c.CycleDeadline)
	c.ScheduleSpread = r.duration(o, "schedule_spread", c.ScheduleSpread)
	c.UnreadyAfter = r.duration(o, "unready_after", c.UnreadyAfter)
	if listen := r.text(o, "listen", checkListen); listen != "" {
		c.Listen, c.ListenAt = listen, o.Get("listen").Origin
	}
	c.TLS = r.tls(o)
	c.Preview = r.preview(o, o, c)
	c.StateDir = cmp.Or(r.text(o, "state_dir"), c.StateDir)
	c.Environments = r.texts(o, "environments")
	if identities, ok := r.identities(o); ok {
		c.Identities = identities
	}
	c.Approvals = r.approvals(o)
	c.Web = r.web(o, c)
	c.Probes = r.probes(o)
	c.Notify = r.notify(o)
	c.NotifyCommit = r.notifyCommit(o, c.Repo)
	if c.Repos = r.repositories(o, file, c); c.Repos != nil {
		c.Repo, c.Environments, c.Preview, c.NotifyCommit = Repo{}, nil, nil, nil
	}
	log, _ := o.Object("log")
	c.Log.Format = log.Word("format").Or(c.Log.Format)
	c.Log.Level = log.Word("level").Or(c.Log.Level)
	return c
}

func (r *reader) repo(o yamlpos.Object, file string) Repo {
	if !o.Has("repo") && !o.Has("repos") {
		r.report(o.At(), "", "repo is missing in this file")
	}
	repo, ok := o.Object("repo")
	if !ok {
		return Repo{}
	}
	return r.repoOf(repo, file)
}

// identities reads the block of that name, where there is one.
func (r *reader) identities(o yamlpos.Object) (Identities, bool) {
	identities, ok := o.Object("identities")
	if !ok {
		return Identities{}, false
	}
	return Identities{Files: r.texts(identities, "files"), AllowPlugins: r.texts(identities, "allow_plugins")}, true
}

// repoOf reads what is the same of an only repository and of each of several.
func (r *reader) repoOf(repo yamlpos.Object, file string) Repo {
	repo.Require()
	out := Repo{
		URL:  r.text(repo, "url", func(text string) error { return checkRepoURL(text, repo.Path) }),
		Path: r.text(repo, "path", checkRepoPath),
		Poll: r.duration(repo, "poll", DefaultPoll),
		Auth: RepoAuth{Settings: AuthSettings{
			Token: repo.Path + ".auth.token_file or token_env in " + file, SSHKeyFile: repo.Path + ".auth.ssh_key_file",
			KnownHostsFile: repo.Path + ".auth.known_hosts_file in " + file,
		}},
	}
	if n := repo.Get("ref"); n == nil || n.Kind != yamlpos.Mapping {
		out.Ref = r.text(repo, "ref")
	} else if ref, ok := repo.Object("ref"); ok {
		ref.Require()
		out.Versions = r.text(ref, "semver", checkVersions)
	}
	if auth, ok := repo.Object("auth"); ok {
		out.Auth.Username = r.text(auth, "username")
		out.Auth.Token = r.secret(auth)
		out.Auth.SSHKeyFile = r.text(auth, "ssh_key_file")
		out.Auth.KnownHostsFile = r.text(auth, "known_hosts_file")
		if auth.Has("ssh_key_file") != auth.Has("known_hosts_file") {
			r.report(auth.At(), "", "%s needs ssh_key_file and known_hosts_file together", auth.Path)
		}
		out.Auth.GitHubApp = r.githubApp(auth, repo, out.URL)
		if out.Auth.GitHubApp != nil {
			out.Auth.Settings.Token = repo.Path + ".auth.github_app in " + file
		}
	}
	if remote, ok := repo.Object("tls"); ok {
		remote.Require()
		out.TLS = &RemoteTLS{CAFile: r.text(remote, "ca_file"), At: remote.At()}
		r.overHTTPS(remote, out.URL)
	}
	out.Proxy = r.proxy(repo, out.URL)
	if hook, ok := repo.Object("hook"); ok {
		hook.Require()
		out.Hook = &Hook{Forge: hook.Word("forge").Value, Secret: r.secretOf(hook, "secret"), At: hook.At()}
		if !hook.Has("secret_file") && !hook.Has("secret_env") {
			r.report(hook.At(), "set secret_file or secret_env", "%s has no secret", hook.Path)
		}
	}
	if verify, ok := repo.Object("verify"); ok {
		verify.Require()
		out.Verify = &Verify{Every: verify.Word("mode").Value == "every", AllowedSigners: r.text(verify, "allowed_signers"), Keyring: r.text(verify, "gpg_keyring"), At: verify.At()}
		if !verify.Has("allowed_signers") && !verify.Has("gpg_keyring") {
			r.report(verify.At(), "set allowed_signers, gpg_keyring or both", "%s does not say who may sign", verify.Path)
		}
	}
	return out
}

// githubApp reads which app signs in, in place of all else.
func (r *reader) githubApp(auth, repo yamlpos.Object, repository string) *GitHubApp {
	one, ok := auth.Object("github_app")
	if !ok {
		return nil
	}
	one.Require()
	app := &GitHubApp{
		ID: int64(r.number(one, "app_id", "the page of the app shows it", 0)), Installation: int64(r.number(one, "installation_id", "the address of the installation's page ends in it", 0)),
		KeyFile: r.text(one, "private_key_file"), URL: strings.TrimRight(r.text(one, "url", func(text string) error { _, err := CheckForge(text); return err }), "/"), At: one.At(),
	}
	for _, other := range []string{"token_file", "token_env", "username", "ssh_key_file", "known_hosts_file"} {
		if auth.Has(other) {
			r.report(one.At(), "keep one", "%s stands beside %s, and signs in by itself", one.Path, other)
		}
	}
	if !r.overHTTPS(one, repository) {
		return app
	}
	u, err := url.Parse(repository)
	switch {
	case err != nil: // which was reported
	case AppRepository(repository) == "":
		r.report(repo.Get("url").Origin, "write it as in https://github.com/acme/terra-config", "%s needs the repository as OWNER/NAME", one.Path)
	case app.URL == "" && !one.Has("url") && !strings.EqualFold(u.Hostname(), "github.com"):
		r.report(one.At(), "write the address of your API, as in https://github.acme.example/api/v3", "%s.url is missing", one.Path)
	}
	app.URL = cmp.Or(app.URL, DefaultGitHub)
	return app
}

// proxy reads what the repository is reached through.
func (r *reader) proxy(repo yamlpos.Object, repository string) *Proxy {
	n := repo.Get("proxy")
	if n == nil {
		return nil
	}
	if n.Kind != yamlpos.Mapping {
		p := &Proxy{URL: r.text(repo, "proxy", checkProxy), At: n.Origin}
		r.needsHTTPS(n.Origin, repo.Name("proxy"), repository)
		return p
	}
	one, ok := repo.Object("proxy")
	if !ok {
		return nil
	}
	one.Require()
	p := &Proxy{URL: r.text(one, "url", checkProxy), Username: r.text(one, "username"), Password: r.secretOf(one, "password"), At: one.At()}
	if one.Has("username") != (one.Has("password_file") || one.Has("password_env")) {
		r.report(one.At(), "", "%s needs username and password_file or password_env together", one.Path)
	}
	r.overHTTPS(one, repository)
	return p
}

// overHTTPS wants a repository to be reached over http or https by what a block is about.
func (r *reader) overHTTPS(o yamlpos.Object, repository string) bool {
	return r.needsHTTPS(o.At(), o.Path, repository)
}

func (r *reader) needsHTTPS(at yamlpos.Origin, path, repository string) bool {
	scheme, _, found := strings.Cut(strings.ToLower(repository), "://")
	switch {
	case repository == "" || found && (scheme == "https" || scheme == "http"):
		return repository != ""
	case found && scheme == "file" || !strings.Contains(repository, ":"):
		r.report(at, "take it out", "%s is for https, and repo.url is a folder", path)
	default:
		r.report(at, "write the https:// URL of the repository, or take this out", "%s is for https, and repo.url is ssh", path)
	}
	return false
}

// named are the members of a mapping whose names are the runner's own.
func (r *reader) named(o yamlpos.Object, field string) (yamlpos.Object, []yamlpos.Member) {
	all, ok := o.Object(field)
	if !ok {
		return all, nil
	}
	return all, all.Node.Members
}

func (r *reader) accounts(o yamlpos.Object) map[string]Account {
	accounts := map[string]Account{}
	all, members := r.named(o, "accounts")
	if all.Node != nil && len(members) == 0 {
		r.report(all.At(), "name at least one account", "accounts is empty")
	}
	for _, m := range members {
		if !accountName().MatchString(m.Name) {
			r.report(m.Origin, "use a-z, 0-9, - and _", "%q is not an account name", m.Name)
		}
		one, ok := all.Inner(m.Value, all.Name(m.Name), "accounts.*")
		if !ok {
			continue
		}
		a := Account{
			Token:         r.secret(one),
			BaseURL:       r.base,
			DevIDs:        r.texts(one, "dev_ids"),
			RedirectHosts: r.texts(one, "redirect_hosts"),
		}
		given := r.text(one, "base_url", func(text string) error { _, err := checkBaseURL(text); return err })
		a.BaseURL = cmp.Or(strings.TrimRight(given, "/"), r.base)
		if !a.Token.IsSet() && !one.Has("token_file") && !one.Has("token_env") {
			r.report(one.At(), "set token_file or token_env", "%s has no token", one.Path)
		}
		one.Require()
		if slices.Contains(a.DevIDs, AnyDevID) && len(a.DevIDs) > 1 {
			r.report(one.At(), "keep one or the other", "%s.dev_ids names \"*\" beside others", one.Path)
		}
		accounts[m.Name] = a
	}
	return accounts
}

func (r *reader) approvals(o yamlpos.Object) Approvals {
	out := Approvals{}
	rule, ok := o.Object("approvals")
	if !ok {
		return out
	}
	out.Required = r.number(rule, "required", "2 is what people call four eyes", 0)
	out.For = r.texts(rule, "for")
	if len(out.For) == 0 && out.Required > 1 {
		r.report(rule.At(), "write `for: [destructive]`, or more of safe, disruptive and destructive", "approvals.for is missing")
	}
	if out.Required > 1 {
		out.Digits = strictDigits
	}
	out.Digits = r.number(rule, "digits", "32 is out of reach for whoever writes both plans", out.Digits)
	all, members := r.named(rule, "people")
	for _, m := range members {
		if !accountName().MatchString(m.Name) {
			r.report(m.Origin, "use a-z, 0-9, - and _", "%q is not a name here", m.Name)
		}
		one, ok := all.Inner(m.Value, all.Name(m.Name), "approvals.people.*")
		if !ok {
			continue
		}
		if out.People == nil {
			out.People = map[string]Secret{}
		}
		out.People[m.Name] = r.secret(one)
		if !one.Has("token_file") && !one.Has("token_env") {
			r.report(one.At(), "set token_file or token_env", "%s has no token", one.Path)
		}
	}
	if n := len(out.People); n > 0 && n < out.Required {
		r.report(rule.At(), "list more, or require fewer", "approvals.people has %d, and %d are required", n, out.Required)
	}
	return out
}

func (r *reader) tls(o yamlpos.Object) TLS {
	files, ok := o.Object("tls")
	if !ok {
		return TLS{}
	}
	files.Require()
	return TLS{CertFile: r.text(files, "cert_file"), KeyFile: r.text(files, "key_file"), At: files.At()}
}

// preview reads who may have a branch planned. What they get is for nobody in between.
func (r *reader) preview(o, root yamlpos.Object, c Config) *Preview {
	rule, ok := o.Object("preview")
	if !ok {
		return nil
	}
	p := &Preview{Token: r.secret(rule), Forks: rule.Boolean("forks").Value, At: rule.At()}
	if !rule.Has("token_file") && !rule.Has("token_env") {
		r.report(rule.At(), "set token_file or token_env", "%s has no token", rule.Path)
	}
	if !root.Has("tls") && !c.ListensHere() {
		r.report(rule.At(), "set tls, or listen on 127.0.0.1", "preview needs tls, because other machines reach listen")
	}
	return p
}

// web reads who may read the page and approve there.
func (r *reader) web(o yamlpos.Object, c Config) *Web {
	rule, ok := o.Object("web")
	if !ok {
		return nil
	}
	w := &Web{At: rule.At()}
	token := func(name string) (Secret, yamlpos.Origin) {
		one, ok := rule.Object(name)
		if !ok {
			return Secret{}, yamlpos.Origin{}
		}
		if !one.Has("token_file") && !one.Has("token_env") {
			r.report(one.At(), "set token_file or token_env", "%s has no token", one.Path)
		}
		return r.secret(one), one.At()
	}
	w.Read, w.ReadAt = token("read")
	w.Approve, w.ApproveAt = token("approve")
	switch {
	case c.ListensHere():
	case !o.Has("tls"):
		r.report(rule.At(), "set tls, or listen on 127.0.0.1", "web needs tls, because other machines reach listen")
	case !rule.Has("read"):
		r.report(rule.At(), "set web.read, or listen on 127.0.0.1", "web.read is missing, because other machines reach listen")
	}
	switch {
	case !rule.Has("approve"):
	case len(c.Approvals.People) > 0:
		r.report(w.ApproveAt, "take web.approve out; they approve on the page by their own tokens", "approvals.people says who approves")
	case c.Approvals.Required > 1:
		r.report(w.ApproveAt, "give each person a token under approvals.people", "web.approve is one token, and %d people must approve", c.Approvals.Required)
	}
	return w
}

func (r *reader) probes(o yamlpos.Object) map[string]string {
	all, members := r.named(o, "probes")
	if all.Node == nil {
		return nil
	}
	probes := map[string]string{}
	for _, m := range members {
		if !providerName().MatchString(m.Name) {
			r.report(m.Origin, "write it as the catalogue does", "%q is not the name of a provider", m.Name)
		}
		probes[m.Name] = r.text(all, m.Name, checkProbeURL)
	}
	return probes
}

func (r *reader) notifyCommit(o yamlpos.Object, repo Repo) *NotifyCommit {
	one, ok := o.Object("notify_commit")
	if !ok {
		return nil
	}
	one.Require()
	forge := ForgeAPI(one.Word("forge").Value)
	n := &NotifyCommit{
		Forge:   forge,
		URL:     r.text(one, "url", func(text string) error { _, err := CheckForge(text); return err }),
		Project: r.text(one, "project", func(text string) error { return CheckProject(forge, text) }),
		Token:   r.secret(one),
		Context: cmp.Or(r.text(one, "context"), DefaultStatusContext),
	}
	if !one.Has("token_file") && !one.Has("token_env") {
		switch app := repo.Auth.GitHubApp; {
		case app == nil || forge != "github" && forge != "":
			r.report(one.At(), "set token_file or token_env", "%s has no token", one.Path)
		case one.Has("url") && n.URL != "" && strings.TrimRight(n.URL, "/") != app.URL || !sameOwner(AppRepository(repo.URL), n.Project):
			r.report(one.At(), "set token_file or token_env", "%s has no token, and the app of %s.auth.github_app signs in elsewhere", one.Path, repo.Setting())
		default:
			n.Repo, n.URL = &repo, app.URL
		}
	}
	if n.URL = cmp.Or(strings.TrimRight(n.URL, "/"), DefaultForge(forge)); n.URL == "" && forge != "" && !one.Has("url") {
		r.report(one.At(), "write the address of yours, as in https://git.acme.example", "%s.url is missing", one.Path)
	}
	return n
}

// sameOwner tells whether two projects, where they are known, belong to one owner.
func sameOwner(a, b string) bool {
	ownerA, _, _ := strings.Cut(a, "/")
	ownerB, _, _ := strings.Cut(b, "/")
	return a == "" || b == "" || strings.EqualFold(ownerA, ownerB)
}

// secret reads the pair of fields that say where a token is kept.
func (r *reader) secret(o yamlpos.Object) Secret { return r.secretOf(o, "token") }

// secretOf does so for a secret of another name.
func (r *reader) secretOf(o yamlpos.Object, of string) Secret {
	if o.Has(of+"_file") && o.Has(of+"_env") {
		r.report(o.At(), "keep one", "%s has %s_file and %s_env", o.Path, of, of)
	}
	if file := r.text(o, of+"_file"); file != "" {
		return FileSecret(file)
	}
	name := r.text(o, of+"_env")
	if name == "" {
		return Secret{}
	}
	return EnvSecret(name, r.getenv)
}

// text reads a text that is as declared and passes all checks, "" for none. A number is no text, and the
// value is not quoted in problems, except by checks that know it to be harmless.
func (r *reader) text(o yamlpos.Object, field string, checks ...func(string) error) string {
	if n := o.Get(field); n == nil || !r.isText(n, o.Name(field)) {
		return ""
	}
	f := o.Text(field)
	if !f.Given() || !r.passes(f, o, field, checks) {
		return ""
	}
	return f.Value
}

func (r *reader) isText(n *yamlpos.Node, name string) bool {
	if n.Kind == yamlpos.Scalar && !n.Bad && !n.Null && n.Raw.ShortTag() != "!!str" {
		r.report(n.Origin, "put it in quotes if it is", "%s must be a text", name)
		return false
	}
	return true
}

// mostListed is how many words a message lists where the nearest one says enough.
const mostListed = 8

func (r *reader) passes(f yamlpos.Field[string], o yamlpos.Object, field string, checks []func(string) error) bool {
	name, d := o.Name(field), o.Declared(field)
	switch {
	case d.Says != "" && !d.Pattern().MatchString(f.Value), d.Chars > 0 && len(f.Value) > d.Chars:
		r.report(f.Origin, "", "%s is not %s", name, d.Says)
		return false
	case len(d.Words) > mostListed && !slices.Contains(d.Words, f.Value) && yamlpos.DidYouMean(f.Value, d.Words) != "":
		r.report(f.Origin, yamlpos.DidYouMean(f.Value, d.Words), "%s does not know %s", name, yamlpos.Quoted(f.Value))
		return false
	case d.Words != nil && !slices.Contains(d.Words, f.Value):
		last := len(d.Words) - 1
		r.report(f.Origin, "", "%s must be %s or %s", name, strings.Join(d.Words[:last], ", "), d.Words[last])
		return false
	}
	for _, check := range checks {
		if err := check(f.Value); err != nil {
			r.report(f.Origin, "", "%s %v", name, err)
			return false
		}
	}
	return true
}

// texts reads a list of texts, nil for none.
func (r *reader) texts(o yamlpos.Object, field string) []string {
	n, d := o.Get(field), o.Declared(field)
	if n == nil {
		return nil
	}
	if n.Kind == yamlpos.List && len(n.Items) == 0 && d.Least > 0 {
		ask := cmp.Or(d.Ask, "name at least one")
		if !d.Required {
			ask += ", or take the line out for " + d.Omitted
		}
		r.report(n.Origin, ask, "%s is empty", o.Name(field))
	}
	for _, item := range n.Items {
		if !r.isText(item, "an entry of "+o.Name(field)) {
			return nil
		}
	}
	var values []string
	for _, f := range o.Texts(field).Value {
		if r.passes(f, o, field, nil) {
			values = append(values, f.Value)
		}
	}
	return values
}

// number reads a whole number within the declared bounds; otherwise stands where none is
// written.
func (r *reader) number(o yamlpos.Object, field, hint string, otherwise int) int {
	n, d := o.Scalar(field, "a number"), o.Declared(field)
	if n == nil {
		return otherwise
	}
	value, err := strconv.Atoi(n.Text)
	if !n.Plain || err != nil || value < d.Low || value > d.High {
		r.report(n.Origin, hint, "%s must be a number from %d to %d", o.Name(field), d.Low, d.High)
	}
	return value
}

// duration reads a time span within the declared bounds; otherwise stands where none is
// written.
func (r *reader) duration(o yamlpos.Object, field string, otherwise time.Duration) time.Duration {
	least, most := o.Declared(field).Shortest, o.Declared(field).Longest
	n := o.Scalar(field, "a time span")
	if n == nil {
		return otherwise
	}
	value, err := time.ParseDuration(n.Text)
	switch {
	case err != nil, !strings.ContainsAny(n.Text, "smh"): // Go takes a 0 without a unit
		r.report(n.Origin, "write it like `30s`, `15m` or `2h`", "%s must be a time span", o.Name(field))
	case value < least:
		r.report(n.Origin, "", "%s must be at least %s", o.Name(field), least)
	case value > most && most < time.Hour:
		r.report(n.Origin, "", "%s must be at most %s", o.Name(field), most)
	case value > most:
		r.report(n.Origin, "", "%s must be at most %.0fh", o.Name(field), most.Hours())
	}
	return value
}

// resolve makes the relative paths of the file absolute, starting from its folder.
func (c *Config) resolve(dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("find the folder of the configuration: %w", err)
	}
	var home error
	at := func(path *string) {
		if strings.HasPrefix(*path, "~") {
			home = fmt.Errorf("read configuration: %s begins with ~, which only a shell understands; write the whole path", *path)
		}
		if *path != "" && !filepath.IsAbs(*path) {
			*path = filepath.Join(dir, *path)
		}
	}
	for name, account := range c.Accounts {
		at(&account.Token.file)
		c.Accounts[name] = account
	}
	for name, token := range c.Approvals.People {
		at(&token.file)
		c.Approvals.People[name] = token
	}
	if c.Web != nil {
		at(&c.Web.Read.file)
		at(&c.Web.Approve.file)
	}
	if c.Notify != nil {
		for i := range c.Notify.Receivers {
			at(&c.Notify.Receivers[i].Address.file)
			at(&c.Notify.Receivers[i].Secret.file)
		}
	}
	at(&c.TLS.CertFile)
	at(&c.TLS.KeyFile)
	at(&c.StateDir)
	for i := range c.Identities.Files {
		at(&c.Identities.Files[i])
	}
	c.Repo.resolve(at)
	for i := range c.Repos {
		c.Repos[i].resolve(at)
		if own := c.Repos[i].Identities; own != nil {
			for j := range own.Files {
				at(&own.Files[j])
			}
		}
	}
	for _, one := range c.Each() {
		if one.Preview != nil {
			at(&one.Preview.Token.file)
		}
		if one.NotifyCommit != nil {
			at(&one.NotifyCommit.Token.file)
		}
	}
	return home
}
