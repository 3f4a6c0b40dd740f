package cli

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
	"github.com/terra-reconcile/terra-reconcile/internal/walk"
)

// faqRun is what the commands of an answer need, and what they come to.
type faqRun struct {
	before func(w *typedExample)
	stdin  string
	code   int      // of the last command
	says   []string // all of them, however it is folded
	served bool
	writes bool // Terra is changed
}

func answers() map[string]faqRun {
	edit := func(name, before, after string) func(w *typedExample) {
		return func(w *typedExample) {
			text := w.example.read(name)
			if !strings.Contains(text, before) {
				w.t.Fatalf("%s lacks %q", name, before)
			}
			w.put(name, strings.Replace(text, before, after, 1))
			w.commit("Edit")
		}
	}
	noIdentity := func(w *typedExample) { delete(w.vars, "RECONCILE_AGE_KEY_FILE") }
	newRecipient := func(w *typedExample) {
		public := regexp.MustCompile(`age1[0-9a-z]+`).FindString(w.run(0, "secret", "keygen", "--out", filepath.Join(w.home, "other.txt")))
		w.put("terra.yaml", regexp.MustCompile(`age1[0-9a-z]+`).ReplaceAllString(w.example.read("terra.yaml"), public))
	}
	return map[string]faqRun{
		"Can I look first, without changing anything at Terra?": {code: 2, says: []string{"production: in sync", "Nothing was written"}},
		"Do I have to write files for what was set up by hand?": {before: func(w *typedExample) {
			if err := os.Remove(filepath.Join(w.repository(), "production/huawei.yaml")); err != nil {
				w.t.Fatal(err)
			}
		}, says: []string{"production: 1 connection imported"}},
		"Can I try it without an account?":                               {},
		"Do I still need the providers' portals?":                        {says: []string{"developer.huawei.com"}},
		"Does any part of a secret stand in a plan, a log or the state?": {says: []string{"production/strava"}},
		"How do I see in a pull request what it would change?":           {code: 2, says: []string{"valid: 2 environments", "<!-- terra-reconcile -->"}},
		"What do signed commits protect from, and what not?":             {says: []string{"production/strava"}},
		"Does staging have to repeat what production says?":              {says: []string{"client_id"}},
		"How do I use it in a monorepo, or with several repositories?":   {before: (*typedExample).inMonorepo, code: 2, says: []string{"production: in sync"}},
		"Somebody changed it in the dashboard. What now?":                {before: func(w *typedExample) { w.terra.Pause(exampleProduction, "virtuagym") }, code: 2, says: []string{"paused out of band -> active"}},
		"A key was replaced by hand at night. Is it overwritten?":        {before: func(w *typedExample) { w.setByHand() }, code: 2, says: []string{"out of band", "approv"}},
		"Can I go back by git revert?": {before: func(w *typedExample) {
			edit("production/strava.yaml", "scopes: [activity:read_all, profile:read_all]", "scopes: [activity:read_all]")(w)
			w.run(0, "--repo", w.repository(), "--yes")
		}, code: 2, says: []string{"profile:read_all"}},
		"I removed a line, or a file. Why does nothing happen?": {before: edit("production/strava.yaml", "scopes: [activity:read_all, profile:read_all]\n", ""), says: []string{"no longer managed"}},
		"How do I delete a connection?":                         {before: edit("production/huawei.yaml", "provider: huawei\n", "provider: huawei\nstate: disabled\n"), code: 2, says: []string{"disable"}},
		"How do I rename an environment or its folder?":         {says: []string{"live: in sync"}},
		"How do I move to another dev-id or another account?": {before: func(w *typedExample) {
			w.terra.AddEnvironment("acme-new", terratest.EnvironmentOptions{})
			edit("staging/environment.yaml", exampleStaging, "acme-new")(w)
		}, code: 2, says: []string{"was for acme-stag-Wq72Rt", "new: own app 654321"}},
		"Why is nothing applied, and the exit code is 3?":                   {before: (*typedExample).heldHuawei, code: 2, says: []string{"needs approval"}},
		"A new client id wants my approval. How do I give it?":              {before: (*typedExample).heldHuawei, writes: true, says: []string{"applied"}},
		"Can I apply one connection, or one environment, and nothing else?": {},
		"Why does it say *not compared*?":                                   {before: noIdentity, code: 2, says: []string{"not compared"}},
		"What if Terra or git cannot be reached?":                           {before: func(w *typedExample) { w.vars["TERRA_BASE_URL"] = "http://127.0.0.1:1/api/v3/admin" }, code: 1, says: []string{"no answer"}},
		"How do I stop everything now?":                                     {},
		"A client secret leaked. What first?":                               {stdin: anotherStravaSecret, writes: true, says: []string{"Added key 3", "applied"}},
		"Our age identity leaked. What first?":                              {before: newRecipient},
		"I lost the age identity. What now?":                                {before: noIdentity, code: 2, says: []string{"not compared"}},
		"I lost the state folder. What now?":                                {before: func(w *typedExample) { _ = os.RemoveAll(w.vars["RECONCILE_STATE_DIR"]) }, code: 2, says: []string{"no memory yet", "production: in sync"}},
		"What happens if the daemon is down for a week?": {before: func(w *typedExample) {
			w.types("rotate add production/strava --not-before 2026-11-25 --commit", anotherStravaSecret)
			w.now = w.now.Add(7 * 24 * time.Hour)
		}, writes: true, says: []string{"key 3", "1 connection applied"}},
		"Who did this, and who agreed to it?": {says: []string{"production/strava"}},
		"How do I hear of what the daemon does?": {before: func(w *typedExample) {
			w.hooks()
			runner := filepath.Join(w.home, "runner")
			if err := errors.Join(os.Mkdir(runner, 0o700), os.Rename(filepath.Join(w.home, "hooks.yaml"), filepath.Join(runner, "daemon.yaml"))); err != nil {
				w.t.Fatal(err)
			}
		}, says: []string{"ops (webhook): taken"}},
		"Can two daemons share an account?":                 {served: true, code: 1, says: []string{"another reconcile has it open"}},
		"How does a colleague get to open the secrets?":     {before: newRecipient},
		"How do I upgrade, or go back to an older version?": {},
	}
}

// setByHand puts another key into Terra, past every file.
func (w *typedExample) setByHand() {
	w.terra.SetCredential(exampleProduction, "strava", terratest.Credential{ClientID: "123456", Secret: anotherStravaSecret})
}

// inMonorepo lets a person stand in a repository that has this one as a folder.
func (w *typedExample) inMonorepo() {
	w.t.Helper()
	mono := filepath.Join(w.home, "mono")
	if err := os.CopyFS(filepath.Join(mono, "terra"), os.DirFS(w.repository())); err != nil {
		w.t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(mono, "terra", ".git")); err != nil {
		w.t.Fatal(err)
	}
	if _, err := commitAll(mono, "One repository", w.now); err != nil {
		w.t.Fatal(err)
	}
	w.stands = mono
}

// TestFAQ types the commands of each answer of docs/faq.md. Answers are short.
func TestFAQ(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/faq.md")
	if err != nil {
		t.Fatal(err)
	}
	own := newOwnExample(t)
	known, asked := answers(), 0
	type block struct {
		question, typed string
		how             faqRun
	}
	var all []block
	sections := strings.Split(string(page), "\n### ")[1:]
	for _, section := range sections {
		question, answer, _ := strings.Cut(section, "\n")
		answer, _, _ = strings.Cut(answer, "\n## ")
		how, isKnown := known[question]
		blocks := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(answer, -1)
		text, _, _ := strings.Cut(answer, "```")
		if lines := strings.Count(strings.TrimSpace(text), "\n") + 1; !isKnown || len(blocks) != 1 || lines > 8 {
			t.Errorf("%s: known %t, %d blocks of commands, %d lines", question, isKnown, len(blocks), lines)
			continue
		}
		delete(known, question)
		all = append(all, block{question, blocks[0][1], how})
	}
	for _, b := range walk.Few(t, all, 6) {
		asked++
		t.Run(strconv.Itoa(asked), func(t *testing.T) {
			t.Parallel()
			typeAnswer(t, own, b.question, b.typed, b.how)
		})
	}
	for question := range maps.Keys(known) {
		t.Errorf("the page has no question %s", question)
	}
	t.Logf("COUNT faq_answers_typed=%d", asked)
}

func typeAnswer(t *testing.T, own ownExample, question, typed string, how faqRun) {
	w := own.typed(t)
	if how.before != nil {
		how.before(w)
	}
	w.daemonConfig(filepath.Join(w.home, "daemon.yaml"))
	if strings.Contains(typed, "5e2c497c") {
		_, connection := w.hashes()
		typed = strings.ReplaceAll(typed, "5e2c497c", connection[:8])
	}
	if how.served {
		typed = strings.NewReplacer("LINE", typed, "HOME", w.home).Replace(besideDaemon)
	}
	dir := w.repository()
	if w.stands != "" {
		dir = w.stands
	}
	w.terra.ResetLog()
	out, code := w.shell(typed, how.stdin, dir)
	if code != how.code {
		t.Errorf("%s\nexit code %d, want %d:\n%s\n%s", question, code, how.code, typed, out)
	}
	for _, want := range how.says {
		if !strings.Contains(strings.Join(strings.Fields(out), " "), want) {
			t.Errorf("%s\nit does not say %q:\n%s\n%s", question, want, typed, out)
		}
	}
	if writes := len(w.terra.Writes()); writes > 0 != how.writes {
		t.Errorf("%s\n%d writes:\n%s\n%s", question, writes, typed, out)
	}
	if os.Getenv("FAQ_SHOW") != "" {
		t.Logf("%s\n%s\n%s", question, typed, out)
	}
}
