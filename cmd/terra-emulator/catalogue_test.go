package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/terra"
	"github.com/terra-reconcile/terra-reconcile/internal/terra/emulator"
	"github.com/terra-reconcile/terra-reconcile/providers"
)

// Every provider of the catalogue can be rehearsed: the emulated Terra offers it
// and says of its keys what the catalogue says.
func TestCatalogueIsServed(t *testing.T) {
	s := emulator.New(emulator.Config{})
	s.AddEnvironment("dev-1", emulator.EnvironmentOptions{})
	token := s.AddToken(emulator.Token{}).Bearer
	client, err := terra.New(terra.Options{
		BaseURL: emulator.BaseURL, Token: func() (string, error) { return token, nil }, Transport: s.RoundTripper(), Version: "test",
	})
	if err != nil {
		t.Fatal(err)
	}
	list, err := client.ListSourceTypes(t.Context(), "dev-1")
	if err != nil {
		t.Fatal(err)
	}
	types := map[string]providers.SourceType{}
	for _, st := range list {
		types[st.Provider] = providers.SourceType{
			DisplayName: st.DisplayName, Deprecated: st.Deprecated, BYOSupported: st.BYOSupported,
			CustomerCredentialsRequired: st.CustomerCredentialsRequired, CustomCredentialsAllowed: st.CustomCredentialsAllowed,
		}
	}
	// On these the emulator disagrees, so that it can be seen that Terra is believed.
	disagrees := []string{"fitbit", "freestylelibre"}
	after := time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)
	compared := 0
	for _, p := range providers.All() {
		st, ok := types[p.Slug]
		if !ok {
			t.Errorf("the emulator does not offer %s", p.Slug)
			continue
		}
		compared++
		if _, warnings := p.WithSourceType(st, after); (len(warnings) > 0) != slices.Contains(disagrees, p.Slug) {
			t.Errorf("%s: got warnings %q", p.Slug, strings.Join(warnings, "; "))
		}
	}
	if compared == 0 {
		t.Error("no provider was compared")
	}
	t.Logf("COUNT providers_served=%d", compared)
}
