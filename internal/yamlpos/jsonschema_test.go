package yamlpos

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/terra-reconcile/terra-reconcile/internal/walk"
)

// TestPlaceholderPatternKnowsTheSame as IsPlaceholder, of texts made of what either looks
// for.
func TestPlaceholderPatternKnowsTheSame(t *testing.T) {
	pattern := regexp.MustCompile(placeholderJSON())
	pieces := append(placeholders(), "…", "...", ".", " ", "<", ">", "${", "}", "{{", "}}", "$", "A1_", "DEV_ID", "CLIENT_ID", "your", "-", "_", "x", "xxx", "xxxx", "X", "Y", "y9", "TODO", "a", "é")
	r := rand.New(rand.NewPCG(uint64(walk.Seed(t)), 0))
	yes := 0
	for range 50_000 {
		var b strings.Builder
		for range 1 + r.IntN(4) {
			b.WriteString(pieces[r.IntN(len(pieces))])
		}
		want := IsPlaceholder(b.String())
		if got := pattern.MatchString(b.String()); got != want {
			t.Fatalf("%q: the pattern matches: %t, IsPlaceholder says %t", b.String(), got, want)
		}
		if want {
			yes++
		}
	}
	if yes < 1000 || yes > 49_000 {
		t.Errorf("%d of 50000 texts are placeholders", yes)
	}
}
