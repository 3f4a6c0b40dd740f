// Package importer writes what Terra has in one environment as files of a config
// repository, so that a dry run of them finds nothing to change.
//
// It reads, and writes nothing anywhere: [Read] asks Terra, [Write] gives the text of
// the files. It leaves out what is Terra's default and what Terra does not show, above
// all secrets: a key that somebody set is `{unknown: true}`, and no piece of a mask
// comes into a file. What could not be read is an error, never left out.
//
// Callers: internal/cli.
package importer
