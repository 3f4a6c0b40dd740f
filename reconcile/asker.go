package reconcile

import (
	"context"
	"sync"

	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
	"github.com/terra-reconcile/terra-reconcile/secrets"
)

// Asker asks providers about pairs outside of a run. It shares the memory of runs:
// nobody is asked about the same pair twice within an hour, as long as the Store
// can be written; with one that cannot, only answers of others are known.
type Asker struct {
	o    Options
	book *book
	mode report.Mode

	mu           sync.Mutex
	environments map[string]*questions // by dev_id
}

// NewAsker uses Store, Identities, Now and Prober of the options. remember says
// that the Store can be written. The warnings say what is not remembered any more.
func NewAsker(o Options, remember bool) (a *Asker, warnings []string, err error) {
	a = &Asker{o: o, mode: report.DryRun, environments: map[string]*questions{}}
	if remember {
		a.mode = report.Apply
	}
	a.book, warnings, err = New(o).openBook(Run{Mode: a.mode})
	return a, warnings, err
}

// Ask gives the answer about a pair that is at most an hour old, else asks. The
// time of the answer says which. Warnings say what could not be remembered.
func (a *Asker) Ask(ctx context.Context, devID, provider, clientID string, secret secrets.Value) (answer plan.Probe, warnings []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	q := a.environments[devID]
	if q == nil {
		q = &questions{prober: a.o.Prober, store: a.o.Store, book: a.book, devID: devID, mode: a.mode, now: a.o.Now, answers: map[string]plan.Probe{}}
		a.environments[devID] = q
	}
	answer = q.askOpened(ctx, provider, clientID, secret)
	warnings, q.warnings = q.warnings, nil
	return answer, warnings
}
