package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// checkBaseURL returns the base URL without a trailing slash, or why a token may
// not be sent there. The value is never quoted: people paste credentials into it.
func checkBaseURL(text string) (string, error) {
	u, err := checkAddress(text, "the token", DefaultBaseURL)
	if err != nil {
		return "", err
	}
	return strings.TrimRight(u.String(), "/"), nil
}

// checkProbeURL says why a pair of client id and secret may not be sent there.
// The value is never quoted.
func checkProbeURL(text string) error {
	_, err := checkAddress(text, "the client secret", "https://proxy.example/strava/oauth/token")
	return err
}

// checkAddress refuses an address that would give away what is sent there.
func checkAddress(text, sent, example string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "" || !isPort(u.Port()):
		return nil, fmt.Errorf("is not a URL; it should look like %s", example)
	case u.User != nil:
		return nil, fmt.Errorf("holds a user or password; take it out, %s has its own place", sent)
	case u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		return nil, fmt.Errorf("ends in ? or #; it should look like %s", example)
	case u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())):
		return nil, fmt.Errorf("would send %s unprotected; use https:// (http:// only on this machine)", sent)
	}
	return u, nil
}

// isPort lets "" pass, which is the scheme's own port.
func isPort(text string) bool {
	_, err := strconv.ParseUint(text, 10, 16)
	return text == "" || err == nil
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

// checkRepoURL refuses a password inside the URL of a repository that is set under a path; the
// rest is for the git client.
func checkRepoURL(text, path string) error {
	credentials := fmt.Errorf("holds credentials; take them out and set %[1]s.auth.token_file or %[1]s.auth.token_env", path)
	if !strings.Contains(text, "://") {
		place, _, _ := strings.Cut(text, "/")
		if user, _, found := strings.Cut(place, "@"); found && strings.Contains(user, ":") {
			return credentials
		}
		return nil
	}
	u, err := url.Parse(text)
	if err != nil {
		return errors.New("is not a URL; use https://, ssh://, git@host:path, file:/// or a directory")
	}
	_, password := u.User.Password()
	switch {
	case password || u.User != nil && strings.HasPrefix(u.Scheme, "http"):
		return credentials
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return fmt.Errorf("ends in ? or #; take that off, and give credentials by %[1]s.auth.token_file or %[1]s.auth.token_env", path)
	}
	return nil
}

// checkRedirectHost judges a host that stands in no file.
func checkRedirectHost(text string) error {
	if d := fields().Declared("accounts.*", "redirect_hosts"); !d.Pattern().MatchString(text) || len(text) > d.Chars {
		return errors.New("is not " + d.Says)
	}
	return nil
}

func checkRepoPath(text string) error {
	if !fs.ValidPath(text) {
		return errors.New(`is not a folder inside the repository; use names with "/" between them, as in config/terra`)
	}
	return nil
}

// checkProxy refuses an address that holds a password, or that no proxy has. The value is
// never quoted.
func checkProxy(text string) error {
	u, err := url.Parse(text)
	switch {
	case strings.Contains(text, "@"):
		return errors.New("holds a user or password; take it out and set repo.proxy.url, repo.proxy.username and repo.proxy.password_file or repo.proxy.password_env")
	case err != nil || !proxyPattern().MatchString(text) || u.Hostname() == "":
		return errors.New("is not the address of a proxy; write it as in http://proxy.acme.example:3128 (http, https, socks5 or socks5h)")
	}
	return nil
}

// AppRepository is OWNER/NAME of the https address of a repository at GitHub, "" where it
// names none.
func AppRepository(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	path := strings.TrimSuffix(strings.Trim(u.Path, "/"), ".git")
	if owner, name, _ := strings.Cut(path, "/"); owner == "" || name == "" || strings.Contains(name, "/") {
		return ""
	}
	return path
}

// checkVersions says why a text is no rule about versions.
func checkVersions(text string) error {
	if _, err := semver.NewConstraint(text); err != nil {
		return errors.New("is not " + fields().Declared("repo.ref", "semver").Says)
	}
	return nil
}

func checkListen(text string) error {
	_, port, err := net.SplitHostPort(text)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return fmt.Errorf("is not an address; it should look like %s", DefaultListen)
	}
	return nil
}

// Forges are the words for a forge.
func Forges() []string { return []string{"github", "gitlab", "gitea", "forgejo"} }

// ForgeAPI is whose API a forge speaks: Forgejo that of Gitea.
func ForgeAPI(forge string) string {
	if forge == "forgejo" {
		return "gitea"
	}
	return forge
}

// DefaultForge is the address of a forge that there is once, "" for others.
func DefaultForge(forge string) string {
	switch forge {
	case "github":
		return DefaultGitHub
	case "gitlab":
		return DefaultGitLab
	}
	return ""
}

// CheckForge returns the address of a forge without a trailing slash, or why a token may not
// be sent there. The value is never quoted.
func CheckForge(text string) (string, error) {
	u, err := checkAddress(text, "the token", DefaultGitHub)
	if err != nil {
		return "", err
	}
	return strings.TrimRight(u.String(), "/"), nil
}

// CheckProject says why a forge has no project of that name.
func CheckProject(forge, project string) error {
	d := fields().Declared("notify_commit", "project")
	switch {
	case !d.Pattern().MatchString(project) || len(project) > d.Chars:
		return errors.New("is not " + d.Says)
	case forge != "gitlab" && strings.Count(project, "/") != 1:
		return errors.New("is not OWNER/NAME, as in acme/terra-config")
	}
	return nil
}

// CheckContext says why no status can be named so.
func CheckContext(text string) error {
	if d := fields().Declared("notify_commit", "context"); !d.Pattern().MatchString(text) || len(text) > d.Chars {
		return errors.New("is not " + d.Says)
	}
	return nil
}
