package providers

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"github.com/terra-reconcile/terra-reconcile/secrets"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

const hex40 = "0123456789abcdef0123456789abcdef01234567"

func TestCheckSecretOfEveryProvider(t *testing.T) {
	jwt := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256","typ":"JWT"}`)) + ".e30.c2ln"
	refused := map[string]string{
		"empty": "", "space before": " " + hex40, "space after": hex40 + " ", "no-break space": hex40 + "\u00a0",
		"zero-width space": "\u200b" + hex40, "byte order mark": "\ufeff" + hex40, "line break": hex40 + "\n",
		"two lines": hex40 + "\n" + hex40, "tab inside": hex40 + "\t" + hex40, "invalid text": hex40 + "\xff",
		"double quotes": `"` + hex40 + `"`, "single quote": hex40 + "'", "curly quotes": "“" + hex40 + "”",
		"back quotes": "`" + hex40 + "`", "angle brackets": "<" + hex40 + ">", "one bracket": hex40 + ">",
		"bearer header": "Bearer " + hex40, "basic header": "Basic " + hex40, "access token": jwt,
		"Terra admin token": "terra_at_" + hex40, "Terra data token": "terra_dt_" + hex40, "Terra session": "terra_st_" + hex40,
		"answer of a sign-in": `{"token_type":"Bearer","access_token":"` + hex40 + `"}`, "refresh token": "refresh_token=" + hex40,
		"name and colon": "Client_Secret: " + hex40, "name and equals sign": "secret=" + hex40, "name of a portal": "Client Secret : " + hex40,
		"name in JSON": `CLIENT_SECRET": ` + hex40, "another name": "API-KEY=" + hex40, "short name": "key:" + hex40, "name of another field": "client_id = " + hex40,
		"age identity": "AGE-SECRET-KEY-1" + hex40, "age file": "-----BEGIN AGE ENCRYPTED FILE-----",
	}
	ps := append(All(), madeUp())
	for _, p := range ps {
		if len(p.Fields) == 0 {
			continue
		}
		for name, text := range refused {
			for _, field := range []string{ClientSecret, "verification_secret"} {
				found := p.CheckSecret(field, secrets.NewValue([]byte(text)))
				if len(found) != 1 || found[0].Severity != spec.Error {
					t.Errorf("%s, %s, %s: %d findings, want one error", p.Slug, field, name, len(found))
				}
				for _, f := range found {
					keepsQuiet(t, f, text)
				}
			}
		}
	}
	t.Logf("COUNT pasted_mistakes=%d", len(refused))
}

// keepsQuiet refuses a finding that repeats a piece of what was checked.
func keepsQuiet(t *testing.T, f Finding, text string) {
	t.Helper()
	for i := 0; i+12 <= len(text); i++ {
		if piece := text[i : i+12]; strings.Contains(f.Message+f.Hint, piece) {
			t.Fatalf("a finding on %s holds a piece of the value", f.Field)
		}
	}
	if f.Message == "" || f.Hint == "" {
		t.Errorf("a finding on %s without message or next step", f.Field)
	}
}

func TestCheckValues(t *testing.T) {
	const clubSecret = "CS-12345-ACCESS-AbCdEfGhIjKlMnOpQrStUvWxY"
	tests := []struct {
		slug, field, text string
		want              string // "" for none, else its severity and a piece
	}{
		{"strava", ClientID, "123456", ""},
		{"strava", ClientID, "12345a", "error: digits only"},
		{"strava", ClientID, "<123456>", "error: angle bracket"},
		{"strava", ClientID, "Bearer 1", "error: digits only"},
		{"strava", ClientSecret, hex40, ""},
		{"strava", ClientSecret, strings.ToUpper(hex40), "warning: 40 characters"},
		{"strava", "verification_secret", "short", ""},
		{"strava", "verification_secret", "secret==", ""},
		{"strava", "verification_secret", "c2VjcmV0a2V5=", ""},
		{"strava", "verification_secret", "monkey:" + hex40, ""},
		{"strava", "verification_secret", "keys/" + hex40 + "=", ""},
		{"virtuagym", ClientID, "my gym", ""},
		{"virtuagym", "portal_name", " my gym", "error: portal_name begins or ends"},
		{"virtuagym", "api_key", clubSecret, "error: api_key is a club secret"},
		{"virtuagym", ClientSecret, clubSecret, "error: client_secret (api_key) is a club secret"},
		{"virtuagym", ClientSecret, strings.Repeat("aZ9", 14), ""},
		{"virtuagym", ClientSecret, "short", "warning: 42 letters"},
		{"huawei", ClientID, "104512345", ""},
		{"huawei", ClientID, strings.Repeat("1", 64), ""},
		{"huawei", ClientID, strings.Repeat("1", 65), "error: 1 to 64 digits"},
		{"huawei", ClientID, "10451234x", "error: 1 to 64 digits"},
		{"whoop", ClientID, "0a1b2c3d-0000-4000-8000-0123456789ab", ""},
		{"whoop", ClientID, "123456", "warning: usually"},
		{"dexcom", ClientSecret, "AbCdEfGh01234567", ""},
		{"dexcom_eu", ClientSecret, "AbCdEfGh", "warning: 16 letters"},
		{"withings", ClientID, "abc", "warning: 64 characters"},
		{"fitbit", ClientID, "abc", "warning: 6 capital"},
		{"oura", ClientSecret, "a.b.c", ""},
		{"oura", ClientSecret, "abc def", "warning: a space, a quote or an angle bracket"},
		{"polar", ClientID, "abc def", "warning: client_id holds a space, a quote or an angle bracket"},
		{"polar", ClientID, "abc<def", "warning: client_id holds a space, a quote or an angle bracket"},
		{"virtuagym", "portal_name", "my <gym", "warning: portal_name holds a space, a quote or an angle bracket"},
		{"virtuagym", "api_key", "aZ9 " + strings.Repeat("aZ9", 13), "warning: 42 letters"},
		{"polar", ClientID, "\u0410BC-12345", "warning: client_id holds a letter or sign that no provider issues"},
		{"polar", ClientID, "\uff11\uff12\uff13", "warning: a letter or sign"},
		{"polar", ClientID, "ab\u2013cd", "warning: a letter or sign"},
		{"polar", ClientID, "ab\u00a0cd", "warning: a letter or sign"},
		{"polar", ClientID, "ab\u200bcd", "warning: a letter or sign"},
		{"polar", ClientID, "1234\u2026", "warning: a letter or sign"},
		{"oura", ClientSecret, "ab\u2019cd", "error: a letter or sign"},
		{"polar", ClientSecret, "ENC[AES256_GCM,data:Tr7o1E==,iv:1AAA=,tag:kBBB=,type:str]", "error: sealed by SOPS"},
		{"polar", ClientSecret, "${POLAR_SECRET}", "error: names a place"},
		{"polar", ClientSecret, "{{ polar_secret }}", "error: names a place"},
		{"polar", "verification_secret", "op://prod/polar/secret", "error: names a place"},
		{"polar", ClientSecret, "$ANSIBLE_VAULT;1.1;AES256", "error: sealed by Ansible Vault"},
		{"huawei", ClientSecret, "abc>def", "warning: a space, a quote or an angle bracket"},
	}
	for _, test := range tests {
		p, _ := Lookup(test.slug)
		found := p.check(test.field, test.text)
		if got := told(found); !agrees(got, test.want) {
			t.Errorf("%s %s: got %q, want %q", test.slug, test.field, got, test.want)
		}
		if test.field == ClientID {
			if got := p.CheckClientID(test.text); len(got) != len(found) {
				t.Errorf("%s: CheckClientID finds %d, want %d", test.slug, len(got), len(found))
			}
		}
	}
}

// told writes findings as "severity: message; …".
func told(found []Finding) string {
	texts := make([]string, len(found))
	for i, f := range found {
		severity := "error: "
		if f.Severity == spec.Warning {
			severity = "warning: "
		}
		texts[i] = severity + f.Message
	}
	return strings.Join(texts, "; ")
}

// agrees compares with "severity: piece", or with "" for nothing at all.
func agrees(got, want string) bool {
	if want == "" {
		return got == ""
	}
	severity, piece, _ := strings.Cut(want, ": ")
	return strings.HasPrefix(got, severity+": ") && strings.Contains(got, piece)
}

func given[T any](v T) spec.Field[T] {
	return spec.Field[T]{Presence: spec.Given, Value: v, Origin: spec.Origin{File: "c.yaml", Line: 3, Column: 5}}
}

func TestCheckConnection(t *testing.T) {
	keys := spec.Credentials{Present: true, ClientID: given("123456"), Origin: spec.Origin{File: "c.yaml", Line: 2, Column: 1}}
	redirected := func(address string) spec.Credentials {
		c := keys
		c.RedirectURL = given(address)
		return c
	}
	option := func(name string, values ...string) map[string]spec.Option {
		return map[string]spec.Option{name: {Values: values, Origin: spec.Origin{File: "c.yaml", Line: 9, Column: 3}}}
	}
	tests := []struct {
		name, slug string
		c          spec.Connection
		want       string
	}{
		{"plain", "strava", spec.Connection{Credentials: keys}, ""},
		{"bad id", "strava", spec.Connection{Credentials: spec.Credentials{Present: true, ClientID: given("x")}}, "error: digits only"},
		{"keys for Samsung", "samsung", spec.Connection{Credentials: keys}, "error: Samsung Health has no credentials"},
		{"own app for Apple", "apple_health", spec.Connection{App: given("own")}, "error: no app of one's own"},
		{"Terra's app for Strava", "strava", spec.Connection{App: given("terra")}, "warning: Terra has none to lend"},
		{"Terra's app for Polar", "polar", spec.Connection{App: given("terra")}, ""},
		{"redirect on Terra", "huawei", spec.Connection{Credentials: redirected("https://access.tryterra.co/api/v2/auth/huawei/oauth2")}, ""},
		{"redirect elsewhere", "huawei", spec.Connection{Credentials: redirected("https://auth.acme.example/auth")}, "warning: cannot have a custom domain"},
		{"redirect almost on Terra", "huawei", spec.Connection{Credentials: redirected("https://eviltryterra.co/")}, "warning: cannot have a custom domain"},
		{"redirect in plain", "strava", spec.Connection{Credentials: redirected("http://auth.acme.example/auth/strava")}, "warning: not an https address"},
		{"custom redirect", "strava", spec.Connection{Domain: given("auth.acme.example"), Credentials: redirected("https://auth.acme.example/auth/strava")}, ""},
		{"redirect and domain", "strava", spec.Connection{Domain: given("a.acme.example"), Credentials: redirected("https://b.acme.example/auth/strava")}, "warning: another host"},
		{"redirect path", "strava", spec.Connection{Credentials: redirected("https://auth.acme.example/auth/garmin")}, "warning: path of redirect_url"},
		{"Fitbit", "fitbit", spec.Connection{}, "warning: ended on 2026-11-02"},
		{"Fitbit paused", "fitbit", spec.Connection{State: spec.Paused}, "warning: ended on 2026-11-02"},
		{"Fitbit disabled", "fitbit", spec.Connection{State: spec.Disabled}, ""},
		{"Garmin", "garmin", spec.Connection{}, "warning: OAuth 1 at Garmin ends on 2026-12-31"},
		{"webhooks without redirect", "garmin", spec.Connection{Webhooks: true, Domain: given("g.acme.example"), Credentials: spec.Credentials{Present: true}, Setup: setup{"oauth2_app": {Done: on(1)}}},
			"warning: `webhooks: managed` needs the redirect on a domain of yours"},
		{"webhooks on Terra's host", "garmin", spec.Connection{Webhooks: true, Credentials: redirected("https://access.tryterra.co/x"), Setup: setup{"oauth2_app": {Done: on(1)}}}, "warning: `webhooks: managed` needs"},
		{"webhooks on an own domain", "garmin", spec.Connection{Webhooks: true, Domain: given("g.acme.example"), Credentials: redirected("https://g.acme.example/auth/garmin/oauth2"), Setup: setup{"oauth2_app": {Done: on(1)}}}, ""},
		{"webhooks beside keys set elsewhere", "garmin", spec.Connection{Webhooks: true, Setup: setup{"oauth2_app": {Done: on(1)}}}, ""},
		{"regions", "freestylelibre", spec.Connection{Options: option("regions", "de", "GB")}, ""},
		{"region in words", "freestylelibre", spec.Connection{Options: option("regions", "Germany")}, "error: not a two-letter country code"},
		{"route", "samsung", spec.Connection{Options: option("route", "direct")}, ""},
		{"unknown route", "samsung", spec.Connection{Options: option("route", "cloud")}, `error: route "cloud" is not known`},
		{"two routes", "samsung", spec.Connection{Options: option("route", "direct", "health_connect")}, "error: takes one value"},
		{"framework", "samsung", spec.Connection{Options: option("framework", "react-native")}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p, ok := Lookup(test.slug)
			if !ok {
				t.Fatal("not in the catalogue")
			}
			found := p.Check(test.c, Seen{Now: on(1).AddDate(0, 3, 22)})
			if got := told(found); !agrees(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
			for _, f := range found {
				if f.Field == "" || f.Hint == "" {
					t.Errorf("finding without field or next step: %+v", f)
				}
				if f.Field != "provider" && f.Origin.Line == 0 && f.Severity == spec.Error {
					t.Errorf("error without a position: %+v", f)
				}
			}
		})
	}
}

func TestCheckSetupAgainstThePortal(t *testing.T) {
	value := func(step, text string) map[string]spec.SetupStep {
		return map[string]spec.SetupStep{step: {Value: text, Origin: spec.Origin{File: "c.yaml", Line: 7, Column: 3}}}
	}
	const (
		onNew = "https://access.tryterra.co/api/v2/auth/huawei/oauth2"
		onOld = "https://api.tryterra.co/v2/auth/huawei/oauth2"
	)
	tests := []struct {
		name, slug, live string
		c                spec.Connection
		want             string
	}{
		{"either host without the live one", "strava", "", spec.Connection{Setup: value("callback_domain", "api.tryterra.co")}, ""},
		{"live host", "strava", "https://api.tryterra.co/v2/auth/strava", spec.Connection{Setup: value("callback_domain", "api.tryterra.co")}, ""},
		{"other than live", "strava", "https://api.tryterra.co/v2/auth/strava", spec.Connection{Setup: value("callback_domain", "access.tryterra.co")}, "warning: must have api.tryterra.co"},
		{"neither host", "strava", "", spec.Connection{Setup: value("callback_domain", "acme.example")}, "warning: must have access.tryterra.co or api.tryterra.co"},
		{"custom domain", "strava", "", spec.Connection{Domain: given("auth.acme.example"), Setup: value("callback_domain", "auth.acme.example")}, ""},
		{"own redirect", "strava", "https://access.tryterra.co/x", spec.Connection{Setup: value("callback_domain", "access.tryterra.co"),
			Credentials: spec.Credentials{RedirectURL: given("https://auth.acme.example/auth/strava")}}, "warning: must have auth.acme.example"},
		{"new redirect", "huawei", "", spec.Connection{Setup: value("redirect_url", onNew)}, ""},
		{"old redirect", "huawei", "", spec.Connection{Setup: value("redirect_url", onOld)}, ""},
		{"redirect other than live", "huawei", onNew, spec.Connection{Setup: value("redirect_url", onOld)}, "warning: must have " + onNew},
		{"slash at the end", "huawei", "", spec.Connection{Setup: value("url_allowlist", onNew+"/")}, "warning: must have " + onNew + " or " + onOld},
		{"cannot tell", "whoop", "", spec.Connection{Setup: value("redirect_url", "https://x.example/")}, ""},
		{"WHOOP domain", "whoop", "", spec.Connection{Domain: given("w.acme.example"), Setup: value("redirect_url", "https://x.example/")}, "warning: must have https://w.acme.example/auth/whoop/oauth2"},
		{"WHOOP webhook", "whoop", "", spec.Connection{Domain: given("w.acme.example"), Setup: value("webhook", "https://w.acme.example/hooks/whoop/push")}, ""},
		{"WHOOP webhook of a shared domain", "whoop", "", spec.Connection{Domain: given("w.acme.example"), Credentials: spec.Credentials{ClientID: given("0a1b2c3d-0000-4000-8000-0123456789ab")},
			Setup: value("webhook", "https://w.acme.example/hooks/whoop/push/0a1b2c3d-0000-4000-8000-0123456789ab")}, ""},
		{"WHOOP webhook of another app", "whoop", "", spec.Connection{Domain: given("w.acme.example"), Credentials: spec.Credentials{ClientID: given("0a1b2c3d-0000-4000-8000-0123456789ab")},
			Setup: value("webhook", "https://w.acme.example/hooks/whoop/push/x")}, "warning: must have https://w.acme.example/hooks/whoop/push or https://w.acme.example/hooks/whoop/push/0a1b2c3d-0000-4000-8000-0123456789ab"},
		{"Huawei callback of May 2025", "huawei", onNew, spec.Connection{Setup: value("callback_address", "https://api.tryterra.co/v2/hooks/huawei/healthkit/notifications")}, ""},
		{"Huawei callback of the newer host", "huawei", onNew, spec.Connection{Setup: value("callback_address", "https://access.tryterra.co/api/v2/hooks/huawei/healthkit/notifications")}, ""},
		{"Huawei callback elsewhere", "huawei", "", spec.Connection{Setup: value("callback_address", onNew)}, "warning: must have https://access.tryterra.co/api/v2/hooks/huawei/healthkit/notifications or https://api.tryterra.co/v2/hooks/huawei/healthkit/notifications"},
		{"unknown step", "strava", "", spec.Connection{Setup: value("nope", "x")}, ""},
		{"free value", "huawei", "", spec.Connection{Setup: value("app_access_url", "https://acme.example")}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p, _ := Lookup(test.slug)
			if got := told(p.Check(test.c, Seen{Now: on(1), AuthRedirectURL: test.live})); !agrees(got, test.want) || strings.Contains(got, ";") {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// A scope that looks right and is not is told of by its letters.
func TestCheckScopes(t *testing.T) {
	p, _ := Lookup("polar")
	for scope, want := range map[string]string{
		"accesslink.read_all": "", "accesslink.read_\u0430ll": "warning: a scope holds a letter", "accesslink.read_all\u200b": "warning: a scope holds a letter",
	} {
		c := spec.Connection{Scopes: given([]string{"a", scope})}
		if got := told(slices.DeleteFunc(p.Check(c, Seen{Now: on(1)}), func(f Finding) bool { return f.Field != "scopes" })); !agrees(got, want) {
			t.Errorf("%q: got %q, want %q", scope, got, want)
		}
	}
}
