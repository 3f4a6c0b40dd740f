package terra

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/terra-reconcile/terra-reconcile/secrets"
)

// operation declares one operation of the contract. It stands next to the call
// that uses it. Whether a call is a write is a property written here, never
// guessed from the HTTP method.
type operation struct {
	id     string
	method string
	path   string // template: {dev_id} and {provider} are filled in
	does   string // the step in words, up to its object, as errors begin
	scope  string // the token scope it needs, "" for none
	write  bool
	slow   bool // takes up to a minute at Terra
}

// step is the step without its object.
func (o operation) step() string { return strings.TrimSuffix(o.does, " of") }

// slowTimeout is the least deadline of an operation that is declared slow. It is
// as long as all attempts at another one, so once it has passed there is no second.
const slowTimeout = 90 * time.Second

// call is one use of an operation. It holds no plaintext outside body.
type call struct {
	op       operation
	devID    string
	provider string
	query    url.Values
	key      IdempotencyKey
	dryRun   bool // sent with dry_run=true; only the proof and the comparison do so
	quiet    bool // no text of its answer is shown or stored
	body     []byte
	secrets  []secrets.Value // that stand in body
	hide     scrubber        // of what the server says in answer
}

// openly gives the texts that the call sends and that are no secrets.
func (k call) openly() []string {
	texts := []string{k.devID, k.provider, string(k.key)}
	for _, values := range k.query {
		texts = append(texts, values...)
	}
	fields := map[string]json.RawMessage{}
	_ = json.Unmarshal(k.body, &fields) // there may be none
	for _, name := range secretFields() {
		delete(fields, name)
	}
	for _, field := range fields {
		for values := json.NewDecoder(bytes.NewReader(field)); ; {
			value, err := values.Token()
			if err != nil {
				break
			}
			if text, ok := value.(string); ok {
				texts = append(texts, text)
			}
		}
	}
	return slices.DeleteFunc(texts, func(text string) bool { return text == "" })
}

// action is the step and its object, as errors begin.
func (k call) action() string {
	switch {
	case k.provider != "":
		return k.op.does + " " + k.devID + "/" + k.provider
	case k.devID != "":
		return k.op.does + " " + k.devID
	default:
		return k.op.does
	}
}

// isSlow reports whether the call may take a minute: those that are declared so, and
// every change of a Garmin connection and its preview, for Terra asks Garmin then.
func (k call) isSlow() bool {
	return k.op.slow || k.op.write && strings.EqualFold(k.provider, "garmin")
}

// commits reports whether the call is meant to change something.
func (k call) commits() bool { return k.op.write && !k.dryRun }

// check refuses, before anything is sent, what could reach another resource than
// the one that was named.
func (k call) check() error {
	var devID, provider, key error
	if k.devID != "" || strings.Contains(k.op.path, "{dev_id}") {
		devID = checkSegment("dev_id", k.devID)
	}
	if k.provider != "" || strings.Contains(k.op.path, "{provider}") {
		provider = checkSegment("provider", k.provider)
	}
	if k.commits() && k.key == "" {
		key = ErrNoIdempotencyKey
	}
	if err := errors.Join(devID, provider, key); err != nil {
		return fmt.Errorf("%s: %w", k.op.step(), err)
	}
	return nil
}

func checkSegment(name, value string) error {
	if value == "" {
		return fmt.Errorf("%s is empty", name)
	}
	odd := func(r rune) bool {
		switch {
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9':
			return false // nearly all
		default:
			return unicode.IsSpace(r) || !unicode.IsPrint(r) || strings.ContainsRune(`/\?#%`, r)
		}
	}
	if value == "." || value == ".." || strings.ContainsFunc(value, odd) {
		return fmt.Errorf("%s %.80q is not a name that fits in a path", name, value)
	}
	return nil
}

// target is the call's path below the base URL, with its query.
func (k call) target() string {
	path := strings.Replace(k.op.path, "{dev_id}", url.PathEscape(k.devID), 1)
	path = strings.Replace(path, "{provider}", url.PathEscape(k.provider), 1)
	if k.dryRun {
		return path + "?dry_run=true"
	}
	if len(k.query) > 0 {
		return path + "?" + k.query.Encode()
	}
	return path
}
