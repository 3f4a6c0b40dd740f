// Package state remembers on disk what the runner and Terra last agreed on: the
// memory of every environment, the journal of writes that left, digests of sealed
// secrets, the commits that were tried and applied; and, beside it, the history.
//
// It is one bbolt file, state.db, with one writer at a time, and JSON lines that
// the same writer appends, history.jsonl and older ones. A write is in the journal
// before it leaves and in the history before it leaves the journal, so that a kill
// at any point loses no line and tells none twice. What it returns has been on disk; what it was given is on disk (fsynced) when a method returns nil.
// A Store may be used by many goroutines.
//
// It refuses to start fresh over a file that it cannot read, to read a file of a
// newer version, to write where nobody would find it again (a file that was moved
// while it was open), and to take a damaged record for "nothing remembered": each is
// an error. It reads no clock, holds no plaintext secret (digests are keyed, the
// digest key is sealed) and never asks Terra anything.
//
// Callers: reconcile remembers through it; cmd and internal/daemon's caller open
// and close it.
package state
