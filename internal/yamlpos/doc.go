// Package yamlpos reads YAML that people write into values which know their file,
// line and column, and says in words what is wrong with it.
//
// [Parse] refuses what should not even be interpreted: more than 1 MiB, text that is
// not UTF-8 or that reorders itself, control characters, directives, several
// documents, aliases, anchors, merge keys, foreign tags, duplicate keys, more than 16
// levels. [Open] reads a mapping whose fields are known; an unknown one is reported
// with the nearest name, or with the place where it belongs. Scalars are strict:
// only true and false are booleans, only plain digits are numbers.
//
// What a field takes is [Declared] once: its readers, a JSON Schema of the file and the
// table of a page are made of that.
//
// Everything wrong is collected, nothing is guessed, no message repeats the YAML
// library's text (which may quote a secret), and it panics on no input. It reads no
// file.
//
// spec and internal/config read their files with it.
package yamlpos
