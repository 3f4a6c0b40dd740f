package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/terra-reconcile/terra-reconcile/internal/advice"
	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/internal/terra"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// NotAllowedError says that a commit asks of an environment what the runner does not let it
// have: an account, or a dev_id. Nothing was asked of Terra.
type NotAllowedError struct{ Err error }

func (e *NotAllowedError) Error() string { return e.Err.Error() }

func (e *NotAllowedError) Unwrap() error { return e.Err }

// unnamed begins the customer of an environment whose token Terra has not named one of:
// what stands for the token follows.
const unnamed = "token:"

// keepAccount refuses, before anything is asked, an environment of which a commit has
// changed the account: its secrets would be sent to another server. Only the runner's own
// configuration may say that it belongs to another one now.
func (env *environment) keepAccount() error {
	account, devID := env.spec.Account, env.spec.DevID
	if env.o.Assigns != nil && env.o.Assigns(account, devID) {
		return nil
	}
	was, err := env.o.Store.AccountOf(devID)
	if err != nil || was == "" || was == account {
		return err
	}
	return &NotAllowedError{advice.With(fmt.Errorf("use account %s for %s: it was account %s until now, and a commit does not change that", account, devID, was),
		fmt.Sprintf("where it belongs to %s now, list it in daemon.yaml under dev_ids of that account alone; else name %s in environment.yaml again", account, was))}
}

// identify finds out whose memory this run reads. State belongs to one account: to a
// dev_id at one API address, as seen by the token of one customer. What was learned
// elsewhere, as in a rehearsal against an emulator, says nothing about it.
//
// Whose a token is Terra is asked once. Where nothing is remembered of the dev_id at
// this address the answer is not waited for: there is nothing to take for another's.
func (env *environment) identify(ctx context.Context) error {
	store, devID := env.o.Store, env.spec.DevID
	env.id = state.Environment{API: env.client.Address(), DevID: devID}
	all, err := store.EnvironmentsOf(devID)
	if err != nil {
		return err
	}
	here := slices.DeleteFunc(slices.Clone(all), func(id state.Environment) bool { return id.API != env.id.API })
	token, asked, err := store.Token(env.id.API, env.client.TokenFingerprint())
	switch {
	case err != nil:
		return err
	case asked:
		err = env.belongTo(token.Customer, nil, here)
	case len(here) > 0:
		err = env.askCustomer(ctx, here)
	default:
		env.unsure = true
	}
	if err == nil {
		all, err = store.EnvironmentsOf(devID) // one may have moved
	}
	if err == nil && len(all) > 0 && !slices.Contains(all, env.id) && env.client.TokenFingerprint() != "" { // without a token the run says no more than that
		env.warn(fmt.Sprintf("nothing is remembered of %s, %s: what the state knows of that dev_id is about %s, and is not used. What Terra has already is adopted, and disruptive changes of it wait for approval",
			devID, accountOf(env.id), accountOf(all[0])))
	}
	return err
}

// settleAccount waits, before anything is written, for the answer that identify did
// without.
func (env *environment) settleAccount(ctx context.Context) error {
	if env.request.Mode != report.Apply {
		return nil
	}
	if env.unsure {
		if err := env.askCustomer(ctx, nil); err != nil {
			return err
		}
	}
	if env.typesRead {
		if err := env.o.Store.SaveSourceTypes(env.id, env.types, env.input.Now); err != nil {
			env.warn(err.Error())
		}
	}
	return env.o.Store.SaveLocation(env.id, env.spec.Account)
}

func (env *environment) askCustomer(ctx context.Context, here []state.Environment) error {
	me, err := env.request.tokens.ask(ctx, env.client)
	return env.belongTo(me.CustomerID, err, here)
}

// belongTo takes the account of a customer, of those that are known at this address. A
// token that Terra names no customer of has the one account that is known here, or one
// of its own, which is that of the customer once Terra names it. Without an answer
// nothing is taken for its memory.
func (env *environment) belongTo(customer string, failed error, here []state.Environment) error {
	token := env.client.TokenFingerprint()
	if token == "" {
		return cmp.Or(failed, errors.New("find out whose memory to use: the token cannot be read"))
	}
	own := env.id
	own.Customer = unnamed + token[:16]
	var problem *terra.Problem
	refused := errors.As(failed, &problem) && (problem.Status == 403 || problem.Status == 404)
	switch {
	case customer != "":
		env.id.Customer = customer
		if slices.Contains(here, env.id) || !slices.Contains(here, own) {
			return nil
		}
		if env.request.Mode == report.Apply {
			return env.o.Store.MoveEnvironment(own, env.id)
		}
		env.id = own
	case len(here) == 0, slices.Contains(here, own):
		env.id = own
	case failed != nil && !refused:
		return fmt.Errorf("find out whose memory to use, by asking whose the token of account %s is: %w", env.spec.Account, failed)
	case len(here) == 1:
		env.id = here[0]
	default:
		return fmt.Errorf("find out whose memory to use: Terra does not say whose the token of account %s is, and %d accounts are known of %s at %s; use a token that may ask about itself",
			env.spec.Account, len(here), env.spec.DevID, env.id.API)
	}
	return nil
}

func accountOf(id state.Environment) string {
	if strings.HasPrefix(id.Customer, unnamed) {
		return "a token at " + id.API
	}
	return "customer " + id.Customer + " at " + id.API
}
