package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/internal/notify"
	"github.com/terra-reconcile/terra-reconcile/internal/terra"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// startNotifying gives what takes statuses for the forge of a configuration, and posts them
// until stop is called. Without a forge it takes them and does nothing.
func startNotifying(ctx context.Context, proc *Process, c *config.NotifyCommit, transport http.RoundTripper, log *slog.Logger) (tell func(...notify.Status), stop func(), err error) {
	if c == nil {
		return func(...notify.Status) {}, func() {}, nil
	}
	forge, err := forgeOf(proc, *c, transport)
	if err != nil {
		return nil, nil, err
	}
	queue := notify.NewQueue(forge, log)
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		queue.Run(ctx)
	}()
	log.Info("commit statuses are posted", "forge", forge.String())
	return queue.Offer, func() { cancel(); <-ended }, nil
}

func forgeOf(proc *Process, c config.NotifyCommit, transport http.RoundTripper) (*notify.Forge, error) {
	token, way, err := statusesBy(c, transport)
	if err != nil {
		return nil, err
	}
	return notify.New(notify.Options{Kind: c.Forge, URL: c.URL, Project: c.Project, Context: c.Context, Token: token, Version: proc.Version, Transport: way})
}

// forgeToken holds the token where no configuration names a place for it.
const forgeToken = "RECONCILE_FORGE_TOKEN"

// notifyFlags are the flags of the command notify-commit.
type notifyFlags struct {
	commit, config, repo         string
	forge, url, project, context string
	proposed                     bool
}

func newNotifyCommitCommand(proc *Process) *cobra.Command {
	f := &notifyFlags{}
	cmd := &cobra.Command{
		Use:   "notify-commit [FILE]",
		Short: "Post a report as commit statuses of a forge",
		Long: `Post a report as commit statuses of GitHub, GitLab, Gitea or Forgejo.

It reads what a run printed with "-o json", from a file or from standard input,
and posts one status for each environment: success, pending or failure, in the
words of the report's last sentence. The forge is that of notify_commit in
daemon.yaml, or named by --forge and --project; then the token comes from
` + forgeToken + `. A daemon posts by itself and needs no command.`,
		Example: `  reconcile notify-commit --config daemon.yaml report.json
  reconcile notify-commit --forge github --project acme/terra-config \
      --commit "$SHA" --proposed plan.json`,
		Args: takes(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			file := "-"
			if len(args) == 1 {
				file = args[0]
			}
			return f.notify(cmd.Context(), proc, file)
		},
	}
	p := cmd.Flags()
	p.StringVar(&f.commit, "commit", "", "whole `hash` of the commit (default: that of the report)")
	p.BoolVar(&f.proposed, "proposed", false, "the commit is one of a pull request: to have a plan is success, whatever the plan would do")
	p.StringVar(&f.config, "config", "", "`file` of a runner's configuration, for its notify_commit")
	p.StringVar(&f.repo, "repo", "", "`name` of the repository, where that configuration has several")
	p.Var(choice{&f.forge, config.Forges()}, "forge", "whose `API` is spoken: github, gitlab, gitea or forgejo")
	p.StringVar(&f.url, "url", "", "`address` of the forge, of GitHub its API (default: that of github.com or gitlab.com)")
	p.StringVar(&f.project, "project", "", "`owner/name` of the project")
	p.StringVar(&f.context, "context", "", "`name` of the statuses, before the environment (default: "+config.DefaultStatusContext+")")
	return cmd
}

// what says which forge is meant.
func (f *notifyFlags) what(proc *Process) (config.NotifyCommit, error) {
	none := config.NotifyCommit{}
	var err error
	switch {
	case f.config != "" && (f.forge != "" || f.url != "" || f.project != "" || f.context != ""):
		return none, usageError("notify-commit: --config names a forge already; drop --forge, --url, --project and --context")
	case f.config == "" && f.repo != "":
		return none, usageError("notify-commit: --repo names a repository of a configuration; name that with --config")
	case f.config != "":
		c, err := config.Load(f.config, proc.Getenv)
		if err == nil && (len(c.Repos) > 0 || f.repo != "") {
			c, err = repositoryNamed(c, f.config, f.repo)
		}
		if err == nil && c.NotifyCommit == nil {
			err = fmt.Errorf("notify-commit: %s has no notify_commit; write one there, or name the forge with --forge and --project", f.config)
		}
		if err != nil {
			return none, err
		}
		return *c.NotifyCommit, nil
	case f.forge == "" || f.project == "":
		return none, usageError("notify-commit: name the forge with --forge and --project, or a configuration with --config")
	}
	f.forge = config.ForgeAPI(f.forge)
	c := config.NotifyCommit{Forge: f.forge, Project: f.project, Token: config.EnvSecret(forgeToken, proc.Getenv),
		URL: cmp.Or(f.url, config.DefaultForge(f.forge)), Context: cmp.Or(f.context, config.DefaultStatusContext)}
	if c.URL == "" {
		return none, usageError("notify-commit: --url is missing: each Gitea and Forgejo has an address of its own")
	}
	if c.URL, err = config.CheckForge(c.URL); err != nil {
		return none, usageError("notify-commit: --url %w", err)
	}
	if err := config.CheckProject(f.forge, f.project); err != nil {
		return none, usageError("notify-commit: --project %w", err)
	}
	if err := config.CheckContext(c.Context); err != nil {
		return none, usageError("notify-commit: --context %w", err)
	}
	return c, nil
}

// Tries of one status, and for how long the command goes on in all.
const (
	notifyTries = 4
	notifyLimit = 2 * time.Minute
)

func (f *notifyFlags) notify(ctx context.Context, proc *Process, file string) error {
	c, err := f.what(proc)
	if err != nil {
		return err
	}
	if f.commit != "" && !notify.IsCommit(f.commit) {
		return usageError("notify-commit: --commit is no whole hash of a commit; give all of its 40 or 64 digits")
	}
	r, err := readReport(proc, file)
	if err != nil {
		return err
	}
	r.Commit = cmp.Or(f.commit, r.Commit)
	if !notify.IsCommit(r.Commit) {
		return usageError("notify-commit: the report is of no commit; name one with --commit")
	}
	transport := terra.NewTransport()
	defer transport.CloseIdleConnections()
	forge, err := forgeOf(proc, c, transport)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, notifyLimit)
	defer cancel()
	var failed []error
	for _, s := range notify.Of(r, f.proposed) {
		err := forge.PostPatiently(ctx, s, notifyTries)
		if err == nil {
			err = say(proc, tell(fmt.Sprintf("%s: %s: %s", forge.Name(s), s.State, s.Description)))
		}
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}

// readReport reads a report that was printed as JSON, from standard input where the name is
// a dash.
func readReport(proc *Process, name string) (report.Report, error) {
	if name == "-" {
		return report.Decode(proc.Stdin)
	}
	file, err := os.Open(name)
	if err != nil {
		return report.Report{}, fmt.Errorf("read report: %w", err)
	}
	defer func() { _ = file.Close() }()
	return report.Decode(io.Reader(file))
}
