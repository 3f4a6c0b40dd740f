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

// askAgain is how long an answer about a pair stands: a provider is asked at
// most once an hour about the same one.
const askAgain = time.Hour

// Prober asks a provider whether it accepts a pair. It answers within ten
// seconds, never with an error and never with a secret in its words.
type Prober interface {
	Probe(ctx context.Context, provider, clientID string, secret secrets.Value) (good, bad bool, reason string)
}

// Remember keeps the answer of a provider about a pair of an environment. The pair
// is named by a keyed digest.
type Remember func(devID, pair string, answer plan.Probe) error

// questions asks providers about the pairs of one environment in one run, and
// remembers the answers: in the run, and beyond it where they can be kept.
type questions struct {
	prober   Prober
	store    *state.Store
	book     *book
	devID    string
	remember Remember // nil: not beyond the run
	now      func() time.Time

	mu       sync.Mutex
	answers  map[string]plan.Probe
	warnings []string
}

func (e *Engine) questions(r Run, p *prepared) *questions {
	q := &questions{prober: e.o.Prober, store: e.o.Store, book: p.book, devID: p.env.DevID, now: e.o.Now, answers: map[string]plan.Probe{}}
	switch {
	case r.Mode == report.Apply:
		q.remember = e.o.Store.SaveProbe
	case p.book.lasting: // else under a name that nobody else can make
		q.remember = e.o.Remember
	}
	return q
}

// ask gives the answer about a pair that is at most an hour old, else asks. An
// answer that could not be remembered is given all the same, with a warning.
func (q *questions) ask(ctx context.Context, provider, clientID string, s sealedSecret) plan.Probe {
	v, _, err := q.book.open(s)
	if err != nil {
		return plan.Probe{Verdict: plan.ProbeUnknown, Reason: err.Error(), At: q.now()}
	}
	return q.askOpened(ctx, provider, clientID, v)
}

func (q *questions) askOpened(ctx context.Context, provider, clientID string, v secrets.Value) plan.Probe {
	pair := q.name(provider, clientID, v)
	if answer, ok := q.remembered(pair); ok {
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
	if q.remember != nil && ctx.Err() == nil {
		if err := q.remember(q.devID, pair, answer); err != nil {
			q.warnings = append(q.warnings, err.Error())
		}
	}
	return answer
}

func (q *questions) remembered(pair string) (plan.Probe, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if answer, ok := q.answers[pair]; ok {
		return answer, true
	}
	answer, ok, err := q.store.Probed(q.devID, pair)
	if err != nil {
		q.warnings = append(q.warnings, err.Error())
		return plan.Probe{}, false
	}
	age := q.now().Sub(answer.At)
	return answer, ok && age >= 0 && age < askAgain
}

// told gives what there is to warn about once all is asked.
func (q *questions) told() []string {
	if q.remember != nil || len(q.answers) == 0 {
		return q.warnings
	}
	return append(q.warnings, "what the providers answered is not remembered, so do not ask again within an hour: there is no memory yet, or no identity opens its key")
}

// name is a keyed digest: the state holds no pair.
func (q *questions) name(provider, clientID string, v secrets.Value) string {
	pair := strconv.Quote(provider) + strconv.Quote(clientID) + q.book.digester.Digest(v)
	return q.book.digester.Bytes("probe", []byte(pair))
}
