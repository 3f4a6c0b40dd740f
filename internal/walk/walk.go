package walk

import (
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"
)

// Whole reports whether each point was asked for (WALK=all), not a sample.
func Whole() bool { return os.Getenv("WALK") == "all" }

// Sample gives some of all points in any order, of each kind at least one, or all
// where the whole walk was asked for, with the seed that repeats the sample as
// WALK_SEED. It is an error of t that there are fewer points than some, or more
// kinds.
func Sample[T any](t testing.TB, all []T, some int, kind func(T) string) (chosen []T, seed int64) {
	t.Helper()
	seed = time.Now().UnixNano() % 1_000_000
	if text := os.Getenv("WALK_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseInt(text, 10, 64); err != nil {
			t.Fatalf("WALK_SEED: %v", err)
		}
	}
	if len(all) < some {
		t.Errorf("there are only %d points", len(all))
	}
	if Whole() {
		return all, seed
	}
	r := rand.New(rand.NewPCG(uint64(seed), 0)) //nolint:gosec // a sample has to be repeated, not to be secret
	chosen = slices.Clone(all)
	r.Shuffle(len(chosen), func(i, j int) { chosen[i], chosen[j] = chosen[j], chosen[i] })
	seen, first := map[string]bool{}, 0
	for i := range chosen {
		if k := kind(chosen[i]); !seen[k] {
			seen[k] = true
			chosen[first], chosen[i] = chosen[i], chosen[first]
			first++
		}
	}
	if first > some {
		t.Errorf("a sample of %d leaves out some of %d kinds", some, first)
	}
	return chosen[:min(some, len(chosen))], seed
}
