package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// isPromoted tells whether a change has to have been elsewhere first: what a person asks
// for in the repository. Drift is put back and keys are replaced at once, for that can be
// an emergency, and the same in another environment says nothing about them.
func isPromoted(c Change) bool {
	secrets := len(c.Fields) > 0 && !slices.ContainsFunc(c.Fields, func(f FieldChange) bool { return !isSecret(f.Field) })
	first := c.Cause.IsFirst() && c.Action != RotateSecret
	return !c.ShowsRejected() && (first || c.Cause == Prune || c.Cause == Commit && !secrets)
}

func isSecret(field string) bool {
	return field == FieldClientSecret || field == FieldVerificationSecret || field == FieldSecretRef
}

// isOfEnvironment tells whether a field has to differ from one environment to the next, so
// that its value elsewhere is another one.
func isOfEnvironment(field string) bool {
	return isSecret(field) || field == FieldClientID || field == FieldRedirectURL || field == FieldDomain
}

// restoresKeys tells whether a change sets keys that Terra has lost, for the app that was
// agreed: whatever else was committed meanwhile, nobody can sign in until it is applied.
func restoresKeys(k Connection, c Change) bool {
	return c.Action == SetCredentials && KeysVanished(k) && desiredTokens(*k.want())[FieldClientID] == k.memory().Fields[FieldClientID]
}

// guardPromotion holds a change until the same has been in sync elsewhere for a time. What
// is not known there holds it, too.
func guardPromotion(in Input, k Connection, c Change) Hold {
	after := k.After
	if after == nil || !isPromoted(c) || restoresKeys(k, c) {
		return Hold{}
	}
	there := after.Environment + "/" + k.Provider
	begins, lacks := after.since(k, c)
	ends := begins.Add(after.For)
	drop := edit(fileOf(in, k), "after: null", "so that this connection does not wait")
	if k.Desired == nil {
		drop = edit(file(after.Origin), "", "the file without after, and it does not wait")
	}
	switch {
	case lacks == namedNowhere && !after.Unread: // whatever is known of its runs
		first := edit(there+".yaml", "", "the same connection there, to have it first")
		return briefly("after "+there+", which "+lacks, after, drop, first, approval(" with --now"))
	case after.Unknown != "":
		return promotion("after "+there+", which is not known to have it: "+after.Unknown, after, drop)
	case lacks != "":
		return promotion("after "+there+", which "+lacks, after, drop)
	case !in.Now.Before(ends):
		return Hold{}
	}
	h := promotion(fmt.Sprintf("after %s, which has this in sync since %s; %s end %s", there, stamp(begins), span(after.For), stamp(ends)), after, drop)
	h.Ends, h.Brief = ends, "until "+stamp(ends)+": after "+there
	return h
}

func promotion(reason string, after *After, drop Remediation) Hold {
	next := after.Next
	if next.Text == "" {
		next = Remediation{Kind: ByWaiting, Text: "wait for " + after.Environment}
	}
	return briefly(reason, after, next, approval(" with --now"), drop)
}

// briefly waits for a reason, to which it adds where a file says so.
func briefly(reason string, after *After, by ...Remediation) Hold {
	h := wait(reason+" ("+after.Origin+")", by...)
	h.Brief = reason
	return h
}

// namedNowhere is what lacks where the other environment has no such connection. Time does
// not end that.
const namedNowhere = "no file names"

// since is from when the same change has been in sync there; where it is not, lacks says
// why. Of a field that differs by environment its own last change there counts, whatever
// it says.
func (a *After) since(k Connection, c Change) (begins time.Time, lacks string) {
	if c.Cause == Prune {
		return a.sinceGone()
	}
	switch there := a.There; {
	case a.Wants == nil:
		return begins, namedNowhere
	case there == nil || there.Noted:
		return begins, "no run has applied yet"
	case there.Synced.IsZero():
		return begins, "was not in sync when it was looked at last"
	}
	tokens, wants := desiredTokens(*k.want()), desiredTokens(*cmp.Or(a.Wants, new(Desired)))
	for _, f := range c.Fields {
		token, says := a.There.Fields[f.Field]
		since := a.There.Since[f.Field]
		switch own := isOfEnvironment(f.Field); {
		case !own && !says:
			return begins, "does not manage " + f.Field
		case !own && token != tokens[f.Field]:
			return begins, "has another value in " + f.Field
		case !own && wants[f.Field] != token:
			return begins, "is to have another value in " + f.Field
		case own && !says:
			since = a.There.Synced
		}
		if since.IsZero() {
			return begins, "has " + f.Field + " in sync since nobody knows when; the next run of it begins to count"
		}
		if since.After(begins) {
			begins = since
		}
	}
	if len(c.Fields) == 0 {
		begins = a.There.Synced
	}
	return begins, ""
}

// sinceGone is from when the connection has been gone there, or disabled.
func (a *After) sinceGone() (begins time.Time, lacks string) {
	disabled := a.There != nil && !a.There.Synced.IsZero() && a.There.Fields[FieldState] == string(Disabled)
	switch {
	case disabled && !a.There.Since[FieldState].IsZero():
		return a.There.Since[FieldState], ""
	case a.Wants != nil:
		return begins, "is still named there"
	case a.Gone.IsZero():
		return begins, "is not known to be gone there"
	}
	return a.Gone, ""
}

// span is a length of time as a file says it.
func span(d time.Duration) string {
	text := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = text[:len(text)-2]
		}
	}
	return text
}
