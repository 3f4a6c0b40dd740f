package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/terra-reconcile/terra-reconcile/secrets"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

func newRotatePruneCommand(env *environment) *cobra.Command {
	flags := &keyFlags{}
	var numbers []int
	cmd := &cobra.Command{
		Use:   "prune CONNECTION --key N",
		Short: "Take keys that are no longer needed out of a file",
		Long: `Take keys that are no longer needed out of a file.

` + "`reconcile rotate status`" + ` names them: keys that are older than the one before
the live one, once that has been watched long enough, and keys that were
rejected. What is live, watched and rejected is known from the memory of runs,
also beside a daemon. Without one the key that is due by the file is taken to be
live, which is then said. The live key, the one before it, to go back to, those
that are or become due, and all while a key is watched, are refused.

Terra is not changed, and git keeps the old file.`,
		Example: `  reconcile rotate prune production/strava --key 1
  reconcile rotate prune production/strava --key 1 --key 2 --commit`,
		Args: takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return pruneKeys(cmd.Context(), env, args[0], numbers, flags)
		},
	}
	cmd.Flags().IntSliceVar(&numbers, "key", nil, "`number` of an entry of credentials.keys, 1 is the oldest (may repeat)")
	flags.add(cmd)
	return cmd
}

func pruneKeys(ctx context.Context, env *environment, name string, numbers []int, f *keyFlags) error {
	runner, err := f.runner(env)
	if err != nil {
		return err
	}
	k, err := openKeyFile(f.folder(runner), name)
	if err != nil {
		return err
	}
	now := env.Now().UTC()
	spare, err := k.spareKeys(ctx, now, runner.StateDir)
	if err != nil {
		return err
	}
	if len(numbers) == 0 {
		return usageError("name the keys with --key; %s could be removed: %s", keyList(spare.numbers), spare.why)
	}
	var indexes []int
	for _, n := range numbers {
		if !slices.Contains(spare.numbers, n) {
			return fmt.Errorf("%s: key %d may still be needed; %s could be removed: %s", k.connection.File, n, keyList(spare.numbers), spare.why)
		}
		indexes = append(indexes, n-1)
	}
	edit, err := k.begin(f.commit, now)
	if err != nil {
		return err
	}
	text, err := spec.RemoveKeys(k.text, indexes)
	if err != nil {
		return fmt.Errorf("%s: %w", k.connection.File, err)
	}
	slices.Sort(numbers)
	removed := keyList(slices.Compact(numbers))
	hash, err := edit.save(text, fmt.Sprintf("Remove %s of %s\n\nNo longer needed.\n", removed, k.name()))
	if err != nil {
		return err
	}
	next := fmt.Sprintf("Commit %s and %s.", k.connection.File, secrets.LockPath)
	if hash != "" {
		next = "Push commit " + hash + "."
	}
	return say(env, "Removed "+removed+" of "+k.name()+".", capital(spare.why)+".", next)
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
