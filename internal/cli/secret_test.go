package cli

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"filippo.io/age/armor"
)

const typedSecret = "5f1d3e0c9b8a7f6e5d4c3b2a190807060504f0aa"

// bench is a config repository and a command line to work on it.
type bench struct {
	t       *testing.T
	dir     string
	keys    string // where identities are: never in the repository
	vars    map[string]string
	public  string
	now     time.Time
	outText string
	errText string
	// meanwhile is what another does while the next command waits for its input.
	meanwhile func()
}

// input is what a person types, after meanwhile.
type input struct {
	io.Reader
	meanwhile func()
}

func (i *input) Read(p []byte) (int, error) {
	if i.meanwhile != nil {
		i.meanwhile()
		i.meanwhile = nil
	}
	return i.Reader.Read(p)
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, dir: t.TempDir(), keys: t.TempDir(), vars: map[string]string{}, now: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)}
	b.vars["RECONCILE_AGE_KEY_FILE"] = b.at("identity.txt")
	b.public = b.keygen("identity.txt")
	b.write("terra.yaml", "version: 1\nrecipients:\n  - paths: [\"**\"]\n    age: ["+b.public+"]\nsecrets: {binding: require}\n")
	b.write("production/environment.yaml", "dev_id: prod-x\nprune: never\n")
	b.write("staging/environment.yaml", "dev_id: staging-x\nprune: never\n")
	b.write("production/strava.yaml", "# ours\r\nprovider: strava\r\ncredentials: # by hand\r\n  client_id: \"123456\"\r\n")
	b.write("production/virtuagym.yaml", "provider: virtuagym\ncredentials:\n  portal_name: acme\n")
	b.write("production/whoop.yaml", "provider: whoop\ncredentials:\n  client_id: 0f8fad5b-d9cb-469f-a165-70867728950e\n  keys:\n    - {unknown: true}\n    - not_before: 2026-11-28\n")
	return b
}

func (b *bench) at(name string) string {
	if strings.HasSuffix(name, ".txt") {
		return filepath.Join(b.keys, name)
	}
	return filepath.Join(b.dir, filepath.FromSlash(name))
}

func (b *bench) write(name, text string) {
	b.t.Helper()
	if err := os.MkdirAll(filepath.Dir(b.at(name)), 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(b.at(name), []byte(text), 0o640); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) read(name string) string {
	b.t.Helper()
	text, err := os.ReadFile(b.at(name))
	if err != nil {
		b.t.Fatal(err)
	}
	return string(text)
}

// do runs one secret command; words that name a file of the repository are made
// whole.
func (b *bench) do(stdin string, args ...string) int {
	b.t.Helper()
	for i, a := range args {
		if strings.HasSuffix(a, ".yaml") || strings.HasSuffix(a, ".txt") {
			args[i] = b.at(a)
		}
	}
	return b.run(stdin, append([]string{"secret"}, args...)...)
}

// run runs one command line. Nothing but decrypt may show the typed secret.
func (b *bench) run(stdin string, args ...string) int {
	b.t.Helper()
	var out, errs bytes.Buffer
	proc := &Process{
		Stdin: &input{strings.NewReader(stdin), b.meanwhile}, Stdout: &out, Stderr: &errs,
		Getenv: func(name string) string { return b.vars[name] },
		Now:    func() time.Time { return b.now },
	}
	b.meanwhile = nil
	code := Run(b.t.Context(), args, proc)
	b.outText, b.errText = out.String(), errs.String()
	if !slices.Contains(args, "decrypt") && strings.Contains(b.outText+b.errText, typedSecret[:6]) {
		b.t.Fatalf("%q shows the secret:\n%s%s", args, b.outText, b.errText)
	}
	return code
}

func (b *bench) must(stdin string, args ...string) string {
	b.t.Helper()
	if code := b.do(stdin, args...); code != exitOK {
		b.t.Fatalf("%q: got exit %d, want 0\n%s%s", args, code, b.outText, b.errText)
	}
	return b.outText
}

func (b *bench) keygen(file string) string {
	b.t.Helper()
	b.must("", "keygen", "--out", file)
	_, after, _ := strings.Cut(b.outText, "Recipient: ")
	public, _, _ := strings.Cut(after, " ")
	return public
}

func TestSealedSecretsAreWrittenInPlaceAndOpen(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	before := b.read("production/strava.yaml")
	out := b.must(typedSecret+"\r\n", "encrypt", "production/strava.yaml")
	if want := "Sealed credentials.client_secret of production/strava for 1 recipient.\nCommit production/strava.yaml and .reconcile/recipients.lock.\n"; out != want {
		t.Errorf("got %q, want %q", out, want)
	}
	after := b.read("production/strava.yaml")
	if !strings.HasPrefix(after, before) || !strings.Contains(after, "  client_secret: !age |\r\n    -----BEGIN AGE") {
		t.Errorf("the rest of the file changed:\n%q", after)
	}
	if info, err := os.Stat(b.at("production/strava.yaml")); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("got mode %v, %v, want it kept", info.Mode(), err)
	}
	if got := b.must("", "decrypt", "production/strava.yaml"); got != typedSecret+"\n" {
		t.Errorf("decrypt gave another text")
	}
	b.must(typedSecret, "encrypt", "production/virtuagym.yaml")
	if text := b.read("production/virtuagym.yaml"); !strings.Contains(text, "  api_key: !age |\n") {
		t.Errorf("Virtuagym's own name is api_key; got\n%s", text)
	}
	b.must(typedSecret, "encrypt", "production/whoop.yaml")
	b.must(typedSecret, "encrypt", "production/whoop.yaml", "--key", "2")
	if text := b.read("production/whoop.yaml"); strings.Count(text, "!age") != 1 || !strings.Contains(text, "{unknown: true}\n") {
		t.Errorf("want the second key sealed once and the first untouched; got\n%s", text)
	}
	if got := b.must("", "decrypt", "production/whoop.yaml"); got != typedSecret+"\n" {
		t.Errorf("decrypt of a list entry gave another text")
	}
	if lines := strings.Count(b.read(".reconcile/recipients.lock"), "\nsha256:"); lines != 3 {
		t.Errorf("got %d secrets in the lock, want 3: the replaced one is forgotten", lines)
	}
	if out := b.must("", "recipients", "--check", b.dir); out != "ok: 3 secrets are sealed as terra.yaml says\n" {
		t.Errorf("got %q", out)
	}
	left, err := filepath.Glob(b.at("production/.reconcile-*"))
	if err != nil || len(left) != 0 {
		t.Errorf("temporary files are left: %q, %v", left, err)
	}
}

func TestSecretCommandsRefuse(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.must(typedSecret, "encrypt", "production/strava.yaml")
	b.write("staging/strava.yaml", b.read("production/strava.yaml"))
	b.write("production/polar.yaml", "provider: polar\ncredentials:\n  client_id: \"1\"\n  client_secret: "+typedSecret+"\n")
	b.write("production/garmin.yaml", "provider: garmin\ncredentials: ["+typedSecret+"\n")
	other := newBench(t)
	for _, c := range []struct {
		name, stdin string
		args        []string
		code        int
		want        string
	}{
		{"no file", "", []string{"encrypt"}, exitUsage, "missing: FILE"},
		{"missing file", typedSecret, []string{"encrypt", "production/gone.yaml"}, exitFailed, "no such file"},
		{"not a connection", typedSecret, []string{"encrypt", "production/environment.yaml"}, exitFailed, "production/environment.yaml: it is not a connection file"},
		{"broken YAML", typedSecret, []string{"encrypt", "production/garmin.yaml"}, exitFailed, "reconcile validate"},
		{"unknown field", typedSecret, []string{"encrypt", "production/strava.yaml", "--field", "password"}, exitUsage, "client_secret and verification_secret"},
		{"key without a list", typedSecret, []string{"encrypt", "production/strava.yaml", "--key", "1"}, exitUsage, "does not stand in a list"},
		{"key out of range", typedSecret, []string{"encrypt", "production/whoop.yaml", "--key", "3"}, exitUsage, "credentials.keys has 2 entries"},
		{"unknown key", typedSecret, []string{"encrypt", "production/whoop.yaml", "--key", "1"}, exitUsage, "unknown: true"},
		{"empty", "", []string{"encrypt", "production/whoop.yaml"}, exitFailed, "secret is empty; nothing was changed"},
		{"two lines", typedSecret + "\n" + typedSecret, []string{"encrypt", "production/whoop.yaml"}, exitFailed, "control or invisible"},
		{"not as the provider's", "<" + typedSecret + ">", []string{"encrypt", "production/strava.yaml"}, exitFailed, "nothing was changed"},
		{"nothing sealed", "", []string{"decrypt", "production/whoop.yaml"}, exitFailed, "nothing sealed stands at credentials.keys[2]."},
		{"not sealed", "", []string{"decrypt", "production/polar.yaml"}, exitFailed, "nothing sealed stands at credentials.client_secret"},
		{"copied", "", []string{"decrypt", "staging/strava.yaml"}, exitFailed, "staging/strava.yaml:5:18: open credentials.client_secret: sealed for prod-x/strava/client_secret, found at staging-x/strava/client_secret"},
		{"errors elsewhere", "", []string{"recipients", "--check", b.dir}, exitFailed, "reconcile validate"},
		{"existing identity", "", []string{"keygen", "--out", "identity.txt"}, exitFailed, "file exists"},
		{"other identity", "", []string{"decrypt", "production/strava.yaml"}, exitFailed, "no identity opens it: it is sealed for 1 recipient (X25519), and 1 identity at hand did not match"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b.t = t
			if c.name == "other identity" {
				b.vars["RECONCILE_AGE_KEY_FILE"] = other.at("identity.txt")
			}
			lock := b.read(".reconcile/recipients.lock")
			code := b.do(c.stdin, c.args...)
			if code != c.code || !strings.Contains(b.errText, c.want) || b.outText != "" {
				t.Errorf("got exit %d, %q and output %q, want %d, %q and none", code, b.errText, b.outText, c.code, c.want)
			}
			if b.read(".reconcile/recipients.lock") != lock {
				t.Error("the lock changed")
			}
		})
	}
	b.t = t
	delete(b.vars, "RECONCILE_AGE_KEY_FILE")
	if code := b.do("", "decrypt", "production/strava.yaml"); code != exitFailed || !strings.Contains(b.errText, "none was given; it is sealed for 1 recipient (X25519); set RECONCILE_AGE_KEY_FILE") {
		t.Errorf("without identity: got exit %d, %q", code, b.errText)
	}
}

func TestRecipientsAreChecked(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.must(typedSecret, "encrypt", "production/strava.yaml")
	old := b.public
	second := b.keygen("second.txt")
	sealed := b.read(".reconcile/recipients.lock")
	rule := func(list string) {
		b.write("terra.yaml", "version: 1\nrecipients:\n  - paths: [\"**\"]\n    age: ["+list+"]\nsecrets: {binding: require}\n")
	}
	b.write("production/whoop.yaml", "provider: whoop\n")
	for _, c := range []struct{ name, recipients, lock, want string }{
		{"one added", old + ", " + second, sealed, "wrong: cannot be opened by " + second},
		{"one removed", second, sealed, "wrong: not in terra.yaml: " + old + "; cannot be opened by " + second},
		{"not noted", old, "", "wrong: nobody noted whom it is sealed for"},
		{"lock edited", old + ", " + second, strings.Replace(sealed, old, old+","+second, 1), "wrong: .reconcile/recipients.lock does not fit the age file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b.t = t
			rule(c.recipients)
			b.write(".reconcile/recipients.lock", c.lock)
			if code := b.do("", "recipients", "--check", b.dir); code != exitFailed || !strings.Contains(b.outText, c.want) || !strings.Contains(b.errText, "1 secret is not sealed as terra.yaml says") {
				t.Errorf("got exit %d\n%s%s\nwant %q", code, b.outText, b.errText, c.want)
			}
			if b.do("", "recipients", b.dir) != exitOK || !strings.Contains(b.outText, "production/strava.yaml:5:18 credentials.client_secret\n") {
				t.Errorf("without --check: got %q, want a list and exit 0", b.outText)
			}
		})
	}
	b.t = t
	rule(old)
	b.write(".reconcile/recipients.lock", "x\n")
	if code := b.do("", "recipients", b.dir); code != exitFailed || !strings.Contains(b.errText, ".reconcile/recipients.lock:1: not") {
		t.Errorf("damaged lock: got exit %d, %q, want its line", code, b.errText)
	}
}

// A commit may hold anything where the lock is to stand. None of it leads out of the
// repository, acts on a terminal, or keeps the next step that is told from working.
func TestHostileLock(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	outside := t.TempDir()
	for name, c := range map[string]struct {
		link, target, want string
	}{
		"a folder elsewhere": {".reconcile", outside, ".reconcile: it is not a folder of this repository; remove it"},
		"a file elsewhere":   {".reconcile/recipients.lock", filepath.Join(outside, "new"), ".reconcile/recipients.lock: it is not a file of this repository; remove it"},
	} {
		if err := os.MkdirAll(filepath.Dir(b.at(c.link)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(c.target, b.at(c.link)); err != nil {
			t.Fatal(err)
		}
		before := b.read("production/strava.yaml")
		for _, command := range []func() int{
			func() int { return b.do(typedSecret, "encrypt", "production/strava.yaml") },
			func() int { return b.rotate(typedSecret, "add", "production/strava") },
		} {
			if code := command(); code != exitFailed || !strings.Contains(b.errText, c.want) || b.read("production/strava.yaml") != before {
				t.Errorf("%s: got exit %d, %q, want %q and no change", name, code, b.errText, c.want)
			}
		}
		if left, err := os.ReadDir(outside); err != nil || len(left) > 0 {
			t.Errorf("%s: outside there is %v, %v", name, left, err)
		}
		if err := os.RemoveAll(b.at(".reconcile")); err != nil {
			t.Fatal(err)
		}
	}
	b.write("production/whoop.yaml", "provider: whoop\n")
	b.must(typedSecret, "encrypt", "production/strava.yaml")
	good := b.read(".reconcile/recipients.lock")
	b.write(".reconcile/recipients.lock", strings.Replace(good, " age1", " age1\x1b[2J,age1", 1))
	for _, command := range []string{"recipients", "rekey"} {
		if code := b.do("", command, b.dir); code != exitFailed || strings.Contains(b.outText+b.errText, "\x1b") || !strings.Contains(b.errText, "remove the line, then seal again for all recipients: reconcile secret rekey ") {
			t.Errorf("%s: got exit %d, %q, %q", command, code, b.outText, b.errText)
		}
	}
	b.write(".reconcile/recipients.lock", good[:strings.Index(good, "sha256:")])
	b.must("", "rekey", b.dir, "--yes-new-recipients")
	b.must("", "recipients", "--check", b.dir)
}

// The command that seals a secret again is about that secret and reads as one word
// where a shell would read a program.
func TestDecryptTellsHowToSealAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.write("terra.yaml", strings.Replace(b.read("terra.yaml"), "require", "allow-plain", 1))
	if err := os.Remove(b.at("production/strava.yaml")); err != nil {
		t.Fatal(err)
	}
	const file = "production/$(touch x) a.yaml"
	b.write(file, "provider: strava\ncredentials:\n  keys:\n    - client_secret: "+b.plain(typedSecret)+"    - client_secret: "+b.plain(typedSecret)+"  verification_secret: "+b.plain(typedSecret))
	quoted := "'" + b.at(file) + "'"
	for want, args := range map[string][]string{
		" --key 2": {"--key", "2"}, " --field verification_secret": {"--field", "verification_secret"},
	} {
		b.must("", append([]string{"decrypt", file}, args...)...)
		if want = "  seal it again: reconcile secret encrypt " + quoted + want + "\n"; !strings.HasSuffix(b.errText, want) {
			t.Errorf("got %q, want %q", b.errText, want)
		}
	}
}

// plain is a text as the age command seals it, below a field.
func (b *bench) plain(contents string) string {
	b.t.Helper()
	recipient, err := age.ParseX25519Recipient(b.public)
	if err != nil {
		b.t.Fatal(err)
	}
	var text strings.Builder
	armored := armor.NewWriter(&text)
	w, err := age.Encrypt(armored, recipient)
	if err == nil {
		_, err = io.WriteString(w, contents)
	}
	if err = errors.Join(err, w.Close(), armored.Close()); err != nil {
		b.t.Fatal(err)
	}
	return "!age |\n        " + strings.ReplaceAll(strings.TrimSpace(text.String()), "\n", "\n        ") + "\n"
}

func TestKeygen(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	info, err := os.Stat(b.at("identity.txt"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("got mode %v, %v, want 0600", info.Mode(), err)
	}
	for flag, prefix := range map[string]string{"": "AGE-SECRET-KEY-1", "--post-quantum": "AGE-SECRET-KEY-PQ-1"} {
		args := []string{"keygen"}
		if flag != "" {
			args = append(args, flag)
		}
		out := b.must("", args...)
		if !strings.Contains(out, "\n"+prefix) || strings.Contains(b.errText, prefix) || !strings.HasPrefix(b.errText, "Recipient: age1") {
			t.Errorf("%s: the identity belongs on standard output, the recipient on standard error; got %q there", flag, b.errText)
		}
	}
	proc := &Process{Stdout: &bytes.Buffer{}, Stderr: &bytes.Buffer{}, Terminals: Terminals{true, true, true}}
	if code := Run(t.Context(), []string{"secret", "keygen"}, proc); code != exitUsage {
		t.Errorf("on a terminal: got exit %d, want %d and no identity shown", code, exitUsage)
	}
}

// A first secret with a day of issue becomes an entry of keys, so that its age is
// known from the beginning.
func TestFirstSecretWithItsAge(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	out := b.must(typedSecret, "encrypt", "production/strava.yaml", "--issued", "2026-11-20")
	if want := "Sealed credentials.keys[1].client_secret of production/strava for 1 recipient.\n"; !strings.HasPrefix(out, want) {
		t.Errorf("got %q, want %q", out, want)
	}
	if text := b.read("production/strava.yaml"); !strings.Contains(text, "  keys:\r\n    - issued: 2026-11-20\r\n      client_secret: !age |\r\n") {
		t.Errorf("got\n%s", text)
	}
	if b.must("", "decrypt", "production/strava.yaml") != typedSecret+"\n" {
		t.Error("it opens as another text")
	}
	b.must(newSecret(2), "encrypt", "production/virtuagym.yaml", "--issued", "2026-11-23")
	if text := b.read("production/virtuagym.yaml"); !strings.Contains(text, "    - issued: 2026-11-23\n      api_key: !age |\n") {
		t.Errorf("got\n%s", text)
	}
	for _, c := range []struct{ file, issued, field, want string }{
		{"strava", "2026-11-20", "client_secret", "production/strava.yaml has credentials.keys already\n  or add a newer one: reconcile rotate add --repo " + b.at("") + " production/strava\n  write issued: 2026-11-20 beside this entry, and replace its secret: reconcile secret encrypt " + b.at("production/strava.yaml") + " --key 1\n"},
		{"whoop", "2026-11-20", "client_secret", "production/whoop.yaml --key 2\n"},
		{"strava", "2026-11-20", "verification_secret", "only a client secret has an age"},
		{"strava", "2026-11-24", "client_secret", "--issued 2026-11-24: it is in the future; write the day on which it was made"},
		{"strava", "2026-02-30", "client_secret", `--issued "2026-02-30": it is not a day of the calendar; write the day on which it was made`},
		{"strava", "20.11.2026", "client_secret", "write the day on which it was made"},
		{"strava", "0001-01-01", "client_secret", "write the day on which it was made"},
		{"strava", "2026-11-20T10:00:00Z", "client_secret", "write the day on which it was made"},
	} {
		before := b.snapshot()
		args := []string{"encrypt", "production/" + c.file + ".yaml", "--issued", c.issued, "--field", c.field}
		if c.file == "whoop" {
			args = append(args, "--key", "2")
		}
		if code := b.do(newSecret(3), args...); code != exitUsage || !strings.Contains(b.errText, c.want) || b.changed(before) != "" {
			t.Errorf("%+v: got exit %d, %q, changed %s", c, code, b.errText, b.changed(before))
		}
	}
}
