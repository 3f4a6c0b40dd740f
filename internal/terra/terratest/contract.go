package terratest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/config"
	"github.com/pb33f/libopenapi-validator/errors"

	"github.com/terra-reconcile/terra-reconcile/internal/terra"
	"github.com/terra-reconcile/terra-reconcile/internal/terra/emulator"
)

// sharedContract parses the contract once in a process: it takes a tenth of a
// second and the result is never written to.
var sharedContract = sync.OnceValue(newContract) //nolint:gochecknoglobals // a constant that takes time to make

type contract struct{ validator validator.Validator }

// newContract panics on a contract that cannot be read: it is embedded.
func newContract() emulator.Contract {
	document, err := libopenapi.NewDocument(terra.Contract())
	if err != nil {
		panic("terratest: read contract: " + err.Error())
	}
	v, errs := validator.NewValidator(document, config.WithFormatAssertions())
	if len(errs) > 0 {
		panic("terratest: read contract: " + errs[0].Error())
	}
	return contract{v}
}

// Check implements emulator.Contract.
func (c contract) Check(e emulator.Exchange) (request, answer []string) {
	target, err := url.ParseRequestURI(e.Target)
	if err != nil {
		return []string{"request: " + err.Error()}, nil
	}
	r := &http.Request{
		Method: e.Method, URL: target, Header: e.Header, RequestURI: e.Target,
		Body: io.NopCloser(bytes.NewReader(e.Body)), ContentLength: int64(len(e.Body)),
	}
	if ok, errs := c.validator.ValidateHttpRequestSync(r); !ok {
		request = texts("request", errs)
	}
	r.Body = io.NopCloser(bytes.NewReader(e.Body))
	w := &http.Response{
		StatusCode: e.Status, Header: e.AnswerHeader, Request: r,
		Body: io.NopCloser(bytes.NewReader(e.Answer)), ContentLength: int64(len(e.Answer)),
	}
	if ok, errs := c.validator.GetResponseBodyValidator().ValidateResponseBody(r, w); !ok {
		answer = texts("answer", errs)
	}
	if empty := len(e.Answer) == 0; empty != (e.Status == http.StatusNoContent) {
		answer = append(answer, fmt.Sprintf("answer: status %d with %d bytes of body", e.Status, len(e.Answer)))
	}
	return request, answer
}

// texts names what is wrong, never a value: it may be a secret.
func texts(what string, errs []*errors.ValidationError) []string {
	var list []string
	for _, e := range errs {
		if len(e.SchemaValidationErrors) == 0 {
			list = append(list, what+": "+e.Message)
		}
		for _, s := range e.SchemaValidationErrors {
			list = append(list, fmt.Sprintf("%s: %s: %s at %q (%s)", what, e.Message, s.Reason, s.FieldPath, s.KeywordLocation))
		}
	}
	return list
}
