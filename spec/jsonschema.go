package spec

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/terra-reconcile/terra-reconcile/internal/yamlpos"
)

// JSONSchema is the JSON Schema (2020-12) of one kind of file.
type JSONSchema struct {
	Name string // "terra", "environment" or "connection"
	Text []byte
}

// JSONSchemas returns the JSON Schemas of the three kinds of files, with what the
// vocabulary says of each provider. What Load accepts without an error matches them. Not
// everything that matches loads: a schema sees one file, does not calculate, and does
// not see how a value is written.
func JSONSchemas(vocabulary Vocabulary) ([]JSONSchema, error) {
	files := declared()
	var list []JSONSchema
	for _, one := range []struct {
		name, title string
		schema      *yamlpos.JSONSchema
	}{
		{"terra", "terra.yaml", files.root.JSON("", options(files.root, Words{}))},
		{"environment", "environment.yaml", extending(files.environment.JSON("", options(files.environment, Words{})))},
		{"connection", "A connection of an environment", connectionSchema(files.connection, vocabulary)},
	} {
		one.schema.Title = one.title + " of a config repository of terra-reconcile"
		text, err := one.schema.Text()
		if err != nil {
			return nil, err
		}
		list = append(list, JSONSchema{Name: one.name, Text: text})
	}
	return list, nil
}

// extending lets what a file must hold stand in another one that it extends.
func extending(s *yamlpos.JSONSchema) *yamlpos.JSONSchema {
	alone := &yamlpos.JSONSchema{}
	for _, block := range []string{"suspend", afterField} {
		inner := s.Properties.Get(block)
		alone.Properties = append(alone.Properties, yamlpos.Property{Name: block, Schema: yamlpos.Having(inner.Required...)})
		inner.Required = nil
	}
	s.Required = slices.DeleteFunc(s.Required, func(name string) bool {
		shared := name == "provider"
		if shared {
			alone.Required = append(alone.Required, name)
		}
		return shared
	})
	return s.With(&yamlpos.JSONSchema{If: yamlpos.Having(extendsField), Else: alone})
}

// options are what the fields alone do not say, in the form of a JSON Schema.
func options(fields yamlpos.Fields, words Words) yamlpos.JSONOptions {
	o := yamlpos.JSONOptions{
		NumbersAreText: true,
		Sealed:         `^\s*` + armorBegin + `\s*[A-Za-z0-9+/][A-Za-z0-9+/\s]*[=\s]*` + armorEnd + `\s*$`,
		Also:           map[string][]*yamlpos.JSONSchema{},
	}
	for block := range fields {
		switch {
		case block == "policy.allow":
			o.Also[block] = ofApproval()
		case block == "recipients":
			o.Also[block] = ofRecipients()
		case block == "credentials":
			o.Also[block] = ofCredentials(words)
		case block == "credentials.keys":
			o.Also[block] = ofKeys(nativeNames(words, "client_secret"))
		}
	}
	return o
}

func ofApproval() []*yamlpos.JSONSchema {
	var secret []string
	for _, change := range approvable() {
		if strings.Contains(change, "secret") {
			secret = append(secret, change)
		}
	}
	return []*yamlpos.JSONSchema{
		{If: yamlpos.Among("change", "client_id"), Then: yamlpos.Having("to")},
		{If: yamlpos.Among("change", secret...), Then: &yamlpos.JSONSchema{Properties: yamlpos.Properties{{Name: "to", Schema: yamlpos.Refused()}}}},
	}
}

// ofRecipients refuses classic ones beside post-quantum ones.
func ofRecipients() []*yamlpos.JSONSchema {
	has := func(pattern string) *yamlpos.JSONSchema {
		return &yamlpos.JSONSchema{Types: []string{"array"}, Contains: &yamlpos.JSONSchema{Types: []string{"string"}, Pattern: pattern}}
	}
	both := &yamlpos.JSONSchema{AllOf: []*yamlpos.JSONSchema{has(`^age1pq1`), has(`^age1` + bech32 + `{58}$|` + sshPattern)}}
	return []*yamlpos.JSONSchema{yamlpos.Refuse(&yamlpos.JSONSchema{Properties: yamlpos.Properties{{Name: "age", Schema: both}}, Required: []string{"age"}})}
}

func ofCredentials(words Words) []*yamlpos.JSONSchema {
	ids, secrets := nativeNames(words, "client_id"), nativeNames(words, "client_secret")
	return slices.Concat(oneName(ids), oneName(append(secrets, "keys")))
}

// ofKeys says what an unknown key has not, and every other one has.
func ofKeys(secrets []string) []*yamlpos.JSONSchema {
	var sealed []*yamlpos.JSONSchema
	for _, name := range secrets {
		sealed = append(sealed, yamlpos.Having(name))
	}
	known := yamlpos.Properties{{Name: "unknown", Schema: &yamlpos.JSONSchema{Const: json.RawMessage("true")}}}
	return append(oneName(secrets), &yamlpos.JSONSchema{
		If:   yamlpos.Having("unknown"),
		Then: &yamlpos.JSONSchema{Properties: known, Not: yamlpos.Refuse(append(sealed, yamlpos.Having("not_before"))...).Not},
		Else: &yamlpos.JSONSchema{AnyOf: sealed},
	})
}

// oneName lets one of several fields stand.
func oneName(names []string) (list []*yamlpos.JSONSchema) {
	for i, a := range names {
		for _, b := range names[i+1:] {
			list = append(list, yamlpos.Refuse(yamlpos.Having(a, b)))
		}
	}
	return list
}

// connectionSchema says of each provider what its file may hold.
func connectionSchema(fields yamlpos.Fields, vocabulary Vocabulary) *yamlpos.JSONSchema {
	s := fields.JSON("", options(fields, Words{}))
	plain := *s.Properties.Get("credentials")
	*s.Properties.Get("credentials") = yamlpos.JSONSchema{Types: plain.Types, Description: plain.Description}
	provider := s.Properties.Get("provider")
	other := *provider
	other.Description = ""
	var slugs, own []string
	for _, words := range vocabulary.Providers {
		slugs = append(slugs, words.Slug)
		then := yamlpos.Properties{
			{Name: "options", Schema: optionsSchema(words, false)},
			{Name: "setup", Schema: setupSchema(words, false)},
		}
		if len(words.Native) > 0 {
			own = append(own, words.Slug)
			native := withNative(fields, words)
			then = append(then, yamlpos.Property{Name: "credentials", Schema: native.JSON("credentials", options(native, words))})
		}
		for name, allowed := range map[string]bool{"domain": words.Domain, "webhooks": words.Webhooks} {
			if !allowed {
				then = append(then, yamlpos.Property{Name: name, Schema: yamlpos.Refused()})
			}
		}
		slices.SortFunc(then, func(a, b yamlpos.Property) int { return strings.Compare(a.Name, b.Name) })
		s.AllOf = append(s.AllOf, &yamlpos.JSONSchema{If: isProvider(words.Slug), Then: &yamlpos.JSONSchema{Properties: then}})
	}
	slices.Sort(slugs)
	*provider = yamlpos.JSONSchema{Description: provider.Description, AnyOf: []*yamlpos.JSONSchema{{Enum: yamlpos.Literals(slugs)}, &other}}
	elsewhere := yamlpos.Having(extendsField) // its provider
	elsewhere.Not = yamlpos.Having("provider")
	return extending(s).With(
		&yamlpos.JSONSchema{If: &yamlpos.JSONSchema{AnyOf: []*yamlpos.JSONSchema{isProvider(own...), elsewhere}}, Else: &yamlpos.JSONSchema{Properties: yamlpos.Properties{{Name: "credentials", Schema: &plain}}}},
		&yamlpos.JSONSchema{If: isProvider(slugs...), Else: &yamlpos.JSONSchema{Properties: yamlpos.Properties{
			{Name: "options", Schema: optionsSchema(Words{}, true)}, {Name: "setup", Schema: setupSchema(Words{}, true)},
		}}},
	)
}

// isProvider is about the file of one of these providers, in letters of either case.
func isProvider(slugs ...string) *yamlpos.JSONSchema {
	pattern := &yamlpos.JSONSchema{Types: []string{"string"}, Pattern: "^(" + yamlpos.AnyCase(strings.Join(slugs, "|")) + ")$"}
	return &yamlpos.JSONSchema{Properties: yamlpos.Properties{{Name: "provider", Schema: pattern}}, Required: []string{"provider"}}
}

// optionsSchema is about the options of one provider, or of any.
func optionsSchema(words Words, foreign bool) *yamlpos.JSONSchema {
	value := func(words []string) *yamlpos.JSONSchema {
		one := evidenceField(words).JSON(yamlpos.JSONOptions{})
		return &yamlpos.JSONSchema{AnyOf: []*yamlpos.JSONSchema{one, {Types: []string{"array"}, Items: one}}}
	}
	s := &yamlpos.JSONSchema{Types: []string{"object"}, Others: yamlpos.Refused()}
	if foreign {
		s.Others = value(nil)
	}
	for _, name := range slices.Sorted(maps.Keys(words.Options)) {
		option := value(words.Options[name])
		option.Description = words.Says["options."+name]
		s.Properties = append(s.Properties, yamlpos.Property{Name: name, Schema: option})
	}
	return s
}

// setupSchema is about the human steps of one provider, or of any.
func setupSchema(words Words, foreign bool) *yamlpos.JSONSchema {
	done := yamlpos.Declared{Name: "done", Form: yamlpos.Moment, Means: "when it was done"}
	step := func(path string) *yamlpos.JSONSchema {
		s := &yamlpos.JSONSchema{
			Description: words.Says[path],
			Types:       []string{"object"},
			Properties:  yamlpos.Properties{{Name: "done", Schema: done.JSON(yamlpos.JSONOptions{})}},
			Others:      evidenceField(nil).JSON(yamlpos.JSONOptions{}),
		}
		for _, about := range slices.Sorted(maps.Keys(words.Says)) {
			if name, ok := strings.CutPrefix(about, path+"."); ok {
				evidence := evidenceField(nil).JSON(yamlpos.JSONOptions{})
				evidence.Description = words.Says[about]
				s.Properties = append(s.Properties, yamlpos.Property{Name: name, Schema: evidence})
			}
		}
		return s
	}
	s := &yamlpos.JSONSchema{Types: []string{"object"}, Others: yamlpos.Refused()}
	if foreign {
		s.Others = step("")
	}
	for _, name := range slices.Sorted(slices.Values(words.Setup)) {
		s.Properties = append(s.Properties, yamlpos.Property{Name: name, Schema: step("setup." + name)})
	}
	return s
}

// evidenceField is what stands in options and setup.
func evidenceField(words []string) yamlpos.Declared {
	return yamlpos.Declared{Form: yamlpos.AsWritten, Words: words, Never: severalLines, Chars: longestProse}
}
