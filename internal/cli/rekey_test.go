package cli

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/internal/repoedit"
	"github.com/terra-reconcile/terra-reconcile/secrets"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

// snapshot reads the files that rekey may change.
func (b *bench) snapshot() map[string]string {
	all := map[string]string{}
	for _, f := range []string{"production/strava.yaml", "production/virtuagym.yaml", "production/whoop.yaml", ".reconcile/recipients.lock"} {
		all[f] = b.read(f)
	}
	return all
}

// changed names the files that are not as they were.
func (b *bench) changed(before map[string]string) string {
	var out []string
	for f, text := range before {
		if b.read(f) != text {
			out = append(out, f)
		}
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// identities are those of the bench.
func (b *bench) identities() *secrets.Identities {
	b.t.Helper()
	ids, err := identities(config.Identities{Files: []string{b.at("identity.txt")}})()
	if err != nil {
		b.t.Fatal(err)
	}
	return ids
}

func TestRekey(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.must(typedSecret, "encrypt", "production/strava.yaml")
	b.must(typedSecret+"aa", "encrypt", "production/virtuagym.yaml")
	b.must(typedSecret, "encrypt", "production/whoop.yaml")
	first, second := b.public, b.keygen("second.txt")
	rules := func(production string) {
		b.write("terra.yaml", "version: 1\nrecipients:\n  - paths: [production/strava.yaml]\n    age: ["+production+"]\n  - paths: [\"**\"]\n    age: ["+first+"]\nsecrets: {binding: require}\n")
	}
	before := b.snapshot()
	if out := b.must("", "rekey", b.dir); out != "Nothing to do: 3 secrets are sealed as terra.yaml says.\n" || b.changed(before) != "" {
		t.Errorf("nothing to do: got %q and changes in %q", out, b.changed(before))
	}
	rules(first + ", " + second)
	out := b.must("", "rekey", b.dir, "--yes-new-recipients")
	if want := "production/strava.yaml:5:18 credentials.client_secret\nSealed 1 secret again, left 2 as they were.\nProved: 1 opens as the same text as before.\nCommit the files above and .reconcile/recipients.lock.\n"; out != want || b.errText != "production/strava.yaml will be readable by:\n  "+first+"\n  "+second+"  (new)\n" {
		t.Errorf("one added: got %q, %q, want %q", out, b.errText, want)
	}
	if got, want := b.changed(before), ".reconcile/recipients.lock production/strava.yaml"; got != want {
		t.Errorf("one added: changed %q, want %q", got, want)
	}
	rules(second)
	if out := b.must("", "rekey", b.dir); !strings.Contains(out, "Not opened again: your own identity no longer opens 1.\n") || strings.Contains(out, "Proved") {
		t.Errorf("one removed: got %q, want it said that nothing was proved", out)
	}
	want := "production/strava.yaml will be readable by: " + second + " warning: " + first + " could open these secrets and may have kept them, and git keeps the old files. Make new ones in the provider's portal: " +
		"production/strava client_secret https://www.strava.com/settings/api reconcile rotate add --repo " + b.dir + " production/strava"
	if got := strings.Join(strings.Fields(b.errText), " "); got != want {
		t.Errorf("one removed: got %q, want %q", got, want)
	}
	b.must("", "recipients", "--check", b.dir)
	rules(first)
	before = b.snapshot()
	if code := b.do("", "rekey", b.dir); code != exitFailed || b.changed(before) != "" || !strings.Contains(b.errText, "nothing was changed:\nproduction/strava.yaml:5:18: credentials.client_secret: no identity opens it") {
		t.Errorf("without the right identity: got exit %d, %q, changes in %q", code, b.errText, b.changed(before))
	}
	b.vars["RECONCILE_AGE_KEY_FILE"] = b.at("second.txt")
	b.must("", "rekey", b.dir, "--yes-new-recipients")
	b.vars["RECONCILE_AGE_KEY_FILE"] = b.at("identity.txt")
	for file, want := range map[string]string{"strava": typedSecret, "virtuagym": typedSecret + "aa", "whoop": typedSecret} {
		if got := b.must("", "decrypt", "production/"+file+".yaml"); got != want+"\n" {
			t.Errorf("%s opens as another text", file)
		}
	}
}

func TestRebindAfterAMove(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.must(typedSecret, "encrypt", "production/strava.yaml")
	b.write("production/whoop.yaml", "provider: whoop\n")
	if err := os.Rename(b.at("production/strava.yaml"), b.at("staging/strava.yaml")); err != nil {
		t.Fatal(err)
	}
	b.must("", "rekey", b.dir)
	if code := b.do("", "decrypt", "staging/strava.yaml"); code != exitFailed {
		t.Errorf("rekey without --rebind bound it anew: exit %d", code)
	}
	b.write(".reconcile/recipients.lock", "")
	if code := b.do("", "rekey", b.dir); code != exitFailed || !strings.Contains(b.errText, "sealed for prod-x/strava/client_secret, found at staging-x") {
		t.Errorf("got exit %d, %q, want it refused without --rebind", code, b.errText)
	}
	b.must("", "rekey", b.dir, "--rebind", "staging/strava.yaml", "--yes-new-recipients")
	if got := b.must("", "decrypt", "staging/strava.yaml"); got != typedSecret+"\n" {
		t.Error("after --rebind it opens as another text")
	}
	if code := b.do("", "rekey", b.dir, "--rebind", "staging/environment.yaml"); code != exitFailed {
		t.Errorf("--rebind of another file: got exit %d, want %d", code, exitFailed)
	}
}

// TestHostileRebind lets somebody commit a copy of another connection's secret: a person
// who is told to bind it to its new place must not hand it over.
func TestHostileRebind(t *testing.T) {
	t.Parallel()
	const next = "it is a copy, that of production/strava.yaml is not for here; make a new one in the provider's portal: reconcile secret encrypt {FILE}"
	copied := func(b *bench, to string) { b.write(to, b.read("production/strava.yaml")) }
	for _, a := range []struct {
		attack string
		before func(b *bench)
		rebind string
		file   string
	}{
		{attack: "a copy in another environment", before: func(b *bench) { copied(b, "staging/strava.yaml") }, rebind: "staging/strava.yaml", file: "staging/strava.yaml"},
		{attack: "a copy in another environment whose folder is named", before: func(b *bench) { copied(b, "staging/strava.yaml") }, rebind: "{DIR}/staging", file: "staging/strava.yaml"},
		{attack: "a copy of the secret that was there before", before: func(b *bench) {
			copied(b, "staging/strava.yaml")
			b.must(newSecret(2), "encrypt", "production/strava.yaml")
		}, rebind: "staging/strava.yaml", file: "staging/strava.yaml"},
		{attack: "a copy and another dev_id where it came from", before: func(b *bench) {
			copied(b, "staging/strava.yaml")
			b.write("production/environment.yaml", "dev_id: prod-y\nprune: never\n")
		}, rebind: "staging/strava.yaml", file: "staging/strava.yaml"},
		{attack: "a copy and other letters in the dev_id where it came from", before: func(b *bench) {
			copied(b, "staging/strava.yaml")
			b.write("production/environment.yaml", "dev_id: Prod-X\nprune: never\n")
			b.must(newSecret(2), "encrypt", "production/strava.yaml")
		}, rebind: "staging/strava.yaml", file: "staging/strava.yaml"},
		{attack: "a copy in another connection", before: func(b *bench) {
			b.write("production/oura.yaml", strings.Replace(b.read("production/strava.yaml"), "provider: strava", "provider: oura", 1))
		}, rebind: "production/oura.yaml", file: "production/oura.yaml"},
	} {
		t.Run(a.attack, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.write("production/whoop.yaml", "provider: whoop\n")
			b.must(typedSecret, "encrypt", "production/strava.yaml")
			a.before(b)
			before := b.snapshot()
			says := strings.Replace(next, "{FILE}", b.at(a.file), 1)
			if code := b.do("", "rekey", b.dir, "--rebind", strings.Replace(a.rebind, "{DIR}", b.dir, 1)); code != exitFailed || b.changed(before) != "" || !strings.Contains(b.errText, says) {
				t.Errorf("rekey: got exit %d, %q, changed %q; want %q", code, b.errText, b.changed(before), says)
			}
			if code := b.do("", "decrypt", a.file); code != exitFailed || !strings.Contains(b.errText, says) || strings.Contains(b.errText, "--rebind") {
				t.Errorf("decrypt: got exit %d, %q; want %q and no --rebind", code, b.errText, says)
			}
		})
	}
}

// A provider was renamed and a dev_id changed: one folder is named instead of each
// file.
func TestRebindAFolder(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.must(typedSecret, "encrypt", "production/strava.yaml")
	b.must(newSecret(2), "encrypt", "production/whoop.yaml")
	b.must(newSecret(3), "encrypt", "production/virtuagym.yaml")
	b.write("production/environment.yaml", "dev_id: prod-y\nprune: never\n")
	out := b.must("", "rekey", b.dir, "--rebind", b.at("production"))
	for _, want := range []string{"production/strava.yaml:5:18 credentials.client_secret (was for prod-x/strava/client_secret)\n", "Sealed 3 secrets again, left 0 as they were.\nProved: 3 open as the same text as before.\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("got %q, want %q in it", out, want)
		}
	}
	if got := b.must("", "decrypt", "production/virtuagym.yaml"); got != newSecret(3)+"\n" {
		t.Error("after --rebind it opens as another text")
	}
	b.write("production/whoop.yaml", strings.Replace(b.read("production/whoop.yaml"), "whoop", "polar", 1))
	b.must("", "rekey", b.dir, "--rebind", "production/whoop.yaml")
	if got := b.must("", "decrypt", "production/whoop.yaml"); got != newSecret(2)+"\n" {
		t.Error("after a renamed provider it opens as another text")
	}
	if code := b.do("", "rekey", b.dir, "--rebind", b.at("staging")); code != exitFailed || !strings.Contains(b.errText, "staging: it is not a connection file") {
		t.Errorf("a folder without connections: got exit %d, %q", code, b.errText)
	}
}

// Of a folder only what is bound to another place is sealed anew, down to one of two
// secrets of a file, and a second time nothing.
func TestRebindTouchesOnlyWhatMustChange(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.must(newSecret(1), "encrypt", "production/strava.yaml")
	b.must(newSecret(2), "encrypt", "production/whoop.yaml")
	b.must(newSecret(3), "encrypt", "production/virtuagym.yaml")
	b.must(newSecret(4), "encrypt", "production/whoop.yaml", "--field", "verification_secret")
	moved := strings.Split(b.read("production/virtuagym.yaml"), "api_key: !age |\n")[1]
	b.write("production/whoop.yaml", strings.Split(b.read("production/whoop.yaml"), "      client_secret: !age |\n")[0]+"      client_secret: !age |\n"+strings.ReplaceAll(moved, "    ", "        "))
	b.must(newSecret(4), "encrypt", "production/whoop.yaml", "--field", "verification_secret")
	b.write("production/virtuagym.yaml", "provider: virtuagym\n")
	before := b.snapshot()
	_, verification, _ := strings.Cut(before["production/whoop.yaml"], "  verification_secret: ")

	b.must("", "rekey", b.dir, "--rebind", b.at("production"))
	if want := "production/whoop.yaml:7:22 credentials.keys[2].client_secret (was for prod-x/virtuagym/client_secret)\nSealed 1 secret again, left 2 as they were.\n"; !strings.HasPrefix(b.outText, want) {
		t.Errorf("got %q, want %q", b.outText, want)
	}
	if got := b.changed(before); got != ".reconcile/recipients.lock production/whoop.yaml" || !strings.HasSuffix(b.read("production/whoop.yaml"), verification) {
		t.Errorf("changed: %s\n%s", got, b.read("production/whoop.yaml"))
	}
	before = b.snapshot()
	if out := b.must("", "rekey", b.dir, "--rebind", b.at("production")); out != "Nothing to do: 3 secrets are sealed as terra.yaml says.\n" || b.changed(before) != "" {
		t.Errorf("again: got %q, changed %s", out, b.changed(before))
	}
	second := b.keygen("second.txt")
	b.write("terra.yaml", "version: 1\nrecipients:\n  - paths: [\"**\"]\n    age: ["+b.public+", "+second+"]\nsecrets: {binding: require}\n")
	if b.must("", "rekey", b.dir, "--yes-new-recipients", "--rebind", b.at("production")); !strings.Contains(b.outText, "Sealed 3 secrets again, left 0 as they were.") {
		t.Errorf("another recipient: got %q", b.outText)
	}
}

// TestRekeySaysWhatNobodyNoted: without a line in the lock nobody knows who could
// read a secret.
func TestRekeySaysWhatNobodyNoted(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.must(typedSecret, "encrypt", "production/strava.yaml")
	b.write("production/whoop.yaml", "provider: whoop\n")
	b.write(secrets.LockPath, "")
	b.must("", "rekey", b.dir, "--yes-new-recipients")
	if !strings.Contains(b.errText, "\nwarning: nobody noted who could open 1 secret before") {
		t.Errorf("got %q", b.errText)
	}
}

// TestRekeyProvesTheFiles lets a disk give back another secret than was written.
func TestRekeyProvesTheFiles(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.must(typedSecret, "encrypt", "production/strava.yaml")
	b.write("production/whoop.yaml", "provider: whoop\n")
	b.write(secrets.LockPath, "")
	repository, err := openRepository(b.dir)
	if err != nil {
		t.Fatal(err)
	}
	repository.Write = func(path string, text []byte) error {
		if filepath.Ext(path) == ".yaml" {
			recipients, err := secrets.ParseRecipients([]string{b.public}, nil)
			if err != nil {
				return err
			}
			other, err := secrets.Seal(secrets.NewValue([]byte(newSecret(2))), secrets.Binding{Account: secrets.DefaultAccount, DevID: "prod-x", Provider: "strava", Field: "client_secret"}, recipients)
			if err != nil {
				return err
			}
			if text, err = spec.SetSecret(text, []string{"credentials", "client_secret"}, other.Armor()); err != nil {
				return err
			}
		}
		return repoedit.Replace(path, text)
	}
	w, err := repository.Rekey(b.identities(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = finishRekey(&Process{Stdout: t.Output(), Stderr: t.Output()}, repository, w)
	if err == nil || !strings.HasPrefix(err.Error(), "prove production/strava.yaml:5:18 credentials.client_secret: what was just sealed opens as another text; put the file back") {
		t.Errorf("got %v", err)
	}
}

var errStopped = errors.New("stopped")

// TestRekeyIsInterruptedAnywhere stops a rekey before and after each file that it
// writes, also with a half-written copy beside it. Every file must be whole, and a
// second run must finish, although the one who runs it is no recipient any more.
func TestRekeyIsInterruptedAnywhere(t *testing.T) {
	t.Parallel()
	const writes = 5 // lock, three files, lock
	stops := 0
	for stop := range writes + 1 {
		for _, kind := range []string{"before", "half", "after"} {
			b := newBench(t)
			b.must(typedSecret, "encrypt", "production/strava.yaml")
			b.must(newSecret(2), "encrypt", "production/virtuagym.yaml")
			b.must(newSecret(3), "encrypt", "production/whoop.yaml")
			second := b.keygen("second.txt")
			b.write("terra.yaml", "version: 1\nrecipients:\n  - paths: [\"**\"]\n    age: ["+second+"]\nsecrets: {binding: require}\n")
			before := b.snapshot()
			written := stopRekey(t, b, stop, kind)
			if (stop == writes) != (written == writes) {
				t.Fatalf("%s write %d: %d were made", kind, stop, written)
			}
			for file := range before {
				if _, err := spec.Secrets([]byte(b.read(file))); strings.HasSuffix(file, ".yaml") && err != nil {
					t.Fatalf("%s write %d: %s is not whole: %v", kind, stop, file, err)
				}
			}
			b.must("", "rekey", b.dir, "--yes-new-recipients")
			b.must("", "recipients", "--check", b.dir)
			b.vars["RECONCILE_AGE_KEY_FILE"] = b.at("second.txt")
			for file, want := range map[string]string{"strava": typedSecret, "virtuagym": newSecret(2), "whoop": newSecret(3)} {
				if got := b.must("", "decrypt", "production/"+file+".yaml"); got != want+"\n" {
					t.Errorf("%s write %d: %s opens as another text", kind, stop, file)
				}
			}
			if lines := strings.Count(b.read(secrets.LockPath), "\nsha256:"); lines != 3 {
				t.Errorf("%s write %d: the lock has %d secrets, want 3", kind, stop, lines)
			}
			stops++
		}
	}
	t.Logf("COUNT rekey_interruptions=%d", stops)
}

// stopRekey runs a rekey that ends at a write, and returns how many were made.
func stopRekey(t *testing.T, b *bench, stop int, kind string) (written int) {
	t.Helper()
	repository, err := openRepository(b.dir)
	if err != nil {
		t.Fatal(err)
	}
	repository.Write = func(path string, text []byte) error {
		if written < stop {
			written++
			return repoedit.Replace(path, text)
		}
		switch kind {
		case "half":
			if err := os.WriteFile(filepath.Join(filepath.Dir(path), ".reconcile-1"), text[:len(text)/2], 0o600); err != nil {
				return err
			}
		case "after":
			if err := repoedit.Replace(path, text); err != nil {
				return err
			}
		}
		return errStopped
	}
	w, err := repository.Rekey(b.identities(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	proc := &Process{Stdout: t.Output(), Stderr: t.Output()}
	if err := finishRekey(proc, repository, w); err != nil && !errors.Is(err, errStopped) {
		t.Fatal(err)
	}
	return written
}
