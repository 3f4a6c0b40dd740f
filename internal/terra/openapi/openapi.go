package openapi

import (
	"bytes"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"gopkg.in/yaml.v3"
)

// Exchange is a request with its answer.
type Exchange struct {
	Method       string
	Target       string // path and query
	Header       http.Header
	Body         []byte
	Status       int
	AnswerHeader http.Header
	Answer       []byte
}

// Description judges exchanges. It never changes, so any number of goroutines may
// use it.
type Description struct {
	base       string // the path of the server that the description names
	operations []*operation
}

type operation struct {
	method     string
	path       []string // segments; {name} is a parameter
	parameters []parameter
	body       map[string]*jsonschema.Schema            // by media type; nil: none is described
	answers    map[string]map[string]*jsonschema.Schema // by status or "default", then by media type
}

type parameter struct {
	name, in string
	required bool
	schema   *jsonschema.Schema
}

// description is the YAML as far as it is walked; schemas are compiled by their
// place in it.
type description struct {
	Servers []struct {
		URL string `yaml:"url"`
	} `yaml:"servers"`
	Paths      map[string]map[string]yaml.Node `yaml:"paths"`
	Components struct {
		Parameters map[string]parameterNode `yaml:"parameters"`
		Responses  map[string]bodyNode      `yaml:"responses"`
	} `yaml:"components"`
}

type parameterNode struct {
	Ref      string `yaml:"$ref"`
	Name     string `yaml:"name"`
	In       string `yaml:"in"`
	Required bool   `yaml:"required"`
}

type bodyNode struct {
	Ref     string               `yaml:"$ref"`
	Content map[string]yaml.Node `yaml:"content"`
}

type operationNode struct {
	Parameters []parameterNode     `yaml:"parameters"`
	Body       *bodyNode           `yaml:"requestBody"`
	Responses  map[string]bodyNode `yaml:"responses"`
}

// Parse reads a description in YAML and compiles its schemas, which takes some
// milliseconds.
func Parse(document []byte) (*Description, error) {
	d, err := parse(document)
	if err != nil {
		return nil, fmt.Errorf("read API description: %w", err)
	}
	return d, nil
}

func parse(document []byte) (*Description, error) {
	var whole map[string]any
	var d description
	if err := errors.Join(yaml.Unmarshal(document, &whole), yaml.Unmarshal(document, &d)); err != nil {
		return nil, err
	}
	if len(d.Servers) == 0 || len(d.Paths) == 0 {
		return nil, errors.New("no server or no path")
	}
	server, err := url.Parse(d.Servers[0].URL)
	if err != nil {
		return nil, err
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource(resource, whole); err != nil {
		return nil, err
	}
	out := &Description{base: server.Path}
	for path, item := range d.Paths {
		for method, node := range item {
			if method == "parameters" {
				continue
			}
			o, err := d.operation(compiler, path, method, node)
			if err != nil {
				return nil, fmt.Errorf("%s %s: %w", method, path, err)
			}
			out.operations = append(out.operations, o)
		}
	}
	// A fixed segment wins over a parameter.
	slices.SortFunc(out.operations, func(a, b *operation) int { return strings.Compare(a.rank(), b.rank()) })
	return out, nil
}

const resource = "mem:///description.json"

func (d *description) operation(compiler *jsonschema.Compiler, path, method string, node yaml.Node) (*operation, error) {
	var shared []parameterNode
	if parameters, ok := d.Paths[path]["parameters"]; ok {
		if err := parameters.Decode(&shared); err != nil {
			return nil, err
		}
	}
	var own operationNode
	if err := node.Decode(&own); err != nil {
		return nil, err
	}
	if len(own.Responses) == 0 {
		return nil, errors.New("no response")
	}
	o := &operation{
		method: strings.ToUpper(method), path: strings.Split(path, "/"),
		answers: map[string]map[string]*jsonschema.Schema{},
	}
	var errs []error
	compile := func(place ...string) *jsonschema.Schema {
		for i, name := range place {
			place[i] = url.PathEscape(strings.NewReplacer("~", "~0", "/", "~1").Replace(name))
		}
		schema, err := compiler.Compile(resource + "#/" + strings.Join(place, "/"))
		errs = append(errs, err)
		return schema
	}
	add := func(list []parameterNode, place ...string) {
		for i, p := range list {
			at := append(slices.Clone(place), "parameters", fmt.Sprint(i), "schema")
			if name, ok := strings.CutPrefix(p.Ref, "#/components/parameters/"); ok {
				p, at = d.Components.Parameters[name], []string{"components", "parameters", name, "schema"}
			}
			o.parameters = append(o.parameters, parameter{p.Name, p.In, p.Required, compile(at...)})
		}
	}
	bodies := func(b bodyNode, place ...string) map[string]*jsonschema.Schema {
		if name, ok := strings.CutPrefix(b.Ref, "#/components/responses/"); ok {
			b, place = d.Components.Responses[name], []string{"components", "responses", name}
		}
		schemas := map[string]*jsonschema.Schema{}
		for media := range b.Content {
			schemas[media] = compile(append(slices.Clone(place), "content", media, "schema")...)
		}
		return schemas
	}
	add(shared, "paths", path)
	add(own.Parameters, "paths", path, method)
	if own.Body != nil {
		o.body = bodies(*own.Body, "paths", path, method, "requestBody")
	}
	for status, response := range own.Responses {
		o.answers[status] = bodies(response, "paths", path, method, "responses", status)
	}
	return o, errors.Join(errs...)
}

func (o *operation) rank() string { return strings.Join(o.path, "/") + " " + o.method }

// Check returns what is wrong with the request and what is wrong with the answer,
// nil for nothing.
func (d *Description) Check(e Exchange) (request, answer []string) {
	target, err := url.ParseRequestURI(e.Target)
	if err != nil {
		return []string{"request: the target is not a path"}, nil
	}
	o, inPath := d.find(e.Method, target)
	if o == nil {
		return []string{"request: no such operation"}, []string{"answer: no such operation"}
	}
	if scheme, _, _ := strings.Cut(e.Header.Get("Authorization"), " "); !strings.EqualFold(scheme, "Bearer") {
		request = append(request, "request: no bearer token")
	}
	query := target.Query()
	for _, p := range o.parameters {
		values := map[string][]string{"path": inPath[p.name], "query": query[p.name], "header": e.Header.Values(p.name)}[p.in]
		if len(values) == 0 && p.required {
			request = append(request, fmt.Sprintf("request: %s %s is missing", p.in, p.name))
		}
		for _, text := range values {
			err := p.schema.Validate(p.value(text))
			request = append(request, problems(fmt.Sprintf("request: %s %s", p.in, p.name), err)...)
		}
	}
	switch {
	case o.body != nil:
		request = append(request, judge("request", o.body, e.Header, e.Body)...)
	case len(e.Body) > 0:
		request = append(request, "request: a body where none is described")
	}
	schemas, ok := o.answers[fmt.Sprint(e.Status)]
	if !ok {
		schemas, ok = o.answers["default"]
	}
	switch {
	case !ok:
		answer = append(answer, fmt.Sprintf("answer: status %d is not described", e.Status))
	case len(schemas) > 0:
		answer = judge("answer", schemas, e.AnswerHeader, e.Answer)
	case len(e.Answer) > 0:
		answer = append(answer, fmt.Sprintf("answer: status %d with a body", e.Status))
	}
	return request, answer
}

// find returns the operation of a request, with its path parameters by name.
func (d *Description) find(method string, target *url.URL) (*operation, map[string][]string) {
	rest, below := strings.CutPrefix(target.EscapedPath(), d.base)
	if !below {
		return nil, nil
	}
	segments := strings.Split(rest, "/")
	for _, o := range d.operations {
		if o.method != method || len(o.path) != len(segments) {
			continue
		}
		values, fits := map[string][]string{}, true
		for i, want := range o.path {
			if name, ok := strings.CutPrefix(want, "{"); ok {
				text, err := url.PathUnescape(segments[i])
				values[strings.TrimSuffix(name, "}")] = []string{text}
				fits = fits && err == nil && text != ""
			} else {
				fits = fits && want == segments[i]
			}
		}
		if fits {
			return o, values
		}
	}
	return nil, nil
}

// value is the JSON value that a parameter's text stands for: a number or a boolean
// where one is described, else the text.
func (p parameter) value(text string) any {
	if p.schema.Types == nil || slices.Contains(p.schema.Types.ToStrings(), "string") {
		return text
	}
	if value, err := jsonschema.UnmarshalJSON(strings.NewReader(text)); err == nil {
		return value
	}
	return text
}

// judge holds a body against the schemas of its media types.
func judge(what string, schemas map[string]*jsonschema.Schema, header http.Header, body []byte) []string {
	media, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	schema, ok := schemas[media]
	if err != nil || !ok {
		return []string{what + ": the Content-Type is not one that is described"}
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return []string{what + ": not one JSON document"}
	}
	return problems(what, schema.Validate(value))
}

// problems are the rules that were broken, each with its place.
func problems(what string, err error) []string {
	var broken *jsonschema.ValidationError
	if !errors.As(err, &broken) {
		return nil
	}
	var list []string
	var visit func(e *jsonschema.ValidationError)
	visit = func(e *jsonschema.ValidationError) {
		for _, cause := range e.Causes {
			visit(cause)
		}
		if len(e.Causes) > 0 {
			return
		}
		rule := strings.Join(e.ErrorKind.KeywordPath(), " ")
		switch k := e.ErrorKind.(type) {
		case *kind.AdditionalProperties:
			rule = fmt.Sprintf("'%s' not allowed", strings.Join(k.Properties, "', '"))
		case *kind.Required:
			rule = fmt.Sprintf("'%s' missing", strings.Join(k.Missing, "', '"))
		}
		list = append(list, fmt.Sprintf("%s: /%s: %s", what, strings.Join(e.InstanceLocation, "/"), rule))
	}
	visit(broken)
	return list
}
