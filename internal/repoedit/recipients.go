package repoedit

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/terra-reconcile/terra-reconcile/internal/visible"
	"github.com/terra-reconcile/terra-reconcile/secrets"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

// SealedFor is whom one secret is sealed for.
type SealedFor struct {
	Where      string   // file:line:column and field
	Recipients []string // as noted
	Wrong      string   // how terra.yaml wants it otherwise; "" where it does not
	New        []string // whom terra.yaml names and it is not noted to be sealed for
}

// SealedFor lists it for every secret. A repository with errors is refused.
func (r Repository) SealedFor(allowPlugins []string) ([]SealedFor, error) {
	if err := r.Whole(); err != nil {
		return nil, fmt.Errorf("list recipients: %w", err)
	}
	lock, err := r.Lock()
	if err != nil {
		return nil, err
	}
	var out []SealedFor
	for _, e := range r.Set.Environments {
		for _, c := range e.Connections {
			all, err := r.sealed(c.File)
			if err != nil {
				return nil, err
			}
			if len(all) == 0 {
				continue
			}
			want, err := RecipientsFor(r.Set.Root, c.File, allowPlugins)
			if err != nil {
				return nil, err
			}
			for _, at := range all {
				out = append(out, CompareRecipients(at, &lock, want.Strings()))
			}
		}
	}
	return out, nil
}

// CompareRecipients compares what the lock says of one secret with what terra.yaml
// says, and with the header of the age file itself.
func CompareRecipients(at spec.SecretAt, lock *secrets.Lock, want []string) SealedFor {
	line := SealedFor{Where: fmt.Sprintf("%s %s", at.Origin, Dotted(at.Path))}
	sealed, err := secrets.Parse(at.Armor)
	if err != nil {
		line.Wrong = err.Error()
		return line
	}
	have, known := lock.Recipients(sealed)
	extra, missing := without(have, want), without(want, have)
	line.Recipients, line.New = have, missing
	switch {
	case !known:
		line.Wrong = "nobody noted whom it is sealed for"
	case !sealed.Fits(have):
		line.Wrong = secrets.LockPath + " does not fit the age file; seal it again"
		line.New = want // the lock was forged, or edited: it tells of nobody that they could read it before
	case len(extra) > 0:
		line.Wrong = "not in terra.yaml: " + ShortRecipients(extra)
	}
	if known && len(missing) > 0 {
		line.Wrong = strings.TrimPrefix(line.Wrong+"; cannot be opened by "+ShortRecipients(missing), "; ")
	}
	return line
}

// Newcomers says what to do before secrets are sealed again for recipients whom a commit
// has added, each named, and what sealing again is for.
func Newcomers(all []SealedFor) (before []string, again string) {
	readable := map[string]int{}
	for _, s := range all {
		for _, r := range s.New {
			readable[r]++
		}
	}
	for _, r := range slices.Sorted(maps.Keys(readable)) {
		before = append(before, fmt.Sprintf("%s is in terra.yaml and could then read %s more: see who added it (git log -p terra.yaml) and ask whose key it is",
			visible.Text(ShortRecipient(r)), visible.Plural(readable[r], "secret", "secrets")))
	}
	switch len(readable) {
	case 0:
		return nil, "seal them again"
	case 1:
		return before, "only if that recipient is to read them, seal them again"
	}
	return before, "only if all of those recipients are to read them, seal them again"
}

func without(list, others []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(one string) bool { return slices.Contains(others, one) })
}

// ShortRecipients names recipients on one line.
func ShortRecipients(list []string) string {
	short := make([]string, len(list))
	for i, r := range list {
		short[i] = ShortRecipient(r)
	}
	return strings.Join(short, ", ")
}

// ShortRecipient keeps enough of a recipient to tell it from others: of an ssh key its
// fingerprint, as ssh-keygen shows it, because both ends of one can be chosen.
func ShortRecipient(r string) string {
	const head, tail, most = 28, 8, 76
	if kind, key, ssh := strings.Cut(r, " "); ssh {
		if raw, err := base64.StdEncoding.DecodeString(key); err == nil && len(r) > most {
			sum := sha256.Sum256(raw)
			return kind + " SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
		}
	}
	if len(r) <= most {
		return r
	}
	return r[:head] + "…" + r[len(r)-tail:]
}
