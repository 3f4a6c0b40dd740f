// Package repoedit changes a config repository in place: it finds the root, seals a
// secret into its field, adds and drops keys, seals all of them again for other
// recipients, and keeps the lock that says whom each is sealed for.
//
// # Start here
//
// [Open] finds the repository that a file or a folder belongs to. [Repository.Place]
// is one field for a secret, [Repository.KeyFile] the keys of one connection, and
// [Repository.Rekey] all secrets.
//
// # What it refuses
//
// It never writes a file that somebody else wrote since it was read, never follows a
// link that a commit put into the repository, and never leaves half a file: a reader
// sees the old one or the new one. Text that it did not have to change stays byte for
// byte. It commits nothing by itself: who may is handed in.
//
// Callers: internal/cli and internal/doctor.
package repoedit
