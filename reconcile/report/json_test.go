package report

import (
	"bytes"
	"encoding/json"
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/terra-reconcile/terra-reconcile/internal/visible"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

// published is the form that other people's scripts rely on.
const published = `{"schema":"terra-reconcile/report/v1","mode":"dry-run","commit":"worktree","started_at":"2026-11-28T02:00:00Z","duration_ms":0,"exit_code":2,
 "environments":[{"name":"production","dev_id":"prod-app-x81LmQ","plan_hash":"sha256:00","error":"","warnings":[],"unmanaged":["peloton"],
   "summary":{"unchanged":3,"changes":2,"gated":1,"unmanaged":1,"not_compared":0,"applied":0,"failed":0,"unknown":0},
   "not_compared":[{"connection":"production/whoop","field":"client_secret","reason":"no identity"}],
   "changes":[{"id":"production/strava:rotate-secret","connection":"production/strava","provider":"strava","action":"rotate-secret",
     "class":"safe","class_reason":"probe good","cause":"rotation","reason":"key 2 of 2 is due since 2026-11-28T02:00:00Z",
     "fields":[{"field":"client_secret","from":{"mask":"****9876","key":1},"to":{"key":2}}],
     "active_users":{"count":12,"exact":true},"gate":"ready","gate_reason":"","guard":"","remediations":[],"origin":"production/strava.yaml:9",
     "outcome":"","error":"","duration_ms":0}]}]}`

// Every published field stands in its published order; fields that came later
// may stand between.
func TestJSONKeepsThePublishedForm(t *testing.T) {
	r, err := Decode(strings.NewReader(published))
	if err != nil {
		t.Fatal(err)
	}
	got := render(t, func(w io.Writer) error { return JSON(w, r) })
	var compact bytes.Buffer
	if err := json.Compact(&compact, []byte(got)); err != nil {
		t.Fatal(err)
	}
	later := regexp.MustCompile(`,"digest":"sha256:[0-9a-f]{64}"\}$`).ReplaceAllString(strings.TrimSpace(compact.String()), "}")
	for _, added := range []string{`"missing_scopes":[],`, `"warnings":[],"error":"","remediations":[],`, `,"remediations":[]`, `,"may_have_written":[]`, `,"events":[]`, `,"keys":[]`, `,"state_lock":""`, `"account":"","api":"","owner":"","missing_scopes":[],`,
		`,"approval":{"state":"","text":"","command":"","remediations":[],"releases":0,"releases_now":0,"leaves":[],"required":0,"hash":"","ignores_windows":false,"by":[],"used_run":""},"connections":[],"selected":[],"not_selected":0`} {
		later = strings.Replace(later, added, "", 1)
	}
	var want bytes.Buffer
	if err := json.Compact(&want, []byte(published)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.String(), later); diff != "" {
		t.Errorf("document (-published +got):\n%s", diff)
	}
}

func TestJSONHasNoNullList(t *testing.T) {
	r := Report{Environments: []Environment{{Changes: []Change{{}}}}}
	got := render(t, func(w io.Writer) error { return JSON(w, r) })
	if n := strings.Count(got, "null"); n != 1 || !strings.Contains(got, `"active_users": null`) {
		t.Errorf("got %d nulls, want active_users alone:\n%s", n, got)
	}
	if r.Environments[0].Changes[0].Fields != nil {
		t.Error("the report itself was changed")
	}
	got = render(t, func(w io.Writer) error { return JSON(w, Report{}) })
	if strings.Contains(got, "null") {
		t.Errorf("an empty report has a null:\n%s", got)
	}
}

// The sealed form stands beside the fields, so that the hash can be made from the
// document, and nowhere else.
func TestJSONShowsTheDesiredSecretAsItsKeyNumber(t *testing.T) {
	const sum = "sha256:abcdef"
	change := Change{Change: plan.Change{Remediations: []plan.Remediation{}, Fields: []plan.FieldChange{
		{Field: plan.FieldClientSecret, From: plan.FieldValue{Mask: "****1", Key: 1}, To: plan.FieldValue{Key: 2, Sealed: sum}},
	}}}
	r := Report{Schema: Schema, Environments: []Environment{{Changes: []Change{change}}}}
	got := render(t, func(w io.Writer) error { return JSON(w, r) })
	var compact bytes.Buffer
	if err := json.Compact(&compact, []byte(got)); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{`"to":{"key":2}`, `"sealed":{"client_secret":"` + sum + `"}`} {
		if !strings.Contains(compact.String(), part) {
			t.Errorf("no %s in the document:\n%s", part, got)
		}
	}
	if n := strings.Count(got, sum); n != 1 {
		t.Errorf("the sealed form is in the document %d times:\n%s", n, got)
	}
	if change.Fields[0].To.Sealed != sum {
		t.Error("the report itself was changed")
	}
	back, err := Decode(strings.NewReader(got))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]plan.Change{change.Change}, back.Environments[0].Plan().Changes); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
}

func TestDecodeRefuses(t *testing.T) {
	for name, document := range map[string]string{
		"nothing":         "",
		"another schema":  `{"schema":"terra-reconcile/report/v2"}`,
		"no schema":       `{}`,
		"unknown field":   `{"schema":"` + Schema + `","more":1}`,
		"something after": `{"schema":"` + Schema + `"} {}`,
	} {
		if _, err := Decode(strings.NewReader(document)); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}

// JSON escapes what hides, and still says the same.
func TestJSONOfHostileNames(t *testing.T) {
	want := fixture(t, "testdata/hostile.json")
	document := render(t, func(w io.Writer) error { return JSON(w, want) })
	for _, r := range document {
		if r != '\n' && visible.Hides(r) {
			t.Errorf("%U in the document", r)
		}
	}
	got, err := Decode(strings.NewReader(document))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
}
