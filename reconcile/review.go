package reconcile

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/terra-reconcile/terra-reconcile/internal/terra"
	"github.com/terra-reconcile/terra-reconcile/reconcile/keys"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
	"github.com/terra-reconcile/terra-reconcile/secrets"
)

const (
	// probesAtOnce bounds the questions that one environment has under way.
	probesAtOnce = 8
	// sampleSize is how many end users stand for all where there are too many to count.
	sampleSize = 500
	// sampleReach bounds how far a recount looks for them: end users are listed newest
	// first, so those who come during a soak stand before the sample.
	sampleReach = 5 * usersCounted
)

// clientID is the client id that goes with the secret of the file.
func (c *Connection) clientID() string {
	if c.resolved.ClientID.Mode == plan.Given {
		return c.resolved.ClientID.Value
	}
	return c.liveClientID()
}

func (c *Connection) liveClientID() string {
	if live := c.live().Credentials; live != nil {
		return live.ClientID
	}
	return ""
}

// livePair is the live pair as it is remembered; without a digest where the live key is
// not one of the file, or does not open.
func (c *Connection) livePair(cache *secretsCache) keys.Pair {
	out := keys.Pair{ClientID: c.liveClientID()}
	live := c.liveKey()
	if live == 0 || c.sealed[live-1].sealed.IsZero() || !cache.lasting {
		return out
	}
	if d, err := cache.digest(c.sealed[live-1], c.catalogue); err == nil {
		out.Digest = d.Value
	}
	return out
}

// sighting is the live pair, by its mask where the secret is not known.
func (c *Connection) sighting(cache *secretsCache) keys.Pair {
	out := c.livePair(cache)
	if live := c.live().Credentials; out.Digest == "" && live != nil && cache.lasting && secrets.IsMask(live.Mask) {
		out.Digest = "mask " + cache.digester.MaskDigest(live.Mask)
	}
	return out
}

// reviewKeys joins what the file asks for with what the catalogue and the review of its
// keys say, as it is planned for.
func (env *environment) reviewKeys(which []*Connection) {
	for _, c := range which {
		c.reviewKeys(env)
	}
}

func (c *Connection) reviewKeys(env *environment) {
	d, history := c.resolved, c.Keys.History
	d.Unreadable, d.Prerequisites = c.checked.unreadable, c.waits
	d.Warnings = slices.Concat(c.found.warnings, c.checked.warnings, c.warnings)
	d.WasLive = history.WasLive(keys.Pair{ClientID: c.liveClientID(), Digest: d.Secret.Value.Digest})
	live := c.liveKey()
	if key := c.Keys.Superseded(env.input.Now, live); key > 0 {
		d.Rejected = c.refused(env, key, live)
	}
	d.LiveSince = history.LiveSinceOf(c.sighting(env.cache), env.input.Now)
	c.Desired = &d
}

// refused tells the plan of a rejected key.
func (c *Connection) refused(env *environment, key, live int) *plan.RejectedKey {
	why, _ := c.Keys.Refusal(key)
	e := c.Keys.Entry(key)
	out := &plan.RejectedKey{Key: key, Sealed: e.Sealed, Origin: e.Origin, Reason: why.Reason, At: why.Rejected, ByUsers: why.By == keys.Users}
	if _, refused := c.Keys.Refusal(live); refused && live != key {
		out.LiveToo = live
	}
	accepted, was := c.Keys.History.Accepted[e.ID]
	out.Accepted = was && env.input.Now.Sub(accepted) < askAgain
	return out
}

// askAbout asks the providers about the keys that would be written, that soak, that were
// refused and that were replaced, and counts the end users of those that soak. It gives
// the connections of which another key is due by that.
func (env *environment) askAbout(ctx context.Context, which []*Connection) (turned []*Connection, err error) {
	var mu sync.Mutex
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(probesAtOnce)
	for _, c := range which {
		if len(c.sealed) == 0 || c.resolved.Unreadable != "" || c.Observed == nil && c.due == 0 {
			continue
		}
		group.Go(contained(func() error {
			now, live := env.input.Now, c.liveKey()
			due, superseded := c.Keys.Due(now), c.Keys.Superseded(now, live)
			env.askAboutKeys(groupCtx, c)
			if c.Keys.Due(now) != due || c.Keys.Superseded(now, live) != superseded {
				c.Probe = plan.Probe{}
				mu.Lock()
				defer mu.Unlock()
				turned = append(turned, c)
			}
			return groupCtx.Err()
		}))
	}
	err = group.Wait()
	return turned, err
}

func (env *environment) askAboutKeys(ctx context.Context, c *Connection) {
	now, live, history := env.input.Now, c.liveKey(), &c.Keys.History
	history.SawLive(c.sighting(env.cache), now)
	soaks := history.Soak != nil && live > 0 && c.Keys.Entry(live).ID == history.Soak.Entry && c.livePair(env.cache) == history.Soak.Pair
	if c.File.Rotation.Probe != "off" {
		asked := map[int]bool{}
		ask := func(key int, since time.Time) plan.Probe {
			asked[key] = true
			answer := env.askKey(ctx, c, key, since)
			env.hear(ctx, c, key, answer)
			return answer
		}
		mayAsk := func(key int) bool {
			r, refused := c.Keys.Refusal(key)
			return !asked[key] && (!refused || r.By == keys.Users || !now.Before(r.AskAt()))
		}
		writes := c.due > 0 && c.resolved.Secret.Mode == plan.Given && slices.ContainsFunc(c.Changes, func(change report.Change) bool {
			return writesSecret(change.Change) && !heldAnyway(change.Change)
		})
		if writes && mayAsk(c.due) {
			since := history.LiveSince()
			if c.due == live {
				since = time.Time{}
			}
			c.Probe = ask(c.due, since)
		}
		if soaks && mayAsk(live) {
			ask(live, time.Time{})
		}
		for key := range c.Keys.Entries {
			if r, refused := c.Keys.Refusal(key + 1); refused && r.By == keys.Provider && mayAsk(key+1) {
				ask(key+1, now)
			}
		}
		if former := c.Keys.FormerToAsk(now); former > 0 && former != live && mayAsk(former) {
			env.askFormer(ctx, c, former)
		}
	}
	c.doubt(now)
	if r, refused := c.Keys.Refusal(live); refused && r.By != keys.Users && c.due != live {
		c.warnings = append(c.warnings, plan.Warn(c.Name, fmt.Sprintf("the provider refuses the live key too (%s), so syncing stops%s unless it is out of order", r.Reason, within(c.portal().Tokens)),
			plan.NextCommand("seal one that works, now", "rotate", "add", c.Name)))
	}
	if soaks {
		env.countSoaking(ctx, c)
	}
}

func within(tokens string) string {
	if tokens == "" {
		return ""
	}
	return " within " + tokens
}

// doubt lets the plan hold the key that is due, as long as it was refused and that does
// not count yet.
func (c *Connection) doubt(now time.Time) {
	r, refused := c.Keys.Refusal(c.due)
	if !refused || r.Counts() || r.By == keys.Terra && !now.Before(r.AskAt()) {
		return
	}
	c.Probe = plan.Probe{Verdict: plan.Bad, Reason: r.Reason, At: r.At}
	switch {
	case !r.IsFirm():
		c.Probe.Again = r.AskAt()
	case r.Alone:
		c.Probe.Reason += fmt.Sprintf(" (since %s, and every other pair too, as where it is out of order)", moment(r.Since))
	default:
		c.Probe.Reason += fmt.Sprintf(" (since %s, and of other pairs it says nothing)", moment(r.Since))
	}
}

// askKey asks about one key of the file. An answer from before since is asked again.
func (env *environment) askKey(ctx context.Context, c *Connection, key int, since time.Time) plan.Probe {
	id := c.clientID()
	if key == c.liveKey() {
		id = c.liveClientID()
	}
	return env.questions.ask(ctx, c.Provider, id, c.sealed[key-1], since)
}

// hear takes an answer about a key into its history. Of one that is refused, it matters
// what the provider says of another pair at this time.
func (env *environment) hear(ctx context.Context, c *Connection, key int, answer plan.Probe) {
	switch answer.Verdict {
	case plan.Good:
		c.Keys.History.Accept(c.Keys.Entry(key).ID, answer.At)
	case plan.Bad:
		env.refuse(c, key, answer, env.askControl(ctx, c, key))
	default:
	}
}

// askControl finds out whether the provider accepts any other pair while it refuses one.
// Those that it refuses on the way were heard of, too.
func (env *environment) askControl(ctx context.Context, c *Connection, key int) (out keys.Control) {
	refused := map[int]plan.Probe{}
	for _, other := range c.Keys.Controls(key, c.liveKey()) {
		answer := env.askKey(ctx, c, other, env.input.Now)
		switch answer.Verdict {
		case plan.Good:
			c.Keys.History.Accept(c.Keys.Entry(other).ID, answer.At)
			out = keys.ControlGood
		case plan.Bad:
			refused[other], out = answer, max(out, keys.ControlBad)
		default:
			out = max(out, keys.ControlUnclear)
		}
		if answer.Verdict == plan.Good {
			break
		}
	}
	for other, answer := range refused {
		env.refuse(c, other, answer, out)
	}
	return out
}

func (env *environment) refuse(c *Connection, key int, answer plan.Probe, control keys.Control) {
	if r, _ := c.Keys.Refusal(key); answer.At.After(r.At) {
		c.Keys.History.Refuse(c.Keys.Entry(key).ID, keys.Provider, "the provider rejects it: "+answer.Reason, answer.At, control)
	}
}

// askFormer asks about a key that was replaced, once its successor has soaked. That it is
// refused is no reason to hold anything: once it is dead, that is all there is to say.
func (env *environment) askFormer(ctx context.Context, c *Connection, key int) {
	answer, control := env.askKey(ctx, c, key, env.input.Now), keys.NoControl
	if answer.Verdict == plan.Good {
		c.Keys.History.Accept(c.Keys.Entry(key).ID, answer.At)
		return
	}
	if answer.Verdict == plan.Bad {
		control = env.askControl(ctx, c, key)
	}
	if c.Keys.History.HearFormer(answer.Verdict == plan.Bad, control, answer.At) {
		c.dead = key
	}
}

// heldAnyway tells whether no answer of a provider lets a change through.
func heldAnyway(c plan.Change) bool {
	return c.Gate == plan.Blocked && !slices.Contains([]string{plan.GuardMaxChanges, plan.GuardMaxRotations, plan.GuardProbe}, c.Guard)
}

// countSoaking counts the end users of the key that soaks. Counts that cannot be had say
// nothing.
func (env *environment) countSoaking(ctx context.Context, c *Connection) {
	soak := c.Keys.History.Soak
	if soak.Users == nil {
		return
	}
	before, now := *soak.Users, plan.Users{}
	var err error
	switch {
	case len(soak.Sample) > 0:
		before = plan.Users{Count: len(soak.Sample), Exact: true}
		now, err = env.recountSample(ctx, c.Provider, soak.Sample)
	default:
		now.Count, now.Exact, err = env.client.CountUsers(ctx, env.spec.DevID, c.Provider, usersCounted)
	}
	if err != nil {
		c.warnings = append(c.warnings, plan.Warn(c.Name, "end users of the soaking key are not counted: "+err.Error()))
		return
	}
	limit := "rotation.max_user_drop"
	if place := at(c.File.Rotation.Origin); place != "" {
		limit += ", " + place
	}
	c.soakUsers = &now
	c.Keys.History.Count(before, now, c.File.Rotation.MaxUserDrop, limit, env.o.Now())
}

// sample gives keyed hashes of end users that are active, chosen by their hash
// among the newest thousand.
func (env *environment) sample(ctx context.Context, provider string) ([]string, error) {
	var all []string
	for user, err := range env.client.ListUsers(ctx, env.spec.DevID, activeOf(provider)) {
		if err != nil {
			return nil, err
		}
		if all = append(all, env.userHash(user)); len(all) == usersCounted {
			break
		}
	}
	slices.Sort(all)
	return all[:min(len(all), sampleSize)], nil
}

// recountSample counts how many of a sample are still active. It is exact when
// all were found or the list was read to its end.
func (env *environment) recountSample(ctx context.Context, provider string, sample []string) (plan.Users, error) {
	missing := map[string]bool{}
	for _, hash := range sample {
		missing[hash] = true
	}
	read := 0
	for user, err := range env.client.ListUsers(ctx, env.spec.DevID, activeOf(provider)) {
		if err != nil {
			return plan.Users{}, err
		}
		delete(missing, env.userHash(user))
		if read++; len(missing) == 0 || read == sampleReach {
			return plan.Users{Count: len(sample) - len(missing), Exact: len(missing) == 0}, nil
		}
	}
	return plan.Users{Count: len(sample) - len(missing), Exact: true}, nil
}

func activeOf(provider string) terra.UserFilter {
	active := true
	return terra.UserFilter{Provider: provider, Active: &active}
}

func (env *environment) userHash(u terra.UserConnection) string {
	return env.cache.digester.Bytes("user", []byte(u.UserID))
}

// beginSoak remembers, before a secret is replaced, what is live now and how many
// end users are active, so that the new key can be watched, and taken back, also
// by a run that starts after a crash.
func (env *environment) beginSoak(ctx context.Context, c *Connection, change plan.Change) error {
	if change.Action != plan.RotateSecret || !env.cache.lasting || c.due == 0 {
		return nil
	}
	history := c.Keys.History.Clone()
	history.Saw(c.livePair(env.cache))
	now := env.o.Now()
	history.Soak = &keys.Soak{
		Pair:  keys.Pair{ClientID: c.liveClientID(), Digest: c.Desired.Secret.Value.Digest},
		Entry: c.Keys.Entry(c.due).ID, Began: now, Until: now.Add(c.File.Rotation.Soak), Former: c.Keys.Entry(c.liveKey()).ID,
	}
	users := c.Users
	if users == nil { // a roll-back is planned once all others are counted
		if count, exact, err := env.client.CountUsers(ctx, env.spec.DevID, c.Provider, usersCounted); err == nil {
			users = &plan.Users{Count: count, Exact: exact}
		}
	}
	if history.Soak.Users = users; users != nil && !users.Exact {
		var err error
		if history.Soak.Sample, err = env.sample(ctx, c.Provider); err != nil {
			history.Soak.Users = nil // not to be compared with anything
		}
	}
	c.begun = &history
	return env.saveHistory(c, history)
}

// settleKeys remembers, after a run, what still holds of what is known of the keys, and
// which pair is live now.
func (env *environment) settleKeys() error {
	for _, c := range env.named() {
		outcome := report.Outcome("") // of the write of its secret
		leaves := false               // its keys, or Terra's app
		for _, change := range c.Changes {
			if writesSecret(change.Change) {
				outcome = change.Outcome
			}
			leaves = leaves || change.Action == plan.SetApp && (change.Outcome == report.Applied || change.Outcome == report.Unknown)
		}
		now, set := env.o.Now(), c.Keys
		set.History = c.Keys.History.Clone()
		if c.begun != nil && outcome != report.Failed && outcome != report.NotAttempted && outcome != report.Skipped {
			set.History = c.begun.Clone() // else nothing left, or it had no effect: what soaked before still does
		}
		if c.refusal != "" {
			set.History.Refuse(c.Keys.Entry(c.due).ID, keys.Terra, c.refusal, now, c.control)
		}
		pair, seen := c.livePair(env.cache), c.sighting(env.cache)
		if leaves {
			seen = keys.Pair{} // what was read is not live any more
		}
		result := c.live().Secret.Result
		known := result == plan.Equal || result == plan.Differs
		switch outcome {
		case report.Unknown:
			pair, seen, known = keys.Pair{}, keys.Pair{}, false
		case report.Applied:
			pair, known = keys.Pair{ClientID: c.clientID(), Digest: c.Desired.Secret.Value.Digest}, true
			seen = pair
		}
		_, remembered := env.before.Connections[c.Provider]
		if set.History.Soak == nil && !(remembered && env.before.Known) {
			set.History.Soak = set.Resume(c.liveKey(), c.livePair(env.cache), c.File.Rotation.Soak, now)
		}
		if c.Desired.Unreadable != "" || set.History.IsZero() && c.begun == nil && seen.Digest == "" {
			continue
		}
		set.History.SawLive(seen, now)
		set.Settle(pair, known, now)
		c.Keys.History = set.History
		if err := env.saveHistory(c, c.Keys.History); err != nil {
			return err
		}
	}
	return nil
}

// saveHistory remembers what is known of the keys of one connection. Where nothing
// differs the disk is not touched.
func (env *environment) saveHistory(c *Connection, history keys.History) error {
	if !history.Equal(c.keysAtStart) {
		if err := env.o.Store.SaveKeyHistory(env.id, c.Provider, history); err != nil {
			return err
		}
		c.keysAtStart = history.Clone()
	}
	return nil
}
