package cli

import (
	"context"
	"errors"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/reconcile/keys"
)

// liftRejections leaves with the state in dir, or with the process that holds it, that
// providers accept keys which were said to be rejected. It counts those that were;
// without a state there are none.
func liftRejections(ctx context.Context, now time.Time, dir string, accepted []daemon.AcceptedKey) (lifted int, err error) {
	if dir == "" || len(accepted) == 0 {
		return 0, nil
	}
	store, _, err := memoryFor(ctx, dir)
	if err != nil {
		return 0, err
	}
	var rejected []daemon.AcceptedKey
	for _, a := range accepted {
		env, _, err := store.Locate(a.API, a.DevID)
		histories := map[string]keys.History{}
		if err == nil {
			histories, err = store.KeyHistory(env)
		}
		if err != nil {
			return 0, errors.Join(err, store.Close())
		}
		if _, was := histories[a.Provider].Refused[a.Entry]; was {
			rejected = append(rejected, a)
		}
	}
	if err := store.Close(); err != nil || len(rejected) == 0 {
		return 0, err
	}
	_, err = holding(ctx, dir, func(c *daemon.Client) error {
		for _, a := range rejected {
			if err := c.KeyAccepted(ctx, a); err != nil {
				return err
			}
		}
		return nil
	}, func() error {
		store, err := state.Open(dir, state.Options{MustExist: true})
		if err != nil {
			return err
		}
		for _, a := range rejected {
			err = errors.Join(err, acceptKey(store, a, now))
		}
		return errors.Join(err, store.Close())
	})
	return len(rejected), err
}

func acceptKey(store *state.Store, a daemon.AcceptedKey, now time.Time) error {
	env, known, err := store.Locate(a.API, a.DevID)
	if err != nil || !known {
		return err
	}
	return store.AcceptKey(env, a.Provider, a.Entry, now)
}
