package cli

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/spf13/cobra"

	"github.com/terra-reconcile/terra-reconcile/internal/advice"
	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
	"github.com/terra-reconcile/terra-reconcile/internal/metrics"
	"github.com/terra-reconcile/terra-reconcile/internal/neighbour"
	"github.com/terra-reconcile/terra-reconcile/internal/preview"
	"github.com/terra-reconcile/terra-reconcile/internal/terra"
	"github.com/terra-reconcile/terra-reconcile/internal/visible"
	"github.com/terra-reconcile/terra-reconcile/internal/web"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// runsAtOnce is how many environments of one account the daemon runs at a time.
const runsAtOnce = 4

func newDaemonCommand(proc *Process) *cobra.Command {
	file := ""
	cmd := &cobra.Command{
		Use:   "daemon",
		Short: "Keep Terra matching the repository: poll git, run by schedule",
		Long: `Keep Terra matching the repository: poll git, run by schedule.

It runs an environment when a new commit arrives and whenever its schedule says
so. A commit whose terra.yaml is wrong is not used; an environment whose files
are wrong stays on its last valid commit. SIGTERM lets a call that has left be
answered, then ends. GET /healthz answers 200 while it makes progress. A changed
daemon.yaml is taken by itself, or at once by SIGHUP; one that is wrong is not.
SIGUSR1 runs all environments now. SIGUSR2 logs at debug for an hour, or ends
that.`,
		Example: "  reconcile daemon --config /etc/terra-reconcile/daemon.yaml",
		Args:    takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return keepServing(cmd.Context(), proc, file)
		},
	}
	cmd.Flags().StringVar(&file, "config", "daemon.yaml", "`file` of the runner's own configuration")
	return cmd
}

// serveDaemon serves until ctx ends, and calls started as soon as it does.
func serveDaemon(ctx context.Context, proc *Process, c config.Config, by operator, file func() daemon.ConfigStatus, log *slog.Logger, started func()) (err error) {
	mode := report.DryRun
	if c.Apply {
		mode = report.Apply
	}
	if err := c.CheckServing(); err != nil {
		return err
	}
	var certificate *daemon.Certificate
	if c.TLS.IsSet() {
		if certificate, err = daemon.LoadCertificate(c.TLS.CertFile, c.TLS.KeyFile, log); err != nil {
			return c.TLS.Problem(err)
		}
	}
	ask, err := newProber(c)
	if err != nil {
		return err
	}
	store, _, err := openStore(ctx, c.StateDir, report.Apply) // also an observe-only daemon remembers pauses and valid commits
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if store.Missing() {
		log.Warn(noMemoryYet, "path", c.StateDir)
	}
	transport := terra.NewTransport()
	defer transport.CloseIdleConnections() // another one follows when daemon.yaml changes
	common := &commitSource{proc: proc, began: proc.Now(), mode: mode, store: store, log: log, level: by.level, limits: terra.NewLimits(), transport: transport, prober: ask, file: file}
	all, stopAll, err := openSources(ctx, c, common)
	if err != nil {
		return err
	}
	defer stopAll()
	tell, err := newMessages(all)
	if err != nil {
		return err
	}
	logReceivers(log, c.Notify)
	var followed []daemon.Source
	for _, s := range all {
		followed = append(followed, daemon.Source{Name: s.config.Repo.Name, Poller: tell.poller(s), Runner: s, Poll: s.config.Repo.Poll, Wake: s.wake})
	}
	code := findProgram()
	d, err := daemon.New(daemon.Options{
		Sources: followed, Log: log, Deadline: c.CycleDeadline, UnreadyAfter: c.UnreadyAfter, AtOnce: runsAtOnce, Spread: rand.Float64, ScheduleSpread: c.ScheduleSpread, Started: by.began, Now: proc.Now, Check: func() error { return withAdvice(store.Check()) },
		Paused: all.paused, Rest: func() { rest(transport, code) },
	})
	if err != nil {
		return err
	}
	answers := reconciler{d, all, tell}
	measured := metrics.New(metrics.Options{Version: proc.Version, Snapshot: answers.snapshot})
	for _, s := range all {
		s.metrics = measured
	}
	defer tell.start(ctx, d)()
	control := daemonControl{all.controlServer(), d, all}
	stopControl, err := daemon.Serve(ctx, c.StateDir, control, answers, log)
	if err != nil {
		return err
	}
	defer stopControl()
	site, err := newSite(c, webSource{answers, control}, measured.Handler(), proc.Now, log)
	if err != nil {
		return err
	}
	pages, stopPages := servePages(ctx, all, d, site)
	_, stopHTTP, err := daemon.Listen(ctx, c.Listen, certificate, pages, log)
	if err != nil {
		return err
	}
	defer func() { stopPages(); stopHTTP() }()
	started()
	log.Info("started", "version", proc.Version, "repository", all.String(), "mode", string(mode), "listen", c.Listen)
	go by.listen(ctx, d, proc.Now, log)
	err = d.Run(ctx)
	log.Info("stopped")
	return err
}

// rest gives back what runs took: several times what a daemon keeps, and nothing would ask
// for it until the next run.
func rest(transport *http.Transport, code programCode) {
	transport.CloseIdleConnections()
	debug.FreeOSMemory()
	code.rest()
}

// servePages are what is served on listen: health, the page, the API and the metrics where
// they are protected, and of each repository previews and what its forge says, where the runner
// has them. stop waits for those under way, which end with ctx.
func servePages(ctx context.Context, all sources, d *daemon.Daemon, site *web.Site) (pages *http.ServeMux, stop func()) {
	mux := http.NewServeMux()
	mux.Handle("/healthz", d.Handler())
	mux.Handle("/readyz", d.Handler())
	mux.Handle("GET /metrics", metricsPage(site, all.common().metrics))
	if site != nil {
		mux.Handle("/", site)
	}
	var stops []func()
	var hooked []string
	behind := all.common().limits.Behind()
	for _, s := range all {
		repo := s.config.Repo
		if rule := s.config.Preview; rule != nil {
			door := preview.NewDoor(preview.Options{
				Key: rule.Key, Forks: rule.Forks, Plan: previews{s, behind, s.heard}.plan, Stay: daemon.Stay, Now: s.proc.Now, Log: s.log,
			})
			mux.Handle(preview.PathOf(repo.Name), door)
			context.AfterFunc(ctx, door.Stop)
			stops = append(stops, door.Stop)
		}
		if hook := repo.Hook; hook != nil {
			answers, stopHook := daemon.Hook(daemon.HookOptions{Name: repo.Name, Forge: hook.Forge, Secret: hook.Key, Wake: func() { hint(s.wake) }, Now: s.proc.Now})
			mux.Handle(daemon.HookPathOf(repo.Name), answers)
			stops, hooked = append(stops, stopHook), append(hooked, repo.Name)
		}
	}
	if len(hooked) > 0 {
		elsewhere := daemon.HookElsewhere(hooked, all.log())
		mux.Handle(daemon.HookPath+"/", elsewhere)
		if hooked[0] != "" {
			mux.Handle(daemon.HookPath, elsewhere)
		}
	}
	return mux, func() {
		for _, stop := range stops {
			stop()
		}
	}
}

func newLog(proc *Process, c config.Log, level *logLevel) (*slog.Logger, error) {
	var configured slog.Level
	if err := configured.UnmarshalText([]byte(c.Level)); err != nil {
		return nil, fmt.Errorf("configure log: %w", err)
	}
	level.asConfigured(configured)
	options := &slog.HandlerOptions{Level: level}
	if c.Format == "text" {
		options.ReplaceAttr = visibleAttr
		return slog.New(slog.NewTextHandler(proc.Stderr, options)), nil
	}
	return slog.New(slog.NewJSONHandler(escaping{proc.Stderr}, options)), nil
}

// logEnd tells who collects a log of JSON why the daemon does not start, or has ended. A person
// reads it as text, also at a terminal.
func logEnd(proc *Process, c config.Log, err error) {
	if err == nil || c.Format == "text" || proc.Terminals.Stderr {
		return
	}
	if c == (config.Log{}) { // nobody could read which
		c = config.Log{Format: config.DefaultLogFormat, Level: config.DefaultLogLevel}
	}
	log, cannot := newLog(proc, c, &logLevel{})
	if cannot == nil {
		log.Error("the daemon does not run", "error", withAdvice(err).Error())
	}
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

// withAdvice tells in one line what is wrong and what to do.
func withAdvice(err error) error {
	for _, next := range advice.All(err) {
		err = fmt.Errorf("%w; %s", err, next.Text)
	}
	return err
}

// configLooked is how often the daemon looks whether its file is another one.
const configLooked = 5 * time.Second

// configured is a configuration and what the file held that says so.
type configured struct {
	config.Config
	digest fileDigest
}

// keepServing serves as the file says until ctx ends, and again when it says
// something else. What cannot be read or started with is not used.
func keepServing(ctx context.Context, proc *Process, file string) (err error) {
	current := configured{digest: digestOf(file)}
	defer func() { logEnd(proc, current.Log, err) }()
	if current.Config, err = config.Load(file, proc.Getenv); err != nil {
		return err
	}
	signal.Ignore(syscall.SIGPIPE) // who reads the log may go away, and what is kept going must not
	hangUp := make(chan os.Signal, 1)
	signal.Notify(hangUp, syscall.SIGHUP)
	defer signal.Stop(hangUp)
	by := operator{began: proc.Now(), level: &logLevel{}}
	var stopSignals func()
	by.runNow, by.toggleDebug, stopSignals = listenSignals()
	defer stopSignals()
	w := &configWatch{file: file, getenv: proc.Getenv, asked: hangUp}
	var former *configured
	for {
		var log *slog.Logger
		if log, err = newLog(proc, current.Log, by.level); err != nil {
			return err
		}
		w.running = current.digest
		next, started, err := serveUntilChanged(ctx, proc, current.Config, by, w, log)
		notStarted := err != nil && !started && former != nil
		if notStarted {
			log.Error("the changed configuration cannot be started with", "file", file, "error", err.Error())
			digest := current.digest
			w.refused = &digest
			w.note(err)
		}
		switch {
		case ctx.Err() != nil, err != nil && !notStarted, err == nil && next == nil:
			return err
		case next != nil:
			log.Info("the configuration has changed; starting again with it", "file", file)
			if !notStarted {
				was := current
				former = &was
			}
			current = *next
		default:
			log.Info("going on with the former configuration", "file", file)
			current, former = *former, nil
		}
	}
}

// serveUntilChanged serves until ctx ends, then next is nil, or until there is
// another configuration. A run under way ends as with SIGTERM.
func serveUntilChanged(ctx context.Context, proc *Process, c config.Config, by operator, w *configWatch, log *slog.Logger) (next *configured, started bool, err error) {
	ctx, stop := context.WithCancel(ctx)
	found := make(chan *configured, 1)
	go func() {
		defer stop()
		found <- w.wait(ctx, log)
	}()
	err = serveDaemon(ctx, proc, c, by, w.status, log, func() { started = true })
	stop()
	return <-found, started, err
}

// configWatch notices another configuration by what the file holds, so it does not
// matter how it was replaced. One goroutine at a time may wait.
type configWatch struct {
	file    string
	getenv  func(string) string
	asked   <-chan os.Signal // look now
	running fileDigest       // of what is in use
	refused *fileDigest      // of what cannot be used; nil: there is nothing
	seen    fileDigest       // at the last look
	said    string           // why the last was not used

	mu  sync.Mutex // of the rest, which others ask for
	now daemon.ConfigStatus
}

// status may be called at any time.
func (w *configWatch) status() daemon.ConfigStatus {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

// note notes why what the file holds is not used.
func (w *configWatch) note(err error) {
	text := withAdvice(err).Error()
	if invalid := (*config.InvalidError)(nil); errors.As(err, &invalid) && len(invalid.Problems) > 1 {
		text = invalid.Problems[0].String() + " (and " + visible.Plural(len(invalid.Problems)-1, "more error", "more errors") + ")"
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.now.RefusedSince == nil {
		since := time.Now().UTC()
		w.now.RefusedSince = &since
	}
	w.now.Error = strings.Join(strings.Fields(text), " ")
}

// accept forgets what was not used: the file is what the daemon runs with, or will.
func (w *configWatch) accept() {
	w.refused, w.said = nil, ""
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = daemon.ConfigStatus{}
}

type fileDigest [sha256.Size]byte

// digestOf gives the zero digest for a file that cannot be read.
func digestOf(file string) fileDigest {
	data, err := os.ReadFile(file)
	if err != nil {
		return fileDigest{}
	}
	return sha256.Sum256(data)
}

// wait gives the next configuration that is valid, nil when ctx ends first. A file
// that is being written is left alone: two looks have to find the same, or a person
// has to say that it is done. What is wrong is logged once.
func (w *configWatch) wait(ctx context.Context, log *slog.Logger) *configured {
	looks := time.NewTicker(configLooked)
	defer looks.Stop()
	for {
		asked := false
		select {
		case <-ctx.Done():
			return nil
		case <-w.asked:
			asked = true
			log.Info("SIGHUP: the configuration is read again", "file", w.file)
		case <-looks.C:
		}
		found := digestOf(w.file)
		settled, refused := found == w.seen, w.refused != nil && found == *w.refused
		w.seen = found
		switch {
		case found == w.running:
			ended := w.status().Error != ""
			w.accept()
			switch {
			case ended:
				log.Info("what was refused of the configuration is gone; the file says again what is in use", "file", w.file)
			case asked:
				log.Info("the configuration is the one in use", "file", w.file)
			}
			continue
		case asked && refused:
			log.Warn("the configuration is the one that could not be used; mend what its error says and change the file, then it is tried again", "file", w.file, "error", w.status().Error)
			continue
		case refused, !settled && !asked:
			continue
		}
		c, err := config.Load(w.file, w.getenv)
		if err == nil {
			w.accept()
			return &configured{c, found}
		}
		if open := (*neighbour.OpenError)(nil); !errors.As(err, &open) { // which no character of the file puts right
			w.refused, refused = &found, true
		}
		w.note(err)
		if text := withAdvice(err).Error(); asked || refused || text != w.said {
			w.said = text
			log.Error("the changed configuration is not used; going on with the former", "file", w.file, "error", text)
		}
	}
}

// watch wakes the daemon when a repository that is a folder of this machine gets
// a new commit. A repository elsewhere is only polled. wake says "look again",
// never what happened, and what cannot be watched is polled too.
func watch(url string, wake chan<- struct{}, log *slog.Logger) (stop func()) {
	dir := url
	if info, err := os.Stat(filepath.Join(url, ".git")); err == nil && info.IsDir() {
		dir = filepath.Join(url, ".git")
	}
	if info, err := os.Stat(filepath.Join(dir, "refs", "heads")); err != nil || !info.IsDir() {
		return func() {}
	}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		log.Warn("the repository is polled, not watched", "error", err.Error())
		return func() {}
	}
	// Folders, not files: git replaces files, and a watch on one goes blind.
	folders := []string{dir, filepath.Join(dir, "refs", "heads")}
	if tags := filepath.Join(dir, "refs", "tags"); isFolder(tags) {
		folders = append(folders, tags)
	}
	for _, folder := range folders {
		if err := watcher.Add(folder); err != nil {
			log.Warn("the repository is polled, not watched", "error", err.Error())
		}
	}
	go func() {
		for range watcher.Events {
			hint(wake)
		}
	}()
	go func() {
		for err := range watcher.Errors {
			log.Warn("watching the repository", "error", err.Error())
		}
	}()
	return func() { _ = watcher.Close() }
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// hint leaves a sign, unless one is waiting already.
func hint(wake chan<- struct{}) {
	select {
	case wake <- struct{}{}:
	default:
	}
}
