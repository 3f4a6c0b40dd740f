package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

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

` + "`reconcile rotate status`" + ` names them: the new key is live and has been watched
long enough, and they are older than the key before it. That one stays, to go back
to. Which key is live is not looked up here; the key that is due by the file, the
one before it, later ones, and all while the due one is still watched, are refused.

Terra is not changed, and git keeps the old file.`,
		Example: `  reconcile rotate prune production/strava --key 1
  reconcile rotate prune production/strava --key 1 --key 2 --commit`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return pruneKeys(env, args[0], numbers, flags) },
	}
	cmd.Flags().IntSliceVar(&numbers, "key", nil, "`number` of an entry of credentials.keys, 1 is the\noldest (may repeat)")
	flags.add(cmd)
	return cmd
}

func pruneKeys(env *environment, name string, numbers []int, f *keyFlags) error {
	k, err := openKeyFile(f.repo, name)
	if err != nil {
		return err
	}
	now := env.Now().UTC()
	spare, why := k.spareKeys(now)
	if len(numbers) == 0 {
		return usageError("name the keys with --key; `reconcile rotate status` says which are no longer needed. By the file %s could be%s", keyList(spare), why)
	}
	var indexes []int
	for _, n := range numbers {
		if !slices.Contains(spare, n) {
			return fmt.Errorf("%s: key %d may still be needed; by the file %s could be removed%s", k.connection.File, n, keyList(spare), why)
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
	_, err = fmt.Fprintf(env.Stdout, "Removed %s of %s.\n%s\n", removed, k.name(), next)
	return err
}

// spareKeys gives the numbers of the keys that the file can do without, as far as
// the file and the clock tell, and why others can not.
func (k keyFile) spareKeys(now time.Time) (numbers []int, why string) {
	keys := k.schedule()
	due := secrets.Due(now, keys)
	if due < 0 {
		return nil, ": no key is due"
	}
	if watched := keys[due].NotBefore.Add(k.connection.Rotation.Soak); !keys[due].NotBefore.IsZero() && now.Before(watched) {
		return nil, fmt.Sprintf(": key %d is watched until %s", due+1, watched.Format(time.RFC3339))
	}
	for _, index := range secrets.Unneeded(keys, due) {
		numbers = append(numbers, index+1)
	}
	return numbers, fmt.Sprintf(": key %d is due, and the one before it is kept to go back to", due+1)
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
