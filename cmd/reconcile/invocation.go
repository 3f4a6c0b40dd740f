package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
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
	if info, err := os.Stat(filepath.Join(folder, "terra.yaml")); err == nil && !info.IsDir() {
		v.folder = folder
	}
}

func mayHoldPassword(repo string) bool {
	_, rest, isURL := strings.Cut(repo, "://")
	authority, _, _ := strings.Cut(rest, "/")
	user, _, hasUser := strings.Cut(authority, "@")
	return isURL && (hasUser && strings.Contains(user, ":") || strings.ContainsAny(rest, "?#"))
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

// typed is a command in a text: in backticks, so that it is told from other words
// and never broken over two lines.
var typed = regexp.MustCompile("`reconcile [^`]+`")

// complete adds to every command in a text what it needs to be about the same. One
// that has some of it is left as it is.
func (v invocation) complete(text string) string {
	if v.root == nil || len(v.flags) == 0 && v.folder == "" {
		return text
	}
	v.one.Lock() // cobra sorts commands and makes flags when it is first asked for them
	defer v.one.Unlock()
	return typed.ReplaceAllStringFunc(text, func(command string) string {
		return "`" + v.completed(strings.Trim(command, "`")) + "`"
	})
}

func (v invocation) completed(command string) string {
	words := strings.Split(command, " ")
	cmd, n := v.root, 1
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
		return command
	}
	out := slices.Clone(words[:n])
	if takesFolder(cmd) && v.folder != "" && (len(rest) == 0 || strings.HasPrefix(rest[0], "-")) {
		out = append(out, shellWord(v.folder))
	}
	if strings.Contains(cmd.Use, " FILE") && len(rest) > 0 {
		rest[0] = v.below(rest[0])
	}
	for _, name := range completing() {
		if value := v.valueFor(cmd.Flags().Lookup(name)); value != "" {
			out = append(out, "--"+name, shellWord(value))
		}
	}
	return strings.Join(append(out, rest...), " ")
}

// below is a file that stands in the folder of the repository, as it is typed here.
func (v invocation) below(file string) string {
	full := filepath.Join(v.folder, file)
	if _, err := os.Stat(full); v.folder == "" || err != nil {
		return file
	}
	return shellWord(full)
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

// shellWord writes a word so that a shell reads the same one.
func shellWord(word string) string {
	safe := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("%+,-./:=@_", r)
	}
	if word != "" && !strings.ContainsFunc(word, func(r rune) bool { return !safe(r) }) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// completeReport completes the commands in what a run says.
func (v invocation) completeReport(r *report.Report) {
	v.completeAll(&r.Error)
	v.completeEach(r.Warnings)
	for i := range r.Environments {
		e := &r.Environments[i]
		v.completeAll(&e.Error, &e.ApproveWay, &e.ApproveNext)
		v.completeEach(e.Warnings)
		for j := range e.WarningDetails {
			v.completeAll(&e.WarningDetails[j].Next, &e.WarningDetails[j].Text)
		}
		for j := range e.NotCompared {
			v.completeAll(&e.NotCompared[j].Reason)
		}
		for j := range e.Changes {
			v.completeAll(&e.Changes[j].GateReason, &e.Changes[j].GateWay, &e.Changes[j].AskWay, &e.Changes[j].Error)
		}
		for j := range e.Events {
			v.completeAll(&e.Events[j].Text)
		}
		for j := range e.Keys {
			v.completeAll(&e.Keys[j].Do)
		}
	}
}

func (v invocation) completeEach(texts []string) {
	for i := range texts {
		v.completeAll(&texts[i])
	}
}

func (v invocation) completeAll(texts ...*string) {
	for _, text := range texts {
		*text = v.complete(*text)
	}
}
