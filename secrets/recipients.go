package secrets

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"filippo.io/age/plugin"
	"golang.org/x/crypto/ssh"
)

// Recipients are the public keys a secret is sealed for: all classic or all
// post-quantum. The zero Recipients seal nothing.
type Recipients struct {
	list []recipient
}

type recipient struct {
	text   string // canonical: no comment, no surplus white space
	key    age.Recipient
	family family
}

// family tells which recipients may stand in one list.
type family string

const (
	classic     family = "classic"
	postQuantum family = "post-quantum"
	byPlugin    family = "known to its plugin only"
)

// RecipientError says which line of a list of recipients is wrong, so that the
// caller can point at it.
type RecipientError struct {
	// Index is the position in the list, from 0.
	Index int
	// Cause says what is wrong; it never repeats the line.
	Cause error
}

// Error says which recipient it is, counted from 1, and the cause.
func (e *RecipientError) Error() string { return fmt.Sprintf("recipient %d: %v", e.Index+1, e.Cause) }

// Unwrap returns the cause.
func (e *RecipientError) Unwrap() error { return e.Cause }

// ParseRecipients reads age1…, age1pq1…, ssh-ed25519 and ssh-rsa recipients, and
// those of plugins whose name stands in allowPlugins. A repeated recipient is
// kept once. The error joins one [*RecipientError] for each bad line. An empty
// list is an error.
func ParseRecipients(lines, allowPlugins []string) (Recipients, error) {
	var all Recipients
	var problems []error
	fail := func(i int, err error) { problems = append(problems, &RecipientError{Index: i, Cause: err}) }
	first := map[family]int{}
	for i, line := range lines {
		r, err := parseRecipient(strings.TrimSpace(line), allowPlugins)
		if err != nil {
			fail(i, err)
			continue
		}
		if _, seen := first[r.family]; !seen {
			first[r.family] = i
		}
		if other, mixed := first[opposite(r.family)]; mixed {
			fail(i, fmt.Errorf("it is %s and recipient %d is %s; age cannot mix them in one list", r.family, other+1, opposite(r.family)))
			continue
		}
		if !slices.ContainsFunc(all.list, func(have recipient) bool { return have.text == r.text }) {
			all.list = append(all.list, r)
		}
	}
	if len(problems) > 0 {
		return Recipients{}, errors.Join(problems...)
	}
	if len(all.list) == 0 {
		return Recipients{}, errors.New("no recipients are named; add at least one to terra.yaml")
	}
	return all, nil
}

func opposite(f family) family {
	switch f {
	case classic:
		return postQuantum
	case postQuantum:
		return classic
	}
	return ""
}

// Published says from which examples a recipient was copied, "" where it is none that is
// known: everybody, or somebody else, has its private key.
func Published(recipient string) string {
	return map[string]string{
		"age1mv9j50rrnqpl3pc7gw2cks68lpkqcwey5k86dupr378jcjum8cvq4sqfye": "the examples of terra-reconcile",
		"age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p": "the manual of age",
		"age1yt3tfqlfrwdwx0z0ynwplcr6qxcxfaqycuprpmy89nr83ltx74tqdpszlw": "the manual of sops",
		"age1lzd99uklcjnc0e7d860axevet2cz99ce9pq6tzuzd05l5nr28ams36nvun": "the tests of sops",
	}[recipient]
}

// Strings returns the recipients in canonical form and in the order given.
func (r Recipients) Strings() []string {
	out := make([]string, len(r.list))
	for i, one := range r.list {
		out[i] = one.text
	}
	return out
}

// IsZero reports whether there are none.
func (r Recipients) IsZero() bool { return len(r.list) == 0 }

func (r Recipients) keys() []age.Recipient {
	out := make([]age.Recipient, len(r.list))
	for i, one := range r.list {
		out[i] = one.key
	}
	return out
}

func parseRecipient(line string, allowPlugins []string) (recipient, error) {
	switch {
	case strings.HasPrefix(line, "age1pq1"):
		key, err := age.ParseHybridRecipient(line)
		if err != nil {
			return recipient{}, errors.New("the post-quantum recipient (age1pq1…) is cut or misspelt")
		}
		return recipient{text: key.String(), key: key, family: postQuantum}, nil
	case strings.HasPrefix(line, "age1"):
		return parseAgeRecipient(line, allowPlugins)
	case strings.HasPrefix(line, "ssh-"), strings.HasPrefix(line, "ecdsa-"), strings.HasPrefix(line, "sk-"):
		return parseSSHRecipient(line)
	case strings.HasPrefix(line, "AGE-SECRET-KEY-"), strings.HasPrefix(line, "AGE-PLUGIN-"), strings.Contains(line, "PRIVATE KEY"):
		return recipient{}, errors.New("this is a private identity; if it was ever committed or shared, make a new one")
	}
	return recipient{}, errors.New("not a recipient: it begins with age1, ssh-ed25519 or ssh-rsa")
}

// parseAgeRecipient reads age1… of an X25519 key (no other 1 in it) or of a
// plugin (age1NAME1…).
func parseAgeRecipient(line string, allowPlugins []string) (recipient, error) {
	if key, err := age.ParseX25519Recipient(line); err == nil {
		return recipient{text: key.String(), key: key, family: classic}, nil
	}
	name, _, err := plugin.ParseRecipient(line)
	switch {
	case err != nil:
		return recipient{}, errors.New("the recipient (age1…) is cut or misspelt")
	case name == "tag" || name == "tagpq":
		return recipient{}, errors.New("tagged recipients (age1tag1…) are not supported; use the plugin's own recipient")
	case !slices.Contains(allowPlugins, name):
		return recipient{}, notAllowed(name)
	}
	key := pluginRecipient{key: newPluginKey(name, line)}
	return recipient{text: line, key: key, family: byPlugin}, nil
}

func parseSSHRecipient(line string) (recipient, error) {
	pub, _, _, rest, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil || len(rest) > 0 {
		return recipient{}, errors.New("the ssh public key is cut or misspelt")
	}
	key, err := agessh.ParseRecipient(line)
	if err != nil {
		return recipient{}, errors.New("age cannot seal for this ssh key: it takes ssh-ed25519 and ssh-rsa (2048 bits or more)")
	}
	text := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(pub)))
	return recipient{text: text, key: key, family: classic}, nil
}
