package cli

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/terra-reconcile/terra-reconcile/secrets"
)

// readerAttack is what somebody commits, or leaves lying about, who wants to read the
// next secret. {OTHER} is their recipient, {OWN} ours. The command must end with code
// and says, and nothing may be sealed for them.
type readerAttack struct {
	attack string
	before func(b *bench, other string)
	args   []string
	code   int
	says   string
}

const twoReaders = "version: 1\nrecipients:\n  - paths: [\"**\"]\n    age: [{OWN}, {OTHER}]\nsecrets: {binding: require}\n"

// foreignRoot chooses the attacker alone.
const foreignRoot = "version: 1\nrecipients:\n  - paths: [\"**\"]\n    age: [{OTHER}]\n"

// put writes a file in which the recipients are filled in.
func put(name, text string) func(*bench, string) {
	return func(b *bench, other string) {
		b.write(name, strings.NewReplacer("{OTHER}", other, "{OWN}", b.public).Replace(text))
	}
}

// inGit is what is done in a git repository.
func inGit(do ...func(*bench, string)) func(*bench, string) {
	return func(b *bench, other string) {
		b.write(".git/HEAD", "ref: refs/heads/main\n")
		for _, f := range do {
			f(b, other)
		}
	}
}

// sealedFirst seals the secret of Strava before the attack.
func sealedFirst(do ...func(*bench, string)) func(*bench, string) {
	return func(b *bench, other string) {
		b.must(newSecret(1), "encrypt", "production/strava.yaml")
		b.write("production/whoop.yaml", "provider: whoop\n")
		for _, f := range do {
			f(b, other)
		}
	}
}

// sealedElsewhere seals a secret of another environment before the attack.
func sealedElsewhere(do ...func(*bench, string)) func(*bench, string) {
	return func(b *bench, other string) {
		b.write("staging/strava.yaml", "provider: strava\n")
		b.must(newSecret(1), "encrypt", "staging/strava.yaml")
		for _, f := range do {
			f(b, other)
		}
	}
}

// ruleFor names both of us for some paths.
func ruleFor(paths ...string) string {
	return "version: 1\nrecipients:\n  - paths: [\"" + strings.Join(paths, "\", \"") + "\"]\n    age: [{OWN}, {OTHER}]\n  - paths: [\"**\"]\n    age: [{OWN}]\nsecrets: {binding: require}\n"
}

// placeholder seals a secret of the attacker's own for those who are named by now.
func placeholder(file string) func(*bench, string) {
	return func(b *bench, _ string) {
		folder := filepath.Dir(file)
		if _, err := os.Stat(b.at(folder + "/environment.yaml")); err != nil {
			b.write(folder+"/environment.yaml", "dev_id: "+folder+"-x\nprune: never\n")
		}
		b.write(file, "provider: "+strings.TrimSuffix(filepath.Base(file), ".yaml")+"\n")
		b.must(newSecret(7), "encrypt", file, "--yes-new-recipients")
	}
}

func renamed(from, to string) func(*bench, string) {
	return func(b *bench, _ string) {
		if err := os.Rename(b.at(from), b.at(to)); err != nil {
			b.t.Fatal(err)
		}
	}
}

func linked(target, name string) func(*bench, string) {
	return func(b *bench, _ string) {
		if err := errors.Join(os.MkdirAll(filepath.Dir(b.at(name)), 0o700), os.Symlink(target, b.at(name))); err != nil {
			b.t.Fatal(err)
		}
	}
}

func encryptStrava() []string { return []string{"secret", "encrypt", "{DIR}/production/strava.yaml"} }
func encryptPolar() []string  { return []string{"secret", "encrypt", "{DIR}/production/polar.yaml"} }

// placeAttacks choose recipients by a file that stands near.
func placeAttacks() []readerAttack {
	const below = "stands at the root and nowhere else"
	shadow := put("production/terra.yaml", foreignRoot)
	return []readerAttack{
		{attack: "terra.yaml in a folder of a git repository", before: inGit(shadow), args: encryptStrava(), code: 1, says: below},
		{attack: "terra.yml in a folder of a git repository", before: inGit(put("production/terra.yml", foreignRoot)), args: encryptStrava(), code: 1, says: below},
		{attack: "Terra.YAML in a folder, for file systems without case", before: inGit(put("production/Terra.YAML", foreignRoot)), args: encryptStrava(), code: 1, says: below},
		{attack: "terra.yaml in a folder where the root's is terra.yml", before: inGit(renamed("terra.yaml", "terra.yml"), shadow), args: encryptStrava(), code: 1, says: below},
		{attack: "terra.yaml in a folder outside of git", before: shadow, args: encryptStrava(), code: 1, says: "outside of git nothing says which is the root"},
		{attack: "terra.yml in a folder outside of git, where the root's is terra.yml", before: func(b *bench, other string) {
			renamed("terra.yaml", "terra.yml")(b, other)
			put("production/terra.yml", foreignRoot)(b, other)
		}, args: encryptStrava(), code: 1, says: "outside of git nothing says which is the root"},
		{attack: "terra.yml beside terra.yaml", before: inGit(put("terra.yml", foreignRoot)), args: encryptStrava(), code: 1, says: "terra.yml:1:1: terra.yaml is there too"},
		{attack: "terra.yaml beside terra.yml", before: inGit(renamed("terra.yaml", "terra.yml"), put("terra.yaml", foreignRoot)), args: encryptStrava(), code: 1, says: "terra.yaml is there too"},
		{attack: "terra.yaml in another folder than the file's", before: inGit(put("staging/terra.yaml", foreignRoot)), args: encryptStrava(), code: 1, says: below},
		{attack: "terra.yaml in a folder that is no environment", before: inGit(put("docs/terra.yaml", foreignRoot)), args: encryptStrava(), code: 1, says: below},
		{attack: "terra.yaml nine folders deep, with an environment below", before: inGit(func(b *bench, other string) {
			const deep = "a/b/c/d/e/f/g/h/i/"
			put(deep+"terra.yaml", foreignRoot)(b, other)
			b.write(deep+"production/environment.yaml", "dev_id: prod-y\nprune: never\n")
			b.write(deep+"production/strava.yaml", "provider: strava\n")
		}), args: []string{"secret", "encrypt", "{DIR}/a/b/c/d/e/f/g/h/i/production/strava.yaml"}, code: 1, says: "not a connection file"},
		{attack: "terra.yaml in a hidden folder with an environment", before: inGit(func(b *bench, other string) {
			put(".ci/terra.yaml", foreignRoot)(b, other)
			b.write(".ci/production/environment.yaml", "dev_id: prod-y\nprune: never\n")
			b.write(".ci/production/strava.yaml", "provider: strava\n")
		}), args: []string{"secret", "encrypt", "{DIR}/.ci/production/strava.yaml"}, code: 1, says: "not a connection file"},
		{attack: "terra.yaml above the top of the git repository", before: func(b *bench, other string) {
			put("terra.yaml", foreignRoot)(b, other) // of the folder around the repository
			b.write("production/.git/HEAD", "ref: refs/heads/main\n")
		}, args: encryptStrava(), code: 1, says: "no terra.yaml in its folder or above"},
		{attack: "terra.yaml in a folder is a link", before: inGit(put("_x/t.yaml", foreignRoot), linked("../_x/t.yaml", "production/terra.yaml")), args: encryptStrava(), code: 1, says: "production/terra.yaml:1:1: symbolic links are not allowed"},
		{attack: "terra.yaml of the root is a link to one of a folder", before: inGit(put("_x/t.yaml", foreignRoot), func(b *bench, _ string) {
			if err := os.Remove(b.at("terra.yaml")); err != nil {
				b.t.Fatal(err)
			}
		}, linked("_x/t.yaml", "terra.yaml")), args: encryptStrava(), code: 1, says: "symbolic links are not allowed"},
		{attack: "terra.yaml of the root is a link to nothing, one of a folder is there", before: inGit(shadow, func(b *bench, _ string) {
			if err := os.Remove(b.at("terra.yaml")); err != nil {
				b.t.Fatal(err)
			}
		}, linked("gone.yaml", "terra.yaml")), args: encryptStrava(), code: 1, says: below},
		{attack: "a folder named terra.yaml at the root, and a file in a folder", before: inGit(shadow, func(b *bench, _ string) {
			if err := errors.Join(os.Remove(b.at("terra.yaml")), os.Mkdir(b.at("terra.yaml"), 0o700)); err != nil {
				b.t.Fatal(err)
			}
		}), args: encryptStrava(), code: 1, says: below},
		{attack: "terra.yaml in a folder, at rotate add", before: inGit(shadow), args: []string{"rotate", "add", "--repo={DIR}", "production/strava"}, code: 1, says: below},
		{attack: "terra.yaml in a folder, at rotate add from that folder", before: inGit(shadow), args: []string{"rotate", "add", "--repo={DIR}/production", "production/strava"}, code: 1, says: below},
		{attack: "terra.yaml in a folder, at rekey", before: inGit(sealedFirst(shadow)), args: []string{"secret", "rekey", "{DIR}"}, code: 1, says: below},
		{attack: "terra.yaml in a folder, at rekey of that folder", before: inGit(sealedFirst(shadow)), args: []string{"secret", "rekey", "{DIR}/production"}, code: 1, says: below},
		{attack: "terra.yaml in a folder, at decrypt", before: inGit(sealedFirst(shadow)), args: []string{"secret", "decrypt", "{DIR}/production/strava.yaml"}, code: 1, says: below},
		{attack: "terra.yaml in a folder, at the check of recipients", before: inGit(sealedFirst(shadow)), args: []string{"secret", "recipients", "--check", "{DIR}/production"}, code: 1, says: below},
		{attack: "terra.yaml in a folder, at rotate prune", before: inGit(sealedFirst(shadow)), args: []string{"rotate", "prune", "--repo={DIR}", "production/strava"}, code: 1, says: below},
		{attack: "terra.yaml in a folder, at validate", before: inGit(shadow), args: []string{"validate", "{DIR}"}, code: 1, says: "production/terra.yaml:1:1: terra.yaml " + below},
		{attack: "terra.yaml in a folder makes that folder valid by itself", before: inGit(func(b *bench, other string) {
			put("production/terra.yaml", foreignRoot)(b, other)
			b.write("production/eu/environment.yaml", "dev_id: prod-y\nprune: never\n")
		}), args: []string{"validate", "{DIR}/production"}, code: 64, says: "name the folder of terra.yaml, which is {DIR}"},
		{attack: "terra.yaml in a folder, at a run", before: shadow, args: []string{"--dry-run", "--repo={DIR}", "-o=json"}, code: 1, says: below},
		{attack: "an identity made into a repository whose root is terra.yml", before: renamed("terra.yaml", "terra.yml"), args: []string{"secret", "keygen", "--out={DIR}/id"}, code: 64, says: "would be a private key in the repository"},
		{attack: "a private key in a repository whose root is terra.yml", before: func(b *bench, other string) {
			renamed("terra.yaml", "terra.yml")(b, other)
			text, err := os.ReadFile(b.at("identity.txt"))
			if err != nil {
				b.t.Fatal(err)
			}
			b.write("notes", string(text))
		}, args: []string{"validate", "{DIR}"}, code: 1, says: "notes:3:1: this is a private key"},
	}
}

// addedAttacks add a recipient to the terra.yaml of the root.
func addedAttacks() []readerAttack {
	two := put("terra.yaml", twoReaders)
	const asks = "nobody is there to be asked"
	return []readerAttack{
		{attack: "a recipient added, at encrypt", before: sealedFirst(two), args: encryptStrava(), code: 64, says: "  {OTHER}  (new)"},
		{attack: "a recipient added, at rotate add", before: sealedFirst(two), args: []string{"rotate", "add", "--repo={DIR}", "production/strava"}, code: 64, says: "  {OTHER}  (new)"},
		{attack: "a recipient added, at rekey", before: sealedFirst(two), args: []string{"secret", "rekey", "{DIR}"}, code: 64, says: "  {OTHER}  (new)"},
		{attack: "a recipient added, at the check that used to advise rekey", before: sealedFirst(two), args: []string{"secret", "recipients", "--check", "{DIR}"}, code: 1,
			says: "  {OTHER} is in terra.yaml and could then read 1 secret more: see who added it (git log -p terra.yaml) and ask whose key it is\n  only if that recipient is to read them, seal them again: reconcile secret rekey {DIR}"},
		{attack: "a recipient added, at doctor", before: sealedFirst(two), args: []string{"doctor", "--repo={DIR}"}, code: 1, says: "-> {OTHER} is in\n"},
		{attack: "a recipient in the place of ours", before: sealedFirst(put("terra.yaml", foreignRoot)), args: encryptStrava(), code: 64, says: asks},
		{attack: "a recipient for one file, by a rule above the others", before: sealedFirst(put("terra.yaml",
			"version: 1\nrecipients:\n  - paths: [production/strava.yaml]\n    age: [{OWN}, {OTHER}]\n  - paths: [\"**\"]\n    age: [{OWN}]\n")), args: encryptStrava(), code: 64, says: asks},
		{attack: "a recipient and a new connection file", before: sealedFirst(two, func(b *bench, _ string) { b.write("production/polar.yaml", "provider: polar\n") }),
			args: []string{"secret", "encrypt", "{DIR}/production/polar.yaml"}, code: 64, says: asks},
		{attack: "a recipient and a new environment", before: sealedFirst(two, func(b *bench, _ string) {
			b.write("eu/environment.yaml", "dev_id: eu-x\nprune: never\n")
			b.write("eu/polar.yaml", "provider: polar\n")
		}), args: []string{"secret", "encrypt", "{DIR}/eu/polar.yaml"}, code: 64, says: asks},
		{attack: "a recipient, and the lock is gone", before: sealedFirst(two, func(b *bench, _ string) {
			if err := os.Remove(b.at(secrets.LockPath)); err != nil {
				b.t.Fatal(err)
			}
		}), args: encryptStrava(), code: 64, says: asks},
		{attack: "a recipient, and the lock says it was always there", before: sealedFirst(two, func(b *bench, other string) {
			b.write(secrets.LockPath, strings.Replace(b.read(secrets.LockPath), b.public, b.public+","+other, 1))
		}), args: encryptStrava(), code: 64, says: asks},
		{attack: "a recipient, and a secret of their own in the file for both", before: sealedFirst(func(b *bench, other string) {
			one := b.read("terra.yaml")
			put("terra.yaml", twoReaders)(b, other)
			b.must(newSecret(7), "encrypt", "production/strava.yaml", "--field", "verification_secret", "--yes-new-recipients")
			b.write("terra.yaml", one)
			put("terra.yaml", twoReaders)(b, other)
		}), args: encryptStrava(), code: 64, says: asks},
		{attack: "a recipient of a sandbox, and a rule for a new file", before: sealedFirst(put("terra.yaml", ruleFor("sandbox/**", "production/polar.yaml")), placeholder("sandbox/polar.yaml"),
			put("production/polar.yaml", "provider: polar\n")), args: encryptPolar(), code: 64, says: "  {OTHER}  (new)"},
		{attack: "a placeholder for both in a new file, at encrypt", before: sealedFirst(put("terra.yaml", ruleFor("production/polar.yaml")), placeholder("production/polar.yaml")),
			args: encryptPolar(), code: 64, says: "  {OTHER}  (new)"},
		{attack: "a placeholder for both in a new file, at rotate add", before: sealedFirst(put("terra.yaml", ruleFor("production/polar.yaml")), placeholder("production/polar.yaml")),
			args: []string{"rotate", "add", "--repo={DIR}", "production/polar"}, code: 64, says: "  {OTHER}  (new)"},
		{attack: "a placeholder for both in the place of the environment's only secret", before: sealedElsewhere(put("terra.yaml", ruleFor("production/**")), placeholder("production/strava.yaml")),
			args: encryptStrava(), code: 64, says: "  {OTHER}  (new)"},
		{attack: "a recipient of all, and a placeholder in the place of the environment's only secret", before: sealedElsewhere(two, placeholder("production/strava.yaml")),
			args: []string{"rotate", "add", "--repo={DIR}", "production/strava"}, code: 64, says: "  {OTHER}  (new)"},
		{attack: "a placeholder in the place of the only secret, and the other file is broken", before: sealedElsewhere(two, placeholder("production/strava.yaml"), func(b *bench, _ string) {
			b.write("staging/strava.yaml", "provider: [\n"+b.read("staging/strava.yaml"))
		}), args: encryptStrava(), code: 64, says: "  {OTHER}  (new)"},
		{attack: "a placeholder in the place of the only secret, and the lock names its reader twice", before: sealedElsewhere(two, placeholder("production/strava.yaml"), func(b *bench, other string) {
			b.write(secrets.LockPath, strings.NewReplacer(b.public+","+other, other+","+other, other+","+b.public, other+","+other).Replace(b.read(secrets.LockPath)))
		}), args: encryptStrava(), code: 64, says: "  {OTHER}  (new)"},
		{attack: "a recipient under a name of ours", before: sealedFirst(put("terra.yaml",
			"version: 1\nrecipients:\n  - paths: [\"**\"]\n    age:\n      - {OWN} # the daemon\n      - {OTHER} # the daemon\n")), args: encryptStrava(), code: 64, says: "  {OTHER}  (new)"},
		{attack: "a recipient in capital letters", before: sealedFirst(func(b *bench, other string) {
			put("terra.yaml", strings.Replace(twoReaders, "{OTHER}", strings.ToUpper(other), 1))(b, other)
		}), args: encryptStrava(), code: 1, says: "this is not an age recipient"},
		{attack: "an ssh key whose comment is a name of ours", before: sealedFirst(put("terra.yaml", strings.Replace(twoReaders, "{OTHER}", `"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGEnXUu4/VsIqgWlvwaY9tRYRecBoV4jtH6NUghG9yqQ daemon@acme"`, 1))),
			args: encryptStrava(), code: 64, says: "  ssh-ed25519 SHA256:SciKuKuGCEWWUdfS4+LL8NH5aSDm4e1f7inOgrGZOIo  (new)\n"},
		{attack: "a recipient of a plugin", before: sealedFirst(put("terra.yaml", strings.Replace(twoReaders, "{OTHER}", evilRecipient, 1))), args: encryptStrava(), code: 1, says: `age plugin "evil" is not allowed`},
		{attack: "the recipient of our examples", before: put("terra.yaml", strings.Replace(twoReaders, "{OTHER}", "age1mv9j50rrnqpl3pc7gw2cks68lpkqcwey5k86dupr378jcjum8cvq4sqfye", 1)),
			args: append(encryptStrava(), "--yes-new-recipients"), code: 1, says: "is copied from the examples of terra-reconcile"},
		{attack: "a recipient whose key is published by sops", before: put("terra.yaml", strings.Replace(twoReaders, "{OTHER}", "age1lzd99uklcjnc0e7d860axevet2cz99ce9pq6tzuzd05l5nr28ams36nvun", 1)),
			args: append(encryptStrava(), "--yes-new-recipients"), code: 1, says: "is copied from the tests of sops"},
		{attack: "the recipient of age's manual, at rotate add", before: put("terra.yaml", strings.Replace(twoReaders, "{OTHER}", "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p", 1)),
			args: []string{"rotate", "add", "--repo={DIR}", "--yes-new-recipients", "production/strava"}, code: 1, says: "is copied from the manual of age"},
		{attack: "the recipient of our examples, at rekey", before: sealedFirst(put("terra.yaml", strings.Replace(twoReaders, "{OTHER}", "age1mv9j50rrnqpl3pc7gw2cks68lpkqcwey5k86dupr378jcjum8cvq4sqfye", 1))),
			args: []string{"secret", "rekey", "--yes-new-recipients", "{DIR}"}, code: 1, says: "is copied from the examples of terra-reconcile"},
		{attack: "a terra.yaml in which our own recipient is damaged", before: put("terra.yaml", "version: 1\nrecipients:\n  - paths: [\"**\"]\n    age: [{OWN}x, {OTHER}]\n"), args: encryptStrava(), code: 1, says: "this is not an age recipient"},
		{attack: "a terra.yaml in which the rule for us has a pattern that matches nothing", before: sealedFirst(put("terra.yaml",
			"version: 1\nrecipients:\n  - paths: [\"production/[!x]*\"]\n    age: [{OWN}]\n  - paths: [\"**\"]\n    age: [{OTHER}]\n")), args: encryptStrava(), code: 1, says: "is not a path pattern"},
	}
}

// TestHostileRecipients lets somebody commit who wants to read the next secret.
func TestHostileRecipients(t *testing.T) {
	t.Parallel()
	for _, a := range append(placeAttacks(), addedAttacks()...) {
		t.Run(a.attack, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			other := b.keygen("other.txt")
			b.vars["TERRA_BASE_URL"], b.vars["RECONCILE_STATE_DIR"] = "http://127.0.0.1:1", t.TempDir()
			a.before(b, other)
			fill := strings.NewReplacer("{DIR}", b.dir, "{OTHER}", other, "{OWN}", b.public)
			var args []string
			for _, word := range a.args {
				args = append(args, fill.Replace(word))
			}
			before := b.everything()
			code := b.run(typedSecret+"\n", args...)
			if says := fill.Replace(a.says); code != a.code || !strings.Contains(b.outText+b.errText, says) {
				t.Errorf("got exit %d\n%s%s\nwant %d and %q", code, b.outText, b.errText, a.code, says)
			}
			if now := b.everything(); code != exitOK && now != before {
				t.Errorf("something was written:\n%s\nwas\n%s", now, before)
			}
		})
	}
}

// everything is the text of all files of the repository.
func (b *bench) everything() string {
	b.t.Helper()
	var out strings.Builder
	err := fs.WalkDir(os.DirFS(b.dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		out.WriteString("-- " + name + "\n" + b.read(name) + "\n")
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return out.String()
}
