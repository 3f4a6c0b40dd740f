package gitsource

import (
	"errors"
	"slices"
	"strings"
)

// leastTold is how many characters of a secret are one: what is shorter stands in any
// text by chance.
const leastTold = 6

// told are the secrets that one fetch sends, and that a server may repeat.
type told struct {
	repeats, repeatsLong func(text, secret string) bool
	tells                func(texts []string, secret string) bool
	secrets              []string
}

// add notes a secret. How GitHub begins every token of a kind is none.
func (t *told) add(secret string) {
	secret = strings.TrimPrefix(secret, "github_pat_")
	if len(secret) >= leastTold && !slices.Contains(t.secrets, secret) {
		t.secrets = append(t.secrets, secret)
	}
}

func (t *told) in(text string, repeats func(text, secret string) bool) bool {
	return slices.ContainsFunc(t.secrets, func(secret string) bool { return repeats(text, secret) })
}

// inPieces tells whether texts repeat a secret together with what was shown before.
func (t *told) inPieces(texts ...string) bool {
	return slices.ContainsFunc(t.secrets, func(secret string) bool { return t.tells(texts, secret) })
}

// withhold replaces an error that repeats a secret. What holds words of this package
// alone is left as it is: a password may be made of words.
func (t *told) withhold(err error) error {
	if !ours(err) || onlyOurWords(err) {
		return err
	}
	text := err.Error()
	var away *UnreachableError
	if errors.As(err, &away) {
		text = away.Reason
	}
	repeats := t.repeats
	if is[*MissingRefError](err) || is[*MissingReleaseError](err) || is[*TwoReleasesError](err) || is[*CorruptError](err) { // they list names that a committer chose
		repeats = t.repeatsLong
	}
	if !t.in(text, repeats) && !t.inPieces(text) {
		return err
	}
	return &UnreachableError{
		Reason: "what the server said is withheld, because it repeats the password or token that it was sent",
		Next:   "make a new one if you do not trust that server, and check the URL and what stands between (a proxy)",
	}
}

// text gives text of a commit, or what stands for it where it repeats a secret.
func (t *told) text(text string) string {
	if t.in(text, t.repeatsLong) || t.inPieces(text) {
		return "[withheld: it repeats a secret]"
	}
	return text
}
