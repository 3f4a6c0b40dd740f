package yamlpos

import (
	"slices"
	"strings"
)

// Fields are the fields that a file may hold, by the mapping they stand in: "" is the
// file itself, "policy.allow" an entry of that list, "accounts.*" what stands under
// any name. A block without an entry may hold any field.
type Fields map[string][]string

// Belongs says where a field that has no place in a block does: in the nearest
// block around it, or in the nearest of those inside it. "" where there is none.
func (f Fields) Belongs(block, name string) string {
	for at := block; at != ""; {
		beside := at
		at = above(at)
		if slices.Contains(f[at], name) {
			return "it belongs beside `" + beside + "`"
		}
	}
	var places []string
	for other, fields := range f {
		if Inside(other, block) && slices.Contains(fields, name) {
			places = append(places, other)
		}
	}
	if len(places) == 0 {
		return ""
	}
	slices.SortFunc(places, func(a, b string) int {
		if depth := strings.Count(a, ".") - strings.Count(b, "."); depth != 0 {
			return depth
		}
		return strings.Compare(a, b)
	})
	if len(places) > 1 && strings.Count(places[0], ".") == strings.Count(places[1], ".") {
		return "" // two places are none
	}
	return "it belongs under `" + places[0] + "`"
}

// Inside reports whether one block stands somewhere in another.
func Inside(one, other string) bool {
	return one != "" && (other == "" || strings.HasPrefix(one, other+"."))
}

// Below returns the path of what stands in a block, that of the block itself for "".
func Below(block, field string) string {
	switch {
	case block == "":
		return field
	case field == "":
		return block
	}
	return block + "." + field
}

// above returns the block around a block.
func above(block string) string {
	return block[:max(0, strings.LastIndexByte(block, '.'))]
}
