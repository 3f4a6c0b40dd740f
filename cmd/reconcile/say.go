package main

import (
	"io"
	"strings"

	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// width is how wide text for people is.
const width = 80

// say prints paragraphs for a person.
func say(env *environment, paragraphs ...string) error {
	var out strings.Builder
	for _, p := range paragraphs {
		for _, line := range report.Lines(p, width) {
			out.WriteString(line + "\n")
		}
	}
	_, err := io.WriteString(env.Stdout, out.String())
	return err
}
