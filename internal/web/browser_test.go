package web

import (
	"bytes"
	"flag"
	"fmt"
	"image/png"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite what the tests compare with, and the pictures of the documents")

// shown are the pages that a browser is given.
func shown() map[string]string {
	return map[string]string{
		"overview": "/", "environment": "/environments/production", "connection": "/connections/production/huawei", "history": "/history",
		"approve": "/approve?environment=production&provider=huawei", "pause": "/pause?target=production", "resume": "/resume?target=staging", "run": "/run", "problem": "/nowhere",
	}
}

// measure says what a reader would see go wrong: what is wider than the window, words that
// are broken, and a page that has no heading or several.
const measure = `(() => {
  const found = [];
  for (const d of document.querySelectorAll("details")) d.open = true;
  if (document.documentElement.scrollWidth > document.documentElement.clientWidth) found.push("is " + document.documentElement.scrollWidth + " wide: " + [...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1 && !e.closest(".scroll")).map(e => e.tagName + "." + e.className).slice(0, 5));
  if (document.querySelectorAll("h1").length != 1) found.push("has not one h1");
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), range = document.createRange();
  while (texts.nextNode()) {
    if (texts.currentNode.parentElement.closest("code") || texts.currentNode.data.includes("://")) continue;
    for (const m of texts.currentNode.data.matchAll(/[^\s\/.:=@-]{2,24}/g)) {
      if (/^[0-9a-f]{16,}$/.test(m[0])) continue;
      range.setStart(texts.currentNode, m.index);
      range.setEnd(texts.currentNode, m.index + m[0].length);
      const lines = new Set([...range.getClientRects()].filter(r => r.width > 1).map(r => Math.round(r.top)));
      if (lines.size > 1) found.push("breaks " + m[0]);
    }
  }
  return found.join(", ");
})()`

// axe is axe-core, which .ci/axe fetches.
func axe(t testing.TB) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	script, err := os.ReadFile(filepath.Join(cache, "terra-reconcile", "axe-4.14.1.js"))
	if err != nil {
		if os.Getenv("REQUIRE_ALL") != "" {
			t.Fatalf("run .ci/axe first: %v", err)
		}
		t.Log("axe-core is not here, so it judges no page; run .ci/axe")
	}
	return string(script)
}

// TestPagesInABrowser: at the width of a telephone and of a desk, light and dark, nothing is
// wider than the window, no word is broken, and axe-core has nothing against any page.
func TestPagesInABrowser(t *testing.T) {
	b, judge := openBrowser(t), axe(t)
	server := httptest.NewServer(site(t, busy(), func(o *Options) { o.Now = nextMinute() }))
	defer server.Close()
	looked := 0
	for name, path := range shown() {
		for _, width := range []int{390, 1280} {
			for _, scheme := range []string{"light", "dark"} {
				if os.Getenv("REQUIRE_ALL") == "" && (width == 390) != (scheme == "dark") { // CI looks at all four
					continue
				}
				b.open(server.URL+path, width, scheme)
				var wrong string
				if b.eval(measure, &wrong); wrong != "" {
					t.Errorf("%s at %d: %s", name, width, wrong)
				}
				if judge == "" {
					continue
				}
				b.eval(judge+";0", nil)
				var violations []string
				b.eval(`axe.run({resultTypes: ["violations"]}).then(r => r.violations.map(v => v.id + ": " + v.help + " at " + v.nodes.map(n => n.target.join(" ") + " (" + n.failureSummary + ")").join("; ")))`, &violations)
				for _, v := range violations {
					t.Errorf("%s at %d, %s: %s", name, width, scheme, v)
				}
				looked++
			}
		}
	}
	long := httptest.NewServer(site(t, longNames(), func(o *Options) { o.Now = nextMinute() }))
	defer long.Close()
	name := strings.Repeat("long", 60)
	for _, path := range []string{"/", "/history", environmentPath(name), connectionPath(name + "/strava"), query("/approve", "environment", name, "provider", "strava"), query("/pause", "target", name)} {
		var wide bool
		b.open(long.URL+path, 390, "light")
		if b.eval(`document.documentElement.scrollWidth > document.documentElement.clientWidth`, &wide); wide {
			t.Errorf("with a long name %.20s is wider than the window", path)
		}
	}
	t.Logf("COUNT pages judged by axe-core=%d", looked)
}

// TestApproveByKeyboard goes from the overview to an approval with the keys of a keyboard
// alone.
func TestApproveByKeyboard(t *testing.T) {
	b := openBrowser(t)
	d := busy()
	server := httptest.NewServer(site(t, d, func(o *Options) { o.Now = nextMinute() }))
	defer server.Close()
	b.open(server.URL, 1280, "light")
	focused := func() (text string) {
		b.eval(`(e => e.tagName + " " + (e.textContent.trim() || e.name || "") + " " + getComputedStyle(e).outlineStyle)(document.activeElement)`, &text)
		return text
	}
	b.press("Tab")
	if got := focused(); got != "A To the content solid" {
		t.Errorf("the first tab goes to %q", got)
	}
	b.press("Enter")
	until := func(want string) {
		t.Helper()
		for range 200 {
			if b.press("Tab"); strings.HasPrefix(focused(), want) {
				if !strings.HasSuffix(focused(), " solid") {
					t.Errorf("nobody sees that %s is in focus", want)
				}
				return
			}
		}
		t.Fatalf("no tab reaches %q", want)
	}
	until("A production/huawei")
	b.enter()
	until("A Look at it and approve")
	b.enter()
	until("INPUT token")
	b.press(strings.Split(approveToken, "")...)
	until("BUTTON Approve exactly this")
	b.enter()
	var page string
	b.eval(`location.pathname + ": " + document.querySelector(".note").textContent.trim()`, &page)
	if !strings.HasPrefix(page, "/connections/production/huawei: Approved: A run begins now") || len(d.did) != 1 || d.did[0] != "approve production production/huawei by web now false" {
		t.Errorf("at %s, did %v", page, d.did)
	}
}

// pictures are those of docs/page.md.
func pictures() map[string]string {
	return map[string]string{"page": "/", "connection": "/connections/production/huawei", "approval": "/approve?environment=production&provider=huawei"}
}

// TestPicturesOfTheDocuments: they are there, of both widths and not large; with -update they
// are made anew.
func TestPicturesOfTheDocuments(t *testing.T) {
	folder := filepath.Join("..", "..", "docs", "images")
	if *update {
		takePictures(t, folder)
	}
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "page.md"))
	if err != nil {
		t.Fatal(err)
	}
	for name := range pictures() {
		for _, width := range []int{390, 1280} {
			file := fmt.Sprintf("%s-%d.png", name, width)
			data, err := os.ReadFile(filepath.Join(folder, file))
			if err != nil {
				t.Error(err)
				continue
			}
			size, err := png.DecodeConfig(bytes.NewReader(data))
			if err != nil || size.Width != width || len(data) > 150<<10 {
				t.Errorf("%s: %d wide, %d bytes, %v", file, size.Width, len(data), err)
			}
			if !bytes.Contains(text, []byte("images/"+file)) {
				t.Errorf("docs/page.md does not show %s", file)
			}
		}
	}
}

func takePictures(t *testing.T, folder string) {
	t.Helper()
	b := openBrowser(t)
	server := httptest.NewServer(site(t, busy(), func(o *Options) { o.Now = noon }))
	defer server.Close()
	for name, path := range pictures() {
		for width, scheme := range map[int]string{390: "dark", 1280: "light"} {
			b.open(server.URL+path, width, scheme)
			file := filepath.Join(folder, fmt.Sprintf("%s-%d.png", name, width))
			if err := os.WriteFile(file, small(t, b.picture(0, map[int]int{390: 1500, 1280: 1500}[width])), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}
