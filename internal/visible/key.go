package visible

import (
	"regexp"
	"slices"
	"strings"
	"sync"
)

var (
	ageKey = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?i)AGE-SECRET-KEY-(PQ-)?1[a-z0-9]{16}|AGE-PLUGIN-[a-z0-9+._-]+-1[a-z0-9]{4}`)
	})
	otherKey = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`-----BEGIN [A-Z0-9 ]*PRIVATE KEY( BLOCK)?-----` +
			`|b3BlbnNzaC1rZXktdjE` + // how the text between such lines begins: OpenSSH,
			`|MII[A-Za-z0-9+/]{3}IBAAK[BC]|MII[A-Za-z0-9+/]{3}IBADANBgkqhkiG9w0BAQEFAAS|MC4CAQAwBQYDK2V`)
	}) // RSA, PKCS #8
	adminToken  = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(^|[^A-Za-z0-9_/.-])terra_at_[A-Za-z0-9_-]{12}`) })
	accessToken = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`\b(gh[pousr]_[A-Za-z0-9]{20}|github_pat_[A-Za-z0-9_]{20}|gl(?:pat|dt|rt|ptt|cbt|ft|soat|agent|imt)-[A-Za-z0-9_-]{20}|ATBB[A-Za-z0-9]{24}|AKIA[A-Z0-9]{16}\b|xox[abeprs]-[A-Za-z0-9-]{10})` +
			`|\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.`)
	})
)

// Key says what a text is, or holds, that is a secret by its form and so is never
// repeated: a private key, or a token. "" is nothing that is known. It does not see a
// client secret, which has no form of its own.
//
// Every value of every file is asked about: what a form holds for certain is looked for
// before the form, which costs a hundred times as much.
func Key(text string) string {
	switch {
	case holds(strings.ToUpper(text), "AGE-") && ageKey().MatchString(text),
		holds(text, "PRIVATE KEY", "b3BlbnNzaC1rZXktdjE", "MII", "MC4CAQAwBQYDK2V") && otherKey().MatchString(text):
		return "a private key"
	case holds(text, "terra_at_") && adminToken().MatchString(text):
		return "an admin token of Terra"
	case holds(text, "gh", "gl", "ATBB", "AKIA", "xox", "eyJ") && accessToken().MatchString(text):
		return "an access token"
	}
	return ""
}

func holds(text string, needed ...string) bool {
	return slices.ContainsFunc(needed, func(s string) bool { return strings.Contains(text, s) })
}
