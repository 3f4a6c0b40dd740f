package emulator

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"

	"github.com/terra-reconcile/terra-reconcile/internal/terra"
)

// Save writes the account as JSON: tokens and secrets in plain text, so the
// reader of the file must be its owner alone. Faults and the log are not saved.
func (s *Server) Save(w io.Writer) error {
	s.mu.Lock()
	s.advance()
	b, err := json.MarshalIndent(&s.account, "", "  ")
	s.mu.Unlock()
	if err != nil {
		return fmt.Errorf("encode state: %w", err)
	}
	if _, err := w.Write(append(b, '\n')); err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	return nil
}

// Load replaces the account by what Save wrote. An unknown field, another
// version or a state that contradicts itself is an error, and nothing changes.
func (s *Server) Load(r io.Reader) error {
	d := json.NewDecoder(r)
	d.DisallowUnknownFields()
	var next account
	if err := d.Decode(&next); err != nil {
		return fmt.Errorf("read state: %w", err)
	}
	if err := next.check(s.catalogue); err != nil {
		return fmt.Errorf("read state: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.account = next
	s.windows = map[string]*window{}
	s.revision++
	return nil
}

// check refuses what would make the emulator panic, or say nonsense, later: a person
// may have written the file.
func (a *account) check(known map[string]entry) error {
	if a.Version != 1 {
		return fmt.Errorf("version is %d, want 1", a.Version)
	}
	if err := filled(reflect.ValueOf(a).Elem()); err != nil {
		return err
	}
	order := slices.Sorted(slices.Values(a.Order))
	if len(a.Order) != len(a.Environments) || len(slices.Compact(order)) != len(a.Order) {
		return errors.New("environment_order does not list every environment once")
	}
	for bearer, t := range a.Tokens {
		if t.Bearer != bearer || t.TokenID == "" {
			return errors.New("a token is incomplete")
		}
		if !slices.Contains([]string{"admin", "session", "data"}, t.Kind) {
			return fmt.Errorf("token %q: unknown kind %q", t.TokenID, t.Kind)
		}
	}
	types := map[string]terra.SourceType{}
	for name := range known {
		types[name] = terra.SourceType{Provider: name}
	}
	maps.Copy(types, a.Types)
	everywhere := maps.Clone(types)
	for _, id := range a.Order {
		e := a.Environments[id]
		if e == nil || e.DevID != id {
			return fmt.Errorf("environment %q is incomplete", id)
		}
		here := maps.Clone(types)
		maps.Copy(here, e.Types)
		maps.Copy(everywhere, e.Types)
		for provider, src := range e.Sources {
			err := a.checkSource(provider, src)
			if _, offered := here[provider]; !offered {
				err = fmt.Errorf("unknown provider %q", provider)
			}
			if err != nil {
				return fmt.Errorf("environment %q: %w", id, err)
			}
		}
	}
	for provider, t := range everywhere {
		if t.Provider != provider {
			return fmt.Errorf("source_types of %q is about %q", provider, t.Provider)
		}
	}
	for provider, p := range a.Pairs {
		if p.TokenLifetime < 0 {
			return fmt.Errorf("provider_pairs of %q: token_lifetime is negative", provider)
		}
		if _, offered := everywhere[provider]; !offered {
			return fmt.Errorf("provider_pairs: unknown provider %q", provider)
		}
	}
	for host, d := range a.Domains {
		if !slices.Contains([]string{provisioning, live, failed}, d.State) {
			return fmt.Errorf("domain %q: unknown state %q", host, d.State)
		}
	}
	for operation := range a.Notices {
		if !slices.Contains(Operations(), operation) {
			return fmt.Errorf("notices: unknown operation %q", operation)
		}
	}
	return nil
}

// filled refuses maps that are not there and entries of maps that are null.
func filled(v reflect.Value) error {
	for i := range v.NumField() {
		field, name := v.Field(i), v.Type().Field(i).Tag.Get("json")
		if field.Kind() != reflect.Map || !v.Type().Field(i).IsExported() {
			continue
		}
		if field.IsNil() {
			return fmt.Errorf("%s is missing", name)
		}
		for _, key := range field.MapKeys() {
			entry := field.MapIndex(key)
			if entry.Kind() != reflect.Pointer {
				continue
			}
			err := errors.New("it is null")
			if !entry.IsNil() {
				err = filled(entry.Elem())
			}
			if err != nil && name == "tokens" {
				return errors.New("tokens: an entry is incomplete") // its name is a secret
			}
			if err != nil {
				return fmt.Errorf("%s of %q: %w", name, key.String(), err)
			}
		}
	}
	return nil
}

func (a *account) checkSource(provider string, src *source) error {
	domain, known := a.Domains[src.Domain]
	c := src.Credential
	var problem string
	switch {
	case !slices.Contains([]string{active, paused, disabled}, src.State):
		problem = fmt.Sprintf("unknown state %q", src.State)
	case src.Variant != standard && src.Variant != byo:
		problem = fmt.Sprintf("unknown auth_variant %q", src.Variant)
	case src.Domain != "" && !known:
		problem = fmt.Sprintf("unknown domain %q", src.Domain)
	case src.Domain != "" && domain.Provider != provider:
		problem = fmt.Sprintf("domain %q is for %s", src.Domain, domain.Provider)
	case c != nil && c.SecretRef != nil && c.Secret != "":
		problem = "has a secret and a secret_ref"
	case src.Active < 0 || src.Fallen < 0 || src.Inactive < src.Fallen:
		problem = "active_users, inactive_users and fallen_users do not add up"
	default:
		return nil
	}
	return fmt.Errorf("source %q: %s", provider, problem)
}
