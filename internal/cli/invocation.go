package cli

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/internal/repoedit"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

// invocation is how a command line names the configuration, the state and the
// repository. A command that a text tells a person to type is completed with it:
// without these flags it would be about others.
type invocation struct {
	root   *cobra.Command // knows which command takes which flag; nil: nothing is completed
	flags  []givenFlag
	folder string // of terra.yaml on this machine, "" where no flag says one
	one    *sync.Mutex
	away   bool // it is read elsewhere: only commands to the runner are completed
}

type givenFlag struct{ name, value string }

// completing are the flags that a command is completed with, in this order.
func completing() []string { return []string{"config", "state", "repo", "ref", "path"} }

// invocationOf reads what a command was given. A repository that may name a
// password is left out.
func invocationOf(cmd *cobra.Command, args []string) invocation {
	v := invocation{root: cmd.Root(), one: &sync.Mutex{}}
	for _, name := range completing() {
		flag := cmd.Flags().Lookup(name)
		if flag == nil || flag.Value.String() == "" || !flag.Changed && name != "config" {
			continue
		}
		if name == "repo" && mayHoldPassword(flag.Value.String()) {
			continue
		}
		v.flags = append(v.flags, givenFlag{name, flag.Value.String()})
	}
	repo, path := v.value("repo"), v.value("path")
	if takesFolder(cmd) && len(args) == 1 {
		repo = args[0]
	}
	if strings.Contains(cmd.Use, " FILE") && len(args) == 1 {
		repo = folderOf(args[0])
	}
	if info, err := os.Stat(filepath.Join(repo, path)); (repo != "" || path != "") && err == nil && info.IsDir() {
		v.folder = filepath.Join(repo, path)
	}
	return v
}

// reads notes the folder of a repository that only daemon.yaml names, where it is on
// this machine and nobody stands in it.
func (v *invocation) reads(repo config.Repo) {
	folder, err := filepath.Abs(filepath.Join(repo.URL, repo.Path))
	if err != nil || v.folder != "" || repo.URL == "" {
		return
	}
	here, err := os.Getwd()
	if err != nil {
		return
	}
	if within, err := filepath.Rel(folder, here); err == nil && filepath.IsLocal(within) {
		return
	}
	for _, name := range spec.RootFiles() {
		if info, err := os.Stat(filepath.Join(folder, name)); err == nil && !info.IsDir() {
			v.folder = folder
		}
	}
}

func mayHoldPassword(repo string) bool {
	_, rest, isURL := strings.Cut(repo, "://")
	authority, _, _ := strings.Cut(rest, "/")
	user, _, hasUser := strings.Cut(authority, "@")
	return isURL && (hasUser && strings.Contains(user, ":") || strings.ContainsAny(rest, "?#"))
}

// folderOf is the folder of the repository that a file stands in, "" where a person stands
// there or nobody can tell.
func folderOf(file string) string {
	root, err := repoedit.RootAbove(filepath.Dir(file))
	if err != nil || root == "" {
		return ""
	}
	here, err := os.Getwd()
	if err != nil || root == here {
		return ""
	}
	if within, err := filepath.Rel(here, root); err == nil && !filepath.IsAbs(file) {
		return within
	}
	return root
}

// takesFolder tells whether a command names the repository by its argument.
func takesFolder(cmd *cobra.Command) bool { return strings.Contains(cmd.Use, "[DIR]") }

func (v invocation) value(name string) string {
	i := slices.IndexFunc(v.flags, func(f givenFlag) bool { return f.name == name })
	if i < 0 {
		return ""
	}
	return v.flags[i].value
}

// elsewhere is v for who reads a text in another folder or on another machine.
func (v invocation) elsewhere() invocation {
	v.away, v.flags = true, slices.Clone(v.flags)
	for i, f := range v.flags {
		if full, err := filepath.Abs(f.value); err == nil && f.name != "ref" && f.name != "repo" {
			v.flags[i].value = full
		}
	}
	return v
}

// of is v for what is about one repository of a daemon.yaml: its commands name that one. Where
// none is to be named, or no daemon.yaml is, it is v.
func (v invocation) of(repository string) invocation {
	if repository == "" || v.value("config") == "" {
		return v
	}
	v.flags = slices.DeleteFunc(slices.Clone(v.flags), func(f givenFlag) bool { return f.name == "repo" })
	v.flags = append(v.flags, givenFlag{"repo", repository})
	return v
}

// command gives a command with the flags of this command line without which it would
// be about another state, configuration or repository. One that has some of them is
// left as it is.
func (v invocation) command(words plan.Command) plan.Command {
	if v.root == nil || len(words) == 0 || len(v.flags) == 0 && v.folder == "" {
		return words
	}
	v.one.Lock() // cobra sorts commands and makes flags when it is first asked for them
	defer v.one.Unlock()
	cmd, n := v.root, 0
	for ; n < len(words); n++ {
		next := member(cmd, words[n])
		if next == nil {
			break
		}
		cmd = next
	}
	rest := words[n:]
	has := slices.ContainsFunc(rest, func(word string) bool {
		name, _, _ := strings.Cut(strings.TrimPrefix(word, "--"), "=")
		return strings.HasPrefix(word, "--") && slices.Contains(completing(), name)
	})
	if has || slices.Contains(rest, "--help") || cmd == v.root && !strings.HasPrefix(rest[0], "-") || v.away && (editsFiles(cmd) || cmd.Flags().Lookup("state") == nil) {
		return words
	}
	out := slices.Clone(words[:n])
	if takesFolder(cmd) && v.folder != "" && (len(rest) == 0 || strings.HasPrefix(rest[0], "-")) {
		out = append(out, v.folder)
	}
	if strings.Contains(cmd.Use, " FILE") && len(rest) > 0 {
		rest = append(plan.Command{v.below(rest[0])}, rest[1:]...)
	}
	for _, name := range completing() {
		if value := v.valueFor(cmd.Flags().Lookup(name)); value != "" {
			out = append(out, "--"+name, value)
		}
	}
	return append(out, rest...)
}

// below is a file that stands in the folder of the repository, as it is typed here.
func (v invocation) below(file string) string {
	full := filepath.Join(v.folder, file)
	if _, err := os.Stat(full); v.folder == "" || err != nil {
		return file
	}
	return full
}

// valueFor is what a flag of another command gets. Where that one takes only a
// folder of this machine, a repository elsewhere is not passed on.
func (v invocation) valueFor(flag *pflag.Flag) string {
	if flag == nil {
		return ""
	}
	if flag.Name == "repo" && ofThisMachine(flag) {
		return v.folder
	}
	return v.value(flag.Name)
}

// ofThisMachine tells whether a repository must be a folder, as its help says.
func ofThisMachine(repo *pflag.Flag) bool {
	kind, _ := pflag.UnquoteUsage(repo)
	return kind == "folder"
}

// editsFiles tells whether a command works on the files of a repository.
func editsFiles(cmd *cobra.Command) bool {
	repo := cmd.Flags().Lookup("repo")
	return repo != nil && ofThisMachine(repo)
}

func member(cmd *cobra.Command, name string) *cobra.Command {
	for _, c := range cmd.Commands() {
		if c.Name() == name {
			return c
		}
	}
	return nil
}

// completeReport completes the commands in a report.
func (v invocation) completeReport(r *report.Report) {
	v.completeWarnings(r.Warnings)
	v.completeEach(r.Remediations)
	for i := range r.Environments {
		e := &r.Environments[i]
		v.completeWarnings(e.Warnings)
		v.completeEach(e.Remediations)
		e.Approval.Command = v.command(e.Approval.Command)
		v.completeEach(e.Approval.Remediations)
		for j := range e.Connections {
			a := &e.Connections[j].Approval
			a.Command = v.command(a.Command)
			v.completeEach(a.Remediations)
		}
		for j := range e.Changes {
			v.completeEach(e.Changes[j].Remediations)
		}
		for j := range e.Events {
			v.completeEach(e.Events[j].Remediations)
		}
		for j := range e.Keys {
			v.completeEach(e.Keys[j].Remediations)
		}
	}
}

func (v invocation) completeWarnings(list []plan.Warning) {
	for i := range list {
		v.completeEach(list[i].Remediations)
	}
}

func (v invocation) completeEach(list []plan.Remediation) {
	for i := range list {
		list[i].Command = v.command(list[i].Command)
	}
}
