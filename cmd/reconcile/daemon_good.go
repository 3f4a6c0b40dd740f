package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/providers"
	"github.com/terra-reconcile/terra-reconcile/reconcile"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

// loaded is one commit as it was read.
type loaded struct {
	hash     string
	author   string
	set      spec.Set
	problems []spec.Problem
}

// goodCommit is what an environment runs from: the last commit in which its files
// had no error. Its hash is "" where that is known but not at hand.
type goodCommit struct {
	loaded
	environment daemon.Environment
	recorded    state.Good // what the state is to remember; zero for nothing
}

// refused says why a commit is not used at all, nil when it is.
func (l loaded) refused() error {
	if p, broken := l.firstError(""); broken {
		return fmt.Errorf("commit %s is not used: %s", short(l.hash), p)
	}
	if len(l.set.Environments) == 0 {
		return fmt.Errorf("commit %s is not used: no folder holds an environment.yaml", short(l.hash))
	}
	return nil
}

func (l loaded) firstError(environment string) (spec.Problem, bool) {
	for _, p := range l.problems {
		if p.Severity == spec.Error && p.Environment == environment {
			return p, true
		}
	}
	return spec.Problem{}, false
}

func (l loaded) good(env spec.Environment) goodCommit {
	return goodCommit{loaded: l, recorded: state.Good{DevID: env.DevID, Environment: env.Name, Commit: l.hash},
		environment: daemon.Environment{Name: env.Name, DevID: env.DevID, Schedule: env.Schedule, Revision: l.hash}}
}

// incomplete tells whether an environment waits for its last good commit.
func (f *follower) incomplete() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, g := range f.good {
		if g.hash == "" {
			return true
		}
	}
	return false
}

// take moves the environments whose files are good to a commit, leaves the others
// on the last one that was, forgets those that the commit does not name, and
// remembers all that for the next start. A commit that is refused moves none.
func (f *follower) take(ctx context.Context, found loaded, refused error) (map[string]goodCommit, error) {
	recorded, err := f.recorded()
	if err != nil {
		return nil, err
	}
	next := map[string]goodCommit{}
	stay := func(name, devID, why string) {
		g := f.good[name]
		former := g.environment.Behind
		if g.environment.Behind = ""; g.hash == "" {
			g = f.restore(ctx, name, devID, recorded[name])
		}
		if g.environment.Behind != "" {
			why += "; " + g.environment.Behind
		}
		g.environment.Behind = why
		if former != why {
			f.log.Warn("environment stays on its last good commit", "environment", name, "commit", g.hash, "reason", why)
		}
		next[name] = g
	}
	if refused != nil {
		for name, good := range recorded {
			stay(name, good.DevID, refused.Error())
		}
		for name, g := range f.good {
			if _, done := next[name]; !done {
				stay(name, g.environment.DevID, refused.Error())
			}
		}
		return next, nil
	}
	for _, env := range found.set.Environments {
		switch problem, _ := found.firstError(env.Name); {
		case !chosen(f.config.Environments, env.Name):
		case !env.Invalid:
			next[env.Name] = found.good(env)
		default:
			why := fmt.Sprintf("its files have errors in %s: %s", short(found.hash), problem)
			f.tellRefused(found, env.Name, env.DevID, why)
			stay(env.Name, env.DevID, why)
		}
	}
	return next, f.remember(next)
}

// tellRefused tells the history that a commit is not used, or not by one environment.
func (f *follower) tellRefused(found loaded, name, devID, why string) {
	if f.mode != report.Apply {
		return
	}
	r := reconcile.Run{Commit: found.hash, Author: found.author}
	if err := reconcile.TellRefusedCommit(f.store, r, name, devID, errors.New(why), f.env.Now()); err != nil {
		f.log.Error(err.Error())
	}
}

// recorded gives the last good commits that a former process left in the state.
func (f *follower) recorded() (map[string]state.Good, error) {
	known, err := f.store.Known()
	out := map[string]state.Good{}
	for _, k := range known {
		if k.Good != "" && chosen(f.config.Environments, k.Environment) {
			out[k.Environment] = state.Good{DevID: k.DevID, Environment: k.Environment, Commit: k.Good}
		}
	}
	return out, err
}

func (f *follower) remember(all map[string]goodCommit) error {
	var good []state.Good
	for _, g := range all {
		if g.recorded.Commit != "" {
			good = append(good, g.recorded)
		}
	}
	return f.store.SaveGood(good)
}

// restore fetches the commit on which a former process left an environment. Where
// it cannot be had nothing of the environment is changed: Behind says why, and the
// next poll tries again.
func (f *follower) restore(ctx context.Context, name, devID string, last state.Good) goodCommit {
	lost := func(why string) goodCommit {
		return goodCommit{recorded: last, environment: daemon.Environment{Name: name, DevID: devID,
			Behind: "what it was on last is unknown, and nothing of it is changed: " + why}}
	}
	if last.Commit == "" {
		return lost("no commit was good yet")
	}
	commit, err := f.source.FetchCommit(ctx, last.Commit)
	if err != nil {
		return lost(err.Error())
	}
	files, err := f.source.FS(last.Commit)
	if err != nil {
		return lost(err.Error())
	}
	found := loaded{hash: last.Commit, author: commit.Author}
	found.set, found.problems = spec.Load(files, providers.Vocabulary())
	for _, env := range found.set.Environments {
		if env.Name == name && env.DevID == last.DevID && !env.Invalid {
			return found.good(env)
		}
	}
	return lost(fmt.Sprintf("commit %s has no good files of it for this reconcile", short(last.Commit)))
}
