package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/internal/doctor"
	"github.com/terra-reconcile/terra-reconcile/internal/terra"
	"github.com/terra-reconcile/terra-reconcile/internal/visible"
)

func newTokenCommand(proc *Process) *cobra.Command {
	return family(&cobra.Command{
		Use:     "token",
		Short:   "Look at the admin tokens of this runner",
		Example: "  reconcile token status\n  reconcile token status --config daemon.yaml",
	}, newTokenStatusCommand(proc))
}

func newTokenStatusCommand(proc *Process) *cobra.Command {
	var file, format string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say what each admin token may do, and until when",
		Long: `Say what each admin token may do, and until when.

It asks Terra about the token of every account of this runner: its kind, the
scopes that are missing for what we do and those that are more than needed, the
environments it reaches, when it expires, and when the 90 days end in which it
can be renewed. The token itself is not shown.

It exits with 1 when a token does not work, has expired, or lacks something.`,
		Example: "  reconcile token status\n  reconcile token status --config daemon.yaml -o json",
		Args:    takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return tokenStatus(cmd.Context(), proc, file, format)
		},
	}
	cmd.Flags().StringVar(&file, "config", "", "take the accounts from this `daemon.yaml`")
	addOutput(cmd, &format)
	return cmd
}

// tokenReport is the JSON form. Fields are added, never renamed.
type tokenReport struct {
	Schema   string         `json:"schema"`
	ExitCode int            `json:"exit_code"`
	Accounts []accountToken `json:"accounts"`
}

// accountToken is the token of one account of the runner.
type accountToken struct {
	Account      string             `json:"account"`
	BaseURL      string             `json:"base_url"`
	Error        string             `json:"error"` // then nothing else is known
	TokenID      string             `json:"token_id"`
	Kind         string             `json:"kind"`
	Name         string             `json:"name"`
	Scopes       []string           `json:"scopes"`
	Missing      []terra.TokenScope `json:"missing"`
	Surplus      []terra.TokenScope `json:"surplus"`
	DevIDs       []string           `json:"dev_ids"`        // null: every environment
	RunnerDevIDs []string           `json:"runner_dev_ids"` // ["*"]: every one that the token reaches
	Unreachable  []string           `json:"unreachable"`    // of them
	ExpiresAt    *time.Time         `json:"expires_at"`     // null: unknown
	WindowEndsAt *time.Time         `json:"window_ends_at"` // null: unknown
	Expired      bool               `json:"expired"`
	Warnings     []string           `json:"warnings"`
}

// lacks tells whether something of ours does not work with the token.
func (a accountToken) lacks() bool {
	return a.Error != "" || a.Kind != "admin" || a.Expired || len(a.Missing) > 0 || len(a.Unreachable) > 0
}

func tokenStatus(ctx context.Context, proc *Process, file, format string) error {
	c, err := runnerConfig(proc, file)
	if err != nil {
		return err
	}
	writes := file == "" || c.Apply
	clients := newClients(c, terra.Options{Transport: terra.NewTransport(), Limits: terra.NewLimits(), Version: proc.Version, ReadOnly: true})
	out := tokenReport{Schema: "terra-reconcile/token-status/v1", Accounts: []accountToken{}}
	for _, name := range slices.Sorted(maps.Keys(c.Accounts)) {
		account := c.Accounts[name]
		one := accountToken{Account: name, BaseURL: account.BaseURL, RunnerDevIDs: account.DevIDs,
			Scopes: []string{}, Missing: []terra.TokenScope{}, Surplus: []terra.TokenScope{}, Unreachable: []string{}, Warnings: []string{}}
		me, err := doctor.AskMe(ctx, account, func() (*terra.Client, error) { return clients(name, account.DevIDs[0]) })
		if err != nil {
			one.Error = err.Error()
		} else {
			one.take(me, terra.ReviewToken(me, account.DevIDs, writes, proc.Now()))
		}
		if one.lacks() {
			out.ExitCode = exitFailed
		}
		out.Accounts = append(out.Accounts, one)
	}
	if format == "json" {
		err = printJSON(proc.Stdout, out)
	} else {
		err = out.print(proc)
	}
	if err != nil {
		return fmt.Errorf("print token status: %w", err)
	}
	if out.ExitCode != exitOK {
		return &exitError{code: out.ExitCode}
	}
	return nil
}

func (a *accountToken) take(me terra.Me, r terra.TokenReview) {
	a.TokenID, a.Kind, a.Name, a.DevIDs, a.ExpiresAt = me.TokenID, me.Kind, me.Name, me.DevIDs, me.ExpiresAt
	a.Scopes = append(a.Scopes, slices.Sorted(slices.Values(me.Scopes))...)
	a.Missing, a.Surplus = append(a.Missing, r.Missing...), append(a.Surplus, r.Surplus...)
	a.Unreachable = append(a.Unreachable, r.Unreachable...)
	for _, end := range r.Endings {
		a.Warnings = append(a.Warnings, end.What+"; "+end.Next)
	}
	a.Expired = r.Expired
	if !r.WindowEnds.IsZero() {
		a.WindowEndsAt = &r.WindowEnds
	}
}

func (r tokenReport) print(proc *Process) error {
	out := newPage(proc)
	for i, a := range r.Accounts {
		if i > 0 {
			out.add("\n")
		}
		a.print(out, proc.Now())
	}
	return out.print(proc.Stdout)
}

// print writes one account. What is not as it should be begins with a word in
// capitals, so that it is found.
func (a accountToken) print(out *page, now time.Time) {
	out.add(fmt.Sprintf("account %s at %s\n", visible.Text(a.Account), visible.Text(a.BaseURL)))
	line := func(head, text string) { out.folded(fmt.Sprintf("  %-10s", head), text) }
	if a.Error != "" {
		line("token", "FAILED: "+a.Error)
		return
	}
	kind := a.Kind + " token"
	if a.Kind != "admin" {
		kind = "WRONG: a " + a.Kind + " token; this program needs an admin token"
	}
	line("kind", kind)
	line("token", strings.TrimSpace(a.TokenID+" "+a.Name))
	line("scopes", strings.Join(a.Scopes, ", "))
	for _, s := range a.Missing {
		line("", "MISSING "+s.Scope+": without it "+s.Why)
	}
	for _, dangerous := range []bool{true, false} {
		if text := a.surplus(dangerous); text != "" {
			line("", text)
		}
	}
	line("reaches", a.reaches())
	if len(a.Unreachable) > 0 {
		line("", "MISSING "+strings.Join(a.Unreachable, ", ")+": the runner's dev_ids name what the token does not reach")
	}
	line("expires", moment(a.ExpiresAt, now))
	line("renewable", "until "+moment(a.WindowEndsAt, now))
	for _, text := range a.Warnings {
		line("", "WARNING: "+text)
	}
}

// surplus says which scopes could be left out.
func (a accountToken) surplus(dangerous bool) string {
	var texts []string
	for _, s := range a.Surplus {
		switch {
		case s.Dangerous != dangerous:
		case dangerous:
			texts = append(texts, s.Scope+" ("+s.Why+")")
		default:
			texts = append(texts, s.Scope)
		}
	}
	switch {
	case len(texts) == 0:
		return ""
	case dangerous:
		return "DANGEROUS and never used here: " + strings.Join(texts, ", ")
	default:
		return "more than needed: " + strings.Join(texts, ", ")
	}
}

func (a accountToken) reaches() string {
	text := "every environment of the account"
	if a.DevIDs != nil {
		text = strings.Join(a.DevIDs, ", ")
	}
	if text == "" {
		text = "no environment"
	}
	if slices.Contains(a.RunnerDevIDs, config.AnyDevID) {
		return text + "; the runner adds no limit"
	}
	return text + "; the runner lets it touch " + strings.Join(a.RunnerDevIDs, ", ")
}

func moment(at *time.Time, now time.Time) string {
	if at == nil {
		return "unknown"
	}
	return minute(*at) + ", " + terra.Away(at.Sub(now))
}
