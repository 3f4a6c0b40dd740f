package visible

import "testing"

// What people paste where a name or a path belongs is known by its form, and what only
// resembles it is not.
func TestHostilePastes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ attack, text, kind string }{
		{attack: "an age identity", text: "AGE-SECRET-KEY-1PFHVL2Z7AGDQ94P7QLE2N5C4HQPSTQ8TVKMNN4G5G9Y7MTS2WYZSM5WUCR", kind: "a private key"},
		{attack: "an age identity in small letters, cut", text: "age-secret-key-1pfhvl2z7agdq94p7ql", kind: "a private key"},
		{attack: "a post-quantum identity", text: "AGE-SECRET-KEY-PQ-1PFHVL2Z7AGDQ94P7QLE2N5C4HQ", kind: "a private key"},
		{attack: "a whole identity file", text: "# created: 2026-01-01\n# public key: age1x\nAGE-SECRET-KEY-1PFHVL2Z7AGDQ94P7QLE2N5C4HQ\n", kind: "a private key"},
		{attack: "an identity of a plugin", text: "AGE-PLUGIN-YUBIKEY-1QQQQQQ", kind: "a private key"},
		{attack: "an identity inside a path", text: "/home/me/AGE-SECRET-KEY-1PFHVL2Z7AGDQ94P7QLE2N5C4HQ", kind: "a private key"},
		{attack: "an ssh key", text: "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1r", kind: "a private key"},
		{attack: "an ssh key on one line, without its frame", text: "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ", kind: "a private key"},
		{attack: "an RSA key", text: "-----BEGIN RSA PRIVATE KEY-----", kind: "a private key"},
		{attack: "an encrypted key", text: "-----BEGIN ENCRYPTED PRIVATE KEY-----", kind: "a private key"},
		{attack: "a PGP key block", text: "-----BEGIN PGP PRIVATE KEY BLOCK-----", kind: "a private key"},
		{attack: "the text of an RSA key", text: "MIIEowIBAAKCAQEAu1SU1LfVLPHCozMxH2Mo4lgOEePzNm0t", kind: "a private key"},
		{attack: "the text of a PKCS #8 key", text: "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIB", kind: "a private key"},
		{attack: "the text of an Ed25519 key", text: "MC4CAQAwBQYDK2VwBCIEIJ", kind: "a private key"},
		{attack: "an admin token", text: "terra_at_4Gt9PsLd2NcXw7Qf6J", kind: "an admin token of Terra"},
		{attack: "an admin token behind a flag", text: "--token=terra_at_4Gt9PsLd2NcXw7Qf6J", kind: "an admin token of Terra"},
		{attack: "an admin token as a header", text: "Authorization: Bearer terra_at_4Gt9PsLd2NcXw7Qf6J", kind: "an admin token of Terra"},
		{attack: "a token of GitHub", text: "ghp_16C7e42F292c6912E7710c838347Ae178B4a", kind: "an access token"},
		{attack: "a fine-grained token of GitHub", text: "github_pat_11ABCDEFG0abcdefghijkl_mnop", kind: "an access token"},
		{attack: "a token of GitLab", text: "glpat-ABCDEFGHIJKLMNOPQRST", kind: "an access token"},
		{attack: "a password of Bitbucket", text: "ATBBabcdefghijklmnopqrstuvwx12345678", kind: "an access token"},
		{attack: "a token in an address", text: "https://me:ghp_16C7e42F292c6912E7710c838347Ae178B4a@github.com/acme/terra", kind: "an access token"},
		{attack: "a key of AWS", text: "AKIAIOSFODNN7EXAMPLE", kind: "an access token"},
		{attack: "a JSON web token", text: "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.x", kind: "an access token"},
		{attack: "a token of Slack", text: "xoxb-1234567890-abcdef", kind: "an access token"},
	} {
		t.Run(c.attack, func(t *testing.T) {
			t.Parallel()
			if got := Key(c.text); got != c.kind {
				t.Errorf("got %q, want %q", got, c.kind)
			}
		})
	}
	for _, honest := range []string{
		"", "production/strava", "AGE-SECRET-KEY-1…", "AGE-SECRET-KEY-1...", "terra_at_…", "terra_at_ci", "TERRA_AT_PRODUCTION_TOKEN", "/run/secrets/terra_at_production_token",
		"age1mv9j50rrnqpl3pc7gw2cks68lpkqcwey5k86dupr378jcjum8cvq4sqfye", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGEnXUu4/VsIqgWlvwaY9tRYRecBoV4jtH6NUghG9yqQ",
		"sha256:07c87b0aee40d3a94c8aba8b4b75c8f2d7e738e6b2b613e18f44b5e10239a7a3", "-----BEGIN AGE ENCRYPTED FILE-----", "-----BEGIN CERTIFICATE-----", "0f8fad5b-d9cb-469f-a165-70867728950e",
		"global-environment-of-staging", "glass-works-production-environment",
	} {
		if got := Key(honest); got != "" {
			t.Errorf("%q is called %s", honest, got)
		}
	}
}
