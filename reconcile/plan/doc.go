// Package plan compares what a repository asks of one environment with what
// Terra shows, and says what would have to change, how dangerous each change is
// and what holds it.
//
// It is pure: no clock, no log, no input or output, the standard library only.
// The same Input gives the same Plan, byte for byte. A Plan is plain data with no
// plaintext secret in it: a secret appears as Terra's own mask, as the number of
// its key and as the SHA-256 of its sealed form.
//
// It refuses to guess: what could not be read or compared becomes a NotCompared
// entry, never a Change and never "in sync".
//
// Callers: reconcile builds the Input and applies the Plan; reconcile/report
// renders it; internal/state remembers Memory.
package plan
