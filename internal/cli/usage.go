package cli

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/terra-reconcile/terra-reconcile/internal/advice"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

// family is a command that only holds others: by itself it shows its help.
func family(cmd *cobra.Command, members ...*cobra.Command) *cobra.Command {
	cmd.Args = takesCommand
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	cmd.AddCommand(members...)
	return cmd
}

// usageError is a command line that cannot be understood.
func usageError(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, args...)}
}

// misused is a usageError with the command's first example and where more stands.
// What was typed is repeated only where it can be no secret.
func misused(cmd *cobra.Command, format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	if words := strings.Fields(cmd.CommandPath())[1:]; len(words) > 0 {
		text = strings.Join(words, " ") + ": " + text
	}
	var err error = advice.With(errors.New(text), "see", append(strings.Fields(cmd.CommandPath())[1:], "--help")...)
	if example := exampleOf(cmd); example != "" {
		err = advice.With(err, "for example: "+example)
	}
	return &exitError{exitUsage, err}
}

// exampleOf is the first example of a command that is its own and no pipeline. A
// family has none: its members have.
func exampleOf(cmd *cobra.Command) string {
	for line := range strings.Lines(cmd.Example) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, cmd.CommandPath()+" ") && !strings.ContainsAny(line, "|<") && !cmd.HasSubCommands() {
			return line
		}
	}
	return ""
}

// takes lets a command have so many arguments, as its Use names them.
func takes(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		names := strings.Fields(cmd.Use)[1:]
		switch {
		case len(args) < least:
			return misused(cmd, "missing: %s", strings.Join(names[len(args):least], " "))
		case len(args) <= most:
			return nil
		case most > 0:
			return misused(cmd, "it takes %s and no more, and was given %d words", strings.Trim(strings.Join(names[:most], " "), "[]"), len(args))
		case cmd.Flags().Lookup("env") != nil:
			return misused(cmd, "it takes flags only; --env NAME chooses an environment")
		}
		return misused(cmd, "it takes no words after it")
	}
}

// commandName is what a command could be called, and a secret is not.
var commandName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z][a-z-]{0,19}$`) })

// takesCommand refuses a word that is no command of a family.
func takesCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	text := "there is no such command"
	if commandName().MatchString(args[0]) {
		text = fmt.Sprintf("there is no command %q", args[0])
	}
	if near := spec.Nearest(args[0], names); near != "" {
		text += fmt.Sprintf("; did you mean %q?", near)
	} else if cmd.HasParent() {
		text += "; there is " + strings.Join(names, ", ")
	}
	return misused(cmd, "%s", text)
}

// flagError says what is wrong with a flag.
func flagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	var bare *pflag.ValueRequiredError
	var invalid *pflag.InvalidValueError
	switch {
	case errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() != "":
		return misused(cmd, "there is no flag -%.1s", unknown.GetSpecifiedName())
	case errors.As(err, &unknown):
		return misused(cmd, "%s", unknownFlag(cmd, unknown.GetSpecifiedName()))
	case errors.As(err, &bare):
		return misused(cmd, "--%s wants a %s after it", bare.GetFlag().Name, valueName(bare.GetFlag()))
	case errors.As(err, &invalid):
		return misused(cmd, "--%s %q: %s", invalid.GetFlag().Name, invalid.GetValue(), valueWords(invalid.GetFlag()))
	}
	return misused(cmd, "a flag is written --name, --name value or --name=value")
}

func unknownFlag(cmd *cobra.Command, name string) string {
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	near := spec.Nearest(name, names)
	switch {
	case near != "":
		return fmt.Sprintf("there is no flag --%s; did you mean --%s?", name, near)
	case cmd.Root().Flags().Lookup(name) != nil:
		return fmt.Sprintf("there is no flag --%s here, only without a command", name)
	}
	return "there is no flag --" + name
}

// needFlags refuses a line without the flags that a command requires.
func needFlags(cmd *cobra.Command) error {
	var missing []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if slices.Contains(f.Annotations[cobra.BashCompOneRequiredFlag], "true") && !f.Changed {
			missing = append(missing, "--"+f.Name+" "+valueName(f))
		}
	})
	if len(missing) == 0 {
		return nil
	}
	return misused(cmd, "missing: %s", strings.Join(missing, " "))
}

// require marks flags that a command does not run without.
func require(cmd *cobra.Command, names ...string) {
	for _, name := range names {
		cmd.Flags().Lookup(name).Annotations = map[string][]string{cobra.BashCompOneRequiredFlag: {"true"}}
	}
}

// choice is a flag that takes one of a few words.
type choice struct {
	word  *string // its default before the line is read
	words []string
}

func (c choice) String() string {
	if c.word == nil {
		return ""
	}
	return *c.word
}

func (c choice) Set(word string) error {
	if !slices.Contains(c.words, word) {
		return errors.New(c.use())
	}
	*c.word = word
	return nil
}

// Type is that of a text, so that help shows the default as one.
func (choice) Type() string { return "string" }

func (c choice) use() string {
	last := len(c.words) - 1
	return "use " + strings.Join(c.words[:last], ", ") + " or " + c.words[last]
}

// addOutput adds -o to a command that prints for people or as a document.
func addOutput(cmd *cobra.Command, format *string) {
	*format = "text"
	cmd.Flags().VarP(choice{format, []string{"text", "json"}}, "output", "o", "`format`: text or json")
}

// valueName is what help calls the value of a flag.
func valueName(flag *pflag.Flag) string {
	name, _ := pflag.UnquoteUsage(flag)
	return strings.ToUpper(name)
}

func valueWords(flag *pflag.Flag) string {
	if c, ok := flag.Value.(choice); ok {
		return c.use()
	}
	switch flag.Value.Type() {
	case "int", "intSlice":
		return "use a number"
	case "duration":
		return "use a duration such as 45m or 2h"
	case "bool":
		return "use it alone, or with =true or =false"
	}
	return "that is no value of it"
}
