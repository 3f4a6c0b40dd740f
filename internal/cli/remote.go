package cli

import (
	"cmp"
	"context"
	"net/http"
	"strings"

	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/internal/gitsource"
)

// wayTo is how a repository is reached. What is wrong with a file is an error at the place of
// daemon.yaml that names it.
func wayTo(repo config.Repo) (w gitsource.Way, err error) {
	if t := repo.TLS; t != nil {
		if _, err := gitsource.Issuers(t.CAFile); err != nil {
			return w, t.Problem(err)
		}
		w.CAFile, w.Settings.CAFile = t.CAFile, repo.Setting()+".tls.ca_file"
	}
	if p := repo.Proxy; p != nil {
		if _, err := p.Address(); err != nil {
			return w, p.Problem(err)
		}
		w.Proxy, w.Settings.Proxy = p.Address, repo.Setting()+".proxy"
	}
	return w, nil
}

// appOf is what gives, over a way, tokens of a GitHub App that may do one thing at one
// project; nil where none signs in.
func appOf(repo config.Repo, way gitsource.Way, project, permission, access string) (*gitsource.App, error) {
	app := repo.Auth.GitHubApp
	if app == nil || !strings.HasPrefix(strings.ToLower(repo.URL), "http") { // a folder, named in place of it
		return nil, nil
	}
	if _, err := gitsource.AppKey(app.KeyFile); err != nil {
		return nil, app.Problem(err)
	}
	block := repo.Setting() + ".auth.github_app."
	return gitsource.NewApp(gitsource.AppOptions{
		ID: app.ID, Installation: app.Installation, KeyFile: app.KeyFile, API: app.URL, Repository: cmp.Or(project, config.AppRepository(repo.URL)), Permission: permission, Access: access, Way: way,
		Settings: gitsource.AppSettings{ID: block + "app_id", Installation: block + "installation_id", KeyFile: block + "private_key_file"},
	})
}

// statusesBy is what commit statuses are signed with, and reached by, where a GitHub App gives
// the token.
func statusesBy(c config.NotifyCommit, transport http.RoundTripper) (token func() (string, error), way http.RoundTripper, err error) {
	if c.Repo == nil {
		return c.Token.Read, transport, nil
	}
	w, err := wayTo(*c.Repo)
	if err != nil {
		return nil, nil, err
	}
	app, err := appOf(*c.Repo, w, c.Project, "statuses", "write")
	return func() (string, error) { return app.Token(context.Background()) }, gitsource.NewTransport(w), err
}
