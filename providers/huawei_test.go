package providers

import (
	"slices"
	"strings"
	"testing"

	"github.com/terra-reconcile/terra-reconcile/spec"
)

// huaweiAnswers are the token, each documented sub-error, and their neighbours.
func huaweiAnswers() []replay {
	const token = `{"access_token":"CQBA","expires_in":3600,"token_type":"Bearer"}`
	sub := func(n string) string {
		return `{"error":1101,"sub_error":` + n + `,"error_description":"invalid client_secret"}`
	}
	return []replay{
		{"huawei", 200, token, Good}, {"huawei", 200, `{}`, Unknown}, {"huawei", 200, sub("12304"), Unknown},
		{"huawei", 400, sub("12304"), Bad}, {"huawei", 400, sub(`"12304"`), Bad},
		{"huawei", 400, sub("20002"), Bad}, {"huawei", 400, sub("20003"), Bad},
		{"huawei", 400, sub("20171"), Bad}, {"huawei", 400, sub("20172"), Bad},
		{"huawei", 400, sub("99999"), Unknown}, {"huawei", 400, `{"error":1101}`, Unknown},
		{"huawei", 401, sub("12304"), Unknown}, {"huawei", 400, `{"sub_error":null}`, Unknown},
		{"huawei", 503, sub("12304"), Unknown}, {"huawei", 400, token, Unknown},
	}
}

func TestHuaweiSaysWhichHalfIsWrong(t *testing.T) {
	for sub, want := range map[string]string{
		"12304": "does not accept this client secret", "20002": "the client id is malformed", "20003": "does not know this client id",
		"20171": "sees no client secret", "20172": "the client secret is malformed",
	} {
		got := judgeHuawei(Answer{Status: 400, Body: []byte(`{"error":1101,"sub_error":` + sub + `}`)})
		if !strings.Contains(got.Reason, want) || !strings.Contains(got.Reason, sub) {
			t.Errorf("%s: %q, want %q", sub, got.Reason, want)
		}
	}
}

// TestHuaweiStepsHaveEvidence holds the order of the steps, and that each one
// that is not mere advice asks for evidence.
func TestHuaweiStepsHaveEvidence(t *testing.T) {
	want := []string{
		"huawei_id", "identity_verification", "huawei_id_service", "health_kit_access", "redirect_url", "app_access_url",
		"url_allowlist", "callback_address", "user_limit",
	}
	p := huawei()
	var got []string
	for _, s := range p.Steps {
		got = append(got, s.Name)
		if len(s.Evidence) == 0 {
			t.Errorf("%s has no evidence", s.Name)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("steps = %q, want %q", got, want)
	}
	c := spec.Connection{Credentials: spec.Credentials{Present: true}}
	for _, name := range want[:8] {
		if gates, _ := p.Prerequisites(c, Seen{Now: on(9)}, true); len(gates) == 0 || gates[0].Step != name {
			t.Fatalf("waits for %v, want %s first", gates, name)
		}
		if c.Setup == nil {
			c.Setup = setup{}
		}
		c.Setup[name] = spec.SetupStep{Done: on(1)}
	}
	if gates, warnings := p.Prerequisites(c, Seen{Now: on(9)}, true); len(gates)+len(warnings) != 0 {
		t.Errorf("all is recorded, yet %v %q", gates, warnings)
	}
}

func TestHuaweiTellsOfItsLimits(t *testing.T) {
	text := flat(huawei().Walkthrough(Values{}, nil))
	for _, want := range []string{
		"a business by DUNS number or by business licence, an individual by personal documents",
		"An individual gets basic data only and can never lift the limit of 100 users",
		"Until Huawei has verified the app, 100 users can connect", "about 3 working days", "about 15 working days",
		"redirect address https://access.tryterra.co/api/v2/auth/huawei/oauth2",
		"webhook address https://access.tryterra.co/api/v2/hooks/huawei/healthkit/notifications",
		"Give https://api.tryterra.co/ as App access URL", "https://api.tryterra.co/v2/hooks/huawei/healthkit/notifications for every dev-id",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the walk-through lacks %q", want)
		}
	}
}
