package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Make compares every connection and lists what would have to change. It never fails:
// what cannot be known becomes a NotCompared entry. No change has a class or a gate
// yet: NeedsUsers says whose end users decide about a class, and once they are counted
// Classify and Guard follow.
func Make(in Input) Plan {
	p := Plan{
		Environment: in.Environment.Name, Account: in.Environment.Account, API: in.Environment.API, DevID: in.Environment.DevID,
		Changes: []Change{}, NotCompared: []NotCompared{}, Unmanaged: []string{}, Warnings: pauseWarnings(in),
		Live: in.liveCount(),
	}
	for _, k := range in.Connections {
		if k.Aside {
			continue
		}
		if k.Desired == nil {
			diffUnnamed(in, k, &p)
			continue
		}
		d := &diff{in: in, k: k, id: in.id(k), want: *k.Desired, live: *k.live(), isLive: k.Observed != nil, warnings: slices.Clip(k.Desired.Warnings)}
		d.run()
		prove(d.changes, d.want)
		p.Changes = append(p.Changes, d.changes...)
		p.NotCompared = append(p.NotCompared, d.notCompared...)
		p.Warnings = append(p.Warnings, d.warnings...)
		if len(d.changes) == 0 && len(d.notCompared) == 0 {
			p.Unchanged++
		}
	}
	slices.SortStableFunc(p.Changes, func(a, b Change) int {
		return cmp.Or(cmp.Compare(a.Connection, b.Connection), cmp.Compare(rank(a.Action), rank(b.Action)))
	})
	return p
}

// diffUnnamed looks at a connection that no file names: prune what we enabled when
// the environment asks for it, list the rest.
func diffUnnamed(in Input, k Connection, p *Plan) {
	if k.Observed == nil {
		return
	}
	p.Unmanaged = append(p.Unmanaged, k.Provider)
	id, known := in.id(k), k.known() || k.memory().Enabled
	switch {
	case known && k.Observed.Failed != "":
		p.NotCompared = append(p.NotCompared, NotCompared{Connection: id, Reason: k.Observed.Failed})
	case k.memory().Enabled && in.Environment.PruneDisable:
		p.Changes = append(p.Changes, Change{
			ID: id + ":" + string(Disable), Connection: id, Provider: k.Provider, Action: Disable, Cause: Prune,
			Reason: "we enabled it and no file names it any more", Origin: cmp.Or(in.Environment.PruneOrigin, in.Environment.Origin),
			Fields:       []FieldChange{{Field: FieldState, From: text(stateOf(*k.Observed)), To: text(string(Disabled))}},
			Remediations: []Remediation{},
		})
	case known:
		w := Warn(id, "no longer named by any file; it stays as it is")
		w.Text = id + " is " + w.Cause
		p.Warnings = append(p.Warnings, w)
	}
}

func stateOf(o Observed) string {
	if o.Active {
		return string(Active)
	}
	return string(Paused)
}

func (d *diff) run() {
	switch {
	case d.want.Unreadable != "":
		d.skip("", d.want.Unreadable)
		return
	case d.isLive && d.live.Failed != "":
		d.skip("", d.live.Failed)
		return
	case d.want.State == Disabled:
		if d.isLive && !d.k.ignores(FieldState) {
			d.addState(Disable, stateOf(d.live), Disabled)
		}
		return
	case !d.isLive && d.k.ignores(FieldState):
		d.warn("it is not enabled and policy.ignore leaves its state alone, so nothing else is compared")
		return
	}
	d.diffState()
	d.diffDomain()
	d.diffCredentials()
	d.diffScopes()
	d.diffApp()
	d.diffWebhooks()
	d.diffMemory()
}

// diffState enables, pauses and resumes. What is to be paused and is not there is
// enabled and paused at once.
func (d *diff) diffState() {
	switch {
	case !d.isLive:
		d.addState(Enable, "not enabled", Active)
		if d.want.State == Paused {
			d.addState(Pause, string(Active), Paused)
		}
	case d.k.ignores(FieldState):
	case d.want.State == Paused && d.live.Active:
		d.addState(Pause, string(Active), Paused)
	case d.want.State == Active && !d.live.Active:
		d.addState(Resume, string(Paused), Active)
	}
}

// diffDomain compares the custom domain of the redirect.
func (d *diff) diffDomain() {
	want := d.want.Domain
	if want.Mode == Unmanaged || d.k.ignores(FieldDomain) {
		return
	}
	live := d.k.domain()
	switch {
	case live == nil:
		d.skip(FieldDomain, "the custom domain could not be read")
	case live.Unread != "":
		d.skip(FieldDomain, live.Unread)
	case want.Mode == Default && live.Hostname != "" && !live.Shared:
		d.add(ReleaseDomain, want.Origin, FieldChange{Field: FieldDomain, From: text(live.Hostname), To: FieldValue{Default: true}})
	case want.Mode == Default:
	case live.Hostname == "", live.Shared && !strings.EqualFold(live.Hostname, want.Value):
		d.add(SetDomain, want.Origin, FieldChange{Field: FieldDomain, To: text(want.Value)})
	case !strings.EqualFold(live.Hostname, want.Value):
		d.add(SetDomain, want.Origin, FieldChange{Field: FieldDomain, From: text(live.Hostname), To: text(want.Value)})
	case !live.Live:
		d.warn(fmt.Sprintf("%s is %s and does not serve yet; the record that Terra asks for: %s", live.Hostname, live.State, live.Publish))
	}
}

func (d *diff) diffScopes() {
	want, live := d.want.Scopes, d.live.Scopes
	switch {
	case want.Mode == Unmanaged || d.k.ignores(FieldScopes):
	case d.isLive && live == nil:
		d.skip(FieldScopes, "the scopes could not be read")
	case want.Mode == Default:
		if live != nil && live.Customised {
			d.add(ResetScopes, want.Origin, FieldChange{Field: FieldScopes, From: list(live.Enabled), To: FieldValue{Default: true}})
		}
	case live == nil && len(want.Value) == 0 && d.k.offered() && !d.k.Type.CustomScopes: // there is nothing to choose
	case live == nil:
		d.add(SetScopes, want.Origin, FieldChange{Field: FieldScopes, To: list(want.Value)})
	default:
		to := sorted(append(slices.Clone(want.Value), live.Required...))
		if !slices.Equal(to, sorted(live.Enabled)) {
			d.add(SetScopes, want.Origin, FieldChange{Field: FieldScopes, From: list(live.Enabled), To: list(to)})
		}
	}
}

// diffApp compares whose app users meet, where a file says it in words: what the choice
// means beside keys is not settled, so it is never sent for keys alone.
//
//	Terra lets one choose     -> set-app when users meet another one
//	only by credentials       -> follows from them; `app: terra` is blocked
//	not at all                -> `app: own` is blocked
//	not known what it offers  -> not compared, unless live already agrees
func (d *diff) diffApp() {
	want, offer := d.want.App, *d.k.offer()
	if want.Mode == Unmanaged && !d.k.ignores(FieldApp) {
		d.idleKeys()
	}
	if want.Mode == Unmanaged || d.k.ignores(FieldApp) {
		return
	}
	own, meetsOwn := variantOf(want) == "byo", d.k.meetsOwn()
	agrees := d.isLive && own == meetsOwn
	change := FieldChange{Field: FieldApp, To: text(want.Value)}
	if want.Mode == Default {
		change.To = FieldValue{Default: true}
	}
	if d.isLive && offer.BYO {
		change.From = text("terra")
		if meetsOwn {
			change.From = text("own")
		}
	}
	switch isWord := slices.Contains([]string{"", "standard", "byo"}, d.live.Variant); {
	case !isWord:
		d.skip(FieldApp, unknownWord(d.live.Variant))
	case !d.k.offered():
		if !agrees && (d.isLive || d.k.Type == nil) {
			d.skip(FieldApp, "it is not known what Terra offers for "+d.k.Provider)
		}
	case offer.BYO:
		if !agrees && (d.isLive || own) {
			d.add(SetApp, want.Origin, change)
		}
	case !own && offer.CustomCredentials, own && !offer.CustomCredentials && !d.want.Credentials && !agrees:
		d.add(SetApp, want.Origin, change) // what Terra cannot do is said by a guard
	}
}

func unknownWord(word string) string {
	return "Terra says " + strconv.Quote(word) + ", a word that this version does not know"
}

// idleKeys warns of keys that have no effect: they were set, and users meet Terra's app.
func (d *diff) idleKeys() {
	if live := d.live.Credentials; d.want.Credentials && live != nil && live.TerraOwned && (live.Set || live.Hidden) {
		d.warnings = append(d.warnings, Warn(d.id, "users meet Terra's app, so its keys have no effect",
			edit(file(d.want.Origin), "app: own", "`app: own`, to move users to them, or `app: terra`")))
	}
}

// diffWebhooks compares Garmin's webhook rows with the custom domain.
func (d *diff) diffWebhooks() {
	want, live := d.want.Webhooks, d.live.Webhooks
	if want.Mode != Given || !want.Value || d.k.ignores(FieldWebhooks) {
		return
	}
	change := FieldChange{Field: FieldWebhooks, To: text("managed")}
	switch {
	case d.isLive && live == nil:
		d.skip(FieldWebhooks, "the webhook rows could not be read")
		return
	case d.isLive && live.Reason == "" && live.Pending == 0 && live.Word != "":
		d.skip(FieldWebhooks, unknownWord(live.Word))
		return
	case d.isLive && live.Reason == "" && live.Pending == 0:
		return
	case d.isLive && live.Reason == "" && !live.Locked:
		change.From = text(fmt.Sprintf("%d rows to set (review %s)", live.Pending, live.Fingerprint))
	}
	d.add(ApplyWebhooks, want.Origin, change)
}

// diffMemory says which remembered fields the file dropped.
func (d *diff) diffMemory() {
	if !d.k.known() {
		return
	}
	tokens := desiredTokens(d.want)
	dropped := []string{}
	for field := range d.k.memory().Fields {
		if _, still := tokens[field]; !still && !d.k.ignores(field) && !(field == FieldClientSecret && d.want.Rejected != nil) {
			dropped = append(dropped, field)
		}
	}
	slices.Sort(dropped)
	for _, field := range dropped {
		d.warn(field + " is no longer managed; it stays as it is")
	}
}
