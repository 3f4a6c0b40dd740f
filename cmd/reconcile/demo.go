package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/terra-reconcile/terra-reconcile/internal/terra/emulator"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

func newDemoCommand(env *environment) *cobra.Command {
	keep := false
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show all of it on a throw-away repository and an emulated Terra",
		Long: `Show all of it on a throw-away repository and an emulated Terra.

It makes a git repository with sealed secrets in a temporary folder, starts an
emulator of Terra's Admin API on this machine, and runs the commands you would
run. It needs no account and no network, and removes what it made.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return demo(cmd.Context(), env, keep) },
	}
	cmd.Flags().BoolVar(&keep, "keep", false, "leave the repository, the identity and the state behind")
	return cmd
}

// stage is where the demo plays.
type stage struct {
	env   *environment // of the commands it runs
	out   io.Writer
	dir   string
	terra *emulator.Server
}

func demo(ctx context.Context, env *environment, keep bool) (err error) {
	dir, err := os.MkdirTemp("", "reconcile-demo-")
	if err != nil {
		return fmt.Errorf("make demo folder: %w", err)
	}
	if !keep {
		defer func() { err = firstError(err, os.RemoveAll(dir)) }()
	}
	s := &stage{out: env.Stdout, dir: dir, terra: emulator.New(emulator.Config{Clock: env.Now})}
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

// play runs the commands of the demo and checks that each ends as it should.
func (s *stage) play(ctx context.Context) error {
	repo := filepath.Join(s.dir, "config")
	production := demoProduction()
	steps := []struct {
		title string
		does  func() error
		args  []string
		exit  int
	}{
		{"Check the files: offline, no key needed", nil, []string{"validate", repo}, exitOK},
		{"Preview: nothing is written", nil, []string{"--repo", repo, "--dry-run"}, report.ExitChanges},
		{"Apply", nil, []string{"--repo", repo, "--yes"}, report.ExitDone},
		{"Once more: nothing is left to do", nil, []string{"--repo", repo, "--yes"}, report.ExitDone},
		{"Somebody pauses Strava by hand in the dashboard: the next look finds it",
			func() error { s.terra.Pause(production, "strava"); return nil }, []string{"--repo", repo, "--dry-run"}, report.ExitChanges},
		{"The next run puts it back", nil, []string{"--repo", repo, "--yes"}, report.ExitDone},
	}
	if err := s.say("A demo of terra-reconcile. Terra is emulated; nothing leaves this machine.\n" +
		"The config repository is a git folder with sealed secrets:\n\n" + demoTree()); err != nil {
		return err
	}
	for i, step := range steps {
		if step.does != nil {
			if err := step.does(); err != nil {
				return err
			}
		}
		if err := s.say(fmt.Sprintf("\n%d. %s\n\n   $ reconcile %s\n\n", i+1, step.title, shown(step.args, repo))); err != nil {
			return err
		}
		if code := run(ctx, step.args, s.env); code != step.exit {
			return fmt.Errorf("demo step %d ended with exit code %d, expected %d", i+1, code, step.exit)
		}
		if err := s.say(fmt.Sprintf("\n   (exit code %d)\n", step.exit)); err != nil {
			return err
		}
	}
	return s.say("\nThat was all of it. Next: `reconcile --help`, and examples/ in the source.\n")
}

func (s *stage) say(text string) error {
	_, err := io.WriteString(s.out, text)
	return err
}

// shown is a command line as a person would type it inside the repository.
func shown(args []string, repo string) string {
	out := ""
	for i, a := range args {
		if a == "--repo" || a == repo && i > 0 {
			continue
		}
		if out != "" {
			out += " "
		}
		out += a
	}
	return out
}
