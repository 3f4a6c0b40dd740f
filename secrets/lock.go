package secrets

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/terra-reconcile/terra-reconcile/internal/advice"
	"github.com/terra-reconcile/terra-reconcile/internal/visible"
)

// LockPath is where a config repository keeps its [Lock], below its root.
const LockPath = ".reconcile/recipients.lock"

const lockHeader = `# Who each sealed secret was sealed for. Written by reconcile secret; commit it.
# A line is the SHA-256 of the armored age file, a space, and its recipients.
# After a merge conflict keep the lines of both sides: their order does not matter.
`

// Lock remembers for which recipients each sealed secret was sealed. An age
// file does not say so itself. Its text is one line a secret, sorted, so that
// git merges it well. The zero Lock is empty and ready for use; it is not for
// several goroutines at once.
type Lock struct {
	entries map[string][]string
}

// ParseLock reads a lock file. Lines may stand in any order, twice too, as a
// merge leaves them. Errors begin with the line's number, from 1; a token with
// two different lists is one, as is a merge conflict nobody solved.
func ParseLock(text []byte) (Lock, error) {
	var l Lock
	number := 0
	for line := range bytes.Lines(text) {
		number++
		s := strings.TrimRight(string(line), "\r\n")
		if s == "" || strings.HasPrefix(s, "#") {
			continue
		}
		token, recipients, err := parseLockLine(s)
		if err != nil {
			return Lock{}, fmt.Errorf("%d: %w", number, err)
		}
		if have, twice := l.entries[token]; twice && !slices.Equal(have, recipients) {
			return Lock{}, relist(fmt.Errorf("%d: the same secret has another list of recipients above", number), "remove both lines")
		}
		l.set(token, recipients)
	}
	return l, nil
}

// relist says how a line that cannot be used is made anew.
func relist(err error, first string) error {
	return advice.With(err, first+", then seal again for all recipients", "secret", "rekey")
}

func parseLockLine(s string) (string, []string, error) {
	for _, mark := range []string{"<<<<<<<", "=======", ">>>>>>>", "|||||||"} {
		if strings.HasPrefix(s, mark) {
			return "", nil, errors.New("a merge conflict stands here; keep the lines of both sides and drop its marks")
		}
	}
	token, list, found := strings.Cut(s, " ")
	digest, sha := strings.CutPrefix(token, "sha256:")
	raw, err := hex.DecodeString(digest)
	if !found || !sha || err != nil || len(raw) != 32 || strings.ToLower(digest) != digest {
		return "", nil, relist(errors.New("not `sha256:DIGEST RECIPIENT,…`"), "remove the line")
	}
	recipients := strings.Split(list, ",")
	for _, r := range recipients {
		switch {
		case r == "" || strings.TrimSpace(r) != r:
			return "", nil, relist(errors.New("a recipient is empty or has white space around it"), "remove the line")
		case strings.ContainsFunc(r, visible.Hides) || !utf8.ValidString(r):
			return "", nil, relist(errors.New("a recipient holds a control or invisible character"), "remove the line")
		}
	}
	return token, canonical(recipients), nil
}

// canonical sorts recipients and drops repeated ones.
func canonical(recipients []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(recipients)))
}

func (l *Lock) set(token string, recipients []string) {
	if l.entries == nil {
		l.entries = map[string][]string{}
	}
	l.entries[token] = recipients
}

// Bytes returns the file: a comment, then the lines, sorted.
func (l *Lock) Bytes() []byte {
	var out bytes.Buffer
	out.WriteString(lockHeader)
	for _, token := range slices.Sorted(maps.Keys(l.entries)) {
		fmt.Fprintf(&out, "%s %s\n", token, strings.Join(l.entries[token], ","))
	}
	return out.Bytes()
}

// Record notes that s was sealed for r. A zero s or r is not noted.
func (l *Lock) Record(s Sealed, r Recipients) {
	if s.IsZero() || r.IsZero() {
		return
	}
	l.set(s.Token(), canonical(r.Strings()))
}

// Recipients returns, sorted, whom s was sealed for, and whether that is known.
func (l *Lock) Recipients(s Sealed) ([]string, bool) {
	recipients, known := l.entries[s.Token()]
	return slices.Clone(recipients), known
}

// Prune forgets every secret that is not among present, and returns how many
// those were.
func (l *Lock) Prune(present []Sealed) int {
	keep := make(map[string]bool, len(present))
	for _, s := range present {
		keep[s.Token()] = true
	}
	before := len(l.entries)
	maps.DeleteFunc(l.entries, func(token string, _ []string) bool { return !keep[token] })
	return before - len(l.entries)
}
