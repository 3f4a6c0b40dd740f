package notify

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

var update = flag.Bool("update", false, "rewrite the table of events in docs/operations.md")

const page = "../../docs/operations.md"

// TestEventsAreDocumented: the page has all kinds of events; -update writes them there.
func TestEventsAreDocumented(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	want.WriteString("| event | severity | told | when |\n|---|---|---|---|\n")
	for _, k := range report.Kinds() {
		told := "once"
		if k.Lasts {
			told = "when it begins and ends"
		}
		fmt.Fprintf(&want, "| `%s` | %s | %s | %s |\n", k.Name, k.Severity, told, k.Means)
	}
	got := regexp.MustCompile(`(?m)^\| event \| severity \|.*\n(\|.*\n)+`).FindString(string(text))
	if *update && got != "" {
		if err := os.WriteFile(page, []byte(strings.Replace(string(text), got, want.String(), 1)), 0o644); err != nil {
			t.Fatal(err)
		}
		got = want.String()
	}
	if diff := cmp.Diff(want.String(), got); diff != "" {
		t.Errorf("the events (-known +on the page); make generate writes them:\n%s", diff)
	}
}

// TestPageShowsAMessage: the document of the page has all fields of one, and no others.
func TestPageShowsAMessage(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?s)```json\n(\\{\"schema\": \"terra-reconcile/notification/v1\".*?)```").FindStringSubmatch(string(text))
	if found == nil {
		t.Fatal("the page shows no message")
	}
	var shown, whole any
	var m Message
	ours, err := document(Message{Items: []Item{{Since: start()}}})
	for _, err := range []error{err, json.Unmarshal([]byte(found[1]), &shown), json.Unmarshal([]byte(found[1]), &m), json.Unmarshal(ours, &whole)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(keysOf(whole), keysOf(shown)); diff != "" {
		t.Errorf("(-ours +page):\n%s", diff)
	}
	if kind, ok := report.KindOf(m.Event); !ok || kind.Severity != m.Severity || title(m) != m.Title {
		t.Errorf("it would be %q, %s", title(m), kind.Severity)
	}
}

// keysOf are the fields of a document, with those inside.
func keysOf(document any) []string {
	var out []string
	switch d := document.(type) {
	case map[string]any:
		for key, value := range d {
			out = append(out, key)
			for _, inner := range keysOf(value) {
				out = append(out, key+"."+inner)
			}
		}
	case []any:
		for _, one := range d {
			out = append(out, keysOf(one)...)
		}
	}
	slices.Sort(out)
	return out
}

// TestPageShowsHowToCheck: what the page shows takes a message of ours, and no other one.
func TestPageShowsHowToCheck(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		if os.Getenv("REQUIRE_ALL") != "" {
			t.Fatal("no python3 is here")
		}
		t.Skip("no python3 is here")
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?s)```python\n(import base64.*?)```").FindStringSubmatch(string(text))
	if found == nil {
		t.Fatal("the page does not show how to check a signature")
	}
	const body = `{"schema": "terra-reconcile/notification/v1"}`
	var script strings.Builder
	script.WriteString(found[1] + "\n")
	check := func(want string, secret, sent string, at time.Time, body string) {
		header := http.Header{}
		if err := sign(header, "MSGID1", at, []byte(body), secret); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&script, "assert is_genuine(%q, {'webhook-id': 'MSGID1', 'webhook-timestamp': %q, 'webhook-signature': %q}, b'''%s''') is %s\n",
			secret, header.Get(headerTimestamp), header.Get(headerSignature), sent, want)
	}
	now := time.Now()
	check("True", planted, body, now, body)
	check("True", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", body, now, body)
	check("False", planted, body+" ", now, body)
	check("False", planted, body, now.Add(-time.Hour), body)
	if out, err := exec.CommandContext(t.Context(), python, "-c", script.String()).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
