package emulator

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
)

var huaweiID = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9]{1,64}$`) })

// question is an address at which a provider can be asked about a pair without
// an end user. Its answers are those that the provider is known to give; where
// none is known for a case, the answer is one that a client cannot know either.
type question struct {
	provider     string
	method       string
	host, path   string
	query, basic bool // where the pair travels; neither: in a form
	answer       func(asked) answer
}

// asked is a question that reached a provider.
type asked struct {
	form       url.Values
	id, secret string
	good       bool // the provider accepts the pair
	idKnown    bool // it knows an app of that id
	accepts    func(id string, proves func(secret string) bool) bool
}

func questions() []question {
	const strava = "www.strava.com"
	return []question{
		{provider: "strava", method: http.MethodPost, host: strava, path: "/api/v3/oauth/token", answer: stravaToken},
		{provider: "strava", method: http.MethodPost, host: strava, path: "/oauth/token", answer: stravaToken},
		{provider: "strava", method: http.MethodGet, host: strava, path: "/api/v3/push_subscriptions", query: true, answer: stravaSubscriptions},
		{provider: "huawei", method: http.MethodPost, host: "oauth-login.cloud.huawei.com", path: "/oauth2/v3/token", answer: huaweiToken},
		{provider: "whoop", method: http.MethodPost, host: "api.prod.whoop.com", path: "/oauth/oauth2/token", answer: oauthToken},
		{provider: "oura", method: http.MethodPost, host: "api.ouraring.com", path: "/oauth/token", answer: oauthToken},
		{provider: "polar", method: http.MethodGet, host: "www.polaraccesslink.com", path: "/v3/webhooks", basic: true, answer: polarWebhooks},
		{provider: "withings", method: http.MethodPost, host: "wbsapi.withings.net", path: "/v2/signature", answer: withingsNonce},
		{provider: "withings", method: http.MethodPost, host: "wbsapi.withings.net", path: "/v2/oauth2", answer: withingsToken},
	}
}

// ask answers for the provider, under the lock.
func (s *Server) ask(q question, form url.Values, id, secret string) answer {
	p, ok := s.account.Pairs[q.provider]
	switch {
	case !ok:
		return plain(http.StatusNotFound)
	case p.Unreachable:
		return plain(http.StatusServiceUnavailable)
	case p.QuotaUsed:
		return plain(http.StatusTooManyRequests)
	}
	now := s.now()
	a := asked{form: form, id: id, secret: secret, good: id != "" && secret != "" && !p.refuses(id, secret, now)}
	a.idKnown = len(p.Accepted) == 0 || slices.ContainsFunc(p.Accepted, func(known pair) bool { return known.ClientID == id })
	a.accepts = func(id string, proves func(string) bool) bool {
		return slices.ContainsFunc(p.Accepted, func(known pair) bool {
			return known.ClientID == id && !p.refuses(id, known.Secret, now) && proves(known.Secret)
		})
	}
	return q.answer(a)
}

// pairIn finds the form and the pair of a question. A form of another type than
// a form is no form.
func (q question) pairIn(r *http.Request, body []byte) (form url.Values, id, secret string) {
	if q.basic {
		id, secret, _ = r.BasicAuth()
		return nil, id, secret
	}
	form = url.Values{}
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err == nil && media == "application/x-www-form-urlencoded" {
		if parsed, err := url.ParseQuery(string(body)); err == nil {
			form = parsed
		}
	}
	if q.query {
		form = r.URL.Query()
	}
	return form, form.Get("client_id"), form.Get("client_secret")
}

func stravaError(status int, message, resource, field string) answer {
	type detail struct {
		Resource string `json:"resource"`
		Field    string `json:"field"`
		Code     string `json:"code"`
	}
	return reply(status, struct {
		Message string   `json:"message"`
		Errors  []detail `json:"errors"`
	}{message, []detail{{resource, field, "invalid"}}})
}

// stravaApp is the refusal of an app that Strava does not accept.
func stravaApp(a asked) (answer, bool) {
	switch {
	case !a.idKnown:
		return stravaError(http.StatusBadRequest, "Bad Request", "Application", "client_id"), true
	case !a.good:
		return stravaError(http.StatusUnauthorized, "Authorization Error", "Application", ""), true
	}
	return answer{}, false
}

func stravaToken(a asked) answer {
	if refused, ok := stravaApp(a); ok {
		return refused
	}
	if a.form.Get("grant_type") != "authorization_code" {
		return stravaError(http.StatusBadRequest, "Bad Request", "OAuth", "grant_type")
	}
	return stravaError(http.StatusBadRequest, "Bad Request", "AuthorizationCode", "code")
}

func stravaSubscriptions(a asked) answer {
	if refused, ok := stravaApp(a); ok {
		return refused
	}
	return reply(http.StatusOK, []struct{}{})
}

func huaweiToken(a asked) answer {
	type refusal struct {
		Error       int    `json:"error"`
		SubError    int    `json:"sub_error"`
		Description string `json:"error_description"`
	}
	no := func(sub int, text string) answer { return reply(http.StatusBadRequest, refusal{1101, sub, text}) }
	switch {
	case a.form.Get("grant_type") != "client_credentials":
		return reply(http.StatusBadRequest, refusal{Error: 1101, Description: "invalid request"})
	case !huaweiID().MatchString(a.id):
		return no(20002, "invalid client_id")
	case a.secret == "":
		return no(20171, "client_secret is missing")
	case !a.idKnown:
		return no(20003, "client_id not found")
	case !a.good:
		return no(12304, "invalid client_secret")
	}
	return reply(http.StatusOK, struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   int    `json:"expires_in"`
		TokenType   string `json:"token_type"`
	}{"emulated-app-token", 3600, "Bearer"})
}

// oauthToken is a token endpoint of RFC 6749, to which every code and every
// refresh token is a made-up one.
func oauthToken(a asked) answer {
	type refusal struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	grant := a.form.Get("grant_type")
	switch {
	case !a.good:
		return reply(http.StatusUnauthorized, refusal{"invalid_client", "Client authentication failed (e.g., unknown client)."})
	case grant == "authorization_code" && a.form.Get("code") != "", grant == "refresh_token" && a.form.Get("refresh_token") != "":
		return reply(http.StatusBadRequest, refusal{"invalid_grant", "The provided authorization grant is invalid, expired, revoked or does not match."})
	}
	return reply(http.StatusBadRequest, refusal{"invalid_request", "The request is missing a required parameter."})
}

func polarWebhooks(a asked) answer {
	if !a.good {
		return plain(http.StatusUnauthorized)
	}
	return reply(http.StatusOK, struct {
		Data []struct{} `json:"data"`
	}{[]struct{}{}})
}

type withingsAnswer struct {
	Status int             `json:"status"`
	Body   json.RawMessage `json:"body"`
}

// withingsNonce wants a signature by the secret, not the secret.
func withingsNonce(a asked) answer {
	signed := func(secret string) bool {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte(strings.Join([]string{"getnonce", a.id, a.form.Get("timestamp")}, ",")))
		given, err := hex.DecodeString(a.form.Get("signature"))
		return err == nil && hmac.Equal(given, mac.Sum(nil))
	}
	if a.form.Get("action") != "getnonce" || !a.accepts(a.id, signed) {
		return reply(http.StatusOK, withingsAnswer{503, json.RawMessage(`{}`)})
	}
	return reply(http.StatusOK, withingsAnswer{0, json.RawMessage(`{"nonce":"emulated-nonce"}`)})
}

// withingsToken answers a wrong pair and a wrong code alike.
func withingsToken(asked) answer {
	return reply(http.StatusOK, withingsAnswer{503, json.RawMessage(`{}`)})
}
