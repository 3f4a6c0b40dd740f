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

// Large reports whether more was asked for than a person waits for: the sample of CI
// (WALK=ci) or the whole walk.
func Large() bool { return Whole() || os.Getenv("WALK") == "ci" }

// small is which part of CI's sample is tried where nothing was asked for.
const small = 8

// Times gives how often something random is tried: n times, or an eighth where nothing
// was asked for.
func Times(n int) int {
	if Large() {
		return n
	}
	return max(1, n/small)
}

// Sample gives some of all points in any order, of each kind at least one, or all
// where the whole walk was asked for, with the seed that repeats the sample as
// WALK_SEED. Where nothing was asked for it gives an eighth of some, and each kind still.
// It is an error of t that there are fewer points than some, or more kinds.
func Sample[T any](t testing.TB, all []T, some int, kind func(T) string) (chosen []T, seed int64) {
	t.Helper()
	if len(all) < some {
		t.Errorf("there are only %d points", len(all))
	}
	chosen, seed = shuffled(t, all)
	if Whole() {
		return all, seed
	}
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
	if !Large() {
		some = max(first, some/small)
	}
	return chosen[:min(some, len(chosen))], seed
}

// Few gives n of all scenes, by the same seed, or all where more was asked for: what a
// walk has to go through before it knows its points.
func Few[T any](t testing.TB, all []T, n int) []T {
	t.Helper()
	if Large() {
		return all
	}
	chosen, _ := shuffled(t, all)
	return chosen[:min(n, len(chosen))]
}

// Seed is what everything random in t follows from: that of WALK_SEED, else another one
// each time, which is logged so that the test can be repeated.
func Seed(t testing.TB) int64 {
	t.Helper()
	seed := time.Now().UnixNano() % 1_000_000
	if text := os.Getenv("WALK_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseInt(text, 10, 64); err != nil {
			t.Fatalf("WALK_SEED: %v", err)
		}
	}
	t.Logf("repeat with WALK_SEED=%d", seed)
	return seed
}

func shuffled[T any](t testing.TB, all []T) (chosen []T, seed int64) {
	t.Helper()
	seed = Seed(t)
	r := rand.New(rand.NewPCG(uint64(seed), 0)) //nolint:gosec // a sample has to be repeated, not to be secret
	chosen = slices.Clone(all)
	r.Shuffle(len(chosen), func(i, j int) { chosen[i], chosen[j] = chosen[j], chosen[i] })
	return chosen, seed
}
