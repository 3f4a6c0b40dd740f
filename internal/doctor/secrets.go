package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
	"github.com/terra-reconcile/terra-reconcile/internal/repoedit"
	"github.com/terra-reconcile/terra-reconcile/internal/terra"
	"github.com/terra-reconcile/terra-reconcile/internal/visible"
	"github.com/terra-reconcile/terra-reconcile/providers"
	"github.com/terra-reconcile/terra-reconcile/reconcile/keys"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/secrets"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

// sealed is one sealed secret of the repository.
type sealed struct {
	environment spec.Environment
	connection  spec.Connection
	secret      spec.Secret
	field       string
	key         int // position of a client secret, -1 for another field
}

func (s sealed) connectionName() string { return s.environment.Name + "/" + s.connection.Provider }

func (s sealed) name() string {
	name := s.connectionName() + " " + s.field
	if n := len(s.connection.Credentials.Keys); s.key >= 0 && n > 1 {
		name += fmt.Sprintf(" (key %d of %d)", s.key+1, n)
	}
	return name
}

// encrypt is the command that seals it anew.
func (s sealed) encrypt() []string {
	words := []string{"secret", "encrypt", s.connection.File}
	if s.field != repoedit.ClientSecret {
		return append(words, "--field", s.field)
	}
	if len(s.connection.Credentials.Keys) > 1 {
		words = append(words, "--key", strconv.Itoa(s.key+1))
	}
	return words
}

// sealed lists every sealed secret of the chosen environments.
func (w *world) sealed() (out []sealed) {
	for _, e := range w.chosen() {
		for _, c := range e.Connections {
			for i, k := range c.Credentials.Keys {
				if !k.Unknown {
					out = append(out, sealed{e, c, k.Secret, repoedit.ClientSecret, i})
				}
			}
			if v := c.Credentials.VerificationSecret; v.Given() {
				out = append(out, sealed{e, c, v.Value, repoedit.VerificationSecret, -1})
			}
		}
	}
	return out
}

// openSecrets opens every secret, as a run would, and looks at what is inside.
func openSecrets(_ context.Context, w *world) (out []Result) {
	if len(w.set.Environments) == 0 {
		return nil
	}
	var err error
	if w.identities, err = w.Identities(); err != nil {
		return named("identities", one(Fail, "", err.Error()))
	}
	all := w.sealed()
	if !w.identities.HasAny() {
		const none = "none is at hand, so sealed secrets stay sealed"
		if len(all) == 0 {
			return named("identities", one(OK, "", none))
		}
		return named("identities", one(Warn, "", none, runner("set RECONCILE_AGE_KEY_FILE, or identities in daemon.yaml")))
	}
	opened := 0
	for _, s := range all {
		results, open := w.open(s)
		out = append(out, named("secret", results)...)
		if open {
			opened++
		}
	}
	count := fmt.Sprintf("%d of %d open", opened, len(all))
	if opened == len(all) {
		return append(out, one(OK, "", count)...)
	}
	return append(out, one(Fail, "", count, step("a connection whose secret does not open is not planned; see the lines above"))...)
}

// open opens one secret and keeps the pair for a probe.
func (w *world) open(s sealed) (out []Result, ok bool) {
	file, err := secrets.Parse(s.secret.Armor)
	var value secrets.Value
	if err == nil {
		binding := secrets.Binding{Account: s.environment.Account, DevID: s.environment.DevID, Provider: s.connection.Provider, Field: s.field}
		value, _, err = w.identities.Open(file, binding, w.set.Root.AllowPlain)
	}
	if err != nil {
		original := func(b secrets.Binding) string {
			return w.set.Original(s.secret, b.Account, b.DevID, b.Provider, b.Field)
		}
		var next []plan.Remediation
		if errors.Is(err, secrets.ErrNoIdentity) {
			next = []plan.Remediation{runner("give the runner an identity that does"), plan.NextCommand("or type the secret anew, which needs none", s.encrypt()...)}
		}
		return one(Fail, s.name(), fmt.Sprintf("%s: %v", s.secret.Origin, secrets.InFile(err, s.secret.Origin.File, original)), next...), false
	}
	p, _ := providers.Lookup(s.connection.Provider)
	for _, f := range p.CheckSecret(s.field, value) {
		status := Warn
		if f.Severity == spec.Error {
			status = Fail
		}
		out = append(out, one(status, s.name(), fmt.Sprintf("%s: %s", s.secret.Origin, f.Message), maybe(step, f.Hint)...)...)
	}
	w.keepPair(s, file, value)
	return out, true
}

// recipients compares whom each secret is sealed for with terra.yaml.
func recipients(_ context.Context, w *world) []Result {
	if len(w.set.Environments) == 0 {
		return nil
	}
	text, err := fs.ReadFile(w.files, secrets.LockPath)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return one(Fail, "", err.Error())
	}
	lock, err := secrets.ParseLock(text)
	if err != nil {
		return one(Fail, "", fmt.Sprintf("%s:%v", secrets.LockPath, err))
	}
	all, first := w.sealed(), ""
	var wrong []repoedit.SealedFor
	for _, s := range all {
		var is repoedit.SealedFor
		if want, err := repoedit.RecipientsFor(w.set.Root, s.connection.File, w.Config.Identities.AllowPlugins); err != nil {
			is.Wrong = err.Error()
		} else {
			is = repoedit.CompareRecipients(spec.SecretAt{Origin: s.secret.Origin, Armor: s.secret.Armor}, &lock, want.Strings())
		}
		if is.Wrong != "" {
			if wrong = append(wrong, is); len(wrong) == 1 {
				first = s.name() + ": " + is.Wrong
			}
		}
	}
	if len(wrong) > 0 {
		next := []plan.Remediation{plan.NextCommand("list all of them", "secret", "recipients", "--check")}
		before, again := repoedit.Newcomers(wrong)
		for _, text := range before {
			next = append(next, edit(text))
		}
		return one(Warn, "", fmt.Sprintf("%s as terra.yaml says, the first is %s", visible.Plural(len(wrong), "secret is not sealed", "secrets are not sealed"), first),
			append(next, plan.NextCommand(again, "secret", "rekey"))...)
	}
	return one(OK, "", visible.Plural(len(all), "secret is sealed", "secrets are sealed")+" as terra.yaml says")
}

// pair is a client id and its secret, opened.
type pair struct {
	connection, api, devID, provider, clientID string
	key                                        string // which of several, for people; "" for the only one
	entry                                      string // its id in the history of keys
	off                                        string // why its file lets nobody ask; "" where it does
	due, scheduled                             bool   // neither: a newer one is due
	secret                                     secrets.Value
}

// keepPair keeps the pair that is due, those that will be, and apart from them those
// that were.
func (w *world) keepPair(s sealed, file secrets.Sealed, value secrets.Value) {
	all, c := s.connection.Credentials.Keys, s.connection
	if s.key < 0 || c.State == spec.Disabled || !c.Credentials.ClientID.Given() {
		return
	}
	api, err := terra.Address(w.Config.Accounts[s.environment.Account].BaseURL)
	if err != nil {
		return // the account has a check of its own
	}
	due := w.KeysOf(c).Due(w.Now()) - 1
	p := pair{connection: s.connectionName(), api: api, devID: s.environment.DevID, provider: c.Provider, clientID: c.Credentials.ClientID.Value,
		secret: value, due: s.key == due, scheduled: s.key > due,
		entry: keys.EntryID(file.Token(), c.Credentials.ClientID.Value, all[s.key].NotBefore)}
	if c.Rotation.Probe == "off" {
		p.off = fmt.Sprintf("rotation.probe of %s is off (%s)", p.connection, c.Rotation.Origin)
	}
	if len(all) > 1 {
		p.key = fmt.Sprintf("key %d of %d", s.key+1, len(all))
	}
	if s.key < due { // replaced: its provider may have forgotten it
		w.older[p.connection] = append(w.older[p.connection], p)
		return
	}
	if p.scheduled {
		p.key += ", due " + all[s.key].NotBefore.UTC().Format(time.DateOnly)
	}
	w.pairs = append(w.pairs, p)
}

// same reports whether a provider would be asked the same.
func (p pair) same(o pair) bool {
	return p.provider == o.provider && p.clientID == o.clientID && p.secret.Equal(o.secret)
}

func (p pair) name() string {
	if p.key == "" {
		return p.connection
	}
	return p.connection + " (" + p.key + ")"
}

// unasked says why nobody is asked about a pair; "" where somebody can be.
func (p pair) unasked(ask Prober) string {
	if p.off != "" {
		return p.off
	}
	return ask.Unasked(p.provider)
}

// probe asks the providers about the pairs that are due, and about those that will be:
// a key that is refused today need not wait for its day to be noticed. Where the one
// that is due is refused, those before it are asked about, the newest first, until one
// is not: it is most likely the live one.
func probe(ctx context.Context, w *world) (out []Result) {
	switch {
	case w.ProberErr != nil:
		return one(Fail, "", w.ProberErr.Error(), runner("correct "+w.ConfigFile))
	case !w.Probe:
		return w.unprobed()
	case len(w.pairs) == 0:
		return one(Skip, "", "no pair of client id and secret is open")
	}
	var accepted []daemon.AcceptedKey
	ask := func(p pair) (bad bool) {
		good, bad, reason := w.Prober.Probe(ctx, p.provider, p.clientID, p.secret)
		if good {
			accepted = append(accepted, daemon.AcceptedKey{API: p.api, DevID: p.devID, Provider: p.provider, Entry: p.entry})
		}
		out = append(out, judged(p, good, bad, reason)...)
		return bad
	}
	for i, p := range w.pairs {
		if why := p.unasked(w.Prober); why != "" {
			out = append(out, one(Skip, p.name(), why)...)
			continue
		}
		if j := slices.IndexFunc(w.pairs[:i], p.same); j >= 0 {
			out = append(out, one(Skip, p.name(), "the same pair as "+w.pairs[j].name())...)
			continue
		}
		bad := ask(p)
		for _, older := range slices.Backward(w.older[p.connection]) {
			if !bad || !p.due {
				break
			}
			bad = ask(older)
		}
	}
	switch lifted, err := w.Accept(ctx, accepted); {
	case err != nil:
		out = append(out, one(Warn, "", "that a rejected key is accepted now could not be remembered: "+err.Error())...)
	case lifted > 0:
		out = append(out, one(OK, "", visible.Plural(lifted, "key that was rejected is", "keys that were rejected are")+" accepted, and may be live again")...)
	}
	return out
}

func judged(p pair, good, bad bool, reason string) []Result {
	switch {
	case good:
		return one(OK, p.name(), "good: "+reason)
	case bad && p.due:
		return one(Fail, p.name(), "bad: "+reason, plan.NextCommand("seal the right one", "rotate", "add", p.connection),
			plan.NextCommand("see where it is shown", "providers", p.provider))
	case bad && p.scheduled:
		return one(Warn, p.name(), "bad: "+reason, step("seal the right one before it is due"))
	case bad:
		return one(Warn, p.name(), "bad: "+reason+"; where it is live, syncing stops")
	}
	return one(Warn, p.name(), "unknown: "+reason, wait("ask again later"))
}

// unprobed says what --probe would ask about.
func (w *world) unprobed() []Result {
	n := 0
	var reasons []string
	for _, p := range w.pairs {
		if why := p.unasked(w.Prober); why == "" {
			n++
		} else if !slices.Contains(reasons, why) {
			reasons = append(reasons, why)
		}
	}
	switch {
	case n > 0:
		return one(Skip, "", "the providers were not asked about "+visible.Plural(n, "pair", "pairs"), plan.Remediation{Kind: plan.ByProbe, Text: "add --probe"})
	case len(reasons) > 0:
		return one(Skip, "", "no provider is asked about a pair, with --probe neither: "+strings.Join(reasons, "; "))
	}
	return nil
}
