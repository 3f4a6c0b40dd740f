package main

import (
	"context"
	"fmt"
	"io/fs"
	"time"

	"github.com/spf13/cobra"

	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/secrets"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

// checkDeadline bounds each check that asks somebody else.
const checkDeadline = 20 * time.Second

func newDoctorCommand(env *environment) *cobra.Command {
	f := &runFlags{}
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look for what is wrong with the runner, the repository and Terra",
		Long: `Look for what is wrong with the runner, the repository and Terra.

Each line is one check: ok, warn, fail, or skip where it could not be made. A
check that is not ok says what to do next. Nothing is changed, and no secret is
shown. With --probe the data providers are asked whether they know the pairs of
client id and secret, each at most once an hour; the answers are remembered.

It exits with 1 when a check fails, else with 0.`,
		Example: `  reconcile doctor
  reconcile doctor --config /etc/terra-reconcile/daemon.yaml
  reconcile doctor --env production --probe
  reconcile doctor -o json`,
		Args: takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !oneOf(f.format, "text", "json") {
				return usageError("--output %q: use text or json", f.format)
			}
			d := &doctor{env: env, flags: f, older: map[string][]openPair{}, refused: map[string]bool{}}
			d.examine(cmd.Context())
			if err := d.print(); err != nil {
				return fmt.Errorf("print checks: %w", err)
			}
			if d.count(statusFail) > 0 {
				return &exitError{code: exitFailed}
			}
			return nil
		},
	}
	f.addSource(cmd)
	cmd.Flags().StringVarP(&f.format, "output", "o", "text", "`format`: text or json")
	cmd.Flags().BoolVar(&f.probe, "probe", false, "ask the providers whether they know the pairs")
	return cmd
}

// doctor makes the checks one after another; later ones use what earlier ones
// have found.
type doctor struct {
	env        *environment
	flags      *runFlags
	checks     []checked
	config     config.Config
	files      fs.FS    // nil: the repository could not be read
	set        spec.Set // empty then
	identities *secrets.Identities
	pairs      []openPair
	older      map[string][]openPair // by connection: those before the one that is due
	daemon     bool                  // it answers
	refused    map[string]bool       // accounts whose token does not work
	clock      *clockTransport
}

// statuses of a check.
const (
	statusOK   = "ok"
	statusWarn = "warn"
	statusFail = "fail"
	statusSkip = "skip"
)

// checked is one line: what was checked, of what, and how it is.
type checked struct {
	Check  string `json:"check"`
	About  string `json:"about"`
	Status string `json:"status"`
	Says   string `json:"says"`
	Next   string `json:"next"`
}

func (d *doctor) say(status, check, about, says, next string) {
	d.checks = append(d.checks, checked{check, about, status, d.env.asked.complete(says), d.env.asked.complete(next)})
}

func (d *doctor) ok(check, about, says string)         { d.say(statusOK, check, about, says, "") }
func (d *doctor) warn(check, about, says, next string) { d.say(statusWarn, check, about, says, next) }
func (d *doctor) fail(check, about, says, next string) { d.say(statusFail, check, about, says, next) }
func (d *doctor) skip(check, about, says, next string) { d.say(statusSkip, check, about, says, next) }

func (d *doctor) count(status string) int {
	n := 0
	for _, c := range d.checks {
		if c.Status == status {
			n++
		}
	}
	return n
}

func (d *doctor) examine(ctx context.Context) {
	if !d.configuration() {
		return
	}
	d.secretFiles("/")
	if d.repository(ctx) && d.load() {
		d.secrets()
		d.recipients()
	}
	d.askDaemon(ctx)
	d.state(ctx)
	d.terra(ctx)
	d.probe(ctx)
}

// chosen lists the environments that are asked for and whose files are good.
func (d *doctor) chosen() []spec.Environment {
	only := d.flags.environments
	if len(only) == 0 {
		only = d.config.Environments
	}
	var out []spec.Environment
	for _, e := range d.set.Environments {
		if chosen(only, e.Name) && !e.Invalid {
			out = append(out, e)
		}
	}
	return out
}
