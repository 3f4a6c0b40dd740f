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

// keepServing serves as the file says until ctx ends, and anew when it says
// something else. What cannot be read or started is not used.
func keepServing(ctx context.Context, env *environment, file string) error {
	running := digestOf(file)
	c, err := config.Load(file, env.Getenv)
	if err != nil {
		return err
	}
	hangUp := make(chan os.Signal, 1)
	signal.Notify(hangUp, syscall.SIGHUP)
	defer signal.Stop(hangUp)
	w := &configWatch{file: file, getenv: env.Getenv, running: running, asked: hangUp}
	var former *config.Config
	for {
		log, err := newLog(env, c.Log)
		if err != nil {
			return err
		}
		next, started, err := serveUntilChanged(ctx, env, c, w, log)
		switch {
		case err != nil && !started && former != nil && ctx.Err() == nil:
			log.Error("the changed configuration cannot be started with; going on with the former", "file", file, "error", err.Error())
			c, former = *former, nil
			w.refused, w.running, running = w.running, running, w.running
		case err != nil || next == nil || ctx.Err() != nil:
			return err
		default:
			log.Info("the configuration has changed; starting anew with it", "file", file)
			was := c
			former, c = &was, *next
		}
	}
}

// serveUntilChanged serves until ctx ends, then next is nil, or until there is
// another configuration. A run under way ends as with SIGTERM.
func serveUntilChanged(ctx context.Context, env *environment, c config.Config, w *configWatch, log *slog.Logger) (next *config.Config, started bool, err error) {
	ctx, stop := context.WithCancel(ctx)
	found := make(chan *config.Config, 1)
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
func (w *configWatch) wait(ctx context.Context, log *slog.Logger) *config.Config {
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
		if w.seen = found; found == w.running || found == w.refused || !settled && !told {
			continue
		}
		c, err := config.Load(w.file, w.getenv)
		if err == nil {
			w.running = found
			return &c
		}
		w.refused = found
		log.Error("the changed configuration is not used; going on with the former", "file", w.file, "error", err.Error())
	}
}
