package report

import (
	"cmp"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/terra-reconcile/terra-reconcile/internal/visible"
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
		return notTried
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

// notTried stands for NotAttempted, in every form but JSON.
const notTried = "not tried"

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

// address is a value, cut inside its path where it is a long address: who reads it has to
// see the host.
func address(value string) string {
	const most = 80
	u, err := url.Parse(value)
	if err != nil || u.Host == "" || columns(value) <= most {
		return value
	}
	head := u.Scheme + "://" + u.Host
	if !strings.HasPrefix(value, head) {
		return value
	}
	return head + middle(strings.TrimPrefix(value, head), max(most-columns(head), 20))
}

// FieldText says what a field was and becomes, safe to print on a terminal.
func FieldText(f plan.FieldChange) string {
	if side(f.From) == side(plan.FieldValue{}) && side(f.To) == side(plan.FieldValue{}) {
		return clean(f.Field) // nothing is known of either
	}
	text := middle(side(f.From), longestValue) + " -> " + middle(side(f.To), longestValue)
	if len(f.From.List) > 0 && len(f.To.List) > 0 {
		text = middle(listChange(f), longestValue)
	}
	return clean(f.Field) + " " + text
}

// Covers says what an approval is of, the whole plan or one connection: a line for each
// field, the most dangerous changes first, with the end users beside the first line of a
// connection. Only lines of safe changes are ever cut. The lines are safe to print.
func Covers(e Environment, connection string) []string {
	changes := slices.DeleteFunc(slices.Clone(e.Changes), func(c Change) bool { return connection != "" && c.Connection != connection })
	slices.SortStableFunc(changes, func(a, b Change) int { return cmp.Compare(classRank(b.Class), classRank(a.Class)) })
	var out []string
	dangerous, seen := 0, map[string]bool{}
	for _, c := range changes {
		parts := []string{""} // a change without fields has a line, too
		if len(c.Fields) > 0 {
			parts = parts[:0]
		}
		for _, f := range c.Fields {
			parts = append(parts, fmt.Sprintf(": %s %s -> %s", clean(f.Field), middle(side(f.From), coveredValue), middle(side(f.To), coveredValue)))
		}
		for _, part := range parts {
			line := clean(c.Connection) + " " + clean(string(c.Action)) + part
			if !seen[c.Connection] {
				line += beside(e, c.Connection, connection == "")
				seen[c.Connection] = true
			}
			out = append(out, line)
		}
		if c.Class != plan.Safe {
			dangerous = len(out)
		}
	}
	if most := max(coveredLines, dangerous); len(out) > most {
		out = append(out[:most], fmt.Sprintf("and %d more, all of them safe", len(out)-most))
	}
	return out
}

// beside is who is hit by what an approval does to a connection, and whether that of the
// whole plan leaves it out.
func beside(e Environment, connection string, whole bool) (words string) {
	changes := slices.DeleteFunc(slices.Clone(e.Changes), func(c Change) bool { return c.Connection != connection })
	if users := impact(changes); users != "" {
		words = " (" + users + ")"
	}
	if whole && slices.Contains(e.Approval.Leaves, connection) {
		words += "; not covered: it is approved alone"
	}
	return words
}

func cleanList(list []string) string {
	out := make([]string, 0, len(list))
	for _, s := range list {
		if s = clean(s); strings.ContainsAny(s, ",;") { // else it would read as several
			s = strconv.Quote(s)
		}
		out = append(out, s)
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
	return strings.Join(parts, ", ")
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

// usersWords is "" when nobody counted.
func usersWords(u *plan.Users) string {
	switch {
	case u == nil:
		return ""
	case u.Exact:
		return counted(u.Count, "user")
	}
	return "at least " + counted(u.Count, "user")
}

// days is a stretch of time in days.
func days(d time.Duration) string { return counted(int(d/(24*time.Hour)), "day") }

// mayHaveWritten names the fields that a dry run may have changed.
func mayHaveWritten(e Environment) string {
	return cleanList(e.MayHaveWritten) + ": a dry run was asked for and the answer did not say that it was one"
}

// commitName is a commit as a report names it.
func commitName(commit string) string {
	switch {
	case commit == "worktree":
		return "the work tree"
	case commit == "":
		return "an unknown commit"
	case len(commit) >= 40:
		commit = commit[:12]
	}
	return "commit " + clean(commit)
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

// needApproval is the word for n things that do.
func needApproval(n int) string {
	if n == 1 {
		return "needs approval"
	}
	return "need approval"
}

func number(n int) string {
	s := strconv.Itoa(n)
	for at := len(s) - 3; at > 0; at -= 3 {
		s = s[:at] + "," + s[at:]
	}
	return s
}

// clean makes text of a repository or a server safe to print on one line.
func clean(s string) string { return visible.Text(s) }

func escapedUTF16(r rune) string {
	if r <= 0xFFFF {
		return fmt.Sprintf(`\u%04x`, r)
	}
	high, low := utf16.EncodeRune(r)
	return fmt.Sprintf(`\u%04x\u%04x`, high, low)
}

// columns is the room that a clean text takes on a terminal.
func columns(s string) int {
	n := 0
	for _, r := range s {
		n += columnsOf(r)
	}
	return n
}

func columnsOf(r rune) int {
	switch {
	case unicode.Is(unicode.Mn, r), unicode.Is(unicode.Me, r):
		return 0
	case r >= 0x1100 && (unicode.In(r, unicode.Han, unicode.Hangul, unicode.Hiragana, unicode.Katakana) ||
		r >= 0x3000 && r <= 0x303E || r >= 0xFF01 && r <= 0xFF60 || r >= 0x1F300 && r <= 0x1FAFF):
		return 2
	}
	return 1
}

// middle shortens a clean text to a number of columns by leaving out its middle:
// both ends of an address or a name tell more than one.
func middle(s string, room int) string {
	if columns(s) <= room {
		return s
	}
	runes := []rune(s)
	head, used := 0, 1
	for used+columnsOf(runes[head]) <= (room+1)/2 {
		used += columnsOf(runes[head])
		head++
	}
	tail := len(runes)
	for tail > head && used+columnsOf(runes[tail-1]) <= room {
		tail--
		used += columnsOf(runes[tail])
	}
	return string(runes[:head]) + "…" + string(runes[tail:])
}

// wrap breaks a clean text into lines of at most room columns, at spaces where
// it can. A hash is not broken, and may be longer: whoever copies it needs it whole. What
// stands in backticks is not broken where it fits a line.
func wrap(s string, room int) []string {
	var all []string
	for _, phrase := range phrases(s) {
		if columns(phrase) <= room {
			all = append(all, phrase)
			continue
		}
		for _, word := range strings.Fields(phrase) {
			all = append(all, pieces(word, room)...)
		}
	}
	return fill(all, room)
}

// phrases are the words of a text, of which those in one pair of backticks are one.
func phrases(s string) []string {
	var out []string
	quoted := false
	for _, word := range strings.Fields(s) {
		if quoted {
			out[len(out)-1] += " " + word
		} else {
			out = append(out, word)
		}
		quoted = quoted != (strings.Count(word, "`")%2 == 1)
	}
	if quoted { // one that nothing closes quotes nothing
		return strings.Fields(s)
	}
	return out
}

// fill puts words into lines.
func fill(words []string, room int) []string {
	var lines []string
	line, used := "", 0
	for _, word := range words {
		n := columns(word)
		if line != "" && used+1+n <= room {
			line, used = line+" "+word, used+1+n
			continue
		}
		if line != "" {
			lines = append(lines, line)
		}
		line, used = word, n
	}
	if line != "" || len(lines) == 0 {
		lines = append(lines, line)
	}
	return lines
}

// wholeHash is a hash with what may touch it.
var wholeHash = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^\W{0,2}sha256:[0-9a-f]{64}\W{0,2}$`) })

// pieces cuts a word that is too long for a line.
func pieces(word string, room int) []string {
	n := columns(word)
	if n <= room || wholeHash().MatchString(word) {
		return []string{word}
	}
	var out []string
	piece, used := "", 0
	for _, r := range word {
		n := columnsOf(r)
		if used+n > room {
			out, piece, used = append(out, piece), "", 0
		}
		piece, used = piece+string(r), used+n
	}
	return append(out, piece)
}

// Indent is how far to the right a line begins that is to stand beside a label of
// at columns: less where it is too long for that, so that it fits the width.
func Indent(line string, at, width int) int { return max(2, min(at, width-columns(line))) }

// Lines gives text of anybody as lines that are safe to print on a terminal. Each
// has at most room columns; only a hash may have more, for it is not broken.
func Lines(text string, room int) []string { return wrap(clean(text), room) }

// Folded is Lines for text that nothing stands beside: no word is cut, so that a path or
// an address can be copied whole.
func Folded(text string, room int) []string { return fill(strings.Fields(clean(text)), room) }

// lower begins with a small letter.
func lower(s string) string { return strings.ToLower(s[:1]) + s[1:] }

// Words are remediations as one line, for a log.
func Words(list []plan.Remediation) string {
	var out []string
	for _, r := range list {
		out = append(out, stepOf(r.Text, r).line())
	}
	return strings.Join(out, "; ")
}
