package reconcile

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
	"github.com/terra-reconcile/terra-reconcile/secrets"
)

// askAgain is how long an answer about a pair stands, if no other key was made live
// since: a provider is asked at most once an hour about one that it does not refuse.
const askAgain = time.Hour

// Prober asks a provider whether it accepts a pair. It answers within ten
// seconds, never with an error and never with a secret in its words.
type Prober interface {
	Probe(ctx context.Context, provider, clientID string, secret secrets.Value) (good, bad bool, reason string)
}

// questions asks providers about the pairs of one environment in one run, each once, and
// remembers the answers: in the run, and beyond it where it may save them.
type questions struct {
	prober Prober
	store  *state.Store
	cache  *secretsCache
	env    state.Environment
	saves  bool
	now    func() time.Time

	mu       sync.Mutex
	answers  map[string]plan.Probe
	warnings []string
}

func (env *environment) newQuestions() *questions {
	return &questions{prober: env.o.Prober, store: env.o.Store, cache: env.cache, env: env.id, saves: env.request.Mode == report.Apply, now: env.o.Now, answers: map[string]plan.Probe{}}
}

// ask gives the answer about a pair that was given since a moment and is at most an hour
// old, else asks. A refusal is always asked about again: who asks keeps its pauses. An
// answer that could not be remembered is given all the same, with a warning.
func (q *questions) ask(ctx context.Context, provider, clientID string, s sealedSecret, since time.Time) plan.Probe {
	v, _, err := q.cache.open(s)
	if err != nil {
		return plan.Probe{Verdict: plan.ProbeUnknown, Reason: err.Error(), At: q.now()}
	}
	pair := strconv.Quote(provider) + strconv.Quote(clientID) + q.cache.digester.Digest(v)
	pair = q.cache.digester.Bytes("probe", []byte(pair)) // the state holds no pair
	if answer, ok := q.remembered(pair, since); ok {
		return answer
	}
	answer := plan.Probe{Verdict: plan.ProbeUnknown, At: q.now()}
	good, bad, reason := q.prober.Probe(ctx, provider, clientID, v)
	answer.Reason = reason
	switch {
	case good:
		answer.Verdict = plan.Good
	case bad:
		answer.Verdict = plan.Bad
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.answers[pair] = answer
	if q.saves && ctx.Err() == nil {
		if err := q.store.SaveProbe(q.env, pair, answer); err != nil {
			q.warnings = append(q.warnings, err.Error())
		}
	}
	return answer
}

func (q *questions) remembered(pair string, since time.Time) (plan.Probe, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if answer, ok := q.answers[pair]; ok {
		return answer, true
	}
	answer, ok, err := q.store.Probed(q.env, pair)
	if err != nil {
		q.warnings = append(q.warnings, err.Error())
		return plan.Probe{}, false
	}
	age := q.now().Sub(answer.At)
	return answer, ok && answer.Verdict != plan.Bad && !answer.At.Before(since) && age >= 0 && age < askAgain
}
