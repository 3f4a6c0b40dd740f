package reconcile

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/terra-reconcile/terra-reconcile/providers"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/secrets"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

// wanted is one connection of the repository: the plan's view of it, and its
// sealed secrets for when they are needed.
type wanted struct {
	desired      plan.Desired
	keys         []sealedSecret // by position in the file; zero where unknown
	entries      []string       // by position in the file; "" where unknown
	due          int            // position of the key that is due, -1 for none
	verification sealedSecret
	unopened     []string // fields whose digest nobody remembers
	probe        string
	rotation     spec.Rotation
	tokens       time.Duration // how long a bad secret can stay unseen; 0 unknown
	life         plan.KeyLife
	review       []plan.Warning // warnings of this run's review of the keys
}

// resolve turns a connection file into what the plan compares. It opens a secret only
// to follow a watch over one that was sealed anew; others whose digest is not
// remembered are left to open.
func resolve(env spec.Environment, c spec.Connection, b *book, now time.Time, life plan.KeyLife) wanted {
	w := wanted{due: -1, probe: c.Rotation.Probe, rotation: c.Rotation, life: life}
	w.desired = plan.Desired{
		Provider: c.Provider, Origin: at(c.Origin), State: plan.State(c.State.String()), StateOrigin: at(c.StateOrigin),
		App: setting(c.App), Credentials: c.Credentials.Present, Keys: len(c.Credentials.Keys),
		ClientID: setting(c.Credentials.ClientID), RedirectURL: setting(c.Credentials.RedirectURL),
		Sandbox: setting(c.Credentials.Sandbox), Scopes: setting(c.Scopes), Domain: setting(c.Domain),
		Ignore: c.Policy.Ignore, Protect: setting(c.Policy.Protect), Suspend: suspend(c.Suspend),
	}
	switch provider, listed := providers.Lookup(c.Provider); {
	case listed && provider.Probe == nil, !listed:
		w.desired.Unasked = "there is no way to ask this provider"
	case c.Rotation.Probe == "off":
		w.desired.Unasked = "rotation.probe is off, " + at(c.Rotation.Origin)
	}
	if c.Rotation.Probe == "require" {
		w.desired.ProbeRequired = at(c.Rotation.Origin)
	}
	if c.Webhooks {
		w.desired.Webhooks = plan.Setting[bool]{Mode: plan.Given, Value: true, Origin: at(c.Origin)}
	}
	if w.desired.App.Mode == plan.Unmanaged && c.Credentials.Present {
		w.desired.App = plan.Setting[string]{Mode: plan.Given, Value: "own", Origin: at(c.Credentials.Origin)}
	}
	w.secrets(env, c, b, now)
	return w
}

func (w *wanted) take(found []providers.Finding) {
	for _, f := range found {
		about := plan.Warning{About: at(f.Origin), Cause: f.Message, Next: f.Hint, Text: f.Message}
		if about.About != "" {
			about.Text = about.About + ": " + about.Text
		}
		if f.Hint != "" {
			about.Text += "; " + f.Hint
		}
		if f.Severity == spec.Error && w.desired.Unreadable == "" {
			w.desired.Unreadable = about.Text
		} else {
			w.desired.Warnings = append(w.desired.Warnings, about)
		}
	}
}

func (w *wanted) secrets(env spec.Environment, c spec.Connection, b *book, now time.Time) {
	schedule := make([]secrets.Schedule, len(c.Credentials.Keys))
	for i, k := range c.Credentials.Keys {
		schedule[i] = secrets.Schedule{Unknown: k.Unknown, NotBefore: k.NotBefore}
		s := sealedSecret{origin: k.Secret.Origin, binding: secrets.Binding{DevID: env.DevID, Provider: c.Provider, Field: plan.FieldClientSecret}}
		if !k.Unknown {
			s = w.parse(k.Secret, s.binding, b)
		}
		w.keys = append(w.keys, s)
		w.entries = append(w.entries, entryOf(c, k, s.sealed))
	}
	w.followWatch(b, now)
	w.pickDue(c, schedule, now)
	w.desired.UnknownKey = w.due >= 0 && c.Credentials.Keys[w.due].Unknown
	if w.due >= 0 && !w.desired.UnknownKey {
		key := c.Credentials.Keys[w.due]
		w.desired.Secret = w.known(w.keys[w.due], b)
		w.desired.Secret.Value.Key = w.due + 1
		w.desired.SecretReason = dueReason(w.due, key, len(c.Credentials.Keys))
	}
	v := c.Credentials.VerificationSecret
	switch {
	case v.Null():
		w.desired.VerificationSecret = plan.Setting[plan.Secret]{Mode: plan.Default, Origin: at(v.Origin)}
	case v.Given():
		to := secrets.Binding{DevID: env.DevID, Provider: c.Provider, Field: plan.FieldVerificationSecret}
		w.verification = w.parse(v.Value, to, b)
		w.desired.VerificationSecret = w.known(w.verification, b)
	}
}

// followWatch keeps the watch over a key that was only sealed anew, as for another
// recipient, as long as it has not passed. A mark does not follow: it ends with its
// entry.
func (w *wanted) followWatch(b *book, now time.Time) {
	soak := w.life.Soak
	if soak == nil || !now.Before(soak.Until) || slices.Contains(w.entries, soak.Entry) {
		return
	}
	p, _ := providers.Lookup(w.desired.Provider)
	_, about, _ := strings.Cut(soak.Entry, " ")
	for i, entry := range w.entries {
		if _, same, _ := strings.Cut(entry, " "); entry == "" || same != about {
			continue
		}
		if d, err := b.digest(w.keys[i], p); err == nil && secrets.DigestsAgree(d.Value, soak.Digest) {
			w.life = w.life.Clone()
			w.life.Soak.Entry = entry
			return
		}
	}
}

// pickDue finds the key that is due, and the newer one that would be had it not
// been rejected.
func (w *wanted) pickDue(c spec.Connection, schedule []secrets.Schedule, now time.Time) {
	newest := secrets.Due(now, schedule)
	for i := range w.entries {
		schedule[i].Rejected = w.isRejected(i)
	}
	w.due = secrets.Due(now, schedule)
	if newest < 0 || newest == w.due {
		return
	}
	w.desired.Refused = w.refused(c, newest)
}

func (w *wanted) isRejected(key int) bool {
	_, rejected := w.life.Rejected[w.entries[key]]
	return rejected
}

// refused tells of a key that was rejected.
func (w *wanted) refused(c spec.Connection, key int) *plan.Refused {
	why := w.life.Rejected[w.entries[key]]
	out := &plan.Refused{
		Key: key + 1, Sealed: w.keys[key].sealed.Token(), Origin: at(c.Credentials.Keys[key].Origin),
		Reason: why.Reason, At: why.At, ByUsers: why.ByUsers,
	}
	if why.LiveToo != "" {
		out.LiveToo = slices.Index(w.entries, why.LiveToo) + 1
	}
	if why.AskLive != "" {
		out.AskLive = slices.Index(w.entries, why.AskLive) + 1
	}
	return out
}

// parse reads a sealed secret. One that was opened before needs no second look.
func (w *wanted) parse(s spec.Secret, to secrets.Binding, b *book) sealedSecret {
	out := sealedSecret{sealed: secrets.Skim(s.Armor), binding: to, origin: s.Origin}
	if out.before = b.recall(out); out.before != nil {
		return out
	}
	var err error
	if out.sealed, err = secrets.Parse(s.Armor); err != nil && w.desired.Unreadable == "" {
		w.desired.Unreadable = fmt.Sprintf("%s: read %s: %v", at(s.Origin), to.Field, err)
	}
	return out
}

// known gives the plan's view of a sealed secret, as far as it can be had without
// opening it. Where no identity is at hand it is closed.
func (w *wanted) known(s sealedSecret, b *book) plan.Setting[plan.Secret] {
	out := plan.Setting[plan.Secret]{Mode: plan.Given, Origin: at(s.origin)}
	if s.sealed.IsZero() {
		return out
	}
	out.Value.Sealed = s.sealed.Token()
	if out.Value.Closed = b.closed(); out.Value.Closed != "" {
		return out
	}
	before := b.recall(s)
	if before == nil {
		w.unopened = append(w.unopened, s.binding.Field)
		return out
	}
	w.take(b.unboundWarning(s, before.plain))
	out.Value.Digest = before.digest.Value
	return out
}

// open fills in the digests that nobody remembers. It gives the secrets that it had
// to open for that, by field, to whom needs them at once: each is opened only once.
func (w *wanted) open(b *book) map[string]secrets.Value {
	p, _ := providers.Lookup(w.desired.Provider) // of one that is not listed only what holds for every secret is checked
	out := map[string]secrets.Value{}
	for _, field := range w.unopened {
		s, into := w.verification, &w.desired.VerificationSecret.Value
		if field == plan.FieldClientSecret {
			s, into = w.keys[w.due], &w.desired.Secret.Value
		}
		v, d, findings, err := b.openAndDigest(s, p)
		if err != nil {
			if w.desired.Unreadable == "" {
				w.desired.Unreadable = err.Error()
			}
			continue
		}
		w.take(findings)
		into.Digest, out[field] = d.Value, v
	}
	w.unopened = nil
	return out
}

func dueReason(index int, key spec.Key, keys int) string {
	reason := fmt.Sprintf("key %d of %d is due", index+1, keys)
	if !key.NotBefore.IsZero() {
		reason += " since " + key.NotBefore.UTC().Format(time.RFC3339)
	}
	return reason
}

func setting[T any](f spec.Field[T]) plan.Setting[T] {
	switch {
	case f.Given():
		return plan.Setting[T]{Mode: plan.Given, Value: f.Value, Origin: at(f.Origin)}
	case f.Null():
		return plan.Setting[T]{Mode: plan.Default, Origin: at(f.Origin)}
	default:
		return plan.Setting[T]{}
	}
}

func suspend(s *spec.Suspend) *plan.Suspend {
	if s == nil {
		return nil
	}
	return &plan.Suspend{Reason: s.Reason, Owner: s.Owner, Until: s.Until, Origin: at(s.Origin)}
}

// environmentOf gives the plan's view of environment.yaml, with the allows of
// all its files.
func environmentOf(env spec.Environment) (plan.Environment, error) {
	out := plan.Environment{
		Name: env.Name, DevID: env.DevID, Origin: at(env.Origin),
		Observe: env.Observe, ModeOrigin: at(env.ModeOrigin), PruneDisable: env.PruneDisable, PruneOrigin: at(env.PruneOrigin),
		RevertDrift: env.RevertDrift, DriftOrigin: at(env.DriftOrigin),
		RevertSecretDrift: env.RevertSecretDrift, SecretDriftOrigin: at(env.SecretDriftOrigin),
		Suspend: suspend(env.Suspend), WindowsOrigin: at(env.WindowsOrigin),
		CapCount: env.Policy.MaxChanges.Count, CapPercent: env.Policy.MaxChanges.Percent, CapOrigin: at(env.Policy.MaxChanges.Origin),
		MaxRotations: env.Policy.MaxRotations, RotationsOrigin: at(env.Policy.RotationsOrigin), Protect: env.Policy.Protect, ProtectOrigin: at(env.Policy.ProtectOrigin),
	}
	for _, w := range env.Windows {
		zone, err := time.LoadLocation(w.TZ)
		if err != nil {
			return out, fmt.Errorf("%s: load time zone %q: %w", at(w.Origin), w.TZ, err)
		}
		out.Windows = append(out.Windows, plan.Window{Days: w.Days, From: int(w.From), To: int(w.To), Location: zone})
	}
	allow := func(list []spec.Allow, provider string) {
		for _, a := range list {
			if a.Connection == "" {
				a.Connection = provider
			}
			out.Allow = append(out.Allow, plan.Allow{Provider: a.Connection, Change: a.Change, To: a.To, Until: a.Until, Reason: a.Reason, Origin: at(a.Origin)})
		}
	}
	allow(env.Policy.Allow, "")
	for _, c := range env.Connections {
		allow(c.Policy.Allow, c.Provider)
	}
	return out, nil
}
