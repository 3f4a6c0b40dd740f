package providers

import (
	"bytes"
	"encoding/json"
	"strconv"
)

// Verdict is what a probe found out about a pair of client id and secret.
type Verdict int

// The verdicts. Only an explicit refusal of the pair by the provider is Bad;
// whatever is not understood is Unknown.
const (
	Unknown Verdict = iota
	Good
	Bad
)

// String returns the word used in output.
func (v Verdict) String() string {
	return [...]string{"unknown", "good", "bad"}[v]
}

// ProbeResult is a verdict with its reason in our own words, never in the
// provider's, which might repeat what it was sent.
type ProbeResult struct {
	Verdict Verdict
	Reason  string
}

// Probe is a question to a provider that reads and changes nothing and needs no
// end user. In the values of Form, {client_id} and {client_secret} stand for the
// pair.
type Probe struct {
	Method, URL string
	Basic       bool   // the pair travels as HTTP Basic authentication
	Form        []Pair // the body of a POST, the query of a GET
	Asks        string // completes "to …"
	Proves      string
	Limits      string
	Judge       func(Answer) ProbeResult
}

// Pair is a name and its value.
type Pair struct{ Name, Value string }

// Answer is what the provider answered: a status below 300 or of 400 and above,
// but never 429 or 5xx, which are Unknown for every provider.
type Answer struct {
	Status int
	Body   []byte
}

func good(reason string) ProbeResult    { return ProbeResult{Good, reason} }
func bad(reason string) ProbeResult     { return ProbeResult{Bad, reason} }
func unknown(reason string) ProbeResult { return ProbeResult{Unknown, reason} }

// unclear is the verdict on an answer that no source describes.
func (a Answer) unclear() ProbeResult {
	return unknown("the answer (HTTP " + strconv.Itoa(a.Status) + ") is not one we know")
}

// decode reads a JSON object into target and reports whether it is one.
func (a Answer) decode(target any) bool {
	return a.json() && json.Unmarshal(a.Body, target) == nil
}

// json reports whether the body is one JSON object. White space that JSON does not
// know makes it none.
func (a Answer) json() bool {
	return json.Valid(a.Body) && bytes.HasPrefix(bytes.TrimLeft(a.Body, " \t\r\n"), []byte("{"))
}

// code is an error code that a provider writes as a number or as a text.
type code string

// UnmarshalJSON takes both spellings.
func (c *code) UnmarshalJSON(b []byte) error {
	*c = code(bytes.Trim(b, `"`))
	return nil
}
