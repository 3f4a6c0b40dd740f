package terratest

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/terra"
	"github.com/terra-reconcile/terra-reconcile/secrets"
)

// meet is the typed client on an emulator, strictly judged.
func meet(t *testing.T, c Config) (*terra.Client, *Server) {
	t.Helper()
	s := New(c)
	s.Watch(t)
	s.AddEnvironment(devID, EnvironmentOptions{Name: "Test"})
	s.AddToken(Token{Bearer: bearer})
	client, err := terra.New(terra.Options{
		BaseURL: BaseURL, Transport: s.RoundTripper(), Version: "test",
		Token: func() (string, error) { return bearer, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return client, s
}

func secret(text string) secrets.Value { return secrets.NewValue([]byte(text)) }

func must(t *testing.T, step string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", step, err)
	}
}

// TestClientSwitchesSources asks for what stands around credentials.
func TestClientSwitchesSources(t *testing.T) {
	client, s := meet(t, Config{})
	ctx := t.Context()
	_, err := client.Me(ctx)
	must(t, "me", err)
	types, err := client.ListSourceTypes(ctx, devID)
	must(t, "source types", err)
	if len(types) < 25 {
		t.Errorf("got %d source types, want 25 or more", len(types))
	}
	enabled, err := client.BatchEnable(ctx, devID, []string{"whoop", "polar", "garmin"}, "1")
	must(t, "batch enable", err)
	if len(enabled) != 3 || enabled[0].Provider != "whoop" {
		t.Errorf("got %+v, want three sources in request order", enabled)
	}
	src, err := client.EnableSource(ctx, devID, "strava", "2")
	must(t, "enable", err)
	paused := false
	src, err = client.UpdateSource(ctx, devID, src.Provider, terra.SourceUpdate{Active: &paused}, "3")
	must(t, "pause", err)
	if src.Active {
		t.Error("got an active source, want a paused one")
	}
	s.SetUsers(devID, "strava", 230, 5)
	count, exact, err := client.CountUsers(ctx, devID, "strava", 1000)
	must(t, "count users", err)
	if count != 230 || !exact {
		t.Errorf("got %d users, exact %v; want 230, true", count, exact)
	}
	must(t, "disable", client.DisableSource(ctx, devID, "strava", "4"))
	s.Disable(devID, "whoop")
	s.Disable(devID, "polar")
	left, err := client.ListSources(ctx, devID)
	must(t, "sources", err)
	if len(left) != 1 || left[0].Provider != "garmin" {
		t.Errorf("got sources %+v, want garmin alone", left)
	}
}

// TestClientWritesConnections takes the client through a connection's life.
func TestClientWritesConnections(t *testing.T) {
	client, s := meet(t, Config{})
	s.Enable(devID, "strava")
	ctx := t.Context()
	domain, err := client.SetDomain(ctx, devID, "strava", "auth.example.com", "4")
	must(t, "claim domain", err)
	s.Serve(domain.Hostname)
	domain, there, err := client.GetDomain(ctx, devID, "strava")
	must(t, "domain", err)
	if !there || !domain.Serving {
		t.Errorf("got domain %+v, %v", domain, there)
	}
	redirect := "https://auth.example.com/auth/strava"
	_, err = client.SetCredentials(ctx, devID, "strava", terra.CredentialWrite{
		ClientID: "42", ClientSecret: secret("first-secret"), VerificationSecret: secret("verify"), RedirectURL: &redirect,
	}, "5")
	must(t, "set credentials", err)
	seen, err := client.UpdateCredentials(ctx, devID, "strava", terra.CredentialPatch{
		ClientSecret: secret("second-word"), RedirectURL: terra.Null[string](),
	}, "6")
	must(t, "update credentials", err)
	if *seen.Credential.SecretMask != "****word" || !seen.Credential.HasVerificationSecret {
		t.Errorf("got %+v", seen.Credential)
	}
	_, err = client.SetScopes(ctx, devID, "strava", []string{"activity:read_all"}, "7")
	must(t, "set scopes", err)
	must(t, "reset scopes", client.ResetScopes(ctx, devID, "strava", "8"))
	must(t, "release domain", client.DeleteDomain(ctx, devID, "strava", "9"))
	if _, there, err := client.GetDomain(ctx, devID, "strava"); there || err != nil {
		t.Errorf("domain after its release: got %v, %v", there, err)
	}
}

func TestClientAppliesWebhooks(t *testing.T) {
	client, s := meet(t, Config{})
	ownGarmin(s)
	rows, err := client.GetWebhookEndpoints(t.Context(), devID, "garmin")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{1, 0} {
		done, err := client.ApplyWebhookEndpoints(t.Context(), devID, "garmin",
			terra.WebhookApply{Fingerprint: rows.Fingerprint}, terra.NewIdempotencyKey())
		var p *terra.Problem
		switch {
		case want == 1 && (err != nil || len(done.AppliedAppIDs) != 1):
			t.Errorf("got %+v, %v; want one app", done, err)
		case want == 0 && (!errors.As(err, &p) || p.Code != "not_ready"):
			t.Errorf("again at once: got %+v, %v; want not_ready", done, err)
		}
	}
}

func TestClientComparesSecrets(t *testing.T) {
	client, s := meet(t, Config{})
	ownStrava(s)
	all, err := client.ListSources(t.Context(), devID)
	if err != nil {
		t.Fatal(err)
	}
	if err := client.ProveDryRun(t.Context(), devID, all[0]); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{"first-secret": true, "other-secret": false} {
		equal, err := client.CompareCredentials(t.Context(), devID, "strava", "42", terra.CredentialPatch{ClientSecret: secret(text)})
		if err != nil || equal != want {
			t.Errorf("%s: got %v, %v; want %v", text, equal, err, want)
		}
	}
	if len(s.Writes())+len(s.Effects()) != 0 {
		t.Errorf("got writes %v and effects %v, want none", s.Writes(), s.Effects())
	}
	s.Fault(Fault{Kind: IgnoreDryRun, Operation: "updateSourceCredentials"})
	_, err = client.CompareCredentials(t.Context(), devID, "strava", "42", terra.CredentialPatch{ClientSecret: secret("other-secret")})
	var wrote *terra.MayHaveWrittenError
	if !errors.As(err, &wrote) {
		t.Errorf("a server that ignores dry_run: got %v, want a MayHaveWrittenError", err)
	}
	if got := s.Live(devID).Sources["strava"].Credential.Secret; got != "other-secret" {
		t.Error("the fault did not commit")
	}
}

func TestClientIsNotProvenByAServerThatIgnoresDryRun(t *testing.T) {
	client, s := meet(t, Config{})
	ownStrava(s)
	s.Fault(Fault{Kind: IgnoreDryRun, Times: Always})
	err := client.ProveDryRun(t.Context(), devID, terra.Source{Provider: "strava", Active: true})
	var unproven *terra.DryRunUnprovenError
	if !errors.As(err, &unproven) || len(s.Effects()) != 0 {
		t.Errorf("got %v with effects %v, want a DryRunUnprovenError and none", err, s.Effects())
	}
}

// TestClientMeetsFaults sends one read and one write through every fault.
func TestClientMeetsFaults(t *testing.T) {
	for _, c := range []struct {
		fault       Fault
		read, write string // part of the error; empty is success
	}{
		{Fault{Kind: Latency, Delay: time.Second}, "", ""},
		{Fault{Kind: Status429, RetryAfter: time.Minute}, "", ""},
		{Fault{Kind: Status503}, "", ""},
		{Fault{Kind: ConnectionReset}, "", ""},
		{Fault{Kind: LostAnswer}, "", ""},
		{Fault{Kind: Hang}, "", ""},
		{Fault{Kind: Problem, Code: "environment_disabled", Status: 403}, "environment_disabled", "environment_disabled"},
		{Fault{Kind: PlainNotFound}, "missed the admin API", "missed the admin API"},
		{Fault{Kind: Redirect}, "redirect", "redirect"},
		{Fault{Kind: HTMLPage, Times: Always}, "not application/json", "is unknown"},
		{Fault{Kind: HasMoreWithoutCursor}, "has_more", ""},
	} {
		for _, write := range []bool{false, true} {
			name := string(c.fault.Kind) + map[bool]string{false: "/read", true: "/write"}[write]
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					client, s := meet(t, Config{})
					s.Enable(devID, "whoop")
					s.Fault(c.fault)
					var err error
					want := c.read
					if write {
						_, err = client.EnableSource(t.Context(), devID, "strava", "k")
						want = c.write
					} else {
						_, err = client.ListSources(t.Context(), devID)
					}
					if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
						t.Errorf("got error %v, want %q", err, want)
					}
					if n := len(s.Effects()); write && want == "" && n != 1 {
						t.Errorf("got %d effects, want 1", n)
					}
				})
			})
		}
	}
}
