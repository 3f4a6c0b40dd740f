package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/internal/repoedit"
	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/reconcile"
	"github.com/terra-reconcile/terra-reconcile/secrets"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

func newRotatePruneCommand(proc *Process) *cobra.Command {
	flags := &keyFlags{}
	var numbers []int
	cmd := &cobra.Command{
		Use:   "prune CONNECTION --key N",
		Short: "Take keys that are no longer needed out of a file",
		Long: `Take keys that are no longer needed out of a file.

` + "`reconcile rotate status`" + ` names them: keys that are older than the one before
the live one, once that has soaked, and keys that were rejected. What is live,
soaking and rejected is known from the memory of runs, also beside a daemon.
Without one the key that is due by the file is taken to be live, which is then
said. The live key, the one before it, to go back to, those that are or become
due, and all while a key soaks, are refused.

Terra is not changed, and git keeps the old file.`,
		Example: `  reconcile rotate prune production/strava --key 1
  reconcile rotate prune production/strava --key 1 --key 2 --commit`,
		Args: takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return pruneKeys(cmd.Context(), proc, args[0], numbers, flags)
		},
	}
	cmd.Flags().IntSliceVar(&numbers, "key", nil, "`number` of an entry of credentials.keys, 1 is the oldest (may repeat)")
	flags.add(cmd)
	return cmd
}

func pruneKeys(ctx context.Context, proc *Process, name string, numbers []int, f *keyFlags) error {
	runner, err := f.runner(proc)
	if err != nil {
		return err
	}
	k, err := openKeyFile(f.folder(runner), name)
	if err != nil {
		return err
	}
	now := proc.Now().UTC()
	prunable, why, err := findPrunable(ctx, k, now, runner)
	if err != nil {
		return err
	}
	if len(numbers) == 0 {
		return usageError("name the keys with --key; %s could be removed: %s", keyList(prunable), why)
	}
	var indexes []int
	for _, n := range numbers {
		if !slices.Contains(prunable, n) {
			return fmt.Errorf("%s: key %d may still be needed; %s could be removed: %s", k.Connection.File, n, keyList(prunable), why)
		}
		indexes = append(indexes, n-1)
	}
	edit, err := editKeys(ctx, k, f.commit)
	if err != nil {
		return err
	}
	slices.Sort(numbers)
	removed := keyList(slices.Compact(numbers))
	hash, err := edit.Remove(indexes, fmt.Sprintf("Remove %s of %s\n\nNo longer needed.\n", removed, k.Name()))
	if err != nil {
		return err
	}
	next := fmt.Sprintf("Commit %s and %s.", k.Connection.File, secrets.LockPath)
	if hash != "" {
		next = "Push commit " + hash + "."
	}
	return say(proc, tell("Removed "+removed+" of "+k.Name()+"."), tell(strings.ToUpper(why[:1])+why[1:]+"."), tell(next))
}

// findPrunable gives the numbers of the keys that a file can do without, and why these:
// what the memory of runs knows, and where there is none what the file and the clock
// make likely. A memory that is there and cannot be read is an error.
func findPrunable(ctx context.Context, k repoedit.KeyFile, now time.Time, runner config.Config) (prunable []int, why string, err error) {
	dir := runner.StateDir
	if dir == "" {
		prunable, why = assumePrunable(k, now, "no state folder is known (--state or RECONCILE_STATE_DIR names it)")
		return prunable, why, nil
	}
	store, _, err := memoryFor(ctx, dir)
	if err != nil {
		return nil, "", err
	}
	doubts := store.TakeNotes()
	var known reconcile.RecalledKeys
	env, err := memoryOf(store, runner, k.Environment)
	if err == nil {
		known, err = reconcile.RecallKeys(store, env, k.Environment.Account, k.Connection)
	}
	if err = errors.Join(err, store.Close()); err != nil {
		return nil, "", err
	}
	switch {
	case len(doubts) > 0:
		return nil, strings.Join(doubts, "; "), nil
	case store.Missing():
		prunable, why = assumePrunable(k, now, "no run has left a state in "+dir)
		return prunable, why, nil
	case store.Reason() != "":
		return nil, "", fmt.Errorf("recall keys of %s: %s", k.Name(), store.Reason())
	case !known.Any:
		prunable, why = assumePrunable(k, now, "the state in "+dir+" knows of no run of "+k.Environment.Name)
		return prunable, why, nil
	}

	live := "no key of the file is live"
	if known.Live > 0 {
		live = fmt.Sprintf("key %d is live", known.Live)
	}
	live += ", as of " + known.At.Format(time.RFC3339)
	switch soak := known.History.Soak; {
	case known.Unclear != "":
		return nil, known.Unclear + "; the next run that applies finds out", nil
	case soak != nil && now.Before(soak.Until):
		return nil, "a new key soaks until " + soak.Until.UTC().Format(time.RFC3339), nil
	case soak != nil:
		return nil, "the soak of a new key passed at " + soak.Until.UTC().Format(time.RFC3339) + ", and the next run that applies looks at it for the last time", nil
	case known.IsRejected(known.Live, now):
		return nil, live + ", and it was rejected", nil
	}
	why = live
	for key := range known.Entries {
		if known.IsRejected(key+1, now) {
			why += fmt.Sprintf(", key %d was rejected", key+1)
		}
	}
	return known.Prunable(known.Live, known.Due(now)), why + ", and no key soaks", nil
}

// memoryOf gives whose memory tells of an environment's keys: that of its account. It
// is an error where the state knows the environment at another account only.
func memoryOf(store *state.Store, runner config.Config, e spec.Environment) (env state.Environment, err error) {
	env, known, err := located(store, runner, e.Account, e.DevID)
	all, err2 := store.EnvironmentsOf(e.DevID)
	switch {
	case known || err2 != nil:
		return env, cmp.Or(err2, err)
	case len(all) == 0:
		return state.Environment{DevID: e.DevID}, nil
	default:
		return env, fmt.Errorf("the state knows %s at %s only, which is not where this runner's account %q is; name its daemon.yaml with --config", e.DevID, all[0].API, e.Account)
	}
}

// assumePrunable takes the key that is due for live, and to soak as long as it would
// had it been set when it could be.
func assumePrunable(k repoedit.KeyFile, now time.Time, because string) (prunable []int, why string) {
	set := reconcile.KeysOf(k.Connection)
	live, soaks := set.Assume(now, k.Connection.Rotation.Soak)
	if live == 0 {
		return nil, "no key is due"
	}
	why = fmt.Sprintf("it is assumed that key %d is live, because it is due: %s", live, because)
	if !soaks.IsZero() {
		return nil, why + ", and that it soaks until " + soaks.Format(time.RFC3339)
	}
	return set.Prunable(live, live), why
}

func keyList(numbers []int) string {
	if len(numbers) == 0 {
		return "none"
	}
	texts := make([]string, len(numbers))
	for i, n := range numbers {
		texts[i] = fmt.Sprint(n)
	}
	if len(texts) == 1 {
		return "key " + texts[0]
	}
	return "keys " + strings.Join(texts, ", ")
}
