package advice

import "slices"

// Error is an error with what to do about it, which is no part of its message.
type Error struct {
	Err     error
	Text    string   // what to do, or what the command does
	Command []string // what to type after the name of the program; nil where nothing is typed
}

// With attaches advice to an error. Without a command the text alone says what to do.
func With(err error, text string, command ...string) *Error {
	return &Error{Err: err, Text: text, Command: command}
}

func (e *Error) Error() string { return e.Err.Error() }

// Unwrap gives what is wrong.
func (e *Error) Unwrap() error { return e.Err }

// All gives the advice of an error and of all that it wraps or joins, the outermost
// first, each once.
func All(err error) []*Error {
	var out []*Error
	add := func(e *Error) {
		same := func(o *Error) bool { return o.Text == e.Text && slices.Equal(o.Command, e.Command) }
		if !slices.ContainsFunc(out, same) {
			out = append(out, e)
		}
	}
	if e, ok := err.(*Error); ok { //nolint:errorlint // the tree is walked here
		add(e)
	}
	switch e := err.(type) { //nolint:errorlint // the tree is walked here
	case interface{ Unwrap() error }:
		for _, inner := range All(e.Unwrap()) {
			add(inner)
		}
	case interface{ Unwrap() []error }:
		for _, each := range e.Unwrap() {
			for _, inner := range All(each) {
				add(inner)
			}
		}
	}
	return out
}
