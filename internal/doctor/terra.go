package doctor

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/internal/terra"
	"github.com/terra-reconcile/terra-reconcile/internal/visible"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

// skewWarn is how far the clock of this machine may be from Terra's.
const skewWarn = 30 * time.Second

// tokens asks Terra what it knows of the token of each account.
func tokens(ctx context.Context, w *world) (out []Result) {
	w.clock = terra.NewClock(terra.NewTransport(), w.Now)
	clients := w.Clients(w.clock)
	writes := w.ConfigFile == "" || w.Config.Apply
	for _, name := range slices.Sorted(maps.Keys(w.Config.Accounts)) {
		if !w.Config.MayUse(name) {
			continue // it is looked at with the repositories that may
		}
		account := w.Config.Accounts[name]
		me, err := AskMe(ctx, account, func() (*terra.Client, error) { return clients(name, account.DevIDs[0]) })
		if err != nil {
			w.refused[name] = true
			out = append(out, one(Fail, name, err.Error())...)
			continue
		}
		r := judgeToken(me, account, writes, w.Now())
		r.Subject = name
		out = append(out, r)
	}
	return out
}

// AskMe reads Terra's record of an account's token. A token that cannot be read is
// said in the words of where it is kept.
func AskMe(ctx context.Context, account config.Account, open func() (*terra.Client, error)) (terra.Me, error) {
	ctx, cancel := context.WithTimeout(ctx, Deadline)
	defer cancel()
	if _, err := account.Token.Read(); err != nil {
		return terra.Me{}, err
	}
	client, err := open()
	if err != nil {
		return terra.Me{}, err
	}
	return client.Me(ctx)
}

// judgeToken judges Terra's record of a token: its kind, its scopes, which
// environments it reaches and how long it lives. Of several things to do it names the
// one about the worst.
func judgeToken(me terra.Me, account config.Account, writes bool, now time.Time) Result {
	r := Result{Status: OK}
	says := []string{strings.TrimSpace(me.Kind + " token " + me.Name)}
	if me.DevIDs == nil {
		says = append(says, "reaches every environment of the account")
	} else {
		says = append(says, "reaches "+strings.Join(me.DevIDs, ", "))
	}
	worse := func(status Status, what, next string) {
		says = append(says, what)
		if r.Status == OK || r.Status == Warn && status == Fail {
			r.Status, r.Remediations = status, []plan.Remediation{runner(next)}
		}
	}
	if me.Kind != "admin" {
		worse(Fail, "it is no admin token", "create a token in Terra's dashboard and give it to the runner")
	}
	review := terra.ReviewToken(me, account.DevIDs, writes, now)
	for _, id := range review.Unreachable {
		worse(Fail, "it does not reach "+id+", which the runner lets it touch", "use a token that may act on it, or take it out of dev_ids")
	}
	for _, s := range review.Missing {
		status := Fail
		if s.Scope == "connections:read" {
			status = Warn
		}
		worse(status, "it lacks the scope "+s.Scope+": "+s.Why, "create a token with that scope in Terra's dashboard")
	}
	for i, end := range review.Endings {
		status := Warn
		if review.Expired && i == 0 {
			status = Fail
		}
		worse(status, end.What, end.Next)
	}
	switch {
	case me.ExpiresAt == nil:
		says = append(says, "no end is known")
	case len(review.Endings) == 0:
		says = append(says, "expires on "+me.ExpiresAt.UTC().Format(time.DateOnly)+", "+terra.Away(me.ExpiresAt.Sub(now)))
	}
	r.Message = strings.Join(says, "; ")
	return r
}

// environments asks for the list of connections of each, the read that every run
// begins with.
func environments(ctx context.Context, w *world) (out []Result) {
	clients := w.Clients(w.clock)
	for _, e := range w.chosen() {
		if w.refused[e.Account] {
			out = append(out, one(Skip, e.Name, "not asked: the token of account "+e.Account+" does not work")...)
			continue
		}
		client, err := clients(e.Account, e.DevID)
		if err != nil {
			var next []plan.Remediation // of several repositories the error says where the account is named
			if w.Config.MayUse(e.Account) {
				next = append(next, runner("name the account in daemon.yaml and let its dev_ids hold "+e.DevID))
			}
			out = append(out, one(Fail, e.Name, err.Error(), next...)...)
			continue
		}
		asking, cancel := context.WithTimeout(ctx, Deadline)
		sources, err := client.ListSources(asking, e.DevID)
		cancel()
		if err != nil {
			out = append(out, one(Fail, e.Name, err.Error())...)
			continue
		}
		out = append(out, one(OK, e.Name, fmt.Sprintf("dev-id %s answers; Terra has %s, the repository %d", e.DevID,
			visible.Plural(len(sources), "connection", "connections"), len(e.Connections)))...)
	}
	return out
}

// clocks says how far this machine's clock is from Terra's.
func clocks(_ context.Context, w *world) []Result {
	skew, known := w.clock.Skew()
	if !known {
		return one(Skip, "", "Terra did not tell the time")
	}
	says := fmt.Sprintf("this machine's is %s from Terra's", skew.Abs().Round(time.Second))
	next := runner("synchronise it (NTP): schedules, windows and keys that become due follow it")
	switch {
	case skew.Abs() >= terra.ClockTrusted:
		return one(Fail, "", says, next)
	case skew.Abs() >= skewWarn:
		return one(Warn, "", says, next)
	}
	return one(OK, "", says)
}
