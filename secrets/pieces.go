package secrets

import (
	"maps"
	"math"
	"strings"
	"sync"
)

const (
	// piece is how long the pieces are that are looked for wherever they stand.
	piece = 4
	// mostPieces bounds what is remembered of one Heard: some 4 MiB.
	mostPieces = 1 << 18
)

// RepeatsInPieces reports whether texts that are shown together give away a quarter of
// an open secret, and at least twelve characters, in pieces of at least four, in any order. Its
// letters and digits count, in small letters, as they are and reversed.
func RepeatsInPieces(texts []string, open ...Value) bool {
	shown := piecesOf(texts)
	for _, v := range open {
		secret := plainCharacters(v.Reveal())
		if covered(secret, shown.has) >= max(guessed, len(secret)/4) {
			return true
		}
	}
	return false
}

// pieces are all stretches of four letters and digits of texts, in small letters, and of
// the texts read backwards.
type pieces map[[piece]byte]struct{}

func piecesOf(texts []string) pieces {
	all := pieces{}
	for _, text := range texts {
		plain := plainCharacters(text)
		for _, t := range []string{plain, backwards(plain)} {
			for i := 0; i+piece <= len(t); i++ {
				all[[piece]byte([]byte(t[i:i+piece]))] = struct{}{}
			}
		}
	}
	return all
}

func (p pieces) has(run [piece]byte) bool {
	_, there := p[run]
	return there
}

// covered is how many characters of a secret stand in pieces of it that are shown.
func covered(secret string, shown func(run [piece]byte) bool) int {
	found, end := 0, 0
	for i := 0; i+piece <= len(secret); i++ {
		run := secret[i : i+piece]
		if shown([piece]byte([]byte(run))) && !strings.Contains(secret[:i], run) { // again it tells no more
			found += i + piece - max(i, end)
			end = i + piece
		}
	}
	return found
}

// Heard is what a server said at several times and was shown, so that it is judged
// together. The zero Heard is empty. It is safe for concurrent use.
type Heard struct {
	mu    sync.Mutex
	shown pieces
}

// Tells reports whether texts, with what was shown before, give away half of an open
// secret, and at least twelve characters more than stand there by chance, in pieces as in
// [RepeatsInPieces]; if not, they count as shown. When too much was shown to remember
// more, what was before is forgotten. A nil Heard remembers nothing and is false.
func (h *Heard) Tells(texts []string, open ...Value) bool {
	if h == nil {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	added := piecesOf(texts)
	maps.DeleteFunc(added, func(run [piece]byte, _ struct{}) bool { return h.shown.has(run) })
	if len(added) == 0 {
		return false
	}
	if h.shown == nil || len(h.shown)+len(added) > mostPieces {
		h.shown = pieces{}
	}
	either := func(run [piece]byte) bool { return added.has(run) || h.shown.has(run) }
	for _, v := range open {
		secret := plainCharacters(v.Reveal())
		if covered(secret, added.has) == 0 {
			continue
		}
		least := max(guessed, len(secret)/2)
		if found := covered(secret, either); found >= least && found >= least+h.byChance(secret) {
			return true
		}
	}
	maps.Copy(h.shown, added)
	return false
}

// byChance is how many characters of a secret would stand in what was shown if that were
// made of the secret's characters at random, as names of requests are.
func (h *Heard) byChance(secret string) int {
	var kinds [256]bool
	different := 0.0
	for i := range len(secret) {
		if c := secret[i]; !kinds[c] {
			kinds[c] = true
			different++
		}
	}
	alike := 0.0
	for run := range h.shown {
		if kinds[run[0]] && kinds[run[1]] && kinds[run[2]] && kinds[run[3]] {
			alike++
		}
	}
	missed := 1 - min(1, alike/math.Pow(different, piece)) // by one piece; each character is in four
	return int(float64(len(secret)) * (1 - math.Pow(missed, piece)))
}
