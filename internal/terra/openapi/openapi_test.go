package openapi

import (
	"net/http"
	"os"
	"strings"
	"testing"
)

const document = `
openapi: 3.1.0
servers: [{url: https://example.test/v1}]
paths:
  /things/{id}:
    parameters: [{name: id, in: path, required: true, schema: {type: string}}]
    get:
      parameters:
        - {name: limit, in: query, schema: {type: integer, minimum: 1}}
        - {name: mode, in: query, required: true, schema: {enum: [fast]}}
        - {name: X-Key, in: header, schema: {type: string, maxLength: 3}}
      responses:
        '200': {content: {application/json: {schema: {type: object, required: [at], properties: {at: {type: string, format: date-time}}}}}}
        '204': {}
  /things/all:
    get: {responses: {default: {content: {text/json: {schema: {type: array}}}}}}
`

func TestCheck(t *testing.T) {
	d, err := Parse([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	const answer = `{"at":"2026-12-01T00:00:00Z"}`
	for name, c := range map[string]struct {
		target, header, answer, media string
		status                        int
		want                          string // all that is wrong, joined
	}{
		"good":               {target: "/v1/things/7?mode=fast&limit=2", answer: answer},
		"an escaped slash":   {target: "/v1/things/a%2Fb?mode=fast", answer: answer},
		"fixed before named": {target: "/v1/things/all", answer: "[]", media: "text/json"},
		"missing parameter":  {target: "/v1/things/7", answer: answer, want: "request: query mode is missing"},
		"wrong word":         {target: "/v1/things/7?mode=slow", answer: answer, want: "request: query mode: /: enum"},
		"no number":          {target: "/v1/things/7?mode=fast&limit=x", answer: answer, want: "request: query limit: /: type"},
		"too small":          {target: "/v1/things/7?mode=fast&limit=0", answer: answer, want: "request: query limit: /: minimum"},
		"long header":        {target: "/v1/things/7?mode=fast", header: "1234", answer: answer, want: "request: header X-Key: /: maxLength"},
		"other base":         {target: "/v2/things/7?mode=fast", answer: answer, want: "request: no such operation; answer: no such operation"},
		"empty segment":      {target: "/v1/things/?mode=fast", answer: answer, want: "request: no such operation; answer: no such operation"},
		"wrong format":       {target: "/v1/things/7?mode=fast", answer: `{"at":"hush"}`, want: "answer: /at: format"},
		"two documents":      {target: "/v1/things/7?mode=fast", answer: answer + answer, want: "answer: not one JSON document"},
		"missing member":     {target: "/v1/things/7?mode=fast", answer: `{}`, want: "answer: /: 'at' missing"},
		"other media":        {target: "/v1/things/7?mode=fast", answer: answer, media: "text/html", want: "answer: the Content-Type is not one that is described"},
		"other status":       {target: "/v1/things/7?mode=fast", answer: answer, status: 201, want: "answer: status 201 is not described"},
		"body with a 204":    {target: "/v1/things/7?mode=fast", answer: answer, status: 204, want: "answer: status 204 with a body"},
		"204":                {target: "/v1/things/7?mode=fast", status: 204},
	} {
		e := Exchange{
			Method: "GET", Target: c.target, Header: http.Header{"Authorization": {"Bearer x"}},
			Status: max(c.status, 200), AnswerHeader: http.Header{"Content-Type": {"application/json"}}, Answer: []byte(c.answer),
		}
		if c.header != "" {
			e.Header.Set("X-Key", c.header)
		}
		if c.media != "" {
			e.AnswerHeader.Set("Content-Type", c.media)
		}
		request, answered := d.Check(e)
		if got := strings.Join(append(request, answered...), "; "); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
	request, _ := d.Check(Exchange{Method: "GET", Target: "/v1/things/7?mode=fast", Status: 204, Body: []byte("x")})
	if got := strings.Join(request, "; "); got != "request: no bearer token; request: a body where none is described" {
		t.Errorf("without a token, with a body: %q", got)
	}
}

func TestParseRefuses(t *testing.T) {
	for name, edit := range map[string][2]string{
		"not YAML":        {"openapi: 3.1.0", "\t"},
		"no server":       {"{url: https://example.test/v1}", ""},
		"no response":     {"{default: {content: {text/json: {schema: {type: array}}}}}", "{}"},
		"broken schema":   {"{type: array}", "{type: arry}"},
		"unknown pointer": {"{type: array}", "{$ref: '#/components/schemas/None'}"},
	} {
		if _, err := Parse([]byte(strings.Replace(document, edit[0], edit[1], 1))); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	contract, err := os.ReadFile("../openapi.yaml")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := Parse(contract); err != nil {
			b.Fatal(err)
		}
	}
}
