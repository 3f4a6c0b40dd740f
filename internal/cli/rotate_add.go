package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/internal/repoedit"
	"github.com/terra-reconcile/terra-reconcile/internal/visible"
	"github.com/terra-reconcile/terra-reconcile/providers"
	"github.com/terra-reconcile/terra-reconcile/reconcile"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/secrets"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

type addFlags struct {
	keyFlags
	notBefore    string
	issued       string
	probe        bool
	unknownFirst bool
	yesNew       bool
}

func newRotateAddCommand(proc *Process) *cobra.Command {
	flags := &addFlags{}
	cmd := &cobra.Command{
		Use:   "add CONNECTION",
		Short: "Add a new client secret to a connection, sealed",
		Long: `Add a new client secret to a connection, sealed.

It asks for the secret without showing it, or reads it from standard input,
checks it by the provider's rules, seals it for the recipients that terra.yaml
names and adds an entry to credentials.keys, oldest first: one that is due
sooner than keys of the file stands before them. A lone client_secret becomes
the first entry. Every other byte of the file stays.

Its age counts from today, unless --issued says when it was made. Where an admin
token is at hand Terra is asked whether it is the live secret: the live one
itself can be added, to have a way back to it, and gets no date where none is
given. One that would replace a live secret that no key of the file is asks
first, on a terminal; a script is only told.

A secret that the file has already is refused, as far as a private key is at
hand to compare them; where its provider has refused it, as the memory of runs
knows, it is sealed again instead, and so tried again.`,
		Example: `  reconcile rotate add production/strava
  reconcile rotate add production/strava --not-before 2026-11-28T02:00:00Z
  reconcile rotate add production/strava --issued 2025-03-14
  reconcile rotate add production/whoop --probe --commit < new-secret.txt
  reconcile rotate add production/polar --unknown-first`,
		Args: takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error { return addKey(cmd.Context(), proc, args[0], flags) },
	}
	p := cmd.Flags()
	p.StringVar(&flags.notBefore, "not-before", "", "`time` from which it is due: 2026-11-28 (00:00 UTC) or 2026-11-28T02:00:00Z (default: at once)")
	p.StringVar(&flags.issued, "issued", "", "`date` on which it was made in the portal, like 2026-11-20 (default: today)")
	p.BoolVar(&flags.probe, "probe", false, "ask the provider about it; one that it rejects is not added")
	p.BoolVar(&flags.unknownFirst, "unknown-first", false, "the live secret was set by hand and stands in no file: note it as {unknown: true} before this one")
	flags.keyFlags.add(cmd)
	addYesNew(cmd, &flags.yesNew)
	return cmd
}

// addition is what came of adding a key, as far as a person needs to know.
type addition struct {
	repoedit.KeyFile
	placement
	now        time.Time
	issued     string // the day it was made, "" where nobody knows
	live       liveSecret
	others     []secrets.Value // keys of the file that opened
	closed     int             // keys of the file that nobody here opens
	undo       string          // takes back what is not committed, "" for none
	recipients int
	again      int // number of the key of the file that it is, and that is tried again; 0 for none
	compared   string
	probe      string // "": not asked
	commit     string // hash, "" for none
	repository string // of a daemon.yaml that has several, that the environment is of; "" for none
}

func addKey(ctx context.Context, proc *Process, name string, f *addFlags) error {
	runner, err := f.runner(proc)
	if err != nil {
		return err
	}
	if f.issued != "" {
		if err := repoedit.CheckIssued(f.issued, proc.Now()); err != nil {
			return err
		}
	}
	k, err := openKeyFile(f.folder(runner), name)
	if err != nil {
		return err
	}
	p, known := providers.Lookup(k.Connection.Provider)
	if known && p.Keys == providers.KeysNone {
		return fmt.Errorf("%s: %s has no client secret (%s)", k.Connection.File, p.Name, p.Why)
	}
	a := addition{KeyFile: k, now: proc.Now().UTC(), repository: f.repository(ctx, proc, runner, k.Environment)}
	if a.placement, err = placeFor(k, f.notBefore, a.now); err != nil {
		return err
	}
	if f.unknownFirst {
		a.number++
	}
	readers, err := k.Repository.Readers(k.Connection.File, runner.Identities.AllowPlugins)
	if err != nil {
		return err
	}
	recipients := readers.Recipients
	edit, err := editKeys(ctx, k, f.commit)
	if err != nil {
		return err
	}
	if err := confirmReaders(ctx, proc, f.yesNew, readers); err != nil {
		return err
	}
	value, err := a.askFor(ctx, proc, runner, f.probe)
	if err != nil {
		return err
	}
	if a.live, err = lookLive(ctx, proc, runner, k.Binding(), value); err != nil {
		return err
	}
	if err := a.tellLive(ctx, proc); err != nil {
		return err
	}
	a.issued = f.issued
	if a.issued == "" && !a.isLive() {
		a.issued = a.now.Format(time.DateOnly)
	}
	sealed, err := secrets.Seal(value, k.Binding(), recipients)
	if err != nil {
		return fmt.Errorf("%s: %w", k.Connection.File, err)
	}
	a.recipients = len(recipients.Strings())
	if !f.commit {
		a.undo = undoOf(k)
	}
	if a.again > 0 {
		a.commit, err = edit.Reseal(a.again, sealed, recipients, fmt.Sprintf("Seal key %d of %s again\n\nIts provider refused it; it is tried again.\n", a.again, a.Name()))
		if err != nil {
			return err
		}
		return a.printAgain(proc)
	}
	a.commit, err = edit.Add(spec.NewKey{Issued: a.issued, NotBefore: a.written, AfterUnknown: f.unknownFirst, Before: a.before()},
		sealed, recipients, a.message())
	if err != nil {
		return err
	}
	return a.print(proc)
}

// askFor reads the secret and refuses one that cannot be right.
func (a *addition) askFor(ctx context.Context, proc *Process, runner config.Config, probe bool) (secrets.Value, error) {
	ids, err := identities(runner.Identities)()
	if err != nil {
		return secrets.Value{}, err
	}
	ask, err := newProber(runner)
	if err != nil {
		return secrets.Value{}, err
	}
	value, err := readSecret(ctx, proc, "new client secret of "+a.Name())
	if err != nil {
		return secrets.Value{}, err
	}
	place := repoedit.Dotted([]string{"credentials", "keys", strconv.Itoa(a.number - 1), a.Names[0]})
	if err := checkSecret(proc, a.Connection.File, place, a.Binding(), a.Connection.Credentials.ClientID.Value, value); err != nil {
		return secrets.Value{}, err
	}
	if err := a.compare(ctx, value, ids, runner); err != nil || !probe {
		return value, err
	}

	c := a.Connection
	why := ask.Unasked(c.Provider)
	if why == "" && !c.Credentials.ClientID.Given() {
		why = "the file has no client id to go with it"
	}
	if why != "" {
		a.probe = "unknown: " + why // it is added although nobody knows whether it works
		return value, nil
	}
	switch good, bad, reason := ask.Probe(ctx, c.Provider, c.Credentials.ClientID.Value, value); {
	case bad:
		return value, fmt.Errorf("%s: %s rejects the new secret: %s; nothing was changed. A provider may know a new one only after some minutes", c.File, c.Provider, reason)
	case good:
		a.probe = "accepted: " + reason
	default:
		a.probe = "unknown: " + reason
	}
	return value, nil
}

// isLive reports whether the secret is the live one, as far as Terra or four characters
// tell, so that nothing is to be done at Terra.
func (a *addition) isLive() bool { return a.live.agrees && !a.waits() }

// tellLive says how the secret stands to the live one. Where it would replace one that no
// key of the file is, a person on a terminal is asked.
func (a *addition) tellLive(ctx context.Context, proc *Process) error {
	isLive := func(v secrets.Value) bool {
		agrees, _ := secrets.MaskAgrees(v, a.live.mask)
		return agrees
	}
	if !a.live.known || a.live.agrees || a.again > 0 || a.closed > 0 || slices.ContainsFunc(a.others, isLive) {
		a.live.tell(proc)
		return nil
	}
	out := newPage(proc)
	out.paragraph("This is not the live secret (" + a.live.mask + "): it will replace it, and no file has the live one: there is no way back.")
	if err := out.print(proc.Stderr); err != nil || !proc.Terminals.Stdin || !proc.Terminals.Stderr {
		return err
	}
	return confirm(ctx, proc, "Is it a new one that is to replace the live one? Type yes: ")
}

// undoOf is what takes back an addition that is not committed, "" outside of git.
func undoOf(k repoedit.KeyFile) string {
	root := k.Repository.Root
	for at := root; ; at = filepath.Dir(at) {
		if _, err := os.Lstat(filepath.Join(at, ".git")); err == nil {
			break
		}
		if at == filepath.Dir(at) {
			return ""
		}
	}
	undo := "git"
	if here := k.Repository.Typed(""); here != "." {
		undo += " -C " + plan.ShellWord(here)
	}
	undo += " restore " + plan.ShellWord(k.Connection.File)
	if _, err := os.Lstat(filepath.Join(root, secrets.LockPath)); err == nil {
		undo += " " + secrets.LockPath
	}
	return undo
}

// compare refuses a secret that one of the other keys is already, unless its provider
// refused that one.
func (a *addition) compare(ctx context.Context, value secrets.Value, ids *secrets.Identities, runner config.Config) error {
	compared, sealed := 0, 0
	why := ""
	for i, key := range a.Connection.Credentials.Keys {
		if key.Unknown {
			continue
		}
		old, err := secrets.Parse(key.Secret.Armor)
		if err != nil {
			return fmt.Errorf("%s: %w", key.Secret.Origin, err)
		}
		opened, _, err := ids.Open(old, a.Binding(), a.Repository.Set.Root.AllowPlain)
		switch {
		case errors.Is(err, secrets.ErrNoIdentity):
			sealed, why = sealed+1, "no private key at hand opens "
		case errors.Is(err, secrets.ErrMasked):
			compared++ // no secret at all
		case err != nil:
			return fmt.Errorf("%s: open key %d to compare: %w", key.Secret.Origin, i+1, secrets.InFile(err, a.Repository.Typed(a.Connection.File), a.Repository.Original(key.Secret)))
		case opened.Equal(value):
			refused, err := a.wasRefused(ctx, i+1, runner)
			if a.again = i + 1; refused || err != nil {
				return err
			}
			return fmt.Errorf("%s: key %d is this very secret; make a new one in the provider's portal; nothing was changed", key.Secret.Origin, i+1)
		default:
			compared++
			a.others = append(a.others, opened)
		}
	}
	a.closed = sealed
	switch {
	case sealed > 0 && compared > 0:
		a.compared = fmt.Sprintf("differs from %s; %s%d", visible.Plural(compared, "other key", "other keys"), why, sealed)
	case sealed > 0:
		a.compared = "not compared: " + why + visible.Plural(sealed, "other key", "other keys")
	case compared > 0:
		a.compared = "differs from " + visible.Plural(compared, "other key", "other keys")
	}
	return nil
}

// wasRefused tells whether the memory of runs knows that the provider refused a key of
// the file.
func (a *addition) wasRefused(ctx context.Context, key int, runner config.Config) (bool, error) {
	if runner.StateDir == "" {
		return false, nil
	}
	store, _, err := memoryFor(ctx, runner.StateDir)
	if err != nil {
		return false, err
	}
	var known reconcile.RecalledKeys
	env, err := memoryOf(store, runner, a.Environment)
	if err == nil {
		known, err = reconcile.RecallKeys(store, env, a.Environment.Account, a.Connection)
	}
	_, refused := known.Refusal(key)
	return refused, errors.Join(err, store.Close())
}

// printAgain says that a key of the file is tried again, and what happens next.
func (a addition) printAgain(proc *Process) error {
	out := newPage(proc)
	out.add(fmt.Sprintf("Sealed key %d of %s again, for %s: it is tried again.\n", a.again, a.Name(), visible.Plural(a.recipients, "recipient", "recipients")))
	if a.probe != "" {
		out.folded("  probe     ", a.probe)
	}
	next := fmt.Sprintf("Commit and push %s and %s.", a.Connection.File, secrets.LockPath)
	if a.commit != "" {
		next = "Push commit " + a.commit + "."
	}
	out.add("\nNext:\n")
	out.folded("  1. ", next)
	out.asked = out.asked.of(a.repository)
	out.folded("  2. ", "The daemon asks about it by itself. Without one apply it", "--env", a.Environment.Name)
	return out.print(proc.Stdout)
}

// slipped is how far --not-before may lie in the past: a day, that of a bare date in
// any time zone. Further back it is a slip, as in the year, and the key would be live
// at once.
const slipped = 24 * time.Hour

// placement is where in the list a new key stands, and from when it is due.
type placement struct {
	number    int        // 1 is the oldest
	written   string     // not_before as the file is to hold it, "" for none
	notBefore time.Time  // zero: at once
	later     []spec.Key // that become due after it, so that it stands before them
}

// before is the number of the entry to stand before, 0 for the end of the list.
func (p placement) before() int {
	if len(p.later) == 0 {
		return 0
	}
	return p.number
}

// placeFor finds the place of a key that is due from the time of a flag, or at
// once. Keys stand oldest first, so it goes before those that become due later; a
// key that is due at once after one that has a time gets the time of now. It must
// not stand before the key that is due already: it would never be live.
func placeFor(k repoedit.KeyFile, flag string, now time.Time) (placement, error) {
	p := placement{written: now.Format(time.RFC3339), notBefore: now.Truncate(time.Second)}
	if flag != "" {
		at, err := spec.ParseMoment(flag)
		if err != nil {
			return p, usageError("--not-before %q: write it like 2026-11-28 (00:00 UTC) or 2026-11-28T02:00:00Z: it %w", flag, err)
		}
		p.written, p.notBefore = flag, at
	}
	keys := k.Connection.Credentials.Keys
	older := slices.IndexFunc(keys, func(key spec.Key) bool { return key.NotBefore.After(p.notBefore) })
	if older < 0 {
		older = len(keys)
	}
	p.later, p.number = keys[older:], older+1
	if due := reconcile.KeysOf(k.Connection).Due(now) - 1; due >= older {
		return p, fmt.Errorf("%s: key %d is due since %s, and a key from before that would never be live; to have the new one at once leave --not-before out",
			keys[due].Origin, due+1, keys[due].NotBefore.UTC().Format(time.RFC3339))
	}
	if now.Sub(p.notBefore) > slipped {
		return p, usageError("--not-before %s: it is more than a day ago; leave it out to use the key at once", flag)
	}
	if flag == "" && (older == 0 || keys[older-1].NotBefore.IsZero()) {
		p.written, p.notBefore = "", time.Time{}
	}
	return p, nil
}

// message is that of the commit.
func (a addition) message() string {
	due := "Due at once."
	if !a.notBefore.IsZero() {
		due = "Due from " + a.notBefore.Format(time.RFC3339) + "."
	}
	return fmt.Sprintf("Add key %d of %s\n\n%s Sealed for %s.\n", a.number, a.Name(), due, visible.Plural(a.recipients, "recipient", "recipients"))
}

// print says what was done, and what happens next.
func (a addition) print(proc *Process) error {
	out := newPage(proc)
	out.add(fmt.Sprintf("Added key %d of %s, sealed for %s.\n", a.number, a.Name(), visible.Plural(a.recipients, "recipient", "recipients")))
	for _, line := range []struct{ head, text string }{{"due", a.due()}, {"issued", a.age()}, {"then", a.then()}, {"compared", a.compared}, {"probe", a.probe}} {
		if line.text != "" {
			out.folded(fmt.Sprintf("  %-10s", line.head), line.text)
		}
	}
	out.asked = out.asked.of(a.repository)
	out.add("\nNext:\n")
	for i, step := range a.steps() {
		out.folded(fmt.Sprintf("  %d. ", i+1), step.text, step.command...)
	}
	if a.undo != "" {
		out.add("\nWrong one? Before it is committed this undoes it, with every other change of\nthese files that is not committed:\n  " + visible.Text(a.undo) + "\n")
	}
	if p, ok := providers.Lookup(a.Connection.Provider); ok && p.Reset.Order != "" && !a.isLive() {
		out.add("\n")
		out.folded(p.Name+": ", string(p.Reset.Order)+". "+p.Reset.Effect)
	}
	return out.print(proc.Stdout)
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

// age says that the file does not hold how old the key is.
func (a addition) age() string {
	if a.issued != "" {
		return ""
	}
	return "not noted: it is live already, and nobody said when it was made (--issued)"
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
func (a addition) steps() []note {
	p, _ := providers.Lookup(a.Connection.Provider)
	out := []note{tell(fmt.Sprintf("Commit and push %s and %s.", a.Connection.File, secrets.LockPath))}
	if a.commit != "" {
		out[0].text = "Push commit " + a.commit + "."
	}
	last := tell("See that it is live and stays good", "rotate", "status")
	if a.isLive() {
		by := ""
		if !a.live.asked {
			by = "by its last four characters "
		}
		return append(out, tell("Nothing changes at Terra: "+by+"this is the live secret, and from then on there is a way back to it. See that nothing is to be done", "--dry-run", "--env", a.Environment.Name), last)
	}
	apply := "The daemon sets the key by itself. Without one apply it"
	if a.waits() {
		apply = "At that time the daemon sets the key by itself. Without one apply it then"
	}
	out = append(out, tell(apply, "--env", a.Environment.Name))
	if a.number == 1 {
		out = append(out, tell("Is a secret live at Terra that was set by hand? Then put `- {unknown: true}` above this key: it is the key to be replaced."))
	}
	if p.Reset.Order != providers.CommitFirst && len(a.later) > 0 {
		out = append(out, tell(fmt.Sprintf("Was key %d made before this one? Making this one may have been the end of it: if so take its entry out of %s, or it is set at its time all the same.", a.number+1, a.Connection.File)))
	}
	switch p.Reset.Order {
	case providers.CommitFirst:
		return append(out, last, tell("Only then make an end of the old secret, at "+p.Portal+"."))
	case providers.ResetFirst:
		if a.number == 1 {
			break // of an old secret nothing is known but what is said above
		}
		if a.waits() {
			out = append(out, tell("The old secret may have died when the new one was made: if so, do not wait, give this key an earlier not_before."))
		} else {
			out[0].text += " Do it now: the old secret may have died when the new one was made."
		}
	case providers.AskTerra:
		out = append(out, tell("The letter to Terra support", "providers", p.Slug, "--ticket"))
	}
	return append(out, last)
}
