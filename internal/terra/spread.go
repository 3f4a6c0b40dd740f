package terra

import (
	"slices"
	"strings"

	"github.com/terra-reconcile/terra-reconcile/secrets"
)

// together is how much of what is shown together is unwrapped.
const together = 16 << 10

// spread tells whether texts that are shown together give away a secret of which none of
// them holds enough. What stands there because it was sent openly decides nothing.
func (s scrubber) spread(texts []string) bool {
	_, all := s.lists()
	return s.inPieces(s.markedAll(texts)) || secrets.RepeatsLong(lastOf(texts), all...)
}

// overCalls tells whether texts give away a secret together with what was shown of earlier
// answers; if not, they count as shown.
func (s scrubber) overCalls(texts []string) bool {
	near, all := s.lists()
	return s.heard.Tells(s.markedAll(texts), append(slices.Clip(near), all...)...)
}

// inPieces is spread for texts that are marked.
func (s scrubber) inPieces(marked []string) bool {
	near, _ := s.lists()
	return secrets.Repeats(lastOf(marked), near...) || secrets.RepeatsInPieces(marked, near...)
}

// marked is a text without what was sent openly for the environment of the call.
func (s scrubber) marked(text string) string {
	marked, _ := s.openly.Without(text)
	return marked
}

func (s scrubber) markedAll(texts []string) []string {
	marked := make([]string, len(texts))
	for i, text := range texts {
		marked[i] = s.marked(text)
	}
	return marked
}

func lastOf(texts []string) string {
	joined := strings.Join(texts, " ")
	return joined[max(0, len(joined)-together):]
}

// guessed is how long a token is at least that nobody guesses: a shorter one is for trying
// things out, and may be a word.
const guessed = 12

// inText is inAnswer for the texts of an answer that are kept, as they will be shown,
// however long: they give away nothing of the token and of what was sent to the
// environment either.
func (t *told) inText(k call, text string, token secrets.Value) bool {
	var open []secrets.Value
	if len(token.Reveal()) >= guessed {
		open = append(open, token)
	}
	t.mu.Lock()
	for _, at := range t.places[k.devID] {
		open = append(open, t.sent[at]...)
	}
	t.mu.Unlock()
	return secrets.RepeatsInLines(text, func() string { return t.publicOf(k.devID) }, open...)
}

// publicOf are the texts that were sent openly to an environment, each a line.
func (t *told) publicOf(devID string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var lines []string
	for _, at := range t.places[devID] {
		lines = append(lines, t.public[at]...)
	}
	return strings.Join(lines, "\n")
}
