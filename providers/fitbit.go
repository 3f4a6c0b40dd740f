package providers

import (
	"github.com/terra-reconcile/terra-reconcile/spec"
)

// fitbit: docs.tryterra.co "Supported integrations" (own keys; retired, and which
// source comes after it) and "How do I handle the Fitbit-to-Google migration?";
// the dated copies of developers.google.com/health/rate-limits and dev.fitbit.com/legal (the end of
// the legacy Web API: 2026-10-30 on older pages, 2026-11-02 on newer ones);
// GitHub issue openmhealth/shimmer#48 (the shape of a client id, seen once).
func fitbit() Provider {
	return Provider{
		Slug: "fitbit", Name: "Fitbit", Enum: "FITBIT",
		Keys:   KeysOptional,
		Why:    "The legacy Fitbit API, for which own keys were made, is closed.",
		Portal: "https://developers.google.com/health",
		Fields: []Field{
			{Name: ClientID, Label: "OAuth 2.0 Client ID", Sample: "23ABCD", Rules: []Rule{
				{Match: made(digits+upper, 6, 6), Severity: spec.Warning, Says: "is usually 6 capital letters and digits", Hint: "compare it with the portal"},
			}},
			{Name: ClientSecret, Label: "Client Secret"},
		},
		Ends: []EndOfLife{{
			Date: "2026-11-02", What: "the legacy Fitbit Web API and its sign-in",
			Successor: "connect `google_health` (GOOGLE_HEALTH in the data API), Terra's source on the Google Health API: Terra has its keys, each user signs in once more; then set `state: disabled` here", Blocks: true,
		}},
		Reset:    Reset{Effect: "There is nothing to rotate: the legacy API is closed."},
		Unproved: "The token address of the legacy API is switched off.",
	}
}
