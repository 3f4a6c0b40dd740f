package plan

import (
	"encoding"
	"errors"
	"strings"
)

// RemediationKind says what sort of thing a remediation asks of a person.
type RemediationKind string

// The kinds.
const (
	ByApproval RemediationKind = "approve" // of the connection, by its hash
	ByAllow    RemediationKind = "allow"   // a line to commit that approves exactly this
	ByCommit   RemediationKind = "commit"  // another edit of the repository
	ByCommand  RemediationKind = "command" // to type
	ByProbe    RemediationKind = "probe"   // to ask the provider whether it accepts the pair
	ByWaiting  RemediationKind = "wait"    // for a time
	ByStep     RemediationKind = "step"    // a human step at a provider
	ByRunner   RemediationKind = "runner"  // a setting of the runner
)

// Remediation is one thing that a person can do: about a held change, a key or a
// warning. What is to be typed or committed is a value of its own, never part of Text.
type Remediation struct {
	Kind    RemediationKind `json:"kind"`
	Text    string          `json:"text"`    // what to do, or what the command does
	Command Command         `json:"command"` // "" in JSON where nothing is typed
	File    string          `json:"file"`    // of the repository, in which YAML goes
	YAML    string          `json:"yaml"`    // the lines to commit
}

// NextCommand is the remediation of typing a command.
func NextCommand(text string, argv ...string) Remediation {
	return Remediation{Kind: ByCommand, Text: text, Command: argv}
}

// newKey is the command that adds a key to a connection.
func newKey(text, connection string) Remediation {
	return NextCommand(text, "rotate", "add", connection)
}

// edit is the remediation of committing lines to a file, or what Text says.
func edit(file, yaml, text string) Remediation {
	return Remediation{Kind: ByCommit, Text: text, File: file, YAML: yaml}
}

// approval is the remediation of approving the connection, or a plan that it is part
// of; the report knows by which hash.
func approval(how string) Remediation {
	return Remediation{Kind: ByApproval, Text: "approve this connection" + how}
}

// RevertDrift are the lines by which an environment reverts all that drifts in it.
const RevertDrift = "on_drift: revert"

// Command is what to type after the name of the program, one word an element. As text,
// also in JSON, it is the whole line, quoted for a shell.
type Command []string

var (
	_ encoding.TextMarshaler   = Command(nil)
	_ encoding.TextUnmarshaler = (*Command)(nil)
)

const program = "reconcile"

// String is the line as a person types it, "" for no command.
func (c Command) String() string {
	if len(c) == 0 {
		return ""
	}
	line := program
	for _, word := range c {
		line += " " + ShellWord(word)
	}
	return line
}

// MarshalText gives the line.
func (c Command) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads a line that MarshalText has written, and nothing else that a
// shell understands.
func (c *Command) UnmarshalText(text []byte) error {
	*c = nil
	if len(text) == 0 {
		return nil
	}
	rest, ok := strings.CutPrefix(string(text), program)
	for ok && rest != "" {
		if rest, ok = strings.CutPrefix(rest, " "); !ok {
			break
		}
		var word string
		word, rest, ok = cutWord(rest)
		*c = append(*c, word)
	}
	if !ok || c.String() != string(text) {
		return errors.New("read command: it is not as reconcile writes one")
	}
	return nil
}

// ShellWord writes a word so that a shell reads the same one.
func ShellWord(word string) string {
	if word != "" && !strings.ContainsFunc(word, func(r rune) bool { return !isPlainInShell(r) }) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

func isPlainInShell(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("%+,-./:=@_", r)
}

// cutWord reads the first word of what ShellWord has written.
func cutWord(line string) (word, rest string, ok bool) {
	for line != "" && line[0] != ' ' {
		switch {
		case line[0] == '\'':
			end := strings.IndexByte(line[1:], '\'')
			if end < 0 {
				return "", "", false
			}
			word, line = word+line[1:1+end], line[end+2:]
		case strings.HasPrefix(line, `\'`):
			word, line = word+"'", line[2:]
		default:
			word, line = word+line[:1], line[1:]
		}
	}
	return word, line, true
}

// Warning is something that a person should know although nothing is changed because
// of it. Several can have one cause, and are shown together then.
type Warning struct {
	Connection   string        `json:"connection"`   // production/strava, or the line of its file; "" for the environment or the run
	Cause        string        `json:"cause"`        // the same words wherever it is so; "" where nothing but Text says it
	Detail       string        `json:"detail"`       // what differs from one to the next; "" where nothing does
	Text         string        `json:"text"`         // cause and detail as a sentence of its own
	Remediations []Remediation `json:"remediations"` // what to do about it
}

// Warn makes the warning of a cause that needs no more words.
func Warn(connection, cause string, next ...Remediation) Warning {
	return Warning{Connection: connection, Cause: cause, Text: connection + ": " + cause, Remediations: next}
}

// Warnings makes warnings of texts that have no more to them.
func Warnings(texts ...string) []Warning {
	out := make([]Warning, 0, len(texts))
	for _, text := range texts {
		out = append(out, Warning{Text: text})
	}
	return out
}
