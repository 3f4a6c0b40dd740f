package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run plays the part that the arguments name; without any it measures.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	var err error
	switch {
	case len(args) == 0:
		err = measure(ctx, stdout, stderr)
	case args[0] == partEmulator:
		err = serve(ctx, args[1:], stdin, stdout)
	case args[0] == partAuthor:
		err = author(args[1:])
	case args[0] == partEngine:
		err = passes(ctx, args[1:], stdout)
	default:
		err = fmt.Errorf("unexpected argument %q: bench takes none", args[0])
	}
	if errors.Is(err, errMissed) {
		return 1
	}
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "bench: %v\n", err)
		return 1
	}
	return 0
}
