package cli

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"strings"

	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
	"github.com/terra-reconcile/terra-reconcile/secrets"
)

// sources are the repositories that a daemon follows, by name: one at least. An environment is
// of one of them, so that whoever asks for one need not know of which.
type sources []*commitSource

// openSources opens the repositories of a configuration. common is what all have in common. Call
// stop when nothing is followed any more; what was told of their commits is posted then.
func openSources(ctx context.Context, c config.Config, common *commitSource) (all sources, stop func(), err error) {
	var stops []func()
	stop = func() {
		for _, stop := range slices.Backward(stops) {
			stop()
		}
	}
	for _, one := range c.Each() {
		s, stopOne, err := common.open(ctx, one)
		if err != nil {
			stop()
			return nil, nil, err
		}
		stops = append(stops, stopOne)
		all = append(all, s)
	}
	return all, stop, nil
}

// open opens the repository of a configuration, with all that s has.
func (s *commitSource) open(ctx context.Context, c config.Config) (opened *commitSource, stop func(), err error) {
	opened = &commitSource{
		proc: s.proc, config: c, mode: s.mode, store: s.store, log: s.log, level: s.level, limits: s.limits, transport: s.transport, prober: s.prober, file: s.file,
		heard: &secrets.Heard{}, wake: make(chan struct{}, 1), revisions: map[string]revision{},
	}
	if c.Repo.Name != "" {
		opened.log, opened.shared = s.log.With("repo", c.Repo.Name), s.log
	}
	if opened.signatures, err = newSignatures(c.Repo.Verify); err != nil {
		return nil, nil, err
	}
	if opened.git, err = openSource(c.Repo, 0, opened.heard); err != nil {
		return nil, nil, err
	}
	var stopStatuses func()
	if opened.statuses, stopStatuses, err = startNotifying(ctx, s.proc, c.NotifyCommit, s.transport, opened.log); err != nil {
		return nil, nil, err
	}
	stopWatching := watch(c.Repo.URL, opened.wake, opened.log)
	return opened, func() { stopWatching(); stopStatuses() }, nil
}

// common is a source by which to ask what all have in common.
func (all sources) common() *commitSource { return all[0] }

// log is for what is of no repository.
func (all sources) log() *slog.Logger { return cmp.Or(all.common().shared, all.common().log) }

// of is the repository that has an environment; any of them where none has.
func (all sources) of(environment string) *commitSource {
	for _, s := range all {
		if s.names(environment) {
			return s
		}
	}
	return all.common()
}

// names tells whether the repository names an environment.
func (s *commitSource) names(environment string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, known := s.revisions[environment]
	return known
}

func (all sources) revision(name string) (revision, bool) { return all.of(name).revision(name) }

func (all sources) left(name string) (report.Environment, bool) { return all.of(name).left(name) }

func (all sources) report(name string) (report.Report, bool) { return all.of(name).report(name) }

func (all sources) paused(name string, connections []string) string {
	return all.of(name).paused(name, connections)
}

func (all sources) environments() []daemon.Environment {
	var out []daemon.Environment
	for _, s := range all {
		out = append(out, s.environments()...)
	}
	return out
}

// String names them for people, without what signs in to them.
func (all sources) String() string {
	var out []string
	for _, s := range all {
		out = append(out, strings.TrimLeft(s.config.Repo.Name+" "+s.git.String(), " "))
	}
	return strings.Join(out, ", ")
}

// complete completes the commands in a report, wherever it is read: they are about the repository.
func (s *commitSource) complete(r *report.Report) {
	s.proc.asked.elsewhere().of(s.config.Repo.Name).completeReport(r)
}

// status is how one repository stands, but for its polls.
func (s *commitSource) status() (out daemon.RepositoryStatus, err error) {
	out.Name, out.Repository, out.TagAside = s.config.Repo.Name, s.git.String(), s.tagAside()
	out.Branch, out.HeadBranch = s.branches()
	if out.Tags = s.config.Repo.Versions; out.Tags != "" {
		out.Branch = ""
	}
	out.RefusedEnvironments = s.refusedForeign()
	followed, err := s.store.Followed(s.key())
	out.Tag = followed.Tag
	out.ForcedPush, out.Verify = (*daemon.ForcedPush)(followed.Forced), s.signatures.mode()
	return out, err
}

// controlServer answers pauses for the state that this daemon holds.
func (all sources) controlServer() controlServer {
	named := func() []state.Known {
		var out []state.Known
		for _, e := range all.environments() {
			out = append(out, state.Known{Environment: e.Name, DevID: e.DevID})
		}
		return out
	}
	running := func(environment string) bool {
		return slices.ContainsFunc(all, func(s *commitSource) bool { return s.isRunning(environment) })
	}
	return controlServer{store: all.common().store, now: all.common().proc.Now, named: named, running: running}
}
