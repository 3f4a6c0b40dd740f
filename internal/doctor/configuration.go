package doctor

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/advice"
	"github.com/terra-reconcile/terra-reconcile/internal/gitsource"
	"github.com/terra-reconcile/terra-reconcile/providers"
	"github.com/terra-reconcile/terra-reconcile/secrets"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

// Uncommitted says why a folder is not what a commit holds, and what to do.
func Uncommitted(tree gitsource.Tree) (why, next string) {
	switch {
	case tree.Blind != nil:
		why, next, _ = strings.Cut(tree.Blind.Error(), "; ")
		return why, next
	case tree.Unborn:
		return "its git repository has no commit yet", "commit its files: only commits are applied"
	case tree.Commit.Hash == "":
		return "it is in no git repository", "run git init in it and commit its files: only commits are applied"
	}
	names := strings.Join(tree.Changes, ", ")
	if n := len(tree.Changes); n > 3 {
		names = fmt.Sprintf("%s and %d more", strings.Join(tree.Changes[:3], ", "), n-3)
	}
	return "it has changes that are not committed (" + names + ")", "commit or remove them: only commits are applied"
}

// IsConfig says whether a file could be part of a configuration, by the last of its name.
// A plan file that was just written into the folder is not.
func IsConfig(name string) bool {
	ext := strings.ToLower(filepath.Ext(name))
	return ext == ".yaml" || ext == ".yml" || filepath.Base(name) == filepath.Base(secrets.LockPath)
}

// WorkTree is a folder on this machine in which only what a run reads makes a difference.
// Of the files that begin with _ those do that others extend.
func WorkTree(ctx context.Context, dir, sub string) (gitsource.Tree, error) {
	tree, err := gitsource.WorkTree(ctx, dir, sub, IsRead)
	shared := func(name string) bool { return strings.HasPrefix(name, "_") || strings.Contains(name, "/_") }
	if err != nil || !slices.ContainsFunc(tree.Changes, shared) {
		return tree, err
	}
	set, _ := spec.Load(tree.FS, providers.Vocabulary())
	drafts := slices.DeleteFunc(tree.Changes, func(name string) bool { return !shared(name) || slices.Contains(set.Extended, name) })
	return gitsource.WorkTree(ctx, dir, sub, func(name string) bool { return IsRead(name) && !slices.Contains(drafts, name) })
}

// IsRead says whether a file makes a difference to a run, by its path below terra.yaml: a
// daemon.yaml beside it, or what stands in .github, does not. What begins with _ may be
// extended.
func IsRead(name string) bool {
	if name == secrets.LockPath {
		return true
	}
	folders := strings.Split(name, "/")
	if len(folders) == 1 && !strings.HasPrefix(name, "_") {
		return slices.Contains([]string{"terra.yaml", "terra.yml", "environment.yaml", "environment.yml"}, name)
	}
	ignored := func(name string) bool { return strings.HasPrefix(name, ".") }
	return IsConfig(name) && !slices.ContainsFunc(folders, ignored)
}

// Load reads the files of a repository and lists what is wrong in them: what the
// reader finds, what the catalogue of providers knows offline, and sealed fields that
// are no age file. Where Terra is not asked, what is most likely typed wrong is an error.
func Load(files fs.FS, now time.Time) (spec.Set, []spec.Problem) {
	set, problems := spec.Load(files, providers.Vocabulary())
	for i := range problems {
		if problems[i].Typo {
			problems[i].Severity = spec.Error
		}
	}
	for _, e := range set.Environments {
		for _, c := range e.Connections {
			if p, ok := providers.Lookup(c.Provider); ok {
				for _, f := range p.Check(c, providers.Seen{Now: now}) {
					if f.Origin.File == "" {
						f.Origin = c.Origin
					}
					problems = append(problems, spec.Problem{Severity: f.Severity, Environment: e.Name, Origin: f.Origin, Message: f.Message, Hint: f.Hint, Command: f.Command})
				}
			}
			for _, k := range c.Credentials.Keys {
				if k.Unknown || k.Secret.Armor == "" { // that it is not sealed was said
					continue
				}
				if _, err := secrets.Parse(k.Secret.Armor); err != nil {
					problems = append(problems, spec.Problem{Severity: spec.Error, Environment: e.Name, Origin: k.Secret.Origin, Message: err.Error(), Hint: "seal it again", Command: "secret encrypt " + k.Secret.Origin.File})
				}
			}
		}
	}
	return set, problems
}

// Beside lists what is wrong in a repository apart from what a run reads: private keys,
// and a list of recipients that cannot be used.
func Beside(files fs.FS) []spec.Problem {
	problems := privateKeys(files)
	text, err := fs.ReadFile(files, secrets.LockPath)
	if err != nil {
		return problems // a missing one is no error, and others are said where it is needed
	}
	if _, err := secrets.ParseLock(text); err != nil {
		p := spec.Problem{Severity: spec.Error, Origin: spec.Origin{File: secrets.LockPath, Column: 1}}
		line, message, _ := strings.Cut(err.Error(), ": ")
		p.Origin.Line, _ = strconv.Atoi(line)
		p.Message = message
		for _, a := range advice.All(err) {
			p.Hint, p.Command = a.Text, strings.Join(a.Command, " ")
		}
		problems = append(problems, p)
	}
	return problems
}
