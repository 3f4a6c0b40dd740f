package spec

import (
	"slices"
	"strings"
)

// blocks are the fields that a file may hold, by the mapping they stand in: "" is the
// file itself, "policy.allow" an entry of that list. What stands below setup and
// options is the providers' to name. docs/files.md explains each of these fields.
type blocks map[string][]string

func rootBlocks() blocks {
	b := blocks{
		"":           {"version", "recipients", "secrets", "defaults"},
		"recipients": {"paths", "age"},
		"secrets":    {"binding"},
	}
	for block, fields := range defaultsBlocks() {
		b[below("defaults", block)] = fields
	}
	return b
}

// defaultsBlocks are those of defaults, seen from there.
func defaultsBlocks() blocks {
	b := environmentBlocks()
	b[""] = append([]string{"rotation"}, sharedFields()...)
	b["rotation"] = rotationFields()
	delete(b, "suspend")
	return b
}

func environmentBlocks() blocks {
	return blocks{
		"":                   append([]string{"dev_id", "prune", "suspend"}, sharedFields()...),
		"suspend":            suspendFields(),
		"windows":            {"days", "from", "to", "tz"},
		"policy":             {"max_changes", "max_rotations", "require_setup", "protect", "allow"},
		"policy.max_changes": {"count", "percent"},
		"policy.allow":       allowFields(),
	}
}

func connectionBlocks() blocks {
	return blocks{
		"": {
			"provider", "state", "app", "credentials", "scopes", "domain", "webhooks",
			"rotation", "options", "setup", "suspend", "policy",
		},
		"credentials":      {"client_id", "client_secret", "keys", "redirect_url", "verification_secret", "sandbox"},
		"credentials.keys": {"unknown", "issued", "not_before", "client_secret"},
		"rotation":         rotationFields(),
		"suspend":          suspendFields(),
		"policy":           {"protect", "ignore", "allow"},
		"policy.allow":     allowFields(),
	}
}

// sharedFields may stand in environment.yaml and in defaults of terra.yaml.
func sharedFields() []string {
	return []string{
		"account", "mode", "schedule", "on_drift", "on_secret_drift", "verify_every", "windows", "policy",
	}
}

func rotationFields() []string { return []string{"max_age", "warn", "soak", "max_user_drop", "probe"} }

func suspendFields() []string { return []string{"reason", "owner", "until"} }

func allowFields() []string { return []string{"connection", "change", "to", "until", "reason"} }

// belongs says where a field that has no place in a block does: in the nearest
// block around it, or in the nearest of those inside it. "" where there is none.
func (b blocks) belongs(block, name string) string {
	for at := block; at != ""; {
		beside := at
		at = above(at)
		if slices.Contains(b[at], name) {
			return "it belongs beside `" + beside + "`"
		}
	}
	var places []string
	for other, fields := range b {
		if inside(other, block) && slices.Contains(fields, name) {
			places = append(places, other)
		}
	}
	if len(places) == 0 {
		return ""
	}
	slices.SortFunc(places, func(a, b string) int {
		if depth := strings.Count(a, ".") - strings.Count(b, "."); depth != 0 {
			return depth
		}
		return strings.Compare(a, b)
	})
	if len(places) > 1 && strings.Count(places[0], ".") == strings.Count(places[1], ".") {
		return "" // two places are none
	}
	return "it belongs under `" + places[0] + "`"
}

// inside reports whether one block stands somewhere in another.
func inside(one, other string) bool {
	return one != "" && (other == "" || strings.HasPrefix(one, other+"."))
}

// below returns the path of what stands in a block, that of the block itself for "".
func below(block, field string) string {
	switch {
	case block == "":
		return field
	case field == "":
		return block
	}
	return block + "." + field
}

// above returns the block around a block.
func above(block string) string {
	return block[:max(0, strings.LastIndexByte(block, '.'))]
}
