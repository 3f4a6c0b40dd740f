package reconcile

import (
	"errors"
	"fmt"
	"maps"
	"sync"

	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/providers"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
	"github.com/terra-reconcile/terra-reconcile/secrets"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

// noIdentity is why a secret is not compared where nobody can open it.
const noIdentity = "sealed, and no age identity is at hand (RECONCILE_AGE_KEY_FILE)"

// book opens secrets and remembers their keyed digests by ciphertext, so that a
// secret that has not changed is not opened again.
type book struct {
	identities *secrets.Identities
	allowPlain bool
	digester   secrets.Digester
	lasting    bool // the digest key outlives this run

	mu    sync.Mutex
	known map[string]state.Digest // from the store
	used  map[string]state.Digest // by this run
}

// sealedSecret is a secret of the repository with the place it must be bound to.
type sealedSecret struct {
	sealed  secrets.Sealed
	binding secrets.Binding
	origin  spec.Origin
	before  *remembered // nil: nobody remembers what it opens to
}

// remembered is what is known of a secret that was opened before.
type remembered struct {
	digest state.Digest
	plain  bool
}

// openBook loads identities and the digest key. A digest key that does not open
// is replaced where the store can be written and an identity can keep the new
// one; otherwise the run works with a key of its own.
func (e *Engine) openBook(r Run) (*book, []string, error) {
	identities, err := e.o.Identities()
	if err != nil {
		return nil, nil, err
	}
	b := &book{identities: identities, allowPlain: r.Set.Root.AllowPlain, known: map[string]state.Digest{}, used: map[string]state.Digest{}}
	for {
		warnings, err := b.takeKey(e.o.Store, r.Mode)
		if errors.Is(err, state.ErrKeyChanged) {
			continue // a run beside this one was first: its key is there now
		}
		return b, warnings, err
	}
}

// takeKey takes the store's digest key, or makes one and leaves it there.
func (b *book) takeKey(store *state.Store, mode report.Mode) (warnings []string, err error) {
	former, err := store.DigestKey()
	if err != nil {
		return nil, err
	}
	if !b.identities.HasAny() {
		b.digester = secrets.NewDigester(secrets.GenerateKey())
		return nil, nil
	}
	if former != nil {
		key, err := b.identities.OpenKey(former)
		if err == nil {
			b.digester, b.lasting = secrets.NewDigester(key), true
			b.known, err = store.Digests()
			b.used = make(map[string]state.Digest, len(b.known))
			return nil, err
		}
		warnings = append(warnings, "the digests in the state were made with another identity and are dropped: "+err.Error())
	}
	key := secrets.GenerateKey()
	b.digester = secrets.NewDigester(key)
	recipients := b.identities.Recipients()
	if mode != report.Apply || len(recipients) == 0 {
		return warnings, nil
	}
	sealed, err := secrets.SealKey(key, recipients[:1])
	if err == nil {
		err = store.SetDigestKey(former, sealed)
	}
	if err != nil {
		return nil, fmt.Errorf("keep digest key: %w", err)
	}
	b.lasting = true
	return warnings, nil
}

// digest gives the keyed digests of a secret, opening it only when they are not
// known.
func (b *book) digest(s sealedSecret, p providers.Provider) (state.Digest, error) {
	if known := b.recall(s); known != nil {
		return known.digest, nil
	}
	_, d, _, err := b.openAndDigest(s, p)
	return d, err
}

// openAndDigest gives an opened secret beside its digests, whoever remembers them,
// and what the offline checks found. Digests of one with findings are kept apart, where
// recall does not look, so that it is checked again.
func (b *book) openAndDigest(s sealedSecret, p providers.Provider) (secrets.Value, state.Digest, []providers.Finding, error) {
	v, opened, err := b.open(s)
	if err != nil {
		return secrets.Value{}, state.Digest{}, nil, err
	}
	d := state.Digest{Value: b.digester.Digest(v), Mask: b.digester.MaskDigest(secrets.Mask(v))}
	findings := p.CheckSecret(s.binding.Field, v)
	for i := range findings {
		findings[i].Origin = s.origin
	}
	key := cacheKey(s, opened.Plain)
	if len(findings) > 0 {
		key += withFindings
	}
	b.mu.Lock()
	b.used[key] = d
	b.mu.Unlock()
	return v, d, append(findings, b.unboundWarning(s, opened.Plain)...), nil
}

// recall gives what is remembered of a secret, nil when that is nothing.
func (b *book) recall(s sealedSecret) *remembered {
	if s.before != nil {
		return s.before
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, plain := range []bool{false, true} {
		if plain && !b.allowPlain {
			continue
		}
		key := cacheKey(s, plain)
		if d, ok := b.used[key]; ok {
			return &remembered{digest: d, plain: plain}
		}
		if d, ok := b.known[key]; ok {
			b.used[key] = d
			return &remembered{digest: d, plain: plain}
		}
	}
	return nil
}

// maskOf gives the digest of the mask of a secret that was opened before, by the
// digest of the secret itself.
func (b *book) maskOf(digest string) (mask string, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, d := range b.known {
		if d.Mask != "" && secrets.DigestsAgree(d.Value, digest) {
			return d.Mask, true
		}
	}
	return "", false
}

// withFindings ends the key of a secret about which the offline checks have something
// to say.
const withFindings = " with findings"

// digestOf gives what a state holds of a ciphertext at its place, whatever was found.
func digestOf(known map[string]state.Digest, s sealedSecret) (state.Digest, bool) {
	for _, plain := range []bool{false, true} {
		for _, end := range []string{"", withFindings} {
			if d, seen := known[cacheKey(s, plain)+end]; seen {
				return d, true
			}
		}
	}
	return state.Digest{}, false
}

// cacheKey names a ciphertext at its place: the same ciphertext copied to another
// place must not pass for one that was opened there.
func cacheKey(s sealedSecret, plain bool) string {
	to := s.binding
	if plain {
		return s.sealed.Token() + " plain " + to.String()
	}
	return s.sealed.Token() + " " + to.DevID + "/" + to.Provider + "/" + to.Field // String, without a copy: it is asked for often
}

func (b *book) unboundWarning(s sealedSecret, plain bool) []providers.Finding {
	if !plain {
		return nil
	}
	return []providers.Finding{{Severity: spec.Warning, Field: s.binding.Field, Origin: s.origin,
		Message: s.binding.Field + " is sealed for no particular place, so it would open anywhere it is copied to",
		Hint:    "seal it again with `reconcile secret encrypt`"}}
}

// open opens a secret. The error names the place in the user's file.
func (b *book) open(s sealedSecret) (secrets.Value, secrets.Opened, error) {
	v, opened, err := b.identities.Open(s.sealed, s.binding, b.allowPlain)
	if err != nil {
		return secrets.Value{}, opened, fmt.Errorf("%s: open %s: %w", at(s.origin), s.binding.Field, secrets.InFile(err, s.origin.File))
	}
	return v, opened, nil
}

// closed gives the reason why nobody here can open secrets, "" when one can try.
func (b *book) closed() string {
	if b.identities.HasAny() {
		return ""
	}
	return noIdentity
}

func (b *book) inUse() map[string]state.Digest {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.lasting {
		return nil
	}
	return maps.Clone(b.used)
}

// at is file:line of an origin, as plans and reports show it.
func at(o spec.Origin) string {
	if o.File == "" {
		return ""
	}
	return fmt.Sprintf("%s:%d", o.File, o.Line)
}
