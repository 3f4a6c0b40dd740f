package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/terra-reconcile/terra-reconcile/internal/visible"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

func newManCommand(proc *Process) *cobra.Command {
	return &cobra.Command{
		Use:   "man DIR",
		Short: "Write manual pages, one for each command and topic",
		Long: `Write manual pages, one for each command and topic, into a folder. They are made
from the help of the commands, so they are of this very version. The folder is
made where there is none; pages of the same name are replaced.`,
		Example: `  reconcile man ~/.local/share/man/man1`,
		Args:    takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			pages := manualPages(cmd.Root(), proc)
			if err := os.MkdirAll(args[0], 0o755); err != nil { //nolint:gosec // as folders of a system are
				return fmt.Errorf("write manual pages: %w", err)
			}
			for _, page := range pages {
				full := filepath.Join(args[0], page.name)
				err := replaceFile(full, []byte(page.text))
				if err == nil {
					err = os.Chmod(full, 0o644) //nolint:gosec // for everybody to read
				}
				if err != nil {
					return fmt.Errorf("write manual pages: %w", err)
				}
			}
			return say(proc, tell("Written: "+visible.Plural(len(pages), "page", "pages")))
		},
	}
}

type manualPage struct{ name, text string }

// manualPages are the pages of a command, of those below it, and of the topics.
func manualPages(root *cobra.Command, proc *Process) []manualPage {
	var out []manualPage
	var add func(cmd *cobra.Command)
	add = func(cmd *cobra.Command) {
		out = append(out, manualPage{manualName(cmd) + ".1", manualOf(cmd, proc)})
		for _, c := range cmd.Commands() {
			if c.IsAvailableCommand() {
				add(c)
			}
		}
	}
	add(root)
	for _, t := range topics() {
		name := root.Name() + "-help-" + t.name
		text := title(name, proc) + section("NAME") + roff(name+" - "+t.short) + "\n" + section("DESCRIPTION") + prose(t.text) +
			section("SEE ALSO") + ".BR " + roff(root.Name()) + " (1)\n"
		out = append(out, manualPage{name + ".1", text})
	}
	return out
}

func manualName(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

// manualOf is the page of one command.
func manualOf(cmd *cobra.Command, proc *Process) string {
	var b strings.Builder
	b.WriteString(title(manualName(cmd), proc))
	b.WriteString(section("NAME") + roff(manualName(cmd)+" - "+cmd.Short) + "\n")
	b.WriteString(section("SYNOPSIS") + ".B " + roff(cmd.CommandPath()) + "\n" + roff(strings.TrimSpace(strings.TrimPrefix(cmd.UseLine(), cmd.CommandPath()))) + "\n")
	b.WriteString(section("DESCRIPTION") + prose(cmd.Long+"\n"))
	if members := slices.DeleteFunc(slices.Clone(cmd.Commands()), func(c *cobra.Command) bool { return !c.IsAvailableCommand() }); len(members) > 0 {
		b.WriteString(section("COMMANDS"))
		for _, c := range members {
			b.WriteString(".TP\n.BR " + roff(manualName(c)) + " (1)\n" + roff(c.Short) + "\n")
		}
	}
	cmd.InitDefaultHelpFlag()
	b.WriteString(section("OPTIONS"))
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) { b.WriteString(option(f)) })
	if cmd.Example != "" {
		b.WriteString(section("EXAMPLES") + literal(strings.Split(cmd.Example, "\n")))
	}
	if cmd.Flags().Lookup("exit-code") != nil {
		b.WriteString(section("EXIT STATUS"))
		for _, e := range report.Exits() {
			fmt.Fprintf(&b, ".TP\n%d\n%s\n", e.Code, roff(strings.ReplaceAll(e.Says, "`", "")))
		}
	}
	var also []string
	if cmd.HasParent() {
		also = append(also, manualName(cmd.Parent()))
	} else {
		for _, t := range topics() {
			also = append(also, cmd.Name()+"-help-"+t.name)
		}
	}
	b.WriteString(section("SEE ALSO"))
	for i, name := range also {
		end := " ,"
		if i == len(also)-1 {
			end = ""
		}
		b.WriteString(".BR " + roff(name) + " (1)" + end + "\n")
	}
	return b.String()
}

func title(name string, proc *Process) string {
	return fmt.Sprintf(".TH %s 1 %s \"reconcile %s\" terra\\-reconcile\n", roff(strings.ToUpper(name)), proc.Now().UTC().Format("2006-01-02"), roff(proc.Version))
}

func section(name string) string { return ".SH " + name + "\n" }

// option is one flag, with the words of its help.
func option(f *pflag.Flag) string {
	value, usage := pflag.UnquoteUsage(f)
	names := "\\fB\\-\\-" + roff(f.Name) + "\\fR"
	if f.Shorthand != "" {
		names = "\\fB\\-" + f.Shorthand + "\\fR, " + names
	}
	if value != "" {
		names += " \\fI" + roff(value) + "\\fR"
	}
	if d := f.DefValue; d != "" && d != "[]" && d != "false" && d != "0" {
		usage += " (default " + d + ")"
	}
	return ".TP\n" + names + "\n" + roff(usage) + "\n"
}

// prose is text in paragraphs, of which what is indented stays as it is.
func prose(text string) string {
	var b strings.Builder
	for i, paragraph := range strings.Split(strings.TrimSpace(strings.ReplaceAll(text, "\t", "    ")), "\n\n") {
		if i > 0 {
			b.WriteString(".PP\n")
		}
		if strings.Contains("\n"+paragraph, "\n  ") {
			b.WriteString(literal(strings.Split(paragraph, "\n")))
			continue
		}
		for line := range strings.Lines(paragraph) {
			b.WriteString(roff(strings.TrimSuffix(line, "\n")) + "\n")
		}
	}
	return b.String()
}

// literal is lines as they are.
func literal(lines []string) string {
	var b strings.Builder
	b.WriteString(".nf\n")
	for _, line := range lines {
		b.WriteString(roff(line) + "\n")
	}
	b.WriteString(".fi\n")
	return b.String()
}

// roff is a line of text in the language of manual pages. What is not ASCII is named, for
// not every reader guesses an encoding.
func roff(line string) string {
	var b strings.Builder
	for i, r := range line {
		switch {
		case i == 0 && (r == '.' || r == '\''):
			b.WriteString(`\&` + string(r))
		case r == '\\':
			b.WriteString(`\e`)
		case r == '-':
			b.WriteString(`\-`)
		case r > '~':
			fmt.Fprintf(&b, `\[u%04X]`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
