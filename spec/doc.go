// Package spec reads a configuration repository (terra.yaml, environment
// folders, connection files) from an [io/fs.FS] into typed documents in which
// every value knows its file, line and column.
//
// Load reports every problem of every file in one run; one broken file does
// not hide another. A field that is omitted, a field that is null and a field
// that is given are three different things, because an omitted field is not
// managed and a null one asks for Terra's default.
//
// It refuses to guess. Unknown fields, loose booleans and numbers, duplicate
// keys, aliases, symbolic links, several documents in a file and secrets that
// are not sealed are errors. It opens no secret, reads no clock, calls no
// network and writes no file; what a provider needs reaches it as a plain
// [Vocabulary]. No problem it reports repeats the value of a secret field.
//
// Editing (SetSecret, Secrets) works on the bytes of one file and changes
// nothing but the node it was asked to change.
//
// Anyone may call it. Of this module it imports how YAML is read and text is shown, and nothing else.
package spec
