package reconcile

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/internal/terra"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

const (
	// tokenFresh is how long Terra's record of a token is believed.
	tokenFresh = 24 * time.Hour
	// tokenWarned is how long it is believed while it warns: the token may have been renewed.
	tokenWarned   = time.Hour
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
func (env *environment) beginToken(ctx context.Context) (wait func(readable bool)) {
	texts := make(chan []string, 1)
	var ends, renewable time.Time
	go func() {
		var found []string
		err := contained(func() error {
			found, ends, renewable = env.reviewToken(ctx)
			return nil
		})()
		if err != nil {
			found = []string{"its end is unknown: " + err.Error()}
		}
		texts <- found
	}()
	return func(readable bool) {
		if found := <-texts; readable {
			env.request.tokens.warn(env.spec.Account, found...)
			env.out.MissingScopes = env.lacks
			env.out.TokenEnds, env.out.TokenRenewable = ends, renewable
		}
	}
}

// reviewToken gives what everybody should know of a token, and its ends as far as they are
// known. Where there is a memory it asks Terra at most once a day, while the token is about
// to end once an hour and after a start of the program.
func (env *environment) reviewToken(ctx context.Context) (texts []string, ends, renewable time.Time) {
	now, store, api := env.o.Now(), env.o.Store, env.client.Address()
	fingerprint := env.client.TokenFingerprint()
	known, asked, err := store.Token(api, fingerprint)
	believed := err == nil && asked && now.Sub(known.At) < tokenFresh && !known.At.After(now) && known.Scopes != ""
	if again := believed && (now.Sub(known.At) >= tokenWarned || known.At.Before(env.o.Began)) && endsSoon(known, now); !believed || again {
		me, err := env.request.tokens.ask(ctx, env.client)
		if err != nil {
			return []string{"its end is unknown: " + err.Error()}, ends, renewable
		}
		known = state.Token{API: api, Fingerprint: fingerprint, Customer: me.CustomerID, At: now, ExpiresAt: me.ExpiresAt, GrantAnchorAt: me.GrantAnchorAt, Scopes: strings.Join(me.Scopes, " ")}
		if err := store.SaveToken(known); err != nil && !errors.Is(err, state.ErrReadOnly) {
			texts = append(texts, err.Error())
		}
	}
	writes := !env.spec.Observe && (env.o.Applies || env.request.Mode == report.Apply)
	review := terra.ReviewToken(terra.Me{Scopes: strings.Fields(known.Scopes), ExpiresAt: known.ExpiresAt, GrantAnchorAt: known.GrantAnchorAt}, nil, writes, now)
	for _, s := range review.Missing {
		env.lacks = append(env.lacks, s.Scope)
	}
	for _, end := range review.Endings {
		texts = append(texts, end.What+"; "+end.Next)
	}
	if known.ExpiresAt != nil {
		ends = *known.ExpiresAt
	}
	return texts, ends, review.WindowEnds
}

// endsSoon tells whether what is known of a token warns of its end.
func endsSoon(t state.Token, now time.Time) bool {
	return len(terra.ReviewToken(terra.Me{ExpiresAt: t.ExpiresAt, GrantAnchorAt: t.GrantAnchorAt}, nil, false, now).Endings) > 0
}
