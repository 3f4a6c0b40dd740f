package cli

import (
	"path/filepath"
	"strings"
	"testing"
)

const (
	pastedKey   = "AGE-SECRET-KEY-1PFHVL2Z7AGDQ94P7QLE2N5C4HQPSTQ8TVKMNN4G5G9Y7MTS2WYZSM5WUCR"
	pastedToken = "terra_at_4Gt9PsLd2NcXw7Qf6J"
	pastedGit   = "ghp_16C7e42F292c6912E7710c838347Ae178B4a"
)

// paste is a private key or a token where a name or a path belongs: a slip of the hand
// that must not end up in a log.
type paste struct {
	attack string
	args   []string
	vars   map[string]string
	file   string // daemon.yaml, or a file of the repository where file is its name and a line
	code   int
	says   string
}

const runnerWith = "repo: {url: .}\napply: false\naccounts: {default: {token_env: T, dev_ids: [\"*\"]}}\n"

func pastes() []paste {
	const onLine, asVariable = "word ", ": this is "
	daemon := []string{"--dry-run", "--config={DIR}/daemon.yaml"}
	return []paste{
		{attack: "a key as --state", args: []string{"--dry-run", "--state", pastedKey}, code: 64, says: onLine + "3 of the command is a private key"},
		{attack: "a key as --state=", args: []string{"--dry-run", "--state=" + pastedKey}, code: 64, says: onLine},
		{attack: "a token as --repo", args: []string{"--dry-run", "--repo", pastedToken}, code: 64, says: "is an admin token of Terra"},
		{attack: "a token inside the address of --repo", args: []string{"--dry-run", "--repo", "https://x:" + pastedGit + "@git.invalid/x"}, code: 64, says: "is an access token"},
		{attack: "a key as --config", args: []string{"daemon", "--config", pastedKey}, code: 64, says: onLine},
		{attack: "a key as --out", args: []string{"--dry-run", "--out", pastedKey}, code: 64, says: onLine},
		{attack: "a key as --env", args: []string{"--dry-run", "--env", pastedKey}, code: 64, says: onLine},
		{attack: "a key as the name of a flag", args: []string{"--" + pastedKey}, code: 64, says: onLine},
		{attack: "a key as a format", args: []string{"--dry-run", "-o", pastedKey}, code: 64, says: onLine},
		{attack: "a key as a command", args: []string{pastedKey}, code: 64, says: onLine},
		{attack: "a key as a number", args: []string{"secret", "decrypt", "x.yaml", "--key", pastedKey}, code: 64, says: onLine},
		{attack: "a key as a connection", args: []string{"rotate", "add", pastedKey}, code: 64, says: onLine},
		{attack: "a key as a file to seal into", args: []string{"secret", "encrypt", pastedKey}, code: 64, says: onLine},
		{attack: "a key as --field", args: []string{"secret", "encrypt", "{DIR}/production/strava.yaml", "--field", pastedKey}, code: 64, says: onLine},
		{attack: "a key as a day", args: []string{"secret", "encrypt", "{DIR}/production/strava.yaml", "--issued", pastedKey}, code: 64, says: onLine},
		{attack: "a token as an approval", args: []string{"approve", "production", pastedToken}, code: 64, says: onLine},
		{attack: "a token as a reason", args: []string{"pause", "--reason", "it leaked: " + pastedToken, "--for", "1h"}, code: 64, says: onLine},
		{attack: "a key as a provider", args: []string{"providers", pastedKey}, code: 64, says: onLine},
		{attack: "a key as a plan file", args: []string{"apply", pastedKey}, code: 64, says: onLine},
		{attack: "an ssh key as --repo", args: []string{"--repo", "-----BEGIN OPENSSH PRIVATE KEY-----\n" + pastedGit}, code: 64, says: "is a private key"},

		{attack: "a key as RECONCILE_AGE_KEY_FILE", vars: map[string]string{"RECONCILE_AGE_KEY_FILE": pastedKey}, code: 1, says: "RECONCILE_AGE_KEY_FILE" + asVariable + "a private key"},
		{attack: "a key behind a file in RECONCILE_AGE_KEY_FILE", vars: map[string]string{"RECONCILE_AGE_KEY_FILE": "/dev/null:" + pastedKey}, code: 1, says: "RECONCILE_AGE_KEY_FILE" + asVariable},
		{attack: "a key as SOPS_AGE_KEY_FILE", vars: map[string]string{"SOPS_AGE_KEY_FILE": pastedKey}, code: 1, says: "SOPS_AGE_KEY_FILE" + asVariable},
		{attack: "a key as RECONCILE_STATE_DIR", vars: map[string]string{"RECONCILE_STATE_DIR": pastedKey}, code: 1, says: "RECONCILE_STATE_DIR" + asVariable},
		{attack: "a token as TERRA_BASE_URL", vars: map[string]string{"TERRA_BASE_URL": pastedToken}, code: 1, says: "TERRA_BASE_URL" + asVariable},
		{attack: "a token as RECONCILE_REDIRECT_HOSTS", vars: map[string]string{"RECONCILE_REDIRECT_HOSTS": pastedToken}, code: 1, says: "RECONCILE_REDIRECT_HOSTS" + asVariable},
		{attack: "a token as RECONCILE_GIT_USERNAME", vars: map[string]string{"RECONCILE_GIT_USERNAME": pastedGit}, code: 1, says: "RECONCILE_GIT_USERNAME" + asVariable},
		{attack: "an ssh key as RECONCILE_GIT_SSH_KEY_FILE", vars: map[string]string{"RECONCILE_GIT_SSH_KEY_FILE": "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA"}, code: 1, says: "RECONCILE_GIT_SSH_KEY_FILE" + asVariable},
		{attack: "a key as RECONCILE_GIT_KNOWN_HOSTS_FILE", vars: map[string]string{"RECONCILE_GIT_KNOWN_HOSTS_FILE": pastedKey}, code: 1, says: "RECONCILE_GIT_KNOWN_HOSTS_FILE" + asVariable},
		{attack: "a key as TERRA_ADMIN_TOKEN", vars: map[string]string{"TERRA_ADMIN_TOKEN": pastedKey, "RECONCILE_AGE_KEY_FILE": ""}, code: 1, says: "2 errors (production, staging)"},

		{attack: "a token as token_file", args: daemon, file: strings.Replace(runnerWith, "token_env: T", "token_file: "+pastedToken, 1), code: 1, says: "daemon.yaml:3:34: this is an admin token of Terra"},
		{attack: "a token as token_env, which could be the name of one", args: daemon, file: strings.Replace(runnerWith, "token_env: T", "token_env: "+pastedToken, 1), code: 1, says: "this is an admin token of Terra"},
		{attack: "a token as the name of an account", args: daemon, file: strings.Replace(runnerWith, "default:", strings.ToLower(pastedToken)+":", 1), code: 1, says: "this is an admin token of Terra"},
		{attack: "a token as base_url", args: daemon, file: strings.Replace(runnerWith, "token_env: T", "token_env: T, base_url: "+pastedToken, 1), code: 1, says: "this is an admin token of Terra"},
		{attack: "a key as identities.files", args: daemon, file: runnerWith + "identities: {files: [" + pastedKey + "]}\n", code: 1, says: "this is a private key"},
		{attack: "a key as identities.allow_plugins", args: daemon, file: runnerWith + "identities: {allow_plugins: [AGE-PLUGIN-YUBIKEY-1QQQQQQQQ]}\n", code: 1, says: "this is a private key"},
		{attack: "a key as state_dir", args: daemon, file: runnerWith + "state_dir: " + pastedKey + "\n", code: 1, says: "this is a private key"},
		{attack: "a token as repo.auth.username", args: daemon, file: strings.Replace(runnerWith, "url: .", "url: ., auth: {username: "+pastedGit+"}", 1), code: 1, says: "this is an access token"},
		{attack: "a token in repo.url", args: daemon, file: strings.Replace(runnerWith, "url: .", "url: \"https://"+pastedGit+"@git.invalid/x\"", 1), code: 1, says: "this is an access token"},
		{attack: "an ssh key in ssh_key_file", args: daemon, file: strings.Replace(runnerWith, "repo: {url: .}", "repo:\n  url: .\n  auth:\n    ssh_key_file: |\n      -----BEGIN OPENSSH PRIVATE KEY-----\n      "+pastedGit+"\n", 1), code: 1, says: "this is a private key"},
		{attack: "a token in listen", args: daemon, file: runnerWith + "listen: " + pastedToken + "\n", code: 1, says: "this is an admin token of Terra"},
		{attack: "a key as a log level", args: daemon, file: runnerWith + "log: {level: " + pastedKey + "}\n", code: 1, says: "this is a private key"},
		{attack: "a key as an environment", args: daemon, file: runnerWith + "environments: [" + pastedKey + "]\n", code: 1, says: "this is a private key"},
		{attack: "a key as a field of daemon.yaml", args: daemon, file: runnerWith + pastedKey + ": x\n", code: 1, says: "this is a private key"},
		{attack: "a token in a line of daemon.yaml that is not YAML", args: daemon, file: runnerWith + "x: [" + pastedToken + "\n", code: 1, says: "daemon.yaml:4"},
		{attack: "a key as state_dir, for who needs the state alone", args: []string{"history", "--config={DIR}/daemon.yaml"}, file: runnerWith + "state_dir: " + pastedKey + "\n", code: 1, says: "this is a private key"},
	}
}

// TestHostilePastes pastes them, and looks for pieces of them in what is printed.
func TestHostilePastes(t *testing.T) {
	t.Parallel()
	for _, p := range pastes() {
		t.Run(p.attack, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.vars["RECONCILE_STATE_DIR"] = filepath.Join(t.TempDir(), "state")
			if p.file != "" {
				b.write("daemon.yaml", p.file)
			}
			for name, value := range p.vars {
				b.vars[name] = value
				if name == "SOPS_AGE_KEY_FILE" {
					delete(b.vars, "RECONCILE_AGE_KEY_FILE")
				}
			}
			args := p.args
			if args == nil {
				args = []string{"--dry-run", "--repo={DIR}"}
			}
			var words []string
			for _, word := range args {
				words = append(words, strings.ReplaceAll(word, "{DIR}", b.dir))
			}
			code := b.run("", words...)
			out := b.outText + b.errText
			if code != p.code || !strings.Contains(out, p.says) {
				t.Errorf("got exit %d\n%s\nwant %d and %q", code, out, p.code, p.says)
			}
			for _, secret := range []string{strings.TrimPrefix(pastedKey, "AGE-SECRET-KEY-1"), strings.TrimPrefix(pastedToken, "terra_at_"), strings.TrimPrefix(pastedGit, "ghp_")} {
				for i := 0; i+6 <= len(secret); i++ {
					if strings.Contains(strings.ToUpper(out), strings.ToUpper(secret[i:i+6])) {
						t.Fatalf("%q is repeated:\n%s", secret[i:i+6], out)
					}
				}
			}
		})
	}
}
