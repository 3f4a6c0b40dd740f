//go:build unix

package cli

import (
	"os"
	"os/signal"
	"syscall"
)

// listenSignals gives the signals by which a person asks a daemon for something, until stop.
// None of them ends the process from then on.
func listenSignals() (runNow, toggleDebug <-chan os.Signal, stop func()) {
	now, debug := make(chan os.Signal, 1), make(chan os.Signal, 1)
	signal.Notify(now, syscall.SIGUSR1)
	signal.Notify(debug, syscall.SIGUSR2)
	return now, debug, func() { signal.Stop(now); signal.Stop(debug) }
}
