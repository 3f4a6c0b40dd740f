package providers

import (
	"strings"

	"github.com/terra-reconcile/terra-reconcile/spec"
)

// virtuagym: docs.tryterra.co "Dedicated data source API keys" (portal name and
// API key), "Integration fun facts" (a direct partnership is needed); the mirror
// of Virtuagym's gated documentation at github.com/anokabb/virtuagym-public-api
// (quota, status codes). The club secret names itself: "CS-<club>-ACCESS-…".
// About 42 letters and digits for a key was seen once.
func virtuagym() Provider {
	return Provider{
		Slug: "virtuagym", Name: "Virtuagym",
		Keys:   KeysRequired,
		Why:    "Virtuagym gives API keys only to its own partners, so Terra has none to lend.",
		Portal: "https://virtuagym.com/public-api",
		Fields: []Field{
			{Name: ClientID, Native: "portal_name", Label: "portal name", Sample: "acme-gym", Spaces: true},
			{Name: ClientSecret, Native: "api_key", Label: "API key", Rules: []Rule{
				{Match: clubSecret, Unwanted: true, Severity: spec.Error, Says: "is a club secret (CS-…-ACCESS-…), not the API key", Hint: "use the API key that Virtuagym sent by e-mail"},
				{Match: made(alphanums, 30, 60), Severity: spec.Warning, Says: "is usually about 42 letters and digits", Hint: "compare it with the e-mail from Virtuagym"},
			}},
		},
		Steps: []Step{
			{Name: "partnership", Do: "Agree with Virtuagym directly that you may use its API. Terra cannot do this for you.",
				Evidence: []Evidence{done()}, OwnApp: true},
			{Name: "api_key", Do: "Request an API key at https://virtuagym.com/public-api. It comes by e-mail. In the portal, System settings > Business info > Advanced shows the club's own values; the club secret there is not the API key.",
				Evidence: []Evidence{done()}, OwnApp: true},
		},
		Quotas: []string{"500 requests an hour; more are answered with status 421"},
		Reset: Reset{
			Effect: "A new key is requested from Virtuagym and comes by e-mail. Whether two keys work side by side is not documented: ask for that before the old one is removed.",
			Order:  CommitFirst,
		},
		Notes: []string{"Terra stores the portal name as client_id and the API key as client_secret."},
		Unproved: "Virtuagym checks an API key only together with a user's login or a club secret, which Terra does not store, and its answer 401 does not say which of them is wrong. " +
			"Checked instead: no space, quote or bracket around the key, no club secret in its place, its usual shape; after the change, that end users stay connected.",
	}
}

// clubSecret matches CS-<club>-ACCESS-….
func clubSecret(text string) bool {
	club, _, access := strings.Cut(strings.TrimPrefix(text, "CS-"), "-ACCESS-")
	return strings.HasPrefix(text, "CS-") && access && club != ""
}
