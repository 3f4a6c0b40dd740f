package reconcile

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/internal/terra"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// remember saves what is agreed now, and only then ends the intents: a crash in
// between leaves them pending, and the next run finds them in effect.
func (env *environment) remember() error {
	store, devID := env.o.Store, env.spec.DevID
	now, err := env.killSwitches()
	if err != nil {
		return err
	}
	env.input.KillSwitches = append(now, env.switches...) // those, too, that this run met and that are lifted since
	results := plan.Results{Applied: map[string]bool{}, Unshown: env.unshown, DefaultRedirects: map[string]string{}, SharedDomains: map[string]string{}}
	clean := len(env.plan.NotCompared) == 0 && env.out.NotSelected == 0
	for _, c := range env.connections {
		results.DefaultRedirects[c.Provider], results.SharedDomains[c.Provider] = c.defaultRedirect, c.sharedDomain
	}
	for _, c := range env.out.Changes {
		if c.Outcome == report.Applied {
			results.Applied[c.ID] = true
		} else {
			clean = false
		}
	}
	memory := plan.Remember(env.input, env.plan, results)
	if !env.cache.lasting {
		forgetDigests(memory, env.before)
	}
	if err := store.SaveMemory(env.id, memory); err != nil {
		return fmt.Errorf("remember %s: %w", devID, err)
	}
	if err := env.settleKeys(); err != nil {
		return fmt.Errorf("remember %s: %w", devID, err)
	}
	if err := store.End(env.id, env.ended...); err != nil {
		return err
	}
	after, entries := env.follow()
	env.lasting = after
	if err := store.SaveOpenEvents(env.id, after, entries); err != nil {
		return err
	}
	if err := store.RecordAttempt(env.id, env.request.Commit, env.request.Older); err != nil {
		return err
	}
	commits, err := store.Commits(env.id)
	if err != nil {
		return err
	}
	commits.Environment, commits.Attempted = env.spec.Name, env.request.Commit
	if clean {
		commits.Applied = env.request.Commit
	}
	err = store.SaveCommits(env.id, commits)
	if env.unrecorded != nil {
		err = errors.Join(err, fmt.Errorf("nothing more is written: %w", env.unrecorded))
	}
	return err
}

// forgetDigests keeps digests of a key that ends with this run out of memory.
func forgetDigests(memory, before plan.Memory) {
	for provider, m := range memory.Connections {
		for _, field := range []string{plan.FieldClientSecret, plan.FieldVerificationSecret} {
			delete(m.Fields, field)
			if old, ok := before.Connections[provider].Fields[field]; ok {
				m.Fields[field] = old
			}
		}
		m.UnknownMask = before.Connections[provider].UnknownMask
		memory.Connections[provider] = m
	}
}

// What became of an intent that a run which was killed, or could not know, has
// left to a later one.
const (
	settled    = "settled"    // in effect, or no longer wanted
	superseded = "superseded" // followed by another write of the same change
)

// endStale ends pending intents of changes that are no longer planned: they are
// in effect, or the repository has moved on. Those of a connection that was not
// read stay.
func (env *environment) endStale() {
	for _, i := range env.pending {
		planned := slices.ContainsFunc(env.plan.Changes, func(c plan.Change) bool { return c.ID == i.Change })
		unread := slices.ContainsFunc(env.plan.NotCompared, func(n plan.NotCompared) bool {
			return n.Field == "" && n.Connection == env.spec.Name+"/"+i.Provider
		})
		if !planned && !unread && env.selects(i.Provider) {
			_ = env.end(i, settled, nil, 0) // it stays pending then, and ends the run
		}
	}
}

// replay gives the pending intent of a change whose body is the same.
func (env *environment) replay(c plan.Change, digest string) (state.Intent, bool) {
	for _, i := range env.pending {
		if i.Change == c.ID && i.BodyDigest == digest {
			return i, true
		}
	}
	return state.Intent{}, false
}

// supersede ends the pending intents of a change but the one that is sent again.
func (env *environment) supersede(c plan.Change, but string) {
	for _, i := range env.pending {
		if i.Change == c.ID && i.ID != but {
			_ = env.end(i, superseded, nil, 0) // it stays pending then, and ends the run
		}
	}
}

func (env *environment) intent(c plan.Change, digest string) state.Intent {
	entry := about(env.line(state.EventWrite), c)
	if entry.Approval = plan.ApprovedBy(env.input, env.consent, c); entry.Approval == "hash" {
		entry.Approval, entry.ApprovedBy = env.approvedBy(c.Connection)
	}
	return state.Intent{Entry: entry, Key: string(terra.NewIdempotencyKey()), BodyDigest: digest}
}

// approvedBy is the hash by which a change of a connection was approved, its own before
// that of the whole plan, and who did.
func (env *environment) approvedBy(connection string) (hash string, by []string) {
	for _, a := range env.approvals {
		switch {
		case a.hash == "" || a.short > 0:
		case a.connection == connection:
			return a.hash, a.by
		case a.connection == "":
			hash, by = a.hash, a.by
		}
	}
	return hash, by
}

// line begins a line of history about this environment.
func (env *environment) line(event string) state.Entry {
	return env.request.line(env.spec.Name, env.spec.DevID, event, env.o.Now())
}

func (r Run) line(environment, devID, event string, at time.Time) state.Entry {
	return state.Entry{ID: rand.Text(), At: at, Event: event, Run: r.ID, Environment: environment, DevID: devID, Commit: r.Commit, Author: r.Author, SignedBy: r.SignedBy}
}

func about(e state.Entry, c plan.Change) state.Entry {
	e.Connection, e.Provider, e.Change, e.Action, e.Class, e.Cause = c.Connection, c.Provider, c.ID, c.Action, c.Class, c.Cause
	e.Reason, e.Origin, e.Fields = c.Reason, c.Origin, c.Fields
	return e
}

// end notes what became of an intent: at once in the history, and in the journal when
// the memory of this run is saved. What the history could not record stays in the
// journal, so that a later run records it, and nothing more is written.
func (env *environment) end(i state.Intent, outcome string, err error, took time.Duration) error {
	if err := env.record(i, outcome, err, took); err != nil {
		return err
	}
	env.forget(i)
	return nil
}

// forget ends an intent that needs no line: one that never left.
func (env *environment) forget(i state.Intent) {
	env.mu.Lock()
	defer env.mu.Unlock()
	env.ended = append(env.ended, i.ID)
}

func (env *environment) record(i state.Intent, outcome string, err error, took time.Duration) error {
	e := i.Entry
	if e.Run != env.request.ID {
		e.Since = i.At
	}
	e.At, e.Run, e.Outcome, e.DurationMS = env.o.Now(), env.request.ID, outcome, took.Milliseconds()
	if err != nil {
		e.Error = err.Error()
	}
	if err = env.o.Store.RecordOutcome(env.id, e); err != nil {
		env.mu.Lock()
		env.unrecorded = cmp.Or(env.unrecorded, err)
		env.mu.Unlock()
		env.request.stopped.Store(true)
	}
	return err
}

// recordRefusal records, once for as long as it lasts, that no plan of the environment
// can be made, and with a nil cause that one can be made again.
func (env *environment) recordRefusal(ctx context.Context, cause error) {
	if env.request.Mode != report.Apply || env.spec.DevID == "" || ctx.Err() != nil {
		return
	}
	runner := state.Environment{DevID: env.spec.DevID} // also where the account is not known, because nothing could be read
	err := env.endFormerRefusals(runner)
	var lasting state.OpenEvents
	if err == nil {
		lasting, err = env.o.Store.OpenEvents(runner)
	}
	if err == nil && (lasting.Refused == nil) != (cause == nil) {
		line := env.line(state.EventEnvironmentRefused)
		if cause != nil {
			line.Error = cause.Error()
			if !commitAtFault(cause) {
				line.Outcome = string(report.Failed)
			}
			lasting.Refused = &state.Refused{Since: line.At.UTC(), Environment: env.spec.Name}
		} else {
			line.Event = state.EventEnvironmentAccepted
			line.Since, line.LastedMS = lasting.Refused.Since, line.At.Sub(lasting.Refused.Since).Milliseconds()
			lasting.Refused = nil
		}
		err = env.o.Store.SaveOpenEvents(runner, lasting, []state.Entry{line})
	}
	if err != nil {
		env.warn(err.Error())
	}
}

// commitAtFault tells whether an environment failed for what its commit asks for.
func commitAtFault(err error) bool {
	var notAllowed *NotAllowedError
	return errors.As(err, &notAllowed) || terra.HasCode(err, terra.CodeDevIDNotFound)
}

// endFormerRefusals ends what was refused of the environment while its folder had another
// dev_id: nobody asks for that any more.
func (env *environment) endFormerRefusals(now state.Environment) error {
	former, err := env.o.Store.RefusedAs(env.spec.Name)
	for _, id := range former {
		if err != nil || id == now {
			continue
		}
		var lasting state.OpenEvents
		if lasting, err = env.o.Store.OpenEvents(id); err != nil {
			break
		}
		line := env.line(state.EventEnvironmentAccepted)
		line.DevID, line.Reason = id.DevID, "the environment has another dev_id"
		line.Since, line.LastedMS = lasting.Refused.Since, line.At.Sub(lasting.Refused.Since).Milliseconds()
		lasting.Refused = nil
		err = env.o.Store.SaveOpenEvents(id, lasting, []state.Entry{line})
	}
	return err
}

// RecordRefusedCommit records that a commit is not used, or not by one environment. It
// does so once, however often the same is found out of a subject.
func RecordRefusedCommit(store *state.Store, r Run, subject, environment, devID string, cause error, at time.Time) error {
	line := r.line(environment, devID, state.EventEnvironmentRefused, at)
	line.ID, line.Error = fmt.Sprintf("%x", sha256.Sum256([]byte(subject+"\n"+r.Commit+"\n"+cause.Error())))[:32], cause.Error()
	return store.RecordOnce(subject, line)
}

// recordUnapproved records that a plan which a person approved or was shown is not
// applied.
func (env *environment) recordUnapproved(why string) {
	line := env.line(state.EventEnvironmentRefused)
	line.Error = why
	if len(env.approvals) > 0 {
		a := env.approvals[0]
		line.Approval, line.Connection, line.ApprovedBy = a.given, a.connection, a.by
	}
	if err := env.o.Store.Record(line); err != nil {
		env.warn(err.Error())
	}
}

// sinceWhen lets the reader of a report know since when a change is held and a
// field drifts, where that began before this run.
func sinceWhen(changes []report.Change, o state.OpenEvents, now time.Time) {
	for i := range changes {
		c := &changes[i]
		if hold, ok := o.Gated[c.ID]; ok && isHeld(*c) {
			c.GatedSince = hold.Since
			if hold.Since.Before(now) {
				c.GateReason += "; held since " + moment(hold.Since)
			}
		}
		if c.DriftSince = drifting(*c, o); c.DriftSince.Before(now) && !c.DriftSince.IsZero() {
			c.Reason += ", first seen " + moment(c.DriftSince)
		}
	}
}

// drifting gives when the first field of a change was first seen to drift.
func drifting(c report.Change, o state.OpenEvents) (first time.Time) {
	for _, f := range c.Fields {
		d, ok := o.Drifts[c.Provider+"/"+f.Field]
		if ok && c.Cause == plan.Drift && (first.IsZero() || d.Since.Before(first)) {
			first = d.Since
		}
	}
	return first
}

// Why something ended that lasted.
const (
	noLongerWanted  = "no-longer-wanted"  // neither the repository nor Terra asks for the change any more
	noLongerHeld    = "no-longer-gated"   // the change may be made
	reverted        = "reverted"          // written as the repository has it
	noLongerDrifts  = "no-longer-differs" // Terra and the repository agree again
	askedOtherwise  = "asked-otherwise"   // the repository asks for something new there
	appliedAfterAll = string(report.Applied)
)

func isHeld(c report.Change) bool { return c.Gate != plan.Ready && c.Outcome != report.Applied }

// notCompared tells whether a connection was not fully compared: what is not known has
// not ended.
func (env *environment) notCompared(provider string) bool {
	return !env.selects(provider) || slices.ContainsFunc(env.plan.NotCompared, func(n plan.NotCompared) bool { return n.Connection == env.spec.Name+"/"+provider })
}

// follow says what lasts after this run, and what began, changed or ended in it.
func (env *environment) follow() (state.OpenEvents, []state.Entry) {
	after := state.OpenEvents{Gated: map[string]state.GatedChange{}, Drifts: map[string]state.Drift{}}
	var rewound, held, drifts []state.Entry
	after.Rewound, rewound = env.followRewind()
	held = env.followHolds(after.Gated)
	drifts = env.followDrifts(after.Drifts)
	var dead []state.Entry
	for _, c := range env.connections {
		if c.dead > 0 {
			e := env.line(state.EventKeyDead)
			e.Connection, e.Provider, e.Reason = c.Name, c.Provider, fmt.Sprintf("key %d was replaced, and its provider does not accept it any more", c.dead)
			dead = append(dead, e)
		}
	}
	return after, slices.Concat(rewound, held, drifts, dead)
}

// followRewind records when a branch went back, and when it moved on.
func (env *environment) followRewind() (after *state.Rewound, entries []state.Entry) {
	before := env.lasting.Rewound
	if env.rewoundFrom != "" {
		e := env.line(state.EventRewound)
		e.Reason = "from " + env.rewoundFrom
		after = &state.Rewound{Since: e.At.UTC(), Commit: e.Commit, From: env.rewoundFrom}
		if before != nil && before.Commit == after.Commit && before.From == after.From {
			return before, nil
		}
		return after, []state.Entry{e}
	}
	if before != nil {
		entries = append(entries, ended(env.line(state.EventRewoundResolved), before.Since))
	}
	return nil, entries
}

func (env *environment) followHolds(after map[string]state.GatedChange) (entries []state.Entry) {
	changes := map[string]report.Change{}
	for _, c := range env.out.Changes {
		changes[c.ID] = c
		if !isHeld(c) {
			continue
		}
		e := about(env.line(state.EventGated), c.Change)
		hold := state.GatedChange{Since: e.At.UTC(), Provider: c.Provider, Action: string(c.Action), Gate: string(c.Gate), Guard: c.Guard,
			Content: plan.Hash(plan.Plan{DevID: env.spec.DevID, Changes: []plan.Change{c.Change}})}
		old, known := env.lasting.Gated[c.ID]
		if known {
			hold.Since, e.Event, e.Since = old.Since, state.EventGateChanged, old.Since
		}
		after[c.ID] = hold
		if hold != old {
			e.Gate, e.Guard, e.GateReason = c.Gate, c.Guard, c.GateReason
			entries = append(entries, e)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(env.lasting.Gated)) {
		old := env.lasting.Gated[id]
		c, planned := changes[id]
		switch _, goesOn := after[id]; {
		case goesOn:
			continue
		case !planned && env.notCompared(old.Provider):
			after[id] = old
			continue
		}
		e := env.line(state.EventGateCleared)
		e.Change, e.Provider, e.Connection, e.Action = id, old.Provider, env.spec.Name+"/"+old.Provider, plan.Action(old.Action)
		e.Guard, e.Outcome = old.Guard, noLongerWanted
		if planned {
			e = about(e, c.Change)
			e.Outcome = noLongerHeld
		}
		if c.Outcome == report.Applied {
			e.Outcome = appliedAfterAll
		}
		entries = append(entries, ended(e, old.Since))
	}
	return entries
}

func (env *environment) followDrifts(after map[string]state.Drift) (entries []state.Entry) {
	over := map[string]state.Entry{}
	for _, c := range env.out.Changes {
		for _, field := range c.Fields {
			key := c.Provider + "/" + field.Field
			old, known := env.lasting.Drifts[key]
			if c.Cause != plan.Drift && !known {
				continue
			}
			e := about(env.line(state.EventDriftResolved), c.Change)
			e.Fields = []plan.FieldChange{field}
			d := state.Drift{Since: e.At.UTC(), Provider: c.Provider, Field: field.Field}
			if known {
				d.Since = old.Since
			}
			switch {
			case c.Outcome == report.Applied:
				e.Outcome = reverted
			case c.Cause != plan.Drift:
				e.Outcome = askedOtherwise
			default:
				after[key] = d
				continue
			}
			over[key] = ended(e, d.Since)
		}
	}
	for key, old := range env.lasting.Drifts {
		_, goesOn := after[key]
		_, isOver := over[key]
		switch {
		case goesOn || isOver:
		case env.notCompared(old.Provider):
			after[key] = old
		default:
			e := env.line(state.EventDriftResolved)
			e.Provider, e.Connection, e.Outcome = old.Provider, env.spec.Name+"/"+old.Provider, noLongerDrifts
			e.Fields = []plan.FieldChange{{Field: old.Field}}
			over[key] = ended(e, old.Since)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(over)) {
		entries = append(entries, over[key])
	}
	return entries
}

func ended(e state.Entry, since time.Time) state.Entry {
	e.Since, e.LastedMS = since, e.At.Sub(since).Milliseconds()
	return e
}

func abbreviated(commit string) string { return commit[:min(12, len(commit))] }

// killSwitches gives those that concern the environment at this moment.
func (env *environment) killSwitches() ([]plan.KillSwitch, error) {
	all, err := env.o.Store.KillSwitches(env.o.Now().Add(-env.ahead))
	if err != nil {
		return nil, err
	}
	var out []plan.KillSwitch
	for _, k := range all {
		if provider, holds := k.Holds(env.spec.Name, env.spec.DevID); holds {
			out = append(out, plan.KillSwitch{Provider: provider, Target: k.Target(), Reason: k.Reason, Owner: k.Owner, Until: k.Until})
		}
	}
	return out, nil
}

// released names a commit with the tag that named it, where there is one.
func released(tag, commit string) string {
	if tag == "" {
		return "commit " + abbreviated(commit)
	}
	return tag + " (commit " + abbreviated(commit) + ")"
}
