package cli

import (
	"slices"
	"sync"
)

// notices are what Terra said in one run beside its answers, each text once,
// whichever calls it came with. Clients of several accounts may hear at once.
type notices struct {
	mu    sync.Mutex
	texts []string
}

func (n *notices) hear(_, text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !slices.Contains(n.texts, text) {
		n.texts = append(n.texts, text)
	}
}

// warnings gives them for a report, in the same order in every run.
func (n *notices) warnings() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := make([]string, 0, len(n.texts))
	for _, text := range n.texts {
		out = append(out, "Terra says: "+text)
	}
	slices.Sort(out)
	return out
}
