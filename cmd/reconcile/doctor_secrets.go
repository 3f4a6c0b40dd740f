package main

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/terra-reconcile/terra-reconcile/providers"
	"github.com/terra-reconcile/terra-reconcile/secrets"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

// sealedAt is one sealed secret of the repository.
type sealedAt struct {
	environment spec.Environment
	connection  spec.Connection
	secret      spec.Secret
	field       string
	key         int // position of a client secret, -1 for another field
}

func (s sealedAt) name() string {
	name := s.environment.Name + "/" + s.connection.Provider + " " + s.field
	if s.key >= 0 && len(s.connection.Credentials.Keys) > 1 {
		name += fmt.Sprintf(" (key %d of %d)", s.key+1, len(s.connection.Credentials.Keys))
	}
	return name
}

// sealed lists every sealed secret of the chosen environments.
func (d *doctor) sealed() []sealedAt {
	var out []sealedAt
	for _, e := range d.chosen() {
		for _, c := range e.Connections {
			for i, k := range c.Credentials.Keys {
				if !k.Unknown {
					out = append(out, sealedAt{e, c, k.Secret, "client_secret", i})
				}
			}
			if v := c.Credentials.VerificationSecret; v.Given() {
				out = append(out, sealedAt{e, c, v.Value, "verification_secret", -1})
			}
		}
	}
	return out
}

// secrets opens every secret, as a run would, and looks at what is inside.
func (d *doctor) secrets() {
	var err error
	if d.identities, err = identities(d.config.Identities)(); err != nil {
		d.fail("identities", "", err.Error(), "")
		return
	}
	all := d.sealed()
	if !d.identities.HasAny() {
		status := statusWarn
		if len(all) == 0 {
			status = statusOK
		}
		d.say(status, "identities", "", "none is at hand, so sealed secrets stay sealed",
			map[string]string{statusWarn: "set RECONCILE_AGE_KEY_FILE, or identities in daemon.yaml"}[status])
		return
	}
	opened := 0
	for _, s := range all {
		if d.open(s) {
			opened++
		}
	}
	if opened == len(all) {
		d.ok("secrets", "", fmt.Sprintf("%d of %d open", opened, len(all)))
		return
	}
	d.fail("secrets", "", fmt.Sprintf("%d of %d open", opened, len(all)), "a connection whose secret does not open is not planned; see the lines above")
}

// open opens one secret and keeps the pair for a probe.
func (d *doctor) open(s sealedAt) bool {
	sealed, err := secrets.Parse(s.secret.Armor)
	var value secrets.Value
	if err == nil {
		binding := secrets.Binding{DevID: s.environment.DevID, Provider: s.connection.Provider, Field: s.field}
		value, _, err = d.identities.Open(sealed, binding, d.set.Root.AllowPlain)
	}
	if err != nil {
		next := ""
		if errors.Is(err, secrets.ErrNoIdentity) {
			next = "give the runner an identity that does, or seal it for the one it has: `reconcile secret rekey`"
		}
		d.fail("secret", s.name(), fmt.Sprintf("%s: %v", s.secret.Origin, secrets.InFile(err, s.secret.Origin.File)), next)
		return false
	}
	p, _ := providers.Lookup(s.connection.Provider)
	for _, f := range p.CheckSecret(s.field, value) {
		status := statusWarn
		if f.Severity == spec.Error {
			status = statusFail
		}
		d.say(status, "secret", s.name(), fmt.Sprintf("%s: %s", s.secret.Origin, f.Message), f.Hint)
	}
	d.keepPair(s, value)
	return true
}

// keepPair keeps the pair that is due, those that will be, and apart from them those
// that were.
func (d *doctor) keepPair(s sealedAt, value secrets.Value) {
	keys := s.connection.Credentials.Keys
	if s.key < 0 || s.connection.State == spec.Disabled || !s.connection.Credentials.ClientID.Given() {
		return
	}
	schedule := make([]secrets.Schedule, len(keys))
	for i, k := range keys {
		schedule[i] = secrets.Schedule{Unknown: k.Unknown, NotBefore: k.NotBefore}
	}
	due := secrets.Due(d.env.Now(), schedule)
	pair := openPair{connection: s.environment.Name + "/" + s.connection.Provider, devID: s.environment.DevID, provider: s.connection.Provider,
		clientID: s.connection.Credentials.ClientID.Value, secret: value, due: s.key == due, scheduled: s.key > due}
	if s.connection.Rotation.Probe == "off" {
		pair.off = fmt.Sprintf("rotation.probe of %s is off (%s)", pair.connection, s.connection.Rotation.Origin)
	}
	if len(keys) > 1 {
		pair.key = fmt.Sprintf("key %d of %d", s.key+1, len(keys))
	}
	if s.key < due { // replaced: its provider may have forgotten it
		d.older[pair.connection] = append(d.older[pair.connection], pair)
		return
	}
	if pair.scheduled {
		pair.key += ", due " + keys[s.key].NotBefore.UTC().Format(time.DateOnly)
	}
	d.pairs = append(d.pairs, pair)
}

// recipients compares whom each secret is sealed for with terra.yaml.
func (d *doctor) recipients() {
	text, err := fs.ReadFile(d.files, secrets.LockPath)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.fail("recipients", "", err.Error(), "")
		return
	}
	lock, err := secrets.ParseLock(text)
	if err != nil {
		d.fail("recipients", "", fmt.Sprintf("%s:%v", secrets.LockPath, err), "")
		return
	}
	all, wrong, first := d.sealed(), 0, ""
	for _, s := range all {
		want, problem := d.wantedRecipients(s.connection.File)
		if problem == "" {
			problem = compareRecipients(spec.SecretAt{Origin: s.secret.Origin, Armor: s.secret.Armor}, &lock, want).wrong
		}
		if problem != "" {
			if wrong++; wrong == 1 {
				first = s.name() + ": " + problem
			}
		}
	}
	if wrong > 0 {
		d.warn("recipients", "", fmt.Sprintf("%s as terra.yaml says, the first is %s",
			plural(wrong, "secret is not sealed", "secrets are not sealed"), first), "run `reconcile secret recipients --check`, then `reconcile secret rekey`")
		return
	}
	d.ok("recipients", "", plural(len(all), "secret is sealed", "secrets are sealed")+" as terra.yaml says")
}

func (d *doctor) wantedRecipients(file string) (want []string, problem string) {
	rule, ok := d.set.Root.RecipientsFor(file)
	if !ok {
		return nil, "no entry of recipients in terra.yaml matches " + file
	}
	found, err := secrets.ParseRecipients(rule.Age, d.config.Identities.AllowPlugins)
	if err != nil {
		return nil, fmt.Sprintf("%s: %v", rule.Origin, err)
	}
	return slices.Clone(found.Strings()), ""
}
