// Package cli is the command reconcile: it turns arguments into calls, prints
// reports and chooses exit codes. It decides nothing about connections.
//
// One file a command. Sentences for people are written here, in
// reconcile/report, and by the guards of reconcile/plan and reconcile/keys.
//
// Callers: cmd/reconcile.
package cli
