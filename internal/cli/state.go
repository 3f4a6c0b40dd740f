package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/internal/visible"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

func newStateCommand(proc *Process) *cobra.Command {
	return family(&cobra.Command{
		Use:   "state",
		Short: "Show, forget or copy what is remembered",
		Long: `Show, forget or copy what is remembered between runs: what was last agreed of
each connection, which of them we enabled, and what is known of their keys.
It holds no secret.`,
		Example: `  reconcile state show production/strava
  reconcile state backup state-2026-12-01.db`,
	}, newStateShowCommand(proc), newStateForgetCommand(proc), newStateBackupCommand(proc))
}

// stateSchema names the form of the JSON document. Fields are added, never renamed.
const stateSchema = "terra-reconcile/state/v1"

// rememberedConnection is one connection as a person may see it.
type rememberedConnection struct {
	Connection string    `json:"connection"`
	DevID      string    `json:"dev_id"`
	API        string    `json:"api"`
	Customer   string    `json:"customer"`
	State      string    `json:"state"`   // last agreed, "" for none
	Enabled    bool      `json:"enabled"` // by us, and not found
	Adopted    bool      `json:"adopted"` // false: only seen
	Protected  bool      `json:"protected"`
	Suspended  bool      `json:"suspended"` // careful after a suspend, a pause or a restored state
	Fields     []string  `json:"fields"`    // that were agreed
	Held       []string  `json:"held"`      // fields that wait for a person
	Rejected   int       `json:"rejected"`  // keys
	VerifiedAt time.Time `json:"verified_at,omitzero"`
	UpdatedAt  time.Time `json:"updated_at"`
}

func newStateShowCommand(proc *Process) *cobra.Command {
	f, format := &stateFlags{}, ""
	cmd := &cobra.Command{
		Use:   "show [ENV[/CONN]]",
		Short: "Show what is remembered of each connection",
		Long: `Show what is remembered of each connection, also while the daemon runs: whether
we enabled or found it, which fields were agreed, and what waits for a person.`,
		Example: "  reconcile state show\n  reconcile state show production/strava -o json",
		Args:    takes(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := f.folder(proc)
			if err != nil {
				return err
			}
			all, err := allRemembered(cmd.Context(), dir)
			if err != nil {
				return err
			}
			if target := strings.Trim(strings.Join(args, ""), "/"); target != "" {
				all = slices.DeleteFunc(all, func(c rememberedConnection) bool {
					return c.Connection != target && !strings.HasPrefix(c.Connection, target+"/")
				})
			}
			if format == "json" {
				return printJSON(proc.Stdout, struct {
					Schema      string                 `json:"schema"`
					Connections []rememberedConnection `json:"connections"`
				}{stateSchema, append([]rememberedConnection{}, all...)})
			}
			out := newPage(proc)
			for _, c := range all {
				out.folded(c.Connection+"  ", c.words())
			}
			if len(all) == 0 {
				out.paragraph("nothing is remembered in " + dir)
			}
			return out.print(proc.Stdout)
		},
	}
	f.add(cmd)
	addOutput(cmd, &format)
	return cmd
}

// words are a connection in one line.
func (c rememberedConnection) words() string {
	parts := []string{"seen, and not adopted"}
	if c.Adopted {
		parts = []string{c.State, "found and adopted"}
		if c.Enabled {
			parts[1] = "enabled by us"
		}
		parts = append(parts, strings.Join(c.Fields, ", ")+" agreed "+minute(c.UpdatedAt))
	}
	for _, what := range []struct {
		is   bool
		text string
	}{{c.Protected, "protected"}, {c.Suspended, "careful after a pause"}, {len(c.Held) > 0, strings.Join(c.Held, ", ") + " waits for a person"},
		{c.Rejected > 0, visible.Plural(c.Rejected, "rejected key", "rejected keys")}} {
		if what.is {
			parts = append(parts, what.text)
		}
	}
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), "; ")
}

func allRemembered(ctx context.Context, dir string) (out []rememberedConnection, err error) {
	store, _, err := memoryFor(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if why := store.Reason(); why != "" && !store.Missing() {
		return nil, errors.New("show state: " + why)
	}
	known, err := store.Known()
	if err != nil {
		return nil, err
	}
	for _, e := range known {
		accounts, err := store.EnvironmentsOf(e.DevID)
		if err != nil {
			return nil, err
		}
		for _, env := range accounts {
			memory, err := store.Memory(env)
			if err != nil {
				return nil, err
			}
			histories, err := store.KeyHistory(env)
			if err != nil {
				return nil, err
			}
			for _, provider := range slices.Sorted(maps.Keys(memory.Connections)) {
				m := memory.Connections[provider]
				out = append(out, rememberedConnection{Connection: e.Environment + "/" + provider, DevID: env.DevID, API: env.API, Customer: env.Customer,
					State: m.Fields[plan.FieldState], Enabled: m.Enabled, Adopted: !m.Noted, Protected: m.Protected, Suspended: m.Suspended,
					Fields: slices.Sorted(maps.Keys(m.Fields)), Held: append([]string{}, slices.Sorted(maps.Keys(m.Held))...),
					Rejected: len(histories[provider].Refused), VerifiedAt: m.VerifiedAt, UpdatedAt: m.UpdatedAt})
			}
		}
	}
	return out, nil
}

func newStateForgetCommand(proc *Process) *cobra.Command {
	f := &stateFlags{}
	cmd := &cobra.Command{
		Use:   "forget ENV/CONN",
		Short: "Forget what is remembered of one connection",
		Long: `Forget what is remembered of one connection and its keys, on purpose. The next
run finds it as if for the first time: what differs and could hurt waits for
approval, it is not ours to prune any more, and keys that were rejected are
tried again. Nothing is changed at Terra.`,
		Example: "  reconcile state forget production/strava",
		Args:    takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name, connection := environmentAndProvider(args[0])
			if name == "" || connection == "" {
				return usageError("forget %q: write it as ENV/CONN, such as production/strava", args[0])
			}
			dir, err := f.folder(proc)
			if err != nil {
				return err
			}
			if _, err := withControl(cmd.Context(), proc, dir, func(k control) error {
				_, err := k.Forget(cmd.Context(), daemon.ForgetRequest{Connection: args[0]})
				return err
			}); err != nil {
				return err
			}
			of := only(repositoriesFor(cmd.Context(), proc, f.config, dir, name))
			return say(proc, tell(args[0]+" is forgotten: the next run finds it as if for the first time"), note{text: "look at it", command: plan.Command{"--dry-run", "--env", name}, repository: of})
		},
	}
	f.add(cmd)
	return cmd
}

func newStateBackupCommand(proc *Process) *cobra.Command {
	f := &stateFlags{}
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Copy the state, also while the daemon runs",
		Long: `Write a consistent copy of the state to a new file, also while the daemon runs.
To restore it, stop what uses the state and put it in the place of state.db. The
first run afterwards knows that the state is older, and is careful.`,
		Example: "  reconcile state backup state-2026-12-01.db",
		Args:    takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := f.folder(proc)
			if err != nil {
				return err
			}
			var copied bytes.Buffer
			_, err = holding(cmd.Context(), dir, func(c *daemon.Client) error {
				text, err := c.State(cmd.Context())
				copied.Write(text)
				return err
			}, func() error {
				store, err := state.Open(dir, state.Options{MustExist: true})
				if err != nil {
					return err
				}
				return errors.Join(store.Backup(&copied), store.Close())
			})
			if err == nil {
				err = state.WriteFile(args[0], &copied)
			}
			if err != nil {
				return fmt.Errorf("back up state: %w", err)
			}
			return say(proc, tell("the state of "+dir+" is copied to "+args[0]))
		},
	}
	f.add(cmd)
	return cmd
}
