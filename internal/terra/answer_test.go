package terra

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestRequiredFields drops each member of each answer in turn, and sets it to
// null and to a wrong kind: what the contract requires is then a BadAnswerError
// that names the place, what it does not require is no error.
func TestRequiredFields(t *testing.T) {
	tried := 0
	for _, m := range readMethods() {
		var document any
		if err := json.Unmarshal([]byte(m.body), &document); err != nil {
			t.Fatal(err)
		}
		for _, place := range places(document, nil) {
			for _, change := range []string{"drop", "null", "wrong"} {
				body, err := json.Marshal(edit(document, place, change))
				if err != nil {
					t.Fatal(err)
				}
				err = m.call(t, newClient(t, always(200, mediaJSON, string(body))))
				name := fmt.Sprintf("%s: %s %s", m.name, change, strings.Join(place, "."))
				checkDamage(t, name, place[len(place)-1], change, err)
				tried++
			}
		}
	}
	if tried < 200 {
		t.Errorf("only %d damaged answers were tried", tried)
	}
}

func checkDamage(t *testing.T, name, field, change string, err error) {
	t.Helper()
	optional := []string{
		"customer_id", "dev_ids", "name", "created_via", "expires_at", "grant_anchor_at", "last_used_at", "label", "active", "billable",
		"api_key_masked", "signing_secret_masked", "user_limit", "reference_id", "created_at", "last_updated_at", "most_recent_data_at", "config",
	}
	nullable := []string{
		"next_cursor", "auth_redirect_url", "setup", "credential", "provider_client_secret_masked", "redirect_url", "oauth_version",
		"secret_ref", "client_secret_field", "client_id_field", "reason", "detail", "resolved_ip", "expires_at", "upload_type",
	}
	var bad *BadAnswerError
	isBad := errors.As(err, &bad)
	if isBad && !strings.Contains(bad.Reason, field) {
		t.Errorf("%s: the reason %q does not name the field", name, bad.Reason)
	}
	// One name can be required in one document and optional in another: those
	// must not go unnoticed as a zero value, which TestTypesMatchContract proves.
	both := []string{"name", "active", "expires_at"}
	switch {
	case slices.Contains(both, field):
	case field == "config" || change == "null" && (slices.Contains(nullable, field) || slices.Contains(optional, field)):
		if isBad {
			t.Errorf("%s: %v, want it accepted", name, err)
		}
	case change == "drop" && slices.Contains(optional, field):
		if isBad {
			t.Errorf("%s: %v, want it accepted", name, err)
		}
	case !isBad:
		t.Errorf("%s: %v, want a BadAnswerError", name, err)
	}
}

// places lists the paths of all members of all objects in a document.
func places(document any, at []string) [][]string {
	var all [][]string
	switch v := document.(type) {
	case map[string]any:
		for name, inner := range v {
			place := append(slices.Clone(at), name)
			all = append(all, place)
			all = append(all, places(inner, place)...)
		}
	case []any:
		for i, inner := range v {
			all = append(all, places(inner, append(slices.Clone(at), fmt.Sprint(i)))...)
		}
	}
	return all
}

// edit returns a copy of the document with one member changed.
func edit(document any, place []string, change string) any {
	switch v := document.(type) {
	case map[string]any:
		changed := map[string]any{}
		for name, inner := range v {
			switch {
			case name != place[0]:
				changed[name] = inner
			case len(place) > 1:
				changed[name] = edit(inner, place[1:], change)
			case change == "null":
				changed[name] = nil
			case change == "wrong":
				changed[name] = wrongKind(inner)
			}
		}
		return changed
	case []any:
		changed := slices.Clone(v)
		for i := range changed {
			if fmt.Sprint(i) == place[0] {
				changed[i] = edit(changed[i], place[1:], change)
			}
		}
		return changed
	default:
		return v
	}
}

func wrongKind(v any) any {
	if _, number := v.(float64); number {
		return "Canary-text"
	}
	return 12.5
}

// TestTwinFields says each field of each answer twice: nobody knows which was meant.
func TestTwinFields(t *testing.T) {
	tried := 0
	for _, m := range readMethods() {
		for _, field := range regexp.MustCompile(`"[a-z_]+":`).FindAllStringIndex(m.body, -1) {
			name := m.body[field[0]:field[1]]
			body := m.body[:field[0]] + name + `"Canary",` + m.body[field[0]:]
			err := m.call(t, newClient(t, always(200, mediaJSON, body)))
			var bad *BadAnswerError
			if name != `"config":` && name != `"preview":` && (!errors.As(err, &bad) || strings.Contains(bad.Reason, "Canary")) {
				t.Errorf("%s: %s twice: %v", m.name, name, err)
			}
			tried++
		}
	}
	twice := strings.Replace(sourceJSON, `"active":true`, `"active":true,"active":true`, 1)
	_, err := decode[Source](call{}, answer{status: 200, media: mediaJSON, body: []byte(twice)})
	if tried < 50 || err == nil || !strings.Contains(err.Error(), "active: there twice") {
		t.Errorf("%d tried; %v", tried, err)
	}
}

func TestUnusableAnswers(t *testing.T) {
	for name, test := range map[string]struct {
		answer *http.Response
		want   string
	}{
		"empty 200":     {reply(200, mediaJSON, ""), "empty"},
		"204":           {reply(204, "", ""), "want 200"},
		"201":           {reply(201, mediaJSON, meJSON), "want 200"},
		"206":           {reply(206, mediaJSON, meJSON), "want 200"},
		"HTML":          {reply(200, "text/html", meJSON), "not application/json"},
		"no type":       {reply(200, "", meJSON), "not application/json"},
		"broken":        {replyJSON(meJSON[:40]), "not JSON"},
		"two documents": {replyJSON(meJSON + meJSON), "not JSON"},
		"null":          {replyJSON("null"), "null, want an object"},
		"a list":        {replyJSON("[]"), "want an object"},
		"a text":        {replyJSON(`"Canary"`), "want an object"},
		"bad time":      {replyJSON(strings.Replace(meJSON, "2026-12-01T00:00:00Z", "Canary-soon", 1)), "expires_at"},
		"redirect":      {reply(302, "", "", "Location", "https://evil.example/Canary?x"), "a redirect, which is never followed (to evil.example)"},
		"same host":     {reply(308, "", "", "Location", "/elsewhere/Canary"), "a redirect, which is never followed: check the base URL"},
		"bad Location":  {reply(301, "", "", "Location", "::Canary"), "a redirect"},
		"too long":      {replyJSON(`{"x":"` + strings.Repeat("x", maxAnswer) + `"}`), "longer than 1 MiB"},
	} {
		server := inTurn(with(test.answer))
		v, err := newClient(t, server).Me(t.Context())
		var bad *BadAnswerError
		if !errors.As(err, &bad) || !strings.Contains(bad.Reason, test.want) {
			t.Errorf("%s: %v, want a BadAnswerError with %q", name, err, test.want)
			continue
		}
		if v.TokenID != "" || strings.Contains(err.Error(), "Canary") {
			t.Errorf("%s: something of the answer came through: %v, %+v", name, err, v)
		}
		if n := len(server.requests()); n != 1 {
			t.Errorf("%s: %d requests", name, n)
		}
	}
}

func TestAnswersAboutSomethingElse(t *testing.T) {
	other := func(document string) string {
		document = strings.Replace(document, `"provider":"strava"`, `"provider":"whoop"`, 1)
		return strings.Replace(document, `"dev_id":"dev-1"`, `"dev_id":"dev-2"`, 1)
	}
	tried := 0
	for _, m := range methods() {
		if m.body == "" || other(m.body) == m.body || strings.HasPrefix(m.name, "List") {
			continue
		}
		err := m.call(t, newClient(t, always(m.status, mediaJSON, other(m.body))))
		if !as[*BadAnswerError](err) && !as[*AmbiguousError](err) || m.write != as[*AmbiguousError](err) {
			t.Errorf("%s: %v", m.name, err)
		}
		upper := strings.Replace(m.body, `"provider":"strava"`, `"provider":"STRAVA"`, 1)
		if err := m.call(t, newClient(t, always(m.status, mediaJSON, upper))); err != nil && upper != m.body && m.name != "UpdateSource" && m.name != "BatchEnable" {
			t.Errorf("%s: another case of the slug: %v", m.name, err)
		}
		tried++
	}
	if tried < 10 {
		t.Errorf("only %d methods were tried", tried)
	}
}

func TestBatchEnableChecksItsAnswer(t *testing.T) {
	whoop := strings.Replace(sourceJSON, "strava", "whoop", 1)
	for name, data := range map[string]string{
		"one too few": sourceJSON, "other order": whoop + "," + sourceJSON, "one too many": sourceJSON + "," + whoop + "," + whoop,
	} {
		c := newClient(t, always(200, mediaJSON, `{"data":[`+data+`]}`))
		if _, err := c.BatchEnable(t.Context(), "dev-1", []string{"strava", "whoop"}, "k"); !as[*AmbiguousError](err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestListsWithTwins(t *testing.T) {
	upper := strings.Replace(sourceJSON, "strava", "STRAVA", 1)
	empty := strings.Replace(sourceJSON, "strava", "", 1)
	for name, body := range map[string]string{"twice": list(sourceJSON, upper), "no name": list(empty)} {
		v, err := newClient(t, always(200, mediaJSON, body)).ListSources(t.Context(), "dev-1")
		if !as[*BadAnswerError](err) || v != nil {
			t.Errorf("%s: %v, %v", name, v, err)
		}
	}
}

func TestGetDomain(t *testing.T) {
	for name, test := range map[string]struct {
		answer *http.Response
		found  bool
		check  func(error) bool
	}{
		"set":                 {replyJSON(domainJSON), true, nil},
		"none":                {replyProblem(404, CodeNotFound), false, nil},
		"unknown environment": {replyProblem(404, CodeDevIDNotFound), false, as[*Problem]},
		"missed API":          {reply(404, "text/html", "<p>not found"), false, as[*MissedAPIError]},
		"JSON 404":            {reply(404, mediaJSON, `{"code":"not_found"}`), false, as[*MissedAPIError]},
		"405":                 {reply(405, "", ""), false, as[*MissedAPIError]},
		"empty":               {replyJSON(""), false, as[*BadAnswerError]},
		"forbidden":           {reply(403, "text/html", "<p>"), false, as[*Problem]},
	} {
		_, found, err := newClient(t, inTurn(with(test.answer))).GetDomain(t.Context(), "dev-1", "strava")
		if found != test.found || test.check == nil && err != nil || test.check != nil && !test.check(err) {
			t.Errorf("%s: %v, %v", name, found, err)
		}
		if err != nil && IsNotFound(err) {
			t.Errorf("%s: %v reads as not found", name, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, m := range methods() {
		f.Add(m.body)
	}
	f.Add(`{"data":[{"provider":null}],"has_more":1}`)
	f.Fuzz(func(t *testing.T, body string) {
		a := answer{status: 200, media: mediaJSON, body: []byte(body)}
		k := call{op: updateSource()}
		if s, err := decode[page[Source]](k, a); err == nil && s.Data == nil {
			t.Errorf("a list without data was accepted: %s", body)
		}
		if s, err := decode[Source](k, a); err == nil {
			var want Source
			if json.Unmarshal([]byte(body), &want) != nil || !cmp.Equal(s, want) {
				t.Errorf("%s reads as %+v, want %+v", body, s, want)
			}
			again, _ := json.Marshal(s)
			if back, err := decode[Source](k, answer{status: 200, media: mediaJSON, body: again}); err != nil || back.Provider != s.Provider || back.Active != s.Active {
				t.Errorf("%s reads as %+v, then as %+v, %v", body, s, back, err)
			}
		}
		if _, err := decode[Credentials](k, a); err != nil && !as[*BadAnswerError](err) {
			t.Errorf("%T", err)
		}
		if _, err := decode[Me](k, a); err != nil && !as[*BadAnswerError](err) {
			t.Errorf("%T", err)
		}
	})
}
