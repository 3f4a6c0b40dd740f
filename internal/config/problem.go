package config

import (
	"fmt"
	"strings"
)

// Problem is one thing wrong in daemon.yaml.
type Problem struct {
	File    string
	Line    int // from 1; 0 when the problem is the file itself
	Column  int // from 1, in characters
	Message string
}

// String gives file:line:column: message.
func (p Problem) String() string {
	if p.Line == 0 {
		return p.File + ": " + p.Message
	}
	return fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, p.Message)
}

// InvalidError lists every problem of one daemon.yaml, in the file's order. No
// message repeats a value that may be a secret.
type InvalidError struct {
	Problems []Problem
}

// Error gives one problem a line.
func (e *InvalidError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}
