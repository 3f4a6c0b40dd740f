package report

import (
	"context"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

// measure opens the page at the widths of a telephone and of a desk and says what a
// reader would see go wrong: what is wider than the window, and words that are broken.
const measure = `<!doctype html><body><script>
let left = 2;
for (const width of [390, 1280]) {
  const frame = document.createElement("iframe");
  frame.style.cssText = "border:0;height:2000px;width:" + width + "px";
  frame.onload = () => {
    const page = frame.contentDocument, found = [];
    for (const d of page.querySelectorAll("details")) d.open = true;
    if (page.documentElement.scrollWidth > width) found.push("is " + page.documentElement.scrollWidth + " wide");
    const texts = page.createTreeWalker(page.body, NodeFilter.SHOW_TEXT), range = page.createRange();
    let words = 0;
    while (texts.nextNode()) {
      for (const m of texts.currentNode.data.matchAll(/[^\s/.:=-]+/g)) {
        range.setStart(texts.currentNode, m.index);
        range.setEnd(texts.currentNode, m.index + m[0].length);
        const lines = new Set([...range.getClientRects()].filter(r => r.width > 1).map(r => Math.round(r.top)));
        words++;
        if (lines.size > 1) found.push("breaks " + m[0]);
      }
    }
    const pre = document.createElement("pre");
    pre.textContent = "at " + width + ": " + words + " words; " + found.join(", ");
    document.body.append(pre);
    if (--left == 0) document.body.append("measured");
  };
  frame.src = "/page";
  document.body.append(frame);
}
</script>`

// The page in a browser: nothing is wider than the window, and no word is broken, at the
// width of a telephone and of a desk, with everything unfolded.
func TestPageInABrowser(t *testing.T) {
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("REQUIRE_ALL") != "" {
			t.Fatal(err)
		}
		t.Skip("chromium is not in PATH, so the page is opened in no browser")
	}
	r := scene(DryRun, 3, sevenHeld()...)
	r.Environments = append(r.Environments, scene(DryRun, 3, sevenHeld()[0]).Environments...)
	r.Environments[1].Name = "staging" // so that a connection is named with its environment
	page := render(t, func(w io.Writer) error { return HTML(w, r) })
	mux := http.NewServeMux()
	show := func(path, text string) {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = io.WriteString(w, text)
		})
	}
	show("/page", page)
	show("/", measure)
	server := httptest.NewServer(mux)
	defer server.Close()
	profile, err := os.MkdirTemp("", "chromium") //nolint:usetesting // its last processes may write into it after it has ended, and t.TempDir would fail
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(profile) }()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--user-data-dir="+profile, "--virtual-time-budget=60000", "--dump-dom", server.URL).Output()
	if err != nil {
		t.Fatalf("open page: %v", err)
	}
	got := html.UnescapeString(string(out))
	if !strings.Contains(got, "measured") {
		t.Fatalf("the page was not measured:\n%s", got)
	}
	for _, width := range []string{"390", "1280"} {
		m := regexp.MustCompile(`at ` + width + `: ([0-9]+) words; ([^<]*)<`).FindStringSubmatch(got)
		if m == nil || len(m[1]) < 3 || m[2] != "" { // a hundred words at least
			t.Errorf("at %s px: %q", width, m)
		}
	}
}
