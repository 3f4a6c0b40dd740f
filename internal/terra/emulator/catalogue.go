package emulator

import (
	"maps"
	"slices"
	"strings"

	"github.com/terra-reconcile/terra-reconcile/internal/terra"
)

// entry is what Terra knows of a provider.
type entry struct {
	terra.SourceType
	scopes []terra.Scope
}

// Values of setup.
const (
	managed    = "api_keys_managed"   // Terra has an app
	required   = "api_keys_required"  // the customer brings one
	unneeded   = "setup_not_required" // users sign in with their own login
	mobileOnly = "sdk"
)

// What the flags column of the table stands for.
const (
	ownRequired = 'R' // customer_credentials_required
	ownPossible = 'C' // custom_credentials_allowed
	byoAllowed  = 'B' // byo_supported
	isOld       = 'D' // deprecated
)

// listing is one line of the catalogue. Scopes stand as "name", with ! behind a
// required one and + behind one that is asked for by default.
type listing struct {
	provider, name, auth, setup, flags, data, scopes string
}

func listings() []listing {
	return []listing{
		{"apple_health", "Apple Health", "sdk", mobileOnly, "", "activity body daily sleep nutrition", ""},
		{"biostrap", "Biostrap", "oauth2", managed, "C", "activity daily sleep", ""},
		{"cardiomood", "CardioMood", "login", unneeded, "", "daily body", ""},
		{"concept2", "Concept2", "oauth2", managed, "C", "activity", "user:read! results:read+"},
		{"core", "CORE", "login", unneeded, "", "activity body", ""},
		{"cronometer", "Cronometer", "oauth2", managed, "C", "nutrition", ""},
		{
			"dexcom", "Dexcom", "oauth2", required, "RC", "body",
			"offline_access! egv! calibration+ device+ event+ statistics",
		},
		{"dexcom_eu", "Dexcom EU", "oauth2", required, "RC", "body", "offline_access! egv! calibration+ device+ event+"},
		{"dexcom_jp", "Dexcom Japan", "oauth2", required, "RC", "body", "offline_access! egv!"},
		{"eatthismuch", "Eat This Much", "login", unneeded, "", "nutrition", ""},
		{"fatsecret", "FatSecret", "oauth1", managed, "C", "nutrition", ""},
		{"finalsurge", "Final Surge", "login", unneeded, "", "activity", ""},
		{
			"fitbit", "Fitbit", "oauth2", managed, "BCD", "activity body daily nutrition sleep",
			"profile! activity+ heartrate+ sleep+ weight+ nutrition oxygen_saturation temperature",
		},
		{"freestylelibre", "FreeStyle Libre", "login", managed, "", "body", ""},
		{"garmin", "Garmin", "oauth2", required, "RC", "activity body daily sleep menstruation", ""},
		{"google_health", "Google Health", "oauth2", managed, "", "activity body daily nutrition sleep", ""},
		{"googlefit", "Google Fit (Health Connect)", "sdk", mobileOnly, "", "activity body daily sleep", ""},
		{"hammerhead", "Hammerhead", "login", unneeded, "", "activity", ""},
		{"health_connect", "Health Connect", "sdk", mobileOnly, "", "activity body daily sleep nutrition", ""},
		{"huawei", "Huawei Health Kit", "oauth2", required, "RC", "activity body daily sleep", "openid! step+ heartrate+ sleep+ heightweight"},
		{"inbody", "InBody", "login", unneeded, "", "body", ""},
		{"omron", "OMRON", "oauth2", managed, "C", "body", ""},
		{"omronus", "OMRON US", "oauth2", managed, "C", "body", ""},
		{
			"oura", "Oura", "oauth2", managed, "", "activity body daily sleep",
			"email! personal! daily+ heartrate+ workout+ session tag spo2",
		},
		{"peloton", "Peloton", "login", unneeded, "", "activity", ""},
		{"polar", "Polar", "oauth2", managed, "BC", "activity body daily sleep", "accesslink.read_all!"},
		{"samsung", "Samsung Health", "sdk", mobileOnly, "", "activity body daily sleep nutrition", ""},
		{
			"strava", "Strava", "oauth2", required, "RC", "activity",
			"read! activity:read+ activity:read_all profile:read_all activity:write",
		},
		{"suunto", "Suunto", "oauth2", managed, "BC", "activity daily sleep", "workout!"},
		{"virtuagym", "Virtuagym", "login", required, "RC", "activity body nutrition", ""},
		{
			"whoop", "WHOOP", "oauth2", required, "RC", "activity body daily sleep",
			"offline! read:profile! read:recovery+ read:cycles+ read:sleep+ read:workout+ read:body_measurement",
		},
		{"withings", "Withings", "oauth2", managed, "BC", "activity body daily sleep", "user.info! user.metrics+ user.activity+ user.sleepevents"},
	}
}

// Catalogue lists the providers that Terra offers, by slug.
func Catalogue() []string { return slices.Sorted(maps.Keys(catalogue())) }

func catalogue() map[string]entry {
	all := map[string]entry{}
	for _, l := range listings() {
		all[l.provider] = l.entry()
	}
	return all
}

func (l listing) entry() entry {
	flag := func(r rune) bool { return strings.ContainsRune(l.flags, r) }
	scopes := l.scopeList()
	return entry{
		SourceType: terra.SourceType{
			Provider:                    l.provider,
			DisplayName:                 l.name,
			Icon:                        "https://cdn.terra.invalid/icons/" + l.provider + ".svg",
			AuthType:                    l.auth,
			Setup:                       &l.setup,
			DataTypes:                   strings.Fields(l.data),
			Deprecated:                  flag(isOld),
			BYOSupported:                flag(byoAllowed),
			CustomScopesSupported:       len(scopes) > 0,
			CustomerCredentialsRequired: flag(ownRequired),
			CustomCredentialsAllowed:    flag(ownPossible),
		},
		scopes: scopes,
	}
}

func (l listing) scopeList() []terra.Scope {
	var list []terra.Scope
	for _, word := range strings.Fields(l.scopes) {
		name := strings.TrimRight(word, "!+")
		list = append(list, terra.Scope{
			Scope:       name,
			Name:        name,
			Description: l.name + " scope " + name,
			Required:    strings.HasSuffix(word, "!"),
			Enabled:     strings.HasSuffix(word, "+"),
		})
	}
	return list
}
