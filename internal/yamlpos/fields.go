package yamlpos

import (
	"regexp"
	"slices"
	"strings"
	"time"
)

// Form is what the value of a field looks like.
type Form int

// The forms.
const (
	Text        Form = iota // one line of text
	Prose                   // a text of any number of lines
	AsWritten               // any scalar, as it is written
	Word                    // one of Declared.Words
	Boolean                 // true or false
	Number                  // a whole number from Declared.Low to Declared.High
	Span                    // a length of time from Declared.Shortest to Declared.Longest
	Moment                  // a date, or a time with its zone
	Clock                   // a time of day
	Texts                   // a list of texts without repetitions
	Block                   // a mapping, whose fields are declared under its own name
	Blocks                  // a list of such mappings
	Named                   // a mapping of such mappings by names of the user's own, declared as "NAME.*"
	TextsBy                 // a mapping of texts by names of the user's own
	Foreign                 // a mapping that is declared elsewhere
	Sealed                  // a text that is sealed
	TextOrBlock             // one line of text, or a mapping as of Block
	Nothing                 // an error wherever it stands
)

// Declared is one field of a file: what its reader takes, and what the JSON Schema and
// the documentation say of it.
type Declared struct {
	Name     string
	Form     Form
	Null     bool   // null has a meaning of its own
	Required bool   // see [Object.Require]
	Ask      string // where a required field is missing: what to write; "" where that is plain

	Words             []string // of Word, and of the entries of Texts where only these are valid
	Low, High         int
	Shortest, Longest time.Duration
	// Pattern matches every valid text, of Texts each entry. Says is what it matches, in
	// words, where it alone decides.
	Pattern func() *regexp.Regexp
	Says    string
	Never   func() *regexp.Regexp // matches no valid text
	Names   func() *regexp.Regexp // matches the names that users choose
	Chars   int                   // how many characters a text may have; 0 is any number
	Least   int                   // how many entries a list or mapping has at least
	Most    int                   // and at most; 0 is any number

	Value   string // how it is written, where Form does not say it
	Default string // the value that an omitted field has
	Omitted string // what an omitted field means besides
	Means   string
}

// Fields are the fields that a file may hold, by the mapping they stand in: "" is the
// file itself, "policy.allow" an entry of that list, "accounts.*" what stands under
// any name. A block without an entry may hold any field.
type Fields map[string][]Declared

// Declared is a field of a block, the zero value where there is none.
func (f Fields) Declared(block, name string) Declared {
	for i := range f[block] {
		if f[block][i].Name == name {
			return f[block][i]
		}
	}
	return Declared{}
}

// Has reports whether a block has a field.
func (f Fields) Has(block, name string) bool {
	for i := range f[block] {
		if f[block][i].Name == name {
			return true
		}
	}
	return false
}

// Names are those of the fields of a block.
func (f Fields) Names(block string) []string {
	var names []string
	for _, d := range f[block] {
		names = append(names, d.Name)
	}
	return names
}

// Belongs says where a field that has no place in a block does: in the nearest
// block around it, or in the nearest of those inside it. "" where there is none.
func (f Fields) Belongs(block, name string) string {
	for at := block; at != ""; {
		beside := at
		at = above(at)
		if f.Has(at, name) {
			return "it belongs beside `" + beside + "`"
		}
	}
	var places []string
	for other := range f {
		if Inside(other, block) && f.Has(other, name) {
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
