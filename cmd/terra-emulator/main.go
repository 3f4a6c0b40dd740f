package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// version is set by the linker for releases; otherwise the build's own record
// of its module version is used.
var version string

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr, buildVersion())
	stop()
	os.Exit(code)
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

const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 64
)

// usage is a command line that cannot be understood.
type usage struct{ error }

func (u usage) Unwrap() error { return u.error }

// options are the flags.
type options struct {
	listen      string
	allowRemote bool
	state       string
	devIDs      []string
	token       string
	latency     time.Duration
	rate        string
	seed        uint64
	faults      []string
	readings    []string
	domainDelay time.Duration
	pairs       []string
	lifetimes   []string
	strict      bool
}

// run serves until ctx ends and returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer, version string) int {
	var o options
	command := newCommand(ctx, &o, stdout, stderr, version)
	command.SetArgs(args)
	err := command.Execute()
	if err == nil {
		return exitOK
	}
	_, _ = fmt.Fprintf(stderr, "terra-emulator: %v\n", err)
	var u usage
	if errors.As(err, &u) {
		return exitUsage
	}
	return exitFailed
}

func newCommand(ctx context.Context, o *options, stdout, stderr io.Writer, version string) *cobra.Command {
	c := &cobra.Command{
		Use:   "terra-emulator",
		Short: "Serve Terra's Admin API for one account in memory",
		Long: `Serve Terra's Admin API for one account in memory.

It prints what a client must export, then one line that starts with READY, and
serves until it is interrupted. Every call is judged by the contract; what
breaks it is printed as it happens. Do not give it real keys.`,
		Example: `  terra-emulator --dev-id staging --dev-id production --state terra.json
  terra-emulator --pair strava:123456:first-secret --token-lifetime strava=1m
  terra-emulator --latency 20ms --rate 300/1m
  terra-emulator --fault lost-answer:updateSourceCredentials
  terra-emulator --fault status-503:listSources:always`,
		Version:       version,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage{fmt.Errorf("unexpected argument %q: everything is a flag, see --help", args[0])}
			}
			return nil
		},
		RunE: func(*cobra.Command, []string) error {
			return serve(ctx, *o, stdout, stderr)
		},
	}
	c.SetOut(stdout)
	c.SetErr(stderr)
	c.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage{err} })
	f := c.Flags()
	f.StringVar(&o.listen, "listen", "127.0.0.1:0", "`address`, port 0 is any")
	f.BoolVar(&o.allowRemote, "allow-remote", false, "let other machines reach it, in plain HTTP")
	f.StringVar(&o.state, "state", "", "`file` to load the account from and to save it in")
	f.StringArrayVar(&o.devIDs, "dev-id", nil, "`id` of an environment to create, repeatable\n(an empty account gets demo)")
	f.StringVar(&o.token, "token", "", "admin `token` to accept, begins with terra_at_\n(else one of the state file, else a random one)")
	f.DurationVar(&o.latency, "latency", 0, "`time` to wait before each call")
	f.StringVar(&o.rate, "rate", "", "`limit` of a token as CALLS/TIME, say 300/1m")
	f.Uint64Var(&o.seed, "seed", 0, "`number` that decides the order of lists")
	f.StringArrayVar(&o.readings, "reading", nil, "`switch` of docs/emulator.md: another reading where\nthe contract is silent, repeatable")
	f.StringArrayVar(&o.faults, "fault", nil, "`fault` as KIND[:OPERATION[:NTH|always]],\nrepeatable; OPERATION * is any")
	f.DurationVar(&o.domainDelay, "domain-delay", 5*time.Second, "`time` until a claimed domain serves")
	f.StringArrayVar(&o.pairs, "pair", nil, "`pair` that its provider accepts, and no other, as\nPROVIDER:CLIENT_ID:SECRET, repeatable (a provider\nin the state file keeps what it has)")
	f.StringArrayVar(&o.lifetimes, "token-lifetime", nil, "`time` an access token lives as PROVIDER=TIME,\nrepeatable")
	f.BoolVar(&o.strict, "strict", false, "exit with 1 when a call broke the contract")
	return c
}
