package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// commands gives root and everything below it that a person can type.
func commands(cmd *cobra.Command) []*cobra.Command {
	out := []*cobra.Command{cmd}
	for _, c := range cmd.Commands() {
		if !c.Hidden && !slices.Contains([]string{"completion", "help"}, c.Name()) {
			out = append(out, commands(c)...)
		}
	}
	return out
}

// The help of every command fits a terminal of 80 columns, and shows how the
// command is used.
func TestHelpFitsATerminal(t *testing.T) {
	all := commands(newRoot(&environment{}))
	for _, c := range all {
		var out bytes.Buffer
		line := append(strings.Fields(c.CommandPath())[1:], "--help")
		env := &environment{Stdout: &out, Stderr: &out, Getenv: func(string) string { return "" }, IsTerminal: func(any) bool { return false }}
		if code := run(t.Context(), line, env); code != exitOK {
			t.Errorf("%q: exit code %d: %s", line, code, out.String())
		}
		for text := range strings.Lines(out.String()) {
			if n := utf8.RuneCountInString(strings.TrimRight(text, "\n")); n > 80 {
				t.Errorf("%q: %d columns: %s", line, n, text)
			}
		}
		if !strings.Contains(out.String(), "Usage:\n  "+c.CommandPath()) {
			t.Errorf("%q: the help does not say how it is used:\n%s", line, out.String())
		}
	}
	if len(all) < 25 {
		t.Fatalf("got %d commands", len(all))
	}
	t.Logf("COUNT commands whose help is measured=%d", len(all))
}
