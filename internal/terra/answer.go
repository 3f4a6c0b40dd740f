package terra

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	mediaJSON    = "application/json"
	mediaProblem = "application/problem+json"
)

func mediaOf(header http.Header) string {
	media, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return media
}

func (k call) bad(status int, reason string) *BadAnswerError {
	return &BadAnswerError{Operation: k.op.id, Action: k.action(), Status: status, Reason: reason}
}

// document is the answer's JSON, or why there is none.
func (a answer) document(k call) (json.RawMessage, error) {
	switch {
	case len(a.body) == 0:
		return nil, k.bad(a.status, "empty; "+againLater)
	case a.media != mediaJSON:
		return nil, k.bad(a.status, "not "+mediaJSON+"; "+beforeTheAPI)
	case !json.Valid(a.body):
		return nil, k.bad(a.status, "not JSON, or cut off; "+againLater)
	}
	return a.body, nil
}

// decode reads a whole answer into a T as the contract describes it: a field of
// T whose tag lacks omitempty is required, null is only for fields that can hold
// it, and no field may be there twice. Fields that T does not name are ignored.
func decode[T any](k call, a answer) (T, error) {
	var value, none T
	document, err := a.document(k)
	if err != nil {
		return none, err
	}
	r := reader{json.NewDecoder(bytes.NewReader(document)), map[reflect.Type][]field{}, &strings.Builder{}}
	if reason := r.value(reflect.ValueOf(&value).Elem(), false, ""); reason != "" {
		return none, k.bad(a.status, reason)
	}
	if a.repeats != nil && a.repeats(r.kept.String()) {
		return none, k.bad(a.status, repeatsSecret)
	}
	return value, nil
}

// reader fills values from a valid document. Its methods return "" or what breaks
// the contract, with the place in the document; the reason never quotes a value.
type reader struct {
	json   *json.Decoder
	fields map[reflect.Type][]field // of the structs that were met
	kept   *strings.Builder         // each text of the document that is kept, in a line
}

// field is a field of a struct as JSON knows it.
type field struct {
	name     string
	optional bool // it may be missing or null
}

func (r reader) value(v reflect.Value, optional bool, at string) string {
	token, _ := r.json.Token()
	if token == nil {
		if optional || v.Kind() == reflect.Pointer {
			return ""
		}
		return here(at) + "null, want " + kindName(v.Kind())
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	switch to := v.Addr().Interface().(type) {
	case *string:
		if text, ok := token.(string); ok {
			*to = text
			r.kept.WriteString(text)
			r.kept.WriteByte('\n')
			return ""
		}
	case *bool:
		if flag, ok := token.(bool); ok {
			*to = flag
			return ""
		}
	case *time.Time:
		if text, ok := token.(string); ok && to.UnmarshalText([]byte(text)) == nil {
			return ""
		}
		return here(at) + "not a time in RFC 3339 form"
	default:
		switch {
		case v.Kind() == reflect.Struct && token == json.Delim('{'):
			return r.object(v, at)
		case v.Kind() == reflect.Slice && token == json.Delim('['):
			return r.list(v, at)
		}
	}
	return here(at) + "want " + kindName(v.Kind())
}

// object reads what follows a brace.
func (r reader) object(v reflect.Value, at string) string {
	fields, known := r.fields[v.Type()]
	if !known {
		for i := range v.NumField() {
			name, flags, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
			fields = append(fields, field{name, flags == "omitempty"})
		}
		r.fields[v.Type()] = fields
	}
	seen := make([]bool, len(fields))
	for n := 1; r.json.More(); n++ {
		if n > maxFields {
			return here(at) + "more than " + strconv.Itoa(maxFields) + " fields"
		}
		name, _ := r.json.Token()
		i := slices.IndexFunc(fields, func(f field) bool { return f.name == name })
		if i < 0 {
			var ignored json.RawMessage
			_ = r.json.Decode(&ignored) // the document is valid
			continue
		}
		place := below(at, fields[i].name)
		if seen[i] {
			return here(place) + "there twice"
		}
		seen[i] = true
		if reason := r.value(v.Field(i), fields[i].optional, place); reason != "" {
			return reason
		}
	}
	for i, f := range fields {
		if !seen[i] && !f.optional {
			return here(below(at, f.name)) + "missing"
		}
	}
	_, _ = r.json.Token()
	return ""
}

// list reads what follows a bracket.
func (r reader) list(v reflect.Value, at string) string {
	v.Set(reflect.MakeSlice(v.Type(), 0, 8))
	for i := 0; r.json.More(); i++ {
		if i == maxListed {
			return here(at) + "more than " + strconv.Itoa(maxListed) + " entries"
		}
		v.Grow(1)
		v.SetLen(i + 1)
		if reason := r.value(v.Index(i), false, at+"["+strconv.Itoa(i)+"]"); reason != "" {
			return reason
		}
	}
	_, _ = r.json.Token()
	return ""
}

func below(at, name string) string {
	if at == "" {
		return name
	}
	return at + "." + name
}

func here(at string) string {
	if at == "" {
		return ""
	}
	return at + ": "
}

func kindName(kind reflect.Kind) string {
	switch kind {
	case reflect.Struct:
		return "an object"
	case reflect.Slice:
		return "a list"
	case reflect.Bool:
		return "true or false"
	default:
		return "text"
	}
}

// problem reads a problem document; documented is false when there is none, or one that is
// too long to be meant, and the Problem then holds the status alone.
func (k call) problem(status int, media string, body []byte) (p *Problem, documented bool) {
	p = &Problem{Status: status, Operation: k.op.id, Action: k.action()}
	var document struct {
		Code        string   `json:"code"`
		Title       string   `json:"title"`
		Detail      string   `json:"detail"`
		Remediation string   `json:"remediation"`
		Errors      []string `json:"errors"`
		Product     string   `json:"product"`
		AppliedApps []string `json:"applied_app_ids"`
	}
	if media != mediaProblem || len(body) > maxProblem || json.Unmarshal(body, &document) != nil || !codePattern().MatchString(document.Code) {
		p.Title = "an error without a problem document"
		if name := http.StatusText(status); name != "" {
			p.Title = strings.ToLower(name) + ", without a problem document"
		}
		return p, false
	}
	p.Code = k.hide.clean(document.Code)
	p.Title = k.hide.clean(document.Title)
	p.Detail = k.hide.clean(document.Detail)
	p.Remediation = k.hide.clean(document.Remediation)
	for i, text := range document.Errors {
		if i == maxProblemErrors {
			p.Errors = append(p.Errors, fmt.Sprintf("and %d more", len(document.Errors)-i))
			break
		}
		p.Errors = append(p.Errors, k.hide.clean(text))
	}
	for _, id := range document.AppliedApps {
		p.AppliedAppIDs = append(p.AppliedAppIDs, k.hide.clean(id))
	}
	if p.Code == CodeEntitlementRequired {
		p.Product = k.hide.clean(document.Product)
	}
	k.withholdSpread(p)
	if p.Code == CodeScopeMissing {
		p.Scope = scopePattern().FindString(strings.Join(append(p.Errors, p.Detail, p.Remediation), " "))
		if p.Scope == "" {
			p.Scope = k.op.scope
		}
	}
	return p, true
}

// withholdSpread takes all prose out of a problem whose texts give a secret away only
// together, or with what was shown of earlier answers.
func (k call) withholdSpread(p *Problem) {
	said := append([]string{p.Code, p.Title, p.Detail, p.Product, p.Remediation}, p.Errors...)
	said = append(said, p.AppliedAppIDs...)
	if !k.hide.spread(said) && !k.hide.overCalls(said) {
		return
	}
	p.Title, p.Detail, p.Product, p.Remediation, p.Errors = withheld, "", "", "", nil
	if len(p.AppliedAppIDs) > 0 {
		p.AppliedAppIDs = []string{withheld}
	}
	if code := []string{p.Code}; k.hide.spread(code) || k.hide.overCalls(code) {
		p.Code = withheld
	}
}

// maxProblemErrors is how many field errors of one problem are kept.
const maxProblemErrors = 20
