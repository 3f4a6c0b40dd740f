package state

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/terra-reconcile/terra-reconcile/reconcile/keys"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

// Kind is one kind of record: its name and the version of the form in which this
// program writes and reads it, as in "approval/1". What is stored is the version and
// JSON.
type Kind[T any] string

// The kinds of the runner itself, in the zero Environment.
const (
	kindKillSwitch Kind[KillSwitch]   = "kill-switch/1"      // by target
	kindSecret     Kind[cachedSecret] = "secrets-cache/1"    // by token of the sealed form, and its place
	kindDigestKey  Kind[sealedKey]    = "digest-key/1"       // the key of all digests
	kindRecorded   Kind[string]       = "recorded/1"         // by subject: id of its last line in the history
	kindSequence   Kind[int64]        = "history-sequence/1" // number of the last line in the history
	kindRevision   Kind[Revision]     = "revision/1"         // by dev_id: the commit that a daemon runs it from
	kindToken      Kind[Token]        = "token/1"            // by API address and fingerprint: whose it is and when it ends
	kindAccount    Kind[string]       = "account/1"          // by dev_id: the runner's name of the account that was used for it last
	kindCustomer   Kind[string]       = "customer/1"         // by API address and dev_id: whose token was used there last
	kindBranch     Kind[string]       = "branch/1"           // by repository: the branch that a daemon follows where nobody named one
	kindNameOwner  Kind[Owner]        = "name-owner/1"       // by name of an environment: the repository that has it
	kindDevIDOwner Kind[Owner]        = "dev-id-owner/1"     // by dev_id in small letters: the repository that has it
	kindFollowed   Kind[Followed]     = "followed/1"         // by repository: what its branch named, and what was accepted of it
	kindHeard      Kind[HeardUntil]   = "messages-heard/1"   // how far people were told of the history
	kindMessage    Kind[Message]      = "message/1"          // by receiver and number: what waits for it
	kindReceiver   Kind[Receiver]     = "receiver/1"         // by receiver of messages

	kindConditions Kind[map[string]Condition] = "conditions/1" // by source: what lasts and was told, by key
)

// The kinds of an environment.
const (
	kindMemory      Kind[memoryHead]      = "memory/1"              // head of what was last agreed
	kindConnection  Kind[plan.Remembered] = "connection/1"          // by provider: what was last agreed
	kindSourceTypes Kind[offered]         = "source-types/1"        // what Terra offers there
	kindKeyHistory  Kind[keys.History]    = "key-history/1"         // by provider: rejected, seen and soaking keys
	kindProbe       Kind[answer]          = "probe/1"               // by keyed digest of a pair: what its provider said
	kindCommits     Kind[Commits]         = "commits/1"             // attempted and applied
	kindAttempted   Kind[[]string]        = "attempted-revisions/1" // each commit once, in the order of the first attempt
	kindApproval    Kind[Approval]        = "approval/1"            // by connection, or "": left for the next run by a person
	kindUsed        Kind[usedApproval]    = "used-approval/1"       // by plan hash: when one last served
	kindOpenEvents  Kind[OpenEvents]      = "open-events/1"         // what is gated or drifts, and since when
	kindIntent      Kind[intentRecord]    = "intent/1"              // by id: writes that began and have not ended
)

// kinds are all of the above.
func kinds() []string {
	return []string{
		string(kindKillSwitch), string(kindSecret), string(kindDigestKey), string(kindRecorded), string(kindSequence),
		string(kindRevision), string(kindToken), string(kindAccount), string(kindCustomer), string(kindBranch),
		string(kindFollowed), string(kindNameOwner), string(kindDevIDOwner), string(kindHeard), string(kindMessage), string(kindReceiver), string(kindConditions),
		string(kindMemory), string(kindConnection), string(kindSourceTypes), string(kindKeyHistory), string(kindProbe),
		string(kindCommits), string(kindAttempted), string(kindApproval), string(kindUsed), string(kindOpenEvents), string(kindIntent),
	}
}

// versions gives the version of each kind that this program reads.
func versions() map[string]int {
	out := map[string]int{}
	for _, kind := range kinds() {
		name, version, _ := strings.Cut(kind, "/")
		out[name], _ = strconv.Atoi(version)
	}
	return out
}

// checkVersion refuses a record of a later version than is known. Whatever else is wrong with
// one is told when it is read.
func checkVersion(known map[string]int, a Address, value []byte) error {
	text, _, _ := bytes.Cut(value, []byte(" "))
	found, err := strconv.Atoi(string(text))
	version, ok := known[a.Kind]
	if err == nil && ok && found > version {
		return &FormatError{Record: a.String(), Found: found, Known: version}
	}
	return nil
}

func (k Kind[T]) name() string {
	name, _, _ := strings.Cut(string(k), "/")
	return name
}

func (k Kind[T]) version() string {
	_, version, _ := strings.Cut(string(k), "/")
	return version
}

func (k Kind[T]) at(env Environment, key string) Address { return Address{env, k.name(), key} }

// decode reads a record that is there.
func (k Kind[T]) decode(a Address, value []byte) (record T, err error) {
	text, body, _ := bytes.Cut(value, []byte(" "))
	if string(text) != k.version() {
		found, err := strconv.Atoi(string(text))
		if err != nil {
			return record, &CorruptError{Record: a.String(), Cause: errors.New("it has no version")}
		}
		known, _ := strconv.Atoi(k.version())
		return record, &FormatError{Record: a.String(), Found: found, Known: known}
	}
	if err = json.Unmarshal(body, &record); err == nil && string(body) == "null" {
		err = errors.New("it is empty")
	}
	if err != nil {
		var none T
		return none, &CorruptError{Record: a.String(), Cause: err}
	}
	return record, nil
}

func (k Kind[T]) encode(record T) ([]byte, error) {
	body, err := json.Marshal(record)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", k.name(), err)
	}
	return append([]byte(k.version()+" "), body...), nil
}

func (k Kind[T]) get(r Reader, env Environment, key string) (record T, found bool, err error) {
	a := k.at(env, key)
	value, err := r.Get(a)
	if err != nil || value == nil {
		return record, false, err
	}
	record, err = k.decode(a, value)
	return record, err == nil, err
}

// list gives the records of an environment by key. cached may be nil.
func (k Kind[T]) list(r Reader, env Environment, cached *cache[T]) (map[string]T, error) {
	found, err := r.List(env, k.name())
	if err != nil {
		return nil, err
	}
	out := make(map[string]T, len(found))
	for _, record := range found {
		if out[record.Key], err = cached.decode(k, record); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (k Kind[T]) put(w Writer, env Environment, key string, record T) error {
	value, err := k.encode(record)
	if err != nil {
		return err
	}
	return w.Put(k.at(env, key), value)
}

func (k Kind[T]) drop(w Writer, env Environment, key string) error { return w.Delete(k.at(env, key)) }

// String names a record for a person.
func (a Address) String() string {
	text := a.Kind
	if a.Key != "" {
		text += fmt.Sprintf(" %.40s", a.Key)
	}
	if a.DevID != "" {
		text += " of " + a.DevID
	}
	return text
}

// cache keeps what records were decoded to, beside the bytes they were decoded from: a
// record that is read in every run is decoded only after it was written. What it gives
// is shared, so it may not be changed.
type cache[T any] struct {
	mu    sync.Mutex
	found map[Address]decoded[T]
}

type decoded[T any] struct {
	from   string
	record T
}

func (c *cache[T]) decode(k Kind[T], r Record) (T, error) {
	if c == nil {
		return k.decode(r.Address, r.Value)
	}
	c.mu.Lock()
	known, ok := c.found[r.Address]
	c.mu.Unlock()
	if ok && known.from == string(r.Value) {
		return known.record, nil
	}
	record, err := k.decode(r.Address, r.Value)
	if err != nil {
		return record, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.found == nil {
		c.found = map[Address]decoded[T]{}
	}
	c.found[r.Address] = decoded[T]{string(r.Value), record}
	return record, nil
}
