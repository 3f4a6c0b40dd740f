package plan

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// facts are what a test plans from: what each source says, by provider.
type facts struct {
	Now           time.Time
	Environment   Environment
	Desired       []Desired
	Observed      map[string]Observed
	Domains       map[string]Domain // of those that are not live
	Types         map[string]Type   // nil: unknown
	Memory        Memory
	KillSwitches  []KillSwitch
	After         map[string]After // by provider
	Rewound       string
	RedirectHosts []string
	Users         map[string]Users
	Probes        map[string]Probe
	ApprovedAll   bool
	ApprovedEach  bool // each connection by its own hash
	NowFlag       bool
	Asks          bool
}

// input joins the facts about each connection, as a run does.
func (f facts) input() Input {
	all := map[string]*Connection{}
	of := func(provider string) *Connection {
		if all[provider] == nil {
			all[provider] = &Connection{Provider: provider, Remembered: f.Memory.Of(provider), Probe: f.Probes[provider]}
			if after, ok := f.After[provider]; ok {
				all[provider].After = &after
			}
		}
		return all[provider]
	}
	for _, d := range f.Desired {
		of(d.Provider).Desired = &d
	}
	for provider, o := range f.Observed {
		of(provider).Observed = &o
	}
	for provider := range f.Memory.Connections {
		of(provider)
	}
	for provider, k := range all {
		if d, ok := f.Domains[provider]; ok && k.Observed == nil {
			k.Domain = &d
		}
		if t, offered := f.Types[provider]; f.Types != nil {
			t.NotOffered = !offered
			k.Type = &t
		}
		if u, counted := f.Users[provider]; counted {
			k.Users = &u
		}
	}
	in := Input{Now: f.Now, Environment: f.Environment, Suspended: f.Memory.Suspended, KillSwitches: f.KillSwitches, Rewound: f.Rewound,
		RedirectHosts: f.RedirectHosts, Asks: f.Asks, Gone: f.Memory.Gone}
	for _, k := range slices.SortedFunc(maps.Values(all), func(a, b *Connection) int { return cmp.Compare(a.Provider, b.Provider) }) {
		in.Connections = append(in.Connections, *k)
	}
	return in
}

func (f facts) consent() Consent {
	c := Consent{Plan: f.ApprovedAll, Now: f.NowFlag}
	if f.ApprovedEach {
		c.Alone = map[string]bool{}
		for _, k := range f.input().Connections {
			c.Alone[f.input().id(k)] = f.NowFlag
		}
	}
	return c
}

// planOf runs all passes, as a run does.
func planOf(f facts) Plan { return planBy(Guards(), f) }

// planWithout plans as if one guard were not there.
func planWithout(f facts, guard string) Plan {
	return planBy(slices.DeleteFunc(Guards(), func(g GuardRow) bool { return g.Name == guard }), f)
}

func planBy(rows []GuardRow, f facts) Plan {
	in := f.input()
	return approveBy(rows, in, guardBy(rows, in, Classify(in, Make(in))), f.consent())
}

// isApproved tells whether a person approved this very change, either way.
func isApproved(f facts, c Change) bool { return f.ApprovedAll || isAllowed(f.input(), c) }

func rememberOf(f facts, p Plan, applied map[string]bool) Memory {
	return Remember(f.input(), p, Results{Applied: applied})
}

// desiredOf gives the zero value for a connection that no file names.
func desiredOf(f facts, provider string) Desired {
	for _, d := range f.Desired {
		if d.Provider == provider {
			return d
		}
	}
	return Desired{}
}

func isDesired(f facts, provider string) bool {
	return slices.ContainsFunc(f.Desired, func(d Desired) bool { return d.Provider == provider })
}

// of gives what is remembered of a connection, the zero value when that is nothing.
func (m Memory) of(provider string) Remembered {
	if !m.Known {
		return Remembered{}
	}
	return m.Connections[provider]
}
