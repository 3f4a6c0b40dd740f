package plan

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// allowFor is how long an allow lasts that a plan proposes.
const allowFor = 7 * 24 * time.Hour

// wayThrough says what lets a held change through: what to type, or the lines to
// commit and where; "" where the reason says it.
func wayThrough(in Input, guard string, c Change) string {
	env, own := in.Environment, file(in.Environment.Origin)
	if isDesired(in, c.Provider) {
		own = file(desiredOf(in, c.Provider).Origin)
	}
	row, _ := OverrideOf(guard)
	var ways []string
	switch guard {
	case "pause":
		return PausesOf(c.Provider, inForce(in)).Lift()
	case "suspend":
		return "it ends by itself; a commit that takes it out ends it sooner"
	case "observe":
		return commit(place(env.ModeOrigin, env.Origin), "mode: apply")
	case "empty-set":
		return "nothing; to disable it keep its file and commit state: disabled there"
	case "protect":
		if !isDesired(in, c.Provider) {
			own = strings.TrimSuffix(own, "environment.yaml") + c.Provider + ".yaml"
		}
		return commit(own, "policy: {protect: false}") + ", in the file of the connection, which has to stay"
	case "on_drift":
		return commit(place(env.DriftOrigin, env.Origin), "on_drift: revert") + "; or commit to " + own + " what Terra has"
	case "window":
		return "wait, or approve this plan with --now"
	case "probe":
		return "`reconcile rotate add " + c.Connection + "`"
	case "roll-back":
		ways = []string{"`reconcile rotate add " + c.Connection + "`"}
	case "probe-required":
		ways = []string{commit(own, "rotation: {probe: prefer}")}
	case guardSecretDrift:
		ways = []string{sealLive(c, own)}
	case guardOlderCommit:
		return "approve this plan; or commit what is wanted anew, as git revert does"
	case guardRedirectHost:
		return strings.Join(append([]string{"approve this plan"}, redirectWays(in, c)...), "; or ")
	case "empty-list", "adopt", "destructive", "after-suspend", "secret-ref":
	default: // the reason of what comparing alone holds says it already
		return ""
	}
	if row.Hash {
		ways = append(ways, "approve this plan")
	}
	return strings.Join(append(ways, commit(own, allowLines(in, c))), "; or ")
}

// sealLive is how the file learns of a key that was set by hand.
func sealLive(c Change, file string) string {
	if has(c.Fields, FieldClientID) || !has(c.Fields, FieldClientSecret) {
		return "commit the live key to " + file
	}
	return "seal the live key: `reconcile rotate add " + c.Connection + "`"
}

// wayThroughCap raises a cap just so far that this plan passes.
func wayThroughCap(in Input, origin, lines string) string {
	if lines == "" {
		return "approve this plan, or commit fewer at a time"
	}
	return "approve this plan; or " + commit(place(origin, in.Environment.Origin), lines)
}

// askWay is the command that asks the provider, as a run that applies does anyway, where
// a pair that it accepts is not held by that guard; else "".
func askWay(in Input, guard string, c Change) string {
	byProof := []string{"roll-back", "probe-required", guardSecretDrift, "after-suspend", "window", "max_changes"}
	if c.Action == UpdateCredentials || !slices.Contains(byProof, guard) || !mayYetBeProved(in, c) {
		return ""
	}
	return "`reconcile --dry-run --probe --env " + in.Environment.Name + "`"
}

func commit(path, lines string) string { return "commit to " + path + ": " + lines }

// file is the path in an origin such as production/strava.yaml:9.
func file(origin string) string {
	if i := strings.LastIndexByte(origin, ':'); i > 0 {
		return origin[:i]
	}
	return origin
}

// place is the file in which a line stands, or in which it would if it were there.
func place(origin, instead string) string { return file(cmp.Or(origin, instead)) }

// setBy names the line that set a value, or says that none did.
func setBy(origin string) string { return cmp.Or(origin, "built-in default") }

// allowLines is the policy that allows a change, with a reason to fill in.
func allowLines(in Input, c Change) string {
	var rows []string
	for _, a := range allowsFor(in, c) {
		row := "{"
		if !isDesired(in, c.Provider) {
			row += "connection: " + a.Provider + ", "
		}
		row += "change: " + a.Change
		if a.To != "" {
			row += ", to: " + strconv.Quote(a.To)
		}
		rows = append(rows, row+", until: "+a.Until.Format(time.DateOnly)+", reason: \"...\"}")
	}
	return "policy: {allow: [" + strings.Join(rows, ", ") + "]}"
}

// allowsFor gives the least that approves a change: one word for the whole of it,
// or, where it may hold a client_id or secret_ref, one for each field.
func allowsFor(in Input, c Change) []Allow {
	until := in.Now.Add(allowFor).UTC().Truncate(24 * time.Hour)
	one := func(word, to string) Allow {
		return Allow{Provider: c.Provider, Change: word, To: to, Until: until}
	}
	switch {
	case c.Cause == Prune:
		return []Allow{one("prune", "")}
	case c.Action != UpdateCredentials:
		return []Allow{one(string(c.Action), "")}
	}
	var out []Allow
	travels := has(c.Fields, FieldClientID) || has(c.Fields, FieldSecretRef)
	for _, f := range c.Fields {
		to := ""
		if f.To.Value != nil {
			to = *f.To.Value
		}
		if f.Field != FieldClientSecret || !travels {
			out = append(out, one(f.Field, to))
		}
	}
	return out
}
