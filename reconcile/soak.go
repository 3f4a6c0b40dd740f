package reconcile

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/internal/terra"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

const (
	// sampleSize is how many end users stand for all where there are too many to
	// count.
	sampleSize = 500
	// sampleReach bounds how far a recount looks for them: end users are listed
	// newest first, so those who come during a soak stand before the sample.
	sampleReach = 5 * usersCounted
)

// reviewUsers counts the active end users of a watched key and says whether too
// many of them are gone. It is judged anew each time: who comes back lifts it. A
// count that cannot be had leaves what was said before.
func (e *Engine) reviewUsers(ctx context.Context, p *prepared, w wanted, v *verdict) (plan.Rejection, bool) {
	soak := v.life.Soak
	before, now, err := p.recount(ctx, w, *soak)
	if err != nil {
		v.warnings = append(v.warnings, "end users of the watched key are not counted: "+err.Error())
		said, was := v.life.Rejected[soak.Entry]
		return said, was
	}
	v.users = &now
	if !plan.Fell(before, now, w.rotation.MaxUserDrop) {
		return plan.Rejection{}, false
	}
	return plan.Rejection{At: e.o.Now(), ByUsers: true, Reason: fmt.Sprintf("%d of %d active end users are gone since it was set, %d%% may be (%s)",
		before.Count-now.Count, before.Count, w.rotation.MaxUserDrop, limitPlace(w))}, true
}

func limitPlace(w wanted) string {
	if place := at(w.rotation.Origin); place != "" {
		return "rotation.max_user_drop, " + place
	}
	return "rotation.max_user_drop"
}

// recount gives how many end users were active before a watched key was set, and
// how many of them are now. Counts that cannot be compared are not exact.
func (p *prepared) recount(ctx context.Context, w wanted, soak plan.Soak) (before, now plan.Users, err error) {
	if soak.Users == nil {
		return before, now, nil
	}
	before = *soak.Users
	if len(soak.Sample) > 0 {
		before = plan.Users{Count: len(soak.Sample), Exact: true}
	}
	p.mu.Lock()
	now, counted := p.watched[w.desired.Provider]
	p.mu.Unlock()
	switch {
	case counted:
	case len(soak.Sample) > 0:
		now, err = p.recountSample(ctx, w.desired.Provider, soak.Sample)
	default:
		now.Count, now.Exact, err = p.client.CountUsers(ctx, p.env.DevID, w.desired.Provider, usersCounted)
	}
	return before, now, err
}

// sample gives keyed hashes of end users that are active, chosen by their hash
// among the newest thousand.
func (p *prepared) sample(ctx context.Context, provider string) ([]string, error) {
	var all []string
	for user, err := range p.client.ListUsers(ctx, p.env.DevID, activeOf(provider)) {
		if err != nil {
			return nil, err
		}
		if all = append(all, p.userHash(user)); len(all) == usersCounted {
			break
		}
	}
	slices.Sort(all)
	return all[:min(len(all), sampleSize)], nil
}

// recountSample counts how many of a sample are still active. It is exact when
// all were found or the list was read to its end.
func (p *prepared) recountSample(ctx context.Context, provider string, sample []string) (plan.Users, error) {
	missing := map[string]bool{}
	for _, hash := range sample {
		missing[hash] = true
	}
	read := 0
	for user, err := range p.client.ListUsers(ctx, p.env.DevID, activeOf(provider)) {
		if err != nil {
			return plan.Users{}, err
		}
		delete(missing, p.userHash(user))
		if read++; len(missing) == 0 || read == sampleReach {
			return plan.Users{Count: len(sample) - len(missing), Exact: len(missing) == 0}, nil
		}
	}
	return plan.Users{Count: len(sample) - len(missing), Exact: true}, nil
}

// watches tells whether the key of any connection is watched.
func (p *prepared) watches() bool {
	return slices.ContainsFunc(p.want, func(w wanted) bool { return w.life.Soak != nil })
}

func activeOf(provider string) terra.UserFilter {
	active := true
	return terra.UserFilter{Provider: provider, Active: &active}
}

func (p *prepared) userHash(u terra.UserConnection) string {
	return p.book.digester.Bytes("user", []byte(u.UserID))
}

// beginSoak remembers, before a secret is replaced, what is live now and how many
// end users are active, so that the new key can be watched, and taken back, also
// by a run that starts after a crash.
func (a *applier) beginSoak(ctx context.Context, c plan.Change) error {
	w := a.wanted(c.Provider)
	if c.Action != plan.RotateSecret || !a.p.book.lasting || w.due < 0 {
		return nil
	}
	life := w.life.Clone()
	life.Saw(a.p.livePair(w))
	now := a.o.Now()
	life.Soak = &plan.Soak{
		Pair:  plan.Pair{ClientID: a.p.liveClientID(w), Digest: w.desired.Secret.Value.Digest},
		Entry: w.entries[w.due], Began: now, Until: now.Add(w.rotation.Soak),
	}
	users, counted := a.p.input.Users[c.Provider]
	if !counted { // a roll-back is planned once all others are counted
		var err error
		users.Count, users.Exact, err = a.p.client.CountUsers(ctx, a.p.env.DevID, c.Provider, usersCounted)
		counted = err == nil
	}
	if counted {
		life.Soak.Users = &users
		if !users.Exact {
			var err error
			if life.Soak.Sample, err = a.p.sample(ctx, c.Provider); err != nil {
				life.Soak.Users = nil // not to be compared with anything
			}
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lives[c.Provider] = life
	return a.p.saveLife(a.o.Store, c.Provider, life)
}

// settleKeys remembers, after a run, what still holds of what is known of the
// keys: marks of entries that the files have, and the watch of a key that is live
// and has not passed.
func (a *applier) settleKeys() error {
	for _, w := range a.p.want {
		provider := w.desired.Provider
		outcome := a.outcomeOf(provider)
		life, begun := a.lives[provider]
		if !begun || outcome == report.Failed || outcome == report.NotAttempted || outcome == report.Skipped {
			life = w.life // nothing left, or it had no effect: what was watched before still is
		}
		if why, refused := a.refusals[provider]; refused {
			life = life.Clone()
			life.Reject(w.entries[w.due], why)
		}
		if life.Soak == nil {
			life.Soak = a.p.resumed(w, a.o.Now())
		}
		if w.desired.Unreadable != "" || life.IsZero() && !begun {
			continue
		}
		if err := a.p.saveLife(a.o.Store, provider, a.p.settled(w, life, outcome, a.o.Now())); err != nil {
			return err
		}
	}
	return nil
}

// resumed is the watch over a live key that nobody remembers, as after a lost state:
// until its soak has passed, counted from when it became due, its provider is asked
// about it. End users before it were not counted by anybody, and nothing is remembered
// to go back to. One that has passed by now is dropped as any other.
func (p *prepared) resumed(w wanted, now time.Time) *plan.Soak {
	_, known := p.before.Connections[w.desired.Provider]
	live, pair := p.liveKey(w), p.livePair(w)
	if known && p.before.Known || live < 0 || pair.Digest == "" {
		return nil
	}
	i := slices.IndexFunc(p.env.Connections, func(c spec.Connection) bool { return c.Provider == w.desired.Provider })
	key := p.env.Connections[i].Credentials.Keys[live]
	since := key.NotBefore
	if since.IsZero() {
		since = key.Issued
	}
	return &plan.Soak{Pair: pair, Entry: w.entries[live], Began: now, Until: since.Add(w.rotation.Soak)}
}

// noteRefusal marks a key that Terra would not take because the provider itself
// does not: it must not be sent again in each run.
func (a *applier) noteRefusal(c plan.Change, err error) {
	var problem *terra.Problem
	if !writesSecret(c) || !errors.As(err, &problem) || problem.Code != terra.CodeCredentialsRejected {
		return
	}
	w := a.wanted(c.Provider)
	if w.due < 0 || w.entries[w.due] == "" {
		return
	}
	reason := "the provider rejects it"
	if problem.Detail != "" {
		reason += ": " + strings.TrimRight(problem.Detail, ". ")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refusals[c.Provider] = plan.Rejection{At: a.o.Now(), Reason: reason}
}

// outcomeOf is what became of the write of a connection's secret; "" for none.
func (a *applier) outcomeOf(provider string) report.Outcome {
	for _, c := range a.changes {
		if c.Provider == provider && writesSecret(c.Change) {
			return c.Outcome
		}
	}
	return ""
}

func (p *prepared) settled(w wanted, life plan.KeyLife, outcome report.Outcome, now time.Time) plan.KeyLife {
	life = life.Clone()
	maps.DeleteFunc(life.Rejected, func(entry string, _ plan.Rejection) bool { return !slices.Contains(w.entries, entry) })
	if life.Soak == nil {
		return life
	}
	pair, known := p.pairAfter(w, outcome)
	_, marked := life.Rejected[life.Soak.Entry]
	if known && pair != life.Soak.Pair || !marked && !now.Before(life.Soak.Until) {
		life.Soak = nil
	}
	return life
}

// pairAfter is the live pair after a run; not known where a write was lost or
// nothing could be compared.
func (p *prepared) pairAfter(w wanted, outcome report.Outcome) (pair plan.Pair, known bool) {
	seen := p.input.Observed[w.desired.Provider].Secret.Result
	switch outcome {
	case report.Unknown:
		return plan.Pair{}, false
	case report.Applied:
		return plan.Pair{ClientID: p.clientID(w), Digest: w.desired.Secret.Value.Digest}, true
	default:
		return p.livePair(w), seen == plan.Equal || seen == plan.Differs
	}
}

// saveLife remembers what is known of the keys of one connection. Where nothing
// differs the disk is not touched.
func (p *prepared) saveLife(store *state.Store, provider string, life plan.KeyLife) error {
	if life.Equal(p.lives[provider]) {
		return nil
	}
	if err := store.SaveKeyLife(p.env.DevID, provider, life); err != nil {
		return err
	}
	p.lives[provider] = life
	return nil
}
