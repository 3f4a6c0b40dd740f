// Package doctor looks at everything a run needs: the runner's configuration, its
// files, the repository, its secrets, the state, a daemon beside it, Terra and the
// data providers.
//
// # Start here
//
// [Examine] makes all checks of one list, in order; later ones use what earlier ones
// found. A check is a name and a function that gives results, which are plain data:
// what is wrong, and what to do about it. [Load] reads a repository as `reconcile
// validate` does, which is the same.
//
// It changes nothing, prints nothing, and shows no secret. Without Probe it asks no
// data provider.
//
// Callers: internal/cli.
package doctor
