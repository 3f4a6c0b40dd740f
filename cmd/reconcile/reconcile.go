package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/terra-reconcile/terra-reconcile/reconcile"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// runFlags are the flags of a run.
type runFlags struct {
	repo, ref, path, config, state, format, out, onError, exitCode string
	environments, approve                                          []string
	dryRun, yes, probe, now                                        bool
}

// addSource adds what says where desired and remembered come from.
func (f *runFlags) addSource(cmd *cobra.Command) {
	p := cmd.Flags()
	p.StringVar(&f.repo, "repo", ".", "config repository: a folder or a `URL`")
	p.StringVar(&f.ref, "ref", "", "`branch` of the repository (default: the remote's own)")
	p.StringVar(&f.path, "path", "", "`folder` of terra.yaml inside the repository")
	p.StringVar(&f.config, "config", "", "take repository, accounts and identities from this `daemon.yaml`")
	p.StringArrayVar(&f.environments, "env", nil, "only this environment, by its `name` (may repeat)")
	p.StringVar(&f.state, "state", "", "`folder` of the memory (default: RECONCILE_STATE_DIR)")
}

func (f *runFlags) add(cmd *cobra.Command) {
	f.addSource(cmd)
	p := cmd.Flags()
	p.StringVarP(&f.format, "output", "o", "", "`format`: text, json, markdown or html (default: as --out ends, else text)")
	p.StringVar(&f.out, "out", "", "write the report to this `file`, not to standard output")
	p.StringVar(&f.exitCode, "exit-code", "detailed", "`kind` of exit codes: detailed, or simple, with 0 in the place of 2")
	p.BoolVar(&f.probe, "probe", false, "ask the providers whether they accept new pairs")
}

// addApplying adds what only a run that applies has.
func (f *runFlags) addApplying(cmd *cobra.Command, now string) {
	cmd.Flags().BoolVar(&f.now, "now", false, now)
	cmd.Flags().StringVar(&f.onError, "on-error", "continue", "`choice` after a failure: continue with other connections, or stop all that is not begun")
}

// addAsking adds what says yes on the command line.
func (f *runFlags) addAsking(cmd *cobra.Command) {
	p := cmd.Flags()
	p.BoolVar(&f.dryRun, "dry-run", false, "only show what would change")
	p.BoolVar(&f.yes, "yes", false, "apply without asking")
	p.StringArrayVar(&f.approve, "approve", nil, "apply exactly the plan of `ENV=HASH`, once, and nothing else without --yes (may repeat)")
}

// check refuses words that no run understands, before anything is read.
func (f *runFlags) check(cmd *cobra.Command) error {
	if !cmd.Flags().Changed("output") {
		f.format = formatOf(f.out)
	}
	if !oneOf(f.format, "text", "json", "markdown", "html") {
		return usageError("--output %q: use text, json, markdown or html", f.format)
	}
	if !oneOf(f.exitCode, "detailed", "simple") {
		return usageError("--exit-code %q: use detailed or simple", f.exitCode)
	}
	if !oneOf(f.onError, "", "continue", "stop") {
		return usageError("--on-error %q: use continue or stop", f.onError)
	}
	if f.dryRun && (f.yes || len(f.approve) > 0) {
		return usageError("--dry-run changes nothing; drop --yes and --approve, or drop --dry-run")
	}
	return nil
}

// formatOf is the format that the name of a file asks for.
func formatOf(name string) string {
	formats := map[string]string{".json": "json", ".md": "markdown", ".html": "html"}
	if format, ok := formats[strings.ToLower(filepath.Ext(name))]; ok {
		return format
	}
	return "text"
}

// checkApprovals also narrows the run: an approval answers for its own
// environment, so without --yes no other one is applied.
func (f *runFlags) checkApprovals() error {
	if f.now && len(f.approve) == 0 {
		return usageError("--now needs --approve ENV=HASH")
	}
	var approved []string
	for _, a := range f.approve {
		env, hash, ok := strings.Cut(a, "=")
		if !ok || env == "" || !strings.HasPrefix(hash, "sha256:") {
			return usageError("--approve %q: write it as ENV=sha256:…, as a dry run prints it", a)
		}
		approved = append(approved, env)
	}
	if len(approved) == 0 || f.yes {
		return nil
	}
	for _, env := range f.environments {
		if !oneOf(env, approved...) {
			return usageError("--env %s is not approved; add --approve %s=HASH, or --yes", env, env)
		}
	}
	if len(f.environments) == 0 {
		f.environments = approved
	}
	return nil
}

func oneOf(word string, words ...string) bool {
	for _, w := range words {
		if w == word {
			return true
		}
	}
	return false
}

func newPlanCommand(env *environment) *cobra.Command {
	flags := &runFlags{dryRun: true}
	cmd := &cobra.Command{
		Use:     "plan",
		Short:   "Show what would change (the same as --dry-run)",
		Example: "  reconcile plan --env production\n  reconcile plan --out plan.json\n  reconcile apply plan.json",
		Args:    takes(0, 0),
		RunE:    func(cmd *cobra.Command, _ []string) error { return runReconcile(cmd, env, flags) },
	}
	flags.add(cmd)
	return cmd
}

// runReconcile previews, and unless this is a dry run asks and applies.
func runReconcile(cmd *cobra.Command, env *environment, f *runFlags) error {
	if err := f.check(cmd); err != nil {
		return err
	}
	if err := f.checkApprovals(); err != nil {
		return err
	}
	if f.dryRun {
		r, err := f.preview(cmd, env)
		if err != nil {
			return err
		}
		return f.finish(env, r)
	}
	interactive := env.IsTerminal(env.Stdin) && env.IsTerminal(env.Stderr)
	if !f.yes && len(f.approve) == 0 && !interactive {
		return usageError("applying asks first, and nobody is there to answer; add --yes, or --dry-run to look only")
	}
	shown := map[string]plan.Plan(nil)
	if !f.yes && len(f.approve) == 0 {
		looked, err := f.preview(cmd, env)
		if err != nil {
			return err
		}
		if worthApplying(looked) {
			if err := f.print(env, env.Stderr, looked, "text"); err != nil {
				return err
			}
			if err := confirm(cmd.Context(), env, "Apply these changes? Type yes: "); err != nil {
				return err
			}
		}
		shown = plans(looked) // nothing to write is still something to remember
	}
	r, err := f.apply(cmd, env, shown)
	if err != nil {
		return err
	}
	return f.finish(env, r)
}

func (f *runFlags) preview(cmd *cobra.Command, env *environment) (report.Report, error) {
	s, err := openSession(cmd.Context(), env, f, report.DryRun)
	if err != nil {
		return report.Report{}, f.notBegun(env, report.DryRun, err)
	}
	defer s.close()
	return s.run(cmd.Context(), reconcile.Run{Mode: report.DryRun, Probe: f.probe}), nil
}

func (f *runFlags) apply(cmd *cobra.Command, env *environment, shown map[string]plan.Plan) (report.Report, error) {
	approved := map[string]string{}
	for _, a := range f.approve {
		name, hash, _ := strings.Cut(a, "=")
		approved[name] = hash
	}
	return f.applyRun(cmd, env, reconcile.Run{Shown: shown, Approve: approved})
}

// applyRun applies what a person agreed to, in the way that the flags say.
func (f *runFlags) applyRun(cmd *cobra.Command, env *environment, r reconcile.Run) (report.Report, error) {
	s, err := openSession(cmd.Context(), env, f, report.Apply)
	if err != nil {
		return report.Report{}, f.notBegun(env, report.Apply, err)
	}
	defer s.close()
	r.Mode, r.Now, r.Stop, r.Probe = report.Apply, f.now, f.onError == "stop", f.probe
	return s.run(cmd.Context(), r), nil
}

func (f *runFlags) finish(env *environment, r report.Report) error {
	if err := f.write(env, r); err != nil {
		return err
	}
	if code := f.code(r); code != exitOK {
		return &exitError{code: code}
	}
	return nil
}

func (f *runFlags) code(r report.Report) int {
	if f.exitCode == "simple" {
		return report.Simple(r.ExitCode)
	}
	return r.ExitCode
}

func worthApplying(r report.Report) bool {
	for _, env := range r.Environments {
		if env.Error != "" {
			continue
		}
		for _, c := range env.Changes {
			if c.Gate == "ready" {
				return true
			}
		}
	}
	return false
}

// plans gives what was shown, by environment. Of one without a plan nothing was.
func plans(r report.Report) map[string]plan.Plan {
	out := map[string]plan.Plan{}
	for _, env := range r.Environments {
		out[env.Name] = plan.Plan{}
		if env.Error == "" {
			out[env.Name] = env.Plan()
		}
	}
	return out
}

// confirm asks, and returns an error unless the answer is yes. An interrupt is
// an answer too.
func confirm(ctx context.Context, env *environment, question string) error {
	_, _ = fmt.Fprint(env.Stderr, question)
	answered := make(chan string, 1)
	go func() {
		line, err := bufio.NewReader(env.Stdin).ReadString('\n')
		if err != nil {
			_, _ = fmt.Fprintln(env.Stderr)
			line = ""
		}
		answered <- strings.TrimSpace(line)
	}()
	select {
	case <-ctx.Done():
		_, _ = fmt.Fprintln(env.Stderr)
		return errors.New("interrupted; nothing was changed")
	case answer := <-answered:
		if answer != "yes" {
			return errors.New("nothing was changed: the answer was not yes")
		}
		return nil
	}
}
