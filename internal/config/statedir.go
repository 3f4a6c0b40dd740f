package config

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/terra-reconcile/terra-reconcile/internal/yamlpos"
)

// StateDir gives [Config.StateDir] of the daemon.yaml at path, for who needs nothing
// else of it: also where the file has errors, as long as none of them leaves a doubt
// about the folder. wrong then says what they are. A doubt is an error, an
// [*InvalidError] in its chain, and so is a file that cannot be read.
func StateDir(path string, getenv func(string) string) (dir string, wrong *InvalidError, err error) {
	data, err := read(path)
	if err != nil {
		return "", nil, err
	}
	r := reader{base: DefaultBaseURL, getenv: getenv} // another base is no matter of the state
	root := r.parse(path, data)
	if root == nil {
		return "", nil, r.invalid()
	}
	c := r.config(root)
	if len(r.problems) > 0 {
		wrong = r.invalid()
		if doubt := stateDoubt(root.Raw, data); doubt != "" {
			return "", nil, fmt.Errorf("%w\nfind state: %s", wrong, doubt)
		}
	}
	if err := c.resolve(filepath.Dir(path)); err != nil {
		return "", nil, err
	}
	return c.StateDir, wrong, nil
}

// StateDirFrom gives [Config.StateDir] of [FromEnvironment], whatever else is wrong
// with its variables.
func StateDirFrom(getenv func(string) string) string { return stateDirFrom(getenv) }

const stateField = "state_dir"

// stateDoubt says why a file with errors does not tell its state folder for certain,
// "" where it does. Such a file may be cut short, or name the folder by a misspelt or
// misplaced field.
func stateDoubt(root *yaml.Node, data []byte) string {
	if root.Kind != yaml.MappingNode {
		return "the file is not a mapping"
	}
	var names []string
	var values []*yaml.Node
	for i := 0; i+1 < len(root.Content); i += 2 {
		names = append(names, root.Content[i].Value)
		if root.Content[i].Value == stateField {
			values = append(values, root.Content[i+1])
		}
	}
	switch {
	case refers(root):
		return "the file has anchors or aliases"
	case len(values) > 1:
		return stateField + " stands there twice"
	case len(values) == 1:
		return textDoubt(values[0], data)
	case mentions(root, stateField):
		return stateField + " stands in another place than at the top"
	case slices.ContainsFunc(strange(root, fields(), ""), mayNameFolder):
		return "a field that is not known may be meant to be " + stateField
	}
	for _, name := range []string{"repo", "accounts", "apply"} {
		if !slices.Contains(names, name) {
			return "the file is not whole, and " + stateField + " may be what is missing"
		}
	}
	return ""
}

// textDoubt says why the value of state_dir may not be what was meant.
func textDoubt(value *yaml.Node, data []byte) string {
	if value.Kind != yaml.ScalarNode || value.ShortTag() != "!!str" || value.Value == "" || strings.TrimSpace(value.Value) != value.Value {
		return stateField + " itself is wrong"
	}
	if value.Line > bytes.Count(data, []byte("\n")) {
		return "the file may be cut short in the line of " + stateField
	}
	return ""
}

// strange are the values of fields whose names are not known, or are no names.
func strange(n *yaml.Node, fields yamlpos.Fields, block string) []*yaml.Node {
	var found []*yaml.Node
	_, limited := fields[block]
	for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i].Value, n.Content[i+1]
		below := yamlpos.Below(block, name)
		if _, named := fields[yamlpos.Below(block, "*")]; named {
			below = yamlpos.Below(block, "*")
		}
		if limited && !fields.Has(block, name) {
			found = append(found, value)
			continue
		}
		found = append(found, strange(value, fields, below)...)
	}
	return found
}

// mayNameFolder reports whether a value could be a folder, or hold one.
func mayNameFolder(n *yaml.Node) bool {
	return n.Kind != yaml.ScalarNode || n.ShortTag() == "!!str"
}

// mentions reports whether a word stands in any name or value.
func mentions(n *yaml.Node, word string) bool {
	return strings.Contains(n.Value, word) || slices.ContainsFunc(n.Content, func(child *yaml.Node) bool { return mentions(child, word) })
}

// refers reports whether an anchor or an alias stands anywhere.
func refers(n *yaml.Node) bool {
	return n.Kind == yaml.AliasNode || n.Anchor != "" || slices.ContainsFunc(n.Content, refers)
}
