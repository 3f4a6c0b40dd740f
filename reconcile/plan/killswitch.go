package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// KillSwitch holds every change of an environment, or of one connection, until a
// moment (exclusive). It is the runner's own and needs no commit.
type KillSwitch struct {
	Provider      string // "": every connection of the environment
	Target        string // what it was set on: "" for everything, ENV or ENV/CONN
	Reason, Owner string
	Until         time.Time
}

// String says for how long it holds, who wants that and why.
func (s KillSwitch) String() string {
	return fmt.Sprintf("paused until %s by %s: %s", stamp(s.Until), s.Owner, s.Reason)
}

// Lift is the command that lifts it, in backticks.
func (s KillSwitch) Lift() string { return strings.TrimSpace("`reconcile resume "+s.Target) + "`" }

// Pauses are kill switches that hold the same.
type Pauses []KillSwitch

// String says for how long each holds, who wants that and why.
func (all Pauses) String() string {
	if len(all) == 1 {
		return all[0].String()
	}
	var out []string
	for _, s := range all {
		out = append(out, cmp.Or(s.Target, "everything")+" is "+s.String())
	}
	return strings.Join(out, "; ")
}

// Lift names the commands that lift them, all of which it takes.
func (all Pauses) Lift() string {
	var out []string
	for _, s := range all {
		out = append(out, s.Lift())
	}
	return strings.Join(out, " and ")
}

// PausesOf gives those that hold a connection, the widest first; of several on the
// same target the one that holds longest.
func PausesOf(provider string, switches []KillSwitch) Pauses {
	var out Pauses
	for _, s := range switches {
		if s.Provider != "" && s.Provider != provider {
			continue
		}
		at := slices.IndexFunc(out, func(other KillSwitch) bool { return other.Target == s.Target })
		switch {
		case at < 0:
			out = append(out, s)
		case s.Until.After(out[at].Until):
			out[at] = s
		}
	}
	slices.SortFunc(out, func(a, b KillSwitch) int {
		return cmp.Or(cmp.Compare(strings.Count(a.Target, "/"), strings.Count(b.Target, "/")), cmp.Compare(a.Target, b.Target))
	})
	return out
}

func inForce(in Input) []KillSwitch {
	return slices.DeleteFunc(slices.Clone(in.KillSwitches), func(s KillSwitch) bool { return !in.Now.Before(s.Until) })
}

// tellKillSwitches lets the reader of a plan know of each one, before all else that it
// warns of, also where it holds no change at this moment.
func tellKillSwitches(in Input, p *Plan) {
	var told []Warning
	for _, s := range inForce(in) {
		about, what := "", in.Environment.Name
		if s.Provider != "" {
			what += "/" + s.Provider
			about = what
		}
		told = append(told, Warning{About: about, Cause: s.String(), Next: s.Lift() + " lifts it", Text: what + " is " + s.String() + "; " + s.Lift() + " lifts it"})
	}
	slices.SortFunc(told, func(a, b Warning) int { return cmp.Compare(a.Text, b.Text) })
	p.Warnings = append(told, p.Warnings...)
}

func checkKillSwitch(in Input, c *Change, _ bool) (Gate, string) {
	if all := PausesOf(c.Provider, inForce(in)); len(all) > 0 {
		return Blocked, all.String()
	}
	return Ready, ""
}
