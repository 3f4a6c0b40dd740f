package providers

// nothingToSet is a provider that docs.tryterra.co "Supported integrations"
// lists without credentials. Of the slugs only apple_health stands in Terra's
// Admin API description; the others are the data API's names in lower case.
// Terra's source types decide at run time.
func nothingToSet(slug, name, enum, why string) Provider {
	return Provider{
		Slug: slug, Name: name, Enum: enum,
		Keys: KeysNone, Why: why,
		Reset:    Reset{Effect: "There is no key to reset."},
		Unproved: "There is no key.",
	}
}

// viaTerra is why there is no key where Terra alone deals with the provider.
const viaTerra = "Terra deals with this provider itself; there is nothing to set."

func appleHealth() Provider {
	return nothingToSet("apple_health", "Apple Health", "APPLE",
		"Apple Health has no web API: the data comes through Terra's mobile SDK in your app.")
}

func googleFit() Provider {
	return nothingToSet("googlefit", "Google Fit (Health Connect)", "GOOGLEFIT",
		"The data comes through Health Connect and Terra's mobile SDK in your app.")
}

func cardiomood() Provider {
	return nothingToSet("cardiomood", "Cardiomood", "CARDIOMOOD", viaTerra)
}

func core() Provider {
	return nothingToSet("core", "Core", "CORE", viaTerra)
}

func eatThisMuch() Provider {
	return nothingToSet("eatthismuch", "EatThisMuch", "EATTHISMUCH", viaTerra)
}

func finalSurge() Provider {
	return nothingToSet("finalsurge", "FinalSurge", "FINALSURGE", viaTerra)
}

func hammerhead() Provider {
	return nothingToSet("hammerhead", "Hammerhead", "HAMMERHEAD", viaTerra)
}
