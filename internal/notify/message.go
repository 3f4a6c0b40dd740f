package notify

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// Schema is the version of a message as a document. Fields are added, never renamed.
const Schema = "terra-reconcile/notification/v1"

// Phase says where in the life of an event a message stands.
type Phase string

// The phases.
const (
	Happened Phase = "happened" // once, and it is over
	Began    Phase = "began"    // it lasts
	Reminder Phase = "reminder" // it lasts still
	Ended    Phase = "ended"    // it does not last any more
	Gone     Phase = "gone"     // what it was about is gone; nobody looks any more whether it lasts
)

// Message is what a receiver is told: one event of one environment, about one connection or
// several at once. All of its texts are one line and safe to show.
type Message struct {
	Schema      string           `json:"schema"`
	ID          string           `json:"id"` // the same at each try: who has it already has this message
	At          time.Time        `json:"at"` // when it was made, UTC
	Event       report.EventKind `json:"event"`
	Phase       Phase            `json:"phase"`
	Severity    report.Severity  `json:"severity"`
	Environment string           `json:"environment"` // "" where it is about none
	DevID       string           `json:"dev_id"`
	Owner       string           `json:"owner"` // as the files say; "" for nobody
	Title       string           `json:"title"`
	Count       int              `json:"count"` // of what it is about
	Items       []Item           `json:"items"` // at most mostItems of them
	Commit      string           `json:"commit"`
	Run         string           `json:"run_id"` // as in the report and the history; "" for none
}

// Item is one thing that a message is about.
type Item struct {
	Connection string    `json:"connection"` // production/strava, "" where it is about none
	Text       string    `json:"text"`
	Since      time.Time `json:"since,omitzero"`
	Command    string    `json:"command"` // what a person types next; "" for nothing
}

const (
	mostItems   = 20  // of a message
	longestText = 500 // characters of one
)

// clean is a text of anybody on one line that is safe to show, and bounded.
func clean(text string) string { return cut(folded(text), longestText) }

// whole is a command as [clean] gives it, "" for one that would be cut: a part of a command is
// another command.
func whole(command string) string {
	if command = folded(command); len([]rune(command)) > longestText {
		return ""
	}
	return command
}

func folded(text string) string { return strings.Join(report.Folded(text, 1<<20), " ") }

// cut is a text of at most most characters.
func cut(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		return string(runes[:max(most-1, 0)]) + "…"
	}
	return text
}

// piece is one event of which a message may tell together with others.
type piece struct {
	event       report.EventKind
	phase       Phase
	environment string
	devID       string
	owner       string
	commit, run string
	only        string   // the one receiver that it is for; "" for those of the routes
	among       []string // of those of the routes only these; nil for all
	Item
}

// together gives the fewest messages that tell some events: those of one kind, phase,
// environment and owner are one message.
func together(pieces []piece, at time.Time) (out []addressed) {
	type group struct {
		event                           report.EventKind
		phase                           Phase
		environment, owner, only, devID string
		among                           string
	}
	at = at.UTC()
	place := map[group]int{}
	for _, p := range pieces {
		g := group{p.event, p.phase, p.environment, p.owner, p.only, p.devID, strings.Join(p.among, " ")}
		i, known := place[g]
		if !known {
			i = len(out)
			place[g] = i
			kind, _ := report.KindOf(p.event)
			out = append(out, addressed{only: p.only, among: p.among, Message: Message{
				Schema: Schema, ID: rand.Text(), At: at, Event: p.event, Phase: p.phase, Severity: kind.Severity, Environment: clean(p.environment), DevID: clean(p.devID),
				Owner: clean(p.owner), Items: []Item{}, Commit: clean(p.commit), Run: clean(p.run),
			}})
		}
		m := &out[i]
		m.Count++
		if len(m.Items) < mostItems {
			m.Items = append(m.Items, Item{Connection: clean(p.Connection), Text: clean(p.Text), Since: p.Since.UTC(), Command: whole(p.Command)})
		}
		if m.Commit != clean(p.commit) {
			m.Commit = "" // of several
		}
	}
	for i := range out {
		out[i].Title = title(out[i].Message)
	}
	return out
}

// addressed is a message and, where it is for one receiver alone, which. Where among is not nil
// only these get it of those whom the routes choose.
type addressed struct {
	Message
	only  string
	among []string
}

// title says in a few words where and what.
func title(m Message) string {
	kind, _ := report.KindOf(m.Event)
	where := cmp.Or(m.Environment, "terra-reconcile")
	var about []string // connections, and "" for what is of none: of all, or of the environment
	for _, i := range m.Items {
		if !slices.Contains(about, i.Connection) {
			about = append(about, i.Connection)
		}
	}
	switch {
	case len(about) == 1 && m.Count <= mostItems:
		where = cmp.Or(about[0], where)
	case len(about) > 1:
		where += fmt.Sprintf(" (%d)", m.Count)
	}
	text := where + ": " + cmp.Or(kind.Words, string(m.Event))
	switch m.Phase {
	case Ended:
		return "Resolved: " + text
	case Gone:
		return "No longer watched: " + text
	case Reminder:
		return "Reminder: " + text
	case Happened, Began:
	}
	return text
}

// lines are a message for people, its title apart.
func lines(m Message) []string {
	var out []string
	for _, i := range m.Items {
		text := i.Text
		if !i.Since.IsZero() && m.Phase != Happened {
			text += " (since " + i.Since.Format("2006-01-02 15:04 UTC") + ")"
		}
		out = append(out, "- "+text)
		if i.Command != "" && m.Phase != Ended {
			out = append(out, "  "+i.Command)
		}
	}
	if more := m.Count - len(m.Items); more > 0 {
		out = append(out, fmt.Sprintf("and %d more", more))
	}
	about := []string{string(m.Severity) + " " + string(m.Event)}
	for _, a := range []struct{ what, value string }{{"environment", m.Environment}, {"dev_id", m.DevID}, {"owner", m.Owner}, {"commit", m.Commit}} {
		if a.value != "" {
			about = append(about, a.what+" "+a.value)
		}
	}
	return append(out, strings.Join(about, ", "))
}
