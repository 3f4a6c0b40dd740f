package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/terra-reconcile/terra-reconcile/internal/yamlpos"
)

// Repository is one of several that one daemon follows, and what is its own of a
// configuration.
type Repository struct {
	Repo
	// Environments names those of this repository that the runner handles; empty means all.
	// One that is named here is this repository's, whichever had it before.
	// daemon.yaml: repos.NAME.environments.
	Environments []string
	// Identities open its sealed secrets; nil: those of the configuration do.
	// daemon.yaml: repos.NAME.identities.
	Identities *Identities
	// Preview says who may have a branch of it planned; nil: nobody.
	// daemon.yaml: repos.NAME.preview.
	Preview *Preview
	// NotifyCommit is where its commits get a status; nil posts none.
	// daemon.yaml: repos.NAME.notify_commit.
	NotifyCommit *NotifyCommit
}

// mostRepositories is how many one daemon follows at most.
const mostRepositories = 50

// Each gives the configuration as it is for each repository, by name: with one alone it is c
// itself.
func (c Config) Each() []Config {
	if len(c.Repos) == 0 {
		return []Config{c}
	}
	var out []Config
	for _, r := range c.Repos {
		one := c
		one.Repo, one.Environments, one.Preview, one.NotifyCommit = r.Repo, r.Environments, r.Preview, r.NotifyCommit
		if r.Identities != nil {
			one.Identities = *r.Identities
		}
		out = append(out, one)
	}
	return out
}

// EveryIdentity are all that open secrets of any repository.
func (c Config) EveryIdentity() Identities {
	out := c.Identities
	for _, r := range c.Repos {
		if r.Identities != nil {
			out.Files = slices.Concat(out.Files, r.Identities.Files)
			out.AllowPlugins = slices.Concat(out.AllowPlugins, r.Identities.AllowPlugins)
		}
	}
	return out
}

// Whole gives the configuration as it is for the runner itself, whichever repository c is for.
func (c Config) Whole() Config {
	c.Repo = Repo{}
	return c
}

// Names are those of several repositories; none where there is one alone.
func (c Config) Names() []string {
	var out []string
	for _, r := range c.Repos {
		out = append(out, r.Name)
	}
	return out
}

// Setting is where daemon.yaml is about the repository: repo, or repos.NAME.
func (r Repo) Setting() string {
	if r.Name == "" {
		return "repo"
	}
	return "repos." + r.Name
}

// MayUse tells whether the environments of the repository may use an account: of several
// repositories each lists its own.
func (c Config) MayUse(account string) bool {
	return c.Repo.Name == "" || slices.Contains(c.Repo.Accounts, account)
}

// AccountsOfIt says which accounts the environments of one of several repositories may use, and where
// they name theirs. An environment that names none uses default.
func (c Config) AccountsOfIt() string {
	return fmt.Sprintf("%s.accounts decides: name %s as `account` in its environment.yaml", c.Repo.Setting(), strings.Join(c.Repo.Accounts, " or "))
}

// repositories reads those of a daemon that follows several. What is each one's own has no
// place beside them.
func (r *reader) repositories(o yamlpos.Object, file string, c Config) []Repository {
	all, members := r.named(o, "repos")
	switch {
	case !o.Has("repos"):
		return nil
	case o.Has("repo"):
		r.report(all.At(), "keep one of them", "repos stands beside repo")
	case all.Node != nil && len(members) == 0:
		r.report(all.At(), "name at least one repository, or write `repo`", "repos is empty")
	case len(members) > mostRepositories:
		r.report(all.At(), "", "repos has %d, and at most %d are followed", len(members), mostRepositories)
	}
	for _, field := range []string{"environments", "preview", "notify_commit"} {
		if n := o.Node.Get(field); n != nil {
			r.report(n.Origin, "write it under each repository that has one", "%s is not for all of repos", field)
		}
	}
	var out []Repository
	handled := map[string]string{}
	for _, m := range members {
		if !accountName().MatchString(m.Name) {
			r.report(m.Origin, "use a-z, 0-9, - and _", "%q is not a name here", m.Name)
		}
		one, ok := all.Inner(m.Value, all.Name(m.Name), "repos.*")
		if !ok {
			continue
		}
		repo := r.repoOf(one, file)
		repo.Name, repo.Accounts = m.Name, r.accountsOf(one, c)
		own := Repository{Repo: repo, Environments: r.texts(one, "environments"), Preview: r.preview(one, o, c), NotifyCommit: r.notifyCommit(one, repo)}
		if identities, ok := r.identities(one); ok {
			own.Identities = &identities
		}
		for _, name := range own.Environments {
			if other, taken := handled[name]; taken {
				r.report(one.Get("environments").Origin, "keep it under one of them", "%s names %s, as repos.%s does", one.Name("environments"), yamlpos.Quoted(name), other)
			}
			handled[name] = m.Name
		}
		out = append(out, own)
	}
	slices.SortFunc(out, func(a, b Repository) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// accountsOf are the accounts that a repository may use.
func (r *reader) accountsOf(one yamlpos.Object, c Config) []string {
	names := r.texts(one, "accounts")
	for _, name := range names {
		if _, known := c.Accounts[name]; !known {
			known := slices.Sorted(maps.Keys(c.Accounts))
			r.report(one.Get("accounts").Origin, yamlpos.DidYouMean(name, known), "%s names %s, and accounts does not", one.Name("accounts"), yamlpos.Quoted(name))
		}
	}
	return names
}

// namedFiles are the files that the configuration of a repository names, with what they are.
func (r Repo) namedFiles() [][2]string {
	named := [][2]string{{"ssh key", r.Auth.SSHKeyFile}, {"known hosts", r.Auth.KnownHostsFile}, {"token file", r.Auth.Token.File()}}
	if r.Hook != nil {
		named = append(named, [2]string{"secret file", r.Hook.Secret.File()})
	}
	if r.Verify != nil {
		named = append(named, [2]string{"allowed signers", r.Verify.AllowedSigners}, [2]string{"keyring", r.Verify.Keyring})
	}
	if r.Auth.GitHubApp != nil {
		named = append(named, [2]string{"private key", r.Auth.GitHubApp.KeyFile})
	}
	if r.TLS != nil {
		named = append(named, [2]string{"CA certificates", r.TLS.CAFile})
	}
	if r.Proxy != nil {
		named = append(named, [2]string{"password file", r.Proxy.Password.File()})
	}
	return named
}

// resolve makes its relative paths whole.
func (r *Repo) resolve(at func(*string)) {
	at(&r.Auth.Token.file)
	at(&r.Auth.SSHKeyFile)
	at(&r.Auth.KnownHostsFile)
	if r.Auth.GitHubApp != nil {
		at(&r.Auth.GitHubApp.KeyFile)
	}
	if r.TLS != nil {
		at(&r.TLS.CAFile)
	}
	if r.Proxy != nil {
		at(&r.Proxy.Password.file)
	}
	if r.Hook != nil {
		at(&r.Hook.Secret.file)
	}
	if r.Verify != nil {
		at(&r.Verify.AllowedSigners)
		at(&r.Verify.Keyring)
	}
	if !strings.Contains(r.URL, ":") { // which URLs and git@host:path hold
		at(&r.URL)
	}
}

// checkTokens refuses one token for the previews of two repositories: it says which is meant.
func (c Config) checkTokens() error {
	seen := map[string]string{}
	for _, one := range c.Each() {
		if one.Preview == nil {
			continue
		}
		if err := serves(one.Preview.Token); err != nil {
			return problemAt(one.Preview.At, err)
		}
		key, err := one.Preview.Key()
		if err != nil {
			return problemAt(one.Preview.At, err)
		}
		if other, taken := seen[key]; taken {
			return problemAt(one.Preview.At, fmt.Errorf("the repositories %s and %s have one token of previews; make another one with `openssl rand -hex 32`", other, one.Repo.Name))
		}
		seen[key] = one.Repo.Name
	}
	return nil
}
