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

// secretsCache opens secrets and remembers their keyed digests by ciphertext, so that
// a secret that has not changed is not opened again.
type secretsCache struct {
	identities *secrets.Identities
	set        spec.Set // of the whole commit
	allowPlain bool
	digester   secrets.Digester
	lasting    bool // the digest key outlives this run

	mu      sync.Mutex
	known   map[string]state.Digest // from the store
	used    map[string]state.Digest // by this run
	digests map[string]struct{}     // of the values of known; nil: not needed so far
	opened  map[string]openSecret   // by this run, until it ends
}

// openSecret is a secret that opened at its place.
type openSecret struct {
	value secrets.Value
	found secrets.Opened
}

// sealedSecret is a secret of the repository with the place it must be bound to.
type sealedSecret struct {
	sealed  secrets.Sealed
	binding secrets.Binding
	origin  spec.Origin
	before  *cached // nil: it was not opened before
}

// cached is what is known of a secret that was opened before.
type cached struct {
	digest state.Digest
	plain  bool
}

// openCache loads identities and the digest key. A digest key that does not open
// is replaced where the store can be written and an identity can keep the new
// one; otherwise the run works with a key of its own.
func (e *Engine) openCache(r Run) (*secretsCache, []string, error) {
	identities, err := e.o.Identities()
	if err != nil {
		return nil, nil, err
	}
	c := &secretsCache{identities: identities.ForRun(), set: r.Set, allowPlain: r.Set.Root.AllowPlain, known: map[string]state.Digest{}, used: map[string]state.Digest{}, opened: map[string]openSecret{}}
	for {
		warnings, err := c.takeKey(e.o.Store, r.Mode)
		if errors.Is(err, state.ErrKeyChanged) {
			continue // a run beside this one was first: its key is there now
		}
		return c, warnings, err
	}
}

// takeKey takes the store's digest key, or makes one and leaves it there.
func (c *secretsCache) takeKey(store *state.Store, mode report.Mode) (warnings []string, err error) {
	former, err := store.DigestKey()
	if err != nil {
		return nil, err
	}
	if !c.identities.HasAny() {
		c.digester = secrets.NewDigester(secrets.GenerateKey())
		return nil, nil
	}
	if former != nil {
		key, err := c.identities.OpenKey(former)
		if err == nil {
			c.digester, c.lasting = secrets.NewDigester(key), true
			c.known, err = store.Digests()
			c.used = make(map[string]state.Digest, len(c.known))
			return nil, err
		}
		warnings = append(warnings, "the digests in the state were made with another identity and are dropped: "+err.Error())
	}
	key := secrets.GenerateKey()
	c.digester = secrets.NewDigester(key)
	recipients := c.identities.Recipients()
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
	c.lasting = true
	return warnings, nil
}

// digest gives the keyed digests of a secret, opening it only when they are not
// known.
func (c *secretsCache) digest(s sealedSecret, p providers.Provider) (state.Digest, error) {
	if known := c.lookup(s); known != nil {
		return known.digest, nil
	}
	d, _, err := c.openAndDigest(s, p)
	return d, err
}

// openAndDigest opens a secret for its digests, whoever remembers them, and gives what
// the offline checks found. Digests of one with findings are kept apart, where
// lookup does not look, so that it is checked again.
func (c *secretsCache) openAndDigest(s sealedSecret, p providers.Provider) (state.Digest, []providers.Finding, error) {
	v, opened, err := c.open(s)
	if err != nil {
		return state.Digest{}, nil, err
	}
	d := state.Digest{Value: c.digester.Digest(v), Mask: c.digester.MaskDigest(secrets.Mask(v))}
	findings := p.CheckSecret(s.binding.Field, v)
	for i := range findings {
		findings[i].Origin = s.origin
	}
	key := cacheKey(s, opened.Plain) + checked
	if len(findings) > 0 {
		key += withFindings
	}
	c.mu.Lock()
	c.used[key] = d
	c.mu.Unlock()
	return d, append(findings, unboundWarning(s, opened.Plain)...), nil
}

// lookup gives what is remembered of a secret, nil when that is nothing.
func (c *secretsCache) lookup(s sealedSecret) *cached {
	if s.before != nil {
		return s.before
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, plain := range []bool{false, true} {
		if plain && !c.allowPlain {
			continue
		}
		key := cacheKey(s, plain) + checked
		if d, ok := c.used[key]; ok {
			return &cached{digest: d, plain: plain}
		}
		if d, ok := c.known[key]; ok {
			c.used[key] = d
			return &cached{digest: d, plain: plain}
		}
	}
	return nil
}

// maskOf gives the digest of the mask of a secret that was opened before, by the
// digest of the secret itself.
func (c *secretsCache) maskOf(digest string) (mask string, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, d := range c.known {
		if d.Mask != "" && secrets.DigestsAgree(d.Value, digest) {
			return d.Mask, true
		}
	}
	return "", false
}

// withFindings ends the key of a secret about which the offline checks have something
// to say.
const withFindings = " with findings"

// checked ends the key of a secret that was opened under the rules of [secrets.Check] and
// of the catalogue as they are now. Whoever makes them stricter raises the number: what
// was opened under laxer ones is opened again.
const checked = " checked 3"

// digestOf gives what a state holds of a ciphertext at its place, whatever was found.
func digestOf(known map[string]state.Digest, s sealedSecret) (state.Digest, bool) {
	for _, plain := range []bool{false, true} {
		for _, end := range []string{checked, checked + withFindings} {
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
	return s.sealed.Token() + " " + to.String()
}

func unboundWarning(s sealedSecret, plain bool) []providers.Finding {
	if !plain {
		return nil
	}
	return []providers.Finding{{Severity: spec.Warning, Field: s.binding.Field, Origin: s.origin,
		Message: s.binding.Field + " is sealed for no particular place, so it would open anywhere it is copied to",
		Hint:    "seal it again", Command: "secret encrypt " + s.origin.File}}
}

// open opens a secret, once in a run. The error names the place in the user's file.
func (c *secretsCache) open(s sealedSecret) (secrets.Value, secrets.Opened, error) {
	key := s.sealed.Token() + " " + s.binding.String()
	c.mu.Lock()
	before, isOpen := c.opened[key]
	c.mu.Unlock()
	if isOpen {
		return before.value, before.found, nil
	}
	v, opened, err := c.identities.Open(s.sealed, s.binding, c.allowPlain)
	if err != nil {
		original := func(b secrets.Binding) string {
			return c.set.Original(spec.Secret{Armor: s.sealed.Armor(), Origin: s.origin}, b.Account, b.DevID, b.Provider, b.Field)
		}
		return secrets.Value{}, opened, fmt.Errorf("%s: open %s: %w", at(s.origin), s.binding.Field, secrets.InFile(err, s.origin.File, original))
	}
	c.mu.Lock()
	c.opened[key] = openSecret{v, opened}
	c.mu.Unlock()
	return v, opened, nil
}

// openFor gives the secrets that are open for a dev_id of an account, and for "" all.
func (c *secretsCache) openFor(account string) func(devID string) []secrets.Value {
	return func(devID string) []secrets.Value {
		if devID == "" {
			return c.identities.Opened()
		}
		return c.identities.OpenedFor(account, devID)
	}
}

// isSecret tells whether a text is the whole of a secret of which a digest is known,
// of whatever environment. Nothing is opened.
func (c *secretsCache) isSecret(text string) bool {
	digest := c.digester.Digest(secrets.NewValue([]byte(text)))
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.digests == nil {
		c.digests = map[string]struct{}{}
		for _, d := range c.known {
			c.digests[d.Value] = struct{}{}
		}
	}
	_, is := c.digests[digest]
	return is
}

// closed gives the reason why nobody here can open secrets, "" when one can try.
func (c *secretsCache) closed() string {
	if c.identities.HasAny() {
		return ""
	}
	return noIdentity
}

func (c *secretsCache) inUse() map[string]state.Digest {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.lasting {
		return nil
	}
	return maps.Clone(c.used)
}
