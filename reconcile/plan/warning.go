package plan

// Warning is something that a person should know although nothing is changed because
// of it. Many can have one cause, and are told together then.
type Warning struct {
	About  string `json:"about"`  // production/strava, or production/strava.yaml:6; "" for the environment
	Cause  string `json:"cause"`  // the same words wherever it is so; "" where nothing but Text tells it
	Detail string `json:"detail"` // what differs from one to the next; "" where nothing does
	Next   string `json:"next"`   // what to do about it; "" where Cause says it
	Text   string `json:"text"`   // all of it, as a sentence of its own
}

// Warn makes the warning of a cause that needs no more words.
func Warn(about, cause string) Warning {
	return Warning{About: about, Cause: cause, Text: about + ": " + cause}
}
