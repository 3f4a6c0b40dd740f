package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/terra-reconcile/terra-reconcile/internal/advice"
	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
	"github.com/terra-reconcile/terra-reconcile/reconcile"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// sourceFlags say where desired and remembered come from.
type sourceFlags struct {
	repo, ref, path, config, state string
	environments                   []string
	given                          *pflag.Flag // --repo
	named                          string      // one of several repositories of config, where --repo names none
}

// runFlags are the flags of a run.
type runFlags struct {
	sourceFlags
	format, onError, exitCode        string // format "" is that of each file, else text
	out, approve, explain, only      []string
	dryRun, yes, probe, now, verbose bool
	outcomes                         bool // the plan was shown just before: only what became of it is printed
}

func (f *sourceFlags) add(cmd *cobra.Command) {
	f.addRepository(cmd)
	cmd.Flags().StringArrayVar(&f.environments, "env", nil, "only this environment, by its `name` (may repeat)")
	f.addState(cmd, "`folder` of the memory (default: RECONCILE_STATE_DIR)")
}

func (f *sourceFlags) addState(cmd *cobra.Command, usage string) {
	cmd.Flags().StringVar(&f.state, "state", "", usage)
}

func (f *sourceFlags) addRepository(cmd *cobra.Command) {
	p := cmd.Flags()
	p.StringVar(&f.repo, "repo", ".", "config repository: a folder or a `URL`; the name of one where --config has several")
	p.StringVar(&f.ref, "ref", "", "`branch` of the repository (default: the remote's own)")
	p.StringVar(&f.path, "path", "", "`folder` of terra.yaml inside the repository")
	p.StringVar(&f.config, "config", "", "take repository, accounts and identities from this `daemon.yaml`")
	f.given = p.Lookup("repo")
}

func (f *runFlags) add(cmd *cobra.Command) {
	f.sourceFlags.add(cmd)
	p := cmd.Flags()
	p.VarP(choice{&f.format, []string{"text", "json", "markdown", "html"}}, "output", "o", "`format`: text, json, markdown or html (default: as --out ends, else text)")
	p.StringArrayVar(&f.out, "out", nil, "write the report to this `file`, not to standard output (may repeat)")
	p.StringArrayVar(&f.only, "only", nil, "only this connection, by its `name`: strava or production/strava (may repeat); others are not touched and not judged")
	f.exitCode = "detailed"
	p.Var(choice{&f.exitCode, []string{"detailed", "simple"}}, "exit-code", "`kind` of exit codes: detailed, or simple, with 0 in the place of 2")
	p.BoolVar(&f.probe, "probe", false, "ask the providers whether they accept new pairs")
	p.StringArrayVar(&f.explain, "explain", nil, "show all there is to know of this connection, by its `name`: strava or production/strava (may repeat)")
	p.BoolVarP(&f.verbose, "verbose", "v", false, "show all there is to know of every connection")
}

// addApplying adds what only a run that applies has.
func (f *runFlags) addApplying(cmd *cobra.Command, now string) {
	cmd.Flags().BoolVar(&f.now, "now", false, now)
	f.onError = "continue"
	cmd.Flags().Var(choice{&f.onError, []string{"continue", "stop"}}, "on-error", "`choice` after a failure: continue with other connections, or stop all that is not begun")
}

// addAsking adds what says yes on the command line.
func (f *runFlags) addAsking(cmd *cobra.Command) {
	p := cmd.Flags()
	p.BoolVar(&f.dryRun, "dry-run", false, "only show what would change")
	p.BoolVar(&f.yes, "yes", false, "apply without asking")
	p.StringArrayVar(&f.approve, "approve", nil, "apply exactly the plan of an environment or a connection, as `ENV[/CONN]=HASH`, once, and nothing else without --yes (may repeat)")
}

// check refuses words that no run understands, before anything is read.
func (f *runFlags) check() error {
	if f.dryRun && (f.yes || len(f.approve) > 0) {
		return usageError("--dry-run changes nothing; drop --yes and --approve, or drop --dry-run")
	}
	for _, file := range f.out {
		if err := refuseState(file); err != nil {
			return usageError("--out %w", err)
		}
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

// checkApprovals refuses what is no approval, and an environment that none is about.
func (f *runFlags) checkApprovals() error {
	if f.now && len(f.approve) == 0 {
		return usageError("--now needs --approve ENV=HASH or --approve ENV/CONN=HASH")
	}
	var targets []string
	for _, a := range f.approve {
		target, hash, ok := strings.Cut(a, "=")
		if !ok || target == "" || target[0] == '/' || !plan.IsHash(hash) {
			return usageError("--approve %q: write it as ENV=HASH or ENV/CONN=HASH, as a dry run prints it", a)
		}
		targets = append(targets, target)
	}
	if len(targets) == 0 || f.yes {
		return nil
	}
	for _, env := range f.environments {
		if !slices.ContainsFunc(targets, func(target string) bool { _, about := reconcile.IsApprovalOf(target, env); return about }) {
			return usageError("--env %s is not approved; add --approve %s=HASH, or --yes", env, env)
		}
	}
	return nil
}

func newPlanCommand(proc *Process) *cobra.Command {
	flags := &runFlags{dryRun: true}
	cmd := &cobra.Command{
		Use:     "plan",
		Short:   "Show what would change (the same as --dry-run)",
		Example: "  reconcile plan --env production\n  reconcile plan --out plan.json\n  reconcile apply plan.json",
		Args:    takes(0, 0),
		RunE:    func(cmd *cobra.Command, _ []string) error { return runReconcile(cmd, proc, flags) },
	}
	flags.add(cmd)
	return cmd
}

// runReconcile previews, and unless this is a dry run asks and applies.
func runReconcile(cmd *cobra.Command, proc *Process, f *runFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	if err := f.checkApprovals(); err != nil {
		return err
	}
	if f.dryRun {
		r, err := f.preview(cmd, proc, report.DryRun)
		if err != nil {
			return err
		}
		return f.finish(proc, r)
	}
	interactive := proc.Terminals.Stdin && proc.Terminals.Stderr
	if !f.yes && len(f.approve) == 0 && !interactive {
		return usageError("applying asks first, and nobody is there to answer; add --yes, or --dry-run to look only")
	}
	shown := map[string]plan.Plan(nil)
	if !f.yes && len(f.approve) == 0 {
		looked, err := f.preview(cmd, proc, report.Apply)
		if err != nil {
			return err
		}
		if worthApplying(looked) {
			if err := f.print(proc, proc.Stderr, looked, "text"); err != nil {
				return err
			}
			f.outcomes = true
			if err := confirm(cmd.Context(), proc, "Apply what is ready, "+report.ReadyWords(looked)+", and nothing else? Type yes: "); err != nil {
				return err
			}
		}
		shown = plans(looked) // nothing to write is still something to remember
	}
	r, err := f.apply(cmd, proc, shown)
	if err != nil {
		return err
	}
	return f.finish(proc, r)
}

// preview is a dry run. Where it is for applying, what could not be applied anyway is
// refused: nobody is asked for nothing.
func (f *runFlags) preview(cmd *cobra.Command, proc *Process, what report.Mode) (report.Report, error) {
	s, err := openSession(cmd.Context(), proc, f, report.DryRun, what)
	if err != nil {
		return report.Report{}, f.notBegun(proc, report.DryRun, err)
	}
	defer s.close()
	return s.run(cmd.Context(), reconcile.Run{Mode: report.DryRun, Probe: f.probe, Select: f.only}), nil
}

func (f *runFlags) apply(cmd *cobra.Command, proc *Process, shown map[string]plan.Plan) (report.Report, error) {
	approved := map[string]string{}
	for _, a := range f.approve {
		name, hash, _ := strings.Cut(a, "=")
		approved[name] = hash
	}
	return f.applyRun(cmd, proc, reconcile.Run{Shown: shown, Approve: approved, Approved: len(approved) > 0 && !f.yes, Select: f.only})
}

// applyRun applies what a person agreed to, in the way that the flags say.
func (f *runFlags) applyRun(cmd *cobra.Command, proc *Process, r reconcile.Run) (report.Report, error) {
	s, err := openSession(cmd.Context(), proc, f, report.Apply, report.Apply)
	if err != nil {
		return report.Report{}, f.notBegun(proc, report.Apply, err)
	}
	defer s.close()
	r.Mode, r.Now, r.Stop, r.Probe, r.By = report.Apply, f.now, f.onError == "stop", f.probe, daemon.UserName(os.Getuid())
	return s.run(cmd.Context(), r), nil
}

func (f *runFlags) finish(proc *Process, r report.Report) error {
	if err := f.write(proc, r); err != nil {
		if attempted(r) { // what cannot be shown was done all the same
			return &exitError{report.ExitFailed, advice.With(err, "changes were written; see which", "history", "--limit", "20")}
		}
		return err
	}
	if code := f.code(r); code != exitOK {
		return &exitError{code: code}
	}
	return nil
}

// attempted tells whether a run sent a write.
func attempted(r report.Report) bool {
	return slices.ContainsFunc(r.Environments, func(e report.Environment) bool {
		return slices.ContainsFunc(e.Changes, func(c report.Change) bool {
			return c.Outcome == report.Applied || c.Outcome == report.Failed || c.Outcome == report.Unknown
		})
	})
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

// planServes is how long a plan file may be applied.
const planServes = 24 * time.Hour

func newApplyCommand(proc *Process) *cobra.Command {
	f := &runFlags{}
	maxAge := planServes
	cmd := &cobra.Command{
		Use:   "apply PLAN.json",
		Short: "Apply exactly the plan of a file, once",
		Long: `Apply exactly the plan that a person looked at, without asking.

The file is what "reconcile plan --out plan.json" wrote, of a commit.
Everything is read and planned again: an environment of which the plan is not
the same any more, in anything, or can harm more people than it showed, is left
alone, and what differs is listed. Each environment of the file is applied as a
whole plan or not at all; no other one is touched.

A plan serves once. It approves what needs approval, as --approve ENV=HASH does:
not a key that somebody set out of band. With --only NAME it applies, and
approves, what the plan has for that connection alone, and such a key too. Exit
codes are those of a run: 1 when it is refused and nothing was written.`,
		Example: `  reconcile plan --out plan.json
  reconcile apply plan.json
  reconcile apply plan.json --only production/huawei
  reconcile apply plan.json --env production --now --max-age 2h`,
		Args: takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error { return applyPlan(cmd, proc, f, args[0], maxAge) },
	}
	f.add(cmd)
	f.addApplying(cmd, "do not wait for a window or another environment")
	cmd.Flags().DurationVar(&maxAge, "max-age", planServes, "for how long after it was made a plan serves")
	return cmd
}

// applyPlan applies the plan of a file, and nothing that it does not hold.
func applyPlan(cmd *cobra.Command, proc *Process, f *runFlags, path string, maxAge time.Duration) error {
	if err := f.check(); err != nil {
		return err
	}
	if maxAge <= 0 {
		return usageError("--max-age %s: write how long a plan serves, such as 2h", maxAge)
	}
	shown, err := readPlanFile(path, proc.Now(), maxAge)
	if err != nil {
		return f.notBegun(proc, report.Apply, err)
	}
	run, err := f.planRun(shown)
	if err != nil {
		return err
	}
	r, err := f.applyRun(cmd, proc, run)
	if err != nil {
		return err
	}
	if r.Error == "" && r.Commit != shown.Commit {
		r.Warn(plan.Warning{Text: fmt.Sprintf("the plan was made from commit %.12s, and this is %.12s; only the same changes are applied", shown.Commit, r.Commit)})
	}
	return f.finish(proc, r)
}

// planRun is the run that applies a plan, or the part of it that the flags choose.
func (f *runFlags) planRun(shown report.Report) (reconcile.Run, error) {
	run := reconcile.Run{Shown: plans(shown), Approve: map[string]string{}, Given: shown.StartedAt, Select: f.only}
	for _, name := range f.environments {
		if _, ok := run.Shown[name]; !ok {
			return run, usageError("--env %s: the plan has no such environment", name)
		}
	}
	found := map[string]bool{}
	var chosen []string
	for _, e := range shown.Environments {
		if len(f.environments) > 0 && !slices.Contains(f.environments, e.Name) {
			continue
		}
		if len(f.only) == 0 {
			chosen = append(chosen, e.Name)
			run.Approve[e.Name] = e.PlanHash
			if len(e.Selected) > 0 {
				run.Select = append(run.Select, e.Selected...)
			} else {
				run.Select = append(run.Select, e.Name+"/*")
			}
			continue
		}
		part := run.Shown[e.Name]
		part.Changes = slices.DeleteFunc(slices.Clone(part.Changes), func(c plan.Change) bool {
			return !slices.Contains(f.only, c.Connection) && !slices.Contains(f.only, c.Provider)
		})
		for connection, hash := range plan.ConnectionHashes(part) {
			found[connection], found[strings.TrimPrefix(connection, e.Name+"/")] = true, true
			run.Approve[connection] = hash
		}
		if len(part.Changes) > 0 {
			chosen = append(chosen, e.Name)
		}
		run.Shown[e.Name] = part
	}
	for _, name := range f.only {
		if !found[name] {
			return run, usageError("--only %s: the plan changes nothing of it", name)
		}
	}
	f.environments = chosen
	return run, nil
}

func readPlanFile(path string, now time.Time, maxAge time.Duration) (report.Report, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return report.Report{}, advice.With(fmt.Errorf("read plan: %w", err), "make one", "plan", "--out", path)
	}
	if err != nil {
		return report.Report{}, fmt.Errorf("read plan: %w", err)
	}
	defer func() { _ = file.Close() }()
	return report.ReadPlan(file, now, maxAge)
}
