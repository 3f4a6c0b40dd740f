package yamlpos

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Reporter takes what is wrong with a file.
type Reporter interface{ Report(p Problem) }

// Schema says which fields a file may hold, and where in it names must not be
// repeated, for they could be pieces of a secret.
type Schema struct {
	Fields Fields
	Secret string // a block, with all that stands in it; "" is none
}

// Object is a mapping that is being read. The zero Object, with a Reporter, stands
// for an omitted mapping: every field of it is omitted.
type Object struct {
	Reporter
	Node   *Node
	Path   string // "policy.allow[2]", "" for the root of a file
	Schema Schema
	Block  string // where in the schema the object stands: "policy.allow"
}

// Open checks that the root of a file is a mapping whose fields are all known.
func Open(r Reporter, n *Node, s Schema) (Object, bool) {
	return Object{Reporter: r, Schema: s}.Inner(n, "", "")
}

// Inner checks that n, which stands somewhere in o, is a mapping whose fields are
// all known.
func (o Object) Inner(n *Node, path, block string) (Object, bool) {
	o.Node, o.Path, o.Block = nil, path, block
	if n == nil || n.Bad {
		return o, false
	}
	if n.Kind != Mapping || n.Tagged {
		o.errorf(n.Origin, "", "%s must be a mapping", named(path, "the file"))
		return o, false
	}
	o.Node = n
	_, limited := o.Schema.Fields[block]
	for _, m := range n.Members {
		if limited && !o.Schema.Fields.Has(block, m.Name) {
			o.unknown(m, o.Schema.Fields.Names(block))
		}
	}
	return o, true
}

// unknown reports a field that does not exist here. In a secret block its name is
// shown only where it is known elsewhere in the file, or beside the name that it is
// a slip of the finger away from: it could be a piece of a secret.
func (o Object) unknown(m Member, known []string) {
	hint, name := o.Schema.Fields.Belongs(o.Block, m.Name), " "+Quoted(m.Name)
	slip := hint != "" || Edits(PlainWord(m.Name), Nearest(m.Name, known)) <= 3
	if hint == "" {
		hint = DidYouMean(m.Name, known)
	}
	if hint == "" && len(known) > 0 {
		hint = "known here: " + Listed(known)
	}
	secret := o.Schema.Secret != "" && strings.HasPrefix(o.Path, o.Schema.Secret)
	if Quoted(m.Name) == "this" || secret && !slip {
		name = " in " + named(o.Path, "this file")
	}
	o.errorf(m.Origin, hint, "unknown field%s", name)
}

func named(path, otherwise string) string {
	if path == "" {
		return otherwise
	}
	return path
}

func (o Object) errorf(at Origin, hint, format string, args ...any) {
	o.Report(Problem{Origin: at, Message: fmt.Sprintf(format, args...), Hint: hint})
}

// At is the position to blame for something that is missing in the object.
func (o Object) At() Origin {
	if o.Node == nil {
		return Origin{}
	}
	return o.Node.Origin
}

// Name is the path of a field.
func (o Object) Name(field string) string {
	if o.Path == "" {
		return field
	}
	return o.Path + "." + field
}

// Has reports whether a field is written, valid or not.
func (o Object) Has(field string) bool { return o.Node != nil && o.Node.Get(field) != nil }

// Declared is what is declared of a field of the object.
func (o Object) Declared(field string) Declared { return o.Schema.Fields.Declared(o.Block, field) }

// Require reports every required field that is omitted.
func (o Object) Require() {
	for _, d := range o.Schema.Fields[o.Block] {
		switch {
		case !d.Required || o.Has(d.Name):
		case d.Ask != "":
			o.errorf(o.At(), d.Ask, "%s is missing", o.Name(d.Name))
		default:
			o.errorf(o.At(), "", "%s is missing in %s", d.Name, named(o.Path, "this file"))
		}
	}
}

// Get returns the value of a field, nil when it is omitted or was reported, as
// where nothing is written after its name.
func (o Object) Get(field string) *Node {
	if o.Node == nil {
		return nil
	}
	n := o.Node.Get(field)
	switch {
	case n == nil || n.Bad:
		return nil
	case n.Empty:
		o.errorf(n.Origin, "write a value, or remove the line", "%s is empty", o.Name(field))
		return nil
	}
	return n
}

// Object opens the mapping under a field.
func (o Object) Object(field string) (Object, bool) {
	return o.Inner(o.Get(field), o.Name(field), Below(o.Block, field))
}

// Objects opens every mapping of the list under a field.
func (o Object) Objects(field string) []Object {
	n := o.Get(field)
	if n == nil {
		return nil
	}
	if n.Kind != List {
		o.errorf(n.Origin, "", "%s must be a list", o.Name(field))
		return nil
	}
	var list []Object
	for i, item := range n.Items {
		if one, ok := o.Inner(item, fmt.Sprintf("%s[%d]", o.Name(field), i+1), Below(o.Block, field)); ok {
			list = append(list, one)
		}
	}
	return list
}

// Nullable reads a field for which null has a meaning of its own, if it is declared so.
func Nullable[T any](o Object, field string, read func(string) Field[T]) Field[T] {
	if o.Node != nil && o.Declared(field).Null {
		if n := o.Node.Get(field); n != nil && n.Null {
			return Field[T]{Presence: Null, Origin: n.Origin}
		}
	}
	return read(field)
}

// Scalar returns the node of a field that must be a scalar without a tag.
func (o Object) Scalar(field, want string) *Node {
	n := o.Get(field)
	if n == nil || !o.IsScalar(n, o.Name(field), want) {
		return nil
	}
	return n
}

// IsScalar reports what keeps n from being a scalar without a tag, unless it was
// reported.
func (o Object) IsScalar(n *Node, name, want string) bool {
	switch {
	case n.Bad:
	case n.Tagged:
		o.errorf(n.Origin, "write it in the clear", "%s is not a secret field", name)
	case n.Kind != Scalar:
		o.errorf(n.Origin, "", "%s must be %s", name, want)
	case n.Null:
		o.errorf(n.Origin, "remove the line to leave it out", "%s cannot be null", name)
	case n.Empty:
		o.errorf(n.Origin, "write a value, or remove the line", "%s is empty", name)
	default:
		return true
	}
	return false
}

// Text reads one line of text. A number without quotes is taken as it is
// written: 0123 stays 0123.
func (o Object) Text(field string) Field[string] {
	n := o.Scalar(field, "a text")
	if n == nil {
		return Field[string]{}
	}
	return o.line(n, o.Name(field))
}

// IsPlaceholder reports a value that only an example should have.
func (o Object) IsPlaceholder(n *Node, name string) bool {
	if !IsPlaceholder(n.Text) {
		return false
	}
	o.errorf(n.Origin, "write your own value, or remove the line", "%s is a placeholder, %s", name, Quoted(n.Text))
	return true
}

func (o Object) line(n *Node, name string) Field[string] {
	switch {
	case n.Plain && (n.Text == "true" || n.Text == "false"):
		o.errorf(n.Origin, "put it in quotes", "%s must be a text", name)
	case strings.ContainsAny(n.Text, "\n\t"):
		o.errorf(n.Origin, "", "%s must be one line without tabs", name)
	case n.Text == "":
		o.errorf(n.Origin, "write a value, or remove the line", "%s is empty", name)
	case o.IsPlaceholder(n, name):
	case strings.TrimSpace(n.Text) != n.Text:
		o.errorf(n.Origin, "remove it", "%s begins or ends with a space", name)
	default:
		return Field[string]{Presence: Given, Value: n.Text, Origin: n.Origin}
	}
	return Field[string]{}
}

// Word reads one of the few words that are declared.
func (o Object) Word(field string) Field[string] {
	allowed := o.Declared(field).Words
	n := o.Scalar(field, "one of "+Listed(allowed))
	if n == nil {
		return Field[string]{}
	}
	if !slices.Contains(allowed, n.Text) {
		o.errorf(n.Origin, DidYouMean(n.Text, allowed), "%s must be %s, not %s", o.Name(field), Listed(allowed), Quoted(n.Text))
		return Field[string]{}
	}
	return Field[string]{Presence: Given, Value: n.Text, Origin: n.Origin}
}

// Boolean reads true or false and nothing that resembles them.
func (o Object) Boolean(field string) Field[bool] {
	n := o.Scalar(field, "`true` or `false`")
	if n == nil {
		return Field[bool]{}
	}
	if !n.Plain || n.Text != "true" && n.Text != "false" {
		o.errorf(n.Origin, "", "%s must be `true` or `false`, without quotes", o.Name(field))
		return Field[bool]{}
	}
	return Field[bool]{Presence: Given, Value: n.Text == "true", Origin: n.Origin}
}

var wholeNumber = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^(0|[1-9][0-9]{0,8})$`) })

// Number reads a decimal whole number within the declared bounds.
func (o Object) Number(field string) Field[int] {
	low, high := o.Declared(field).Low, o.Declared(field).High
	n := o.Scalar(field, "a whole number")
	if n == nil {
		return Field[int]{}
	}
	value, err := strconv.Atoi(n.Text)
	if !n.Plain || !wholeNumber().MatchString(n.Text) || err != nil || value < low || value > high {
		o.errorf(n.Origin, "", "%s must be a whole number from %d to %d, in plain digits", o.Name(field), low, high)
		return Field[int]{}
	}
	return Field[int]{Presence: Given, Value: value, Origin: n.Origin}
}

// Texts reads a list of texts without repetitions. Each comes as a field, so
// that it can be blamed on its own.
func (o Object) Texts(field string) Field[[]Field[string]] {
	n := o.Get(field)
	if n == nil {
		return Field[[]Field[string]]{}
	}
	name := o.Name(field)
	if n.Kind != List {
		o.errorf(n.Origin, "write it like `[a, b]`", "%s must be a list", name)
		return Field[[]Field[string]]{}
	}
	list := Field[[]Field[string]]{Presence: Given, Origin: n.Origin}
	seen, entry := make(map[string]bool, len(n.Items)), "an entry of "+name
	for _, item := range n.Items {
		if !o.IsScalar(item, entry, "a text") {
			continue
		}
		f := o.line(item, entry)
		switch {
		case !f.Given():
		case seen[f.Value]:
			o.errorf(f.Origin, "keep one", "%s stands twice in %s", Quoted(f.Value), name)
		default:
			seen[f.Value] = true
			list.Value = append(list.Value, f)
		}
	}
	return list
}
