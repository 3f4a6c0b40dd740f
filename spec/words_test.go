package spec_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/terra-reconcile/terra-reconcile/spec"
)

func TestRecipientsFor(t *testing.T) {
	root := spec.Root{Recipients: []spec.RecipientRule{
		{Paths: []string{"production/**", "eu/*/strava.yaml"}, Age: []string{"first"}},
		{Paths: []string{"**/whoop.yaml", "a+b/?.yaml"}, Age: []string{"second"}},
		{Paths: []string{"staging/*"}, Age: []string{"third"}},
	}}
	for file, want := range map[string]string{
		"production/strava.yaml":       "first",
		"production/deep/a/strava.yml": "first",
		"production/whoop.yaml":        "first",
		"./production/whoop.yaml":      "first",
		"eu/production/strava.yaml":    "first",
		"eu/a/b/strava.yaml":           "",
		"whoop.yaml":                   "second",
		"x/y/whoop.yaml":               "second",
		"a+b/c.yaml":                   "second",
		"aab/c.yaml":                   "",
		"a+b/cc.yaml":                  "",
		"staging/strava.yaml":          "third",
		"staging/a/strava.yaml":        "",
		"production":                   "",
		"productions/strava.yaml":      "",
		"other/../production/x.yaml":   "first",
	} {
		rule, ok := root.RecipientsFor(file)
		if got := strings.Join(rule.Age, ""); got != want || ok != (want != "") {
			t.Errorf("%s: got %q %t, want %q", file, got, ok, want)
		}
	}
}

// oneField loads a repository with one line in a file and returns the messages.
func oneField(file, line string) (spec.Set, string) {
	base := map[string]string{
		"terra.yaml":                  "version: 1\nsecrets: {binding: require}\n",
		"production/environment.yaml": "dev_id: a\nprune: never\n",
		"production/strava.yaml":      "provider: strava\n",
	}
	base[file] += line + "\n"
	fsys := fstest.MapFS{}
	for name, text := range base {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	set, problems := spec.Load(fsys, vocabulary())
	var texts []string
	for _, p := range problems {
		texts = append(texts, p.String())
	}
	return set, strings.Join(texts, "\n")
}

func TestSchedules(t *testing.T) {
	for schedule, want := range map[string]string{
		"*/15 * * * *":                 "",
		"0 9 * * mon-fri":              "",
		"0 0 29 2 *":                   "",
		"@hourly":                      "",
		"@every 90m":                   "",
		"CRON_TZ=Asia/Tokyo 0 9 * * *": "",
		"TZ=UTC @daily":                "",
		"null":                         "",
		"@every 59s":                   "less than a minute",
		"@every -1h":                   "less than a minute",
		"@every x":                     "not a cron expression",
		"@reboot":                      "not a cron expression",
		"0 0 0 9 * *":                  "not a cron expression",
		"0 9 * * 7":                    "`7` as the day of the week, which is 0-6 or sun-sat",
		"CRON_TZ= 0 9 * * *":           "unknown time zone",
		"CRON_TZ=Local 0 9 * * *":      "unknown time zone",
		"CRON_TZ=../../etc 0 9 * * *":  "unknown time zone",
		"0 0 30 2 *":                   "never fires",
		"0 0 31 4,6,9,11 *":            "never fires",
	} {
		value := schedule
		if schedule != "null" {
			value = fmt.Sprintf("%q", schedule)
		}
		set, got := oneField("production/environment.yaml", "schedule: "+value)
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q", schedule, got, want)
		}
		if kept := set.Environments[0].Schedule; want == "" && schedule != "null" && kept != schedule || want != "" && kept != "" {
			t.Errorf("%s: got schedule %q", schedule, kept)
		}
	}
}

func TestSpans(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"90d": 90 * 24 * time.Hour, "24h": 24 * time.Hour, "15m": 15 * time.Minute, "1d12h30m5s": 36*time.Hour + 30*time.Minute + 5*time.Second,
		"0s": 0, `"2h"`: 2 * time.Hour,
	} {
		set, got := oneField("production/strava.yaml", "rotation: {soak: "+text+"}")
		if got != "" || set.Environments[0].Connections[0].Rotation.Soak != want {
			t.Errorf("%s: got %v, %q", text, set.Environments[0].Connections[0].Rotation.Soak, got)
		}
	}
	for _, text := range []string{"1", "-1h", "1.5h", "1w", "1h30", "30m1h", "1 h", "1e3s", "99999999999d", "91d"} {
		if _, got := oneField("production/strava.yaml", "rotation: {soak: "+text+"}"); got == "" {
			t.Errorf("%s: got no problem", text)
		}
	}
}

func TestRotationDefaults(t *testing.T) {
	const day = 24 * time.Hour
	for text, want := range map[string]spec.Rotation{
		"options: {}":                    {Warn: 14 * day, Soak: day, MaxUserDrop: 10, Probe: "prefer"},
		"rotation: {max_age: 90d}":       {MaxAge: 90 * day, Warn: 14 * day, Soak: day, MaxUserDrop: 10, Probe: "prefer"},
		"rotation: {max_age: 10d}":       {MaxAge: 10 * day, Warn: 5 * day, Soak: day, MaxUserDrop: 10, Probe: "prefer"},
		"rotation: {warn: 0s, soak: 0s}": {MaxUserDrop: 10, Probe: "prefer"},
	} {
		if text == "options: {}" {
			text = "state: active"
		}
		set, problems := oneField("production/strava.yaml", text)
		got := set.Environments[0].Connections[0].Rotation
		got.Origin = spec.Origin{}
		if problems != "" || got != want {
			t.Errorf("%s: got %+v %s, want %+v", text, got, problems, want)
		}
	}
}

func TestDates(t *testing.T) {
	for text, want := range map[string]string{
		"2026-12-01": "2026-12-01T00:00:00Z", `"2026-12-01"`: "2026-12-01T00:00:00Z",
		"2026-12-01T14:30:00Z": "2026-12-01T14:30:00Z", "2026-12-01T14:30:00+02:00": "2026-12-01T12:30:00Z",
		"2026-12-01 14:30:00": "", "2026-12-01T14:30:00": "", "2026-12-1": "", "2026-13-01": "", "20261201": "", "0001-01-01": "", "null": "",
	} {
		set, problems := oneField("production/environment.yaml", "suspend: {reason: a, owner: b, until: "+text+"}")
		got := ""
		if until := set.Environments[0].Suspend.Until; !until.IsZero() {
			got = until.Format(time.RFC3339)
		}
		if got != want || (problems == "") != (want != "") {
			t.Errorf("%s: got %q %q, want %q", text, got, problems, want)
		}
	}
}

// A number without quotes is text as it is written.
func TestNumbersAsText(t *testing.T) {
	for text, want := range map[string]string{
		"0123": "0123", "123456": "123456", "1_000": "1_000", "0x10": "0x10", "1e3": "1e3", `"0123"`: "0123", "'0123'": "0123", "2026-01-01": "2026-01-01", "yes": "yes",
	} {
		set, problems := oneField("production/strava.yaml", "credentials: {client_id: "+text+"}")
		if got := set.Environments[0].Connections[0].Credentials.ClientID.Value; got != want || problems != "" {
			t.Errorf("%s: got %q %q", text, got, problems)
		}
	}
}

func TestNullIsNotOmitted(t *testing.T) {
	set, problems := oneField("production/strava.yaml", "app: null\nscopes: null\ndomain: null\nwebhooks: null\ncredentials: {redirect_url: null, verification_secret: null, sandbox: null}")
	if want := "production/strava.yaml:5:11: webhooks cannot be set for strava, remove it"; problems != want {
		t.Errorf("got %q, want %q", problems, want)
	}
	c := set.Environments[0].Connections[0]
	for name, got := range map[string]bool{
		"app": c.App.Null(), "scopes": c.Scopes.Null(), "domain": c.Domain.Null(), "redirect_url": c.Credentials.RedirectURL.Null(),
		"verification_secret": c.Credentials.VerificationSecret.Null(), "sandbox": c.Credentials.Sandbox.Null(),
		"client_id": c.Credentials.ClientID.Presence == spec.Omitted, "scopes empty": len(c.Scopes.Value) == 0 && !c.Scopes.Given(),
	} {
		if !got {
			t.Errorf("%s is not what it should be", name)
		}
	}
	set, problems = oneField("production/strava.yaml", "scopes: []")
	if f := set.Environments[0].Connections[0].Scopes; problems != "" || !f.Given() || f.Null() {
		t.Errorf("got %+v %s, want an empty list that is given", f, problems)
	}
}

// Whatever a person does wrong around a secret, no message repeats any of it.
func TestNoMessageShowsASecret(t *testing.T) {
	for _, around := range []string{
		"credentials: %s", "credentials:\n  client_secret: %s", "credentials:\n  client_secret: '%s", "credentials:\n  client_secret: \"%s",
		"credentials:\n  client_secret: [%s", "credentials: {client_secret: %s", "credentials: {client_secret %s}", "credentials: {client_secret: a, %s}",
		"credentials:\n  client_secret: *%s", "credentials:\n  client_secret: &%s x", "credentials:\n  client_secret: !%s x", "credentials:\n  client_secret: !age %s",
		"credentials:\n  client_secret: !age |\n  %s", "credentials:\n  client_secret:\n    %s: x", "credentials:\n  client_secret:\n    - %s", "credentials:\n  %s",
		"credentials:\n  %s:", "credentials:\n  client_secret: a: %s", "credentials:\n\tclient_secret: %s", "credentials:\n  client_secret: %%%s", "credentials:\n  client_secret: @%s",
		"credentials:\n  client_secret: `%s`", "credentials:\n  keys: %s", "credentials:\n  keys:\n    - %s", "credentials:\n  keys:\n    - {client_secret: %s, not_before: %s}",
		"credentials:\n  sandbox: %s", "credentials:\n  redirect_url: %s", "credentials:\n  redirect_url: https://user:%s@example.com/", "credentials:\n  verification_secret: \"\\%s\"",
		"policy: {allow: [{change: client_secret, to: %s, until: 2026-12-01, reason: a}]}", "%s", "credentials:\n  client_secret: a\n %s", "credentials:\n  client_secret: !!binary %s",
		"credentials:\n  %s: 1\n  %s: 2", "credentials:\n  client_secret: \"%s\\u001b\"", "credentials: {keys: [{client_secret: %s}]", "credentials:\n  ? %s\n  : x",
	} {
		line := strings.ReplaceAll(strings.ReplaceAll(around, "%s", planted), "%%", "%")
		_, got := oneField("production/strava.yaml", line)
		if got == "" {
			t.Errorf("%s: got no problem", around)
		}
		for i := 0; i+6 <= len(planted); i++ {
			if strings.Contains(got, planted[i:i+6]) {
				t.Errorf("%s: shows %q:\n%s", around, planted[i:i+6], got)
				break
			}
		}
	}
}

func TestFieldStates(t *testing.T) {
	if diff := cmp.Diff([]string{"active", "paused", "disabled"}, []string{spec.Active.String(), spec.Paused.String(), spec.Disabled.String()}); diff != "" {
		t.Error(diff)
	}
	for origin, want := range map[spec.Origin]string{
		{File: "a.yaml", Line: 1, Column: 2}: "a.yaml:1:2", {File: "a.yaml", Line: 1}: "a.yaml:1", {File: "a.yaml"}: "a.yaml", {Line: 1, Column: 2}: "1:2", {}: "",
	} {
		if got := origin.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
