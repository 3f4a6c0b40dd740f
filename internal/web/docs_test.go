package web

import (
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

// TestCommandsOfThePage: what docs/page.md gives to type is answered as it says.
func TestCommandsOfThePage(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"bash", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("REQUIRE_ALL") != "" {
				t.Fatal(err)
			}
			t.Skipf("%s is not in PATH", tool)
		}
	}
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "page.md"))
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```sh\n(curl.*?)```").FindSubmatch(text)
	if block == nil {
		t.Fatal("docs/page.md has no commands")
	}
	d := busy()
	left, _ := d.Left("production")
	server := httptest.NewServer(site(t, d, withReader))
	defer server.Close()
	cmd := exec.CommandContext(t.Context(), "bash", "-euc", string(block[1]))
	cmd.Env = append(os.Environ(), "URL="+server.URL, "READ="+readToken, "APPROVE="+approveToken, "HASH="+plan.ConnectionHashes(left.Plan())["production/huawei"], "no_proxy=*")
	out, err := cmd.CombinedOutput()
	if err != nil || strings.Contains(string(out), "about:blank") {
		t.Errorf("%v\n%s", err, out)
	}
	for _, want := range []string{plansSchema, state.HistorySchema, `"by": [`, `"until":`} {
		if !strings.Contains(string(out), want) {
			t.Errorf("nothing answers %s:\n%s", want, out)
		}
	}
	if len(d.did) != 2 {
		t.Errorf("did %v", d.did)
	}
}

// TestStandingsAreDocumented: docs/page.md has each sign with its word.
func TestStandingsAreDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "page.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range standings() {
		if !strings.Contains(string(text), "| "+l.Sign+" | "+l.Word+" |") {
			t.Errorf("docs/page.md does not say what %s %s is", l.Sign, l.Word)
		}
	}
}
