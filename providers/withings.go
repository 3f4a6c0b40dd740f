package providers

import (
	"github.com/terra-reconcile/terra-reconcile/spec"
)

// withings: docs.tryterra.co "Managed vs own credentials"; api-evangelist
// withings (portal, signature API, rate limit); GitHub issues
// jaroslawhartman/withings-sync#41 and #215 (status 503 for every cause; the
// shape of a client id, seen once).
func withings() Provider {
	return Provider{
		Slug: "withings", Name: "Withings",
		Keys:   KeysOptional,
		Why:    "Terra's app serves Withings; an app of your own has its quota of 120 requests a minute for itself.",
		Portal: "https://developer.withings.com/dashboard",
		Fields: []Field{
			{Name: ClientID, Label: "ClientID", Sample: "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", Rules: []Rule{
				{Match: made(lowerHex, 64, 64), Severity: spec.Warning, Says: "is usually 64 characters of 0-9 and a-f", Hint: "copy it from https://developer.withings.com/dashboard"},
			}},
			{Name: ClientSecret, Label: "Secret"},
		},
		Steps: []Step{
			{Name: "app", Do: "Create an application at https://developer.withings.com/dashboard and register {redirect} as redirect address.",
				Evidence: []Evidence{done()}, OwnApp: true},
		},
		Quotas: []string{"120 requests a minute for one app (reported by a third party)"},
		Reset: Reset{
			Effect: "The secret also signs calls, so they fail from the reset until Terra has the new one.",
			Order:  ResetFirst,
		},
		Unproved: "Withings answers a wrong pair and a wrong code alike (HTTP 200, status 503). " +
			"Checked instead: no space, quote or bracket around the pair, the usual shape of the client id.",
	}
}
