//go:build !unix

package cli

import "os"

// listenSignals gives none: this system has no signals for it. reconcile now and log-level
// do the same.
func listenSignals() (runNow, toggleDebug <-chan os.Signal, stop func()) { return nil, nil, func() {} }
