package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/terra-reconcile/terra-reconcile/secrets"
)

const (
	maxTyped  = 64 << 10 // bytes read from standard input
	mostTyped = 4096     // characters that a line on a terminal can have; more are lost
)

// readSecret asks for a secret without showing it, or reads standard input up
// to its end and drops one line ending.
func readSecret(ctx context.Context, env *environment, what string) (secrets.Value, error) {
	if file, ok := env.Stdin.(*os.File); ok && env.IsTerminal(env.Stdin) {
		return askSecret(ctx, env, file, what)
	}
	text, err := io.ReadAll(io.LimitReader(env.Stdin, maxTyped+1))
	if err != nil {
		return secrets.Value{}, fmt.Errorf("read secret: %w", err)
	}
	if len(text) > maxTyped {
		return secrets.Value{}, errors.New("read secret: standard input is larger than 64 KiB")
	}
	one := strings.TrimSuffix(string(text), "\n")
	if len(one) < len(text) {
		one = strings.TrimSuffix(one, "\r")
	}
	return secrets.NewValue([]byte(one)), nil
}

// askSecret reads one line that the terminal does not show, not even what was
// typed before the question stood there. An interrupt and the end of input put
// the terminal back as it was.
func askSecret(ctx context.Context, env *environment, file *os.File, what string) (secrets.Value, error) {
	fd := int(file.Fd())
	before, err := term.MakeRaw(fd)
	if err != nil {
		return secrets.Value{}, fmt.Errorf("read secret: %w", err)
	}
	type line struct {
		text string
		err  error
	}
	typed := make(chan line, 1)
	go func() {
		screen := struct {
			io.Reader
			io.Writer
		}{file, env.Stderr}
		text, err := term.NewTerminal(screen, "").ReadPassword(what + " (not shown): ")
		typed <- line{text, err}
	}()
	got := line{err: io.EOF}
	select {
	case <-ctx.Done():
	case got = <-typed:
	}
	if err := term.Restore(fd, before); err != nil {
		return secrets.Value{}, fmt.Errorf("read secret: %w", err)
	}
	switch {
	case errors.Is(got.err, io.EOF): // Ctrl-C and Ctrl-D
		_, _ = fmt.Fprintln(env.Stderr)
		return secrets.Value{}, errors.New("read secret: interrupted; nothing was changed")
	case got.err != nil:
		return secrets.Value{}, fmt.Errorf("read secret: %w", got.err)
	case len(got.text) >= mostTyped:
		return secrets.Value{}, errors.New("read secret: it is too long to be typed; give it on standard input")
	}
	return secrets.NewValue([]byte(got.text)), nil
}
