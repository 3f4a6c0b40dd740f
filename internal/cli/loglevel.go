package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
)

// logLevel is from which level on the daemon logs: what daemon.yaml says, or another one
// for a time. It outlives a change of daemon.yaml.
type logLevel struct {
	slog.LevelVar

	mu         sync.Mutex
	configured slog.Level
	until      time.Time // zero: no other level than the configured one is set
	back       *time.Timer
}

// asConfigured takes the level of daemon.yaml. Another one that was set meanwhile stays as
// long as it was set for.
func (l *logLevel) asConfigured(level slog.Level) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.configured = level; l.until.IsZero() {
		l.Set(level)
	}
}

// set takes a level for so long, and then the configured one again.
func (l *logLevel) set(level slog.Level, lasts time.Duration, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stop()
	l.until = now.Add(lasts).UTC()
	l.back = time.AfterFunc(lasts, l.reset)
	l.Set(level)
}

// reset goes back to the configured level.
func (l *logLevel) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stop()
	l.Set(l.configured)
}

// stop forgets a level that was set. The caller holds mu.
func (l *logLevel) stop() {
	if l.back != nil {
		l.back.Stop()
	}
	l.back, l.until = nil, time.Time{}
}

// toggle sets debug for an hour, or goes back where another level than the configured one
// is set.
func (l *logLevel) toggle(now time.Time) {
	if l.shown().Until != nil {
		l.reset()
		return
	}
	l.set(slog.LevelDebug, logLevelLasts, now)
}

func (l *logLevel) shown() daemon.LogLevel {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := daemon.LogLevel{Level: strings.ToLower(l.Level().String()), Configured: strings.ToLower(l.configured.String())}
	if !l.until.IsZero() {
		until := l.until
		out.Until = &until
	}
	return out
}

// logLevelLasts is how long a level lasts where nobody says for how long.
const logLevelLasts = time.Hour

// asConfigured, in the place of a level, is what daemon.yaml says.
const asConfigured = "configured"

const usesLevels = "use debug, info, warn, error or " + asConfigured

func logLevels() []string { return []string{"debug", "info", "warn", "error"} }

// LogLevel sets and tells from which level on the daemon logs.
func (r reconciler) LogLevel(q daemon.LogLevelRequest) (daemon.LogLevel, error) {
	switch level := slog.Level(0); {
	case q.Level == "":
		return r.sources.common().level.shown(), nil
	case q.Level == asConfigured:
		r.sources.common().level.reset()
	case !slices.Contains(logLevels(), q.Level) || level.UnmarshalText([]byte(q.Level)) != nil:
		return daemon.LogLevel{}, errors.New(usesLevels)
	case q.Seconds < 1 || q.Seconds > int64(longestPause/time.Second):
		return daemon.LogLevel{}, fmt.Errorf("log from level %s on: for at least a second and at most 30d", q.Level)
	default:
		r.sources.common().level.set(level, time.Duration(q.Seconds)*time.Second, r.sources.common().proc.Now())
	}
	shown := r.sources.common().level.shown()
	r.sources.log().Log(context.Background(), max(slog.LevelInfo, r.sources.common().level.Level()), "the log level was set", "log_level", shown.Level, "owner", q.Owner, "until", shown.Until)
	return shown, nil
}

// operator is what a person at the machine asks a daemon for without its socket.
type operator struct {
	began       time.Time // when the process did
	level       *logLevel
	runNow      <-chan os.Signal
	toggleDebug <-chan os.Signal
}

// listen serves what is asked for until ctx ends.
func (o operator) listen(ctx context.Context, d *daemon.Daemon, now func() time.Time, log *slog.Logger) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-o.runNow:
			started, err := d.RunNow("")
			if err != nil {
				log.Warn("SIGUSR1: nothing runs", "error", err.Error())
				continue
			}
			log.Info("SIGUSR1: running now", "environments", started)
		case <-o.toggleDebug:
			o.level.toggle(now())
			shown := o.level.shown()
			log.Log(ctx, max(slog.LevelInfo, o.level.Level()), "SIGUSR2: the log level was set", "log_level", shown.Level, "until", shown.Until)
		}
	}
}

func newLogLevelCommand(proc *Process) *cobra.Command {
	f := &stateFlags{}
	lasts := ""
	cmd := &cobra.Command{
		Use:   "log-level [LEVEL]",
		Short: "Let the daemon log more for a time, or less",
		Long: `Let the daemon log more for a time, or less: from debug, info, warn or error on.
It goes back by itself to log.level of daemon.yaml, or at once with the level
"configured". Without a level it says which one there is. With debug there is a
line for each call of the API: what it was about, how it ended, how long it took
and waited. No line holds a secret or what was sent.`,
		Example: `  reconcile log-level debug --for 15m
  reconcile log-level configured
  reconcile log-level`,
		Args:      takes(0, 1),
		ValidArgs: append(logLevels(), asConfigured),
		RunE: func(cmd *cobra.Command, args []string) error {
			request := daemon.LogLevelRequest{Level: strings.Join(args, "")}
			if len(args) > 0 && args[0] == "" {
				return usageError("log-level %q: name a level, or leave it out to see which one there is", args[0])
			}
			if !slices.Contains(append(logLevels(), asConfigured, ""), request.Level) {
				return misused(cmd, "%s", usesLevels)
			}
			length, err := parseFor(cmd, lasts, "it lasts at most 30d; for longer set log.level in daemon.yaml")
			if err != nil {
				return err
			}
			if cmd.Flags().Changed("for") && (request.Level == "" || request.Level == asConfigured) {
				return misused(cmd, "--for goes with a level: debug, info, warn or error")
			}
			request.Seconds = int64(length / time.Second)
			dir, err := f.folder(proc)
			if err != nil {
				return err
			}
			l, err := daemon.NewClient(dir).LogLevel(cmd.Context(), request)
			if err != nil {
				return noDaemon(err)
			}
			return say(proc, tell(logLevelWords(l)))
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&lasts, "for", "1h", "how long: a `duration` such as 15m, 2h or 1d, at most 30d")
	return cmd
}

func logLevelWords(l daemon.LogLevel) string {
	if l.Until == nil {
		return fmt.Sprintf("logs from %s on, as configured", l.Level)
	}
	return fmt.Sprintf("logs from %s on until %s, then from %s on", l.Level, minute(*l.Until), l.Configured)
}
