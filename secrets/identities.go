package secrets

import (
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"filippo.io/age/plugin"
	"golang.org/x/crypto/ssh"

	"github.com/terra-reconcile/terra-reconcile/internal/advice"
	"github.com/terra-reconcile/terra-reconcile/internal/visible"
)

const (
	maxIdentityFile = 1 << 20 // bytes
	inlineName      = "RECONCILE_AGE_KEY"
)

var errUnusableSSH = errors.New("not a private key age can use: it takes ssh-ed25519 and ssh-rsa (2048 bits or more)")

// Source says where the runner keeps its identities.
type Source struct {
	// Files are age identity files (several identities, one a line) or ssh
	// private keys (one a file, ed25519 or rsa, without a passphrase).
	Files []string
	// Inline is the text of one more such file, from RECONCILE_AGE_KEY. Blank
	// means that there is none.
	Inline string
	// AllowPlugins names the age plugins that may be run, such as "yubikey" for
	// age-plugin-yubikey. Any other name is refused.
	AllowPlugins []string
}

// Identities are the private keys that open secrets. Like a [Value] they are
// out of reach of printers. The nil and the zero Identities open nothing.
type Identities struct {
	keyring func() []identity
	opened  *opened
}

// opened are the secrets that were opened.
type opened struct {
	mu     sync.Mutex
	values []openedAt
}

// openedAt is a secret and the place it was opened for; zero if for none.
type openedAt struct {
	value Value
	place Binding
}

// Opened are all secrets that were opened since the last Forget: what a server must not
// make anybody print.
func (i *Identities) Opened() []Value {
	return i.openedWhere(func(Binding) bool { return true })
}

// OpenedFor are those of Opened that were opened for places of one environment.
func (i *Identities) OpenedFor(account, devID string) []Value {
	return i.openedWhere(func(at Binding) bool { return at.Account == account && at.DevID == devID })
}

func (i *Identities) openedWhere(wanted func(Binding) bool) []Value {
	if i == nil || i.opened == nil {
		return nil
	}
	i.opened.mu.Lock()
	defer i.opened.mu.Unlock()
	var values []Value
	for _, o := range i.opened.values {
		if wanted(o.place) {
			values = append(values, o.value)
		}
	}
	return values
}

func (o *opened) add(v Value, at Binding) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.values = append(o.values, openedAt{v, at})
}

// ForRun are the same private keys for one run, with opened secrets of their own: to
// forget them wipes none that another run is using.
func (i *Identities) ForRun() *Identities {
	if i == nil {
		return nil
	}
	return &Identities{keyring: i.keyring, opened: &opened{}}
}

// Forget wipes every secret that was opened, for the end of a run.
func (i *Identities) Forget() {
	for _, v := range i.Opened() {
		v.Wipe()
	}
	if i == nil || i.opened == nil {
		return
	}
	i.opened.mu.Lock()
	defer i.opened.mu.Unlock()
	i.opened.values = nil
}

// identity is one private key: either native or plugin is set.
type identity struct {
	native      age.Identity
	recipient   age.Recipient // nil where it cannot be derived
	postQuantum bool
	plugin      *pluginKey
}

// LoadIdentities reads every identity that src names, each time anew, so that
// a replaced file is seen by the next call. An empty src gives Identities that
// open nothing. A file that is missing, unreadable, without an identity, or
// that holds one this package refuses is an error naming the file and line,
// never its text.
func LoadIdentities(src Source) (*Identities, error) {
	var all []identity
	for _, name := range src.Files {
		text, err := readIdentityFile(name)
		if err != nil {
			return nil, err
		}
		found, err := parseIdentities(name, text, src.AllowPlugins)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	if strings.TrimSpace(src.Inline) != "" {
		found, err := parseIdentities(inlineName, string(visible.Decode([]byte(src.Inline))), src.AllowPlugins)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return newIdentities(all), nil
}

// newIdentities puts the slow and the unsure ones last: age tries its native
// keys first by itself, and a plugin is started only if no key matched.
func newIdentities(list []identity) *Identities {
	slices.SortStableFunc(list, func(a, b identity) int {
		switch {
		case a.plugin == nil && b.plugin != nil:
			return -1
		case a.plugin != nil && b.plugin == nil:
			return 1
		}
		return 0
	})
	return &Identities{keyring: func() []identity { return list }, opened: &opened{}}
}

func (i *Identities) list() []identity {
	if i == nil || i.keyring == nil {
		return nil
	}
	return i.keyring()
}

// HasAny reports whether there is at least one identity.
func (i *Identities) HasAny() bool { return len(i.list()) > 0 }

// Recipients returns the public halves, to seal something for the runner
// itself. Plugins have none that could be derived. age cannot mix classic and
// post-quantum recipients in one file: if there is a post-quantum identity,
// only those are returned.
func (i *Identities) Recipients() []age.Recipient {
	var classic, postQuantum []age.Recipient
	for _, id := range i.list() {
		switch {
		case id.recipient == nil:
		case id.postQuantum:
			postQuantum = append(postQuantum, id.recipient)
		default:
			classic = append(classic, id.recipient)
		}
	}
	if len(postQuantum) > 0 {
		return postQuantum
	}
	return classic
}

func readIdentityFile(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", fmt.Errorf("read age identity: %w; correct RECONCILE_AGE_KEY_FILE, or identities.files in daemon.yaml", err)
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, maxIdentityFile+1))
	if err != nil {
		return "", fmt.Errorf("read age identity: %w", err)
	}
	if len(text) > maxIdentityFile {
		return "", fmt.Errorf("%s: larger than 1 MiB, this is no identity file", name)
	}
	return string(visible.Decode(text)), nil
}

// parseIdentities reads the text of one identity file. origin is what errors
// call it.
func parseIdentities(origin, text string, allowPlugins []string) ([]identity, error) {
	trimmed := strings.TrimSpace(text)
	switch {
	case strings.HasPrefix(trimmed, "-----BEGIN AGE ENCRYPTED FILE-----"),
		strings.HasPrefix(trimmed, "age-encryption.org/"):
		return nil, fmt.Errorf("%s: the identity file is itself encrypted, and a daemon cannot type its passphrase; give it a plain one", origin)
	case strings.HasPrefix(trimmed, "-----BEGIN"):
		id, err := parseSSHIdentity(trimmed)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", origin, err)
		}
		return []identity{id}, nil
	}
	var found []identity
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		id, err := parseIdentityLine(line, allowPlugins)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", origin, number, err)
		}
		found = append(found, id)
	}
	if len(found) == 0 {
		return nil, advice.With(fmt.Errorf("%s: holds no identity", origin), "make one", "secret", "keygen")
	}
	return found, nil
}

func parseIdentityLine(line string, allowPlugins []string) (identity, error) {
	switch {
	case strings.HasPrefix(line, "AGE-SECRET-KEY-PQ-1"):
		id, err := age.ParseHybridIdentity(line)
		if err != nil {
			return identity{}, errors.New("the post-quantum identity (AGE-SECRET-KEY-PQ-1…) is cut or misspelt")
		}
		return identity{native: id, recipient: id.Recipient(), postQuantum: true}, nil
	case strings.HasPrefix(line, "AGE-SECRET-KEY-1"):
		id, err := age.ParseX25519Identity(line)
		if err != nil {
			return identity{}, errors.New("the identity (AGE-SECRET-KEY-1…) is cut or misspelt")
		}
		return identity{native: id, recipient: id.Recipient()}, nil
	case strings.HasPrefix(line, "AGE-PLUGIN-"):
		name, _, err := plugin.ParseIdentity(line)
		if err != nil {
			return identity{}, errors.New("the plugin identity (AGE-PLUGIN-…) is cut or misspelt")
		}
		if !slices.Contains(allowPlugins, name) {
			return identity{}, notAllowed(name)
		}
		return identity{plugin: newPluginKey(name, line)}, nil
	case strings.HasPrefix(line, "age1"), strings.HasPrefix(line, "ssh-"):
		return identity{}, errors.New("this is a recipient, the public half; an identity begins with AGE-SECRET-KEY-")
	}
	return identity{}, errors.New("not an age identity: it begins with AGE-SECRET-KEY- or AGE-PLUGIN-")
}

func notAllowed(name string) error {
	return fmt.Errorf("age plugin %q is not allowed; only the runner's own configuration can allow it", name)
}

func parseSSHIdentity(text string) (identity, error) {
	_, rest := pem.Decode([]byte(text))
	if strings.TrimSpace(string(rest)) != "" {
		return identity{}, errors.New("the ssh private key is damaged or not alone; keep one key a file")
	}
	id, err := agessh.ParseIdentity([]byte(text))
	if missing := (*ssh.PassphraseMissingError)(nil); errors.As(err, &missing) {
		return identity{}, errors.New("the ssh private key has a passphrase, and a daemon cannot type it; give it a key without one")
	}
	if err != nil {
		return identity{}, errUnusableSSH
	}
	switch id := id.(type) {
	case *agessh.Ed25519Identity:
		return identity{native: id, recipient: id.Recipient()}, nil
	case *agessh.RSAIdentity:
		// The library refuses a weak key when sealing only.
		if _, err := encrypt(nil, []age.Recipient{id.Recipient()}); err != nil {
			return identity{}, errUnusableSSH
		}
		return identity{native: id, recipient: id.Recipient()}, nil
	}
	return identity{}, errUnusableSSH
}
