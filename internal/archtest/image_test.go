package archtest

import (
	"slices"
	"strings"
	"testing"
)

// TestImagesByTag holds docs/security.md to the Dockerfile: it says that the image which
// builds ours is named by tag exactly as long as it is, because nobody here could ask a
// registry for its digest.
func TestImagesByTag(t *testing.T) {
	tr := repository(t)
	dockerfile, hasFile := tr.find("Dockerfile")
	page, hasPage := tr.find("docs/security.md")
	if !hasFile || !hasPage {
		t.Fatal("the Dockerfile or docs/security.md is missing")
	}
	all := instructions(dockerfile.text)
	i := slices.IndexFunc(all, func(in instruction) bool { return in.name == "ARG" && strings.HasPrefix(in.arguments, "GO_IMAGE=") })
	if i < 0 {
		t.Fatal("no GO_IMAGE that can be pinned")
	}
	byTag := !strings.Contains(all[i].arguments, "@sha256:")
	said := strings.Contains(strings.Join(strings.Fields(page.text), " "), "The image that builds ours is named by tag and not by digest")
	if byTag != said {
		t.Errorf("the Dockerfile names its image by tag: %v; docs/security.md says so: %v", byTag, said)
	}
	for _, in := range all {
		if in.name == "FROM" && !strings.HasPrefix(in.arguments, "${GO_IMAGE}") && in.arguments != "scratch" {
			t.Errorf("Dockerfile:%d: %s cannot be pinned by a digest", in.line, in.arguments)
		}
	}
}
