package providers

import (
	"cmp"
	"slices"
	"strings"
)

// catalogue is the list: one line a provider, sorted by slug.
func catalogue() []entry {
	return []entry{
		{"apple_health", appleHealth},
		{"cardiomood", cardiomood},
		{"core", core},
		{"dexcom", dexcom},
		{"dexcom_eu", dexcomEU},
		{"eatthismuch", eatThisMuch},
		{"finalsurge", finalSurge},
		{"fitbit", fitbit},
		{"freestylelibre", freeStyleLibre},
		{"garmin", garmin},
		{"googlefit", googleFit},
		{"hammerhead", hammerhead},
		{"huawei", huawei},
		{"oura", oura},
		{"polar", polar},
		{"samsung", samsung},
		{"strava", strava},
		{"virtuagym", virtuagym},
		{"whoop", whoop},
		{"withings", withings},
	}
}

// entry names a provider beside the function that makes it, so that looking one
// up does not make them all.
type entry struct {
	slug string
	make func() Provider
}

// All returns the whole catalogue, sorted by slug. The caller owns the result.
func All() []Provider {
	list := catalogue()
	all := make([]Provider, len(list))
	for i, e := range list {
		all[i] = e.make()
	}
	slices.SortFunc(all, func(a, b Provider) int { return cmp.Compare(a.Slug, b.Slug) })
	return all
}

// Lookup returns the provider with that slug. Terra ignores case in slugs, and
// so does Lookup. The caller owns the result.
func Lookup(slug string) (Provider, bool) {
	slug = strings.ToLower(slug)
	for _, e := range catalogue() {
		if e.slug == slug {
			return e.make(), true
		}
	}
	return Provider{}, false
}
