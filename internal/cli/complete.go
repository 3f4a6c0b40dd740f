package cli

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/terra-reconcile/terra-reconcile/internal/repoedit"
	"github.com/terra-reconcile/terra-reconcile/providers"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

// completes gives the words that may stand somewhere on a command line, for a shell. It
// asks nobody and opens no secret; where it knows nothing it says nothing.
type completes func(cmd *cobra.Command, typed string) ([]cobra.Completion, cobra.ShellCompDirective)

// completeWords lets shells complete the arguments and the values of flags of a command
// and of all below it, by what its Use and the help of the flags call them.
func completeWords(cmd *cobra.Command) {
	for _, c := range cmd.Commands() {
		completeWords(c)
	}
	if words := strings.Fields(cmd.Use)[1:]; cmd.ValidArgsFunction == nil && len(cmd.ValidArgs) == 0 {
		cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if len(args) >= len(words) || strings.HasPrefix(words[len(args)], "-") {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return begun(ofArgument(strings.Trim(words[len(args)], "[]")), cmd, typed)
		}
	}
	cmd.LocalFlags().VisitAll(func(flag *pflag.Flag) {
		if _, has := cmd.GetFlagCompletionFunc(flag.Name); has || flag.NoOptDefVal != "" {
			return
		}
		of := ofFlag(flag)
		_ = cmd.RegisterFlagCompletionFunc(flag.Name, func(cmd *cobra.Command, _ []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return begun(of, cmd, typed)
		}) // it is there, and has none yet
	})
}

// begun leaves the words that begin with what is typed, of those that are words.
func begun(of completes, cmd *cobra.Command, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	words, how := of(cmd, typed)
	if how&(cobra.ShellCompDirectiveFilterFileExt|cobra.ShellCompDirectiveFilterDirs) == 0 {
		words = slices.DeleteFunc(slices.Clone(words), func(word string) bool { return !strings.HasPrefix(word, typed) })
	}
	return words, how
}

// ofArgument is for an argument, by its name in Use.
func ofArgument(name string) completes {
	switch name {
	case "ENV":
		return environmentNames
	case "ENV[/CONN":
		return placeNames
	case "CONNECTION", "ENV/CONN":
		return connectionNames
	case "DIR":
		return folders
	case "FILE":
		return anyFile
	case "PLAN.json":
		return filesNamed("json")
	case "SLUG":
		return providerNames
	case "rotation":
		return fixed(name)
	}
	return nothing
}

// ofFlag is for the value of a flag: by its words, its name, or what help calls it.
func ofFlag(flag *pflag.Flag) completes {
	if c, ok := flag.Value.(choice); ok {
		return fixed(c.words...)
	}
	switch flag.Name {
	case "env":
		return environmentNames
	case "connection", "only", "explain":
		return connectionNames
	case "approve":
		return func(cmd *cobra.Command, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
			names, _ := placeNames(cmd, typed)
			for i, name := range names {
				word, about, _ := strings.Cut(name, "\t")
				names[i] = cobra.CompletionWithDesc(word+"=", about)
			}
			return names, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
		}
	case "repo":
		return folders
	case "rebind":
		return filesNamed("yaml", "yml")
	case "field":
		return fixed(repoedit.ClientSecret, repoedit.VerificationSecret)
	}
	switch name := valueName(flag); name {
	case "FOLDER":
		return folders
	case "FILE":
		return anyFile
	case "DAEMON.YAML":
		return filesNamed("yaml", "yml")
	}
	return nothing
}

func nothing(*cobra.Command, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveNoFileComp
}

func anyFile(*cobra.Command, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveDefault
}

func folders(*cobra.Command, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveFilterDirs
}

func filesNamed(extensions ...string) completes {
	return func(*cobra.Command, string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return extensions, cobra.ShellCompDirectiveFilterFileExt
	}
}

func fixed(words ...string) completes {
	return func(*cobra.Command, string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return words, cobra.ShellCompDirectiveNoFileComp
	}
}

func providerNames(*cobra.Command, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var names []cobra.Completion
	for _, p := range providers.All() {
		names = append(names, cobra.CompletionWithDesc(p.Slug, p.Name))
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func environmentNames(cmd *cobra.Command, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var names []cobra.Completion
	for _, e := range environmentsAt(cmd) {
		names = append(names, cobra.CompletionWithDesc(e.Name, e.DevID))
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func connectionNames(cmd *cobra.Command, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var names []cobra.Completion
	for _, e := range environmentsAt(cmd) {
		for _, c := range e.Connections {
			names = append(names, e.Name+"/"+c.Provider)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// placeNames are environments, and connections of the one that is typed.
func placeNames(cmd *cobra.Command, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if strings.Contains(typed, "/") {
		return connectionNames(cmd, typed)
	}
	names, _ := environmentNames(cmd, typed)
	connections, how := connectionNames(cmd, typed)
	return append(names, connections...), how
}

// wordForShell is a name that a shell takes as one word, whatever its completion does.
func wordForShell(name string) bool {
	return regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/-]*$`).MatchString(name)
}

// environmentsAt are those of the repository that a command line names, where it is a
// folder of this machine, without what has no plain name. Errors in files are nobody's
// business here.
func environmentsAt(cmd *cobra.Command) []spec.Environment {
	folder := "."
	for _, name := range []string{"repo", "out"} {
		if flag := cmd.Flags().Lookup(name); flag != nil && flag.Changed && valueName(flag) != "FILE" {
			folder = flag.Value.String()
		}
	}
	if flag := cmd.Flags().Lookup("path"); flag != nil {
		folder = filepath.Join(folder, flag.Value.String())
	}
	root, err := repoedit.RootAbove(folder)
	if err != nil || root == "" {
		return nil
	}
	set, _ := spec.Load(os.DirFS(root), providers.Vocabulary())
	out := slices.DeleteFunc(set.Environments, func(e spec.Environment) bool { return !wordForShell(e.Name) })
	for i := range out {
		if !wordForShell(out[i].DevID) {
			out[i].DevID = ""
		}
		out[i].Connections = slices.DeleteFunc(out[i].Connections, func(c spec.Connection) bool { return !wordForShell(c.Provider) })
	}
	return out
}
