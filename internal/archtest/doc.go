// Package archtest holds the rules of this repository as tests: who may import
// whom, how long a file may be, what may stand at package level, what no text
// may name.
//
// It has no API and nothing imports it. Its tests parse the files themselves
// instead of asking the go command, whose answers are cached past a change. A
// rule reads a tree of files and returns findings; testdata holds, per rule,
// small trees that must and must not turn it red.
//
// When a rule is wrong, change it here together with its fixtures and say why in
// an architecture decision record. It offers no way to silence one finding.
package archtest
