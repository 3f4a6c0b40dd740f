package reconcile

import (
	"context"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/terra-reconcile/terra-reconcile/providers"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
	"github.com/terra-reconcile/terra-reconcile/secrets"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

// probesAtOnce bounds the questions that one environment has under way.
const probesAtOnce = 8

// entryOf names one key of a file: what it is sealed as, from when it is due and
// for which app. A key whose entry changes is a new one.
func entryOf(c spec.Connection, k spec.Key, sealed secrets.Sealed) string {
	if k.Unknown || sealed.IsZero() {
		return ""
	}
	entry := sealed.Token() + " for " + c.Credentials.ClientID.Value
	if !k.NotBefore.IsZero() {
		entry += " from " + k.NotBefore.UTC().Format(time.RFC3339)
	}
	return entry
}

// reviewKeys asks the providers about the pairs that would be written and about
// those that are watched, and counts the end users of the latter. What speaks
// against a key is marked, and its connection is planned again without it; that
// may make another key due, which is looked at in turn. What else there is to say
// is said with the plan.
func (e *Engine) reviewKeys(ctx context.Context, r Run, p *prepared) error {
	p.input.Probes = map[string]plan.Probe{}
	if e.o.Prober == nil || r.Mode != report.Apply && !r.Probe {
		return nil
	}
	p.input.Asks = true
	q := e.questions(r, p)
	defer func() { p.warnings = append(p.warnings, q.told()...) }()
	for marked := p.all(); len(marked) > 0; {
		var err error
		if marked, err = e.reviewOnce(ctx, p, q, marked); err != nil {
			return err
		}
		for _, i := range marked {
			if err := e.planWithout(ctx, p, i); err != nil {
				return err
			}
		}
	}
	p.desire()
	if r.Mode != report.Apply {
		return ctx.Err()
	}
	for _, w := range p.want { // marks are on disk before anything is written
		if err := p.saveLife(e.o.Store, w.desired.Provider, w.life); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (p *prepared) all() []int {
	out := make([]int, len(p.want))
	for i := range out {
		out[i] = i
	}
	return out
}

// reviewOnce gives the connections of which a key was marked.
func (e *Engine) reviewOnce(ctx context.Context, p *prepared, q *questions, which []int) ([]int, error) {
	planned := plan.Make(p.input)
	var marked []int
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(probesAtOnce)
	for _, i := range which {
		w := p.want[i]
		writes := w.due >= 0 && w.desired.Secret.Mode == plan.Given && slices.ContainsFunc(planned.Changes, func(c plan.Change) bool {
			return c.Provider == w.desired.Provider && writesSecret(c) && !heldAnyway(c)
		})
		soaks, doubted := w.life.Soak != nil, p.isDoubted(w)
		if !writes && !soaks && !doubted {
			continue
		}
		group.Go(contained(func() error {
			v := verdict{life: w.life.Clone()}
			if writes {
				e.reviewNew(groupCtx, p, q, w, &v)
			}
			if soaks {
				e.reviewLive(groupCtx, p, q, w, &v)
			}
			if doubted {
				e.reviewDoubted(groupCtx, p, q, w, &v)
			}
			p.mu.Lock()
			defer p.mu.Unlock()
			p.take(i, v)
			if v.marked {
				marked = append(marked, i)
			}
			return groupCtx.Err()
		}))
	}
	err := group.Wait()
	slices.Sort(marked)
	return marked, err
}

// writesSecret tells whether a change sends a client secret; one that only shows
// a rejected key does not.
func writesSecret(c plan.Change) bool {
	return c.Guard != plan.GuardRejected &&
		slices.ContainsFunc(c.Fields, func(f plan.FieldChange) bool { return f.Field == plan.FieldClientSecret })
}

// heldAnyway tells whether no answer of a provider lets a change through.
func heldAnyway(c plan.Change) bool {
	return c.Gate == plan.Blocked && !slices.Contains([]string{"max_changes", "max_rotations"}, c.Guard)
}

// planWithout resolves and reads one connection anew, with what was marked.
func (e *Engine) planWithout(ctx context.Context, p *prepared, i int) error {
	former := p.want[i]
	w := &p.want[i]
	*w = resolve(p.env, p.env.Connections[i], p.book, p.input.Now, former.life)
	w.review = former.review
	if source, live := p.seen.sources[w.desired.Provider]; live && w.desired.Unreadable == "" && w.desired.State != plan.Disabled {
		o := e.observer(p)
		seen, err := o.connection(ctx, w, source)
		if err != nil {
			return o.wrote.orElse(err)
		}
		p.seen.live[w.desired.Provider] = seen
	} else {
		w.open(p.book)
	}
	p.consult(i)
	delete(p.input.Probes, w.desired.Provider)
	p.desire()
	return nil
}

// desire hands the connections to the plan.
func (p *prepared) desire() {
	p.input.Desired = p.input.Desired[:0]
	for i, w := range p.want {
		d := w.desired
		d.Warnings = append(slices.Clone(d.Warnings), w.review...)
		d.WasLive = w.life.WasLive(plan.Pair{ClientID: p.liveClientID(w), Digest: d.Secret.Value.Digest})
		if live := p.liveKey(w); live > w.due && w.isRejected(live) {
			d.Refused = w.refused(p.env.Connections[i], live) // it must go, whatever newer one is kept out too
		}
		d.WatchedSince = p.input.Now // a marked key that is not watched was set by hand: only an answer of this run tells
		if soak := w.life.Soak; soak != nil && d.Refused != nil && w.entries[d.Refused.Key-1] == soak.Entry {
			d.WatchedSince = soak.Began
		}
		p.input.Desired = append(p.input.Desired, d)
	}
}

// clientID is the client id that goes with the secret of the file.
func (p *prepared) clientID(w wanted) string {
	if w.desired.ClientID.Mode == plan.Given {
		return w.desired.ClientID.Value
	}
	return p.liveClientID(w)
}

func (p *prepared) liveClientID(w wanted) string {
	if c := p.input.Observed[w.desired.Provider].Credentials; c != nil {
		return c.ClientID
	}
	return ""
}

// livePair is the live pair as it is remembered; without a digest where the live
// key is not one of the file, or does not open.
func (p *prepared) livePair(w wanted) plan.Pair {
	out := plan.Pair{ClientID: p.liveClientID(w)}
	live := p.liveKey(w)
	if live < 0 || w.keys[live].sealed.IsZero() || !p.book.lasting {
		return out
	}
	provider, _ := providers.Lookup(w.desired.Provider)
	if d, err := p.book.digest(w.keys[live], provider); err == nil {
		out.Digest = d.Value
	}
	return out
}

// liveKey is the position in the file of the live key, -1 when it is not known.
func (p *prepared) liveKey(w wanted) int {
	seen := p.input.Observed[w.desired.Provider].Secret
	switch {
	case seen.Result == plan.Equal:
		return w.due
	case seen.Result == plan.Differs:
		return seen.LiveKey - 1
	default:
		return -1
	}
}
