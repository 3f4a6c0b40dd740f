package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
	"github.com/terra-reconcile/terra-reconcile/internal/terra"
	"github.com/terra-reconcile/terra-reconcile/internal/visible"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// runsAtOnce is how many environments the daemon runs at a time.
const runsAtOnce = 4

func newDaemonCommand(env *environment) *cobra.Command {
	file := ""
	cmd := &cobra.Command{
		Use:   "daemon",
		Short: "Keep Terra matching the repository: poll git, run by schedule",
		Long: `Keep Terra matching the repository: poll git, run by schedule.

It runs an environment when a new commit arrives and whenever its schedule says
so. A commit whose terra.yaml is wrong is not used; an environment whose files
are wrong stays on its last good commit. SIGTERM lets a call that has left be
answered, then ends. GET /healthz answers 200 while it makes progress. A changed
daemon.yaml is taken by itself, or at once by SIGHUP; one that is wrong is not.`,
		Example: "  reconcile daemon --config /etc/terra-reconcile/daemon.yaml",
		Args:    takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return keepServing(cmd.Context(), env, file)
		},
	}
	cmd.Flags().StringVar(&file, "config", "daemon.yaml", "`file` of the runner's own configuration")
	return cmd
}

// serveDaemon serves until ctx ends, and calls started as soon as it does.
func serveDaemon(ctx context.Context, env *environment, c config.Config, log *slog.Logger, started func()) (err error) {
	mode := report.DryRun
	if c.Apply {
		mode = report.Apply
	}
	ask, err := newProber(c)
	if err != nil {
		return err
	}
	source, err := openSource(c.Repo)
	if err != nil {
		return err
	}
	store, _, err := openStore(ctx, c.StateDir, report.Apply) // also a daemon that only looks remembers pauses and good commits
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	transport := terra.NewTransport()
	defer transport.CloseIdleConnections() // another one follows when daemon.yaml changes
	f := &follower{
		env: env, config: c, mode: mode, source: source, store: store, log: log,
		limits: terra.NewLimits(), transport: transport, prober: ask, good: map[string]goodCommit{},
	}
	wake, stopWatching := watch(c.Repo.URL, log)
	defer stopWatching()
	d, err := daemon.New(daemon.Options{
		Poller: f, Runner: f, Log: log, Poll: c.Repo.Poll, Deadline: c.CycleDeadline, AtOnce: runsAtOnce, Wake: wake,
	})
	if err != nil {
		return err
	}
	stopControl, err := daemon.Serve(ctx, c.StateDir, f.keeper(), boss{d, f}, log)
	if err != nil {
		return err
	}
	defer stopControl()
	stopHTTP, err := listen(ctx, c.Listen, d.Handler(), log)
	if err != nil {
		return err
	}
	defer stopHTTP()
	started()
	log.Info("started", "version", env.Version, "repository", source.String(), "mode", string(mode), "listen", c.Listen)
	err = d.Run(ctx)
	log.Info("stopped")
	return err
}

func newLog(env *environment, c config.Log) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		return nil, fmt.Errorf("configure log: %w", err)
	}
	options := &slog.HandlerOptions{Level: level}
	if c.Format == "text" {
		options.ReplaceAttr = visibleAttr
		return slog.New(slog.NewTextHandler(env.Stderr, options)), nil
	}
	return slog.New(slog.NewJSONHandler(escaping{env.Stderr}, options)), nil
}

// escaping writes JSON in which what a terminal could take for a command stands as a
// \u escape; the log's text form quotes it by itself.
type escaping struct{ to io.Writer }

func (e escaping) Write(line []byte) (int, error) {
	if _, err := e.to.Write(report.EscapeJSON(line)); err != nil {
		return 0, err
	}
	return len(line), nil
}

// visibleAttr keeps text from outside from acting where the log is read.
func visibleAttr(_ []string, a slog.Attr) slog.Attr {
	if kind := a.Value.Kind(); (kind == slog.KindString || kind == slog.KindAny) && a.Key != slog.LevelKey {
		a.Value = slog.StringValue(visible.Text(a.Value.String()))
	}
	return a
}

// listen serves the daemon's pages until stop.
func listen(ctx context.Context, address string, handler http.Handler, log *slog.Logger) (stop func(), err error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 1 << 14,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn)}
	log.Info("serving", "address", listener.Addr().String())
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Error("HTTP server ended", "error", err.Error())
		}
	}()
	return func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		if server.Shutdown(ctx) != nil {
			_ = server.Close() // nobody waits for a client that is slow to ask
		}
	}, nil
}
