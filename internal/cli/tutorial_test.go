package cli

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
	"github.com/terra-reconcile/terra-reconcile/providers"
	"github.com/terra-reconcile/terra-reconcile/secrets"
)

// The account of the tutorial: so many sources, of which so many have an own app.
const (
	clickedSources = 15
	clickedKeys    = 9
)

// plausible is a secret of the form that a provider issues, another one for each number.
func plausible(t *testing.T, p providers.Provider, n int) string {
	t.Helper()
	digits := fmt.Sprintf("%04x", 0xa1b2+n*77)
	for _, length := range []int{40, 32, 64, 16, 42, 43, 36, 24} {
		for _, begins := range []string{"5f1d3e0c9b8a7f6e", "q8Zt3LmX0vRw7NcY"} {
			text := strings.Repeat(begins, 4)[:length-len(digits)] + digits
			if len(p.CheckSecret(providers.ClientSecret, secrets.NewValue([]byte(text)))) == 0 {
				return text
			}
		}
	}
	t.Fatalf("%s: no secret of this test would do", p.Slug)
	return ""
}

// clickAccount sets up an account as people do, by hand, and gives the secrets of its own
// apps by provider.
func clickAccount(t *testing.T, terra *terratest.Server, offered map[string]bool) map[string]string {
	t.Helper()
	keys, sources := map[string]string{}, 0
	for n, p := range providers.All() {
		ownApp, isOffered := offered[p.Slug]
		id, has := p.Field(providers.ClientID)
		isOwn := ownApp && has && len(keys) < clickedKeys
		if !isOffered || !isOwn && sources-len(keys) == clickedSources-clickedKeys {
			continue
		}
		sources++
		terra.Enable(importedDevID, p.Slug)
		if isOwn {
			keys[p.Slug] = plausible(t, p, n)
			terra.SetCredential(importedDevID, p.Slug, terratest.Credential{ClientID: id.Sample, Secret: keys[p.Slug]})
		}
		if n%4 == 1 {
			terra.Pause(importedDevID, p.Slug)
		}
	}
	if sources != clickedSources || len(keys) != clickedKeys {
		t.Fatalf("%d sources, %d keys", sources, len(keys))
	}
	t.Logf("COUNT sources of the tutorial's account=%d", sources)
	return keys
}

// TestTutorial types the commands of docs/tutorial.md, in an empty folder with an empty
// home: an account that was clicked is in git, sealed and without a difference after six
// commands.
func TestTutorial(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/tutorial.md")
	if err != nil {
		t.Fatal(err)
	}
	var typed []string
	commands := 0
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(page), -1) {
		for line := range strings.Lines(block[1]) {
			typed = append(typed, line)
			if word := strings.Fields(line)[0]; word != "cd" && word != "export" {
				commands++
			}
		}
	}
	last := len(typed) - 1
	if commands--; commands > 6 || typed[last] != "reconcile --dry-run\n" {
		t.Fatalf("%d commands before the one that shows the end, which is %q", commands, typed[last])
	}
	t.Logf("COUNT commands from clicks to git=%d", commands)

	e := newAccount(t, terratest.EnvironmentOptions{})
	e.now = time.Now()
	offered := map[string]bool{} // with an own app or not
	for slug, offer := range e.offered() {
		offered[slug] = offer.CustomCredentialsAllowed
	}
	keys := clickAccount(t, e.terra, offered)
	home := t.TempDir()
	var file strings.Builder
	s := &scene{work: home}
	for n, slug := range slices.Sorted(maps.Keys(keys)) {
		line := "production/" + slug + " client_secret=" + keys[slug]
		if n%2 == 1 {
			line = "PRODUCTION_" + strings.ToUpper(slug) + "_CLIENT_SECRET='" + keys[slug] + "'"
		}
		file.WriteString(line + "\n")
		s.planted = append(s.planted, keys[slug])
	}
	write(t, filepath.Join(home, "secrets.txt"), file.String())
	program := programAt(t, t.TempDir())
	shell := func(script string) string {
		t.Helper()
		cmd := exec.Command("sh", "-e")
		cmd.Dir, cmd.Stdin = home, strings.NewReader(script)
		cmd.Env = []string{
			"HOME=" + home, "PATH=" + filepath.Dir(program) + string(os.PathListSeparator) + os.Getenv("PATH"),
			"TERRA_BASE_URL=" + e.vars["TERRA_BASE_URL"],
			"TERRA_ADMIN_TOKEN=" + e.terra.AddToken(terratest.Token{Scopes: []string{"providers:read", "providers:write", "connections:read"}}).Bearer,
			"GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@acme.example", "GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@acme.example",
		}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v after\n%s", err, out)
		}
		return string(out)
	}
	said := shell(strings.Join(typed, ""))
	if !strings.Contains(said, fmt.Sprintf("Sealed %d secrets", len(keys))) || !strings.Contains(said, "in sync") || strings.Contains(said, "not compared") {
		t.Errorf("it said\n%s", said)
	}
	write(t, filepath.Join(home, "said"), said)
	if left := shell("git -C terra-config status --porcelain; grep -rl 'unknown: true' terra-config/production || true"); left != "" {
		t.Errorf("not in git, or not sealed:\n%s", left)
	}
	if files := strings.Fields(shell("git -C terra-config ls-files production")); len(files) != clickedSources+1 {
		t.Errorf("in git: %s", files)
	}
	if writes := e.terra.Writes(); len(writes) != 0 {
		t.Errorf("Terra was changed: %v", writes)
	}
	if err := os.Rename(filepath.Join(home, "secrets.txt"), filepath.Join(home, "secret-txt")); err != nil { // which may hold them
		t.Fatal(err)
	}
	s.searchLeaks(t)
}
