package reconcile

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/terra-reconcile/terra-reconcile/internal/advice"
	"github.com/terra-reconcile/terra-reconcile/providers"
	"github.com/terra-reconcile/terra-reconcile/reconcile/keys"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/secrets"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

// resolve says what files ask for at this time, and opens the secrets of which no
// digest is remembered.
func (env *environment) resolve(which []*Connection) error {
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for _, c := range which {
		group.Go(contained(func() error { c.resolve(env); return nil }))
	}
	return group.Wait()
}

func (c *Connection) resolve(env *environment) {
	file, cache := c.File, env.cache
	c.catalogue, c.listed = providers.Lookup(c.Provider) // of one that is not listed only what holds for every secret is checked
	history := c.Keys.History
	c.found, c.sealed, c.Keys = findings{}, nil, KeysOf(*file)
	c.Keys.History = history
	c.resolved = inTheClear(*file)
	d := &c.resolved
	d.Proof = plan.ProofOf(file.Rotation.Probe, file.Rotation.Soak, file.Rotation.MaxUserDrop)
	switch {
	case c.catalogue.Probe == nil:
		d.Unasked = "there is no way to ask this provider"
	case file.Rotation.Probe == "off":
		d.Unasked = "rotation.probe is off, " + at(file.Rotation.Origin)
	}
	if file.Rotation.Probe == "require" {
		d.ProbeRequired = at(file.Rotation.Origin)
	}

	for i, k := range file.Credentials.Keys {
		s := sealedSecret{origin: k.Secret.Origin, binding: env.bindingOf(c, plan.FieldClientSecret)}
		if !k.Unknown {
			s = c.parse(k.Secret, s.binding, cache)
		}
		c.sealed = append(c.sealed, s)
		sealedKey(&c.Keys.Entries[i], *file, s.sealed)
	}
	c.followSoak(cache, env.input.Now)
	c.due = c.Keys.Due(env.input.Now)
	if due := c.Keys.Entry(c.due); due.Unknown {
		d.UnknownKey = true
	} else if c.due > 0 {
		d.Secret = c.desiredSecret(c.sealed[c.due-1], cache)
		d.Secret.Value.Key = c.due
		d.SecretReason = fmt.Sprintf("key %d of %d is due", c.due, len(c.sealed))
		c.refuseClientID(cache.digester)
		if !due.NotBefore.IsZero() {
			d.SecretReason += " since " + due.NotBefore.UTC().Format(time.RFC3339)
		}
	}
	d.NextKey, d.NextKeyAt = c.Keys.Next(env.input.Now)
	if key := c.Keys.Superseded(env.input.Now, 0); key > 0 {
		d.Rejected = c.refused(env, key, 0)
	}
	switch v := file.Credentials.VerificationSecret; {
	case v.Null():
		d.VerificationSecret = plan.Setting[plan.Secret]{Mode: plan.Default, Origin: at(v.Origin)}
	case v.Given():
		c.verification = c.parse(v.Value, env.bindingOf(c, plan.FieldVerificationSecret), cache)
		d.VerificationSecret = c.desiredSecret(c.verification, cache)
	}
	d.Unreadable, d.Warnings = c.found.unreadable, c.found.warnings
}

// inTheClear is what a file asks for, but for its secrets.
func inTheClear(file spec.Connection) plan.Desired {
	d := plan.Desired{
		Provider: file.Provider, Origin: at(file.Origin), State: plan.State(file.State.String()), StateOrigin: at(file.StateOrigin),
		App: setting(file.App), Credentials: file.Credentials.Present, Keys: len(file.Credentials.Keys),
		ClientID: setting(file.Credentials.ClientID), RedirectURL: setting(file.Credentials.RedirectURL),
		Sandbox: setting(file.Credentials.Sandbox), Scopes: setting(file.Scopes), Domain: setting(file.Domain),
		Ignore: file.Policy.Ignore, Protect: setting(file.Policy.Protect), Suspend: suspend(file.Suspend),
	}
	if file.Webhooks {
		d.Webhooks = plan.Setting[bool]{Mode: plan.Given, Value: true, Origin: at(file.Origin)}
	}
	return d
}

func (env *environment) bindingOf(c *Connection, field string) secrets.Binding {
	return secrets.Binding{Account: env.spec.Account, DevID: env.spec.DevID, Provider: c.Provider, Field: field}
}

// parse reads a sealed secret. One that was opened before needs no second look.
func (c *Connection) parse(s spec.Secret, to secrets.Binding, cache *secretsCache) sealedSecret {
	out := sealedSecret{sealed: secrets.Skim(s.Armor), binding: to, origin: s.Origin}
	if out.before = cache.lookup(out); out.before != nil {
		return out
	}
	var err error
	if out.sealed, err = secrets.Parse(s.Armor); err != nil {
		c.refuse(s.Origin, to.Field, fmt.Errorf("%s: read %s: %w", at(s.Origin), to.Field, err))
	}
	return out
}

// desiredSecret is the plan's view of a sealed secret. It is opened only where its
// digest is not remembered, and is closed where no identity is at hand.
func (c *Connection) desiredSecret(s sealedSecret, cache *secretsCache) plan.Setting[plan.Secret] {
	out := plan.Setting[plan.Secret]{Mode: plan.Given, Origin: at(s.origin)}
	if s.sealed.IsZero() {
		return out
	}
	out.Value.Sealed = s.sealed.Token()
	if out.Value.Closed = cache.closed(); out.Value.Closed != "" {
		return out
	}
	if before := cache.lookup(s); before != nil {
		c.found.take(unboundWarning(s, before.plain))
		out.Value.Digest = before.digest.Value
		return out
	}
	digest, found, err := cache.openAndDigest(s, c.catalogue)
	if err != nil {
		c.refuse(s.origin, s.binding.Field, err)
		return out
	}
	c.found.take(found)
	out.Value.Digest = digest.Value
	return out
}

// refuseClientID keeps a secret from being used that is the client id beside it: who
// pasted it took the wrong line of the portal.
func (c *Connection) refuseClientID(digester secrets.Digester) {
	d := c.resolved
	if d.ClientID.Mode != plan.Given || !secrets.DigestsAgree(digester.Digest(secrets.NewValue([]byte(d.ClientID.Value))), d.Secret.Value.Digest) {
		return
	}
	origin := c.sealed[c.due-1].origin
	c.refuse(origin, plan.FieldClientSecret, advice.With(fmt.Errorf("%s: client_secret is the client id of this connection, not its secret", at(origin)),
		"copy the secret from the provider's portal and seal it", "secret", "encrypt", "FILE"))
}

// refuse notes an error of a secret, with what to do about it as a warning.
func (c *Connection) refuse(origin spec.Origin, field string, err error) {
	c.found.fail(err.Error())
	next := toDo(err)
	for i, n := range next {
		if slices.Equal(n.Command, []string{"secret", "encrypt", "FILE"}) {
			next[i].Command = c.sealing(origin, field)
		}
	}
	if len(next) > 0 {
		c.found.warnings = append(c.found.warnings, plan.Warn(at(origin), "this secret is not used", next...))
	}
}

// sealing is the command that seals a secret in the place of one of the file.
func (c *Connection) sealing(origin spec.Origin, field string) plan.Command {
	command := plan.Command{"secret", "encrypt", origin.File}
	if field != plan.FieldClientSecret {
		return append(command, "--field", field)
	}
	list := c.File.Credentials.Keys
	if key := slices.IndexFunc(list, func(k spec.Key) bool { return k.Secret.Origin == origin }); key >= 0 && len(list) > 1 {
		command = append(command, "--key", strconv.Itoa(key+1))
	}
	return command
}

// followSoak keeps the soak of a key that was only sealed again, as for another
// recipient, as long as it has not passed. A rejection does not follow: it ends with
// its entry.
func (c *Connection) followSoak(cache *secretsCache, now time.Time) {
	soak := c.Keys.History.Soak
	if soak == nil || !now.Before(soak.Until) || c.Keys.Find(soak.Entry) > 0 {
		return
	}
	for i, e := range c.Keys.Entries {
		if !keys.SameButSealed(e.ID, soak.Entry) {
			continue
		}
		if d, err := cache.digest(c.sealed[i], c.catalogue); err == nil && secrets.DigestsAgree(d.Value, soak.Digest) {
			c.Keys.History = c.Keys.History.Clone()
			c.Keys.History.Soak.Entry = e.ID
			return
		}
	}
}

// check runs the catalogue's offline rules over connections and adds the human steps
// that they wait for. An error keeps a connection from being planned, the rest are
// warnings. Where the catalogue and Terra's source types disagree, Terra is believed
// and the plan says so.
func (env *environment) check(which []*Connection) {
	for _, c := range which {
		c.check(env)
	}
}

func (c *Connection) check(env *environment) {
	c.checked = findings{unreadable: c.resolved.Unreadable}
	c.waits = nil
	provider, known, disagree := c.believe(env.input.Now)
	for _, text := range disagree {
		if c.File.State != spec.Disabled { // that is the way out of most of them
			c.checked.warnings = append(c.checked.warnings, plan.Warn(c.Name, text))
		}
	}
	if c.File.State != spec.Disabled && c.Observed == nil && c.Type != nil && c.Type.NotOffered {
		c.checked.fail(at(c.File.Origin) + ": " + env.notOffered(c))
	}
	if !known {
		return
	}
	c.tokenLifetime = provider.TokenLifetime
	seen := providers.Seen{Now: env.input.Now, NotLive: c.Observed == nil}
	if c.source.AuthRedirectURL != nil {
		seen.AuthRedirectURL = *c.source.AuthRedirectURL
	}
	if live := c.live().Credentials; live != nil {
		seen.OAuthVersion = live.OAuthVersion
	}
	found := provider.Check(*c.File, seen)
	for i := range found {
		if found[i].Origin.File == "" {
			found[i].Origin = c.File.Origin
		}
	}
	c.checked.take(found)
	gates, open := provider.Prerequisites(*c.File, seen, env.spec.Policy.RequireSetup)
	for _, g := range gates {
		c.waits = append(c.waits, plan.Prerequisite{Step: g.Step, Reason: g.Reason, Yours: g.Yours, By: g.By, Do: g.Do, Once: g.Once, Record: g.Record, Blanks: g.Blanks, OwnApp: g.OwnApp})
	}
	for _, text := range open {
		c.checked.warnings = append(c.checked.warnings, plan.Warning{Connection: c.Name, Cause: text.Cause, Text: c.Name + ": " + text.Text,
			Remediations: []plan.Remediation{plan.NextCommand("see what to do", "providers", c.Provider)}})
	}
}

// believe gives the provider as Terra sees it, and in what that differs from the
// catalogue. It is not known where neither says anything about it.
func (c *Connection) believe(now time.Time) (provider providers.Provider, known bool, disagree []string) {
	if c.Type == nil || c.Type.NotOffered {
		return c.catalogue, c.listed, nil
	}
	facts := providers.SourceType{Deprecated: c.Type.Deprecated, BYOSupported: c.Type.BYO,
		CustomerCredentialsRequired: c.Type.CredentialsRequired, CustomCredentialsAllowed: c.Type.CustomCredentials}
	if !c.listed {
		provider, warning := providers.Unlisted(c.Provider, facts)
		return provider, true, []string{warning}
	}
	keysMatter := c.File.Credentials.Present || facts.CustomerCredentialsRequired || facts.Deprecated || len(c.catalogue.Ends) > 0
	provider, disagree = c.catalogue.WithSourceType(facts, now)
	if !keysMatter {
		disagree = nil // whether keys could be set says nothing about a connection without
	}
	return provider, true, disagree
}

// notOffered says that Terra has never heard of a provider: a name that was typed
// wrong, or a provider that it does not offer here, with what the catalogue knows of that.
func (env *environment) notOffered(c *Connection) string {
	why := "Terra offers no provider `" + c.Provider + "` in this environment"
	if c.catalogue.Absent != "" {
		return why + ": " + c.catalogue.Absent
	}
	if near := spec.Nearest(c.Provider, slices.Sorted(maps.Keys(env.types))); near != "" {
		return why + "; did you mean `" + near + "`?"
	}
	return why
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

// policyOf is what environment.yaml says of changes, with the allows of all its files.
func policyOf(env spec.Environment) (plan.Environment, error) {
	out := plan.Environment{
		Name: env.Name, Account: env.Account, DevID: env.DevID, Origin: at(env.Origin),
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
