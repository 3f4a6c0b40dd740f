package spec

import "fmt"

// Origin is where a value stands in the configuration repository.
type Origin struct {
	File         string // slash-separated path below the repository root
	Line, Column int    // 1-based; columns count characters; 0 means the file as a whole
}

// String returns "file:line:column", or only what is known of it; without a
// file "line:column".
func (o Origin) String() string {
	file := printable(o.File)
	if file == "" && o.Line > 0 {
		return fmt.Sprintf("%d:%d", o.Line, o.Column)
	}
	switch {
	case o.Line == 0:
		return file
	case o.Column == 0:
		return fmt.Sprintf("%s:%d", file, o.Line)
	}
	return fmt.Sprintf("%s:%d:%d", file, o.Line, o.Column)
}

// Presence tells how a field stands in its file.
type Presence int

// The three ways in which a field can stand in a file.
const (
	Omitted Presence = iota // not written: not managed
	Null                    // written as null: back to Terra's default
	Given                   // written with a value
)

// Field is a value that may be omitted, null or given. Value is the zero value
// unless the field is given; Origin is zero when it is omitted.
type Field[T any] struct {
	Presence Presence
	Value    T
	Origin   Origin
}

// Given reports whether the field holds a value.
func (f Field[T]) Given() bool { return f.Presence == Given }

// Null reports whether the field was written as null.
func (f Field[T]) Null() bool { return f.Presence == Null }
