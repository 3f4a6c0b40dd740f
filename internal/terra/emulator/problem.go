package emulator

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// refusal is a problem answer in the making.
type refusal struct {
	status      int
	code        string
	detail      string
	remediation string
	errors      []string
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

func (r *refusal) answer(instance int) answer {
	a := answer{status: r.status, header: http.Header{}, code: r.code}
	a.header.Set("Content-Type", "application/problem+json")
	if r.retryAfter > 0 {
		seconds := int((r.retryAfter + time.Second - 1) / time.Second)
		a.header.Set("Retry-After", strconv.Itoa(seconds))
	}
	a.body = encode(problem{
		Type:        "urn:terra:problem:" + r.code,
		Title:       http.StatusText(r.status),
		Instance:    fmt.Sprintf("urn:terra:call:%08d", instance),
		Code:        r.code,
		Detail:      r.detail,
		Remediation: r.remediation,
		Errors:      r.errors,
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
