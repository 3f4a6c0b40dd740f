package keys

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

// advice says what the state alone does not, and what a person does about the keys.
func (s Set) advice(f Facts, k Status) (text string, next []plan.Remediation) {
	look := plan.NextCommand("see the change", "--dry-run", "--env", f.Environment)
	left, _ := f.left(k)
	switch k.State {
	case LiveRejected, Rejected:
		text, next = s.rejectedKey(f, k)
	case OutOfBand:
		text = "a key that the file does not have, perhaps in an emergency"
		next = []plan.Remediation{plan.NextCommand("seal it", "rotate", "add", k.Connection)}
		if s.Entry(k.Due).Unknown {
			next = append(next, plan.NextCommand("or let it stay unknown, as if the connection were found anew", "state", "forget", k.Connection))
		}
		next = append(next, look)
	case Overdue:
		text, next = f.overdue(k), f.successor(k)
	case Expiring:
		text = fmt.Sprintf("key %d reaches rotation.max_age in %d days%s", k.Live, int(left/day), f.where())
		next = f.successor(k)
	case Held:
		text, next = f.dueKey(k), []plan.Remediation{look}
	case Due:
		text = f.dueKey(k)
	case Unknown:
		text, next = s.notKnown(f, k)
	case Soaking:
		text = "nothing to do; the soak ends " + k.SoakEndsAt.Format("2006-01-02 15:04 MST")
	case OK:
	}
	for _, state := range k.Also {
		switch state {
		case Overdue:
			text = join(text, f.overdue(k))
		case Rejected:
			words, ways := s.rejectedKey(f, k)
			if text = join(text, words); k.State == Overdue { // what is out of band is sealed first
				next = ways
			}
		case Held, Due:
			if text = join(text, f.dueKey(k)); !k.Is(Rejected) {
				next = []plan.Remediation{look}
			}
		case LiveRejected, OutOfBand, Soaking, Expiring, Unknown, OK: // never beside another one
		}
	}
	switch k.State {
	case OK, Soaking, Expiring, Overdue, Unknown:
		if words := s.doubt(f, k); words != "" {
			text = join(text, words)
		}
	case LiveRejected, OutOfBand, Rejected, Held, Due: // they say it, or something that is more
	}
	if k.Former != nil {
		text = join(text, fmt.Sprintf("key %d is replaced and its provider still accepts it (%s)", k.Former.Key, k.Former.AcceptedAt.Format(time.DateOnly)))
		next = append(next, f.revoke(k.Former.Key))
	}
	if len(k.Prunable) > 0 {
		next = append(next, prunable(k))
	}
	if next == nil {
		next = []plan.Remediation{}
	}
	return text, next
}

// overdue says how old the live key is, and how old it may be.
func (f Facts) overdue(k Status) string {
	return fmt.Sprintf("key %d is %d days old, rotation.max_age is %d days%s", k.Live, *k.AgeDays, k.MaxAgeDays, f.where())
}

// dueKey says what the key that is due waits for.
func (f Facts) dueKey(k Status) string {
	switch {
	case f.held():
		return fmt.Sprintf("key %d is due, and guard %s holds it: %s", k.Due, f.Change.Guard, f.Change.GateReason)
	case f.Change.Gate == plan.Ready:
		return fmt.Sprintf("the next run that applies sets key %d", k.Due)
	default:
		return fmt.Sprintf("key %d is due and waits (guard %s): %s", k.Due, f.Change.Guard, f.Change.GateReason)
	}
}

func join(text, more string) string { return strings.TrimPrefix(text+"; "+more, "; ") }

// rejectedKey says which key does not work, and what to do. Who mistyped the new one
// need not make another.
func (s Set) rejectedKey(f Facts, k Status) (text string, next []plan.Remediation) {
	key, byUsers := 0, false
	if len(k.Rejected) > 0 {
		last := k.Rejected[len(k.Rejected)-1]
		r, _ := s.Refusal(last.Key)
		key, byUsers = last.Key, r.By == Users
		text = fmt.Sprintf("key %d: %s", key, last.Reason)
	}
	if live, refused := s.liveRefused(k.Live); refused && key != k.Live {
		stops := "syncing stops" + within(f.Portal.Tokens)
		switch {
		case key > 0:
			text += fmt.Sprintf(", and key %d, which is live, too: %s", k.Live, stops)
		case live.Alone:
			text = fmt.Sprintf("key %d, which is live, and every other pair are refused (%s): the provider is out of order, or %s", k.Live, live.Reason, stops)
		default:
			text = fmt.Sprintf("key %d, which is live, is refused (%s): %s", k.Live, live.Reason, stops)
		}
		return text, []plan.Remediation{f.newKey("seal the right one, or ")}
	}
	if k.Is(Rejected) && !byUsers {
		return text, []plan.Remediation{f.newKey("seal the right one, or ")}
	}
	return text, []plan.Remediation{f.newKey("")}
}

// doubt says what was refused and does not count yet.
func (s Set) doubt(f Facts, k Status) string {
	var out []string
	for _, u := range k.Unconfirmed {
		r, _ := s.Refusal(u.Key)
		if _, firm := s.liveRefused(u.Key); u.Key == k.Live && firm {
			continue // it is what the state says
		}
		out = append(out, fmt.Sprintf("key %d was refused %s (%s), which counts once it was heard for some minutes; it is asked about again from %s",
			u.Key, times(r.Heard), u.Reason, u.AskAt.Format("2006-01-02 15:04 MST")))
	}
	if soak := s.History.Soak; soak != nil && soak.Fall != nil && !s.IsRejected(k.Live, f.Now) {
		out = append(out, "fewer end users were active at the last count, and they are counted again")
	}
	return strings.Join(out, "; ")
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

func (s Set) notKnown(f Facts, k Status) (text string, next []plan.Remediation) {
	unknown := s.Entry(k.Due).Unknown
	live := plan.NextCommand("seal the live secret first, if the portal still shows it: without it there is no way back; a dry run then shows no change", "rotate", "add", f.Connection)
	switch {
	case unknown && k.Next > 0:
		return fmt.Sprintf("a key that was set out of band; key %d replaces it", k.Next), []plan.Remediation{live}
	case unknown:
		return "a key that was set out of band", []plan.Remediation{live, f.newKey("if nobody has it, ")}
	case f.Closed != "":
		return f.Closed, nil
	default:
		return "which key is live could not be found out in this run", nil
	}
}

func (f Facts) successor(k Status) []plan.Remediation {
	before := ""
	if k.Next > 0 {
		before = fmt.Sprintf("key %d comes %s; let it come earlier by its not_before, or ", k.Next, k.NextAt.Format("2 Jan 2006"))
	}
	return []plan.Remediation{f.newKey(before)}
}

// newKey is how a person makes a new key at this provider, in the right order.
func (f Facts) newKey(before string) plan.Remediation {
	out := plan.NextCommand(before+"make a new key", "rotate", "add", f.Connection)
	if f.Portal.Address != "" {
		out.Text += " at " + f.Portal.Address
	}
	switch {
	case f.Portal.AskTerra:
		out.Text, out.Command = before+"ask Terra support for a new key", plan.Command{"providers", f.Provider, "--ticket"}
	case f.Portal.CommitFirst:
		out.Text += " (" + f.Portal.Order + ")"
	case f.Portal.ResetFirst:
		out.Text += ", and within minutes"
	}
	return out
}

// revoke is how a person makes an end of a key that is not used any more.
func (f Facts) revoke(key int) plan.Remediation {
	out := plan.Remediation{Kind: plan.ByStep, Text: fmt.Sprintf("revoke key %d in the provider's portal", key)}
	switch {
	case f.Portal.AskTerra:
		out.Text = fmt.Sprintf("ask Terra support to revoke key %d", key)
	case f.Portal.Address != "":
		out.Text += " at " + f.Portal.Address
	}
	return out
}

func (f Facts) where() string {
	if f.Rules.Origin == "" {
		return ""
	}
	return " (" + f.Rules.Origin + ")"
}

func within(tokens string) string {
	if tokens == "" {
		return ""
	}
	return " within " + tokens
}

// prunable names the keys that are no longer needed, and the command that takes them
// out of the file.
func prunable(k Status) plan.Remediation {
	next := plan.NextCommand("", "rotate", "prune", k.Connection)
	var numbers []string
	for _, n := range k.Prunable {
		numbers = append(numbers, strconv.Itoa(n))
		next.Command = append(next.Command, "--key", strconv.Itoa(n))
	}
	if next.Text = "key " + numbers[0] + " is no longer needed"; len(numbers) > 1 {
		next.Text = "keys " + strings.Join(numbers, ", ") + " are no longer needed"
	}
	return next
}
