package cli

import (
	"context"
	"slices"
	"strings"

	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/internal/state"
)

// repositoriesFor names the repositories of a daemon.yaml that a command about a target is
// completed with: of several the one that has the environment, as the state in dir knows it, and
// where that is not known, or the target is everything, each. It is one "" where there are none
// to choose from.
func repositoriesFor(ctx context.Context, proc *Process, file, dir, target string) []string {
	c, err := config.Load(file, proc.Getenv)
	if file == "" || err != nil || len(c.Repos) == 0 {
		return []string{""} // who reads the file next says what is wrong with it
	}
	if target == "" || dir == "" {
		return c.Names()
	}
	store, _, err := memoryFor(ctx, dir)
	if err != nil {
		return c.Names()
	}
	owners, err := store.Owners()
	_ = store.Close() // it was only read
	if name := ownerOfTarget(owners, target); err == nil && slices.Contains(c.Names(), name) {
		return []string{name}
	}
	return c.Names()
}

// ownerOfTarget names the repository that has an environment, or the one of a connection,
// "" for none. An environment's name may hold slashes itself.
func ownerOfTarget(owners state.Owners, target string) string {
	for _, environment := range []string{target, target[:max(0, strings.LastIndexByte(target, '/'))]} {
		owner, known := owners.ByName[environment]
		if !known {
			owner, known = owners.DevID(environment)
		}
		if known {
			return owner.Repository
		}
	}
	return ""
}

// only is what is to be chosen where there is no choice, else "".
func only(names []string) string {
	if len(names) != 1 {
		return ""
	}
	return names[0]
}
