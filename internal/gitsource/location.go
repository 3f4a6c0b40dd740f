package gitsource

import (
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/terra-reconcile/terra-reconcile/internal/visible"
)

type kind int

const (
	onDisk kind = iota
	overHTTP
	overSSH
)

// location is a repository URL, understood. It holds no password.
type location struct {
	kind kind
	url  *url.URL // overHTTP
	dir  string   // onDisk: absolute
	// climb says that dir may lie inside a repository, as for git itself.
	climb bool
	user  string // overSSH
	host  string // overSSH: host:port
	path  string // overSSH: as git-upload-pack wants it
	text  string // for messages; without user
}

// scpLike is git's short form user@host:path.
var scpLike = regexp.MustCompile(`^([^@:/\s]+)@(\[[0-9A-Fa-f:.]+\]|[^@:/\s\[\]]+):([^\s].*)$`)

func parseLocation(raw string) (location, error) {
	refuse := func(reason string) (location, error) {
		return location{}, &OptionError{Option: "URL", Reason: reason}
	}
	if raw == "" {
		return refuse("is empty; use https://, ssh://, git@host:path, file:/// or a directory")
	}
	if strings.Contains(raw, "://") {
		return parseURL(raw)
	}
	if _, err := os.Stat(raw); err == nil {
		return localDir(raw)
	}
	if m := scpLike.FindStringSubmatch(raw); m != nil {
		host := strings.Trim(m[2], "[]")
		return location{
			kind: overSSH, user: m[1], host: net.JoinHostPort(host, "22"), path: m[3],
			text: visible.Text(m[2] + ":" + m[3]),
		}, nil
	}
	before, _, _ := strings.Cut(raw, "/")
	if strings.ContainsAny(before, "@:") {
		return refuse("is neither a directory nor of the form git@host:path; write ssh://user@host/path")
	}
	return localDir(raw)
}

func localDir(raw string) (location, error) {
	dir, err := filepath.Abs(raw)
	if err != nil {
		return location{}, &OptionError{Option: "URL", Reason: "names a directory that can not be found from here; write it from / on"}
	}
	return location{kind: onDisk, dir: dir, climb: true, text: visible.Text(raw)}, nil
}

// parseURL never quotes what it was given: it may hold a password.
func parseURL(raw string) (location, error) {
	refuse := func(reason string) (location, error) {
		return location{}, &OptionError{Option: "URL", Reason: reason}
	}
	u, err := url.Parse(raw)
	if err != nil {
		return refuse("can not be read; it should look like https://git.example/team/specs.git")
	}
	_, password := u.User.Password()
	switch {
	case password:
		return refuse("holds a password; take it out and give a token file or token variable instead")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return refuse("ends in ? or #; take that off, and give credentials by a token file or token variable")
	case u.Scheme == "file":
		if u.Host != "" && u.Host != "localhost" {
			return refuse("names a host after file://; a path on this machine begins with file:///")
		}
		return location{kind: onDisk, dir: filepath.Clean(u.Path), text: visible.Text("file://" + u.Path)}, nil
	case u.Host == "" || strings.Trim(u.Path, "/") == "":
		return refuse("names no host or no repository; it should look like https://git.example/team/specs.git")
	case u.Scheme == "https" || u.Scheme == "http":
		if u.User != nil {
			return refuse("holds a user; take it out and give the user name and the token on their own")
		}
		return location{kind: overHTTP, url: u, text: visible.Text(u.String())}, nil
	case u.Scheme == "ssh":
		return sshLocation(u), nil
	case u.Scheme == "git":
		return refuse("is git://, which nothing protects on the way; use https:// or ssh://")
	}
	return refuse("has a scheme that is not known here; use https://, ssh://, git@host:path, file:/// or a directory")
}

func sshLocation(u *url.URL) location {
	port := u.Port()
	if port == "" {
		port = "22"
	}
	user := u.User.Username()
	if user == "" {
		user = "git"
	}
	path := u.Path
	if strings.HasPrefix(path, "/~") {
		path = path[1:]
	}
	return location{
		kind: overSSH, user: user, host: net.JoinHostPort(u.Hostname(), port), path: path,
		text: visible.Text("ssh://" + u.Host + u.Path),
	}
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}
