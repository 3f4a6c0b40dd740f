package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"
	_ "time/tzdata" // zones of schedules and windows are known on every machine, however it was built

	"github.com/terra-reconcile/terra-reconcile/internal/cli"
)

// version is set by the linker for releases; otherwise the build's own record
// of its module version is used.
var version string

func main() {
	harden()
	ctx, stop := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		<-signals
		stop()
		if number, ok := (<-signals).(syscall.Signal); ok { // a second one ends the process at once
			os.Exit(128 + int(number)) // as a shell says it of a process that a signal ended
		}
	}()
	endLate(ctx, grace, func() {
		fmt.Fprintf(os.Stderr, "reconcile: did not end within %s, so it was ended; is a file that it reads a pipe that nobody writes to?\n", grace)
		os.Exit(1)
	})
	code := cli.Run(ctx, os.Args[1:], cli.ThisProcess(buildVersion()))
	stop()
	os.Exit(code)
}

// grace is how long a process may take to end that was told to: more than a run under way
// needs, and less than the ten seconds that Docker gives it.
const grace = 9 * time.Second

// endLate calls end when ctx has ended for that long: reading a pipe waits for its other
// end, whatever this process is told.
func endLate(ctx context.Context, wait time.Duration, end func()) {
	context.AfterFunc(ctx, func() { time.AfterFunc(wait, end) })
}

func buildVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "dev"
}
