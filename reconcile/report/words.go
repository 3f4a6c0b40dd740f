package report

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

// symbol is the sign in front of a change; the action beside it says the same in
// words.
func symbol(a plan.Action) string {
	switch a {
	case plan.Enable, plan.SetCredentials, plan.SetDomain, plan.Resume:
		return "+"
	case plan.Disable, plan.Pause, plan.ReleaseDomain:
		return "-"
	case plan.UpdateCredentials, plan.RotateSecret, plan.SetScopes, plan.ResetScopes, plan.SetApp, plan.ApplyWebhooks:
	}
	return "~"
}

// standing says in a word or two where a change stands: its outcome when there
// is one, else what holds it; "" when it is ready.
func standing(c Change) string {
	switch c.Outcome {
	case Applied:
		if c.DurationMS > 0 {
			return "applied in " + duration(c.DurationMS)
		}
		return "applied"
	case Failed:
		return "FAILED"
	case Unknown:
		return "UNKNOWN"
	case NotAttempted:
		return "not attempted"
	case Waiting, Skipped:
	}
	switch c.Gate {
	case plan.Waiting:
		return "waiting"
	case plan.Blocked:
		return "blocked"
	case plan.Approval:
		return "needs approval"
	case plan.Ready:
	}
	return string(c.Outcome)
}

// name of a connection inside its environment.
func name(c Change) string {
	if c.Provider != "" {
		return clean(c.Provider)
	}
	return clean(c.Connection)
}

// short drops the environment from the id of a connection.
func short(connection, environment string) string {
	return clean(strings.TrimPrefix(connection, environment+"/"))
}

// side is one side of a field in words.
func side(v plan.FieldValue) string {
	key := ""
	if v.Key > 0 {
		key = "key " + strconv.Itoa(v.Key)
	}
	switch {
	case v.Value != nil && *v.Value == "":
		return `""`
	case v.Value != nil:
		return clean(*v.Value)
	case len(v.List) > 0:
		return cleanList(v.List)
	case v.Default:
		return "Terra's default"
	case v.Mask != "" && key != "":
		return clean(v.Mask) + " (" + key + ")"
	case v.Mask != "":
		return clean(v.Mask)
	case key != "":
		return key
	case v.Sealed != "":
		return "the sealed secret"
	case v.Compared == plan.Equal:
		return "the same secret"
	case v.Compared == plan.Differs:
		return "another secret"
	case v.Compared != "":
		return "a secret (not compared)"
	}
	return "nothing"
}

// FieldText says what a field was and becomes, safe to print on a terminal.
func FieldText(f plan.FieldChange) string {
	text := middle(side(f.From), longestValue) + " -> " + middle(side(f.To), longestValue)
	if len(f.From.List) > 0 && len(f.To.List) > 0 {
		text = middle(listChange(f), longestValue)
	}
	return clean(f.Field) + " " + text
}

func cleanList(list []string) string {
	out := make([]string, 0, len(list))
	for _, s := range list {
		out = append(out, clean(s))
	}
	return strings.Join(out, ", ")
}

// listChange says what a long list gains and loses.
func listChange(f plan.FieldChange) string {
	var parts []string
	if added := without(f.To.List, f.From.List); len(added) > 0 {
		parts = append(parts, "adds "+cleanList(added))
	}
	if removed := without(f.From.List, f.To.List); len(removed) > 0 {
		parts = append(parts, "removes "+cleanList(removed))
	}
	if kept := len(f.From.List) - len(without(f.From.List, f.To.List)); kept > 0 {
		parts = append(parts, fmt.Sprintf("keeps %d", kept))
	}
	return strings.Join(parts, "; ")
}

func without(list, drop []string) []string {
	var out []string
	for _, s := range list {
		if !slices.Contains(drop, s) {
			out = append(out, s)
		}
	}
	return out
}

func why(c Change) string {
	if c.Reason == "" {
		return string(c.Cause)
	}
	return string(c.Cause) + ": " + clean(c.Reason)
}

// impact says how many active end users a change touches. Where it can hurt some
// and nobody could count them, it says so; where it can not, it is "".
func impact(c Change) string {
	if c.ActiveUsers == nil && (c.Class == plan.Disruptive || c.Class == plan.Destructive) {
		return "not counted, so taken for some"
	}
	return usersWords(c.ActiveUsers)
}

// usersWords is "" when nobody counted.
func usersWords(u *plan.Users) string {
	switch {
	case u == nil:
		return ""
	case u.Count == 0 && u.Exact:
		return "none active"
	case u.Exact:
		return number(u.Count) + " active"
	}
	return "at least " + number(u.Count) + " active"
}

// mayHaveWritten names the fields that a dry run may have changed.
func mayHaveWritten(e Environment) string {
	return cleanList(e.MayHaveWritten) + ": a dry run was asked for and the answer did not say that it was one"
}

func commitWords(commit string) string {
	switch {
	case commit == "worktree":
		return "the work tree"
	case commit == "":
		return "an unknown commit"
	case len(commit) >= 40:
		return clean(commit[:12])
	}
	return clean(commit)
}

func duration(ms int64) string {
	switch {
	case ms < 100:
		return fmt.Sprintf("%d ms", ms)
	case ms < 60_000:
		return fmt.Sprintf("%.1f s", float64(ms)/1000)
	}
	return (time.Duration(ms) * time.Millisecond).Round(time.Second).String()
}

// sentence begins with a capital letter.
func sentence(s string) string {
	if s == "" {
		return ""
	}
	first, size := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(first)) + s[size:]
}

// counted is a number with its noun, which takes an s for any number but one.
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return number(n) + " " + noun + "s"
}

func number(n int) string {
	s := strconv.Itoa(n)
	for at := len(s) - 3; at > 0; at -= 3 {
		s = s[:at] + "," + s[at:]
	}
	return s
}
