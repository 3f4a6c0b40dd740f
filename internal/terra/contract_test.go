package terra

import (
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"github.com/terra-reconcile/terra-reconcile/internal/terra/openapi"
)

// contractOperation is what the contract says about one operation.
type contractOperation struct {
	ID          string    `yaml:"operationId"`
	Summary     string    `yaml:"summary"`
	Description string    `yaml:"description"`
	Body        yaml.Node `yaml:"requestBody"`
}

type contractSchema struct {
	Required   []string                  `yaml:"required"`
	Properties map[string]contractSchema `yaml:"properties"`
	Items      *contractSchema           `yaml:"items"`
	AllOf      []contractSchema          `yaml:"allOf"`
	OneOf      []contractSchema          `yaml:"oneOf"`
	Ref        string                    `yaml:"$ref"`
	Type       yaml.Node                 `yaml:"type"`
}

type contractDocument struct {
	Paths      map[string]map[string]yaml.Node `yaml:"paths"`
	Components struct {
		Schemas map[string]contractSchema `yaml:"schemas"`
	} `yaml:"components"`
}

func readContract(t *testing.T) contractDocument {
	t.Helper()
	var document contractDocument
	if err := yaml.Unmarshal(Contract(), &document); err != nil {
		t.Fatalf("parse contract: %v", err)
	}
	return document
}

// declaredOperations are the literals of type operation in this package's code.
func declaredOperations(t *testing.T) []operation {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	var found []operation
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			literal, ok := n.(*ast.CompositeLit)
			if !ok {
				return true
			}
			if kind, ok := literal.Type.(*ast.Ident); ok && kind.Name == "operation" {
				found = append(found, parseOperation(t, literal))
			}
			return true
		})
	}
	return found
}

func parseOperation(t *testing.T, literal *ast.CompositeLit) operation {
	t.Helper()
	var o operation
	for _, element := range literal.Elts {
		pair, ok := element.(*ast.KeyValueExpr)
		if !ok {
			t.Fatal("an operation literal without field names")
		}
		text := ""
		switch v := pair.Value.(type) {
		case *ast.BasicLit:
			text, _ = strconv.Unquote(v.Value)
		case *ast.SelectorExpr:
			text = strings.ToUpper(strings.TrimPrefix(v.Sel.Name, "Method"))
		case *ast.Ident:
			text = v.Name
		}
		switch name := pair.Key.(*ast.Ident).Name; name {
		case "id":
			o.id = text
		case "method":
			o.method = text
		case "path":
			o.path = text
		case "does":
			o.does = text
		case "scope":
			o.scope = text
		case "write":
			o.write = text == "true"
		case "slow":
			o.slow = text == "true"
		default:
			t.Fatalf("unknown field %s", name)
		}
	}
	return o
}

func TestOperationsMatchContract(t *testing.T) {
	want := map[string]operation{}
	for path, item := range readContract(t).Paths {
		for method, node := range item {
			if method == "parameters" {
				continue
			}
			var o contractOperation
			if err := node.Decode(&o); err != nil {
				t.Fatal(err)
			}
			scope := scopePattern().FindString(o.Summary)
			want[o.ID] = operation{
				id: o.ID, method: strings.ToUpper(method), path: path, scope: scope, write: method != "get",
				slow: strings.HasPrefix(o.Description, "Slow") || strings.Contains(o.ID, "WebhookEndpoints"),
			}
		}
	}
	if len(want) != 22 {
		t.Fatalf("the contract has %d operations, want 22", len(want))
	}
	for _, unused := range []string{"listEnvironments", "getEnvironment", "batchDisableSources"} {
		delete(want, unused)
	}
	got := map[string]operation{}
	for _, o := range declaredOperations(t) {
		if _, twice := got[o.id]; twice {
			t.Errorf("%s is declared twice", o.id)
		}
		if o.does == "" {
			t.Errorf("%s has no words for errors", o.id)
		}
		o.does = ""
		got[o.id] = o
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(operation{})); diff != "" {
		t.Errorf("declared operations differ from the contract (-want +got):\n%s", diff)
	}
}

func TestWritesNeedAWriteScope(t *testing.T) {
	for _, o := range declaredOperations(t) {
		if got := strings.HasSuffix(o.scope, ":write"); got != o.write {
			t.Errorf("%s: scope %q, write %v", o.id, o.scope, o.write)
		}
	}
}

// TestTypesMatchContract compares each answer type with its schema: every
// property is modelled or knowingly left out, and a field lacks omitempty exactly
// when the contract requires it.
func TestTypesMatchContract(t *testing.T) {
	document := readContract(t)
	leftOut := []string{"DryRunResult.preview", "SecretRefView.config"}
	for name, typ := range map[string]reflect.Type{
		"Me":         reflect.TypeFor[Me](),
		"SourceType": reflect.TypeFor[SourceType](), "Source": reflect.TypeFor[Source](),
		"Credentials": reflect.TypeFor[Credentials](), "CredentialView": reflect.TypeFor[CredentialView](),
		"SecretRefView": reflect.TypeFor[SecretRefView](), "SourceScopes": reflect.TypeFor[SourceScopes](),
		"SourceDomain": reflect.TypeFor[SourceDomain](), "WebhookEndpoints": reflect.TypeFor[WebhookEndpoints](),
		"AppliedWebhookEndpoints": reflect.TypeFor[AppliedWebhookEndpoints](),
		"UserConnection":          reflect.TypeFor[UserConnection](), "DryRunResult": reflect.TypeFor[DryRunResult](),
		"Page": reflect.TypeFor[page[Source]](),
	} {
		compareType(t, document, name, document.Components.Schemas[name], typ, leftOut)
	}
}

func compareType(t *testing.T, d contractDocument, name string, schema contractSchema, typ reflect.Type, leftOut []string) {
	t.Helper()
	schema = flatten(d, schema)
	if len(schema.Properties) == 0 {
		t.Fatalf("%s: no such schema", name)
	}
	fields := map[string]bool{}
	for i := range typ.NumField() {
		tag, flags, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
		property, ok := schema.Properties[tag]
		if !ok {
			t.Errorf("%s.%s is not in the contract", name, tag)
			continue
		}
		fields[tag] = true
		if got, want := flags != "omitempty", slices.Contains(schema.Required, tag); got != want {
			t.Errorf("%s.%s: required %v, the contract says %v", name, tag, got, want)
		}
		inner := typ.Field(i).Type
		if inner.Kind() == reflect.Slice && property.Items != nil {
			inner, property = inner.Elem(), *property.Items
		}
		if inner.Kind() == reflect.Struct && len(property.Properties) > 0 {
			compareType(t, d, name+"."+tag, property, inner, leftOut)
		}
	}
	for property := range schema.Properties {
		if !fields[property] && !slices.Contains(leftOut, name+"."+property) {
			t.Errorf("%s.%s is in the contract and not in the type", name, property)
		}
	}
}

func flatten(d contractDocument, s contractSchema) contractSchema {
	if s.Ref != "" {
		return flatten(d, d.Components.Schemas[strings.TrimPrefix(s.Ref, "#/components/schemas/")])
	}
	all := contractSchema{Required: s.Required, Properties: map[string]contractSchema{}}
	for _, part := range append(s.AllOf, contractSchema{Properties: s.Properties}) {
		if part.Ref != "" {
			part = flatten(d, part)
		}
		all.Required = append(all.Required, part.Required...)
		for name, property := range part.Properties {
			all.Properties[name] = property
		}
	}
	return all
}

// contractJudge holds a request, and the test's own answer to it, against the contract.
func contractJudge(t *testing.T) func(t *testing.T, s seen, status int, answer string) {
	t.Helper()
	description, err := openapi.Parse(Contract())
	if err != nil {
		t.Fatal(err)
	}
	return func(t *testing.T, s seen, status int, answer string) {
		t.Helper()
		request, answered := description.Check(openapi.Exchange{
			Method: s.method, Target: s.target, Header: s.header, Body: []byte(s.body),
			Status: status, AnswerHeader: http.Header{"Content-Type": {mediaJSON}}, Answer: []byte(answer),
		})
		if len(request)+len(answered) > 0 {
			t.Errorf("%s %s breaks the contract: %q, %q", s.method, s.target, request, answered)
		}
	}
}

// TestEveryMethodOnTheWire calls each method, compares what leaves with a golden
// line, and validates the request against the contract.
func TestEveryMethodOnTheWire(t *testing.T) {
	judge := contractJudge(t)
	used := map[string]bool{}
	for _, m := range methods() {
		t.Run(m.name, func(t *testing.T) {
			server := always(m.status, mediaJSON, m.body)
			if err := m.call(t, newClient(t, server)); err != nil {
				t.Fatalf("%s: %v", m.name, err)
			}
			sent := server.requests()
			if len(sent) != 1 {
				t.Fatalf("sent %d requests, want 1", len(sent))
			}
			got := strings.TrimSpace(sent[0].method + " " + strings.TrimPrefix(sent[0].target, "/api/v3/admin") + " " + sent[0].body)
			if got != m.sends {
				t.Errorf("sent\n  %s\nwant\n  %s", got, m.sends)
			}
			checkHeaders(t, sent[0], m.write)
			judge(t, sent[0], m.status, m.body)
		})
		used[m.operation] = true
	}
	for _, o := range declaredOperations(t) {
		if !used[o.id] {
			t.Errorf("no method was called for %s", o.id)
		}
	}
}

func checkHeaders(t *testing.T, s seen, write bool) {
	t.Helper()
	want := map[string]string{
		"Authorization": "Bearer " + testToken, "User-Agent": "terra-reconcile/1.2.3",
		"Accept": "application/json, application/problem+json",
	}
	if s.body != "" {
		want["Content-Type"] = "application/json"
	}
	if write {
		want["Idempotency-Key"] = "key-1"
	}
	got := map[string]string{}
	for name := range s.header {
		got[name] = s.header.Get(name)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
}
