// Package state remembers on disk what the runner and Terra last agreed on: the
// memory of every environment, the journal of writes that left, digests of sealed
// secrets, the commits that were attempted and applied; and, beside it, the history.
//
// A Store is typed helpers over a Backend, which keeps records by (environment, kind,
// key) and appends to the history, both in one transaction; its comment is the contract.
// Kind lists the records. The backend of a state folder is one bbolt file, state.db, with
// one writer at a time, and JSON lines that the same writer appends, history.jsonl and
// older ones, which anybody reads without a lock. A write is in the journal before it
// leaves, and the line that tells its outcome is committed with it, so that a kill at any
// point loses no line and tells none twice. What a method was given is on disk (fsynced)
// when it returns nil; where nothing differs from what is there the disk is not touched.
// A Store may be used by many goroutines.
//
// It refuses to start fresh over a file that it cannot read, to read a file of another
// format, to write where nobody would find it again (a file that was moved while it was
// open), and to take a damaged record for "nothing remembered": each is an error. It
// reads no clock, holds no plaintext secret (digests are keyed, the digest key is sealed)
// and never asks Terra anything. For a dry run there is a Store that cannot write.
//
// Callers: reconcile remembers through it; internal/cli opens and closes it.
package state
