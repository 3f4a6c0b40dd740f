package plan

import (
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

// killSwitch gives the one that holds a connection longest.
func killSwitch(in Input, provider string) (KillSwitch, bool) {
	var last KillSwitch
	for _, s := range inForce(in) {
		if (s.Provider == "" || s.Provider == provider) && s.Until.After(last.Until) {
			last = s
		}
	}
	return last, !last.Until.IsZero()
}

func inForce(in Input) []KillSwitch {
	return slices.DeleteFunc(slices.Clone(in.KillSwitches), func(s KillSwitch) bool { return !in.Now.Before(s.Until) })
}

// tellKillSwitches lets the reader of a plan know of each one, also where it holds
// no change at this moment.
func tellKillSwitches(in Input, p *Plan) {
	for _, s := range inForce(in) {
		what := in.Environment.Name
		if s.Provider != "" {
			what += "/" + s.Provider
		}
		p.Warnings = append(p.Warnings, what+" is "+s.String()+"; "+s.Lift()+" lifts it")
	}
	slices.Sort(p.Warnings[len(p.Warnings)-len(inForce(in)):])
}

func checkKillSwitch(in Input, c *Change, _ bool) (Gate, string) {
	if s, on := killSwitch(in, c.Provider); on {
		return Blocked, s.String()
	}
	return Ready, ""
}
