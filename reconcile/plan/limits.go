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
	return fmt.Sprintf("no changes until %s by %s: %s", stamp(s.Until), s.Owner, s.Reason)
}

// Resume is the command that lifts it before its time, of which whoever set it knows
// whether that is safe.
func (s KillSwitch) Resume() Remediation {
	c := NextCommand("to end the pause sooner, if "+cmp.Or(s.Owner, "whoever set it")+" agrees"+s.reach(), "resume")
	if s.Target != "" {
		c.Command = append(c.Command, s.Target)
	}
	return c
}

// A pause is lifted by the name that it was set on.
const notOne = " (not possible for one alone)"

// reach says how far it reaches where that is beyond one connection.
func (s KillSwitch) reach() string {
	switch {
	case s.Target == "":
		return ", for every environment" + notOne
	case s.Provider == "":
		return ", for all of " + s.Target + notOne
	}
	return ""
}

// Pauses are kill switches that hold the same.
type Pauses []KillSwitch

// String says for how long each holds, who wants that and why.
func (all Pauses) String() string {
	if len(all) == 1 {
		return all[0].String()
	}
	var out []string
	for _, s := range all {
		out = append(out, cmp.Or(s.Target, "everything")+": "+s.String())
	}
	return strings.Join(out, "; ")
}

// Resume gives the commands that lift them, all of which it takes.
func (all Pauses) Resume() []Remediation {
	var out []Remediation
	for _, s := range all {
		c := s.Resume()
		if len(all) > 1 {
			c.Text += fmt.Sprintf("; one of %d pauses, all of which hold it", len(all))
		}
		out = append(out, c)
	}
	return out
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

// inForce are the kill switches that hold now.
func (in Input) inForce() []KillSwitch {
	return slices.DeleteFunc(slices.Clone(in.KillSwitches), func(s KillSwitch) bool { return !in.Now.Before(s.Until) })
}

// pauseWarnings lets the reader of a plan know of each kill switch, before all else
// that it warns of, also where it holds no change at this moment.
func pauseWarnings(in Input) []Warning {
	out := []Warning{}
	for _, s := range in.inForce() {
		about, what := "", in.Environment.Name
		if s.Provider != "" {
			what += "/" + s.Provider
			about = what
		}
		out = append(out, Warning{Connection: about, Cause: s.String(), Text: what + ": " + s.String(), Remediations: []Remediation{s.Resume()}})
	}
	slices.SortFunc(out, func(a, b Warning) int { return cmp.Compare(a.Text, b.Text) })
	return out
}

// open tells whether t falls into the window by the wall clock of its zone: in
// an hour that daylight saving repeats the window is open twice, in a skipped
// hour it is not open at all.
func (w Window) open(t time.Time) bool {
	local := t.In(w.Location)
	minute := local.Hour()*60 + local.Minute()
	if w.From < w.To {
		return w.on(local.Weekday()) && minute >= w.From && minute < w.To
	}
	yesterday := (local.Weekday() + 6) % 7
	return w.on(local.Weekday()) && minute >= w.From || w.on(yesterday) && minute < w.To
}

func (w Window) on(day time.Weekday) bool {
	for _, d := range w.Days {
		if d == day {
			return true
		}
	}
	return len(w.Days) == 0
}

// next is the first moment after t, at which the window is closed, at which it
// opens, within nine days. Between two changes of the clock the zone is a fixed
// offset; a change itself may jump into the window.
func (w Window) next(t time.Time) (time.Time, bool) {
	until := t.AddDate(0, 0, 9)
	for from := t.In(w.Location); from.Before(until); {
		_, end := from.ZoneBounds()
		name, offset := from.Zone()
		local := from.In(time.FixedZone(name, offset))
		for day := range 10 {
			at := time.Date(local.Year(), local.Month(), local.Day()+day, 0, w.From, 0, 0, local.Location()).In(w.Location)
			if at.After(t) && !at.Before(from) && (end.IsZero() || at.Before(end)) && w.open(at) {
				return at, true
			}
		}
		if end.IsZero() {
			break
		}
		if from = end.In(w.Location); w.open(from) {
			return from, true
		}
	}
	return time.Time{}, false
}

// openNow tells whether any window is open at t. No windows means always.
func openNow(windows []Window, t time.Time) bool {
	for _, w := range windows {
		if w.open(t) {
			return true
		}
	}
	return len(windows) == 0
}

// Opens is when the next window of an environment opens after t. It is false where
// none does within nine days.
func (e Environment) Opens(t time.Time) (time.Time, bool) { return nextOpening(e.Windows, t) }

// nextOpening is the earliest opening of all windows after t.
func nextOpening(windows []Window, t time.Time) (time.Time, bool) {
	var first time.Time
	for _, w := range windows {
		if at, ok := w.next(t); ok && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	return first, !first.IsZero()
}

// maxChanges trips when the counted changes harm more connections than the cap allows.
// Several on one connection count once. Count and percent both bind; the percentage is
// of live connections, with those that the counted changes make live, rounded up, at
// least 1: small environments stay operable, and 100% never blocks.
func maxChanges(in Input, counted []Change, live int) Hold {
	harmed := map[string]bool{}
	for _, c := range counted {
		if !harmed[c.Connection] && in.of(c.Provider).Observed == nil {
			live++
		}
		harmed[c.Connection] = true
	}
	env, n := in.Environment, len(harmed)
	byPercent := max(1, (env.CapPercent*live+99)/100)
	limit := min(env.CapCount, byPercent)
	if n <= limit {
		return Hold{}
	}
	reason := fmt.Sprintf("disruptive or destructive for %d of %d live; %d allowed: count %d, %d%% is %d (%s)",
		n, live, limit, env.CapCount, env.CapPercent, byPercent, setBy(env.CapOrigin))
	percent := (100*n + live - 1) / max(1, live)
	return block(reason, edit(file(env.Origin), fmt.Sprintf("policy: {max_changes: {count: %d, percent: %d}}", max(env.CapCount, n), max(env.CapPercent, percent)), ""))
}

// maxRotations trips when there are more rotations, whatever asks for them, than their
// cap allows. Those that nobody proved count above as well.
func maxRotations(in Input, counted []Change, _ int) Hold {
	env, n := in.Environment, len(counted)
	if n <= env.MaxRotations {
		return Hold{}
	}
	return block(fmt.Sprintf("%d rotations at once, %d allowed (%s)", n, env.MaxRotations, setBy(env.RotationsOrigin)),
		edit(file(env.Origin), fmt.Sprintf("policy: {max_rotations: %d}", n), ""))
}

// indexed finds out once what each change asks for.
func (in Input) indexed() Input {
	in.allows = map[string][]Allow{}
	for _, a := range in.Environment.Allow {
		provider := strings.ToLower(a.Provider)
		in.allows[provider] = append(in.allows[provider], a)
	}
	env := in.Environment
	in.windows = &windows{open: openNow(env.Windows, in.Now) && openNow(env.Windows, in.Now.Add(in.ClockOff))}
	if !in.windows.open {
		in.windows.next, in.windows.comes = env.Opens(in.Now)
	}
	return in
}
