// Package reconcile is the one loop: resolve what a commit asks for, observe
// Terra with the least calls, plan, guard, apply, read back, remember.
//
// A dry run is the same loop without its last steps, on a client and a store
// that refuse to write; there is no flag that a step could forget. A failed,
// empty or partial read is never taken for "nothing is there": the environment
// or connection it belongs to is left alone and reported.
//
// Secrets are opened when their digest is not remembered, when Terra has to be
// asked about them and when they are sent, and not kept.
//
// The package writes no log and asks no person. Callers: cmd.
package reconcile
