package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/internal/visible"
	"github.com/terra-reconcile/terra-reconcile/reconcile"
)

func (r tokenReport) print(env *environment) error {
	out := newPage(env)
	for i, a := range r.Accounts {
		if i > 0 {
			out.add("\n")
		}
		a.print(out, env.Now())
	}
	return out.print(env.Stdout)
}

// print writes one account. What is not as it should be begins with a word in
// capitals, so that it is found.
func (a accountToken) print(out *page, now time.Time) {
	out.add(fmt.Sprintf("account %s at %s\n", visible.Text(a.Account), visible.Text(a.BaseURL)))
	line := func(head, text string) { out.folded(fmt.Sprintf("  %-10s", head), text) }
	if a.Error != "" {
		line("token", "FAILED: "+a.Error)
		return
	}
	kind := a.Kind + " token"
	if a.Kind != "admin" {
		kind = "WRONG: a " + a.Kind + " token; this program needs an admin token"
	}
	line("kind", kind)
	line("token", strings.TrimSpace(a.TokenID+" "+a.Name))
	line("scopes", strings.Join(a.Scopes, ", "))
	for _, s := range a.Missing {
		line("", "MISSING "+s.Scope+": without it "+s.Why)
	}
	for _, dangerous := range []bool{true, false} {
		if text := a.surplus(dangerous); text != "" {
			line("", text)
		}
	}
	line("reaches", a.reaches())
	if len(a.Unreachable) > 0 {
		line("", "MISSING "+strings.Join(a.Unreachable, ", ")+": the runner's dev_ids name what the token does not reach")
	}
	line("expires", moment(a.ExpiresAt, now))
	line("renewable", "until "+moment(a.WindowEndsAt, now))
	for _, text := range a.Warnings {
		line("", "WARNING: "+text)
	}
}

// surplus says which scopes could be left out.
func (a accountToken) surplus(dangerous bool) string {
	var texts []string
	for _, s := range a.Surplus {
		switch {
		case s.Dangerous != dangerous:
		case dangerous:
			texts = append(texts, s.Scope+" ("+s.Why+")")
		default:
			texts = append(texts, s.Scope)
		}
	}
	switch {
	case len(texts) == 0:
		return ""
	case dangerous:
		return "DANGEROUS and never used here: " + strings.Join(texts, ", ")
	default:
		return "more than needed: " + strings.Join(texts, ", ")
	}
}

func (a accountToken) reaches() string {
	text := "every environment of the account"
	if a.DevIDs != nil {
		text = strings.Join(a.DevIDs, ", ")
	}
	if text == "" {
		text = "no environment"
	}
	if slices.Contains(a.RunnerDevIDs, config.AnyDevID) {
		return text + "; the runner adds no limit"
	}
	return text + "; the runner lets it touch " + strings.Join(a.RunnerDevIDs, ", ")
}

func moment(at *time.Time, now time.Time) string {
	if at == nil {
		return "unknown"
	}
	return at.UTC().Format("2006-01-02 15:04 UTC") + ", " + reconcile.Away(at.Sub(now))
}
