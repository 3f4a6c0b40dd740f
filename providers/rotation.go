package providers

import (
	"fmt"
	"strings"
	"time"

	"github.com/terra-reconcile/terra-reconcile/spec"
)

// checkRotation warns of a watch that ends before a bad secret can be seen, and of
// a proof that is demanded where none can be had.
func (p Provider) checkRotation(c spec.Connection) []Finding {
	var found []Finding
	r := c.Rotation
	if len(c.Credentials.Keys) == 0 || r.Origin.File == "" {
		return nil
	}
	if r.Soak < p.TokenLifetime {
		found = append(found, Finding{Severity: spec.Warning, Field: "rotation.soak", Origin: r.Origin,
			Message: fmt.Sprintf("rotation.soak %s is shorter than the %s that access tokens of %s live: a bad secret can stay unseen that long", Span(r.Soak), Span(p.TokenLifetime), p.Name),
			Hint:    fmt.Sprintf("write `soak: %s` or more", Span(p.TokenLifetime))})
	}
	for i, k := range c.Credentials.Keys {
		if r.MaxAge > 0 && !k.Unknown && k.Issued.IsZero() && k.NotBefore.IsZero() {
			found = append(found, Finding{Severity: spec.Warning, Field: "issued", Origin: k.Origin,
				Message: fmt.Sprintf("nothing says how old key %d is, so rotation.max_age (%d days) never warns of it", i+1, int(r.MaxAge/(24*time.Hour))),
				Hint:    "write it as an entry of `keys` with `issued: DATE`, the day it was made in the portal"})
		}
	}
	if r.Probe == "require" && p.Probe == nil {
		found = append(found, Finding{Severity: spec.Warning, Field: "rotation.probe", Origin: r.Origin,
			Message: "rotation.probe is require, and a pair of " + p.Name + " cannot be proved: each new key waits for an approval",
			Hint:    "write `probe: prefer`, or approve each key"})
	}
	return found
}

// Span writes a duration as a file has it: 6h, not 6h0m0s.
func Span(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
