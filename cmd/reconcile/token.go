package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/internal/terra"
	"github.com/terra-reconcile/terra-reconcile/reconcile"
)

func newTokenCommand(env *environment) *cobra.Command {
	return family(&cobra.Command{
		Use:     "token",
		Short:   "Look at the admin tokens of this runner",
		Example: "  reconcile token status\n  reconcile token status --config daemon.yaml",
	}, newTokenStatusCommand(env))
}

func newTokenStatusCommand(env *environment) *cobra.Command {
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
			if !oneOf(format, "text", "json") {
				return usageError("--output %q: use text or json", format)
			}
			return tokenStatus(cmd.Context(), env, file, format)
		},
	}
	cmd.Flags().StringVar(&file, "config", "", "take the accounts from this `daemon.yaml`")
	cmd.Flags().StringVarP(&format, "output", "o", "text", "`format`: text or json")
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
	Account      string                 `json:"account"`
	BaseURL      string                 `json:"base_url"`
	Error        string                 `json:"error"` // then nothing else is known
	TokenID      string                 `json:"token_id"`
	Kind         string                 `json:"kind"`
	Name         string                 `json:"name"`
	Scopes       []string               `json:"scopes"`
	Missing      []reconcile.TokenScope `json:"missing"`
	Surplus      []reconcile.TokenScope `json:"surplus"`
	DevIDs       []string               `json:"dev_ids"`        // null: every environment
	RunnerDevIDs []string               `json:"runner_dev_ids"` // ["*"]: every one that the token reaches
	Unreachable  []string               `json:"unreachable"`    // of them
	ExpiresAt    *time.Time             `json:"expires_at"`     // null: unknown
	WindowEndsAt *time.Time             `json:"window_ends_at"` // null: unknown
	Expired      bool                   `json:"expired"`
	Warnings     []string               `json:"warnings"`
}

// lacks tells whether something of ours does not work with the token.
func (a accountToken) lacks() bool {
	return a.Error != "" || a.Kind != "admin" || a.Expired || len(a.Missing) > 0 || len(a.Unreachable) > 0
}

func tokenStatus(ctx context.Context, env *environment, file, format string) error {
	c, err := (&runFlags{config: file, repo: "."}).configuration(env)
	if err != nil {
		return err
	}
	writes := file == "" || c.Apply
	clients := newClients(c, terra.Options{Transport: terra.NewTransport(), Limits: terra.NewLimits(), Version: env.Version, ReadOnly: true})
	out := tokenReport{Schema: "terra-reconcile/token-status/v1", Accounts: []accountToken{}}
	for _, name := range slices.Sorted(maps.Keys(c.Accounts)) {
		account := c.Accounts[name]
		one := accountToken{Account: name, BaseURL: account.BaseURL, RunnerDevIDs: account.DevIDs,
			Scopes: []string{}, Missing: []reconcile.TokenScope{}, Surplus: []reconcile.TokenScope{}, Unreachable: []string{}, Warnings: []string{}}
		me, err := one.ask(ctx, account, clients)
		if err != nil {
			one.Error = err.Error()
		} else {
			one.take(me, reconcile.ReviewToken(me, account.DevIDs, writes, env.Now()))
		}
		if one.lacks() {
			out.ExitCode = exitFailed
		}
		out.Accounts = append(out.Accounts, one)
	}
	if format == "json" {
		encoder := json.NewEncoder(escaping{env.Stdout})
		encoder.SetIndent("", "  ")
		err = encoder.Encode(out)
	} else {
		err = out.print(env)
	}
	if err != nil {
		return fmt.Errorf("print token status: %w", err)
	}
	if out.ExitCode != exitOK {
		return &exitError{code: out.ExitCode}
	}
	return nil
}

func (a *accountToken) ask(ctx context.Context, account config.Account, clients func(account, devID string) (*terra.Client, error)) (terra.Me, error) {
	ctx, cancel := context.WithTimeout(ctx, checkDeadline)
	defer cancel()
	return askMe(ctx, account, func() (*terra.Client, error) { return clients(a.Account, account.DevIDs[0]) })
}

func (a *accountToken) take(me terra.Me, r reconcile.TokenReview) {
	a.TokenID, a.Kind, a.Name, a.DevIDs, a.ExpiresAt = me.TokenID, me.Kind, me.Name, me.DevIDs, me.ExpiresAt
	a.Scopes = append(a.Scopes, slices.Sorted(slices.Values(me.Scopes))...)
	a.Missing, a.Surplus = append(a.Missing, r.Missing...), append(a.Surplus, r.Surplus...)
	a.Unreachable, a.Warnings = append(a.Unreachable, r.Unreachable...), append(a.Warnings, r.Warnings...)
	a.Expired = r.Expired
	if !r.WindowEnds.IsZero() {
		a.WindowEndsAt = &r.WindowEnds
	}
}
