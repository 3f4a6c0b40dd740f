package reconcile

import (
	"fmt"
	"slices"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/providers"
	"github.com/terra-reconcile/terra-reconcile/reconcile/keys"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
	"github.com/terra-reconcile/terra-reconcile/secrets"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

// KeysOf gives the keys of a connection's file as far as it says of them without
// reading a secret: enough to know which one is due.
func KeysOf(c spec.Connection) keys.Set {
	var out keys.Set
	for _, k := range c.Credentials.Keys {
		out.Entries = append(out.Entries, keys.Entry{Unknown: k.Unknown, NotBefore: k.NotBefore, Issued: k.Issued, Origin: at(k.Origin)})
	}
	return out
}

// sealedKey adds to an entry what it is sealed as.
func sealedKey(e *keys.Entry, c spec.Connection, sealed secrets.Sealed) {
	if !e.Unknown && !sealed.IsZero() {
		e.ID, e.Sealed = keys.EntryID(sealed.Token(), c.Credentials.ClientID.Value, e.NotBefore), sealed.Token()
	}
}

// RecalledKeys is what a state says about the keys of one connection: as old as the
// last run, and told without an identity, since no secret is opened.
type RecalledKeys struct {
	keys.Set
	keys.Known
	Any bool // a run of the environment has finished with this state
}

// RecallKeys asks a state about the keys of a connection, whose secrets are sealed for an
// account. A record that cannot be
// read is an error.
func RecallKeys(store *state.Store, id state.Environment, account string, c spec.Connection) (RecalledKeys, error) {
	out := RecalledKeys{Set: KeysOf(c)}
	memory, err := store.Memory(id)
	if err != nil {
		return out, err
	}
	histories, err := store.KeyHistory(id)
	if err != nil {
		return out, err
	}
	digests, err := store.Digests()
	if err != nil {
		return out, err
	}
	ongoing, err := store.OpenEvents(id)
	if err != nil {
		return out, err
	}
	out.Any, out.History = memory.Known, histories[c.Provider]
	for i, k := range c.Credentials.Keys {
		if k.Unknown {
			continue
		}
		s := sealedSecret{binding: secrets.Binding{Account: account, DevID: id.DevID, Provider: c.Provider, Field: plan.FieldClientSecret}}
		if s.sealed, err = secrets.Parse(k.Secret.Armor); err != nil {
			return out, fmt.Errorf("%s: %w", k.Secret.Origin, err)
		}
		sealedKey(&out.Entries[i], c, s.sealed)
		if digest, seen := digestOf(digests, s); seen {
			out.Entries[i].Digest = digest.Value
		}
	}
	held := false
	for _, h := range ongoing.Gated {
		action := plan.Action(h.Action)
		changesKeys := action == plan.RotateSecret || action == plan.UpdateCredentials || action == plan.SetCredentials
		held = held || h.Provider == c.Provider && h.Guard != plan.GuardRejected && changesKeys
	}
	out.Known = out.Recall(memory.Connections[c.Provider], held)
	return out, nil
}

// keyStatuses says how the keys of each connection are after what was done.
func (env *environment) keyStatuses() []keys.Status {
	out := []keys.Status{}
	for _, c := range env.named() {
		if len(c.sealed) == 0 || c.Desired.State == plan.Disabled || c.Desired.Unreadable != "" {
			continue
		}
		seen := c.live().Secret
		f := keys.Facts{
			Now: env.input.Now, Environment: env.spec.Name, Connection: c.Name, Provider: c.Provider,
			Live: c.liveKey(), NoneLive: seen.Result == plan.Differs && seen.LiveKey == 0, OutOfBand: seen.OutOfBand,
			Closed: c.Desired.Secret.Value.Closed, UsersNow: c.soakUsers, Rules: c.keyRules(), Portal: c.portal(),
		}
		for i := range c.Changes {
			if change := &c.Changes[i]; writesSecret(change.Change) {
				if f.Change = &change.Change; change.Outcome == report.Applied {
					f.Live, f.NoneLive, f.Change = c.due, false, nil
				}
			}
		}
		if f.NoneLive {
			for i, s := range c.sealed {
				if _, err := env.cache.digest(s, c.catalogue); err != nil {
					f.Unopened = append(f.Unopened, i+1)
				}
			}
		}
		out = append(out, c.Keys.Status(f))
	}
	return out
}

func (c *Connection) keyRules() keys.Rules {
	r := c.File.Rotation
	return keys.Rules{MaxAge: r.MaxAge, Warn: r.Warn, Soak: r.Soak, MaxUserDrop: r.MaxUserDrop, Origin: at(r.Origin)}
}

func (c *Connection) portal() keys.Portal {
	p := c.catalogue
	out := keys.Portal{Address: p.Portal, Order: string(p.Reset.Order), CommitFirst: p.Reset.Order == providers.CommitFirst,
		ResetFirst: p.Reset.Order == providers.ResetFirst, AskTerra: p.Reset.Order == providers.AskTerra}
	if c.tokenLifetime > 0 {
		out.Tokens = providers.Span(c.tokenLifetime)
	}
	return out
}

// resetWarnings are what a provider's own ways ask a person to know of a rotation.
func (env *environment) resetWarnings() []plan.Warning {
	var out []plan.Warning
	for _, c := range env.plan.Changes {
		provider, _ := providers.Lookup(c.Provider)
		if c.Action == plan.RotateSecret && writesSecret(c) && provider.Reset.Warns != "" {
			out = append(out, plan.Warn(c.Connection, provider.Reset.Warns))
		}
	}
	return out
}

// keyWarnings are what stands in every report about keys until somebody acts.
func keyWarnings(all []keys.Status, now time.Time) []plan.Warning {
	var out []plan.Warning
	for _, k := range all {
		if k.State == keys.Expiring {
			left := k.Issued.AddDate(0, 0, k.MaxAgeDays).Sub(now)
			out = append(out, plan.Warning{Connection: k.Connection, Cause: "the live key reaches rotation.max_age", Detail: fmt.Sprintf("in %d days", int(left/(24*time.Hour))),
				Text: k.Connection + ": " + k.Text, Remediations: k.Remediations})
		}
		if k.Former != nil {
			out = append(out, plan.Warning{Connection: k.Connection, Cause: "a replaced key is still accepted by its provider", Detail: fmt.Sprintf("key %d", k.Former.Key),
				Text: fmt.Sprintf("%s: key %d is replaced, and its provider still accepts it", k.Connection, k.Former.Key), Remediations: k.Remediations})
		}
	}
	return out
}

// keyEvents are what somebody should hear of about the keys: an event for each of their
// states that is one.
func keyEvents(all []keys.Status, changes []report.Change) []report.Event {
	var out []report.Event
	for _, k := range all {
		for _, state := range k.States() {
			e := report.Event{Connection: k.Connection, Text: k.Connection + ": " + k.Text, Remediations: k.Remediations}
			switch state {
			case keys.LiveRejected, keys.Rejected:
				e.Kind, e.Since = report.KeyRejectedEvent, k.RefusedSince()
			case keys.OutOfBand:
				e.Kind = report.KeyOutOfBandEvent
			case keys.Overdue:
				e.Kind, e.Since = report.KeyOverdueEvent, k.Issued.AddDate(0, 0, k.MaxAgeDays).UTC()
			default:
				continue
			}
			out = append(out, e)
		}
	}
	for _, c := range changes {
		said := slices.ContainsFunc(out, func(e report.Event) bool { return e.Kind == report.KeyOutOfBandEvent && e.Connection == c.Connection })
		if revertsPair(c.Change) && c.Gate == plan.Approval && !said {
			out = append(out, report.Event{Kind: report.KeyOutOfBandEvent, Connection: c.Connection, Change: c.ID, Since: c.GatedSince,
				Text: c.Connection + ": somebody set keys out of band, perhaps in an emergency", Remediations: append([]plan.Remediation{
					{Kind: plan.ByCommit, Text: "to keep them commit them to " + c.Origin}}, c.Remediations...)})
		}
		if !takesBack(c.Change) {
			continue
		}
		switch {
		case c.Outcome == report.Applied:
			out = append(out, report.Event{Kind: report.RolledBack, Connection: c.Connection, Change: c.ID, Text: c.Connection + ": " + c.Reason})
		case c.Gate == plan.Approval || c.Gate == plan.Blocked:
			out = append(out, report.Event{Kind: report.RotationHeld, Connection: c.Connection, Change: c.ID, Since: c.GatedSince,
				Text: c.Connection + ": " + c.Reason + ", and that is held: " + c.GateReason, Remediations: c.Remediations})
		}
	}
	return out
}

// revertsPair tells whether a change takes back a client id or secret that somebody
// set by hand.
func revertsPair(c plan.Change) bool {
	return c.Cause == plan.Drift && c.Action != plan.SetCredentials && slices.ContainsFunc(c.Fields, func(f plan.FieldChange) bool {
		return f.Field == plan.FieldClientID || f.Field == plan.FieldClientSecret
	})
}

// takesBack tells whether a change replaces a live key of the file by an older one.
func takesBack(c plan.Change) bool {
	return c.Action == plan.RotateSecret && writesSecret(c) && slices.ContainsFunc(c.Fields, func(f plan.FieldChange) bool {
		return f.Field == plan.FieldClientSecret && f.To.Key > 0 && f.From.Key > f.To.Key
	})
}

// writesSecret tells whether a change sends a client secret; one that only shows
// a rejected key does not.
func writesSecret(c plan.Change) bool {
	return c.Guard != plan.GuardRejected &&
		slices.ContainsFunc(c.Fields, func(f plan.FieldChange) bool {
			return f.Field == plan.FieldClientSecret || f.Field == plan.FieldClientID
		})
}

// liveKey is the number of the live key, 0 when it is none of the file, or not known.
func (c *Connection) liveKey() int { return keys.Live(c.live().Secret, c.due) }
