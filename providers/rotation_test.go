package providers

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/spec"
)

func TestCheckRotation(t *testing.T) {
	here := spec.Origin{File: "production/x.yaml", Line: 9, Column: 1}
	for _, row := range []struct {
		name, slug string
		rotation   spec.Rotation
		keys       int
		want       string
	}{
		{"shorter than a token lives", "strava", spec.Rotation{Soak: time.Hour, Origin: here}, 1, "rotation.soak 1h is shorter than the 6h that"},
		{"as long as a token lives", "strava", spec.Rotation{Soak: 6 * time.Hour, Origin: here}, 1, ""},
		{"nothing written", "strava", spec.Rotation{}, 1, ""},
		{"no key", "strava", spec.Rotation{Soak: time.Hour, Origin: here}, 0, ""},
		{"a proof that nobody can give", "virtuagym", spec.Rotation{Soak: 24 * time.Hour, Probe: "require", Origin: here}, 1, "cannot be proved"},
		{"a proof that is to be had", "strava", spec.Rotation{Soak: 24 * time.Hour, Probe: "require", Origin: here}, 1, ""},
		{"an age that nobody knows", "strava", spec.Rotation{Soak: 24 * time.Hour, MaxAge: 90 * 24 * time.Hour, Origin: here}, 1, "nothing says how old key 1 is, so rotation.max_age (90 days) never warns of it"},
	} {
		p, ok := Lookup(row.slug)
		if !ok {
			t.Fatalf("%s is not in the catalogue", row.slug)
		}
		found := p.checkRotation(spec.Connection{Provider: row.slug, Rotation: row.rotation, Credentials: spec.Credentials{Keys: slices.Repeat([]spec.Key{{Origin: here}}, row.keys)}})
		switch {
		case row.want == "" && len(found) > 0:
			t.Errorf("%s: got %v, want nothing", row.name, found)
		case row.want != "" && (len(found) != 1 || !strings.Contains(found[0].Message, row.want) || found[0].Origin != here):
			t.Errorf("%s: got %v, want %q", row.name, found, row.want)
		}
	}
}

func TestSpan(t *testing.T) {
	for _, want := range []string{"6h", "1h30m", "45m", "10m", "10s", "1h0m10s", "0s", "100h"} {
		d, err := time.ParseDuration(want)
		if got := Span(d); err != nil || got != want {
			t.Errorf("%s: got %s, %v", want, got, err)
		}
	}
}

func TestAgeOfKeysIsKnown(t *testing.T) {
	when := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	for name, key := range map[string]spec.Key{"issued": {Issued: when}, "not_before": {NotBefore: when}, "unknown": {Unknown: true}} {
		c := spec.Connection{Provider: "strava", Credentials: spec.Credentials{Keys: []spec.Key{key}},
			Rotation: spec.Rotation{Soak: 24 * time.Hour, MaxAge: 90 * 24 * time.Hour, Origin: spec.Origin{File: "x.yaml"}}}
		if p, _ := Lookup("strava"); len(p.checkRotation(c)) > 0 {
			t.Errorf("%s: got %v, want nothing", name, p.checkRotation(c))
		}
	}
}
