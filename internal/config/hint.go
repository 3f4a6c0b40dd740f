package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// hint names the known field that is nearest to name, or lists them all.
func hint(name string, known map[string]field) string {
	names := slices.Sorted(maps.Keys(known))
	best, least := "", 3
	for _, candidate := range names {
		if d := distance(name, candidate); d < least {
			best, least = candidate, d
		}
	}
	if best != "" {
		return fmt.Sprintf(", did you mean %q?", best)
	}
	return "; known here: " + strings.Join(names, ", ")
}

// distance is the number of letters to add, drop or change to turn a into b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
