package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
	"github.com/terra-reconcile/terra-reconcile/internal/doctor"
	"github.com/terra-reconcile/terra-reconcile/internal/gitsource"
	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/internal/terra"
	"github.com/terra-reconcile/terra-reconcile/internal/visible"
	"github.com/terra-reconcile/terra-reconcile/reconcile"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// doctorSchema names the form of the JSON document.
const doctorSchema = "terra-reconcile/doctor/v1"

func newDoctorCommand(proc *Process) *cobra.Command {
	f, probe, format := &sourceFlags{}, false, ""
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
			results := examine(cmd.Context(), proc, f, probe)
			code := exitOK
			if doctor.Count(results, doctor.Fail) > 0 {
				code = exitFailed
			}
			if err := printResults(proc, format, code, results); err != nil {
				return fmt.Errorf("print checks: %w", err)
			}
			if code != exitOK {
				return &exitError{code: code}
			}
			return nil
		},
	}
	f.add(cmd)
	addOutput(cmd, &format)
	cmd.Flags().BoolVar(&probe, "probe", false, "ask the providers whether they know the pairs")
	return cmd
}

// examine looks at the repository, or at each of several where nobody named one. What is found of
// all of them alike stands there once, before what is found of one.
func examine(ctx context.Context, proc *Process, f *sourceFlags, probe bool) []doctor.Result {
	names := f.several(proc)
	if len(names) == 0 {
		names = []string{""}
	}
	asked := proc.asked
	var each [][]doctor.Result
	for _, name := range names {
		one := *f
		one.named, proc.asked = name, asked
		results := doctor.Examine(ctx, doctorOptions(proc, &one, probe))
		for i := range results {
			proc.asked.completeEach(results[i].Remediations)
		}
		each = append(each, results)
	}
	if len(each) == 1 {
		return each[0]
	}
	proc.asked = asked
	isOfAll := func(r doctor.Result) bool {
		return !slices.ContainsFunc(each, func(list []doctor.Result) bool {
			return !slices.ContainsFunc(list, func(other doctor.Result) bool {
				return other.Check == r.Check && other.Subject == r.Subject && other.Status == r.Status && other.Message == r.Message
			})
		})
	}
	out := slices.DeleteFunc(slices.Clone(each[0]), func(r doctor.Result) bool { return !isOfAll(r) })
	for i, results := range each {
		for _, r := range results {
			if !isOfAll(r) {
				r.Subject = strings.TrimSpace(names[i] + " " + r.Subject)
				out = append(out, r)
			}
		}
	}
	return out
}

// doctorOptions lets the doctor look with the means of a run.
func doctorOptions(proc *Process, f *sourceFlags, probe bool) doctor.Options {
	c, err := f.configuration(proc)
	proc.asked.reads(c.Repo)
	ask, askErr := newProber(c)
	var git *gitsource.Source // of the files that were read last
	return doctor.Options{
		Starts: func() error { return wouldStart(c) },
		Now:    proc.Now, Version: proc.Version, Config: c, ConfigErr: err, ConfigFile: f.config, Named: f.environments, Elsewhere: f.given != nil && f.given.Changed, Probe: probe,
		Files: func(ctx context.Context) (fs.FS, gitsource.Commit, error) {
			files, commit, source, err := openFiles(ctx, c.Repo, report.DryRun)
			git = source
			return files, commit, err
		},
		Judge: func(ctx context.Context, commit gitsource.Commit) (doctor.Judgement, error) {
			return judgement(ctx, c, git, commit, proc.Now())
		},
		Clients: func(transport http.RoundTripper) func(account, devID string) (*terra.Client, error) {
			return newClients(c, terra.Options{Transport: transport, Limits: terra.NewLimits(), Version: proc.Version,
				ReadOnly: true, Timeout: doctor.Deadline / 2, MaxAttempts: 2})
		},
		Identities: identities(c.Identities),
		KeysOf:     reconcile.KeysOf,
		Pauses: func(store *state.Store) ([]daemon.Pause, error) {
			return controlServer{store: store, now: proc.Now}.Pauses()
		},
		Copy: func(ctx context.Context, path string) (*state.Store, error) {
			store, why := copyOf(ctx, c.StateDir, path)
			if why != "" {
				return nil, errors.New(why)
			}
			return store, nil
		},
		Prober: ask, ProberErr: askErr,
		Accept: func(ctx context.Context, accepted []daemon.AcceptedKey) (int, error) {
			return liftRejections(ctx, proc.Now(), c.StateDir, accepted)
		},
	}
}

// wouldStart refuses what serveDaemon does not begin with, of a configuration and the files
// that it names.
func wouldStart(c config.Config) error {
	if err := c.CheckServing(); err != nil {
		return err
	}
	if c.TLS.IsSet() {
		if _, err := daemon.LoadCertificate(c.TLS.CertFile, c.TLS.KeyFile, slog.New(slog.DiscardHandler)); err != nil {
			return c.TLS.Problem(err)
		}
	}
	for _, one := range c.Each() {
		if _, err := newSignatures(one.Repo.Verify); err != nil {
			return err
		}
	}
	return nil
}

func printResults(proc *Process, format string, code int, results []doctor.Result) error {
	count := func(s doctor.Status) int { return doctor.Count(results, s) }
	if format == "json" {
		return printJSON(proc.Stdout, struct {
			Schema   string          `json:"schema"`
			ExitCode int             `json:"exit_code"`
			OK       int             `json:"ok"`
			Warn     int             `json:"warn"`
			Fail     int             `json:"fail"`
			Skipped  int             `json:"skipped"`
			Checks   []doctor.Result `json:"checks"`
		}{doctorSchema, code, count(doctor.OK), count(doctor.Warn), count(doctor.Fail), count(doctor.Skip), results})
	}
	b := newPage(proc)
	for _, r := range results {
		b.folded(fmt.Sprintf("%-6s", r.Status), strings.TrimSuffix(r.Check+" "+r.Subject, " ")+": "+r.Message)
		for _, next := range r.Remediations {
			b.folded("      -> ", report.Words([]plan.Remediation{{Text: next.Text, File: next.File, YAML: next.YAML}}), next.Command...)
		}
	}
	b.add(fmt.Sprintf("\n%s: %d ok", visible.Plural(len(results), "check", "checks"), count(doctor.OK)))
	for _, s := range []struct {
		status    doctor.Status
		one, many string
	}{{doctor.Warn, "warning", "warnings"}, {doctor.Fail, "failed", "failed"}, {doctor.Skip, "skipped", "skipped"}} {
		if n := count(s.status); n > 0 {
			b.add(", " + visible.Plural(n, s.one, s.many))
		}
	}
	b.add("\n")
	return b.print(proc.Stdout)
}
