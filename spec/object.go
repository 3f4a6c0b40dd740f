package spec

import (
	"fmt"
	"slices"
)

// sink collects the problems of one environment, or of the whole commit.
type sink struct {
	environment string
	problems    []Problem
}

func (s *sink) errorf(at Origin, hint, format string, args ...any) {
	s.add(Error, at, hint, fmt.Sprintf(format, args...))
}

func (s *sink) warnf(at Origin, hint, format string, args ...any) {
	s.add(Warning, at, hint, fmt.Sprintf(format, args...))
}

func (s *sink) add(severity Severity, at Origin, hint, message string) {
	s.problems = append(s.problems, Problem{
		Severity: severity, Environment: s.environment, Origin: at, Message: message, Hint: hint,
	})
}

// take adds problems that were found before the environment was known.
func (s *sink) take(problems []Problem) {
	for _, p := range problems {
		p.Environment = s.environment
		s.problems = append(s.problems, p)
	}
}

// failed reports whether there is an error among the problems.
func (s *sink) failed() bool {
	for _, p := range s.problems {
		if p.Severity == Error {
			return true
		}
	}
	return false
}

// object is a mapping that is being read. An object without a node stands for
// an omitted mapping: every field of it is omitted.
type object struct {
	*sink
	node  *node
	path  string // "policy.allow[2]", "" for the root of a file
	file  blocks // what is known in the whole file
	block string // where in it the object stands: "policy.allow"
}

// open checks that the root of a file is a mapping whose fields are all known.
func (s *sink) open(n *node, file blocks) (object, bool) {
	return object{sink: s, file: file}.inner(n, "", "")
}

// inner checks that n, which stands somewhere in o, is a mapping whose fields are
// all known.
func (o object) inner(n *node, path, block string) (object, bool) {
	o.node, o.path, o.block = nil, path, block
	if n == nil || n.bad {
		return o, false
	}
	if n.kind != mapNode || n.age {
		o.errorf(n.origin, "", "%s must be a mapping", named(path, "the file"))
		return o, false
	}
	o.node = n
	for _, m := range n.members {
		if !slices.Contains(o.file[block], m.name) {
			o.unknown(m, o.file[block])
		}
	}
	return o, true
}

// unknown reports a field that does not exist here. Below credentials its name is
// shown only where it is known elsewhere in the file, or beside the name that it is
// a slip of the finger away from: it could be a piece of a secret.
func (o object) unknown(m member, known []string) {
	hint, name := o.file.belongs(o.block, m.name), " "+quoted(m.name)
	slip := hint != "" || edits(plainWord(m.name), Nearest(m.name, known)) <= 3
	if hint == "" {
		hint = didYouMean(m.name, known)
	}
	if hint == "" && len(known) > 0 {
		hint = "known here: " + listed(known)
	}
	if quoted(m.name) == "this" || holdsSecrets(o.path) && !slip {
		name = " in " + named(o.path, "this file")
	}
	o.errorf(m.origin, hint, "unknown field%s", name)
}

// holdsSecrets reports whether a value at path may be a secret that somebody
// forgot to seal, so that it must not be repeated.
func holdsSecrets(path string) bool {
	const block = "credentials"
	return len(path) >= len(block) && path[:len(block)] == block
}

func named(path, otherwise string) string {
	if path == "" {
		return otherwise
	}
	return path
}

// at is the position to blame for something that is missing in the object.
func (o object) at() Origin {
	if o.node == nil {
		return Origin{}
	}
	return o.node.origin
}

func (o object) name(field string) string {
	if o.path == "" {
		return field
	}
	return o.path + "." + field
}

// get returns the value of a field, nil when it is omitted or was reported, as
// where nothing is written after its name.
func (o object) get(field string) *node {
	if o.node == nil {
		return nil
	}
	n := o.node.get(field)
	switch {
	case n == nil || n.bad:
		return nil
	case n.empty:
		o.errorf(n.origin, "write a value, or remove the line", "%s is empty", o.name(field))
		return nil
	}
	return n
}

// object opens the mapping under a field.
func (o object) object(field string) (object, bool) {
	return o.inner(o.get(field), o.name(field), below(o.block, field))
}

// objects opens every mapping of the list under a field.
func (o object) objects(field string) []object {
	n := o.get(field)
	if n == nil {
		return nil
	}
	if n.kind != listNode {
		o.errorf(n.origin, "", "%s must be a list", o.name(field))
		return nil
	}
	var list []object
	for i, item := range n.items {
		if one, ok := o.inner(item, fmt.Sprintf("%s[%d]", o.name(field), i+1), below(o.block, field)); ok {
			list = append(list, one)
		}
	}
	return list
}

// nullable reads a field for which null has a meaning of its own.
func nullable[T any](o object, field string, read func(string) Field[T]) Field[T] {
	if o.node != nil {
		if n := o.node.get(field); n != nil && n.null {
			return Field[T]{Presence: Null, Origin: n.origin}
		}
	}
	return read(field)
}

// or returns the value of a given field and otherwise the default.
func (f Field[T]) or(value T) T {
	if f.Given() {
		return f.Value
	}
	return value
}
