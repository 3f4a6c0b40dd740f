package cli

import (
	"bytes"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
	"github.com/terra-reconcile/terra-reconcile/internal/gitsource"
	"github.com/terra-reconcile/terra-reconcile/internal/metrics"
	"github.com/terra-reconcile/terra-reconcile/internal/notify"
	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
	"github.com/terra-reconcile/terra-reconcile/secrets"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

// TestWhoseAnEnvironmentIs: of the repository that named it first, under whatever name that is
// known by now, until the runner's configuration hands it over.
func TestWhoseAnEnvironmentIs(t *testing.T) {
	t.Parallel()
	named := func(name, url string, environments ...string) config.Repository {
		return config.Repository{Repo: config.Repo{Name: name, URL: url}, Environments: environments}
	}
	acme, beta := named("acme", "/srv/acme"), named("beta", "/srv/beta")
	owned := func(name, url string) state.Owner {
		return state.Owner{Repository: name, Address: url, Environment: "production"}
	}
	for what, c := range map[string]struct {
		repos []config.Repository // the first one asks; none: there is one alone, at /srv/acme
		owner state.Owner         // of production and of the dev_id p-1; zero: nobody
		name  bool                // it may have the name
		devID bool                // an environment production of it may have the dev_id
		other bool                // one of another name may
	}{
		"nobody has it":                 {[]config.Repository{acme, beta}, state.Owner{}, true, true, true},
		"its own":                       {[]config.Repository{acme, beta}, owned("acme", "/srv/acme"), true, true, true},
		"its own, moved":                {[]config.Repository{acme, beta}, owned("acme", "/old/acme"), true, true, true},
		"another's":                     {[]config.Repository{acme, beta}, owned("beta", "/srv/beta"), false, false, false},
		"another's at the same place":   {[]config.Repository{acme, named("beta", "/srv/acme")}, owned("beta", "/srv/acme"), false, false, false},
		"of one that is followed not":   {[]config.Repository{acme}, owned("beta", "/srv/beta"), false, false, false},
		"renamed":                       {[]config.Repository{acme}, owned("former", "/srv/acme"), true, true, true},
		"followed alone before":         {[]config.Repository{acme, beta}, owned("", "/srv/acme"), true, true, true},
		"another followed alone":        {[]config.Repository{acme, beta}, owned("", "/srv/beta"), false, false, false},
		"handed over":                   {[]config.Repository{named("acme", "/srv/acme", "production"), beta}, owned("beta", "/srv/beta"), true, true, false},
		"handed to another":             {[]config.Repository{acme, named("beta", "/srv/beta", "production")}, owned("acme", "/srv/acme"), false, true, true},
		"given to another, nobody's":    {[]config.Repository{acme, named("beta", "/srv/beta", "production")}, state.Owner{}, false, true, true},
		"alone, its own":                {nil, owned("", "/old"), true, true, true},
		"alone, of several before":      {nil, owned("acme", "/srv/acme"), true, true, true},
		"alone, another's of several":   {nil, owned("beta", "/srv/beta"), false, false, false},
		"alone, a state of before this": {nil, state.Owner{}, true, true, true},
	} {
		o := ownership{config: config.Config{Repo: config.Repo{URL: "/srv/acme"}}}
		if len(c.repos) > 0 {
			o.config = config.Config{Repos: c.repos}.Each()[0]
		}
		if c.owner != (state.Owner{}) {
			byName := c.owner
			byName.Environment = ""
			o.owners = state.Owners{ByName: map[string]state.Owner{"production": byName}, ByDevID: map[string]state.Owner{"p-1": c.owner}}
		}
		name, devID, other := o.foreign("production") == "", o.foreignDevID("production", "P-1") == "", o.foreignDevID("other", "p-1") == ""
		if name != c.name || devID != c.devID || other != c.other {
			t.Errorf("%s: name %t, dev_id %t, for another name %t", what, name, devID, other)
		}
		if has := o.has(state.Revision{DevID: "p-1", Environment: "production"}); has != (c.name && c.devID && (c.owner != (state.Owner{}) || len(c.repos) == 0)) {
			t.Errorf("%s: it has the revision: %t", what, has)
		}
		chosen := o
		chosen.config.Environments = []string{"production"} // by a flag, for one run
		if len(c.repos) > 0 && chosen.foreign("production") != o.foreign("production") {
			t.Errorf("%s: choosing it hands it over", what)
		}
	}
}

// TestRepositoriesFor: of several that daemon.yaml has the one that has what a command is about,
// also where it is named by its dev_id or with a connection, else each.
func TestRepositoriesFor(t *testing.T) {
	t.Parallel()
	r := newTwoRepositories(t)
	r.commits("acme", map[string]string{"production": "p-1", "eu/west": "p-2"})
	r.commits("beta", map[string]string{"staging": "s-1"})
	text := "repos:\n  beta: {url: ./beta, accounts: [beta]}\n  acme: {url: ./acme, accounts: [acme]}\n" +
		"accounts: {acme: {token_env: T, dev_ids: [p-1, p-2]}, beta: {token_env: T, dev_ids: [\"*\"]}}\napply: true\nstate_dir: state\n"
	for _, s := range r.followFile(text) {
		r.polled(s)
	}
	if err := r.store.Close(); err != nil {
		t.Fatal(err)
	}
	several, alone := filepath.Join(r.dir, "daemon.yaml"), filepath.Join(r.dir, "alone.yaml")
	for file, text := range map[string]string{several: text, alone: "repo: {url: ./acme}\naccounts: {acme: {token_env: T, dev_ids: [p-1]}}\n"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ file, target, want string }{
		{several, "production", "acme"}, {several, "production/strava", "acme"}, {several, "P-1", "acme"}, {several, "p-1/strava", "acme"},
		{several, "eu/west", "acme"}, {several, "eu/west/oura", "acme"}, {several, "staging/oura", "beta"},
		{several, "", "acme beta"}, {several, "nowhere", "acme beta"},
		{alone, "production", ""}, {"", "production", ""}, {filepath.Join(r.dir, "none.yaml"), "production", ""},
	} {
		got := repositoriesFor(t.Context(), r.proc, c.file, filepath.Join(r.dir, "state"), c.target)
		if strings.Join(got, " ") != c.want || len(got) == 0 {
			t.Errorf("%s of %s: got %q, want %q", c.target, filepath.Base(c.file), got, c.want)
		}
	}
	adds := keyFlags{config: several, state: filepath.Join(r.dir, "state")}
	runner := r.parsed(text)
	if got := adds.repository(t.Context(), r.proc, runner, spec.Environment{Name: "new", Account: "beta"}); got != "beta" {
		t.Errorf("an environment that no run knows yet, of the account of beta: got %q", got)
	}
	runner.Repos[0].Repo.Accounts = []string{"acme", "beta"}
	if got := adds.repository(t.Context(), r.proc, runner, spec.Environment{Name: "new", Account: "beta"}); got != "" {
		t.Errorf("an environment that either could have: got %q", got)
	}
}

// twoRepositories are the sources of a daemon that follows two, each a folder with git.
type twoRepositories struct {
	t     *testing.T
	dir   string
	proc  *Process
	store *state.Store
}

func newTwoRepositories(t *testing.T) *twoRepositories {
	t.Helper()
	r := &twoRepositories{t: t, dir: t.TempDir(), proc: &Process{Stderr: io.Discard, Getenv: func(string) string { return "" }, Now: time.Now, Version: "test"}}
	r.open()
	return r
}

// open opens the state, as a start does.
func (r *twoRepositories) open() {
	r.t.Helper()
	store, err := state.Open(filepath.Join(r.dir, "state"), state.Options{})
	if err != nil {
		r.t.Fatal(err)
	}
	r.store = store
	r.t.Cleanup(func() { _ = store.Close() })
}

// commits writes environments, by name their dev_id, as the whole of a repository.
func (r *twoRepositories) commits(name string, environments map[string]string) {
	r.t.Helper()
	dir := filepath.Join(r.dir, name)
	old, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		r.t.Fatal(err)
	}
	for _, file := range old {
		if filepath.Base(file) == ".git" {
			continue
		}
		if err := os.RemoveAll(file); err != nil {
			r.t.Fatal(err)
		}
	}
	files := map[string]string{"terra.yaml": "version: 1\nsecrets: {binding: require}\n"}
	for environment, devID := range environments {
		files[environment+"/environment.yaml"] = "dev_id: " + devID + "\naccount: " + name + "\nprune: never\n"
	}
	for file, text := range files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, file)), 0o700); err != nil {
			r.t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			r.t.Fatal(err)
		}
	}
	if _, err := commitAll(dir, "Another commit", time.Now()); err != nil {
		r.t.Fatal(err)
	}
}

// follow opens the repositories of a daemon.yaml, in which own is what beta has beside the rest, and
// listed are the dev_ids of the account of acme; beta's may touch all others.
func (r *twoRepositories) follow(own, listed string) map[string]*commitSource {
	r.t.Helper()
	text := "repos:\n"
	for _, name := range []string{"beta", "acme"} {
		text += "  " + name + ": {url: ./" + name + ", accounts: [" + name + "]" + own + "}\n"
		own = ""
	}
	text += "accounts: {acme: {token_env: T, dev_ids: [" + listed + "]}, beta: {token_env: T, dev_ids: [\"*\"]}}\napply: true\nstate_dir: state\n"
	return r.followFile(text)
}

func (r *twoRepositories) parsed(text string) config.Config {
	r.t.Helper()
	c, err := config.Parse(filepath.Join(r.dir, "daemon.yaml"), []byte(text), r.proc.Getenv)
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

func (r *twoRepositories) followFile(text string) map[string]*commitSource {
	r.t.Helper()
	c := r.parsed(text)
	common := &commitSource{proc: r.proc, mode: report.Apply, store: r.store, log: slog.New(slog.DiscardHandler)}
	out := map[string]*commitSource{}
	for _, one := range c.Each() {
		git, err := openSource(one.Repo, 0, &secrets.Heard{})
		if err != nil {
			r.t.Fatal(err)
		}
		out[one.Repo.Name] = &commitSource{proc: common.proc, config: one, mode: common.mode, store: common.store, log: common.log, git: git,
			metrics: metrics.New(metrics.Options{}), statuses: func(...notify.Status) {}, revisions: map[string]revision{}}
	}
	return out
}

// polled are the environments that a poll gives, with their dev_ids, and those that it refuses.
func (r *twoRepositories) polled(s *commitSource) string {
	r.t.Helper()
	all, err := s.Poll(r.t.Context())
	var out []string
	for _, e := range all {
		text := e.Name + "=" + e.DevID
		if e.Behind != "" {
			text += " behind"
		}
		if e.Revision == "" {
			text += " without a commit"
		}
		out = append(out, text)
	}
	for _, e := range s.refusedForeign() {
		out = append(out, "not "+e.Name)
	}
	if err != nil {
		out = append(out, "error")
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

// TestTwoRepositoriesAndTheirEnvironments goes through what committers of one can do about the
// environments of the other, and what a person at the runner can: with real git and state.
func TestTwoRepositoriesAndTheirEnvironments(t *testing.T) {
	t.Parallel()
	r := newTwoRepositories(t)
	wants := func(what string, s *commitSource, want string) {
		t.Helper()
		if got := r.polled(s); got != want {
			t.Errorf("%s: %s: got %s, want %s", what, s.config.Repo.Name, got, want)
		}
	}
	r.commits("acme", map[string]string{"production": "p-1", "live": "p-2"})
	r.commits("beta", map[string]string{"production": "p-3", "staging": "p-4", "greedy": "P-2"})
	all := r.follow("", "p-1, p-2")
	wants("first come", all["acme"], "live=p-2, production=p-1")
	wants("first come", all["beta"], "greedy=P-2 behind without a commit, not production, staging=p-4")

	r.commits("beta", map[string]string{"production": "p-3", "staging": "p-1"})
	wants("a dev_id", all["beta"], "not production, staging=p-4 behind")
	r.commits("acme", map[string]string{"live": "p-2"})
	wants("dropped", all["acme"], "live=p-2")
	r.commits("beta", map[string]string{"production": "p-1", "staging": "p-4"})
	wants("dropped by the first", all["beta"], "not production, staging=p-4")

	// A start while the first cannot be read.
	r.commits("acme", map[string]string{"production": "p-1", "live": "p-2"})
	wants("back", all["acme"], "live=p-2, production=p-1")
	if err := r.store.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(r.dir, "acme"), filepath.Join(r.dir, "away")); err != nil {
		t.Fatal(err)
	}
	r.open()
	all = r.follow("", "p-1, p-2")
	wants("the first is down", all["acme"], "error")
	wants("the first is down", all["beta"], "not production, staging=p-4")
	if err := os.Rename(filepath.Join(r.dir, "away"), filepath.Join(r.dir, "acme")); err != nil {
		t.Fatal(err)
	}
	r.commits("acme", map[string]string{"production": "p-1\ncolour: red", "live": "p-2"})
	wants("on its last valid commit", all["acme"], "live=p-2, production=p-1 behind")

	// What the runner hands over, the first has no more; the dev_id of another it takes not with it.
	r.commits("beta", map[string]string{"production": "p-1", "staging": "p-2"})
	all = r.follow(", environments: [production, staging]", "p-2")
	wants("handed over", all["acme"], "live=p-2, not production")
	wants("handed over", all["beta"], "production=p-1, staging=p-4 behind")
	all = r.follow("", "p-2")
	wants("after that", all["acme"], "live=p-2, not production")
	wants("after that", all["beta"], "production=p-1, staging=p-4 behind")

	// One alone has what was its own.
	alone := r.followFile("repo: {url: ./acme}\naccounts: {acme: {token_env: T, dev_ids: [p-1, p-2]}}\napply: true\nstate_dir: state\n")[""]
	wants("alone", alone, "live=p-2, not production")
	revisions, err := r.store.Revisions()
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, one := range revisions {
		left = append(left, one.Environment)
	}
	if slices.Sort(left); !slices.Equal(left, []string{"live", "production", "staging"}) {
		t.Errorf("what the other follows is remembered no more: %v", left)
	}
}

// TestAccountsOfARepository: at the last door before Terra, too.
func TestAccountsOfARepository(t *testing.T) {
	t.Parallel()
	r := newTwoRepositories(t)
	r.commits("acme", map[string]string{"production": "p-1"})
	r.commits("beta", map[string]string{"other": "p-9"})
	s := r.follow("", "p-1, p-2")["beta"]
	s.config.Accounts["acme"] = config.Account{Token: config.EnvSecret("T", func(string) string { return "terra_at_x" }), BaseURL: config.DefaultBaseURL, DevIDs: []string{"p-9"}}
	if _, err := s.Poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.revisions["other"].set.Environments[0].Account = "acme"
	s.limits, s.prober = nil, prober{}
	out := s.Run(t.Context(), "other", &daemon.Course{})
	if out.ExitCode != report.ExitError || len(out.Environments) != 1 || !strings.Contains(out.Environments[0].Error, "the runner does not let the repository beta use it; repos.beta.accounts decides") {
		t.Errorf("%+v", out)
	}
}

// TestSharedPartsLogForNoRepository: what repositories have in common writes no name of one of
// them into the log.
func TestSharedPartsLogForNoRepository(t *testing.T) {
	t.Parallel()
	r := newTwoRepositories(t)
	r.commits("acme", map[string]string{"production": "p-1"})
	r.commits("beta", map[string]string{"staging": "p-4"})
	c := r.parsed("repos: {acme: {url: ./acme, accounts: [acme]}, beta: {url: ./beta, accounts: [beta]}}\naccounts: {acme: {token_env: T, dev_ids: [p-1]}, beta: {token_env: T, dev_ids: [p-4]}}\napply: true\nstate_dir: state\n")
	common := &commitSource{proc: r.proc, mode: report.Apply, store: r.store, log: slog.New(slog.DiscardHandler)}
	all, stop, err := openSources(t.Context(), c, common)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	if all.log() != common.log || all.common().log == common.log {
		t.Error("the log of a repository is not apart")
	}
}

// TestMessagesNameTheRepository: what each poll tells is told apart, and of a repository that is
// not followed any more it ends. Nothing counts as gone until each was read.
func TestMessagesNameTheRepository(t *testing.T) {
	t.Parallel()
	r := newTwoRepositories(t)
	r.commits("acme", map[string]string{"production": "p-1"})
	r.commits("beta", map[string]string{"production": "p-3", "staging": "p-4"})
	all := r.follow("", "p-1")
	followed := sources{all["acme"], all["beta"]}
	for _, s := range followed {
		s.config.Notify = &config.Notify{Receivers: []config.Receiver{{Name: "ops", Form: "webhook", URL: "https://hooks.example/x", Secret: config.EnvSecret("S", nil)}}, Routes: []config.Route{{Receivers: []string{"ops"}}}}
	}
	former := map[string]map[string]state.Condition{}
	for _, source := range []string{"poll", "poll former", "run production", "run gone"} {
		former[source] = map[string]state.Condition{"a": {Event: string(report.EventCommitRefused), Text: "x", Told: time.Now(), Since: time.Now()}}
	}
	if _, err := r.store.SaveHeard(state.Heard{Conditions: former, Messages: map[string][]state.Message{"former": {{ID: "x", Body: []byte("{}")}}}, Most: 10, MostBytes: 1000}); err != nil {
		t.Fatal(err)
	}
	var log, ofAcme bytes.Buffer
	followed[0].log, followed[0].shared = slog.New(slog.NewTextHandler(&ofAcme, nil)), slog.New(slog.NewTextHandler(&log, nil))
	tell, err := newMessages(followed)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "receiver=former messages=1") || ofAcme.Len() > 0 {
		t.Errorf("the log of the daemon has %s, and that of a repository %s", log.String(), ofAcme.String())
	}
	wants := func(what, want string) {
		t.Helper()
		told, err := r.store.Conditions()
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for source, conditions := range told {
			for _, c := range conditions {
				got = append(got, source+": "+c.Text)
			}
		}
		if slices.Sort(got); strings.Join(got, "\n") != want {
			t.Errorf("%s:\n%s\nwant\n%s", what, strings.Join(got, "\n"), want)
		}
	}
	wants("at the start", "run gone: x\nrun production: x")
	for _, name := range []string{"acme", "beta"} {
		if _, err := tell.poller(all[name]).Poll(t.Context()); err != nil {
			t.Fatal(err)
		}
		if name == "acme" {
			wants("while one was not read", "run gone: x\nrun production: x")
		}
	}
	wants("then", "poll beta: repository beta: production is not used: an environment production belongs to the repository acme already; give this one another name, or name it under repos.beta.environments of daemon.yaml to hand it over\nrun production: x")
	if why := followed.notUsed(); len(why) != 1 || !strings.HasPrefix(why["production"], "an environment production belongs to the repository acme already") {
		t.Errorf("not used: %v", why)
	}
}

// TestNamingADevIDGivesNobodyARightToIt: whoever names one that their accounts may not touch does
// not keep it from the repository whose account may.
func TestNamingADevIDGivesNobodyARightToIt(t *testing.T) {
	t.Parallel()
	r := newTwoRepositories(t)
	r.commits("acme", map[string]string{"production": "p-1"})
	r.commits("beta", map[string]string{"greedy": "p-1"})
	all := r.follow("", "p-1")
	if got := r.polled(all["beta"]); got != "greedy=p-1" { // its runs are refused
		t.Errorf("beta: %s", got)
	}
	if got := r.polled(all["acme"]); got != "production=p-1" {
		t.Errorf("acme: %s", got)
	}
}

// TestFormerName: a repository goes on with what is remembered under a name that none has any
// more, and never with that of another one.
func TestFormerName(t *testing.T) {
	t.Parallel()
	address := t.TempDir()
	git, err := gitsource.Open(gitsource.Options{URL: address})
	if err != nil {
		t.Fatal(err)
	}
	two := config.Config{Repo: config.Repo{Name: "one", URL: address}, Repos: []config.Repository{{Repo: config.Repo{Name: "one"}}, {Repo: config.Repo{Name: "two"}}}}
	alone := config.Config{Repo: config.Repo{URL: address}}
	for name, c := range map[string]struct {
		config config.Config
		known  []string
		want   string
	}{
		"nothing":              {two, nil, ""},
		"itself":               {two, []string{"one " + git.String(), "uno " + git.String()}, ""},
		"renamed":              {two, []string{"uno " + git.String(), "two /elsewhere"}, "uno " + git.String()},
		"alone before":         {two, []string{git.String()}, git.String()},
		"one of several":       {alone, []string{"uno " + git.String()}, "uno " + git.String()},
		"another one":          {two, []string{"two " + git.String()}, ""},
		"two of them":          {two, []string{"uno " + git.String(), "duo " + git.String()}, ""},
		"another address":      {two, []string{"uno " + git.String() + "/x", "/x" + git.String()}, ""},
		"other and of no name": {alone, []string{"uno /elsewhere"}, ""},
	} {
		if got := formerKey(c.config, git, c.known); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}
