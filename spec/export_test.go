package spec

import "github.com/terra-reconcile/terra-reconcile/internal/yamlpos"

// Tables returns the declared fields of each kind of file as docs/files.md has them. Those
// of defaults are the other files' own.
func Tables() map[string]string {
	list := map[string]string{}
	for file, fields := range map[string]yamlpos.Fields{
		"terra.yaml": rootFields(), "environment.yaml": environmentFields(), "A connection file": connectionFields(),
	} {
		list[file] = fields.Table(func(path string) bool { return !yamlpos.Inside(path, "defaults") })
	}
	return list
}

// Defaults returns the values that omitted fields have, by file and path.
func Defaults() map[string]map[string]string {
	list := map[string]map[string]string{}
	for file, fields := range map[string]yamlpos.Fields{"environment.yaml": environmentFields(), "connection.yaml": connectionFields()} {
		list[file] = map[string]string{}
		for block, all := range fields {
			for _, d := range all {
				if d.Default != "" {
					list[file][yamlpos.Below(block, d.Name)] = d.Default
				}
			}
		}
	}
	return list
}

// Approvable returns the words that an approval may name.
func Approvable() []string { return approvable() }
