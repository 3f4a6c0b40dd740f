package reconcile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/terra-reconcile/terra-reconcile/providers"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
	"github.com/terra-reconcile/terra-reconcile/secrets"
)

// unneeded gives the keys that the file need not hold any more: none while a key is
// watched or the live one was rejected, none where it is not known what is live, and
// never a key that is live or due.
func (s keyReview) unneeded() []int {
	if s.life.Soak != nil || s.liveMarked() {
		return nil
	}
	seen := s.p.input.Observed[s.w.desired.Provider].Secret
	noneLive := s.live < 0 && seen.Result == plan.Differs && seen.LiveKey == 0
	if s.live < 0 && !noneLive {
		return nil
	}
	out := secrets.Unneeded(s.schedule(), s.live, s.w.due)
	provider, _ := providers.Lookup(s.w.desired.Provider)
	return slices.DeleteFunc(out, func(i int) bool {
		_, err := s.p.book.digest(s.w.keys[i], provider)
		return noneLive && err != nil // one that does not open may be the live one
	})
}

// prune names, after lead, the keys that are no longer needed, and the command that
// takes them out of the file.
func prune(lead string, k report.KeyStatus) string {
	numbers, flags := "", ""
	for i, n := range k.Unneeded {
		numbers += fmt.Sprintf("%s%d", strings.Repeat(", ", min(i, 1)), n)
		flags += fmt.Sprintf(" --key %d", n)
	}
	switch len(k.Unneeded) {
	case 0:
		return ""
	case 1:
		lead += "key " + numbers + " is"
	default:
		lead += "keys " + numbers + " are"
	}
	return lead + " no longer needed: `reconcile rotate prune " + k.Connection + flags + "`"
}
