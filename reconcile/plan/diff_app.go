package plan

import "slices"

// diffApp compares whose app users meet.
//
//	Terra lets one choose     -> set-app when the live variant differs
//	only by credentials       -> follows from them; `app: terra` is blocked
//	not at all                -> `app: own` is blocked
//	not known what it offers  -> not compared, unless live already agrees
func (d *diff) diffApp() {
	want := d.want.App
	if want.Mode == Unmanaged || d.ignored(FieldApp) {
		return
	}
	own := wantedVariant(want) == "byo"
	agrees := d.isLive && d.live.Variant == wantedVariant(want)
	change := FieldChange{Field: FieldApp, To: text(want.Value)}
	if want.Mode == Default {
		change.To = FieldValue{Default: true}
	}
	if d.isLive && d.offer.BYO {
		change.From = text(appOf(d.live.Variant))
	}
	switch {
	case d.in.Types == nil || !d.isOffered:
		if !agrees && (d.isLive || d.in.Types == nil) {
			d.skip(FieldApp, "it is not known what Terra offers for "+d.want.Provider)
		}
	case d.offer.BYO:
		if !agrees && (d.isLive || own) {
			c := d.add(SetApp, want.Origin, []FieldChange{change})
			if own && d.isShut {
				c.block("credentials", "Terra shows no keys, and those of the file cannot be opened here; no user is sent to an app without keys")
			}
		}
	case !own && d.offer.CustomCredentials:
		d.add(SetApp, want.Origin, []FieldChange{change}).block("provider",
			"with "+d.want.Provider+" the app follows from the credentials and Terra cannot remove them; drop `app`")
	case own && !d.offer.CustomCredentials && !d.want.Credentials && !agrees:
		d.add(SetApp, want.Origin, []FieldChange{change}).block("provider",
			"Terra does not accept an app of your own for "+d.want.Provider+"; drop `app: own`")
	}
}

// wantedVariant is Terra's word for the app that the file names; null is Terra's own.
func wantedVariant(app Setting[string]) string {
	if app.Mode == Given && app.Value == "own" {
		return "byo"
	}
	return "standard"
}

func appOf(variant string) string {
	if variant == "byo" {
		return "own"
	}
	return "terra"
}

// holdOwnApp keeps a connection on Terra's app while a human step of the own app
// is open; that Terra does not offer one yet is what the step is for. A connection
// that runs on its own app already is never held.
func (d *diff) holdOwnApp() {
	i := slices.IndexFunc(d.want.Waits, func(w Wait) bool { return w.OwnApp })
	if i < 0 {
		return
	}
	for j := range d.changes {
		c := &d.changes[j]
		if c.Action == SetCredentials || c.Action == SetApp && wantedVariant(d.want.App) == "byo" {
			if c.Guard == "provider" {
				c.Gate = Ready
			}
			c.waitFor(d.want.Waits[i])
		}
	}
}

// waitFor lets a change wait for a human step, unless something else holds it.
func (c *Change) waitFor(w Wait) {
	if c.Gate == Ready {
		c.Gate, c.Guard, c.GateReason = Waiting, "setup", "step "+w.Step+": "+w.Reason
	}
}
