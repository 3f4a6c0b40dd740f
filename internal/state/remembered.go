package state

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/terra-reconcile/terra-reconcile/reconcile/keys"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

// probeKept is how long an answer of a provider is kept.
const probeKept = 24 * time.Hour

// memoryHead heads the memory of one environment. Count says how many connections
// belong to it: one that is lost is damage, not "never seen".
type memoryHead struct {
	Count int `json:"count"`
	plan.Memory
}

// Memory gives what was last agreed for one environment. Where nothing was ever
// saved it is the zero Memory with an empty map; a damaged record is a
// *CorruptError. Times come back in UTC.
func (s *Store) Memory(env Environment) (memory plan.Memory, err error) {
	err = s.read("recall "+env.DevID, func(r Reader) error {
		head, known, err := kindMemory.get(r, env, "")
		if err != nil {
			return err
		}
		memory = head.Memory
		memory.Suspended = memory.Suspended || known && s.older
		if memory.Connections, err = kindConnection.list(r, env, &s.caches.connections); err != nil {
			return err
		}
		if found := len(memory.Connections); found != head.Count {
			return &CorruptError{Record: kindMemory.at(env, "").String(), Cause: fmt.Errorf("%d of %d connections are there", found, head.Count)}
		}
		for provider, c := range memory.Connections {
			memory.Connections[provider] = c.Clone()
		}
		return nil
	})
	if err != nil {
		return plan.Memory{}, err
	}
	return memory, nil
}

// Forget drops what is remembered of one connection and its keys, and what is open about
// it, on purpose: the next run finds it as if for the first time. forgotten is false
// where nothing was remembered.
func (s *Store) Forget(env Environment, provider string, line Entry) (forgotten bool, err error) {
	err = s.writeFor(env, "forget "+provider, func(w Writer) error {
		head, _, err := kindMemory.get(w, env, "")
		if err != nil {
			return err
		}
		_, had, err := kindConnection.get(w, env, provider)
		if err != nil {
			return err
		}
		_, hadKeys, err := kindKeyHistory.get(w, env, provider)
		if forgotten = had || hadKeys; err != nil || !forgotten {
			return err
		}
		if had {
			head.Count--
		}
		open, _, err := kindOpenEvents.get(w, env, "")
		if err != nil {
			return err
		}
		maps.DeleteFunc(open.Gated, func(_ string, g GatedChange) bool { return g.Provider == provider })
		maps.DeleteFunc(open.Drifts, func(_ string, d Drift) bool { return d.Provider == provider })
		return errors.Join(kindConnection.drop(w, env, provider), kindKeyHistory.drop(w, env, provider), kindMemory.put(w, env, "", head),
			kindOpenEvents.put(w, env, "", open), appendLines(w, line))
	})
	return forgotten, err
}

// SaveMemory replaces what is remembered of one environment. Connections that are
// absent from m are forgotten.
func (s *Store) SaveMemory(env Environment, m plan.Memory) error {
	return s.writeFor(env, "save memory", func(w Writer) error {
		known, err := w.List(env, kindConnection.name())
		if err != nil {
			return err
		}
		for _, record := range known {
			if _, stays := m.Connections[record.Key]; !stays {
				if err := w.Delete(record.Address); err != nil {
					return err
				}
			}
		}
		for provider, c := range m.Connections {
			if provider == "" {
				return errors.New("a connection has no provider")
			}
			if err := putConnection(w, env, provider, c); err != nil {
				return err
			}
		}
		return kindMemory.put(w, env, "", memoryHead{Count: len(m.Connections), Memory: m})
	})
}

func putConnection(w Writer, env Environment, provider string, c plan.Remembered) error {
	c.VerifiedAt, c.UpdatedAt, c.KeysGone = utc(c.VerifiedAt), utc(c.UpdatedAt), utc(c.KeysGone)
	return kindConnection.put(w, env, provider, c)
}

// suspend makes the next run of an environment as careful as after a suspend, where
// anything is remembered of it.
func suspend(w Writer, env Environment) error {
	head, known, err := kindMemory.get(w, env, "")
	if err != nil || !known {
		return err
	}
	head.Suspended = true
	return kindMemory.put(w, env, "", head)
}

// offered is Terra's answer about what an environment can connect.
type offered struct {
	At    time.Time            `json:"at"`
	Types map[string]plan.Type `json:"types"`
}

// SourceTypes gives Terra's last saved answer about what an environment can
// connect, by provider, and when it was given (UTC). types is nil when none was
// saved. It is shared: do not change it.
func (s *Store) SourceTypes(env Environment) (types map[string]plan.Type, at time.Time, err error) {
	err = s.read("recall source types of "+env.DevID, func(r Reader) error {
		found, err := kindSourceTypes.list(r, env, &s.caches.sourceTypes)
		types, at = found[""].Types, found[""].At
		return err
	})
	return types, at, err
}

// SaveSourceTypes replaces Terra's answer about what an environment can connect.
func (s *Store) SaveSourceTypes(env Environment, types map[string]plan.Type, at time.Time) error {
	return replace(s, kindSourceTypes, env, offered{utc(at), types})
}

// KeyHistory gives what is remembered of the keys of one environment, by provider;
// empty where there is nothing. A damaged record is a *CorruptError.
func (s *Store) KeyHistory(env Environment) (all map[string]keys.History, err error) {
	err = s.read("recall keys of "+env.DevID, func(r Reader) (err error) {
		all, err = kindKeyHistory.list(r, env, nil)
		return err
	})
	return all, err
}

// SaveKeyHistory replaces what is remembered of the keys of one connection; nothing
// to remember removes the record.
func (s *Store) SaveKeyHistory(env Environment, provider string, h keys.History) error {
	return s.writeFor(env, "save keys of "+provider, func(w Writer) error { return putKeyHistory(w, env, provider, h) })
}

func putKeyHistory(w Writer, env Environment, provider string, h keys.History) error {
	if h.IsZero() {
		return kindKeyHistory.drop(w, env, provider)
	}
	return kindKeyHistory.put(w, env, provider, h)
}

// AcceptKey ends what was said against the key of one entry, because its provider
// accepts it. Where nothing was, it does nothing.
func (s *Store) AcceptKey(env Environment, provider, entry string, at time.Time) error {
	return s.writeFor(env, "accept key of "+provider, func(w Writer) error {
		h, _, err := kindKeyHistory.get(w, env, provider)
		if _, refused := h.Refused[entry]; err != nil || !refused {
			return err
		}
		h.Accept(entry, at)
		return putKeyHistory(w, env, provider, h)
	})
}

// answer is what a provider said about a pair.
type answer struct {
	Verdict plan.Verdict `json:"verdict"`
	Reason  string       `json:"reason"`
	At      time.Time    `json:"at"`
}

// Probed gives the last answer of a provider about a pair, which is named by a
// keyed digest. ok is false where none is remembered.
func (s *Store) Probed(env Environment, pair string) (probe plan.Probe, ok bool, err error) {
	err = s.read("recall probe of "+env.DevID, func(r Reader) error {
		found, there, err := kindProbe.get(r, env, pair)
		probe, ok = plan.Probe{Verdict: found.Verdict, Reason: found.Reason, At: found.At}, there
		return err
	})
	return probe, ok, err
}

// SaveProbe remembers the answer of a provider about a pair, and drops answers
// that are older than a day.
func (s *Store) SaveProbe(env Environment, pair string, probe plan.Probe) error {
	probe.At = utc(probe.At)
	return s.writeFor(env, "save probe", func(w Writer) error {
		known, err := kindProbe.list(w, env, nil)
		if err != nil {
			return err
		}
		for other, old := range known {
			if probe.At.Sub(old.At) > probeKept {
				if err := kindProbe.drop(w, env, other); err != nil {
					return err
				}
			}
		}
		return kindProbe.put(w, env, pair, answer{probe.Verdict, probe.Reason, probe.At})
	})
}

const (
	digestKept    = 30 * 24 * time.Hour // without use
	digestTouched = 24 * time.Hour      // how exact the time of last use is
)

// ErrKeyChanged is wrapped by SetDigestKey when another run has set a digest key
// meanwhile: read it again and use that one.
var ErrKeyChanged = errors.New("another run has set the digest key")

// sealedKey is the key of all digests, sealed to the runner's own identity.
type sealedKey struct {
	Sealed []byte `json:"sealed"`
}

// Digest is what is known of a sealed secret without opening it again.
type Digest struct {
	Value string `json:"value"` // keyed digest of the plaintext
	Mask  string `json:"mask"`  // as Terra would show it
}

type cachedSecret struct {
	Digest
	Used time.Time `json:"used"`
}

// DigestKey gives the sealed digest key, nil when none was set.
func (s *Store) DigestKey() (sealed []byte, err error) {
	err = s.read("recall digest key", func(r Reader) (err error) {
		sealed, err = digestKeyIn(r)
		return err
	})
	return sealed, err
}

func digestKeyIn(r Reader) ([]byte, error) {
	key, found, err := kindDigestKey.get(r, Environment{}, "")
	if err == nil && found && len(key.Sealed) == 0 {
		err = &CorruptError{Record: kindDigestKey.name(), Cause: errors.New("it is empty")}
	}
	return key.Sealed, err
}

// SetDigestKey saves a new digest key, sealed to the runner's own identity, in
// the place of former, which is what DigestKey gave. It drops in the same
// transaction all that was made with another one: the secrets cache, the remembered
// tokens of client_secret and verification_secret, pairs of keys that were live or are
// soaking, and answers by pair. That a provider rejected a sealed key stays. When the
// key is not former any more nothing changes and the error wraps ErrKeyChanged: two
// runs must never work with two keys. The same sealed key again changes nothing.
func (s *Store) SetDigestKey(former, sealed []byte) error {
	return s.write("set digest key", func(w Writer) error {
		if len(sealed) == 0 {
			return errors.New("it is empty")
		}
		current, err := digestKeyIn(w)
		switch {
		case err != nil:
			return err
		case bytes.Equal(current, sealed):
			return nil
		case !bytes.Equal(current, former):
			return ErrKeyChanged
		}
		if err := dropAll(w, Environment{}, kindSecret.name()); err != nil {
			return err
		}
		environments, err := w.Environments()
		if err != nil {
			return err
		}
		for _, env := range environments {
			if err := forgetDigests(w, env); err != nil {
				return err
			}
		}
		return kindDigestKey.put(w, Environment{}, "", sealedKey{sealed})
	})
}

func dropAll(w Writer, env Environment, kind string) error {
	records, err := w.List(env, kind)
	for _, record := range records {
		if err == nil {
			err = w.Delete(record.Address)
		}
	}
	return err
}

// forgetDigests drops what was made with the former digest key in one environment.
func forgetDigests(w Writer, env Environment) error {
	if err := dropAll(w, env, kindProbe.name()); err != nil {
		return err
	}
	remembered, err := kindConnection.list(w, env, nil)
	if err != nil {
		return err
	}
	for provider, c := range remembered {
		delete(c.Fields, plan.FieldClientSecret)
		delete(c.Fields, plan.FieldVerificationSecret)
		c.UnknownMask = ""
		if err := putConnection(w, env, provider, c); err != nil {
			return err
		}
	}
	histories, err := kindKeyHistory.list(w, env, nil)
	if err != nil {
		return err
	}
	for provider, h := range histories {
		if err := putKeyHistory(w, env, provider, h.WithoutDigests()); err != nil {
			return err
		}
	}
	return nil
}

// Digests gives the secrets cache: digests by the token of the sealed form
// ("sha256:…") and its place. The caller owns the result.
func (s *Store) Digests() (map[string]Digest, error) {
	out := map[string]Digest{}
	err := s.read("recall digests", func(r Reader) error {
		known, err := s.secretsIn(r)
		for token, secret := range known {
			out[token] = secret.Digest
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (s *Store) secretsIn(r Reader) (map[string]cachedSecret, error) {
	known, err := kindSecret.list(r, Environment{}, &s.caches.secrets)
	for token, secret := range known {
		if err == nil && secret.Value == "" {
			err = &CorruptError{Record: kindSecret.at(Environment{}, token).String(), Cause: errors.New("it is empty")}
		}
	}
	return known, err
}

// SaveDigests adds the digests that a run has used, by the token of their sealed
// form, and drops those that no run has used for 30 days before now. The time of
// last use is kept to the day, so that a run that used what it used before does
// not touch the disk.
func (s *Store) SaveDigests(now time.Time, inUse map[string]Digest) error {
	return s.write("save digests", func(w Writer) error {
		known, err := s.secretsIn(w)
		if err != nil {
			return err
		}
		for token, digest := range inUse {
			if token == "" || digest.Value == "" {
				return errors.New("a digest or its token is empty")
			}
			if old, ok := known[token]; ok && old.Digest == digest && now.Sub(old.Used).Abs() < digestTouched {
				continue
			}
			if err := kindSecret.put(w, Environment{}, token, cachedSecret{digest, now.UTC()}); err != nil {
				return err
			}
		}
		for token, old := range known {
			if _, used := inUse[token]; used || now.Sub(old.Used) <= digestKept {
				continue
			}
			if err := kindSecret.drop(w, Environment{}, token); err != nil {
				return err
			}
		}
		return nil
	})
}
