package spec

import "github.com/terra-reconcile/terra-reconcile/internal/yamlpos"

// Fields returns the fields of each kind of file, a dot for each level down. Those
// of defaults are the other files' own.
func Fields() map[string][]string {
	list := map[string][]string{}
	for file, known := range map[string]yamlpos.Fields{
		"terra.yaml": rootBlocks(), "environment.yaml": environmentBlocks(), "A connection file": connectionBlocks(),
	} {
		for block, fields := range known {
			if block == "defaults" || yamlpos.Inside(block, "defaults") {
				continue
			}
			for _, field := range fields {
				list[file] = append(list[file], yamlpos.Below(block, field))
			}
		}
	}
	return list
}

// Approvable returns the words that an approval may name.
func Approvable() []string { return approvable() }
