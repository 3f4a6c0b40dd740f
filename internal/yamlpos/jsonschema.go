package yamlpos

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"
)

// JSONSchema is a piece of a JSON Schema. It holds keywords alone that mean the same in
// 2020-12 and in draft 7, which editors still read it as.
type JSONSchema struct {
	Refuses bool `json:"-"` // it is the schema that no value matches

	Dialect     string            `json:"$schema,omitempty"`
	Comment     string            `json:"$comment,omitempty"`
	Defs        Properties        `json:"$defs,omitempty"`
	Ref         string            `json:"$ref,omitempty"`
	Title       string            `json:"title,omitempty"`
	Description string            `json:"description,omitempty"`
	Types       Types             `json:"type,omitempty"`
	Default     json.RawMessage   `json:"default,omitempty"`
	Const       json.RawMessage   `json:"const,omitempty"`
	Enum        []json.RawMessage `json:"enum,omitempty"`
	Pattern     string            `json:"pattern,omitempty"`
	MinLength   int               `json:"minLength,omitempty"`
	MaxLength   int               `json:"maxLength,omitempty"`
	Minimum     *int              `json:"minimum,omitempty"`
	Maximum     *int              `json:"maximum,omitempty"`

	Items       *JSONSchema `json:"items,omitempty"`
	Contains    *JSONSchema `json:"contains,omitempty"`
	MinItems    int         `json:"minItems,omitempty"`
	MaxItems    int         `json:"maxItems,omitempty"`
	UniqueItems bool        `json:"uniqueItems,omitempty"`

	Properties    Properties  `json:"properties,omitempty"`
	Required      []string    `json:"required,omitempty"`
	PropertyNames *JSONSchema `json:"propertyNames,omitempty"`
	MinProperties int         `json:"minProperties,omitempty"`
	Others        *JSONSchema `json:"additionalProperties,omitempty"`

	AllOf []*JSONSchema `json:"allOf,omitempty"`
	AnyOf []*JSONSchema `json:"anyOf,omitempty"`
	Not   *JSONSchema   `json:"not,omitempty"`
	If    *JSONSchema   `json:"if,omitempty"`
	Then  *JSONSchema   `json:"then,omitempty"`
	Else  *JSONSchema   `json:"else,omitempty"`
}

// Types are the types that a value may have.
type Types []string

// MarshalJSON writes one type as a text, as people do.
func (t Types) MarshalJSON() ([]byte, error) {
	if len(t) == 1 {
		return json.Marshal(t[0])
	}
	return json.Marshal([]string(t))
}

// Property is a field of an object.
type Property struct {
	Name   string
	Schema *JSONSchema
}

// Properties keep the order in which they are declared.
type Properties []Property

// Get is the schema of a field, nil where there is none.
func (p Properties) Get(name string) *JSONSchema {
	for _, one := range p {
		if one.Name == name {
			return one.Schema
		}
	}
	return nil
}

// MarshalJSON writes an object.
func (p Properties) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("{")
	for i, one := range p {
		if i > 0 {
			b.WriteString(",")
		}
		text, err := one.Schema.MarshalJSON()
		if err != nil {
			return nil, err
		}
		b.WriteString(strconv.Quote(one.Name) + ":")
		b.Write(text)
	}
	b.WriteString("}")
	return b.Bytes(), nil
}

// MarshalJSON writes the schema.
func (s *JSONSchema) MarshalJSON() ([]byte, error) {
	if s.Refuses {
		return []byte("false"), nil
	}
	type plain JSONSchema
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode((*plain)(s))
	return bytes.TrimSpace(b.Bytes()), err
}

// Written begins the comment of every document, by which its later versions know it.
const Written = "Written by reconcile schema; changes to it are lost."

// Text writes the schema as a document of its own.
func (s *JSONSchema) Text() ([]byte, error) {
	s.Dialect, s.Comment = "https://json-schema.org/draft/2020-12/schema", Written
	s.Defs = Properties{{"placeholder", &JSONSchema{
		Description: "what examples write where a value of one's own belongs", Types: []string{"string"}, Pattern: placeholderJSON(),
	}}}
	line, err := s.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("write JSON Schema: %w", err)
	}
	var b bytes.Buffer
	err = json.Indent(&b, line, "", " ")
	b.WriteString("\n")
	return b.Bytes(), err
}

// With is the schema with more that must hold.
func (s *JSONSchema) With(more ...*JSONSchema) *JSONSchema {
	next := *s
	next.AllOf = slices.Concat(s.AllOf, more)
	return &next
}

// Literal is a text as a JSON value.
func Literal(text string) json.RawMessage {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(text) // a string always can be
	return bytes.TrimSpace(b.Bytes())
}

// Literals are texts as JSON values.
func Literals(texts []string) (list []json.RawMessage) {
	for _, text := range texts {
		list = append(list, Literal(text))
	}
	return list
}

// Refused is the schema that no value matches.
func Refused() *JSONSchema { return &JSONSchema{Refuses: true} }

// Having is the schema of an object that has all of these fields.
func Having(fields ...string) *JSONSchema { return &JSONSchema{Required: fields} }

// Among is the schema of an object whose field holds one of these words.
func Among(field string, words ...string) *JSONSchema {
	return &JSONSchema{Properties: Properties{{field, &JSONSchema{Enum: Literals(words)}}}, Required: []string{field}}
}

// Refuse is the schema that the values of others do not match.
func Refuse(others ...*JSONSchema) *JSONSchema {
	if len(others) == 1 {
		return &JSONSchema{Not: others[0]}
	}
	return &JSONSchema{Not: &JSONSchema{AnyOf: others}}
}

// JSONOptions are what fields alone do not say.
type JSONOptions struct {
	// NumbersAreText says that a text may be a number without quotes.
	NumbersAreText bool
	// Sealed is what a sealed text matches.
	Sealed string
	// Also holds for the objects of a block, besides what is declared.
	Also map[string][]*JSONSchema
}

// JSON is the JSON Schema of the value of a field that stands in no block.
func (d Declared) JSON(o JSONOptions) *JSONSchema { return Fields{}.json("", d, o) }

// JSON is the JSON Schema of a mapping of the fields of a block.
func (f Fields) JSON(block string, o JSONOptions) *JSONSchema {
	s := &JSONSchema{Types: []string{"object"}, Others: Refused(), AllOf: slices.Clone(o.Also[block])}
	for _, d := range f[block] {
		if d.Required {
			s.Required = append(s.Required, d.Name)
		}
		s.Properties = append(s.Properties, Property{d.Name, f.json(block, d, o)})
	}
	return s
}

// json is the schema of the value of one field.
func (f Fields) json(block string, d Declared, o JSONOptions) *JSONSchema {
	below := Below(block, d.Name)
	s := &JSONSchema{}
	switch d.Form {
	case Nothing:
		return Refused()
	case Block:
		s = f.JSON(below, o)
	case TextOrBlock: // each keyword speaks of one type alone
		text := d.text(o)
		s = f.JSON(below, o)
		s.Types, s.Pattern, s.MinLength, s.MaxLength = append(text.Types, s.Types...), text.Pattern, text.MinLength, text.MaxLength
		s.AllOf = append(s.AllOf, &JSONSchema{Not: text.Not})
	case Foreign:
		s.Types = []string{"object"}
	case Blocks:
		s = &JSONSchema{Types: []string{"array"}, Items: f.JSON(below, o), MinItems: d.Least, MaxItems: d.Most}
	case Named:
		s = &JSONSchema{Types: []string{"object"}, Others: f.JSON(Below(below, "*"), o)}
	case TextsBy:
		s = &JSONSchema{Types: []string{"object"}, Others: d.text(o)}
	case Texts:
		s = &JSONSchema{Types: []string{"array"}, Items: d.text(o), MinItems: d.Least, MaxItems: d.Most, UniqueItems: true}
	case Boolean:
		s.Types = []string{"boolean"}
	case Number:
		s = &JSONSchema{Types: []string{"integer"}, Minimum: &d.Low, Maximum: &d.High}
	case Span:
		s = &JSONSchema{Types: []string{"string"}, Pattern: spanJSON, MinLength: 1}
		if d.Pattern != nil {
			s.Pattern = d.Pattern().String()
		}
	case Moment:
		s = &JSONSchema{Types: []string{"string"}, Pattern: momentJSON}
	case Clock:
		s = &JSONSchema{Types: []string{"string"}, Pattern: clockJSON}
	case Sealed:
		s = &JSONSchema{Types: []string{"string"}, Pattern: o.Sealed}
	case Prose:
		s = d.prose()
	case AsWritten:
		s = d.scalar()
	default:
		s = d.text(o)
	}
	if d.Names != nil {
		s.PropertyNames = &JSONSchema{Pattern: d.Names().String()}
	}
	if d.Form == Named {
		s.MinProperties = d.Least
	}
	if d.Null {
		s.Types = append(s.Types, "null")
		if s.Enum != nil {
			s.Enum = append(s.Enum, json.RawMessage("null"))
		}
	}
	s.Description, s.Default = d.description(), d.defaultJSON()
	return s
}

// The patterns of the forms. What they do not say is left to the reader.
const (
	lineJSON   = `^\S([^\n\t]*\S)?$`
	notLine    = `^\s|\s$|[\n\t]`
	spanJSON   = `^([0-9]{1,4}d)?([0-9]{1,5}h)?([0-9]{1,6}m)?([0-9]{1,8}s)?$`
	clockJSON  = `^([01][0-9]|2[0-3]):[0-5][0-9]$`
	momentJSON = `^(19[7-9][0-9]|2[0-9]{3})-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|[12][0-9]))` +
		`(T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9]))?$`
)

// Duration is a pattern of what Go reads as a length of time with units that is not
// negative.
const Duration = `\+?(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+`

// text is the schema of a text, and of an entry of a list of texts.
func (d Declared) text(o JSONOptions) *JSONSchema {
	if d.Words != nil {
		return &JSONSchema{Types: []string{"string"}, Enum: Literals(d.Words)}
	}
	s := &JSONSchema{Types: []string{"string"}, Pattern: lineJSON, MaxLength: d.Chars}
	matches := func(number string) bool { return d.Pattern == nil || d.Pattern().MatchString(number) }
	switch {
	case !o.NumbersAreText:
	case matches("1.5"):
		s.Types = append(s.Types, "number")
	case matches("12"):
		s.Types = append(s.Types, "integer")
	}
	var never []string
	if d.Pattern != nil {
		s.Pattern, s.MinLength, never = d.Pattern().String(), 1, append(never, notLine)
		if len(s.Types) > 1 && !matches("-1") {
			s.Minimum = new(int)
		}
	}
	if d.Never != nil {
		never = append(never, d.Never().String())
	}
	s.Not = orPlaceholder(never...)
	if len(s.Types) > 1 && !matches("12") {
		s.Not = &JSONSchema{AnyOf: []*JSONSchema{s.Not, {Types: []string{"integer"}}}}
	}
	return s
}

// prose is the schema of a text of any number of lines.
func (d Declared) prose() *JSONSchema {
	oneWord := &JSONSchema{Pattern: `^\s*\S+\s*$`}
	return &JSONSchema{Types: []string{"string", "number", "boolean"}, Pattern: `\S`, Not: &JSONSchema{AllOf: []*JSONSchema{orPlaceholder(), oneWord}}}
}

// scalar is the schema of any scalar as it is written.
func (d Declared) scalar() *JSONSchema {
	if d.Words != nil {
		return &JSONSchema{Enum: Literals(d.Words)}
	}
	var never []string
	if d.Never != nil {
		never = append(never, d.Never().String())
	}
	return &JSONSchema{Types: []string{"string", "number", "boolean"}, MaxLength: d.Chars, Not: orPlaceholder(never...)}
}

// orPlaceholder matches placeholders, and texts that one of the patterns matches.
func orPlaceholder(patterns ...string) *JSONSchema {
	placeholder := &JSONSchema{Ref: "#/$defs/placeholder"}
	if len(patterns) == 0 {
		return placeholder
	}
	return &JSONSchema{AnyOf: []*JSONSchema{placeholder, {Types: []string{"string"}, Pattern: strings.Join(patterns, "|")}}}
}

// AnyCase is a pattern for letters of either case. Other characters stay as they are.
func AnyCase(text string) string {
	var b strings.Builder
	for _, r := range text {
		if upper := unicode.ToUpper(r); upper != r {
			b.WriteString("[" + string(upper) + string(r) + "]")
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// placeholderJSON matches what [IsPlaceholder] knows.
func placeholderJSON() string {
	return strings.Join([]string{
		`…|\.\.\.$|^[. ]*\.\.\.[. ]*$`,
		`^[. ]*(` + strings.ReplaceAll(AnyCase(strings.Join(placeholders(), "|")), "_", "[-_]") + `)[. ]*$`,
		`^(DEV_ID|CLIENT_ID)$`,
		`^<[\s\S]*>$|^\$\{[\s\S]*\}$|^\{\{[\s\S]*\}\}$|^\$[A-Z0-9_]+$`,
		`^[. ]*` + AnyCase("your") + "[-_]",
		`^[. ]*[Xx]{3,}[. ]*$|^[. ]*[Xx]{4,}([^Xx][\s\S]{0,3})?[. ]*$`,
	}, "|")
}

var (
	aside = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(` \(\[[^\]]+\]\([^)]+\)\)`) })
	link  = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\[([^\]]+)\]\([^)]+\)`) })
)

// description is what an editor shows beside a field.
func (d Declared) description() string {
	text := link().ReplaceAllString(aside().ReplaceAllString(d.Means, ""), "$1")
	omitted := strings.TrimPrefix(strings.TrimSuffix(d.Default+", "+d.Omitted, ", "), ", ")
	switch {
	case omitted == "":
		return text
	case text == "":
		return "omitted: " + omitted
	}
	return text + " (omitted: " + omitted + ")"
}

// defaultJSON is the value that an omitted field has.
func (d Declared) defaultJSON() json.RawMessage {
	switch {
	case d.Default == "":
		return nil
	case d.Form == Number, d.Form == Boolean:
		return json.RawMessage(d.Default)
	}
	return Literal(d.Default)
}
