package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"gopkg.in/yaml.v3"
)

// decoder walks YAML nodes and collects problems instead of stopping at one.
type decoder struct {
	file     string
	base     string // of accounts that name none
	problems []Problem
	strange  []*yaml.Node // values of fields whose names are unknown or not readable
}

// field reads the value of one key. where is the key's path, for messages.
type field func(where string, value *yaml.Node)

func (d *decoder) problem(n *yaml.Node, format string, args ...any) {
	d.problems = append(d.problems, Problem{
		File: d.file, Line: n.Line, Column: n.Column, Message: fmt.Sprintf(format, args...),
	})
}

// invalid is the error of what was found, in the file's order.
func (d *decoder) invalid() *InvalidError {
	slices.SortStableFunc(d.problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return &InvalidError{Problems: d.problems}
}

// mapping reads a map whose keys are all in known. It returns the keys that
// were there, valid or not.
func (d *decoder) mapping(where string, n *yaml.Node, known map[string]field) []string {
	return d.pairs(where, n, func(key, value *yaml.Node) {
		read, ok := known[key.Value]
		if !ok {
			d.strange = append(d.strange, value)
			d.problem(key, "unknown field %q%s", key.Value, hint(key.Value, known))
			return
		}
		read(join(where, key.Value), value)
	})
}

// pairs calls visit for each key of a map that is a plain, new and filled
// string. It returns all keys, the others too.
func (d *decoder) pairs(where string, n *yaml.Node, visit func(key, value *yaml.Node)) []string {
	if n.Kind != yaml.MappingNode {
		d.problem(n, "%s must be a map of fields", named(where))
		return nil
	}
	var seen []string
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case key.Kind != yaml.ScalarNode || key.ShortTag() != "!!str":
			d.strange = append(d.strange, value)
			d.problem(key, "the name of a field must be text")
		case strings.ContainsFunc(key.Value, unicode.IsControl):
			d.strange = append(d.strange, value)
			d.problem(key, "the name of a field holds a line end or another control character")
		case slices.Contains(seen, key.Value):
			d.problem(key, "field %q stands here twice", key.Value)
		case value.Kind == yaml.ScalarNode && value.ShortTag() == "!!null":
			d.problem(value, "%s is empty; give it a value or take the line out", named(join(where, key.Value)))
		default:
			visit(key, value)
		}
		seen = append(seen, key.Value)
	}
	return seen
}

// text reads a string that passes all checks. The value is not quoted in
// problems, except by checks that know it to be harmless.
func (d *decoder) text(dst *string, checks ...func(string) error) field {
	return func(where string, n *yaml.Node) {
		if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!str" {
			d.problem(n, "%s must be text (put it in quotes if it is)", where)
			return
		}
		for _, check := range append([]func(string) error{checkLine}, checks...) {
			if err := check(n.Value); err != nil {
				d.problem(n, "%s %v", where, err)
				return
			}
		}
		*dst = n.Value
	}
}

func (d *decoder) list(dst *[]string, checks ...func(string) error) field {
	return func(where string, n *yaml.Node) {
		if n.Kind != yaml.SequenceNode {
			d.problem(n, "%s must be a list, as in [a, b]", where)
			return
		}
		values := []string{}
		for _, item := range n.Content {
			var value string
			d.text(&value, append(checks, func(s string) error {
				if slices.Contains(values, s) {
					return errors.New("names the same thing twice")
				}
				return nil
			})...)(where, item)
			values = append(values, value)
		}
		*dst = values
	}
}

// someOf is a list that narrows something down: an empty one, perhaps of a template
// that had nothing to fill in, must not mean all.
func (d *decoder) someOf(dst *[]string) field {
	return func(where string, n *yaml.Node) {
		d.list(dst)(where, n)
		if n.Kind == yaml.SequenceNode && len(n.Content) == 0 {
			d.problem(n, "%s is empty; name at least one, or take the line out for all", where)
		}
	}
}

func (d *decoder) boolean(dst *bool) field {
	return func(where string, n *yaml.Node) {
		if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!bool" || (n.Value != "true" && n.Value != "false") {
			d.problem(n, "%s must be true or false", where)
			return
		}
		*dst = n.Value == "true"
	}
}

func (d *decoder) duration(dst *time.Duration, least, most time.Duration) field {
	return func(where string, n *yaml.Node) {
		value, err := time.ParseDuration(n.Value)
		if n.Kind != yaml.ScalarNode || err != nil {
			d.problem(n, "%s must be a time span such as 30s, 15m or 2h", where)
			return
		}
		if value < least {
			d.problem(n, "%s must be at least %s", where, least)
			return
		}
		if value > most {
			d.problem(n, "%s must be at most %.0fh", where, most.Hours())
			return
		}
		*dst = value
	}
}

// noAliases refuses anchors and aliases anywhere: configuration that has to be
// expanded to be understood is easily misread.
func (d *decoder) noAliases(n *yaml.Node) {
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		d.problem(n, "anchors (&) and aliases (*) are not allowed here; write the value out")
		return
	}
	for _, child := range n.Content {
		d.noAliases(child)
	}
}

func join(where, key string) string {
	if where == "" {
		return key
	}
	return where + "." + key
}

func named(where string) string {
	if where == "" {
		return "the file"
	}
	return where
}
