package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/terra-reconcile/terra-reconcile/internal/terra/emulator"
)

func newDemoCommand(env *environment) *cobra.Command {
	keep := false
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show all of it on a throw-away repository and an emulated Terra",
		Long: `Show all of it on a throw-away repository and an emulated Terra.

It makes a git repository with sealed secrets in a temporary folder, starts an
emulator of Terra's Admin API and of the data providers behind it on this
machine, and runs the commands you would run, weeks of them in seconds. It needs
no account and no network, and removes what it made.`,
		Args: takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error { return demo(cmd.Context(), env, keep) },
	}
	cmd.Flags().BoolVar(&keep, "keep", false, "leave the repository, the identity and the state behind")
	return cmd
}

// stage is where the demo plays.
type stage struct {
	env    *environment // of the commands it runs
	out    io.Writer
	dir    string
	terra  *emulator.Server
	passed time.Duration // how far its clock is ahead
	played int           // acts so far
}

func demo(ctx context.Context, env *environment, keep bool) (err error) {
	dir, err := os.MkdirTemp("", "reconcile-demo-")
	if err != nil {
		return fmt.Errorf("make demo folder: %w", err)
	}
	if !keep {
		defer func() { err = firstError(err, os.RemoveAll(dir)) }()
	}
	s := &stage{out: env.Stdout, dir: dir}
	s.terra = emulator.New(emulator.Config{Clock: func() time.Time { return env.Now().Add(s.passed) }})
	address, stop, err := serve(ctx, s.terra)
	if err != nil {
		return err
	}
	defer stop()
	if err := s.prepare(env, address); err != nil {
		return err
	}
	if err := s.play(ctx); err != nil {
		return err
	}
	if keep {
		_, err = fmt.Fprintf(s.out, "Kept: %s\n", dir)
	}
	return err
}

func firstError(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// serve puts the emulator on a free port of this machine.
func serve(ctx context.Context, handler http.Handler) (address string, stop func(), err error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, fmt.Errorf("serve emulator: %w", err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }()
	return "http://" + listener.Addr().String() + emulator.BasePath, func() { _ = server.Close() }, nil
}

func (s *stage) say(text string) error {
	_, err := io.WriteString(s.out, text)
	return err
}
