package cli

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
	t.Parallel()
	all := commands(newRoot(&Process{}))
	for _, c := range all {
		var out bytes.Buffer
		line := append(strings.Fields(c.CommandPath())[1:], "--help")
		proc := &Process{Stdout: &out, Stderr: &out, Getenv: func(string) string { return "" }}
		if code := Run(t.Context(), line, proc); code != exitOK {
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
	for _, topic := range topics() {
		var out bytes.Buffer
		proc := &Process{Stdout: &out, Stderr: &out, Getenv: func(string) string { return "" }}
		if code := Run(t.Context(), []string{"help", topic.name}, proc); code != exitOK {
			t.Errorf("help %s: exit code %d: %s", topic.name, code, out.String())
		}
		for text := range strings.Lines(out.String()) {
			if n := utf8.RuneCountInString(strings.TrimRight(text, "\n")); n > 80 {
				t.Errorf("help %s: %d columns: %s", topic.name, n, text)
			}
		}
	}
	if len(all) < 25 {
		t.Fatalf("got %d commands", len(all))
	}
	t.Logf("COUNT commands whose help is measured=%d", len(all))
}
