package terra

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"
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
		return nil, k.bad(a.status, "empty; run again later")
	case a.media != mediaJSON:
		return nil, k.bad(a.status, "not "+mediaJSON+"; "+beforeTheAPI)
	case !json.Valid(a.body):
		return nil, k.bad(a.status, "not JSON, or cut off; run again later")
	}
	return a.body, nil
}

// decode reads a whole answer into a T as the contract describes it: a field of
// T whose tag lacks omitempty is required, and null is only for fields that can
// hold it. Fields that T does not name are ignored.
func decode[T any](k call, a answer) (T, error) {
	var value T
	document, err := a.document(k)
	if err != nil {
		return value, err
	}
	if reason := fill(bytes.TrimSpace(document), reflect.ValueOf(&value).Elem(), ""); reason != "" {
		var none T
		return none, k.bad(a.status, reason)
	}
	return value, nil
}

// fill decodes valid JSON into v and returns "" or what breaks the contract, with
// the place in the document. The reason never quotes a value.
func fill(document json.RawMessage, v reflect.Value, at string) string {
	null := string(document) == "null"
	if null && v.Kind() != reflect.Pointer {
		return here(at) + "null, want " + kindName(v.Kind())
	}
	switch v.Kind() {
	case reflect.Pointer:
		if null {
			return ""
		}
		v.Set(reflect.New(v.Type().Elem()))
		return fill(document, v.Elem(), at)
	case reflect.Struct:
		if _, text := v.Addr().Interface().(encoding.TextUnmarshaler); text {
			if json.Unmarshal(document, v.Addr().Interface()) != nil {
				return here(at) + "not a time in RFC 3339 form"
			}
			return ""
		}
		return fillStruct(document, v, at)
	case reflect.Slice:
		return fillSlice(document, v, at)
	default:
		if !fillLeaf(document, v) {
			return here(at) + "want " + kindName(v.Kind())
		}
		return ""
	}
}

// fillLeaf decodes a text, a number or a boolean. Most texts hold no escape and
// most answers little else, so those skip the decoder.
func fillLeaf(document json.RawMessage, v reflect.Value) bool {
	n := len(document)
	plain := n >= 2 && document[0] == '"' && !bytes.ContainsRune(document, '\\') && utf8.Valid(document)
	switch {
	case plain && v.Kind() == reflect.String:
		v.SetString(string(document[1 : n-1]))
		return true
	case v.Kind() == reflect.Bool:
		v.SetBool(string(document) == "true")
		return v.Bool() || string(document) == "false"
	}
	return json.Unmarshal(document, v.Addr().Interface()) == nil
}

func fillStruct(document json.RawMessage, v reflect.Value, at string) string {
	members, ok := cut(document, '{')
	if !ok {
		return here(at) + "want an object"
	}
	for i := range v.NumField() {
		name, flags, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		place := name
		if at != "" {
			place = at + "." + name
		}
		member, given := find(members, name)
		optional := flags == "omitempty"
		switch {
		case !given && !optional:
			return here(place) + "missing"
		case !given, optional && string(member) == "null":
			continue
		}
		if reason := fill(member, v.Field(i), place); reason != "" {
			return reason
		}
	}
	return ""
}

func fillSlice(document json.RawMessage, v reflect.Value, at string) string {
	items, ok := cut(document, '[')
	if !ok {
		return here(at) + "want a list"
	}
	v.Set(reflect.MakeSlice(v.Type(), len(items), len(items)))
	for i, item := range items {
		if reason := fill(item.raw, v.Index(i), at+"["+strconv.Itoa(i)+"]"); reason != "" {
			return reason
		}
	}
	return ""
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
	case reflect.String:
		return "text"
	case reflect.Int:
		return "a whole number"
	default:
		return kind.String()
	}
}

// problem reads a problem document; documented is false when there is none, and
// the Problem then holds the status alone.
func (k call) problem(status int, media string, body []byte) (p *Problem, documented bool) {
	p = &Problem{Status: status, Operation: k.op.id, Action: k.action()}
	var document struct {
		Code        string   `json:"code"`
		Title       string   `json:"title"`
		Detail      string   `json:"detail"`
		Remediation string   `json:"remediation"`
		Errors      []string `json:"errors"`
	}
	if media != mediaProblem || json.Unmarshal(body, &document) != nil || !codePattern.MatchString(document.Code) {
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
	if p.Code == CodeScopeMissing {
		p.Scope = scopePattern.FindString(strings.Join(append(p.Errors, p.Detail, p.Remediation), " "))
		if p.Scope == "" {
			p.Scope = k.op.scope
		}
	}
	return p, true
}

// maxProblemErrors is how many field errors of one problem are kept.
const maxProblemErrors = 20
