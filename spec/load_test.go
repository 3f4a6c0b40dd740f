package spec_test

import (
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/terra-reconcile/terra-reconcile/spec"
)

// armor is shaped like an age file; nothing in this package opens one.
const armor = "-----BEGIN AGE ENCRYPTED FILE-----\nYWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IFgyNTUxOSBleGFtcGxl\n-----END AGE ENCRYPTED FILE-----\n"

// sealed is armor as it stands in a file, indented.
func sealed(indent int) string {
	pad := strings.Repeat(" ", indent)
	return "!age |\n" + pad + strings.ReplaceAll(strings.TrimSuffix(armor, "\n"), "\n", "\n"+pad) + "\n"
}

func vocabulary() spec.Vocabulary {
	return spec.Vocabulary{Providers: []spec.Words{
		{Slug: "strava", Setup: []string{"callback_domain"}, Domain: true},
		{Slug: "virtuagym", Native: map[string]string{"portal_name": "client_id", "api_key": "client_secret"}},
		{Slug: "huawei", Setup: []string{"huawei_id", "identity", "health_kit"}},
		{Slug: "freestylelibre", Options: map[string][]string{"regions": {"de", "fr", "gb", "us"}}, Setup: []string{"practice", "activation"}},
		{Slug: "samsung", Options: map[string][]string{"route": {"direct", "health_connect"}, "sdk_version": nil}},
		{Slug: "garmin", Domain: true, Webhooks: true},
		{Slug: "whoop", Domain: true},
	}}
}

func files(pairs map[string]string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for name, text := range pairs {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return fsys
}

func TestLoadWholeRepository(t *testing.T) {
	set, problems := spec.Load(files(map[string]string{
		"terra.yaml": "version: 1\nsecrets: {binding: require}\ndefaults:\n  policy:\n    max_changes: {count: 10, percent: 50}\n    protect: [whoop]\n  rotation: {soak: 2h, max_age: 90d}\n",
		"production/environment.yaml": `dev_id: prod-app-x81LmQ
account: default
mode: apply
schedule: "CRON_TZ=Europe/London */15 * * * *"
prune: never
on_drift: report
on_secret_drift: revert
verify_every: 12h
windows:
  - {days: [sat, sun], from: "22:00", to: 05:00, tz: Europe/London}
suspend: {reason: "vendor migration", owner: ops@acme.example, until: 2026-12-01}
policy:
  max_changes: {count: 7}
  max_rotations: 2
  protect: [strava]
  allow:
    - {connection: whoop, change: prune, until: 2026-12-01, reason: "contract ended"}
`,
		"production/strava.yaml": `provider: Strava
app: own
credentials:
  client_id: 0123
  keys:
    - {unknown: true}
    - issued: 2026-11-20
      not_before: 2026-11-28T02:00:00+02:00
      client_secret: ` + sealed(8) + `  redirect_url: null
  verification_secret: null
scopes: [activity:read_all]
domain: Auth.Acme.example
rotation: {warn: 7d, max_user_drop: 20, probe: off}
setup:
  callback_domain: {value: access.tryterra.co, done: 2026-08-01, ticket: 77}
policy:
  protect: true
  ignore: [scopes]
  allow: [{change: client_id, to: "123456", until: 2026-12-01, reason: "new app"}]
`,
		"production/virtuagym.yml": "provider: virtuagym\nstate: paused\ncredentials:\n  portal_name: acme\n  api_key: " + sealed(4),
		"production/libre.yaml":    "provider: freestylelibre\noptions: {regions: [de, gb]}\nsetup:\n  activation: {ticket: T-1, state: requested}\n",
		"staging/environment.yaml": "dev_id: stage-1\nprune: disable\nowner: Team Staging\n",
		"staging/huawei.yaml":      "provider: huawei\nowner: Team Huawei\ncredentials:\n  client_id: \"104857600\"\n  client_secret: " + sealed(4) + "  redirect_url: https://access.tryterra.co/api/v2/auth/huawei/oauth2\n  sandbox: false\nsetup:\n  huawei_id: {done: 2026-03-01}\n  identity: {value: business, done: 2026-03-09}\n  health_kit: {state: requested}\n",
		"staging/samsung.yaml":     "provider: samsung\nstate: disabled\noptions: {route: direct, sdk_version: 2.1}\nsuspend:\n  reason: >\n    waiting for\n    the partner\n  owner: ops\n  until: 2026-12-01\n",
		"README.md":                "x",
		".github/workflow.yaml":    "not: read",
		"_drafts/environment.yaml": "x: [",
	}), vocabulary())
	for _, p := range problems {
		t.Errorf("got problem %s", p)
	}
	if len(set.Environments) != 2 {
		t.Fatalf("got %d environments, want 2", len(set.Environments))
	}
	production, staging := set.Environments[0], set.Environments[1]
	at := func(file string, line, column int) spec.Origin {
		return spec.Origin{File: "production/" + file, Line: line, Column: column}
	}
	until := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	connections := production.Connections
	production.Connections = nil
	want := spec.Environment{
		Name: "production", Origin: at("environment.yaml", 1, 1), DevID: "prod-app-x81LmQ", DevIDOrigin: at("environment.yaml", 1, 9),
		Account: "default", Schedule: "CRON_TZ=Europe/London */15 * * * *", RevertSecretDrift: true, VerifyEvery: 12 * time.Hour,
		ModeOrigin: at("environment.yaml", 3, 7), PruneOrigin: at("environment.yaml", 5, 8), DriftOrigin: at("environment.yaml", 6, 11),
		SecretDriftOrigin: at("environment.yaml", 7, 18), WindowsOrigin: at("environment.yaml", 10, 3),
		Windows: []spec.Window{{
			Days: []time.Weekday{time.Saturday, time.Sunday}, From: 22 * 60, To: 5 * 60, TZ: "Europe/London", Origin: at("environment.yaml", 10, 5),
		}},
		Suspend: &spec.Suspend{Reason: "vendor migration", Owner: "ops@acme.example", Until: until, Origin: at("environment.yaml", 11, 10)},
		Policy: spec.EnvironmentPolicy{
			MaxChanges:   spec.Cap{Count: 7, Percent: 50, Origin: at("environment.yaml", 13, 16)},
			MaxRotations: 2, RotationsOrigin: at("environment.yaml", 14, 18), Protect: []string{"strava", "whoop"}, ProtectOrigin: at("environment.yaml", 15, 12),
			Allow: []spec.Allow{{Connection: "whoop", Change: "prune", Until: until, Reason: "contract ended", Origin: at("environment.yaml", 17, 7)}},
		},
	}
	if diff := cmp.Diff(want, production); diff != "" {
		t.Errorf("production (-want +got):\n%s", diff)
	}
	checkConnections(t, connections, at, until)
	if !staging.PruneDisable || !staging.RevertDrift || staging.RevertSecretDrift || staging.Policy.MaxChanges.Count != 10 || staging.Policy.MaxRotations != 3 {
		t.Errorf("got staging %+v, want its defaults", staging)
	}
	checkStaging(t, staging.Connections)
	if h, s := staging.OwnerOf("huawei"), staging.OwnerOf("samsung"); h != "Team Huawei" || s != "Team Staging" || production.OwnerOf("strava") != "" {
		t.Errorf("got owners %q and %q", h, s)
	}
	if got := staging.Policy.MaxChanges.Origin.String(); got != "terra.yaml:5:18" {
		t.Errorf("got cap from %s, want terra.yaml:5:18", got)
	}
}

func checkConnections(t *testing.T, got []spec.Connection, at func(string, int, int) spec.Origin, until time.Time) {
	t.Helper()
	if len(got) != 3 {
		t.Fatalf("got %d connections, want 3", len(got))
	}
	want := spec.Connection{
		Provider: "strava", Origin: at("strava.yaml", 1, 11), File: "production/strava.yaml",
		App: spec.Field[string]{Presence: spec.Given, Value: "own", Origin: at("strava.yaml", 2, 6)},
		Credentials: spec.Credentials{
			Present: true, Origin: at("strava.yaml", 4, 3),
			ClientID: spec.Field[string]{Presence: spec.Given, Value: "0123", Origin: at("strava.yaml", 4, 14)},
			Keys: []spec.Key{
				{Unknown: true, Origin: at("strava.yaml", 6, 7)},
				{
					Issued:    time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC),
					NotBefore: time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC),
					Secret:    spec.Secret{Armor: armor, Origin: at("strava.yaml", 9, 22)}, Origin: at("strava.yaml", 7, 7),
				},
			},
			RedirectURL:        spec.Field[string]{Presence: spec.Null, Origin: at("strava.yaml", 13, 17)},
			VerificationSecret: spec.Field[spec.Secret]{Presence: spec.Null, Origin: at("strava.yaml", 14, 24)},
		},
		Scopes:   spec.Field[[]string]{Presence: spec.Given, Value: []string{"activity:read_all"}, Origin: at("strava.yaml", 15, 9)},
		Domain:   spec.Field[string]{Presence: spec.Given, Value: "auth.acme.example", Origin: at("strava.yaml", 16, 9)},
		Rotation: spec.Rotation{MaxAge: 90 * 24 * time.Hour, Warn: 7 * 24 * time.Hour, Soak: 2 * time.Hour, MaxUserDrop: 20, Probe: "off", Origin: at("strava.yaml", 17, 11)},
		Setup: map[string]spec.SetupStep{"callback_domain": {
			Value: "access.tryterra.co", Done: time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC),
			Fields: map[string]string{"ticket": "77"}, Origin: at("strava.yaml", 19, 3),
		}},
		Policy: spec.ConnectionPolicy{
			Protect: spec.Field[bool]{Presence: spec.Given, Value: true, Origin: at("strava.yaml", 21, 12)}, Ignore: []string{"scopes"},
			Allow: []spec.Allow{{Change: "client_id", To: "123456", Until: until, Reason: "new app", Origin: at("strava.yaml", 23, 11)}},
		},
	}
	if diff := cmp.Diff(want, got[1]); diff != "" {
		t.Errorf("strava (-want +got):\n%s", diff)
	}
	if option := got[0].Options["regions"]; !cmp.Equal(option.Values, []string{"de", "gb"}) {
		t.Errorf("got regions %v, want de and gb", option.Values)
	}
	if step := got[0].Setup["activation"]; step.State != "requested" || step.Fields["ticket"] != "T-1" || !step.Done.IsZero() {
		t.Errorf("got activation %+v", step)
	}
	virtuagym := got[2]
	if virtuagym.State != spec.Paused || virtuagym.Credentials.ClientID.Value != "acme" || len(virtuagym.Credentials.Keys) != 1 || virtuagym.Credentials.Keys[0].Secret.Armor != armor {
		t.Errorf("got virtuagym %+v", virtuagym)
	}
}

func checkStaging(t *testing.T, got []spec.Connection) {
	t.Helper()
	if len(got) != 2 || got[0].Provider != "huawei" || got[1].Provider != "samsung" {
		t.Fatalf("got %+v, want huawei and samsung", got)
	}
	huawei, samsung := got[0].Credentials, got[1]
	if huawei.ClientID.Value != "104857600" || len(huawei.Keys) != 1 || !huawei.RedirectURL.Given() || !huawei.Sandbox.Given() || huawei.Sandbox.Value {
		t.Errorf("got huawei %+v", huawei)
	}
	if samsung.State != spec.Disabled || samsung.Credentials.Present || !cmp.Equal(samsung.Options["sdk_version"].Values, []string{"2.1"}) {
		t.Errorf("got samsung %+v", samsung)
	}
	if samsung.Suspend == nil || samsung.Suspend.Reason != "waiting for the partner" {
		t.Errorf("got suspend %+v", samsung.Suspend)
	}
}
