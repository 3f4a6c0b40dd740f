package cli

import (
	"strings"
	"testing"
)

// TestMistakenPastesAreNotSealed: a mask, a placeholder or the client id, by either
// command, and no file changes.
func TestMistakenPastesAreNotSealed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.must(typedSecret, "encrypt", "production/strava.yaml")
	id := "123456"
	if !strings.Contains(b.read("production/strava.yaml"), `"`+id+`"`) {
		t.Fatalf("another client id in\n%s", b.read("production/strava.yaml"))
	}
	for paste, want := range map[string]string{
		"****7777": "secret is a mask", "*7777": "secret is a mask", "****": "secret is a mask", "************7777": "secret is a mask",
		"****...86a1": "secret is a mask", "ab12****7777": "secret is a mask", "••••1234": "no provider issues",
		"xxxx1234": "this is a placeholder", "XXXXXXXXXXXX86a1": "this is a placeholder", "REDACTED": "this is a placeholder",
		"$STRAVA_SECRET": "this is a placeholder", "${STRAVA_SECRET}": "this is a placeholder", "<secret>": "this is a placeholder", "changeme": "this is a placeholder",
		id: "this is the client id of the connection, not its secret",
	} {
		before := b.snapshot()
		for _, command := range []func() int{
			func() int { return b.rotate(paste, "add", "production/strava") },
			func() int { return b.run(paste, "secret", "encrypt", b.at("production/strava.yaml")) },
		} {
			if code := command(); code != exitFailed || !strings.Contains(b.errText, want) || !strings.Contains(b.errText, "nothing was changed") || b.outText != "" {
				t.Errorf("%s: got exit %d, %q, want %q", paste, code, b.errText, want)
			}
		}
		for file, text := range before {
			if b.read(file) != text {
				t.Errorf("%s: %s changed", paste, file)
			}
		}
	}
}

// TestDeadEndsOfSealingNameRotateAdd: a file whose keys hold nothing to replace.
func TestDeadEndsOfSealingNameRotateAdd(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.write("production/whoop.yaml", "provider: whoop\ncredentials:\n  keys:\n    - {unknown: true}\n")
	for _, args := range [][]string{{}, {"--key", "1"}, {"--issued", "2026-11-20"}, {"--key", "1", "--issued", "2026-11-20"}} {
		code := b.run(newSecret(1), append([]string{"secret", "encrypt", b.at("production/whoop.yaml")}, args...)...)
		if code != exitUsage || !strings.Contains(b.errText, "add the secret as a new key after it: reconcile rotate add --repo "+b.at("")+" production/whoop") {
			t.Errorf("%q: got exit %d, %q", args, code, b.errText)
		}
	}
	b.mustRotate(newSecret(1), "add", "production/whoop")
	b.mustRotate(newSecret(2), "add", "production/whoop")
	if code := b.run(newSecret(3), "secret", "encrypt", b.at("production/whoop.yaml")); code != exitUsage || !strings.Contains(b.errText, "credentials.keys has 3 entries; choose one with --key to replace it") ||
		!strings.Contains(b.errText, "reconcile rotate add --repo "+b.at("")+" production/whoop") {
		t.Errorf("got exit %d, %q", code, b.errText)
	}
}

// TestConnectionWithoutItsEnvironment suggests those of the repository, never one that
// is not there.
func TestConnectionWithoutItsEnvironment(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for name, want := range map[string]string{
		"whoop": `"whoop" is not a connection; write it as production/whoop` + "\n",
		"nope":  `"nope" is not a connection; write it as ENVIRONMENT/PROVIDER, such as production/strava` + "\n",
	} {
		if code := b.rotate("", "add", name); code != exitUsage || !strings.HasSuffix(b.errText, want) {
			t.Errorf("got exit %d, %q, want %q", code, b.errText, want)
		}
	}
	b.write("staging/environment.yaml", "dev_id: staging-x\n")
	b.write("staging/whoop.yaml", "provider: whoop\n")
	if b.rotate("", "add", "whoop"); !strings.HasSuffix(b.errText, "write it as production/whoop or staging/whoop\n") {
		t.Errorf("got %q", b.errText)
	}
}

// TestDayOnWhichAKeyWasMade is what --issued says, else today.
func TestDayOnWhichAKeyWasMade(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.must(typedSecret, "encrypt", "production/strava.yaml")
	b.mustRotate(newSecret(2), "add", "production/strava", "--issued", "2025-03-14")
	b.mustRotate(newSecret(3), "add", "production/strava")
	if text := b.read("production/strava.yaml"); strings.Count(text, "issued: 2025-03-14") != 1 || strings.Count(text, "issued: 2026-11-23") != 1 {
		t.Errorf("got\n%s", text)
	}
	for day, want := range map[string]string{"2026-11-24": "it is in the future", "yesterday": "write the day on which it was made", "2026-11-20T00:00:00Z": "write the day"} {
		if code := b.rotate(newSecret(4), "add", "production/strava", "--issued", day); code != exitUsage || !strings.Contains(b.errText, want) {
			t.Errorf("%s: got exit %d, %q", day, code, b.errText)
		}
	}
}

// TestMaskInTheFileDoesNotKeepTheRightKeyOut: `rotate add` compares with the other keys,
// and one that is no secret at all is none of them.
func TestMaskInTheFileDoesNotKeepTheRightKeyOut(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.write("production/whoop.yaml", "provider: whoop\ncredentials:\n  keys:\n    - client_secret: "+b.plain("terra-reconcile/1 "+whoopSecret().String()+"\n****7777"))
	if out := b.mustRotate(newSecret(1), "add", "production/whoop", "--yes-new-recipients"); !strings.Contains(out, "compared  differs from 1 other key\n") {
		t.Errorf("got\n%s", out)
	}
}
