package secrets

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"

	"github.com/terra-reconcile/terra-reconcile/internal/advice"
)

var (
	// ErrNoIdentity says that no identity at hand opens the file, or that there
	// is none: the secret stays sealed, and nothing is known about it.
	ErrNoIdentity = errors.New("no identity opens it")
	// ErrUnbound says that the secret was sealed without saying for which place.
	ErrUnbound = errors.New("sealed for no particular place")
	// ErrPassphrase says that the file was sealed with a passphrase.
	ErrPassphrase = errors.New("sealed with a passphrase, and a daemon cannot type it")
	// ErrMasked says that what was given or opened is what stands in the place of a
	// secret that is not shown, as ****1234.
	ErrMasked = errors.New("secret is a mask, as Terra and portals show in the place of a secret, not the secret; copy the secret itself from the provider's portal")
)

// Opened says what was found around an opened secret.
type Opened struct {
	// Plain is true when the secret was sealed without a binding.
	Plain bool
	// Binding is the place it was sealed for; zero if Plain.
	Binding Binding
}

// Open opens s, which stands at want. It is an error when the secret was sealed
// for another place ([*MisboundError]), for none unless allowPlain
// ([ErrUnbound]), with a passphrase ([ErrPassphrase]), when no identity matches
// ([ErrNoIdentity]), a plugin fails ([*PluginError]), the file is damaged, or
// the text is one that [Check] refuses. With an error the Value is zero, and what was
// opened is wiped: it is none of [Identities.Opened].
func (i *Identities) Open(s Sealed, want Binding, allowPlain bool) (Value, Opened, error) {
	v, opened, err := i.open(s)
	switch {
	case err != nil:
		return Value{}, Opened{}, err
	case opened.Plain && !allowPlain:
		err = advice.With(ErrUnbound, "seal it again, or write secrets: {binding: allow-plain} into terra.yaml", "secret", "encrypt", "FILE")
	case !opened.Plain && opened.Binding != want:
		err = &MisboundError{Have: opened.Binding, Want: want}
	}
	if err != nil {
		v.Wipe()
		return Value{}, opened, err
	}
	i.opened.add(v, want)
	return v, opened, nil
}

// OpenAnywhere opens s wherever it stands. It is for commands with which a
// person reads or moves a secret; reconciling uses [Identities.Open].
func (i *Identities) OpenAnywhere(s Sealed) (Value, Opened, error) {
	v, opened, err := i.open(s)
	if err == nil {
		i.opened.add(v, opened.Binding)
	}
	return v, opened, err
}

func (i *Identities) open(s Sealed) (Value, Opened, error) {
	raw, err := s.bytes()
	if err != nil {
		return Value{}, Opened{}, err
	}
	contents, err := i.decrypt(raw)
	if err != nil {
		return Value{}, Opened{}, err
	}
	defer clear(contents)
	text, binding, plain, err := unwrapEnvelope(contents)
	if err != nil {
		return Value{}, Opened{}, err
	}
	v := NewValue(text)
	if err := Check(v); err != nil {
		v.Wipe()
		return Value{}, Opened{}, sealAgain(err)
	}
	return v, Opened{Plain: plain, Binding: binding}, nil
}

// decrypt opens an age file of any content up to the size limit.
func (i *Identities) decrypt(raw []byte) ([]byte, error) {
	if asksPassphrase(raw) {
		return nil, sealAgain(ErrPassphrase)
	}
	if !i.HasAny() {
		kinds, err := headerKinds(raw)
		if err != nil {
			return nil, err
		}
		return nil, i.noMatch(kinds)
	}
	attempts, plugins := i.attempts()
	reader, err := age.Decrypt(bytes.NewReader(raw), attempts...)
	if none := (*age.NoIdentityMatchError)(nil); errors.As(err, &none) {
		for _, p := range plugins {
			if p.err != nil {
				return nil, p.err
			}
		}
		return nil, i.noMatch(none.StanzaTypes)
	}
	if err != nil {
		if _, damaged := headerKinds(raw); damaged != nil {
			return nil, damaged // age's own words about a header repeat its text
		}
		return nil, fmt.Errorf("sealed secret is damaged: %w", err)
	}
	contents, err := io.ReadAll(io.LimitReader(reader, maxContents+1))
	if err != nil {
		return nil, fmt.Errorf("sealed secret is damaged: %w", err)
	}
	if len(contents) > maxContents {
		return nil, fmt.Errorf("sealed contents are larger than %d KiB", maxContents>>10)
	}
	return contents, nil
}

// asksPassphrase tells whether any recipient in the header is a passphrase. The
// header is lines of text, and only a recipient begins with an arrow; it is looked
// at before an identity is, so that no plugin is started for such a file.
func asksPassphrase(raw []byte) bool {
	header, _, _ := bytes.Cut(raw, []byte("\n---"))
	for line := range bytes.Lines(header) {
		if fields := bytes.Fields(line); len(fields) > 1 && string(fields[0]) == "->" && string(fields[1]) == "scrypt" {
			return true
		}
	}
	return false
}

// attempts returns the identities to try, plugins freshly wrapped and last.
func (i *Identities) attempts() ([]age.Identity, []*pluginAttempt) {
	var all []age.Identity
	var plugins []*pluginAttempt
	for _, id := range i.list() {
		if id.plugin == nil {
			all = append(all, id.native)
			continue
		}
		attempt := &pluginAttempt{key: id.plugin}
		plugins = append(plugins, attempt)
		all = append(all, attempt)
	}
	return all, plugins
}

func (i *Identities) noMatch(kinds []string) error {
	file := fmt.Sprintf("it is sealed for %s (%s)", count(len(kinds), "recipient", "recipients"), strings.Join(kinds, ", "))
	if !i.HasAny() {
		return fmt.Errorf("%w: none was given; %s", ErrNoIdentity, file)
	}
	return fmt.Errorf("%w: %s, and %s at hand did not match", ErrNoIdentity, file, count(len(i.list()), "identity", "identities"))
}

func count(n int, one, several string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, several)
}
