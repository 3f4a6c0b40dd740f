package cli

import (
	"regexp"
	"strings"
	"testing"
)

// What names a secret that nobody sealed names the command that mends it, which does
// as it is printed, with and without the day of issue.
func TestUnsealedSecretIsMendedByTheCommandThatIsNamed(t *testing.T) {
	t.Parallel()
	named := regexp.MustCompile("(?m): reconcile (secret encrypt .+)$")
	lone, list := "  api_key: \""+newSecret(9)+"\" # by hand\npolicy: {protect: true}\n", "  keys:\n    - {unknown: true}\n    - api_key: "+newSecret(9)+"\n"
	for name, c := range map[string]struct {
		text   string
		issued []string
		want   string
	}{
		"lone":           {lone, nil, "  api_key: !age |"},
		"lone, issued":   {lone, []string{"--issued", "2026-11-20"}, "  keys:\n    - issued: 2026-11-20\n      api_key: !age |"},
		"braces, issued": {"  {portal_name: acme, api_key: " + newSecret(9) + "}\n", []string{"--issued", "2026-11-20"}, "keys: [{issued: 2026-11-20, api_key: !age"},
		"in a list":      {list, nil, "    - api_key: !age |"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.write("production/whoop.yaml", "provider: whoop\n")
			b.write("production/virtuagym.yaml", "provider: virtuagym\ncredentials:\n"+c.text)
			code := b.run("", "validate", b.dir)
			command := named.FindStringSubmatch(b.outText)
			if code != exitFailed || command == nil || strings.Count(b.outText, "\n") != 1 || !strings.HasPrefix(b.outText, "production/virtuagym.yaml:") {
				t.Fatalf("got exit %d, %q, want one line that names a command", code, b.outText)
			}
			if code := b.rotate(newSecret(2), "add", "production/virtuagym"); code != exitFailed || !strings.Contains(b.errText, "seal it"+command[0]) {
				t.Errorf("rotate add: got exit %d, %q, want %s in it", code, b.errText, command[0])
			}
			if code := b.run(newSecret(3), append(strings.Fields(command[1]), c.issued...)...); code != exitOK {
				t.Fatalf("%s: got exit %d, %q", command[0], code, b.errText)
			}
			text := b.read("production/virtuagym.yaml")
			if !strings.Contains(text, c.want) || strings.Contains(text, newSecret(9)) || strings.HasSuffix(c.text, "\npolicy: {protect: true}\n") != strings.HasSuffix(text, "\npolicy: {protect: true}\n") {
				t.Errorf("got\n%s\nwant %q and nothing else changed", text, c.want)
			}
			if b.run("", "validate", b.dir) != exitOK || b.must("", "decrypt", "production/virtuagym.yaml") != newSecret(3)+"\n" {
				t.Errorf("it is not valid, or opens as another text: %s%s", b.outText, b.errText)
			}
		})
	}
}

// The commands that change keys work on the folder that daemon.yaml names, unless
// somebody stands in a repository.
func TestKeysAreChangedWhereTheConfigurationSays(t *testing.T) {
	b, other := newBench(t), newBench(t)
	away := t.TempDir()
	b.write("daemon.yaml", "repo: {url: "+b.dir+"}\napply: false\naccounts: {default: {token_env: T, dev_ids: [\"*\"]}}\nidentities: {files: ["+b.at("identity.txt")+"]}\n")
	add := []string{"rotate", "add", "production/strava", "--config", b.at("daemon.yaml")}
	t.Chdir(away)
	if code := b.run(newSecret(1), add...); code != exitOK || !strings.Contains(b.read("production/strava.yaml"), "!age") {
		t.Errorf("got exit %d, %q, want the secret in the folder of daemon.yaml", code, b.errText)
	}
	if code := b.run("", "rotate", "prune", "production/strava", "--config", b.at("daemon.yaml")); code != exitUsage || !strings.Contains(b.errText, "name the keys with --key") {
		t.Errorf("prune: got exit %d, %q", code, b.errText)
	}
	if code := b.run(newSecret(2), add[:3]...); code != exitFailed || !strings.Contains(b.errText, "no terra.yaml in its folder or above") {
		t.Errorf("without --config: got exit %d, %q", code, b.errText)
	}
	t.Chdir(other.dir)
	before := b.read("production/strava.yaml")
	if code := b.run(newSecret(2), add...); code != exitOK || b.read("production/strava.yaml") != before || !strings.Contains(other.read("production/strava.yaml"), "!age") {
		t.Errorf("in another repository: got exit %d, %q, want the secret there", code, b.errText)
	}
}

// A connection where a file is meant, and the other way round, is told the right one.
func TestFilesAndConnectionsAreTold(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	if code := b.rotate(newSecret(1), "add", "production/whoop.yaml"); code != exitUsage || !strings.Contains(b.errText, "write it as production/whoop\n") {
		t.Errorf("got exit %d, %q", code, b.errText)
	}
	if code := b.do(newSecret(1), "encrypt", b.at("production/whoop")); code != exitFailed || !strings.Contains(b.errText, "did you mean "+b.at("production/whoop.yaml")+"?") {
		t.Errorf("got exit %d, %q", code, b.errText)
	}
}
