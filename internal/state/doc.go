// Package state remembers on disk what the runner and Terra last agreed on: the
// memory of every environment, the journal of writes that left, their history,
// digests of sealed secrets and the commits that were tried and applied.
//
// It is one bbolt file, state.db, with one writer at a time. What it returns has
// been on disk; what it was given is on disk (fsynced) when a method returns nil.
// A Store may be used by many goroutines.
//
// It refuses to start fresh over a file that it cannot read, to read a file of a
// newer version, and to take a damaged record for "nothing remembered": each is
// an error. It reads no clock, holds no plaintext secret (digests are keyed, the
// digest key is sealed) and never asks Terra anything.
//
// Callers: reconcile remembers through it; cmd and internal/daemon's caller open
// and close it.
package state
