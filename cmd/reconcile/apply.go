package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/terra-reconcile/terra-reconcile/reconcile"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// planServes is how long a plan file may be applied.
const planServes = 24 * time.Hour

func newApplyCommand(env *environment) *cobra.Command {
	f := &runFlags{}
	maxAge := planServes
	cmd := &cobra.Command{
		Use:   "apply PLAN.json",
		Short: "Apply exactly the plan of a file, once",
		Long: `Apply exactly the plan that a person looked at, without asking.

The file is what "reconcile plan --out plan.json" wrote, of a commit.
Everything is read and planned again: an environment of which the plan is not
the same any more, in anything, or can hurt more people than it showed, is left
alone, and what differs is listed. Each environment of the file is applied as a
whole plan or not at all; no other one is touched.

A plan serves once. It approves what waits for a yes, as --approve ENV=HASH
does. Exit codes are those of a run: 1 when it is refused and nothing was
written.`,
		Example: `  reconcile plan --out plan.json
  reconcile apply plan.json
  reconcile apply plan.json --env production --now --max-age 2h`,
		Args: takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error { return applyPlan(cmd, env, f, args[0], maxAge) },
	}
	f.add(cmd)
	f.addApplying(cmd, "do not wait for a window")
	cmd.Flags().DurationVar(&maxAge, "max-age", planServes, "for how long after it was made a plan serves")
	return cmd
}

// applyPlan applies the plan of a file, and nothing that it does not hold.
func applyPlan(cmd *cobra.Command, env *environment, f *runFlags, path string, maxAge time.Duration) error {
	if err := f.check(cmd); err != nil {
		return err
	}
	if maxAge <= 0 {
		return usageError("--max-age %s: write how long a plan serves, such as 2h", maxAge)
	}
	shown, err := readPlanFile(path, env.Now(), maxAge)
	if err != nil {
		return f.notBegun(env, report.Apply, err)
	}
	run := reconcile.Run{Shown: plans(shown), Approve: map[string]string{}, Given: shown.StartedAt}
	for _, name := range f.environments {
		if _, ok := run.Shown[name]; !ok {
			return usageError("--env %s: the plan has no such environment", name)
		}
	}
	if len(f.environments) == 0 {
		for _, e := range shown.Environments {
			f.environments = append(f.environments, e.Name)
		}
	}
	for _, e := range shown.Environments {
		if oneOf(e.Name, f.environments...) {
			run.Approve[e.Name] = e.PlanHash
		}
	}
	r, err := f.applyRun(cmd, env, run)
	if err != nil {
		return err
	}
	if r.Error == "" && r.Commit != shown.Commit {
		r.Warnings = append(r.Warnings, fmt.Sprintf("the plan was made from commit %.12s, and this is %.12s; only the same changes are applied", shown.Commit, r.Commit))
	}
	return f.finish(env, r)
}

func readPlanFile(path string, now time.Time, maxAge time.Duration) (report.Report, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return report.Report{}, fmt.Errorf("read plan: %w; make one with `reconcile plan --out %s`", err, shellWord(path))
	}
	if err != nil {
		return report.Report{}, fmt.Errorf("read plan: %w", err)
	}
	defer func() { _ = file.Close() }()
	return report.ReadPlan(file, now, maxAge)
}
