package plan

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// GuardRow is one guard: what it holds, what lets a change through, and the function
// that decides. What is not said here lifts nothing.
type GuardRow struct {
	Name  string
	Holds string // in words
	Lifts Lifts
	// Commit and Else say in words what else ends it: an edit of the repository, and
	// what happens elsewhere; "" where nothing does.
	Commit, Else string

	first  bool // asked about what Terra can do at all, before the others
	proof  bool // a pair that the provider accepts is not held
	holds  func(Input, Connection, Change) Hold
	allows func(Input, Change) bool // an allow that is enough for this guard; nil: one for every field
	// A cap is about the whole plan: which changes count, and when it trips.
	counts func(Change) bool
	trips  func(in Input, counted []Change, live int) Hold
}

// Guards is the table of guards, in the order in which they are asked: what Terra can
// do at all, then the guards on single changes, then the caps. Within each the first
// that refuses names the gate. A new guard is a row here and a function below.
func Guards() []GuardRow {
	nothing, alone, byAny := Lifts{}, Lifts{Alone: true}, Lifts{Allow: true, Hash: true, Now: true}
	return []GuardRow{
		{Name: GuardRejected, Holds: "a key that the provider rejected, or after which end users fell away", Lifts: nothing,
			Commit: "its entry sealed again, or a newer key", first: true, holds: guardRejected},
		{Name: "provider", Holds: "what Terra does not offer for this provider", Lifts: nothing,
			Commit: "the file without it", first: true, holds: guardProvider},
		{Name: "credentials", Holds: "keys that are incomplete, and enabling, or an own app, while the keys cannot be opened; where Terra has no app to lend, enabling while they are held", Lifts: nothing,
			Commit: "the missing key", Else: "an identity that opens it", first: true, holds: guardCredentials},
		{Name: "secret-ref", Holds: "replacing a secret that Terra reads from a store of yours", Lifts: Lifts{Allow: true},
			first: true, holds: guardSecretRef, allows: func(in Input, c Change) bool { return findAllow(in, c, FieldSecretRef, "") }},
		{Name: "domain", Holds: "replacing a custom domain, releasing one under the live redirect_url, and a redirect_url on one that does not serve yet", Lifts: nothing,
			Commit: "domain: null first", Else: "publishing its address", first: true, holds: guardDomain},
		{Name: GuardSetup, Holds: "enabling, or a first own app, before a human step is done", Lifts: nothing,
			Commit: "the evidence of that step", first: true, holds: guardSetup},
		{Name: "order", Holds: "webhook rows before the keys and the domain, or while the provider locks them", Lifts: nothing,
			Else: "time, or the step that comes first", first: true, holds: guardOrder},

		{Name: GuardPause, Holds: "every change that `reconcile pause` is about: of everything, an environment or a connection", Lifts: nothing,
			Else: "`reconcile resume`, or its end", holds: guardPause},
		{Name: GuardSuspend, Holds: "every change of a suspended environment or connection", Lifts: nothing,
			Else: "its end", holds: guardSuspend},
		{Name: "observe", Holds: "every change of an environment with mode: observe", Lifts: nothing,
			Commit: "mode: apply", holds: guardObserve},
		{Name: "empty-set", Holds: "pruning when the environment names no connection at all", Lifts: nothing, holds: guardEmptySet},
		{Name: "protect", Holds: "pause and disable of a protected connection", Lifts: nothing,
			Commit: "protect: false in its file, which stays", holds: guardProtect},
		{Name: GuardDrift, Holds: "reverting drift where on_drift: report", Lifts: nothing,
			Commit: "on_drift: revert, or what Terra has", holds: guardDrift},
		{Name: "inconsistent", Holds: "a value that Terra accepted and shows in another form, or has accepted twice and does not show", Lifts: byAny,
			Commit: "what Terra shows", holds: guardInconsistent},
		{Name: GuardConflict, Holds: "drift that comes back although it was reverted twice within a week", Lifts: byAny,
			Commit: "what Terra has; of keys the live one", Else: "the end of what sets it, or time", holds: guardConflict},
		{Name: GuardProbe, Holds: "a secret that the provider itself rejects", Lifts: nothing,
			Commit: "another key", Else: "a provider that accepts it", holds: guardProbe},
		{Name: "probe-required", Holds: "a secret that the provider has not accepted, where the file says probe: require", Lifts: byAny,
			Commit: "probe: prefer", Else: "a provider that accepts it", proof: true, holds: guardProbeRequired},
		{Name: "redirect-host", Holds: "a redirect_url or domain on a host that is neither Terra's own, nor live in that field, nor in the runner's redirect_hosts", Lifts: alone,
			Commit: "a host that is one of these, or null", Else: "a runner that lists the host", holds: guardRedirectHost},
		{Name: "rewound", Holds: "disruptive and destructive changes, and all that writes keys, while the branch stands on a commit that was attempted before a newer one", Lifts: alone,
			Commit: "what is wanted, as a new commit", Else: "a branch that is on the newest commit again", holds: guardRewound},
		{Name: "roll-back", Holds: "going back to a key that was live before, or from a rejected one to any other, unless the provider accepts that one now and not the live one", Lifts: byAny,
			Commit: "another key", Else: "a provider that accepts the key before it", proof: true, holds: guardRollBack},
		{Name: "empty-list", Holds: "every change while Terra lists nothing and there were connections before", Lifts: byAny,
			Else: "a list that is not empty", holds: guardEmptyList},
		{Name: "adopt", Holds: "the first disruptive change, or overwriting keys, of a connection of which nothing is remembered", Lifts: byAny,
			Commit: "what Terra has", holds: guardAdopt,
			allows: func(in Input, c Change) bool { return findAllow(in, c, string(Adopt), "") }},
		{Name: GuardSecretDrift, Holds: "reverting a client_id or secret that was set out of band", Lifts: Lifts{Allow: true, Alone: true},
			Commit: "the live key, or on_secret_drift: revert", Else: "a provider that, asked in this run, accepts the wanted pair", proof: true, holds: guardSecretDrift},
		{Name: GuardNoWayBack, Holds: "replacing a live key that no file has, as of `unknown: true`, by one that its provider has not accepted", Lifts: byAny,
			Commit: "the live secret, sealed as the newest key", Else: "a provider that accepts the new key", proof: true, holds: guardNoWayBack},
		{Name: GuardProbeAgain, Holds: "a secret that the provider refused some minutes ago, which does not count yet", Lifts: nothing,
			Else: "the provider, asked again", holds: guardProbeAgain},
		{Name: GuardKeysGone, Holds: "setting keys again that Terra shows no more, until it was asked a second time some minutes later", Lifts: byAny,
			Else: "a second look, five minutes later", holds: guardKeysGone},
		{Name: "destructive", Holds: "every destructive change; an explicit state: disabled is its own approval", Lifts: byAny, holds: guardDestructive},
		{Name: "after-suspend", Holds: "disruptive and destructive changes after a suspend, a pause or a restored state, until a run finds none of them", Lifts: byAny,
			proof: true, holds: guardAfterSuspend},
		{Name: GuardPromotion, Holds: "what a commit asks for, a first set-up or pruning, before the same has been applied and in sync in the environment that `after` names, for as long as it says; not keys alone, and not drift", Lifts: Lifts{Now: true},
			Commit: "`after: null` in the file of the connection", Else: "that environment, and time", holds: guardPromotion},
		{Name: GuardWindow, Holds: "disruptive and destructive changes outside the windows", Lifts: Lifts{Now: true},
			Commit: "other windows", Else: "time", proof: true, holds: guardWindow},

		{Name: GuardMaxChanges, Holds: "every disruptive or destructive change that nobody approved, when there are more such connections than the cap allows", Lifts: byAny,
			Commit: "higher max_changes", proof: true, counts: func(c Change) bool { return c.Class != Safe }, trips: maxChanges},
		{Name: GuardMaxRotations, Holds: "every rotation that nobody approved, when more are to be done at once than allowed", Lifts: byAny,
			Commit: "higher max_rotations", counts: func(c Change) bool { return c.Action == RotateSecret }, trips: maxRotations},
	}
}

// GuardOf gives the row of a guard; ok is false for a name that is none.
func GuardOf(name string) (row GuardRow, ok bool) {
	rows := Guards()
	if i := slices.IndexFunc(rows, func(g GuardRow) bool { return g.Name == name }); i >= 0 {
		return rows[i], true
	}
	return GuardRow{}, false
}

func guardRejected(_ Input, k Connection, c Change) Hold {
	refused := k.want().Rejected
	if !c.ShowsRejected() || refused == nil {
		return Hold{}
	}
	next := newKey("asks for a working secret and seals it into the file, to be committed", c.Connection)
	if refused.ByUsers {
		next.Text = "make a new key"
	}
	live, stays := k.live().Secret.LiveKey, "the live key stays"
	if live > 0 {
		stays = number(live) + " stays live"
	}
	switch {
	case rejectedIsLive(k):
		stays = number(live) + " is live, and the file has no key to go back to"
	case refused.LiveToo > 0 && refused.LiveToo == live:
		stays += ", but the provider refuses it too: people fall away, or it is out of order"
	default:
		stays += ", users sync as before"
	}
	h := block(stays+"; "+refused.refusal(), next)
	h.Brief = refused.refusal()
	return h
}

func guardProvider(_ Input, k Connection, c Change) Hold {
	own, ofFile := variantOf(k.want().App) == "byo", file(k.want().Origin)
	drop := func(line string) Remediation { return edit(ofFile, "", "the file without "+line) }
	switch c.Action {
	case Enable:
		if k.Type != nil && !k.offered() {
			return block("Terra does not offer "+k.Provider+" in this environment", NextCommand("check the name", "providers"))
		}
	case SetScopes:
		if k.offered() && !k.Type.CustomScopes {
			return block("Terra does not let anybody choose the scopes of "+k.Provider, drop("scopes"))
		}
		if k.live().Scopes == nil {
			return Hold{}
		}
		if bad := missing(k.want().Scopes.Value, k.live().Scopes.Offered); len(bad) > 0 {
			offers := strings.Join(k.live().Scopes.Offered, ", ")
			return block(fmt.Sprintf("%s does not offer the scope %s; it offers %s", k.Provider, strings.Join(bad, ", "), offers), edit(ofFile, "", "scopes that it offers"))
		}
	case SetApp:
		switch {
		case k.offer().BYO || own && waitsForOwnApp(k) != nil:
		case own:
			return block("Terra does not accept an app of your own for "+k.Provider, drop("app: own"))
		default:
			return block("with "+k.Provider+" the app follows from the credentials and Terra cannot remove them", drop("app"))
		}
	case SetCredentials:
		if ownAppOf(k) == appRefused && waitsForOwnApp(k) == nil {
			return block("Terra accepts no credentials of your own for "+k.Provider, drop("credentials"))
		}
	}
	return Hold{}
}

// guardCredentials holds what lacks half of a pair, and what would have users meet an
// app without keys.
func guardCredentials(_ Input, k Connection, c Change) Hold {
	want := k.want()
	next := newKey("seal another one", c.Connection)
	opens := NextCommand("see which identity the runner lacks", "doctor")
	due := Remediation{Kind: ByWaiting, Text: "it is set by the first run after that"}
	_, _, shut := isShut(k)
	switch {
	case c.Action == Enable && shut && len(want.Prerequisites) == 0:
		return block("its keys cannot be opened here, and it is not enabled without them", opens)
	case c.Action == SetApp && shut && variantOf(want.App) == "byo":
		return block("Terra shows no keys, and those of the file cannot be opened here; no user is sent to an app without keys", opens)
	case c.Action == SetCredentials && want.ClientID.Mode != Given:
		return block("Terra has no credentials yet, so client_id is needed beside the secret", edit(file(want.Origin), "", "the client_id"))
	case c.Action == SetCredentials && want.Secret.Mode != Given && want.Rejected != nil:
		return block(number(want.Rejected.Key)+": "+want.Rejected.words(), next)
	case c.Action == SetCredentials && want.Secret.Mode != Given && want.NextKey > 0:
		return wait("Terra has no credentials yet, and "+want.nextKey(), due)
	case c.Action == SetCredentials && want.Secret.Mode != Given && want.Keys == 0:
		return block("Terra has no credentials yet, and the file has no client secret", newKey("add it", c.Connection))
	case c.Action == SetCredentials && want.Secret.Mode != Given:
		return block("Terra has no credentials yet and no key of the file is due", newKey("add one", c.Connection))
	case c.Action != UpdateCredentials || !has(c.Fields, FieldClientID) || has(c.Fields, FieldClientSecret) || sameSecret(k):
		return Hold{}
	case want.Rejected != nil:
		return block("client_id changes and its key is not used: "+number(want.Rejected.Key)+": "+want.Rejected.words(), next)
	case want.Secret.Mode != Given && want.NextKey > 0:
		return wait("client_id changes with its new secret, and "+want.nextKey(), due)
	case want.Secret.Mode != Given:
		return block("client_id changes but no key of the file is due; the new app's secret must come with it", newKey("add it", c.Connection))
	default:
		return block("client_id changes but policy.ignore leaves client_secret alone; the new app's secret must come with it",
			edit(file(want.Origin), "", "policy.ignore without client_secret"))
	}
}

func guardSecretRef(_ Input, _ Connection, c Change) Hold {
	if !has(c.Fields, FieldSecretRef) {
		return Hold{}
	}
	return block("Terra reads this secret from a store of yours")
}

// guardDomain: replacing a custom domain is never automatic, because every registered
// address at the provider points at it.
func guardDomain(_ Input, k Connection, c Change) Hold {
	want := k.want().Domain.Value
	switch {
	case c.Action == SetDomain && c.Fields[0].From.Value != nil:
		live := *c.Fields[0].From.Value
		return block("replacing "+live+" is never automatic", edit(file(k.want().Origin), "domain: null",
			"once the redirect_url has moved away; then name "+want))
	case c.Action == ReleaseDomain && staysUnder(k, *c.Fields[0].From.Value):
		return wait("the redirect_url is on it, and Terra would release it all the same",
			edit(file(k.want().Origin), "redirect_url: null", "a redirect_url elsewhere, beside `domain: null`"))
	case has(c.Fields, FieldRedirectURL) && target(c.Fields, FieldRedirectURL) != "" && redirectWaits(k):
		if live := k.domain(); live != nil && live.Publish != "" {
			return wait(want+" does not serve yet", Remediation{Kind: ByStep, Text: "publish the record that Terra asks for: " + live.Publish})
		}
		return wait(want + " does not serve yet")
	}
	return Hold{}
}

// staysUnder reports whether the live redirect_url is on a host, and the file does not
// move it away. Terra does not stop an environment from releasing a domain under its
// own redirect: nobody could finish to sign in.
func staysUnder(k Connection, host string) bool {
	on := func(address string) bool {
		u, err := url.Parse(address)
		return err == nil && strings.EqualFold(u.Hostname(), host)
	}
	want := k.want().RedirectURL
	moves := want.Mode == Default || want.Mode == Given && !on(want.Value)
	return on(k.live().Redirect) && (!moves || k.ignores(FieldRedirectURL))
}

// guardSetup lets what a human step is for wait for it. A connection that runs on its
// own app already is never held.
func guardSetup(in Input, k Connection, c Change) Hold {
	var step *Prerequisite
	switch waits := k.want().Prerequisites; {
	case c.Action == Enable && len(waits) > 0:
		step = &waits[0]
	case c.Action == SetCredentials, c.Action == SetApp && variantOf(k.want().App) == "byo":
		step = waitsForOwnApp(k)
	}
	if step == nil {
		return Hold{}
	}
	once := " " + cmp.Or(step.Once, "Once done")
	if step.Blanks != "" {
		once += " (" + step.Blanks + ")"
	}
	brief := "step " + step.Step + " by " + step.turn()
	h := wait(brief+": "+step.Reason,
		Remediation{Kind: ByStep, Text: step.Do + once, File: fileOf(in, k), YAML: step.Record},
		Remediation{Kind: ByStep, Text: "all steps, and what to paste where", Command: Command{"providers", k.Provider}})
	h.Brief, h.Yours = brief, step.Yours
	return h
}

func waitsForOwnApp(k Connection) *Prerequisite {
	waits := k.want().Prerequisites
	if i := slices.IndexFunc(waits, func(w Prerequisite) bool { return w.OwnApp }); i >= 0 {
		return &waits[i]
	}
	return nil
}

func guardOrder(_ Input, k Connection, c Change) Hold {
	live := k.live().Webhooks
	later := Remediation{Kind: ByWaiting, Text: "a later run reviews the rows"}
	switch {
	case c.Action != ApplyWebhooks:
	case live == nil:
		return wait("the rows are reviewed once the keys are set and the custom domain serves", later)
	case live.Reason != "":
		return wait(live.Reason, later)
	case live.Locked:
		return wait("the provider locks the rows for a few minutes after a change", later)
	}
	return Hold{}
}

func guardPause(in Input, k Connection, _ Change) Hold {
	if all := PausesOf(k.Provider, in.inForce()); len(all) > 0 {
		return block(all.String(), all.Resume()...)
	}
	return Hold{}
}

func guardSuspend(in Input, k Connection, _ Change) Hold {
	for _, s := range []*Suspend{in.Environment.Suspend, k.want().Suspend} {
		if s.isOn(in.Now) {
			return block(fmt.Sprintf("suspended until %s by %s: %s (%s)", stamp(s.Until), s.Owner, s.Reason, s.Origin),
				Remediation{Kind: ByWaiting, Text: "it ends by itself"}, edit(file(s.Origin), "", "the file without suspend, to end it sooner"))
		}
	}
	return Hold{}
}

func guardObserve(in Input, _ Connection, _ Change) Hold {
	if env := in.Environment; env.Observe {
		return block("mode: observe only looks ("+setBy(env.ModeOrigin)+")", edit(file(env.Origin), "mode: apply", "for the whole environment"))
	}
	return Hold{}
}

func guardEmptySet(in Input, k Connection, c Change) Hold {
	if c.Cause == Prune && in.namesNone() {
		return block("no file names any connection; an empty set never prunes, whatever "+setBy(in.Environment.PruneOrigin)+" says",
			edit(fileOf(in, k), "state: disabled", "to disable it keep its file"))
	}
	return Hold{}
}

func guardProtect(in Input, k Connection, c Change) Hold {
	by, isProtected := protectedBy(in, k)
	if !isProtected || k.Observed == nil || c.Action != Pause && c.Action != Disable {
		return Hold{}
	}
	return block("protect: true ("+by+")", edit(fileOf(in, k), "policy: {protect: false}", "in the file of the connection, which has to stay"))
}

// protectedBy: the environment's list, the file, or what is remembered of either. Only
// a file that is still there and says false lifts it. It names the line, where it still
// stands.
func protectedBy(in Input, k Connection) (origin string, isProtected bool) {
	own := k.want().Protect
	switch {
	case own.Mode == Given:
		return own.Origin, own.Value
	case slices.Contains(in.Environment.Protect, k.Provider):
		return in.Environment.ProtectOrigin, true
	}
	return "by a line that is gone, and which state remembers", k.memory().Protected
}

func guardDrift(in Input, k Connection, c Change) Hold {
	env := in.Environment
	if c.Cause != Drift || env.RevertDrift {
		return Hold{}
	}
	return block("on_drift: report, so it is only reported ("+setBy(env.DriftOrigin)+")",
		edit(file(env.Origin), RevertDrift, "for the whole environment"), edit(fileOf(in, k), "", "what Terra has"))
}

// guardInconsistent keeps the same write from being sent for ever.
func guardInconsistent(in Input, k Connection, c Change) Hold {
	for _, f := range c.Fields {
		u, sent := k.memory().Unshown[f.Field]
		if !sent || u.Sent != f.To.token() || f.From.token() == (FieldValue{}).token() { // nothing is there yet
			continue
		}
		next := edit(fileOf(in, k), "", "what Terra shows")
		switch {
		case u.Before != f.From.token():
			return ask(fmt.Sprintf("%s: Terra accepted %s (%s) and shows %s", f.Field, f.To.words(), stamp(u.At), f.From.words()), next)
		case u.Times > 1:
			return ask(fmt.Sprintf("%s: Terra has accepted %s %d times (last %s) and goes on showing %s", f.Field, f.To.words(), u.Times, stamp(u.At), f.From.words()), next)
		}
	}
	return Hold{}
}

// words are a value as a sentence has it.
func (v FieldValue) words() string {
	switch {
	case v.Value != nil:
		return strconv.Quote(*v.Value)
	case v.List != nil:
		return "[" + strings.Join(v.List, ", ") + "]"
	case v.Default:
		return "Terra's default"
	case v.Key > 0 && v.Mask == "":
		return number(v.Key)
	case v.Sealed != "":
		return "the secret of the file"
	case v.Mask != "":
		return v.Mask
	}
	return "nothing"
}

// guardConflict keeps us from fighting with somebody, or something, that sets the same
// field elsewhere.
func guardConflict(in Input, k Connection, c Change) Hold {
	if c.Cause != Drift {
		return Hold{}
	}
	keep := edit(fileOf(in, k), "", "what Terra has")
	if keys := pairOf(c.Fields); len(keys) > 0 && c.Action != SetCredentials {
		keep = keepKeys(in, k, c, keys)
	}
	for _, f := range c.Fields {
		r := k.memory().Reverted[f.Field]
		if r.Times > 1 && !r.isOver(in.Now) {
			return ask(fmt.Sprintf("%s is changed elsewhere again, although it was reverted %d times since %s: something else sets it, too", f.Field, r.Times, stamp(r.Since)),
				keep, Remediation{Kind: ByStep, Text: "find what sets it, another runner or tool, and end that"})
		}
	}
	return Hold{}
}

func guardProbe(_ Input, k Connection, c Change) Hold {
	if k.Probe.Verdict != Bad || !k.Probe.Again.IsZero() || !writesSecret(c) {
		return Hold{}
	}
	return block("the provider rejects this pair: "+k.Probe.Reason, newKey("", c.Connection))
}

// guardProbeAgain lets time tell: one refusal is not a verdict, and no reason to write
// the pair either.
func guardProbeAgain(_ Input, k Connection, c Change) Hold {
	if k.Probe.Verdict != Bad || k.Probe.Again.IsZero() || !writesSecret(c) {
		return Hold{}
	}
	return wait("the provider refused this pair, and is asked again from "+stamp(k.Probe.Again)+": "+k.Probe.Reason,
		Remediation{Kind: ByWaiting, Text: "the provider is asked again"})
}

// KeysGoneFor is how long keys must have been gone before they are set again.
const KeysGoneFor = 5 * time.Minute

// guardKeysGone lets time tell whether keys are gone: to set them replaces all that Terra
// has, and one answer is no proof that it has nothing.
func guardKeysGone(in Input, k Connection, c Change) Hold {
	since := k.memory().KeysGone
	if c.Action != SetCredentials || !KeysVanished(k) || !since.IsZero() && !since.After(in.Now.Add(-KeysGoneFor)) {
		return Hold{}
	}
	if since.IsZero() || since.After(in.Now) {
		since = in.Now
	}
	return wait("Terra shows no keys of it, and had some when last looked at; it is asked again from "+stamp(since.Add(KeysGoneFor)),
		Remediation{Kind: ByWaiting, Text: "Terra is asked again"})
}

// guardProbeRequired holds a secret that nobody has proved where the file demands it.
func guardProbeRequired(in Input, k Connection, c Change) Hold {
	required := k.want().ProbeRequired
	prefer := edit(fileOf(in, k), "rotation: {probe: prefer}", "")
	switch {
	case required == "" || k.Probe.Verdict == Good || !writesSecret(c):
		return Hold{}
	case mayYetBeProved(in, k, c):
		return wait("probe: require ("+required+"); the provider is asked when this is applied", prefer)
	}
	return ask("probe: require ("+required+") and "+notProved+because(unproved(in, k)), prefer)
}

// guardRollBack lets a key that was live before be live again only where the provider
// accepts it, asked since the present one was first seen, and does not accept that one:
// whether the present one was rejected, or a commit drops the rotation.
func guardRollBack(in Input, k Connection, c Change) Hold {
	want, rejected := k.want(), rejectedIsLive(k)
	if c.Action != RotateSecret || c.ShowsRejected() || want.Secret.Mode != Given || !rejected && (!want.WasLive || c.Cause == Drift) {
		return Hold{}
	}
	back, next := number(want.Secret.Value.Key), newKey("", c.Connection)
	since := ""
	if !rejected {
		since = back + " was live before, and the key that is live now has replaced it; "
	}
	switch {
	case !want.WasLive:
		return ask("nobody remembers that "+back+" was ever live", next)
	case rejected && want.Rejected.Accepted:
		return ask("the provider accepts "+number(want.Rejected.Key)+", which is live", next)
	case k.Probe.Verdict != Good:
		return ask(since+"the provider has not accepted "+back+" now"+because(unproved(in, k)), next)
	case k.Probe.At.Before(want.LiveSince):
		return ask(since+"the provider was not asked about "+back+" since the live key was first seen", next)
	}
	return Hold{}
}

// guardRedirectHost holds what sends end users to a host that nobody but a committer
// vouches for: whoever answers there gets the codes that they sign in with. No allow
// lifts it, because the same committer writes that.
func guardRedirectHost(in Input, k Connection, c Change) Hold {
	var reason string
	for _, f := range c.Fields {
		host, foreign := foreignHost(in, f)
		if !foreign {
			continue
		}
		origin := k.want().RedirectURL.Origin
		if f.Field == FieldDomain {
			origin = k.want().Domain.Origin
		}
		reason = cmp.Or(reason, f.Field+" leads to "+host+" ("+cmp.Or(origin, c.Origin)+"), which is neither Terra's own host nor one that the runner lists")
		if _, isPlain := hostName(host); !isPlain {
			return ask(reason, edit(fileOf(in, k), "", "a plain host, as in https://HOST/PATH")) // another can be listed nowhere
		}
	}
	if reason == "" {
		return Hold{}
	}
	return ask(reason, Remediation{Kind: ByRunner, Text: "where the host is yours, list it for the runner, under redirect_hosts of the account in daemon.yaml, else in RECONCILE_REDIRECT_HOSTS"})
}

// guardRewound: an old key would go live again. No allow lifts it, because an old
// commit may hold one.
func guardRewound(in Input, _ Connection, c Change) Hold {
	writesKeys := c.Action == SetCredentials || c.Action == UpdateCredentials || c.Action == RotateSecret
	if in.Rewound == "" || c.Class == Safe && !writesKeys {
		return Hold{}
	}
	return ask(in.Rewound, Remediation{Kind: ByCommit, Text: "what is wanted again, as git revert does"})
}

func guardEmptyList(in Input, _ Connection, _ Change) Hold {
	if !in.isDoubtful() {
		return Hold{}
	}
	return ask(fmt.Sprintf("Terra lists no connection at all, and had %d when last looked at", in.liveBefore()))
}

// guardAdopt lets an enable pass, and the pause that belongs to it.
func guardAdopt(_ Input, k Connection, c Change) Hold {
	live := k.Observed != nil
	overwrites := c.Action == RotateSecret || c.Action == UpdateCredentials &&
		(has(c.Fields, FieldClientID) || has(c.Fields, FieldClientSecret) || has(c.Fields, FieldVerificationSecret))
	switch {
	case !c.Cause.IsFirst() || c.Action == Enable || c.Action == Pause && !live || !overwrites && c.Class == Safe:
		return Hold{}
	case !live:
		return ask("nothing is remembered of it, and end users may be linked from before")
	case k.known() || c.Cause == Create:
		return ask(c.Reason)
	}
	return ask("Terra already has it, and it is not known to be ours")
}

func guardSecretDrift(in Input, k Connection, c Change) Hold {
	keys := pairOf(c.Fields)
	drifted := c.Cause == Drift || k.memory().heldDrift(keys) ||
		has(keys, FieldClientSecret) && k.live().Secret.OutOfBand // also where a new key is due by now
	isGone := c.Action == SetCredentials // nothing is there that could have saved the day
	if len(keys) == 0 || isGone || !drifted || in.Environment.RevertSecretDrift {
		return Hold{}
	}
	if k.Probe.Verdict == Good && !k.Probe.At.Before(in.Now) {
		return Hold{} // an older answer may be from before the day that was saved
	}
	return ask("somebody set the keys out of band, perhaps in an emergency (on_secret_drift: hold, "+setBy(in.Environment.SecretDriftOrigin)+")", keepKeys(in, k, c, keys))
}

// keepKeys is how the live one of some keys gets into the files.
func keepKeys(in Input, k Connection, c Change, keys []FieldChange) Remediation {
	if has(keys, FieldClientID) {
		return edit(fileOf(in, k), "", "the live client_id and secret")
	}
	return newKey("keep it: type the live secret, which is encrypted into the file", c.Connection)
}

// guardNoWayBack holds what loses a live secret of which there is no copy, as long as
// nobody knows that the new one works.
func guardNoWayBack(in Input, k Connection, c Change) Hold {
	isUnknown := k.known() && k.memory().Fields[FieldClientSecret] == UnknownKey && k.live().Secret.LiveKey == 0
	if c.Action != RotateSecret || c.ShowsRejected() || !isUnknown || k.Probe.Verdict == Good {
		return Hold{}
	}
	noCopy := "no file has the live key, so there is no way back to it"
	seal := newKey("keep it: type the live secret while its portal still shows it, which is encrypted into the file", c.Connection)
	if mayYetBeProved(in, k, c) {
		return wait(noCopy+"; the provider is asked about "+number(k.want().Secret.Value.Key)+" when this is applied", seal)
	}
	return ask(noCopy+", and the provider has not accepted "+number(k.want().Secret.Value.Key)+because(unproved(in, k)), seal)
}

func guardDestructive(in Input, _ Connection, c Change) Hold {
	if isExplicit := c.Action == Disable && c.Cause != Prune; c.Class != Destructive || isExplicit {
		return Hold{}
	}
	if a, ok := expiredAllow(in, c); ok {
		return ask(fmt.Sprintf("destructive; the allow at %s ended %s", a.Origin, stamp(a.Until)))
	}
	return ask("destructive, and nobody has approved it")
}

func guardAfterSuspend(in Input, k Connection, c Change) Hold {
	if c.Class == Safe || !in.Suspended && !k.memory().Suspended {
		return Hold{}
	}
	return ask("first seen after a suspend, a pause or a restored state")
}

func guardWindow(in Input, _ Connection, c Change) Hold {
	if in.windows == nil {
		in = in.indexed()
	}
	if c.Class == Safe || in.windows.open {
		return Hold{}
	}
	reason := "outside the windows (" + in.Environment.WindowsOrigin + ")"
	h := wait(reason, Remediation{Kind: ByWaiting, Text: "wait for a window"}, approval(" with --now"))
	if in.windows.comes {
		opens := in.windows.next.Format("Mon 2 Jan 2006 15:04 MST")
		h.Reason += "; the next one opens " + opens
		h.Brief = "for the window that opens " + opens
	}
	return h
}
