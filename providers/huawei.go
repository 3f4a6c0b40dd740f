package providers

import (
	"time"

	"github.com/terra-reconcile/terra-reconcile/spec"
)

// huawei: docs.tryterra.co "Dedicated data source API keys", "How do I set up
// Huawei?" (addresses) and "Provider portal webhook registration";
// developer.huawei.com "Application process" and "Verification" (working days,
// 100 users), account-server-error-code (client id, sub-errors),
// android-server-dev (client_credentials, token life, flow control); Huawei's
// HMS Core FAQ of December 2022 (individual developers);
// docs.gitguardian.com huawei_open_platform_keys (a secret can be changed); Terra's llms.txt
// of May 2025 (App access URL and callback address on the older host).
func huawei() Provider {
	return Provider{
		Slug: "huawei", Name: "Huawei Health Kit", Enum: "HUAWEI",
		Keys:   KeysRequired,
		Why:    "Huawei approves each company's own use of Health Kit; without own keys the sign-in of users fails.",
		Portal: "https://developer.huawei.com",
		Fields: []Field{
			{Name: ClientID, Label: "OAuth 2.0 Client ID", Sample: "104512345", Rules: []Rule{
				{Match: made(digits, 1, 64), Severity: spec.Error, Says: "is 1 to 64 digits", Hint: "copy the client ID of the OAuth 2.0 client from the Huawei console"},
			}},
			{Name: ClientSecret, Label: "OAuth 2.0 Client Secret"},
		},
		Redirect:      "https://{api}/v2/auth/huawei/oauth2",
		Webhook:       "https://{api}/v2/hooks/huawei/healthkit/notifications",
		Steps:         huaweiSteps(),
		TokenLifetime: time.Hour,
		Quotas:        []string{"Tokens of the app itself are limited to 1,000 in a window: prove a pair rarely"},
		Reset: Reset{
			Effect: "The secret can be changed in the developer console. An overlap of old and new is not documented: assume none.",
			Order:  ResetFirst,
		},
		Probe: &Probe{
			Method: "POST", URL: "https://oauth-login.cloud.huawei.com/oauth2/v3/token",
			Form: []Pair{
				{"grant_type", "client_credentials"},
				{"client_id", "{client_id}"}, {"client_secret", "{client_secret}"},
			},
			Asks:   "ask for a token of the app itself (client_credentials)",
			Proves: "client id and secret belong together",
			Limits: "Health Kit scopes, the callback address and the user limit are not proved. The token is thrown away unread.",
			Judge:  judgeHuawei,
		},
	}
}

// huaweiOlder is the host of the addresses in Terra's text of May 2025.
const huaweiOlder = "https://api.tryterra.co"

func huaweiSteps() []Step {
	return []Step{
		{Name: "huawei_id", Do: "Create a Huawei ID and register it as a developer account.", OwnApp: true,
			Link:     "https://developer.huawei.com/consumer/en/doc/start/registration-and-verification-0000001053628148",
			Evidence: []Evidence{done()}},
		{Name: "identity_verification", Do: "Verify your identity: a business by DUNS number or by business licence, an individual by personal documents. An individual gets basic data only and can never lift the limit of 100 users.", OwnApp: true, By: "Huawei",
			Evidence: []Evidence{done(), {Name: "as", Values: []string{"business-duns", "business-licence", "individual"}, Says: "how you were verified: business-duns, business-licence or individual", Sample: "business-duns"}}},
		{Name: "huawei_id_service", Do: "Create an app of the type Server app and apply for the HUAWEI ID service for it. This is separate from the registration.", OwnApp: true,
			By: "Huawei", Takes: "about 3 working days", Evidence: []Evidence{done()}},
		{Name: "health_kit_access", Do: "Apply for Health Kit (Health Service Kit) access with every read scope you need.", OwnApp: true,
			By: "Huawei", Takes: "about 15 working days", Evidence: []Evidence{done()}},
		{Name: "redirect_url", Do: "Use {redirect} as callback URL of the OAuth 2.0 client. It must equal the redirect URL that Terra holds for Huawei, to the letter.", OwnApp: true,
			Evidence: []Evidence{{Name: "value", Want: "{redirect}", Says: "the address that stands in the console", Sample: "https://access.tryterra.co/api/v2/auth/huawei/oauth2"}}},
		{Name: "app_access_url", Do: "Give " + huaweiOlder + "/ as App access URL of the application form: that is Terra's text of May 2025. For a dev-id on the newer host https://access.tryterra.co/ stands beside it, which no text confirms.", OwnApp: true,
			Evidence: []Evidence{{Name: "value", Says: "the address you gave", Sample: huaweiOlder + "/"}}},
		{Name: "url_allowlist", Do: "Add {redirect} to the URL allowlist as well.", OwnApp: true,
			Evidence: []Evidence{{Name: "value", Want: "{redirect}", Says: "the address that stands in the allowlist", Sample: "https://access.tryterra.co/api/v2/auth/huawei/oauth2"}}},
		{Name: "callback_address", Do: "Under Health Service Kit, give {webhook} as HTTP subscription callback address. Terra's text of May 2025 has " + huaweiOlder + "/v2/hooks/huawei/healthkit/notifications for every dev-id, its page on webhooks https://access.tryterra.co/api/v2/hooks/huawei/healthkit/notifications : ask Terra support where no data arrives.", OwnApp: true,
			Evidence: []Evidence{{Name: "value", Want: "{webhook}", Or: huaweiOlder + "/v2/hooks/huawei/healthkit/notifications", Says: "the address that stands in the console", Sample: "https://access.tryterra.co/api/v2/hooks/huawei/healthkit/notifications"}}},
		{Name: "user_limit", Do: "Until Huawei has verified the app, 100 users can connect. Apply for verification before you reach them; it takes effect within 24 hours of the approval.", OwnApp: true,
			Takes: "about 15 working days", Evidence: []Evidence{done()}, Proof: Advice},
	}
}

// judgeHuawei reads the sub-error of Huawei's token endpoint, as listed in
// account-server-error-code of developer.huawei.com. 503 is flow control.
func judgeHuawei(a Answer) ProbeResult {
	var body struct {
		AccessToken string `json:"access_token"`
		SubError    code   `json:"sub_error"`
	}
	if !a.decode(&body) {
		return a.unclear()
	}
	if a.Status == 200 && body.AccessToken != "" {
		return good("Huawei issued a token of the app itself")
	}
	if a.Status != 400 {
		return a.unclear()
	}
	switch body.SubError {
	case "12304":
		return bad("Huawei does not accept this client secret (sub-error 12304)")
	case "20002":
		return bad("Huawei says that the client id is malformed (sub-error 20002)")
	case "20003":
		return bad("Huawei does not know this client id (sub-error 20003)")
	case "20171":
		return bad("Huawei sees no client secret (sub-error 20171)")
	case "20172":
		return bad("Huawei says that the client secret is malformed (sub-error 20172)")
	}
	return a.unclear()
}
