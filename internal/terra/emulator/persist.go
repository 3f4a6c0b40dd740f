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
	s.settle()
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
	if err := next.check(); err != nil {
		return fmt.Errorf("read state: %w", err)
	}
	if err := next.checkProviders(s.catalogue); err != nil {
		return fmt.Errorf("read state: %w", err)
	}
	next.uses = map[string]int{}
	for _, e := range next.Environments {
		for _, src := range e.Sources {
			next.use("", src.Domain)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.account = next
	s.windows = map[string]*window{}
	s.revision++
	return nil
}

func (a *account) check() error {
	if a.Version != 1 {
		return fmt.Errorf("version is %d, want 1", a.Version)
	}
	v := reflect.ValueOf(a).Elem()
	for i := range v.NumField() {
		if f := v.Field(i); v.Type().Field(i).IsExported() && f.Kind() == reflect.Map && f.IsNil() {
			return fmt.Errorf("%s is missing", v.Type().Field(i).Tag.Get("json"))
		}
	}
	order := slices.Sorted(slices.Values(a.Order))
	if len(a.Order) != len(a.Environments) || len(slices.Compact(order)) != len(a.Order) {
		return errors.New("environment_order does not list every environment once")
	}
	for _, id := range a.Order {
		e := a.Environments[id]
		if e == nil || e.DevID != id || e.Sources == nil || e.Types == nil {
			return fmt.Errorf("environment %q is incomplete", id)
		}
		for provider, src := range e.Sources {
			if err := a.checkSource(provider, src); err != nil {
				return fmt.Errorf("environment %q: source %q: %w", id, provider, err)
			}
		}
	}
	for bearer, t := range a.Tokens {
		if t == nil || t.Bearer != bearer || t.TokenID == "" {
			return errors.New("a token is incomplete")
		}
		if !slices.Contains([]string{"admin", "session", "data"}, t.Kind) {
			return fmt.Errorf("token %q: unknown kind %q", t.TokenID, t.Kind)
		}
	}
	return a.checkBehind()
}

func (a *account) checkSource(provider string, src *source) error {
	if src == nil {
		return errors.New("is null")
	}
	if src.State != active && src.State != paused && src.State != disabled {
		return fmt.Errorf("unknown state %q", src.State)
	}
	if src.Variant != standard && src.Variant != byo {
		return fmt.Errorf("unknown auth_variant %q", src.Variant)
	}
	if src.Domain != "" && a.Domains[src.Domain] == nil {
		return fmt.Errorf("unknown domain %q", src.Domain)
	}
	if src.Domain != "" && a.Domains[src.Domain].Provider != provider {
		return fmt.Errorf("domain %q is for %s", src.Domain, a.Domains[src.Domain].Provider)
	}
	if c := src.Credential; c != nil && c.SecretRef != nil && c.Secret != "" {
		return errors.New("has a secret and a secret_ref")
	}
	if src.Active < 0 || src.Fallen < 0 || src.Inactive < src.Fallen {
		return errors.New("active_users, inactive_users and fallen_users do not add up")
	}
	return nil
}

func (a *account) checkBehind() error {
	for host, d := range a.Domains {
		if d == nil {
			return fmt.Errorf("domain %q is null", host)
		}
		if !slices.Contains([]string{provisioning, live, failed}, d.State) {
			return fmt.Errorf("domain %q: unknown state %q", host, d.State)
		}
	}
	for id, app := range a.Apps {
		if app == nil || app.Rows == nil {
			return fmt.Errorf("garmin app %q is incomplete", id)
		}
	}
	for provider, p := range a.Pairs {
		if p == nil {
			return fmt.Errorf("provider_pairs of %q is null", provider)
		}
		if p.TokenLifetime < 0 {
			return fmt.Errorf("provider_pairs of %q: token_lifetime is negative", provider)
		}
	}
	for name, store := range a.Stores {
		if store == nil {
			return fmt.Errorf("secret store %q is null", name)
		}
	}
	for _, kept := range a.Answers {
		if kept == nil {
			return errors.New("an idempotency entry is null")
		}
	}
	for operation := range a.Notices {
		if !slices.Contains(Operations(), operation) {
			return fmt.Errorf("notices: unknown operation %q", operation)
		}
	}
	return nil
}

// checkProviders refuses providers that neither the catalogue nor the state's own
// source types know: nothing could be said of them.
func (a *account) checkProviders(known map[string]entry) error {
	types := func(own map[string]terra.SourceType) error {
		for provider, t := range own {
			if t.Provider != provider {
				return fmt.Errorf("source_types of %q is about %q", provider, t.Provider)
			}
		}
		return nil
	}
	offered := func(provider string, own map[string]terra.SourceType) bool {
		_, listed := known[provider]
		_, everywhere := a.Types[provider]
		_, here := own[provider]
		return listed || everywhere || here
	}
	if err := types(a.Types); err != nil {
		return err
	}
	for id, e := range a.Environments {
		if err := types(e.Types); err != nil {
			return fmt.Errorf("environment %q: %w", id, err)
		}
		for provider := range e.Sources {
			if !offered(provider, e.Types) {
				return fmt.Errorf("environment %q: unknown provider %q", id, provider)
			}
		}
	}
	everywhere := map[string]terra.SourceType{}
	for _, e := range a.Environments {
		maps.Copy(everywhere, e.Types)
	}
	for provider := range a.Pairs {
		if !offered(provider, everywhere) {
			return fmt.Errorf("provider_pairs: unknown provider %q", provider)
		}
	}
	return nil
}
