package plan

import (
	"cmp"
	"slices"
)

// Make plans one environment. It never fails: what cannot be known becomes a
// NotCompared entry or a gate. Call it again with Users filled in for the
// providers that NeedUsers names to get the final classes and gates.
func Make(in Input) Plan { return makeWithout(in, "") }

// makeWithout plans as if one guard were not there. Only tests name one.
func makeWithout(in Input, guard string) Plan {
	p := Plan{
		Environment: in.Environment.Name, DevID: in.Environment.DevID,
		Changes: []Change{}, NotCompared: []NotCompared{}, Unmanaged: []string{}, Warnings: []Warning{},
		Live: len(in.Observed),
	}
	desired := slices.Clone(in.Desired)
	slices.SortFunc(desired, func(a, b Desired) int { return cmp.Compare(a.Provider, b.Provider) })
	for _, d := range desired {
		c := newDiff(in, d)
		c.run()
		p.Changes = append(p.Changes, c.changes...)
		p.NotCompared = append(p.NotCompared, c.notCompared...)
		p.Warnings = append(p.Warnings, c.warnings...)
		if len(c.changes) == 0 && len(c.notCompared) == 0 {
			p.Unchanged++
		}
	}
	diffUnnamed(in, &p)
	tellKillSwitches(in, &p)
	slices.SortStableFunc(p.Changes, func(a, b Change) int {
		return cmp.Or(cmp.Compare(a.Connection, b.Connection), cmp.Compare(rank(a.Action), rank(b.Action)))
	})
	classify(in, p.Changes)
	for i := range p.Changes {
		if c := &p.Changes[i]; guard != "" && c.Guard == guard {
			c.Gate, c.Guard, c.GateReason = Ready, "", ""
		}
	}
	askGuards(in, &p, guard)
	return p
}

// Order lists the actions as they are applied to one connection.
func Order() []Action {
	return []Action{Enable, Pause, SetDomain, SetCredentials, UpdateCredentials, RotateSecret, ReleaseDomain,
		SetScopes, ResetScopes, SetApp, Resume, ApplyWebhooks, Disable}
}

func rank(a Action) int { return slices.Index(Order(), a) }

// diffUnnamed looks at live connections that no file names: prune what we
// enabled when the environment asks for it, list the rest.
func diffUnnamed(in Input, p *Plan) {
	named := map[string]bool{}
	for _, d := range in.Desired {
		named[d.Provider] = true
	}
	for provider := range in.Observed {
		if !named[provider] {
			p.Unmanaged = append(p.Unmanaged, provider)
		}
	}
	slices.Sort(p.Unmanaged)
	for _, provider := range p.Unmanaged {
		id := in.Environment.Name + "/" + provider
		m, known := in.Memory.known(provider)
		known = known || in.Memory.of(provider).Enabled
		switch failed := in.Observed[provider].Failed; {
		case known && failed != "":
			p.NotCompared = append(p.NotCompared, NotCompared{Connection: id, Reason: failed})
		case m.Enabled && in.Memory.Known && in.Environment.PruneDisable:
			p.Changes = append(p.Changes, Change{
				ID: id + ":" + string(Disable), Connection: id, Provider: provider, Action: Disable, Cause: Prune,
				Reason: "we enabled it and no file names it any more", Origin: cmp.Or(in.Environment.PruneOrigin, in.Environment.Origin), Gate: Ready,
				Fields: []FieldChange{{Field: FieldState, From: text(stateOf(in.Observed[provider])), To: text(string(Disabled))}},
			})
		case known:
			w := Warn(id, "no longer named by any file; it stays as it is")
			w.Text = id + " is " + w.Cause
			p.Warnings = append(p.Warnings, w)
		}
	}
}

func stateOf(o Observed) string {
	if o.Active {
		return string(Active)
	}
	return string(Paused)
}

func text(s string) FieldValue { return FieldValue{Value: &s} }
