package signature

import (
	"bytes"
	"cmp"
	"crypto/rsa"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"

	"github.com/terra-reconcile/terra-reconcile/internal/visible"
)

// namespace is what git gives its ssh signatures for.
const namespace = "git"

// leastRSA is how many bits an RSA key has at least.
const leastRSA = 2048

// signer is one line of allowed signers.
type signer struct {
	at         string // file:line
	principals []string
	namespaces []string  // nil: any
	after      time.Time // zero: ever
	before     time.Time // zero: for ever
	key        ssh.PublicKey
}

// parseSigners reads allowed signers: `principals [options] type key [comment]`, one a line.
func parseSigners(file string, data []byte) (all []signer, err error) {
	number := 0
	for line := range strings.SplitSeq(string(data), "\n") {
		number++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		at := fmt.Sprintf("%s:%d", visible.Text(file), number)
		one, err := parseSigner(line)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", at, err)
		}
		one.at = at
		all = append(all, one)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s: %w", visible.Text(file), errEmpty)
	}
	return all, nil
}

func parseSigner(line string) (s signer, err error) {
	principals, rest := word(line)
	if unquoted, quoted := strings.CutPrefix(principals, `"`); quoted {
		principals = strings.TrimSuffix(unquoted, `"`)
	}
	if s.principals, err = patterns("principals", principals); err != nil {
		return s, err
	}
	field, rest := word(rest)
	if !isKeyType(field) {
		if err := s.options(field); err != nil {
			return s, err
		}
		field, rest = word(rest)
	}
	text, _ := word(rest)
	blob, err := base64.StdEncoding.DecodeString(text)
	if err != nil || text == "" {
		return s, fmt.Errorf("it has no key; write it as in `ada@acme.example namespaces=\"git\" ssh-ed25519 AAAA…`")
	}
	if s.key, err = ssh.ParsePublicKey(blob); err != nil {
		return s, fmt.Errorf("the key cannot be read; write the line of its .pub file")
	}
	if s.key.Type() != field {
		return s, fmt.Errorf("the key is not of the kind %q that stands before it", visible.Text(field))
	}
	return s, checkKey(s.key)
}

// checkKey refuses what proves too little.
func checkKey(key ssh.PublicKey) error {
	switch key.Type() {
	case ssh.KeyAlgoED25519, ssh.KeyAlgoSKED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521, ssh.KeyAlgoSKECDSA256:
		return nil
	case ssh.KeyAlgoRSA:
		c, ok := key.(ssh.CryptoPublicKey)
		if !ok {
			break
		}
		if public, ok := c.CryptoPublicKey().(*rsa.PublicKey); !ok || public.N.BitLen() < leastRSA {
			return fmt.Errorf("the RSA key has fewer than %d bits; use another key", leastRSA)
		}
		return nil
	}
	return fmt.Errorf("a key of the kind %q is not taken; use ssh-ed25519", visible.Text(key.Type()))
}

// isKeyType tells a kind of key from options.
func isKeyType(field string) bool {
	return strings.HasPrefix(field, "ssh-") || strings.HasPrefix(field, "ecdsa-") || strings.HasPrefix(field, "sk-")
}

// word takes the first word off, which may hold blanks between quotes.
func word(text string) (first, rest string) {
	quoted := false
	for i := range len(text) {
		switch {
		case text[i] == '"':
			quoted = !quoted
		case (text[i] == ' ' || text[i] == '\t') && !quoted:
			return text[:i], strings.TrimLeft(text[i:], " \t")
		}
	}
	return text, ""
}

// options reads what stands between principals and key.
func (s *signer) options(text string) (err error) {
	seen := map[string]bool{}
	for text != "" {
		end, quoted := len(text), false
		for i := range len(text) {
			if text[i] == '"' {
				quoted = !quoted
			} else if text[i] == ',' && !quoted {
				end = i
				break
			}
		}
		name, value, hasValue := strings.Cut(text[:end], "=")
		text = strings.TrimPrefix(text[end:], ",")
		name = strings.ToLower(name)
		inner, open := strings.CutPrefix(value, `"`)
		inner, closed := strings.CutSuffix(inner, `"`)
		switch {
		case name == "cert-authority":
			return fmt.Errorf("cert-authority is not known here: a certificate signs for nobody; list the keys themselves")
		case name != "namespaces" && name != "valid-after" && name != "valid-before":
			return fmt.Errorf("the option %q is not known here; known are namespaces, valid-after and valid-before", visible.Text(name))
		case !hasValue || !open || !closed || strings.Contains(inner, `"`):
			return fmt.Errorf("the option %s needs a value between quotes, as in %s=\"…\"", name, name)
		case seen[name]:
			return fmt.Errorf("the option %s stands twice", name)
		}
		seen[name] = true
		switch name {
		case "namespaces":
			s.namespaces, err = patterns(name, inner)
		case "valid-after":
			s.after, err = moment(name, inner)
		case "valid-before":
			s.before, err = moment(name, inner)
		}
		if err != nil {
			return err
		}
	}
	if !s.before.IsZero() && !s.after.Before(s.before) {
		return fmt.Errorf("valid-before is not after valid-after")
	}
	return nil
}

// moment reads a time as ssh-keygen takes it: UTC with a Z, else in the zone of this machine.
func moment(name, text string) (time.Time, error) {
	zone := time.Local
	digits, utc := strings.CutSuffix(text, "Z")
	if utc {
		zone = time.UTC
	}
	for _, layout := range []string{"20060102", "200601021504", "20060102150405"} {
		if at, err := time.ParseInLocation(layout, digits, zone); err == nil && len(digits) == len(layout) {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("%s is no time; write it as in 20261231Z or 20261231120000Z", name)
}

// patterns reads a list of patterns with * and ?, and ! for what is left out.
func patterns(name, text string) (all []string, err error) {
	for _, pattern := range strings.Split(text, ",") {
		if strings.TrimPrefix(pattern, "!") == "" || strings.ContainsAny(pattern, `"`) {
			return nil, fmt.Errorf("%s is no list of patterns; write them with commas between, and no blanks", name)
		}
		all = append(all, pattern)
	}
	return all, nil
}

// matches tells whether a list of patterns has text, and none of those with ! has it.
func matches(list []string, text string) bool {
	found := false
	for _, pattern := range list {
		plain, not := strings.CutPrefix(pattern, "!")
		// Of path.Match only * and ? are meant, and / is a character like others.
		escaped := strings.NewReplacer(`\`, `\\`, `[`, `\[`, `]`, `\]`, "/", "\x00").Replace(plain)
		if ok, err := path.Match(escaped, strings.ReplaceAll(text, "/", "\x00")); err != nil || !ok {
			continue
		}
		if not {
			return false
		}
		found = true
	}
	return found
}

func (t Trust) checkSSH(c Commit, armored []byte, now time.Time) (string, error) {
	block, rest := pem.Decode(armored)
	if block == nil || block.Type != sshsig.PEMType || len(bytes.TrimSpace(rest)) > 0 {
		return "", refuse("its ssh signature cannot be read")
	}
	sig, err := sshsig.ParseSignature(block.Bytes)
	if err != nil {
		return "", refuse("its ssh signature cannot be read")
	}
	key := "ssh key " + ssh.FingerprintSHA256(sig.PublicKey)
	if sig.Namespace != namespace {
		return "", refuse("its signature by %s was made for %q and not for git", key, visible.Text(sig.Namespace))
	}
	if err := sshsig.Verify(bytes.NewReader(c.Payload), sig, sig.PublicKey, sig.HashAlgorithm, namespace); err != nil {
		return "", refuse("its signature by %s is not of this commit", key)
	}
	var why string
	for _, s := range t.signers {
		if !bytes.Equal(s.key.Marshal(), sig.PublicKey.Marshal()) {
			continue
		}
		problem := s.refuses(c, now)
		if problem == "" {
			return key + " (" + s.at + ")", nil
		}
		why = cmp.Or(why, problem)
	}
	if why != "" {
		return "", refuse("its signature by %s is not taken: %s", key, why)
	}
	return "", refuse("it is signed by %s, which the runner does not know", key)
}

// refuses says why a line does not let its key sign a commit, "" where it does.
func (s signer) refuses(c Commit, now time.Time) string {
	switch {
	case s.namespaces != nil && !matches(s.namespaces, namespace):
		return s.at + " lets it sign for other namespaces only"
	case !matches(s.principals, c.Committer):
		return fmt.Sprintf("%s is not about the committer %s", s.at, visible.Text(c.Committer))
	}
	for _, at := range []time.Time{c.When, now} {
		switch {
		case at.IsZero():
		case !s.after.IsZero() && at.Before(s.after):
			return s.at + " lets it sign from " + s.after.UTC().Format(time.RFC3339) + " on"
		case !s.before.IsZero() && !at.Before(s.before):
			return s.at + " let it sign until " + s.before.UTC().Format(time.RFC3339)
		}
	}
	return ""
}
