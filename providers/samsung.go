package providers

// samsung: docs.tryterra.co "Dedicated data source API keys" (direct route:
// partner portal, SDK versions with samsung in their name, keep rule), the guide
// terra-mobile-sdk of github.com/tryterra/agent-skills (SDK only, no web API),
// docs.tryterra.co Android SDK reference (enum), mvnrepository.com
// co.tryterra:terra-android-samsung (the split artifact of 2.x).
func samsung() Provider {
	direct := When{Option: "route", Values: []string{"direct"}}
	return Provider{
		Slug: "samsung", Name: "Samsung Health", Enum: "SAMSUNG",
		Keys: KeysNone,
		Why:  "Samsung Health has no web API: the data comes through Terra's mobile SDK in your app, so there is no key that Terra could hold.",
		Options: []Option{
			{Name: "route", Says: "how the SDK reads Samsung Health; health_connect when omitted", Values: []string{"direct", "health_connect"}, Sample: "direct"},
			{Name: "framework", Says: "what your app is built with", Values: []string{"android", "react-native", "flutter"}, Sample: "android"},
			{Name: "sdk_version", Says: "the Terra SDK your app ships; for the direct route one with samsung in its name", Sample: "1.2.3-samsung"},
		},
		Steps: []Step{
			{Name: "partner_approval", Do: "Apply as a partner in Samsung's partner portal and wait for the approval.", By: "Samsung",
				Evidence: []Evidence{
					done(),
					{Name: "value", Says: "what shows the approval, such as its reference number", Sample: "SHP-2026-0042"},
				},
				Proof: ByEvidence, When: direct, Until: "`route: health_connect` works"},
			{Name: "sdk", Do: "Ship a Terra SDK version that carries samsung in its name, and name it in options.sdk_version. From 2.x the artifact is terra-android-samsung, and your app adds Samsung's own AAR.",
				Evidence: []Evidence{{Option: true, Name: "sdk_version", Contains: "samsung", Says: "a version with samsung in its name", Sample: "1.2.3-samsung"}},
				Proof:    ByEvidence, When: direct, Until: "`route: health_connect` works"},
			{Name: "keep_rule", Do: "Add the ProGuard keep rule for Samsung's classes to release builds.",
				Evidence: []Evidence{done()}, Proof: Advice, When: direct},
		},
		Reset:    Reset{Effect: "There is no key to reset."},
		Unproved: "There is no key. Checked instead: the partner approval and the SDK version, for the direct route.",
	}
}
