package emulator

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// fields reads a JSON body field by field and collects what is wrong with it.
type fields struct {
	raw  map[string]json.RawMessage
	errs []string
}

// readFields parses a body that must be one JSON object with the names given and
// no others. It never quotes a value: it may be a secret.
func readFields(header http.Header, body []byte, names ...string) (*fields, *refusal) {
	media, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil || media != "application/json" {
		return nil, invalid("Content-Type: must be application/json")
	}
	raw, problem := object(body)
	if problem != "" {
		return nil, invalid("body: " + problem)
	}
	f := &fields{raw: raw}
	for _, name := range slices.Sorted(maps.Keys(raw)) {
		if !slices.Contains(names, name) {
			f.fail(name, "unknown field")
		}
	}
	return f, f.refusal()
}

// object splits a JSON object into its fields. Unlike json.Unmarshal it refuses
// a field that is there twice.
func object(body []byte) (map[string]json.RawMessage, string) {
	const shape = "must be one JSON object"
	d := json.NewDecoder(bytes.NewReader(body))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, shape
	}
	raw := map[string]json.RawMessage{}
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return nil, shape
		}
		if _, twice := raw[name]; twice {
			return nil, "a field is there twice"
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, shape
		}
		raw[name] = value
	}
	if _, err := d.Token(); err != nil {
		return nil, shape
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, shape
	}
	return raw, ""
}

func (f *fields) fail(name, message string) { f.errs = append(f.errs, name+": "+message) }

func (f *fields) refusal() *refusal {
	if len(f.errs) == 0 {
		return nil
	}
	return invalid(f.errs...)
}

func (f *fields) has(name string) bool {
	_, ok := f.raw[name]
	return ok
}

func (f *fields) null(name string) bool { return string(f.raw[name]) == "null" }

// text returns the string, or nil when it was not sent or is not one.
func (f *fields) text(name string) *string {
	return read[string](f, name, "must be a string")
}

// filled is text that may not be empty.
func (f *fields) filled(name string) *string {
	v := f.text(name)
	if v != nil && *v == "" {
		f.fail(name, "must not be empty")
		return nil
	}
	return v
}

func (f *fields) flag(name string) *bool {
	return read[bool](f, name, "must be true or false")
}

func (f *fields) texts(name string) []string {
	list := read[[]*string](f, name, "must be a list of strings")
	if list == nil {
		return nil
	}
	out := []string{}
	for _, v := range *list {
		if v == nil {
			f.fail(name, "must be a list of strings")
			return nil
		}
		out = append(out, *v)
	}
	return out
}

func read[T any](f *fields, name, message string) *T {
	raw, ok := f.raw[name]
	if !ok {
		return nil
	}
	var v *T
	if err := json.Unmarshal(raw, &v); err != nil || v == nil {
		f.fail(name, message)
		return nil
	}
	return v
}

// refusal is a problem answer in the making.
type refusal struct {
	status      int
	code        string
	detail      string
	remediation string
	errors      []string
	appliedApps []string
	retryAfter  time.Duration
}

type problem struct {
	Type        string   `json:"type"`
	Title       string   `json:"title"`
	Instance    string   `json:"instance"`
	Code        string   `json:"code"`
	Detail      string   `json:"detail,omitempty"`
	Remediation string   `json:"remediation,omitempty"`
	Errors      []string `json:"errors,omitempty"`
	AppliedApps []string `json:"applied_app_ids,omitempty"`
}

// answer is a whole HTTP answer.
type answer struct {
	status    int
	header    http.Header
	body      []byte
	code      string // of the problem
	unchecked bool   // broken on purpose: not for the Contract
}

func refuse(status int, code, format string, args ...any) *refusal {
	return &refusal{status: status, code: code, detail: fmt.Sprintf(format, args...)}
}

// invalid is 400 validation_failed; each error reads "field: message".
func invalid(errors ...string) *refusal {
	return &refusal{
		status: http.StatusBadRequest, code: "validation_failed",
		detail: "The request is not valid.", errors: errors,
	}
}

func unsupported(format string, args ...any) *refusal {
	return refuse(http.StatusUnprocessableEntity, "unsupported_operation", format, args...)
}

func notEnabled(provider string) *refusal {
	r := refuse(http.StatusNotFound, "not_found", "The provider %s is not enabled in this environment.", provider)
	r.remediation = "Enable the provider first."
	return r
}

func (r *refusal) answer(instance string) answer {
	a := answer{status: r.status, header: http.Header{}, code: r.code}
	a.header.Set("Content-Type", "application/problem+json")
	if r.retryAfter > 0 {
		seconds := int((r.retryAfter + time.Second - 1) / time.Second)
		a.header.Set("Retry-After", strconv.Itoa(seconds))
	}
	a.body = encode(problem{
		Type:        "about:blank",
		Title:       http.StatusText(r.status),
		Instance:    instance,
		Code:        r.code,
		Detail:      r.detail,
		Remediation: r.remediation,
		Errors:      r.errors,
		AppliedApps: r.appliedApps,
	})
	return a
}

func reply(status int, v any) answer {
	a := answer{status: status, header: http.Header{}}
	if status != http.StatusNoContent {
		a.header.Set("Content-Type", "application/json")
		a.body = encode(v)
	}
	return a
}

// encode marshals values whose types cannot fail.
func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("emulator: encode answer: " + err.Error())
	}
	return b
}
