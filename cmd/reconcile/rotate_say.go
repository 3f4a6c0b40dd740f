package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/terra-reconcile/terra-reconcile/providers"
	"github.com/terra-reconcile/terra-reconcile/secrets"
)

// message is that of the commit.
func (a addition) message() string {
	due := "Due at once."
	if !a.notBefore.IsZero() {
		due = "Due from " + a.notBefore.Format(time.RFC3339) + "."
	}
	return fmt.Sprintf("Add key %d of %s\n\n%s Sealed for %s.\n", a.number, a.name(), due, plural(a.recipients, "recipient", "recipients"))
}

// print says what was done, and what happens next.
func (a addition) print(env *environment) error {
	out := newPage(env)
	out.add(fmt.Sprintf("Added key %d of %s, sealed for %s.\n", a.number, a.name(), plural(a.recipients, "recipient", "recipients")))
	for _, line := range []struct{ head, text string }{{"due", a.due()}, {"then", a.then()}, {"compared", a.compared}, {"probe", a.probe}} {
		if line.text != "" {
			out.folded(fmt.Sprintf("  %-10s", line.head), line.text)
		}
	}
	out.add("\nNext:\n")
	for i, step := range a.steps() {
		out.folded(fmt.Sprintf("  %d. ", i+1), step)
	}
	if p, ok := providers.Lookup(a.connection.Provider); ok && p.Reset.Order != "" {
		out.add("\n")
		out.folded(p.Name+": ", string(p.Reset.Order)+". "+p.Reset.Effect)
	}
	return out.print(env.Stdout)
}

func (a addition) waits() bool { return a.notBefore.After(a.now) }

func (a addition) due() string {
	if !a.waits() {
		return "at once"
	}
	text := "from " + a.notBefore.Format(time.RFC3339)
	if a.number > 1 {
		text += fmt.Sprintf("; until then key %d stays", a.number-1)
	}
	return text
}

// then says which keys stand after the new one now.
func (a addition) then() string {
	var out []string
	for i, key := range a.later {
		out = append(out, fmt.Sprintf("key %d from %s (it was key %d)", a.number+i+1, key.NotBefore.UTC().Format(time.RFC3339), a.number+i))
	}
	return strings.Join(out, ", ")
}

// steps are what a person does now, in the order that suits the provider.
func (a addition) steps() []string {
	p, _ := providers.Lookup(a.connection.Provider)
	out := []string{fmt.Sprintf("Commit and push %s and %s.", a.connection.File, secrets.LockPath)}
	if a.commit != "" {
		out[0] = "Push commit " + a.commit + "."
	}
	apply := "The daemon sets the key by itself, or run `reconcile --env " + a.env.Name + "`."
	if a.waits() {
		apply = "At that time the daemon sets the key by itself, or run `reconcile --env " + a.env.Name + "` then."
	}
	out = append(out, apply)
	if a.number == 1 {
		out = append(out, "Is a secret live at Terra that was set by hand? Then put `- {unknown: true}` above this key: it is the key to be replaced.")
	}
	if p.Reset.Order != providers.CommitFirst && len(a.later) > 0 {
		out = append(out, fmt.Sprintf("Was key %d made before this one? Making this one may have been the end of it: if so take its entry out of %s, or it is set at its time all the same.", a.number+1, a.connection.File))
	}
	last := "See with `reconcile rotate status` that it is live and stays good."
	switch p.Reset.Order {
	case providers.CommitFirst:
		return append(out, last, "Only then make an end of the old secret, at "+p.Portal+".")
	case providers.ResetFirst:
		if a.number == 1 {
			break // of an old secret nothing is known but what is said above
		}
		if a.waits() {
			last += " The old secret may have died when the new one was made: if so, do not wait, give this key an earlier not_before."
		} else {
			out[0] += " Do it now: the old secret may have died when the new one was made."
		}
	case providers.AskTerra:
		last += " `reconcile providers " + p.Slug + "` has the letter to Terra support."
	}
	return append(out, last)
}
