package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
	"github.com/terra-reconcile/terra-reconcile/internal/gitsource"
	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/internal/terra"
	"github.com/terra-reconcile/terra-reconcile/providers"
	"github.com/terra-reconcile/terra-reconcile/reconcile"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

// follower follows a branch for the daemon: it polls for commits and runs an
// environment from the last commit in which its files were good.
type follower struct {
	env       *environment
	config    config.Config
	mode      report.Mode
	source    *gitsource.Source
	store     *state.Store
	log       *slog.Logger
	limits    *terra.Limits
	transport http.RoundTripper
	prober    prober

	// Poll's own:
	latest  string // the commit last looked at, used or not
	told    string // the commit that stands in the log
	refusal error  // why it is not used

	mu   sync.Mutex
	good map[string]goodCommit // by environment
}

// Poll fetches the newest commit. A commit whose terra.yaml is wrong, or that
// names no environment at all, is an error: everything stays on what it had, also
// before a restart.
func (f *follower) Poll(ctx context.Context) ([]daemon.Environment, error) {
	commit, err := f.source.Fetch(ctx)
	if err != nil {
		return nil, err
	}
	isNew := commit.Hash != f.latest
	if !isNew && !f.incomplete() {
		return f.environments(), f.refusal
	}
	files, err := f.source.FS(commit.Hash)
	if err != nil {
		return nil, err
	}
	found := loaded{hash: commit.Hash, author: commit.Author}
	found.set, found.problems = spec.Load(files, providers.Vocabulary())
	refusal := found.refused()
	if commit.Hash != f.told {
		f.told = commit.Hash
		f.log.Info("new commit", "commit", commit.Hash, "author", commit.Author, "subject", commit.Subject)
		for _, p := range found.problems {
			if p.Severity == spec.Error {
				f.log.Error(p.String(), "commit", commit.Hash, "environment", p.Environment)
			}
		}
	}
	if refusal != nil {
		f.tellRefused(found, "", "", refusal.Error())
	}
	next, err := f.take(ctx, found, refusal)
	if err != nil {
		return nil, err
	}
	if refusal == nil {
		refusal = f.lacking(found)
	}
	f.latest, f.refusal = commit.Hash, refusal
	f.mu.Lock()
	f.good = next
	f.mu.Unlock()
	return f.environments(), refusal
}

// lacking says which environments the runner is to handle and the commit has not:
// a name that was typed wrong would be one of which nothing is ever changed.
func (f *follower) lacking(found loaded) error {
	var has, lacks []string
	for _, env := range found.set.Environments {
		has = append(has, env.Name)
	}
	for _, name := range f.config.Environments {
		if !slices.Contains(has, name) {
			lacks = append(lacks, name)
		}
	}
	if len(lacks) == 0 {
		return nil
	}
	return fmt.Errorf("commit %s has no environment %s, which the configuration names; it has %s",
		short(found.hash), strings.Join(lacks, ", "), strings.Join(has, ", "))
}

func chosen(only []string, name string) bool { return len(only) == 0 || oneOf(name, only...) }

func (f *follower) environments() []daemon.Environment {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := []daemon.Environment{}
	for _, g := range f.good {
		out = append(out, g.environment)
	}
	return out
}

// Run runs one environment from its good commit.
func (f *follower) Run(ctx context.Context, name string) report.Report {
	f.mu.Lock()
	g, ok := f.good[name]
	f.mu.Unlock()
	if !ok {
		return f.failed("", fmt.Sprintf("run environment %q: the repository does not name it any more", name))
	}
	heard := &notices{}
	engine := reconcile.New(reconcile.Options{
		Client: newClients(f.config, f.clientOptions(heard)), Store: f.memory(), Identities: identities(f.config.Identities),
		Now: f.env.Now, Prober: f.prober, RedirectHosts: redirectHosts(f.config),
	})
	r := reconcile.Run{Set: g.set, Problems: g.problems, Commit: g.hash, Author: g.author, Only: []string{name}, Mode: f.mode, Holder: report.DaemonHolds}
	if f.mode == report.DryRun {
		r.Holder = report.LookerHolds
	}
	approval, err := f.store.Approval(g.environment.DevID, f.env.Now())
	if err != nil {
		return f.failed(g.hash, err.Error())
	}
	if approval.Hash != "" && f.mode == report.Apply {
		r.Approve, r.Given, r.Now = map[string]string{name: approval.Hash}, approval.At, approval.Now
	}
	out := engine.Run(ctx, r)
	out.Warnings = append(heard.warnings(), out.Warnings...)
	f.env.asked.elsewhere().completeReport(&out)
	return out
}

// failed is the report of a run that could not begin.
func (f *follower) failed(commit, problem string) report.Report {
	r := report.New(f.mode, commit, f.env.Now())
	r.Error = problem
	r.Finish(f.env.Now())
	return r
}

func (f *follower) devID(name string) (devID string, known bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	g, known := f.good[name]
	return g.environment.DevID, known && g.hash != ""
}

// clientOptions are made anew for each run, so that a token that was replaced is
// read; limits and connections outlive it.
func (f *follower) clientOptions(heard *notices) terra.Options {
	return terra.Options{
		Transport: f.transport, Limits: f.limits, Version: f.env.Version, ReadOnly: f.mode == report.DryRun,
		Notice: heard.hear,
	}
}

// memory is what a run may use of the state.
func (f *follower) memory() *state.Store {
	if f.mode == report.DryRun {
		return f.store.ReadOnly()
	}
	return f.store
}
