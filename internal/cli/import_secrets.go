package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/terra-reconcile/terra-reconcile/internal/advice"
	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/internal/repoedit"
	"github.com/terra-reconcile/terra-reconcile/internal/visible"
	"github.com/terra-reconcile/terra-reconcile/providers"
	"github.com/terra-reconcile/terra-reconcile/reconcile"
	"github.com/terra-reconcile/terra-reconcile/secrets"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

// mostLineErrors is how many lines of a file of secrets are named as wrong.
const mostLineErrors = 20

// secretsImport seals the secrets of one file into connections that have none of their
// own yet, into all of them or none.
type secretsImport struct {
	proc       *Process
	name       string // of the file, as messages call it
	repository repoedit.Repository
	runner     config.Config
	identities *secrets.Identities
	wrong      []lineError
	found      []foundSecret
}

// fieldOf is a field of a connection that a file can give.
type fieldOf struct {
	environment spec.Environment
	connection  spec.Connection
	field       string // as it is bound
}

func (f fieldOf) String() string { return f.environment.Name + "/" + f.connection.Provider }

func (f fieldOf) binding() secrets.Binding {
	return secrets.Binding{Account: f.environment.Account, DevID: f.environment.DevID, Provider: f.connection.Provider, Field: f.field}
}

// foundSecret is a secret and where it belongs.
type foundSecret struct {
	fieldOf
	line   int
	value  secrets.Value
	isHere bool // the file of the connection has this very secret
	live   liveSecret
}

func (f *importFlags) importSecrets(ctx context.Context, proc *Process) error {
	if f.devID != "" || f.account != "" {
		return usageError("--secrets fills files that are there: import them first, without it; --dev-id and --account belong to that")
	}
	runner, err := runnerConfig(proc, f.config)
	if err != nil {
		return err
	}
	repository, err := openRepository(f.out)
	if err != nil {
		return err
	}
	i := &secretsImport{proc: proc, name: f.secrets, repository: repository, runner: runner}
	if f.secrets == "-" {
		i.name = "standard input"
	}
	if err := repository.Whole(); err != nil {
		return fmt.Errorf("seal into %s: %w", repository.Root, err)
	}
	if i.identities, err = identities(runner.Identities)(); err != nil {
		return err
	}
	text, err := readSecretsFile(proc, f.secrets, repository.Root)
	if err != nil {
		return err
	}
	defer clear(text)
	all, wrong := readGiven(text)
	i.wrong = wrong
	fields, err := i.fields(f.environment)
	if err != nil {
		return err
	}
	i.match(all, fields)
	for n := range i.found {
		i.check(&i.found[n])
	}
	if err := i.failure(); err != nil {
		return err
	}
	if len(i.found) == 0 {
		return fmt.Errorf("%s holds no secret; nothing was changed", i.name)
	}
	return i.seal(ctx, f)
}

// fields are the fields that the connections of an environment have, of all of them for
// "", by their places in words. One word less is enough where it says which is meant.
func (i *secretsImport) fields(environment string) (map[string][]fieldOf, error) {
	all, names := map[string][]fieldOf{}, []string{}
	for _, e := range i.repository.Set.Environments {
		if names = append(names, e.Name); environment != "" && e.Name != environment {
			continue
		}
		for _, c := range e.Connections {
			p, known := providers.Lookup(c.Provider)
			for _, field := range []string{providers.ClientID, repoedit.ClientSecret, repoedit.VerificationSecret} {
				words := []string{field}
				if f, has := p.Field(field); known && has && f.Native != "" {
					words = append(words, f.Native)
				}
				for _, word := range words {
					for _, place := range []string{e.Name + " " + c.Provider, c.Provider} {
						at := placeWords(place + " " + word)
						all[at] = append(all[at], fieldOf{e, c, field})
					}
				}
			}
		}
	}
	if environment != "" && !slices.Contains(names, environment) {
		return nil, usageError("--env %s: the repository has no such environment; it has %s", environment, strings.Join(names, ", "))
	}
	return all, nil
}

func (i *secretsImport) refuse(line int, format string, args ...any) {
	i.wrong = append(i.wrong, lineError{line: line, says: fmt.Sprintf(format, args...)})
}

// match finds where each value belongs.
func (i *secretsImport) match(all []given, fields map[string][]fieldOf) {
	isSecret := func(g given) bool {
		at := fields[g.place]
		return len(at) > 0 && at[0].field != providers.ClientID
	}
	named, useful := map[int]bool{}, map[int]bool{} // items that name a secret; that have any
	for _, g := range all {
		if isSecret(g) && !g.isLogin {
			named[g.item] = true
		}
		useful[g.item] = useful[g.item] || isSecret(g)
	}
	lines, told := map[string]int{}, map[int]bool{}
	for _, g := range all {
		at := fields[g.place]
		switch {
		case g.item > 0 && !useful[g.item]:
			if !told[g.item] {
				i.refuse(g.line, "this item is for no connection of the repository: name it ENVIRONMENT/PROVIDER, such as production/strava")
			}
			told[g.item] = true
		case g.isLogin && named[g.item], g.isLoose && len(at) == 0: // of the portal, or anything
		case len(at) == 0 && g.item > 0:
			i.refuse(g.line, "a hidden field of this item is no secret of its connection: name it client_secret or verification_secret")
		case len(at) == 0:
			i.refuse(g.line, "this is for no connection of the repository%s", nearField(g.place, fields))
		case len(at) > 1:
			i.refuse(g.line, "it could be for %s: name the environment before it, or give --env", joined(at))
		case at[0].field == providers.ClientID:
			i.compareClientID(g, at[0])
		default:
			key := at[0].String() + " " + at[0].field
			if line, twice := lines[key]; twice {
				i.refuse(g.line, "%s: line %d gives one already", key, line)
				continue
			}
			lines[key] = g.line
			i.found = append(i.found, foundSecret{fieldOf: at[0], line: g.line, value: g.value})
		}
	}
}

func joined(at []fieldOf) string {
	var names []string
	for _, f := range at {
		names = append(names, f.String())
	}
	return strings.Join(names, " or ")
}

// nearField is a hint of what may be meant, in words of the repository alone.
func nearField(place string, fields map[string][]fieldOf) string {
	if near := spec.Nearest(place, slices.Sorted(maps.Keys(fields))); near != "" {
		return fmt.Sprintf("; did you mean `%s %s=…`?", fields[near][0], fields[near][0].field)
	}
	return ": write it like `production/strava client_secret=…` or PRODUCTION_STRAVA_CLIENT_SECRET=…"
}

// compareClientID refuses what belongs to another app than the connection's.
func (i *secretsImport) compareClientID(g given, at fieldOf) {
	switch id := at.connection.Credentials.ClientID; {
	case !id.Given():
		i.refuse(g.line, "%s: %s has no client id to compare this one with; write it there first", at, at.connection.File)
	case g.value.Equal(secrets.NewValue([]byte(id.Value))):
	case g.isLogin:
		i.refuse(g.line, "%s: the user name of this item is not the client id of the connection: is it the login of the portal? Then put the secret into a hidden field client_secret", at)
	default:
		i.refuse(g.line, "%s: this is another client id than that of %s, so the secret belongs to another app", at, at.connection.File)
	}
}

// check refuses a secret that cannot be one, or whose place is taken by another.
func (i *secretsImport) check(s *foundSecret) {
	c := s.connection
	if p, known := providers.Lookup(c.Provider); known && p.Keys == providers.KeysNone {
		i.refuse(s.line, "%s: %s has no client secret (%s)", s, p.Name, p.Why)
		return
	}
	if s.field == repoedit.ClientSecret && !c.Credentials.ClientID.Given() {
		i.refuse(s.line, "%s: %s has no client id for the secret to go with; write it there first", s, c.File)
		return
	}
	if err := checkSecret(i.proc, c.File, s.field, s.binding(), c.Credentials.ClientID.Value, s.value); err != nil {
		i.refuse(s.line, "%s", strings.TrimSuffix(err.Error(), "; nothing was changed"))
		return
	}
	var held []spec.Secret
	next := tell("put it in the place of the other one", i.repository.SealCommand(c.File, s.field, 0)...)
	if s.field == repoedit.VerificationSecret && c.Credentials.VerificationSecret.Given() {
		held = append(held, c.Credentials.VerificationSecret.Value)
	}
	if s.field == repoedit.ClientSecret {
		next = tell("add it as a new key", "rotate", "add", s.String())
		for _, key := range c.Credentials.Keys {
			if !key.Unknown {
				held = append(held, key.Secret)
			}
		}
	}
	opened := 0
	for _, one := range held {
		sealed, err := secrets.Parse(one.Armor)
		if err != nil {
			continue
		}
		value, _, err := i.identities.Open(sealed, s.binding(), i.repository.Set.Root.AllowPlain)
		if err != nil {
			continue
		}
		opened++
		s.isHere = s.isHere || value.Equal(s.value)
	}
	switch {
	case len(held) == 0 || s.isHere:
	case opened == len(held):
		i.refuse(s.line, "%s: %s holds another %s; take this line out", s, c.File, s.field)
		i.wrong[len(i.wrong)-1].next = next
	default:
		i.refuse(s.line, "%s: %s holds a %s that no private key at hand opens, to see whether it is this one: take this line out, or set RECONCILE_AGE_KEY_FILE", s, c.File, s.field)
	}
}

// failure is all that is wrong with the file, by line.
func (i *secretsImport) failure() error {
	if len(i.wrong) == 0 {
		return nil
	}
	slices.SortStableFunc(i.wrong, func(a, b lineError) int { return a.line - b.line })
	var all []error
	for n, w := range i.wrong {
		if n == mostLineErrors {
			all = append(all, fmt.Errorf("and %d more", len(i.wrong)-n))
			break
		}
		err := fmt.Errorf("%s:%d: %s", i.name, w.line, w.says)
		if w.next.text != "" {
			err = advice.With(err, w.next.text, w.next.command...)
		}
		all = append(all, err)
	}
	return fmt.Errorf("nothing was changed:\n%w", errors.Join(all...))
}

// seal asks what a person must decide, and writes.
func (i *secretsImport) seal(ctx context.Context, f *importFlags) error {
	var missing []*foundSecret
	readers := map[string]repoedit.Readers{}
	for n := range i.found {
		s := &i.found[n]
		if s.isHere {
			continue
		}
		missing = append(missing, s)
		of, err := i.repository.Readers(s.connection.File, i.runner.Identities.AllowPlugins)
		if err != nil {
			return err
		}
		readers[s.connection.File] = of
	}
	if len(missing) == 0 {
		return say(i.proc, tell(visible.Plural(len(i.found), "secret is", "secrets are")+" in the files already; nothing was changed"))
	}
	var files []repoedit.Readers
	for _, file := range slices.Sorted(maps.Keys(readers)) {
		files = append(files, readers[file])
	}
	if err := confirmReaders(ctx, i.proc, f.yesNew, files...); err != nil {
		return err
	}
	if err := i.compareLive(ctx, missing, f.yesOther); err != nil {
		return err
	}
	sealing := i.repository.Sealing()
	for _, s := range missing {
		if err := sealing.Add(s.binding(), s.connection, s.value, readers[s.connection.File].Recipients, s.live.agrees); err != nil {
			return err
		}
	}
	if err := sealing.Write(); err != nil {
		return err
	}
	return i.sayImported(missing, f.secrets)
}

// compareLive asks Terra how each stands to the live secret. Another one is sealed only if a
// person says so: what was copied may be old, or of another app.
func (i *secretsImport) compareLive(ctx context.Context, all []*foundSecret, yes bool) error {
	look, progress := liveLook(i.proc, i.runner), newProgress(i.proc)
	var others []*foundSecret
	for n, s := range all {
		progress.show(reconcile.Progress{Environment: s.environment.Name, Done: n, Total: len(all)})
		var err error
		if s.live, err = look(ctx, s.binding(), s.value); err != nil {
			progress.clear()
			return err
		}
		if s.live.known && !s.live.agrees {
			others = append(others, s)
		}
	}
	progress.clear()
	if err := ctx.Err(); err != nil {
		return errors.New("interrupted; nothing was changed")
	}
	if len(others) == 0 || yes {
		return nil
	}
	out := newPage(i.proc)
	for _, s := range others {
		out.paragraph(fmt.Sprintf("%s:%d: %s: %s", i.name, s.line, s, s.live.differs()))
	}
	if err := out.print(i.proc.Stderr); err != nil {
		return err
	}
	if !i.proc.Terminals.Stdin || !i.proc.Terminals.Stderr {
		return usageError("nothing was changed: %s not live, and nobody is there to be asked; take those lines out, or add --yes-not-live", visible.Plural(len(others), "secret is", "secrets are"))
	}
	return confirm(ctx, i.proc, "Are they new ones that are to replace the live ones? Type yes: ")
}

// sayImported tells what was sealed, what is known about it, and what comes next.
func (i *secretsImport) sayImported(sealed []*foundSecret, file string) error {
	out := newPage(i.proc)
	out.add("Sealed " + visible.Plural(len(sealed), "secret", "secrets") + "\n\n")
	environments := map[string]bool{}
	for _, s := range sealed {
		environments[s.environment.Name] = true
		out.folded(fmt.Sprintf("  %-24s ", s.connection.File), s.field+i.livesAs(s))
	}
	if here := len(i.found) - len(sealed); here > 0 {
		out.add("  " + visible.Plural(here, "other was", "others were") + " in the files already\n")
	}
	out.add("\n")
	if file != "-" {
		full, err := filepath.Abs(file)
		if err != nil {
			return err
		}
		out.paragraph(full + " holds them openly, and stays: take it away once they are committed.")
	}
	check := []string{"--dry-run"}
	if len(environments) == 1 {
		for name := range environments {
			check = append(check, "--env", name)
		}
	}
	out.note("Next  1. ", 9, tell("Commit the files above and "+secrets.LockPath+"."))
	out.note("      2. ", 9, tell("see that nothing changes", check...))
	return out.print(i.proc.Stdout)
}

// livesAs says how a secret stands to the live one.
func (*secretsImport) livesAs(s *foundSecret) string {
	switch {
	case s.live.agrees && s.live.asked:
		return ", the live one"
	case s.live.agrees:
		return ", ends like the live one (" + s.live.mask + ")"
	case s.live.known:
		return ", not the live one"
	case s.field == repoedit.ClientSecret:
		return ", not compared with the live one"
	}
	return ""
}
