package main

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/config"
)

// configLooked is how often the daemon looks whether its file is another one.
const configLooked = 5 * time.Second

// configured is a configuration and what the file held that says so.
type configured struct {
	config.Config
	digest fileDigest
}

// keepServing serves as the file says until ctx ends, and anew when it says
// something else. What cannot be read or started with is not used.
func keepServing(ctx context.Context, env *environment, file string) error {
	current := configured{digest: digestOf(file)}
	var err error
	if current.Config, err = config.Load(file, env.Getenv); err != nil {
		return err
	}
	hangUp := make(chan os.Signal, 1)
	signal.Notify(hangUp, syscall.SIGHUP)
	defer signal.Stop(hangUp)
	w := &configWatch{file: file, getenv: env.Getenv, asked: hangUp}
	var former *configured
	for {
		log, err := newLog(env, current.Log)
		if err != nil {
			return err
		}
		w.running = current.digest
		next, started, err := serveUntilChanged(ctx, env, current.Config, w, log)
		notStarted := err != nil && !started && former != nil
		if notStarted {
			log.Error("the changed configuration cannot be started with", "file", file, "error", err.Error())
			w.refused = current.digest
		}
		switch {
		case ctx.Err() != nil, err != nil && !notStarted, err == nil && next == nil:
			return err
		case next != nil:
			log.Info("the configuration has changed; starting anew with it", "file", file)
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
func serveUntilChanged(ctx context.Context, env *environment, c config.Config, w *configWatch, log *slog.Logger) (next *configured, started bool, err error) {
	ctx, stop := context.WithCancel(ctx)
	found := make(chan *configured, 1)
	go func() {
		defer stop()
		found <- w.wait(ctx, log)
	}()
	err = serveDaemon(ctx, env, c, log, func() { started = true })
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
	refused fileDigest       // of what cannot be used
	seen    fileDigest       // at the last look
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
// has to say that it is done. What is wrong is told once.
func (w *configWatch) wait(ctx context.Context, log *slog.Logger) *configured {
	looks := time.NewTicker(configLooked)
	defer looks.Stop()
	for {
		told := false
		select {
		case <-ctx.Done():
			return nil
		case <-w.asked:
			told = true
			log.Info("SIGHUP: the configuration is read again", "file", w.file)
		case <-looks.C:
		}
		found := digestOf(w.file)
		settled := found == w.seen
		w.seen = found
		switch {
		case told && found == w.running:
			log.Info("the configuration is the one in use", "file", w.file)
			continue
		case told && found == w.refused:
			log.Warn("the configuration is the one that could not be used; change it, or start the daemon anew", "file", w.file)
			continue
		case found == w.running, found == w.refused, !settled && !told:
			continue
		}
		c, err := config.Load(w.file, w.getenv)
		if err == nil {
			return &configured{c, found}
		}
		w.refused = found
		log.Error("the changed configuration is not used; going on with the former", "file", w.file, "error", err.Error())
	}
}
