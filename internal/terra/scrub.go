package terra

import (
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/terra-reconcile/terra-reconcile/internal/visible"
	"github.com/terra-reconcile/terra-reconcile/secrets"
)

const (
	maxServerText = 500 // characters of one text of the server that an error shows
	withheld      = "[withheld: it repeats a secret]"
)

// scrubber cleans text that comes from outside before it may stand in an error
// or a notice: a server can echo what it was sent. The zero scrubber hides nothing.
type scrubber struct {
	near   []secrets.Value                    // the token, and what the call sends
	told   func() (near, all []secrets.Value) // what was sent or opened for the environment that the call is about, and for any
	openly *secrets.Openly                    // what was sent for the environment that is no secret
	heard  *secrets.Heard                     // what was shown of earlier answers
}

// with returns a scrubber that also knows another secret.
func (s scrubber) with(near secrets.Value) scrubber {
	s.near = append(slices.Clip(s.near), near)
	return s
}

// lists are the secrets that are near, and all others. They are looked for only where there
// is a text to show: most answers have none.
func (s scrubber) lists() (near, all []secrets.Value) {
	if s.told == nil {
		return s.near, nil
	}
	near, all = s.told()
	return append(slices.Clip(s.near), near...), all
}

// clean makes one line of plain text: what visible hides becomes a space; the length
// is bounded. Text that repeats a secret, in whatever form, is withheld as a whole: a
// piece of one that is near, or a part of any that nobody finds by guessing. What stands
// there because it was sent openly decides nothing.
func (s scrubber) clean(text string) string {
	const keep = 16 * maxServerText // enough to look through before cutting, and bounded
	text = strings.ToValidUTF8(text, " ")
	marked, ok := s.openly.Without(text)
	if !ok {
		return withheld
	}
	text, marked = cut(text, keep), cut(marked, keep)
	line := oneLine(text)
	near, all := s.lists()
	for _, parted := range []string{marked, oneLine(marked)} { // what is cut out may part a secret
		if secrets.Repeats(parted, near...) {
			return withheld
		}
	}
	if secrets.RepeatsLong(text, all...) || secrets.RepeatsLong(line, all...) {
		return withheld
	}
	if runes := []rune(line); len(runes) > maxServerText {
		line = string(runes[:maxServerText-1]) + "…"
	}
	return line
}

// alone is clean for a text that is shown by itself.
func (s scrubber) alone(text string) string {
	text = s.clean(text)
	if s.overCalls([]string{text}) {
		return withheld
	}
	return text
}

func cut(text string, most int) string {
	if len(text) > most {
		return strings.ToValidUTF8(text[:most], " ")
	}
	return text
}

func oneLine(text string) string {
	text = strings.Map(func(r rune) rune {
		if visible.Hides(r) {
			return ' '
		}
		return r
	}, text)
	return strings.Join(strings.Fields(text), " ")
}

// told is what one client has sent: whatever the server says afterwards may repeat it.
// It is gone with the client, which serves one run.
type told struct {
	mu     sync.Mutex
	opened func(devID string) []secrets.Value
	sent   map[place][]secrets.Value
	places map[string][]place         // of a dev_id
	public map[place][]string         // the texts beside them, which may hold a piece of one
	openly map[string]*secrets.Openly // all texts, by dev_id
	heard  secrets.Heard              // what was shown of the server's texts, of all dev_ids
}

// place is a connection; provider is "" for an environment as a whole.
type place struct{ devID, provider string }

// add notes what a call sends.
func (t *told) add(k call) {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := place{k.devID, k.provider}
	if !slices.Contains(t.places[k.devID], at) {
		t.places[k.devID] = append(t.places[k.devID], at)
	}
	for _, v := range k.secrets {
		if !v.IsZero() && !slices.ContainsFunc(t.sent[at], v.Equal) {
			t.sent[at] = append(t.sent[at], v)
		}
	}
	texts := k.openly()
	for _, text := range texts {
		if !slices.Contains(t.public[at], text) {
			t.public[at] = append(t.public[at], text)
		}
	}
	if t.openly[k.devID] == nil {
		t.openly[k.devID] = &secrets.Openly{}
	}
	t.openly[k.devID].Add(texts...)
}

// scrubber knows what the server may repeat in its answer to a call.
func (t *told) scrubber(k call, token secrets.Value) scrubber {
	t.mu.Lock()
	defer t.mu.Unlock()
	return scrubber{near: []secrets.Value{token}, told: sync.OnceValues(func() (near, all []secrets.Value) { return t.known(k.devID) }),
		openly: t.openly[k.devID], heard: &t.heard}
}

// known is what was sent or opened for an environment, if there is one, and for any.
func (t *told) known(devID string) (near, all []secrets.Value) {
	t.mu.Lock()
	defer t.mu.Unlock()
	all = t.opened("")
	for _, sent := range t.sent {
		all = append(all, sent...)
	}
	if devID != "" {
		near = t.opened(devID)
	}
	for _, at := range t.places[devID] {
		near = append(near, t.sent[at]...)
	}
	return near, all
}

// inAnswer tells whether an answer that holds data gives away a secret of its
// connection, or the token, which Terra never does.
func (t *told) inAnswer(k call, body []byte, token secrets.Value) bool {
	at := place{k.devID, k.provider}
	t.mu.Lock()
	sent, public := slices.Clone(t.sent[at]), strings.Join(t.public[at], "\n")
	t.mu.Unlock()
	text := string(body)
	hidden := token.Reveal()
	return len(hidden) >= guessed && strings.Contains(text, hidden) || len(sent) > 0 && secrets.RepeatsMost(text, public, sent...)
}

// maxNotices bounds how many different notices one client remembers and reports.
const maxNotices = 200

// notices reports each different Terra-Notice once.
type notices struct {
	mu     sync.Mutex
	report func(operation, text string)
	seen   map[string]struct{}
	shown  []string // the different texts, marked
}

func (n *notices) see(operation string, header http.Header, s scrubber) {
	values := header.Values("Terra-Notice")
	if n.report == nil || len(values) == 0 {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.seen == nil {
		n.seen = map[string]struct{}{}
	}
	for _, value := range values {
		text := s.clean(value)
		key := operation + "\n" + text
		if _, old := n.seen[key]; old || text == "" || len(n.seen) >= maxNotices {
			continue
		}
		n.seen[key] = struct{}{}
		if marked := s.marked(text); text != withheld && !slices.Contains(n.shown, marked) {
			if s.inPieces(append(slices.Clip(n.shown), marked)) || s.overCalls([]string{text}) {
				text = withheld
			} else {
				n.shown = append(n.shown, marked)
			}
		}
		n.report(operation, text)
	}
}
