package cli

import (
	"strings"
	"testing"
)

// What somebody writes while a secret is asked for is not lost.
func TestWhatChangedMeanwhileIsKept(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.must(newSecret(1), "encrypt", "production/strava.yaml")
	b.write("production/whoop.yaml", "provider: whoop\n")
	const edit = "# while you were looking for it\r\n"
	for _, c := range []struct {
		name    string
		command func(secret string) int
	}{
		{"encrypt", func(secret string) int { return b.do(secret, "encrypt", "production/strava.yaml") }},
		{"add", func(secret string) int { return b.rotate(secret, "add", "production/strava") }},
	} {
		name, command := c.name, c.command
		before := b.snapshot()
		b.meanwhile = func() { b.write("production/strava.yaml", before["production/strava.yaml"]+edit) }
		if code := command(newSecret(20 + len(name))); code != exitFailed || !strings.Contains(b.errText, "production/strava.yaml: it was changed meanwhile, so nothing was written; do it again") {
			t.Errorf("%s: got exit %d, %q", name, code, b.errText)
		}
		if b.read("production/strava.yaml") != before["production/strava.yaml"]+edit || b.changed(before) != "production/strava.yaml" {
			t.Errorf("%s: the edit is lost, or %s changed", name, b.changed(before))
		}
		// The same for a line of the lock, which another command noted.
		b.meanwhile = func() {
			b.meanwhile = nil
			out, errs := b.outText, b.errText
			b.must(newSecret(3), "encrypt", "production/virtuagym.yaml")
			b.outText, b.errText = out, errs
		}
		if code := command(newSecret(20 + len(name))); code != exitOK {
			t.Errorf("%s: got exit %d, %s", name, code, b.errText)
		}
		b.must("", "recipients", "--check", b.dir)
	}
}

// A commit holds what was asked for and nothing else, also what was staged meanwhile.
func TestWhatIsStagedMeanwhileIsNotCommitted(t *testing.T) {
	b := newBench(t)
	b.must(newSecret(1), "encrypt", "production/strava.yaml")
	repo := b.repository()
	head, before := headOf(t, repo), b.snapshot()
	b.meanwhile = func() {
		b.write("notes", "x")
		tree, err := repo.Worktree()
		if err == nil {
			_, err = tree.Add("notes")
		}
		if err != nil {
			t.Error(err)
		}
	}
	if code := b.rotate(newSecret(2), "add", "production/strava", "--commit"); code != exitFailed || !strings.Contains(b.errText, "notes is staged and would slip in; commit it first (git status lists all); nothing was changed") {
		t.Errorf("got exit %d, %q", code, b.errText)
	}
	if headOf(t, repo).Hash != head.Hash || b.changed(before) != "" {
		t.Errorf("a commit was made, or %s changed", b.changed(before))
	}
}

func TestRekeyKeepsWhatChangedMeanwhile(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.must(newSecret(1), "encrypt", "production/strava.yaml")
	b.write("production/whoop.yaml", "provider: whoop\n")
	b.write(".reconcile/recipients.lock", "")
	repository, err := openRepository(b.dir)
	if err != nil {
		t.Fatal(err)
	}
	w, err := repository.Rekey(b.identities(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	b.write("production/strava.yaml", b.read("production/strava.yaml")+"# mine\r\n")
	before := b.snapshot()
	err = finishRekey(&Process{Stdout: &strings.Builder{}, Stderr: &strings.Builder{}}, repository, w)
	if err == nil || !strings.Contains(err.Error(), "production/strava.yaml: it was changed meanwhile") || b.changed(before) != "" {
		t.Errorf("got %v, changed %s", err, b.changed(before))
	}
}
