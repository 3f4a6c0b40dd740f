//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/terra-reconcile/terra-reconcile/internal/neighbour"
)

// needsRoot skips what gives files to other users where this test may not, but not in CI.
func needsRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("REQUIRE_ALL") != "" {
		t.Fatal("only root gives a file away")
	}
	t.Skip("only root gives a file away")
}

const eve, group = 12345, 54321 // a group that /etc/group does not know may be anybody's

// runnerFiles makes a daemon.yaml in a folder of its own and all kinds of files that it names.
func runnerFiles(t *testing.T) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "etc")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"daemon.yaml": `repo: {url: "ssh://git@git.acme.example/terra", auth: {token_file: git, ssh_key_file: key, known_hosts_file: hosts}, hook: {forge: github, secret_file: githook}, verify: {mode: head, allowed_signers: signers, gpg_keyring: ring}}
accounts: {main: {token_file: token, dev_ids: ["*"]}}
approvals: {people: {ada: {token_file: ada}}}
identities: {files: [identity]}
tls: {cert_file: cert, key_file: tlskey}
preview: {token_file: preview}
notify_commit: {forge: github, project: acme/terra, token_file: forge}
web: {read: {token_file: reader}}
apply: true
notify: {receivers: {ops: {webhook: {url_file: hookurl, secret_file: hook}}}, routes: [{receivers: [ops]}]}
`, "reader": "abcdef0123456789abcdef0123456789", "forge": "x", "hookurl": "x", "hook": "x", "cert": "x", "tlskey": "x", "preview": "0123456789abcdef0123456789abcdef", "git": "x", "key": "x", "hosts": "x", "token": "x", "ada": "6789abcdef0123456789abcdef012345", "identity": "x", "signers": "x", "githook": "456789abcdef0123", "ring": "x",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestHostileNeighbour: what another user of the machine could write is no configuration,
// and names no file of ours.
func TestHostileNeighbour(t *testing.T) {
	needsRoot(t)
	give := func(name string) func(string) error {
		return func(dir string) error { return os.Chown(filepath.Join(dir, name), eve, eve) }
	}
	open := func(name string) func(string) error {
		return func(dir string) error { return os.Chmod(filepath.Join(dir, name), 0o646) }
	}
	for _, c := range []struct {
		attack string
		make   func(dir string) error
		says   string
	}{
		{attack: "a configuration of hers", make: give("daemon.yaml"), says: "daemon.yaml belongs to user 12345"},
		{attack: "a configuration that every user can write to", make: open("daemon.yaml"), says: "every user of this machine can write to configuration"},
		{attack: "a configuration that her group can write to", make: func(dir string) error {
			return errors.Join(os.Chown(dir+"/daemon.yaml", 0, group), os.Chmod(dir+"/daemon.yaml", 0o660))
		}, says: "the members of group 54321 can write to configuration"},
		{attack: "a folder of hers", make: func(dir string) error { return os.Chown(dir, eve, eve) }, says: "user 12345 can put another file in the place of configuration"},
		{attack: "a folder that every user can write to", make: func(dir string) error { return os.Chmod(dir, 0o777) }, says: "every user of this machine can put another file in the place of configuration"},
		{attack: "a folder above that her group can write to", make: func(dir string) error {
			return errors.Join(os.Chown(filepath.Dir(dir), 0, group), os.Chmod(filepath.Dir(dir), 0o775))
		}, says: "the members of group 54321 can put another file in the place of configuration"},
		{attack: "a link of hers in a folder like /tmp", make: func(dir string) error {
			return errors.Join(os.Rename(dir+"/daemon.yaml", dir+"/other.yaml"), os.Symlink("other.yaml", dir+"/daemon.yaml"), os.Lchown(dir+"/daemon.yaml", eve, eve), os.Chmod(dir, os.ModeSticky|0o777))
		}, says: "user 12345 can put another file in the place of configuration"},
		{attack: "a configuration of hers behind a link of root", make: func(dir string) error {
			return errors.Join(os.Rename(dir+"/daemon.yaml", dir+"/other.yaml"), os.Symlink("other.yaml", dir+"/daemon.yaml"), os.Chown(dir+"/other.yaml", eve, eve))
		}, says: "daemon.yaml belongs to user 12345"},
		{attack: "a certificate of hers", make: give("cert"), says: "cert belongs to user 12345"},
		{attack: "a private key that every user can write to", make: open("tlskey"), says: "every user of this machine can write to private key"},
		{attack: "a token of previews of hers", make: give("preview"), says: "preview belongs to user 12345"},
		{attack: "a token of the page of hers", make: give("reader"), says: "reader belongs to user 12345"},
		{attack: "an identity of hers", make: give("identity"), says: "identity belongs to user 12345"},
		{attack: "an identity that every user can write to", make: open("identity"), says: "every user of this machine can write to identity file"},
		{attack: "a token file of an account of hers", make: give("token"), says: "token belongs to user 12345"},
		{attack: "a token file of a person of hers", make: give("ada"), says: "ada belongs to user 12345"},
		{attack: "a token file of a forge of hers", make: give("forge"), says: "forge belongs to user 12345"},
		{attack: "a secret of a receiver of hers", make: give("hook"), says: "hook belongs to user 12345"},
		{attack: "an address of a receiver of hers", make: give("hookurl"), says: "hookurl belongs to user 12345"},
		{attack: "a token file of git of hers", make: give("git"), says: "git belongs to user 12345"},
		{attack: "an ssh key of hers", make: give("key"), says: "key belongs to user 12345"},
		{attack: "known hosts of hers", make: give("hosts"), says: "hosts belongs to user 12345"},
		{attack: "known hosts that every user can write to", make: open("hosts"), says: "every user of this machine can write to known hosts"},
		{attack: "a secret of a hook of hers", make: give("githook"), says: "githook belongs to user 12345"},
		{attack: "allowed signers of hers", make: give("signers"), says: "signers belongs to user 12345"},
		{attack: "a keyring that every user can write to", make: open("ring"), says: "every user of this machine can write to keyring"},
		{attack: "a token that is not there yet, in a folder like /tmp", make: func(dir string) error {
			return errors.Join(os.Remove(dir+"/token"), os.Chmod(dir, os.ModeSticky|0o777))
		}, says: "is not there, and every user of this machine can put a file in its place"},
	} {
		t.Run(c.attack, func(t *testing.T) {
			dir := runnerFiles(t)
			file := filepath.Join(dir, "daemon.yaml")
			getenv := func(string) string { return "" }
			if _, err := Load(file, getenv); err != nil {
				t.Fatalf("before: %v", err)
			}
			if err := c.make(dir); err != nil {
				t.Fatal(err)
			}
			if _, err := Load(file, getenv); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %q", err, c.says)
			}
		})
	}
}

// TestFilesOfHonestUsers: what people, services, Kubernetes and Docker give a runner to read.
func TestFilesOfHonestUsers(t *testing.T) {
	needsRoot(t)
	for name, prepare := range map[string]func(dir string) error{
		"for all to read":    func(dir string) error { return os.Chmod(dir+"/daemon.yaml", 0o644) },
		"a secret of Docker": func(dir string) error { return os.Chmod(dir+"/token", 0o444) },
		"for the group to read": func(dir string) error {
			return errors.Join(os.Chown(dir+"/token", 0, group), os.Chmod(dir+"/token", 0o440))
		},
		"in a folder like /tmp":    func(dir string) error { return os.Chmod(dir, os.ModeSticky|0o777) },
		"a token that comes later": func(dir string) error { return os.Remove(dir + "/token") },
		"a link in a folder": func(dir string) error {
			return errors.Join(os.Mkdir(dir+"/..1", 0o755), os.Rename(dir+"/token", dir+"/..1/token"), os.Symlink("..1", dir+"/..data"), os.Symlink("..data/token", dir+"/token"))
		},
		"a device": func(dir string) error {
			return errors.Join(os.Remove(dir+"/hosts"), os.Symlink("/dev/null", dir+"/hosts"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := runnerFiles(t)
			if err := prepare(dir); err != nil {
				t.Fatal(err)
			}
			if _, err := Load(filepath.Join(dir, "daemon.yaml"), func(string) string { return "" }); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestHostileReader: what another user of the machine could read protects no server.
func TestHostileReader(t *testing.T) {
	needsRoot(t)
	mode := func(name string, mode os.FileMode) func(string) error {
		return func(dir string) error {
			return errors.Join(os.Chown(filepath.Join(dir, name), 0, group), os.Chmod(filepath.Join(dir, name), mode))
		}
	}
	for _, c := range []struct {
		attack string
		make   func(dir string) error
		says   string
	}{
		{attack: "a token of previews that every user can read", make: mode("preview", 0o604), says: "daemon.yaml:6:10: every user of this machine can read token file"},
		{attack: "a token of previews that her group can read", make: mode("preview", 0o640), says: "the members of group 54321 can read token file"},
		{attack: "a secret of a hook that every user can read", make: mode("githook", 0o604), says: "every user of this machine can read secret file"},
		{attack: "a token of the page that every user can read", make: mode("reader", 0o604), says: "daemon.yaml:8:13: every user of this machine can read token file"},
		{attack: "a token of the page that her group can read", make: mode("reader", 0o640), says: "the members of group 54321 can read token file"},
		{attack: "a token of who approves that every user can read", make: mode("ada", 0o604), says: "daemon.yaml:8:6: every user of this machine can read token file"},
		{attack: "a secret of a receiver that every user can read", make: mode("hook", 0o604), says: "daemon.yaml:10:22: every user of this machine can read file of a receiver"},
		{attack: "an address of a receiver that her group can read", make: mode("hookurl", 0o640), says: "the members of group 54321 can read file of a receiver"},
		{attack: "a private key that every user can read", make: mode("tlskey", 0o604), says: "daemon.yaml:5:6: every user of this machine can read private key"},
		{attack: "a private key that her group can read", make: mode("tlskey", 0o640), says: "the members of group 54321 can read private key"},
	} {
		t.Run(c.attack, func(t *testing.T) {
			dir := runnerFiles(t)
			load := func() error {
				read, err := Load(filepath.Join(dir, "daemon.yaml"), env(map[string]string{"HOME": dir}))
				if err != nil {
					t.Fatal(err)
				}
				return read.CheckServing()
			}
			if err := load(); err != nil {
				t.Fatalf("as it should be: %v", err)
			}
			if err := c.make(dir); err != nil {
				t.Fatal(err)
			}
			if err := load(); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %q", err, c.says)
			}
		})
	}
}

// TestHookSecretIsAFile: it is read for each request of anybody, and one that waits for what
// a pipe will say would never end.
func TestHookSecretIsAFile(t *testing.T) {
	t.Parallel()
	dir := runnerFiles(t)
	place := filepath.Join(dir, "githook")
	if err := errors.Join(os.Remove(place), os.Symlink("/dev/null", place)); err != nil {
		t.Fatal(err)
	}
	read, err := Load(filepath.Join(dir, "daemon.yaml"), env(map[string]string{"HOME": dir}))
	if err != nil {
		t.Fatal(err)
	}
	if err := read.CheckServing(); err == nil || !strings.Contains(err.Error(), "daemon.yaml:1:") || !strings.Contains(err.Error(), "it has to be a file and no pipe") {
		t.Errorf("got %v", err)
	}
}

// TestHostileNeighbourOnTheWay: nor does another user say who signs in to the repository, whom
// it trusts there, or by which password a proxy is asked.
func TestHostileNeighbourOnTheWay(t *testing.T) {
	needsRoot(t)
	for _, c := range []struct {
		file string
		make func(file string) error
		says string
	}{
		{"key", func(file string) error { return os.Chown(file, eve, eve) }, "key belongs to user 12345"},
		{"cert", func(file string) error { return os.Chmod(file, 0o646) }, "every user of this machine can write to CA certificates"},
		{"hook", func(file string) error { return os.Chmod(file, 0o646) }, "every user of this machine can write to password file"},
		{"key", func(file string) error { return os.Chmod(file, 0o604) }, "daemon.yaml:1:65: every user of this machine can read private key"},
	} {
		dir := runnerFiles(t)
		file := filepath.Join(dir, "daemon.yaml")
		text := `repo: {url: "https://github.com/acme/terra", auth: {github_app: {app_id: 1, private_key_file: key}}, tls: {ca_file: cert}, proxy: {url: "http://127.0.0.1:3128", username: me, password_file: hook}}
accounts: {main: {token_file: token, dev_ids: ["*"]}}
apply: true
`
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		serve := func() error {
			read, err := Load(file, env(map[string]string{"HOME": dir}))
			if err != nil {
				return err
			}
			return read.CheckServing()
		}
		if err := serve(); err != nil {
			t.Fatalf("as it should be: %v", err)
		}
		if err := c.make(filepath.Join(dir, c.file)); err != nil {
			t.Fatal(err)
		}
		if err := serve(); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want %q", c.file, err, c.says)
		}
	}
}

// TestFilesOfEachRepositoryAreJudged as those of an only one are.
func TestFilesOfEachRepositoryAreJudged(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "daemon.yaml")
	for _, own := range []string{"auth: {ssh_key_file: f, known_hosts_file: g}", "verify: {mode: head, gpg_keyring: f}", "hook: {forge: github, secret_file: f}",
		"auth: {token_file: f}", "preview: {token_file: f}", "notify_commit: {forge: github, project: a/b, token_file: f}", "identities: {files: [f]}",
		"auth: {github_app: {app_id: 1, private_key_file: f}}", "tls: {ca_file: f}", `proxy: {url: "http://127.0.0.1:3128", username: me, password_file: f}`} {
		text := "repos: {apps: {url: \"https://github.com/acme/apps\", accounts: [a], " + own + "}}\naccounts: {a: {token_env: T, dev_ids: [d]}}\napply: false\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for mode, want := range map[os.FileMode]bool{0o600: true, 0o622: false} {
			for _, name := range []string{"f", "g"} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Chmod(filepath.Join(dir, "f"), mode); err != nil {
				t.Fatal(err)
			}
			_, err := Load(file, env(nil))
			if open := new(neighbour.OpenError); (err == nil) != want || err != nil && !errors.As(err, &open) {
				t.Errorf("%s, mode %o: %v", own, mode, err)
			}
		}
	}
}

// TestHostileNeighbourLater: rights change while a daemon runs, and what it reads then is
// judged then.
func TestHostileNeighbourLater(t *testing.T) {
	needsRoot(t)
	dir := runnerFiles(t)
	c, err := Load(filepath.Join(dir, "daemon.yaml"), env(map[string]string{"HOME": dir}))
	if err == nil {
		err = c.CheckFiles()
	}
	if err != nil {
		t.Fatal(err)
	}
	token := FileSecret(filepath.Join(dir, "token"))
	if _, err := token.Read(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(filepath.Join(dir, "token"), eve, eve); err != nil {
		t.Fatal(err)
	}
	const says = "token belongs to user 12345"
	if _, err := token.Read(); err == nil || !strings.Contains(err.Error(), says) {
		t.Errorf("a token of hers: %v", err)
	}
	if err := c.CheckFiles(); err == nil || !strings.Contains(err.Error(), says) {
		t.Errorf("files of which one is hers: %v", err)
	}
}
