package reconcile

import (
	"context"
	"sync"

	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
	"github.com/terra-reconcile/terra-reconcile/secrets"
)

// Asker asks providers about pairs outside of a run. It shares the memory of runs:
// nobody is asked about the same pair twice within an hour, as long as the answers
// are remembered; else only those of others are known.
type Asker struct {
	o        Options
	book     *book
	remember Remember

	mu           sync.Mutex
	environments map[string]*questions // by dev_id
}

// NewAsker uses Store, Identities, Now and Prober of the options; the Store can be
// written where mode is Apply. remember keeps the answers, nil for nobody. The
// warnings say what is not remembered any more, or cannot be.
func NewAsker(o Options, mode report.Mode, remember Remember) (a *Asker, warnings []string, err error) {
	a = &Asker{o: o, remember: remember, environments: map[string]*questions{}}
	if a.book, warnings, err = New(o).openBook(Run{Mode: mode}); err != nil {
		return nil, nil, err
	}
	if remember != nil && !a.book.lasting {
		a.remember = nil // under a name that nobody else can make
		warnings = append(warnings, "the answers are not remembered: no identity at hand opens the state's own key, or it has none yet")
	}
	return a, warnings, nil
}

// Ask gives the answer about a pair that is at most an hour old, else asks. The
// time of the answer says which. Warnings say what could not be remembered.
func (a *Asker) Ask(ctx context.Context, devID, provider, clientID string, secret secrets.Value) (answer plan.Probe, warnings []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	q := a.environments[devID]
	if q == nil {
		q = &questions{prober: a.o.Prober, store: a.o.Store, book: a.book, devID: devID, remember: a.remember, now: a.o.Now, answers: map[string]plan.Probe{}}
		a.environments[devID] = q
	}
	answer = q.askOpened(ctx, provider, clientID, secret)
	warnings, q.warnings = q.warnings, nil
	return answer, warnings
}
