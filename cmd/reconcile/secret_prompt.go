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

const maxTyped = 64 << 10 // bytes read from standard input

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

// askSecret reads one line with echo off. An interrupt puts the terminal back
// as it was.
func askSecret(ctx context.Context, env *environment, file *os.File, what string) (secrets.Value, error) {
	fd := int(file.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return secrets.Value{}, fmt.Errorf("read secret: %w", err)
	}
	if _, err := fmt.Fprintf(env.Stderr, "%s (not shown): ", what); err != nil {
		return secrets.Value{}, err
	}
	type line struct {
		text []byte
		err  error
	}
	typed := make(chan line, 1)
	go func() {
		text, err := term.ReadPassword(fd)
		typed <- line{text, err}
	}()
	select {
	case <-ctx.Done():
		_ = term.Restore(fd, before)
		_, _ = fmt.Fprintln(env.Stderr)
		return secrets.Value{}, errors.New("read secret: interrupted; nothing was changed")
	case got := <-typed:
		_, _ = fmt.Fprintln(env.Stderr)
		if got.err != nil {
			return secrets.Value{}, fmt.Errorf("read secret: %w", got.err)
		}
		return secrets.NewValue(got.text), nil
	}
}
