package reconcile

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/internal/terra"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

const (
	tokenFresh    = 24 * time.Hour
	tokenDeadline = 10 * time.Second
)

// tokens asks Terra about the token of each account at most once in a run, and
// collects what everybody should know.
type tokens struct {
	mu    sync.Mutex
	asked map[*terra.Client]func() (terra.Me, error)
	texts map[string]bool
}

func newTokens() *tokens {
	return &tokens{asked: map[*terra.Client]func() (terra.Me, error){}, texts: map[string]bool{}}
}

func (t *tokens) warnings() []string { return slices.Sorted(maps.Keys(t.texts)) }

func (t *tokens) warn(account string, texts ...string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, text := range texts {
		t.texts["token of account "+account+": "+text] = true
	}
}

// ask gives Terra's record of a client's token. All who ask during a run get the
// one answer.
func (t *tokens) ask(ctx context.Context, client *terra.Client) (terra.Me, error) {
	t.mu.Lock()
	once, ok := t.asked[client]
	if !ok {
		once = sync.OnceValues(func() (terra.Me, error) {
			ctx, cancel := context.WithTimeout(ctx, tokenDeadline)
			defer cancel()
			return client.Me(ctx)
		})
		t.asked[client] = once
	}
	t.mu.Unlock()
	return once()
}

// beginToken looks at the environment's token beside the other reads. The function
// that it returns waits for the answer and takes what it tells, unless the
// environment cannot be read anyway. Nothing that goes wrong here holds the
// environment up: the end of the token is then unknown, which is said.
func (e *Engine) beginToken(ctx context.Context, r Run, env spec.Environment, client *terra.Client) (wait func(readable bool)) {
	texts := make(chan []string, 1)
	go func() {
		var found []string
		err := contained(func() error {
			found = e.reviewToken(ctx, r, env, client)
			return nil
		})()
		if err != nil {
			found = []string{"its end is unknown: " + err.Error()}
		}
		texts <- found
	}()
	return func(readable bool) {
		if found := <-texts; readable {
			r.tokens.warn(env.Account, found...)
		}
	}
}

// reviewToken gives what everybody should know of a token, asking Terra at most
// once a day where there is a memory.
func (e *Engine) reviewToken(ctx context.Context, r Run, env spec.Environment, client *terra.Client) []string {
	now := e.o.Now()
	var texts []string
	fingerprint := client.TokenFingerprint()
	known, err := e.o.Store.Token(env.DevID)
	if err != nil || known.Fingerprint == "" || known.Fingerprint != fingerprint || now.Sub(known.At) >= tokenFresh || known.At.After(now) {
		me, err := r.tokens.ask(ctx, client)
		if err != nil {
			return []string{"its end is unknown: " + err.Error()}
		}
		known = state.Token{Fingerprint: fingerprint, At: now, ExpiresAt: me.ExpiresAt, GrantAnchorAt: me.GrantAnchorAt}
		if err := e.o.Store.SaveToken(env.DevID, known); err != nil && !errors.Is(err, state.ErrReadOnly) {
			texts = append(texts, err.Error())
		}
	}
	return append(texts, ReviewToken(terra.Me{ExpiresAt: known.ExpiresAt, GrantAnchorAt: known.GrantAnchorAt}, nil, false, now).Warnings...)
}
