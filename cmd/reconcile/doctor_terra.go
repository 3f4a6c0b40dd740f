package main

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/internal/terra"
	"github.com/terra-reconcile/terra-reconcile/reconcile"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

const (
	skewWarn = 30 * time.Second
	skewFail = 5 * time.Minute
)

// terra asks about each token and each environment, and compares the clocks.
func (d *doctor) terra(ctx context.Context) {
	d.clock = &clockTransport{next: terra.NewTransport(), now: d.env.Now}
	clients := newClients(d.config, terra.Options{Transport: d.clock, Limits: terra.NewLimits(), Version: d.env.Version,
		ReadOnly: true, Timeout: checkDeadline / 2, MaxAttempts: 2})
	for _, name := range slices.Sorted(maps.Keys(d.config.Accounts)) {
		d.refused[name] = !d.account(ctx, name, clients)
	}
	for _, e := range d.chosen() {
		d.environment(ctx, e, clients)
	}
	d.compareClocks()
}

// account asks Terra what it knows of an account's token, and reports whether it
// answered.
func (d *doctor) account(ctx context.Context, name string, clients func(account, devID string) (*terra.Client, error)) bool {
	account := d.config.Accounts[name]
	ctx, cancel := context.WithTimeout(ctx, checkDeadline)
	defer cancel()
	me, err := askMe(ctx, account, func() (*terra.Client, error) { return clients(name, account.DevIDs[0]) })
	if err != nil {
		d.fail("token", name, err.Error(), "")
		return false
	}
	t := describeToken(me, account, d.mayWrite(), d.env.Now())
	d.say(t.Status, "token", name, t.Says, t.Next)
	return true
}

// askMe reads Terra's record of an account's token. A token that cannot be read is
// said in the words of where it is kept.
func askMe(ctx context.Context, account config.Account, open func() (*terra.Client, error)) (terra.Me, error) {
	if _, err := account.Token.Read(); err != nil {
		return terra.Me{}, err
	}
	client, err := open()
	if err != nil {
		return terra.Me{}, err
	}
	return client.Me(ctx)
}

// mayWrite reports whether this runner is meant to change Terra.
func (d *doctor) mayWrite() bool { return d.flags.config == "" || d.config.Apply }

// environment asks for the list of connections, the read that every run begins
// with.
func (d *doctor) environment(ctx context.Context, e spec.Environment, clients func(account, devID string) (*terra.Client, error)) {
	about := e.Name
	if d.refused[e.Account] {
		d.skip("environment", about, "not asked: the token of account "+e.Account+" does not work", "")
		return
	}
	client, err := clients(e.Account, e.DevID)
	if err != nil {
		d.fail("environment", about, err.Error(), "name the account in daemon.yaml and let its dev_ids hold "+e.DevID)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, checkDeadline)
	defer cancel()
	sources, err := client.ListSources(ctx, e.DevID)
	if err != nil {
		d.fail("environment", about, err.Error(), "")
		return
	}
	d.ok("environment", about, fmt.Sprintf("dev-id %s answers; Terra has %s, the repository %d", e.DevID,
		plural(len(sources), "connection", "connections"), len(e.Connections)))
}

// compareClocks tells how far this machine's clock is from Terra's.
func (d *doctor) compareClocks() {
	skew, known := d.clock.skew()
	if !known {
		d.skip("clock", "", "Terra did not tell the time", "")
		return
	}
	says := fmt.Sprintf("this machine's is %s from Terra's", skew.Abs().Round(time.Second))
	const next = "synchronise it (NTP): schedules, windows and keys that become due follow it"
	switch {
	case skew.Abs() >= skewFail:
		d.fail("clock", "", says, next)
	case skew.Abs() >= skewWarn:
		d.warn("clock", "", says, next)
	default:
		d.ok("clock", "", says)
	}
}

// clockTransport remembers how far Terra's clock is from ours.
type clockTransport struct {
	next http.RoundTripper
	now  func() time.Time

	mu    sync.Mutex
	off   time.Duration
	known bool
}

// RoundTrip compares the Date of each answer with the middle of its call.
func (c *clockTransport) RoundTrip(q *http.Request) (*http.Response, error) {
	sent := c.now()
	response, err := c.next.RoundTrip(q)
	if err != nil {
		return nil, err
	}
	if date, parseErr := http.ParseTime(response.Header.Get("Date")); parseErr == nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		middle := sent.Add(c.now().Sub(sent) / 2)
		c.off, c.known = middle.Sub(date.Add(time.Second/2)), true // a Date has whole seconds
	}
	return response, nil
}

func (c *clockTransport) skew() (off time.Duration, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.off, c.known
}

// tokenHealth is what a person should know of a token.
type tokenHealth struct{ Status, Says, Next string }

// describeToken judges Terra's record of a token: its kind, its scopes, which
// environments it reaches and how long it lives.
func describeToken(me terra.Me, account config.Account, writes bool, now time.Time) tokenHealth {
	says := []string{me.Kind + " token"}
	if me.Name != "" {
		says[0] += " " + me.Name
	}
	if me.DevIDs == nil {
		says = append(says, "reaches every environment of the account")
	} else {
		says = append(says, "reaches "+strings.Join(me.DevIDs, ", "))
	}
	h := tokenHealth{Status: statusOK}
	worse := func(status, what, next string) {
		says = append(says, what)
		if h.Status == statusOK || h.Status == statusWarn && status == statusFail {
			h.Status, h.Next = status, next
		}
	}
	const anew = "create a token in Terra's dashboard and give it to the runner"
	if me.Kind != "admin" {
		worse(statusFail, "it is no admin token", anew)
	}
	review := reconcile.ReviewToken(me, account.DevIDs, writes, now)
	for _, id := range review.Unreachable {
		worse(statusFail, "it does not reach "+id+", which the runner lets it touch", "use a token that may act on it, or take it out of dev_ids")
	}
	for _, s := range review.Missing {
		status := statusFail
		if s.Scope == "connections:read" {
			status = statusWarn
		}
		worse(status, "it lacks the scope "+s.Scope+": "+s.Why, "create a token with that scope in Terra's dashboard")
	}
	for i, text := range review.Warnings {
		what, next, _ := strings.Cut(text, "; ")
		status := statusWarn
		if review.Expired && i == 0 {
			status = statusFail
		}
		worse(status, what, next)
	}
	switch {
	case me.ExpiresAt == nil:
		says = append(says, "no end is known")
	case len(review.Warnings) == 0:
		says = append(says, "expires on "+me.ExpiresAt.UTC().Format(time.DateOnly)+", "+reconcile.Away(me.ExpiresAt.Sub(now)))
	}
	h.Says = strings.Join(says, "; ")
	return h
}
