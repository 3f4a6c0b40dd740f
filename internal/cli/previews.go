package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/terra-reconcile/terra-reconcile/internal/gitsource"
	"github.com/terra-reconcile/terra-reconcile/internal/preview"
	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/internal/terra"
	"github.com/terra-reconcile/terra-reconcile/internal/visible"
	"github.com/terra-reconcile/terra-reconcile/reconcile"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
	"github.com/terra-reconcile/terra-reconcile/secrets"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

// problemsShown is how many errors of files a preview lists.
const problemsShown = 100

// previews plans what the daemon does not follow. It uses what the daemon has and changes
// none of it.
type previews struct {
	source *commitSource
	limits *terra.Limits  // behind those of the daemon's runs
	heard  *secrets.Heard // of the git server, by the daemon as well
}

// plan is a dry run of the newest commit of a ref, as a document.
func (p previews) plan(ctx context.Context, q preview.Request, tell func(preview.Progress)) preview.Result {
	defer debug.FreeOSMemory() // what was revealed of secrets is not kept until the next collection
	r, err := p.dryRun(ctx, q, tell)
	if ctx.Err() != nil {
		err = errors.New("it took too long, or who asked has gone, or the daemon ends")
	}
	if err != nil {
		r = report.New(report.DryRun, r.Commit, p.source.proc.Now())
		r.PreviewOf, r.Error = q.Ref, err.Error()
		r.Finish(p.source.proc.Now())
	}
	result := preview.Result{Commit: r.Commit, ExitCode: r.ExitCode}
	if err != nil {
		result.Error = err.Error()
	}
	var document bytes.Buffer
	if err := (&runFlags{}).print(p.source.proc, &document, r, q.Format); err != nil {
		return preview.Result{Commit: r.Commit, ExitCode: exitFailed, Error: err.Error()}
	}
	result.Document = document.String()
	return result
}

func (p previews) dryRun(ctx context.Context, q preview.Request, tell func(preview.Progress)) (report.Report, error) {
	s := p.source
	for _, name := range q.Environments {
		if !chosen(s.config.Environments, name) {
			return report.Report{}, fmt.Errorf("choose environment %q: this daemon does not handle it", visible.Text(name))
		}
	}
	commit, files, unsigned, err := p.fetch(ctx, q)
	r := report.Report{Commit: commit.Hash}
	if err != nil {
		return r, err
	}
	store, err := p.memory()
	if err != nil {
		return r, fmt.Errorf("copy the memory of the daemon: %w", err)
	}
	defer func() { _ = store.Close() }()
	heard := &notices{}
	engine := newEngine(engineParts{proc: s.proc, config: s.config, mode: report.DryRun, applies: s.config.Apply, store: store, prober: s.prober,
		transport: s.transport, limits: p.limits, heard: heard, progress: func(at reconcile.Progress) { tell(preview.Progress(at)) }, attempted: s.countCall})
	run := reconcile.Run{Commit: commit.Hash, Author: commit.Author, Only: s.config.Environments, Mode: report.DryRun, LockOwner: report.LockedByDaemon, PreviewOf: q.Ref}
	if s.mode == report.DryRun {
		run.LockOwner = report.LockedByObserver
	}
	if len(q.Environments) > 0 {
		run.Only = q.Environments
	}
	run.Set, run.Problems = loadFor(store, files)
	run.Problems = refuseForeign(store, s.config, &run.Set, run.Problems)
	r = engine.Run(ctx, run)
	r.Warnings = append(plan.Warnings(heard.warnings()...), r.Warnings...)
	r.Warn(plan.Warnings(unsigned...)...)
	r.Warn(plan.Warnings(invalidFiles(files, run, s.proc, r)...)...)
	s.complete(&r)
	return r, nil
}

// memory is a copy of what the daemon remembers at this moment, so that a preview sees one
// state and keeps no run waiting.
func (p previews) memory() (*state.Store, error) {
	var copied bytes.Buffer
	if err := p.source.store.Backup(&copied); err != nil {
		return nil, err
	}
	return state.OpenCopy(p.source.config.StateDir, &copied)
}

// fetch fetches the newest commit of a ref from the daemon's own remote, apart from
// what the daemon follows and holds.
func (p previews) fetch(ctx context.Context, q preview.Request) (commit gitsource.Commit, files fs.FS, unsigned []string, err error) {
	git, err := openSource(p.source.config.Repo.At(q.Ref), 0, p.heard)
	if err != nil {
		return commit, nil, nil, err
	}
	commit, err = git.Fetch(ctx)
	name := visible.Text(preview.ShortRef(q.Ref))
	var missing *gitsource.MissingRefError
	switch {
	case errors.As(err, &missing): // it lists others, which are nobody's business here
		return commit, nil, nil, fmt.Errorf("there is no %s in %s, as the daemon sees it; push it first", name, git)
	case err != nil:
		return commit, nil, nil, err
	case q.Commit != "" && q.Commit != commit.Hash:
		return commit, nil, nil, fmt.Errorf("%s is at %s by now, and not at %s any more (or not yet); preview what it is at, or leave --commit away", name, short(commit.Hash), short(q.Commit))
	}
	files, err = git.FS(commit.Hash)
	return commit, files, p.unsigned(git, commit.Hash), err
}

// unsigned says why the daemon would not use a commit as it is: it is of a branch, on which
// whoever merges it may put a signature.
func (p previews) unsigned(git *gitsource.Source, hash string) []string {
	rule, err := newSignatures(p.source.config.Repo.Verify) // the daemon's own are its poll's
	if rule == nil {
		return nil
	}
	var c gitsource.Signed
	if err == nil {
		c, err = git.Signed(hash)
	}
	if err == nil {
		_, err = rule.judge(c, p.source.proc.Now())
	}
	if err == nil {
		return nil
	}
	return []string{fmt.Sprintf("the daemon would not use commit %s as it is: %s", short(hash), err)}
}

// invalidFiles are, where a run could not use files, what else is wrong with them than its
// report says already, as `validate` prints it.
func invalidFiles(files fs.FS, run reconcile.Run, proc *Process, r report.Report) []string {
	broken := func(p spec.Problem) bool {
		return p.Severity == spec.Error && (p.Environment == "" || chosen(run.Only, p.Environment))
	}
	if !slices.ContainsFunc(run.Problems, broken) {
		return nil
	}
	var lines []string
	_, all := problemsOf(files, proc.Now())
	for _, p := range once(all) {
		said := strings.Contains(r.Error, p.String()) ||
			slices.ContainsFunc(r.Environments, func(e report.Environment) bool { return strings.Contains(e.Error, p.String()) })
		if broken(p) && !said {
			lines = append(lines, "also wrong: "+p.String()+typedFor(proc, p))
		}
	}
	if more := len(lines) - problemsShown; more > 0 {
		lines = append(lines[:problemsShown], visible.Plural(more, "more error", "more errors")+" in the files")
	}
	return lines
}
