package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
	"github.com/terra-reconcile/terra-reconcile/internal/walk"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// exampleRun is what an example of the help needs to be run; the zero value runs it in the
// repository of examples/config, which has been applied, and wants exit code 0.
type exampleRun struct {
	as     string                // what is run instead, where it names what no test has
	before func(w *typedExample) // what a person has done before
	stdin  string
	code   int
	served bool // while a daemon runs
	away   bool // not in the repository
}

// typedExample is one example's machine.
type typedExample struct {
	*example
	home, bin string
	stands    string // the folder that a person stands in, "" is the repository
	byTLS     bool   // its daemon speaks TLS
}

const anotherStravaSecret = "6e2f4d1c8b7a6f5e4d3c2b1a0908070605040302"

// examples are those that need more than an applied repository.
func examples() map[string]exampleRun {
	oneKey := func(w *typedExample) {
		w.put("production/strava.yaml", "provider: strava\ncredentials:\n  client_id: \"123456\"\n")
	}
	sealed := func(w *typedExample) {
		oneKey(w)
		w.types("secret encrypt production/strava.yaml", anotherStravaSecret)
	}
	polar := func(w *typedExample) {
		w.put("production/polar.yaml", "provider: polar\ncredentials:\n  client_id: 0a1b2c3d-0000-4000-8000-0123456789ab\n")
	}
	unknownPolar := func(w *typedExample) {
		w.put("production/polar.yaml", "provider: polar\ncredentials:\n  client_id: 0a1b2c3d-0000-4000-8000-0123456789ab\n  keys: [{unknown: true}]\n")
	}
	planned := func(w *typedExample) {
		w.heldHuawei()
		w.run(2, "plan", "--repo", w.repository(), "--out", filepath.Join(w.home, "plan.json"))
	}
	rotated := func(w *typedExample, secret string) {
		w.types("rotate add production/strava --commit", secret)
		w.run(0, "--repo", w.repository(), "--yes")
		w.now = w.now.Add(48 * time.Hour)
		w.run(0, "--repo", w.repository(), "--yes")
	}
	copied := func(w *typedExample) {
		if err := os.CopyFS(filepath.Join(w.home, "terra-config"), os.DirFS(w.repository())); err != nil {
			w.t.Fatal(err)
		}
	}
	runner := func(w *typedExample) { w.daemonConfig(filepath.Join(w.repository(), "daemon.yaml")) }
	const bitwarden = `[{"name": "production/polar", "login": {"password": "wE5rT8yU2iO4pA7sD1fG6hJ3kL9zX0cV"}}]`
	return map[string]exampleRun{
		"reconcile --dry-run":                                                   {code: 2},
		"reconcile --repo https://git.example/acme/terra":                       {as: "reconcile --repo file://REPO --yes"},
		"reconcile plan --out plan.json":                                        {as: "reconcile plan --out HOME/plan.json", code: 2},
		"reconcile apply plan.json":                                             {before: planned, as: "reconcile apply HOME/plan.json", code: 0},
		"reconcile apply plan.json --env production --now --max-age 2h":         {before: planned, as: "reconcile apply HOME/plan.json --env production --now --max-age 2h"},
		"reconcile apply plan.json --only production/huawei":                    {before: planned, as: "reconcile apply HOME/plan.json --only production/huawei"},
		"reconcile init ~/terra-config":                                         {away: true},
		"reconcile init --env production --dev-id acme-prod-x81LmQ --ci gitlab": {away: true},
		"reconcile init --post-quantum --identity ~/keys/identity.txt":          {away: true},
		"reconcile import --env production --out ~/terra-config":                {before: copied, away: true},
		"reconcile import --secrets ~/secrets.txt": {before: func(w *typedExample) {
			unknownPolar(w)
			w.private("secrets.txt", "production/polar client_secret=wE5rT8yU2iO4pA7sD1fG6hJ3kL9zX0cV\n")
		}},
		"bw list items --search terra | reconcile import --secrets -":            {before: func(w *typedExample) { unknownPolar(w); w.tool("bw", "echo '"+bitwarden+"'") }},
		"reconcile schema ~/terra-config":                                        {before: copied, away: true},
		"reconcile validate ./config":                                            {as: "reconcile validate REPO", away: true},
		"reconcile daemon --config /etc/terra-reconcile/daemon.yaml":             {as: "true", served: true},
		"reconcile approve production/huawei 5e2c497c":                           {before: (*typedExample).heldHuawei, as: "reconcile approve production/huawei CONNECTION", served: true},
		"reconcile approve production 96dca685 --now":                            {before: (*typedExample).heldHuawei, as: "reconcile approve production ENVIRONMENT --now", served: true},
		`reconcile pause --for 2h --reason "incident 12"`:                        {served: true},
		`reconcile pause production --for 45m --reason "vendor maintenance"`:     {served: true},
		`reconcile pause production/strava --for 7d --reason "moving their app"`: {served: true},
		"reconcile resume":                                                           {before: pausedAll, served: true},
		"reconcile resume production/strava":                                         {before: paused, served: true},
		"reconcile now":                                                              {served: true},
		"reconcile log-level debug --for 15m":                                        {served: true},
		"reconcile log-level configured":                                             {served: true},
		"reconcile log-level":                                                        {served: true},
		"reconcile now production":                                                   {served: true},
		"reconcile status":                                                           {served: true},
		"reconcile status -o json":                                                   {served: true},
		"reconcile secret keygen --out ~/identity.txt":                               {away: true},
		"reconcile secret keygen --out identity.txt":                                 {away: true},
		"reconcile secret keygen --post-quantum --out identity-pq.txt":               {away: true},
		"reconcile secret encrypt production/strava.yaml":                            {before: oneKey, stdin: anotherStravaSecret},
		"reconcile secret encrypt production/strava.yaml --issued 2026-11-20":        {before: oneKey, stdin: anotherStravaSecret},
		"reconcile secret encrypt production/strava.yaml --key 2 < new-secret.txt":   {before: newSecretFile},
		"reconcile secret encrypt production/polar.yaml --field verification_secret": {before: polar, stdin: "wE5rT8yU2iO4pA7sD1fG6hJ3kL9zX0cV"},
		"reconcile secret decrypt production/strava.yaml":                            {before: sealed},
		`EDITOR="vim -ni NONE" reconcile secret edit production/strava.yaml`:         {before: func(w *typedExample) { w.tool("vim", "true") }},
		"reconcile rotate add production/strava":                                     {stdin: anotherStravaSecret},
		"reconcile rotate add production/strava --not-before 2026-11-28T02:00:00Z":   {stdin: anotherStravaSecret},
		"reconcile rotate add production/strava --issued 2025-03-14":                 {stdin: anotherStravaSecret},
		"reconcile rotate add production/whoop --probe --commit < new-secret.txt":    {before: func(w *typedExample) { w.whoop(); newSecretFile(w) }},
		"reconcile rotate add production/polar --unknown-first":                      {before: polar, stdin: "wE5rT8yU2iO4pA7sD1fG6hJ3kL9zX0cV"},
		"reconcile rotate prune production/strava --key 1":                           {before: func(w *typedExample) { rotated(w, anotherStravaSecret) }},
		"reconcile rotate prune production/strava --key 1 --key 2 --commit": {before: func(w *typedExample) {
			rotated(w, anotherStravaSecret)
			rotated(w, anotherStravaSecret[:39]+"9")
		}},
		"reconcile token status --config daemon.yaml":                                    {before: runner},
		"reconcile token status --config daemon.yaml -o json":                            {before: runner},
		"reconcile doctor --config /etc/terra-reconcile/daemon.yaml":                     {as: "reconcile doctor --config HOME/daemon.yaml"},
		"reconcile history --since 2026-11-01 --limit 0 -o json | jq '.entries[].error'": {before: func(w *typedExample) { w.tool("jq", "cat") }},
		"reconcile notify test --config daemon.yaml":                                     {before: (*typedExample).hooks, as: "reconcile notify test --config HOME/hooks.yaml"},
		"reconcile notify test --config daemon.yaml --receiver ops":                      {before: (*typedExample).hooks, as: "reconcile notify test --config HOME/hooks.yaml --receiver ops"},
		"reconcile notify-commit --config daemon.yaml report.json":                       {before: (*typedExample).forge, as: "reconcile notify-commit --config HOME/forge.yaml HOME/report.json"},
		`reconcile notify-commit --forge github --project acme/terra-config --commit "$SHA" --proposed plan.json`: {
			before: (*typedExample).forge,
			as:     `reconcile notify-commit --forge github --project acme/terra-config --commit "$SHA" --proposed HOME/report.json --url "$FORGE"`,
		},
		"reconcile preview --url https://daemon.example --ref topic":                  {before: (*typedExample).topic, served: true, code: 2, as: "reconcile preview --url http://" + listening + " --ref topic"},
		"reconcile preview --url http://127.0.0.1:8080 --ref topic -o markdown":       {before: (*typedExample).topic, served: true, code: 2, as: "reconcile preview --url http://" + listening + " --ref topic -o markdown"},
		"reconcile preview --url https://daemon.example --ref topic --ca-file ca.pem": {before: func(w *typedExample) { w.topic(); w.byTLS = true }, served: true, code: 2, as: "reconcile preview --url https://" + listening + " --ref topic --ca-file HOME/ca.pem"},
		"reconcile completion bash > /etc/bash_completion.d/reconcile":                {as: "reconcile completion bash > HOME/reconcile.bash"},
	}
}

// listening is where the daemon beside a line listens.
const listening = `$(grep -o '127.0.0.1:[1-9][0-9]*' HOME/log | head -1)`

func paused(w *typedExample) { w.run(0, "pause", "production/strava", "--for", "7d", "--reason", "x") }

func pausedAll(w *typedExample) { w.run(0, "pause", "--for", "2h", "--reason", "x") }

func newSecretFile(w *typedExample) { w.put("new-secret.txt", anotherStravaSecret+"\n") }

// ownExample is examples/config as one that a person works with: its identity is their own.
type ownExample struct{ program, repository, identity string }

func newOwnExample(t *testing.T) ownExample {
	t.Helper()
	w := &typedExample{example: newExample(t, time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC))}
	identity := filepath.Join(w.dir, "own.txt")
	public := regexp.MustCompile(`age1[0-9a-z]+`).FindString(w.run(0, "secret", "keygen", "--out", identity))
	w.put("terra.yaml", regexp.MustCompile(`age1[0-9a-z]+`).ReplaceAllString(w.example.read("terra.yaml"), public))
	w.vars["RECONCILE_AGE_KEY_FILE"] += ":" + identity
	w.run(0, "secret", "rekey", w.repository(), "--yes-new-recipients")
	if err := os.RemoveAll(filepath.Join(w.repository(), ".git")); err != nil {
		t.Fatal(err)
	}
	return ownExample{programAt(t, t.TempDir()), w.repository(), identity}
}

// put writes a file of the repository, and does not commit it.
func (w *typedExample) put(name, text string) {
	w.t.Helper()
	write(w.t, filepath.Join(w.repository(), name), text)
}

// private writes a file for its owner alone, at home.
func (w *typedExample) private(name, text string) {
	w.t.Helper()
	write(w.t, filepath.Join(w.home, name), text)
}

// tool makes a program that a machine need not have.
func (w *typedExample) tool(name, script string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.bin, name), []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
		w.t.Fatal(err)
	}
}

// types runs a command in the repository, with something on standard input.
func (w *typedExample) types(line, stdin string) {
	w.t.Helper()
	if out, code := w.shell("reconcile "+line, stdin, w.repository()); code != 0 {
		w.t.Fatalf("%s: exit code %d\n%s", line, code, out)
	}
}

// forge is one that takes every status, and a report to post to it.
func (w *typedExample) forge() {
	w.t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusCreated) }))
	w.t.Cleanup(server.Close)
	w.vars["FORGE"], w.vars["SHA"], w.vars["RECONCILE_FORGE_TOKEN"] = server.URL, strings.Repeat("0a", 20), "tok-Zq81mPw7Yx3KvB5d"
	w.private("report.json", w.run(2, "--repo", "file://"+w.repository(), "--dry-run", "-o", "json"))
	name := filepath.Join(w.home, "forge.yaml")
	w.daemonConfig(name)
	text, err := os.ReadFile(name)
	if err != nil {
		w.t.Fatal(err)
	}
	w.private("forge.yaml", string(text)+"notify_commit: {forge: github, url: "+server.URL+", project: acme/terra-config, token_env: RECONCILE_FORGE_TOKEN}\n")
}

// hooks is somebody who takes every message.
func (w *typedExample) hooks() {
	w.t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	w.t.Cleanup(server.Close)
	w.vars["HOOK_SECRET"] = "hook-Zq81mPw7Yx3KvB5d"
	name := filepath.Join(w.home, "hooks.yaml")
	w.daemonConfig(name)
	text, err := os.ReadFile(name)
	if err != nil {
		w.t.Fatal(err)
	}
	w.private("hooks.yaml", string(text)+"notify: {receivers: {ops: {webhook: {url: \""+server.URL+"\", secret_env: HOOK_SECRET}}}, routes: [{receivers: [ops]}]}\n")
}

// topic is a branch, and a daemon that plans it: by TLS for who knows its certificate.
func (w *typedExample) topic() {
	w.t.Helper()
	w.types("version && git branch topic", "")
	w.vars["RECONCILE_PREVIEW_TOKEN"] = strings.Repeat("7c1f4e9a", 5)
	w.private("ca.pem", "")
	if err := writeCertificate(filepath.Join(w.home, "ca.pem"), filepath.Join(w.home, "key.pem")); err != nil {
		w.t.Fatal(err)
	}
}

// whoop is a connection with a key of an own app.
func (w *typedExample) whoop() {
	w.put("production/whoop.yaml", "provider: whoop\ncredentials:\n  client_id: 0a1b2c3d-0000-4000-8000-0123456789ab\n")
	w.types("secret encrypt production/whoop.yaml", strings.Repeat("0a1b2c3d", 8))
	w.commit("WHOOP")
}

// heldHuawei is a commit of which a part waits for a person.
func (w *typedExample) heldHuawei() {
	w.t.Helper()
	w.terra.SetUsers(exampleProduction, "huawei", 37, 0)
	w.put("production/huawei.yaml", strings.Replace(w.read("production/huawei.yaml"), "104512345", "104512346", 1))
	w.commit("Another app")
}

// hashes are those that a dry run shows for production, and for its Huawei.
func (w *typedExample) hashes() (environment, connection string) {
	w.t.Helper()
	var r report.Report
	if err := json.Unmarshal([]byte(w.run(2, "--repo", w.repository(), "--dry-run", "-o", "json", "--env", "production")), &r); err != nil {
		w.t.Fatal(err)
	}
	for _, c := range r.Environments[0].Connections {
		if c.Name == "production/huawei" {
			return strings.TrimPrefix(r.Environments[0].PlanHash, "sha256:"), strings.TrimPrefix(c.PlanHash, "sha256:")
		}
	}
	w.t.Fatal("the plan changes nothing of Huawei")
	return "", ""
}

func (w *typedExample) daemonConfig(name string) {
	w.t.Helper()
	more := ""
	if w.vars["RECONCILE_PREVIEW_TOKEN"] != "" {
		more = "preview: {token_env: RECONCILE_PREVIEW_TOKEN}\n"
	}
	if w.byTLS {
		more += "tls: {cert_file: ca.pem, key_file: key.pem}\n"
	}
	write(w.t, name, more+fmt.Sprintf("repo: {url: %q, poll: 1h}\nstate_dir: %q\nlisten: 127.0.0.1:0\napply: true\naccounts:\n  default: {token_env: TERRA_ADMIN_TOKEN, base_url: %q, dev_ids: [%s, %s]}\n",
		"file://"+w.repository(), w.vars["RECONCILE_STATE_DIR"], w.vars["TERRA_BASE_URL"], exampleProduction, exampleStaging))
}

// shell runs a line as a person would.
func (w *typedExample) shell(line, stdin, dir string) (out string, code int) {
	w.t.Helper()
	clock := filepath.Join(w.home, "clock")
	write(w.t, clock, w.now.Format(time.RFC3339))
	cmd := exec.Command("sh", "-c", line)
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(stdin)
	cmd.Env = []string{
		"HOME=" + w.home, "PATH=" + w.bin + string(os.PathListSeparator) + os.Getenv("PATH"), "EDITOR=true", "RECONCILE_TEST_CLOCK=" + clock,
		"GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@acme.example", "GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@acme.example",
	}
	for name, value := range w.vars {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	text, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		w.t.Fatal(err)
	}
	return string(text), cmd.ProcessState.ExitCode()
}

// besideDaemon is a line while a daemon runs, which answers before and ends well afterwards.
const besideDaemon = `reconcile daemon --config HOME/daemon.yaml > HOME/log 2>&1 & daemon=$!
until [ "$(reconcile status -o json 2> HOME/status | grep -c '"last_run": {')" = 2 ]; do kill -0 $daemon || { cat HOME/log; exit 90; }; sleep 0.1; done
LINE
code=$?
kill $daemon; wait $daemon || { cat HOME/log; exit 91; }
exit $code`

// TestExamplesOfTheHelpRun types every example of every command into a shell. A command
// without an example is an error.
func TestExamplesOfTheHelpRun(t *testing.T) {
	t.Parallel()
	own := newOwnExample(t)
	known, seen := examples(), map[string]bool{}
	var all []string
	for _, c := range append(commands(newRoot(&Process{})), builtIn(newRoot(&Process{}))...) {
		if strings.TrimSpace(c.Example) == "" {
			t.Errorf("%s: its help has no example", c.CommandPath())
		}
		for line := range strings.Lines(regexp.MustCompile(`\\\n *`).ReplaceAllString(c.Example, "")) {
			line = regexp.MustCompile(` {2,}.*`).ReplaceAllString(strings.TrimSpace(line), "") // what it is for
			if line == "" || seen[line] {
				continue
			}
			seen[line] = true
			all = append(all, line)
		}
	}
	some := walk.Few(t, all, 12)
	for i, line := range some {
		t.Run(strconv.Itoa(i+1), func(t *testing.T) { // its name becomes part of a socket's, which has to be short
			t.Parallel()
			runExample(t, own, line, known[line])
		})
	}
	for line := range maps.Keys(known) {
		if !seen[line] {
			t.Errorf("no help has the example %s", line)
		}
	}
	t.Logf("COUNT help_examples_run=%d", len(some))
}

// builtIn are the commands that commands leaves out: what cobra made.
func builtIn(root *cobra.Command) (out []*cobra.Command) {
	for _, c := range root.Commands() {
		if slices.Contains([]string{"completion", "help"}, c.Name()) {
			out = append(append(out, c), c.Commands()...)
		}
	}
	return out
}

// typed is a machine on which the examples have been applied.
func (o ownExample) typed(t *testing.T) *typedExample {
	t.Helper()
	w := &typedExample{example: newExampleOf(t, o.repository, time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)), bin: t.TempDir()}
	w.terra.AddEnvironment(exampleProduction, terratest.EnvironmentOptions{})
	w.terra.AddEnvironment(exampleStaging, terratest.EnvironmentOptions{})
	w.home, w.vars["RECONCILE_AGE_KEY_FILE"] = filepath.Join(w.dir, "home"), o.identity
	if err := errors.Join(os.MkdirAll(w.home, 0o700), os.Symlink(o.program, filepath.Join(w.bin, "reconcile"))); err != nil {
		t.Fatal(err)
	}
	w.run(0, "--repo", w.repository(), "--yes")
	return w
}

func runExample(t *testing.T, own ownExample, line string, how exampleRun) {
	w := own.typed(t)
	if how.before != nil {
		how.before(w)
	}
	w.daemonConfig(filepath.Join(w.home, "daemon.yaml"))
	typed := line
	if how.as != "" {
		typed = how.as
	}
	if strings.Contains(typed, "CONNECTION") || strings.Contains(typed, "ENVIRONMENT") {
		environment, connection := w.hashes()
		typed = strings.NewReplacer("ENVIRONMENT", environment[:8], "CONNECTION", connection[:8]).Replace(typed)
	}
	if how.served {
		typed = strings.Replace(besideDaemon, "LINE", typed, 1)
	}
	typed = strings.NewReplacer("HOME", w.home, "REPO", w.repository()).Replace(typed)
	dir := w.repository()
	if how.away {
		dir = t.TempDir()
	}
	if out, code := w.shell(typed, how.stdin, dir); code != how.code {
		t.Errorf("exit code %d, want %d:\n%s\n%s", code, how.code, typed, out)
	}
}
