package reconcile

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/terra-reconcile/terra-reconcile/providers"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

// verdict is what a review found out about the keys of one connection.
type verdict struct {
	life     plan.KeyLife
	marked   bool // another key is due now
	probe    *plan.Probe
	users    *plan.Users
	warnings []string
}

// take puts a verdict where the plan finds it. Its caller holds the lock.
func (p *prepared) take(i int, v verdict) {
	p.want[i].life = v.life
	provider := p.want[i].desired.Provider
	if v.probe != nil {
		p.input.Probes[provider] = *v.probe
	}
	if v.users != nil {
		p.watched[provider] = *v.users
	}
	for _, text := range v.warnings {
		p.want[i].review = append(p.want[i].review, plan.Warn(p.env.Name+"/"+provider, text))
	}
}

// reviewNew asks about the pair that would be written. One that is refused is
// marked, and the live pair is asked about too: when it is dead as well, somebody
// must hurry.
func (e *Engine) reviewNew(ctx context.Context, p *prepared, q *questions, w wanted, v *verdict) {
	if w.probe == "off" {
		return
	}
	answer := q.ask(ctx, w.desired.Provider, p.clientID(w), w.keys[w.due])
	v.probe = &answer
	if answer.Verdict != plan.Bad || w.entries[w.due] == "" {
		return
	}
	why := plan.Rejection{At: answer.At, Reason: rejected(answer)}
	live := p.input.Observed[w.desired.Provider].Secret.LiveKey - 1
	if live >= 0 && live != w.due && !w.keys[live].sealed.IsZero() {
		old := q.ask(ctx, w.desired.Provider, p.liveClientID(w), w.keys[live])
		switch {
		case old.Verdict == plan.Bad:
			why.LiveToo = w.entries[live]
			v.warnings = append(v.warnings, p.liveToo(w, old))
		case !answersNow(old, p.input.Now):
			why.AskLive = w.entries[live]
		}
	}
	v.life.Reject(w.entries[w.due], why)
	v.marked = true
}

// answersNow tells whether an answer is one of this run, and clear: what was said
// earlier may be from before a reset in the portal.
func answersNow(a plan.Probe, run time.Time) bool {
	return a.Verdict != plan.ProbeUnknown && !a.At.Before(run)
}

// liveToo says that the provider takes neither the new key nor the live one.
func (p *prepared) liveToo(w wanted, answer plan.Probe) string {
	return "the provider rejects the live key too (" + answer.Reason + "), so syncing stops" + within(w.tokens) +
		"; seal one that works, now: `reconcile rotate add " + p.env.Name + "/" + w.desired.Provider + "`"
}

// isDoubted tells whether the live key was accepted only before a newer one was
// rejected, which may have been its end.
func (p *prepared) isDoubted(w wanted) bool {
	live := p.liveKey(w)
	return w.probe != "off" && live >= 0 && w.entries[live] != "" && slices.ContainsFunc(slices.Collect(maps.Values(w.life.Rejected)), func(r plan.Rejection) bool {
		return r.AskLive == w.entries[live]
	})
}

// reviewDoubted asks about the live key, as soon as that may be asked again.
func (e *Engine) reviewDoubted(ctx context.Context, p *prepared, q *questions, w wanted, v *verdict) {
	live := p.liveKey(w)
	answer := q.ask(ctx, w.desired.Provider, p.liveClientID(w), w.keys[live])
	if !answersNow(answer, p.input.Now) {
		return
	}
	for entry, why := range v.life.Rejected {
		if why.AskLive != w.entries[live] {
			continue
		}
		why.AskLive = ""
		if answer.Verdict == plan.Bad {
			why.LiveToo = w.entries[live]
		}
		v.life.Reject(entry, why)
	}
	if answer.Verdict == plan.Bad {
		v.warnings, v.marked = append(v.warnings, p.liveToo(w, answer)), true
	}
}

// reviewLive asks about the key that is watched and counts its end users.
func (e *Engine) reviewLive(ctx context.Context, p *prepared, q *questions, w wanted, v *verdict) {
	live := p.liveKey(w)
	soak := v.life.Soak
	if live < 0 || w.entries[live] != soak.Entry || p.livePair(w) != soak.Pair {
		return // something else is live: remembering ends the watch
	}
	before, was := v.life.Rejected[soak.Entry]
	after, is := before, was
	if w.probe != "off" {
		answer := q.ask(ctx, w.desired.Provider, p.liveClientID(w), w.keys[live])
		switch {
		case answer.Verdict == plan.Bad:
			after, is = plan.Rejection{At: answer.At, Reason: rejected(answer)}, true
		case answer.Verdict == plan.Good && is && !after.ByUsers:
			is = false
		}
	}
	if !is || after.ByUsers {
		after, is = e.reviewUsers(ctx, p, w, v)
	}
	if is == was && (!is || after.Reason == before.Reason) {
		return
	}
	delete(v.life.Rejected, soak.Entry)
	if is {
		v.life.Reject(soak.Entry, after)
	}
	v.marked = is != was
}

func rejected(a plan.Probe) string { return "the provider rejects it: " + a.Reason }

func within(tokens time.Duration) string {
	if tokens == 0 {
		return ""
	}
	return " within " + providers.Span(tokens)
}
