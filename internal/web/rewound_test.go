package web

import (
	"strings"
	"testing"

	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
)

// TestRewoundReleaseAsksForAHigherTag: a new commit alone ends nothing where tags are followed.
func TestRewoundReleaseAsksForAHigherTag(t *testing.T) {
	t.Parallel()
	for tag, want := range map[string]string{"": ", or for a new commit", "v1.5.0": ", or for a new commit with a tag of a higher version"} {
		said := seen{status: daemon.EnvironmentStatus{RewoundFrom: strings.Repeat("a", 40), RewoundFromTag: tag}}.notices()
		if len(said) == 0 || !strings.HasSuffix(said[0].Text, want) || !strings.Contains(said[0].Text, tag) {
			t.Errorf("tag %q: it says %+v, want %q", tag, said, want)
		}
	}
}
