package web

import (
	"net/http"
	"strings"
	"testing"
)

// The pages of a busy daemon say what there is to say.
func TestPages(t *testing.T) {
	t.Parallel()
	s := site(t, busy())
	for target, says := range map[string][]string{
		"/":                                               {"<h1>1 failed, 1 needs approval, 1 drifted</h1>", "also 1 key to see to", "flag\">paused", "needs approval", "production/huawei", "Ages of keys", "97 of 90 days", "overdue", "Paused:", "Resume staging", "Last runs", "ops has not taken them for 20 seconds", "it was forced from"},
		"/environments/production":                        {"<h1>production", "Look at it and approve", "37 users must reconnect"},
		"/environments/eu/production":                     {"<h1>eu/production", "Nothing to do: Terra has what the files ask for."},
		"/environments/us/production":                     {"could not be run", "so nothing is known", "3 times in a row"},
		"/connections/production/huawei":                  {"104512345", "104599999", "guard", "37 active end users", "setup callback_domain", "Look at it and approve", "the same"},
		"/connections/production/fitbit":                  {"soaking", "1,838"[:1], "until 16:00 UTC"},
		"/connections/production/withings":                {"no file names it"},
		"/connections/production/polar":                   {"not compared: this server does not tell"},
		"/connections/staging/oura":                       {"409 conflict", "failed"},
		"/history":                                        {"update credentials applied", "client_id 111", "Kim Reyes"},
		"/history?q=REYES":                                {"production/huawei"},
		"/approve?environment=production&provider=huawei": {"Exactly this is applied, or nothing", "client_id 104512345 → 104599999", "every user may have to reconnect", "sha256:"},
		"/approve?environment=production":                 {"production/whoop", "production/huawei"},
		"/pause?target=production":                        {"Pause production", "production/huawei: "},
		"/pause?target=*":                                 {"Pause everything"},
		"/resume?target=staging":                          {"vendor migration, ticket 4711"},
		"/run?environment=production":                     {"Run production now"},
	} {
		w := asking(t, s, http.MethodGet, target, "")
		if w.Code != http.StatusOK {
			t.Errorf("%s: %d %s", target, w.Code, w.Body)
		}
		for _, want := range says {
			if !strings.Contains(w.Body.String(), want) {
				t.Errorf("%s does not say %s:\n%s", target, want, w.Body)
			}
		}
		if strings.Contains(w.Body.String(), "<script") || strings.Contains(w.Body.String(), " style=") {
			t.Errorf("%s has a script or a style of its own", target)
		}
	}
}

// TestHistoryIsBounded: no page and no document looks at more of the history than its end,
// and a text that stands nowhere ends there, too.
func TestHistoryIsBounded(t *testing.T) {
	t.Parallel()
	d := busy()
	s := site(t, d)
	for target, most := range map[string]int64{"/": 256 << 10, "/environments/production": 1 << 20, "/connections/production/huawei": 1 << 20, "/history?q=nowhere": searched, "/api/v1/history?q=nowhere": searched, "/api/v1/history": searched} {
		d.asked.Within = 0
		if w := asking(t, s, http.MethodGet, target, ""); w.Code != http.StatusOK || d.asked.Within <= 0 || d.asked.Within > most {
			t.Errorf("%s (%d) looks at %d bytes, want at most %d", target, w.Code, d.asked.Within, most)
		}
	}
}
