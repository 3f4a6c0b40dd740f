// Package providers is the catalogue of data providers: what each one needs
// before Terra can collect from it, how it spells it, which human steps come
// first, how a key is proved, and what a reset of a key does there.
//
// A provider is a value of plain data: one file with one function that returns
// a [Provider] (and at most one function that judges the answer to its probe),
// and one line in catalogue.go. Everything else, such as the words of the
// configuration files, the offline checks, the walk-through and the page
// docs/providers.md, follows from the value.
//
// What stands here was read in a source that the provider's file names. What
// was not confirmed there stays out or says so. Terra's own list of source
// types is the authority at run time: see [Provider.WithSourceType].
//
// The package refuses to guess: a key that cannot be proved is "unknown", never
// "good". It holds no state, starts nothing, logs nothing and never puts a
// secret into a finding, a reason or an error. Only [Prober] talks to the
// network, and only to addresses of the catalogue or of the runner.
//
// The engine, the commands and tests call it. It calls spec for the words of
// the files and secrets for opened values.
package providers
