// Package cli is the command reconcile: it turns arguments into calls, prints
// reports and chooses exit codes. It decides nothing about connections.
//
// One file a command, by its name; root.go lists them. Beside them stand
//
//	process.go    the world of one process, exit codes
//	usage.go      what command lines share: arguments, flags, what is said of wrong ones
//	say.go        text for people in 80 columns
//	session.go    what a run needs: configuration, files of a commit, state, engine
//	source.go     the daemon's commits: which branch, which revision of each environment
//	reconciler.go what the daemon asks the engine
//	state.go      who holds the state, and asking them
//
// Sentences for people are written here, in reconcile/report, and by the guards of
// reconcile/plan and reconcile/keys.
//
// Callers: cmd/reconcile.
package cli
