package terra

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
)

// answerBudget is what reading one answer may allocate in all, in bytes: the figure of
// docs/security.md.
const answerBudget = 12 << 20

// TestHostileAnswers: an answer as long as may be, that is made to cost, costs no more than
// so much, however fast this machine is.
func TestHostileAnswers(t *testing.T) {
	fill := func(before, part, after string) string {
		return before + strings.Repeat(part, (maxAnswer-len(before)-len(after))/len(part)) + after
	}
	for _, c := range []struct {
		attack string
		status int
		media  string
		body   string
		says   string
	}{
		{attack: "brackets within brackets", status: 200, media: mediaJSON, body: fill("", "[", ""), says: "not JSON"},
		{attack: "brackets beside brackets where a text belongs", status: 200, media: mediaJSON, body: fill(`{"scopes":[[]`, ",[]", "]}"), says: "want text"},
		{attack: "brackets in a field that nobody reads", status: 200, media: mediaJSON, body: fill(`{"x":[[]`, ",[]", "]}"), says: "missing"},
		{attack: "braces in a field that nobody reads", status: 200, media: mediaJSON, body: fill(`{"x":[{}`, ",{}", "]}"), says: "missing"},
		{attack: "empty texts without number", status: 200, media: mediaJSON, body: fill(`{"scopes":[""`, `,""`, "]}"), says: "more than 10000 entries"},
		{attack: "fields without number", status: 200, media: mediaJSON, body: fill(`{"x":1`, `,"y":1`, "}"), says: "more than 1000 fields"},
		{attack: "brackets in a problem", status: 400, media: mediaProblem, body: fill(`{"code":"x","errors":[[]`, ",[]", "]}"), says: "without a problem document"},
		{attack: "empty texts in a problem", status: 400, media: mediaProblem, body: fill(`{"code":"x","errors":[""`, `,""`, "]}"), says: "without a problem document"},
		{attack: "a long text in a problem", status: 400, media: mediaProblem, body: fill(`{"code":"x","detail":"`, `\u0041`, `"}`), says: "without a problem document"},
	} {
		t.Run(c.attack, func(t *testing.T) {
			client := newClient(t, inTurn(with(reply(c.status, c.media, c.body))))
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := client.Me(t.Context())
			runtime.ReadMemStats(&after)
			if err == nil || !strings.Contains(err.Error(), c.says) || len(err.Error()) > 1000 {
				t.Errorf("got %.1000v, want %q", err, c.says)
			}
			if took := after.TotalAlloc - before.TotalAlloc; took > answerBudget {
				t.Errorf("it took %d MiB, want at most %d", took>>20, answerBudget>>20)
			} else {
				t.Logf("%d MiB", took>>20)
			}
		})
	}
}

// TestFiguresOfTheSecurityPage: what the page says is what the constants are.
func TestFiguresOfTheSecurityPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("| %.0f seconds for one attempt, %.0f for a slow operation |", defaultTimeout.Seconds(), slowTimeout.Seconds())
	if !strings.Contains(string(page), want) {
		t.Errorf("docs/security.md lacks %q", want)
	}
}
