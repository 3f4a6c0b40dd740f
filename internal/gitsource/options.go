package gitsource

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/visible"
)

// Defaults of [Options].
const (
	DefaultTimeout = 2 * time.Minute
	DefaultMaxPack = 256 << 20
)

// Options says which commit of which repository is wanted.
type Options struct {
	// URL is https://…, http://… (on this machine only, unless AllowHTTP),
	// ssh://…, git@host:path, file:///… or a directory. It holds no password, and
	// for https no user either.
	URL string
	// Ref is a branch, a tag, or a full name that begins with refs/. Empty means
	// the remote's HEAD.
	Ref string
	// Versions is a rule about versions, as in ">=1". Then the commit is that of the tag with
	// the highest version that satisfies it, and Ref is empty: v1.4.0 or 1.4.0, lightweight or
	// annotated. One before a release, such as 1.4.0-rc.1, counts only where the rule names one.
	Versions string
	// Path is the folder inside the repository that becomes the root of
	// [Source.FS], with "/" between names. Empty means all of it.
	Path string
	// Wanted says, by its name in its folder, which file is to be kept; nil means all. One
	// above 1 MiB is not, and all together may have 64 MiB.
	Wanted func(name string) bool
	// Others is how many bytes of the files that are not wanted are kept, of up to 64 KiB
	// each, and no more.
	Others int64
	// Auth signs in.
	Auth Auth
	// Way is how a remote is reached over http and https; it must be zero for ssh.
	Way Way
	// Timeout bounds a whole Fetch. Zero means two minutes.
	Timeout time.Duration
	// MaxPack bounds what one Fetch receives, in bytes; what it unpacks to may
	// be four times as much. Zero means 256 MiB. Above 16 MiB of it lie in a temporary file.
	MaxPack int64
	// AllowHTTP permits http:// to other machines. A token is not sent there.
	AllowHTTP bool
}

// Auth says who we are. https takes Username and Token, ssh takes SSHKeyFile and
// KnownHostsFile; all may be empty for a public repository over https.
type Auth struct {
	// Username goes with Token; empty means "x-access-token", which GitHub and
	// GitLab take beside any token.
	Username string
	// Token gives the password or access token. It is called anew for each Fetch.
	Token func() (string, error)
	// App gives the token in place of Token, where it is not nil.
	App *App
	// Repeats reports whether text of a server gives away a secret that it was sent; nil
	// knows one only as it is. Such text is withheld.
	Repeats func(text, secret string) bool
	// RepeatsLong is Repeats for text that a committer may have chosen, such as a subject or
	// the name of a branch or file: it must not tell whether a guess is right. nil is strings.Contains.
	RepeatsLong func(text, secret string) bool
	// Tells reports whether texts that a server gives away, with what was shown of it before,
	// hold most of a secret in pieces; if not, it takes them for shown. It is called for all
	// fetches of a [Source]. nil is never.
	Tells func(texts []string, secret string) bool
	// SSHKeyFile is a private key in OpenSSH's or PEM form, read anew for each
	// Fetch. A key with a passphrase is refused: nobody is there to type it.
	SSHKeyFile string
	// KnownHostsFile pins the keys of ssh servers. Required for ssh.
	KnownHostsFile string
	// Settings says where a person sets these, for messages; empty names are left out.
	Settings Settings
}

// Settings are the names of variables or fields.
type Settings struct{ Token, SSHKeyFile, KnownHostsFile string }

// explained adds to an error about who we are, or about who the server is, where
// that is set.
func (s Settings) explained(kind kind, err error) error {
	var option *OptionError
	about := is[*AuthError](err) || is[*HostKeyError](err) || errors.As(err, &option) && option.Option == "auth"
	switch {
	case kind == overSSH && about && s.SSHKeyFile != "" && s.KnownHostsFile != "":
		return fmt.Errorf("%w; the ssh key and the known hosts are set by %s and %s", err, s.SSHKeyFile, s.KnownHostsFile)
	case kind == overHTTP && s.Token != "" && (about || is[*NotFoundError](err)):
		return fmt.Errorf("%w; the token is set by %s", err, s.Token)
	}
	return err
}

func (o Options) withDefaults() Options {
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	if o.MaxPack == 0 {
		o.MaxPack = DefaultMaxPack
	}
	if o.Auth.Username == "" {
		o.Auth.Username = "x-access-token"
	}
	if o.Auth.Repeats == nil {
		o.Auth.Repeats = strings.Contains
	}
	if o.Auth.RepeatsLong == nil {
		o.Auth.RepeatsLong = strings.Contains
	}
	if o.Auth.Tells == nil {
		o.Auth.Tells = func([]string, string) bool { return false }
	}
	o.Path = cleanPath(o.Path)
	return o
}

// check refuses options that could never work. l is o.URL, understood.
func (o Options) check(l location) error {
	refuse := func(option, reason string) error { return &OptionError{Option: option, Reason: reason} }
	switch {
	case o.Timeout < 0:
		return refuse("timeout", "must not be negative")
	case o.MaxPack < 0:
		return refuse("size limit", "must not be negative")
	case !fs.ValidPath(o.Path):
		return refuse("path", `must be a folder inside the repository with "/" between names, as in config/terra`)
	case strings.ContainsFunc(o.Ref, func(r rune) bool { return r <= ' ' || r == 0x7f }) || strings.HasPrefix(o.Ref, "-"):
		return refuse("ref", "is not the name of a branch")
	case o.Versions != "" && o.Ref != "":
		return refuse("ref", "is given beside a rule about versions; keep one")
	case o.Versions != "" && CheckVersions(o.Versions) != nil:
		return refuse("versions", CheckVersions(o.Versions).Error())
	case l.kind != overSSH && (o.Auth.SSHKeyFile != "" || o.Auth.KnownHostsFile != "") && l.kind != onDisk:
		return refuse("auth", "has an ssh key or known hosts, but the URL is not ssh; use ssh:// or a token")
	case l.kind == overSSH && o.Way.Proxy != nil:
		return refuse("proxy", "is for https, and the URL is ssh, which takes no proxy here; use the https:// URL of the repository")
	case l.kind == overSSH && o.Way.CAFile != "":
		return refuse("ca file", "is for https, and the URL is ssh, where the known hosts file says whom to trust; take it out")
	case l.kind == overSSH && o.Auth.SSHKeyFile == "":
		return refuse("auth", "ssh needs a private key file without a passphrase and a known hosts file, and there is no ssh key")
	case l.kind == overSSH && o.Auth.KnownHostsFile == "":
		return refuse("auth", "ssh needs a known hosts file, which pins the server (ssh-keyscan prints its lines), and there is none")
	case l.kind == overHTTP && l.url.Scheme == "http" && !isLoopback(l.url.Hostname()):
		if !o.AllowHTTP {
			return refuse("URL", "is http:// to another machine, where anybody on the way can change the answer; use https://")
		}
		if o.Auth.Token != nil || o.Auth.App != nil {
			return refuse("auth", "has a token, which http:// would show to anybody on the way; use https://")
		}
	}
	return nil
}

// cleanPath makes "", "." and a trailing slash one thing.
func cleanPath(path string) string {
	path = strings.TrimSuffix(strings.TrimPrefix(path, "./"), "/")
	if path == "" {
		return "."
	}
	return path
}

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
	hint  string // overSSH: what may be meant instead, "" for nothing
}

// scpLike is git's short form user@host:path, with user@[host:port]:path and
// [user@host:port]:path.
var scpLike = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(?:([^@:/\s\[]+)@(\[[^@/\s\[\]]+\]|[^@:/\s\[\]]+)|\[([^@:/\s]+)@([^@/\s\[\]]+)\]):([^\s].*)$`)
})

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
	if m := scpLike().FindStringSubmatch(raw); m != nil {
		return scpLocation(m[1]+m[3], strings.Trim(m[2]+m[4], "[]"), m[5]), nil
	}
	before, _, _ := strings.Cut(raw, "/")
	if strings.ContainsAny(before, "@:") {
		return refuse("is neither a directory nor of the form git@host:path; write ssh://user@host/path")
	}
	return localDir(raw)
}

func scpLocation(user, host, path string) location {
	port := "22"
	if name, number, found := strings.Cut(host, ":"); found && !strings.Contains(number, ":") {
		host, port = name, number
	}
	shown := host
	if strings.Contains(host, ":") || port != "22" {
		shown = "[" + strings.TrimSuffix(host+":"+port, ":22") + "]"
	}
	l := location{
		kind: overSSH, user: user, host: net.JoinHostPort(host, port), path: strings.TrimRight(path, "/"),
		text: visible.Text(shown + ":" + path),
	}
	if number, rest, found := strings.Cut(path, "/"); found && number != "" && strings.Trim(number, "0123456789") == "" {
		l.hint = "if " + number + " is a port, write ssh://" + visible.Text(user+"@"+host+":"+number+"/"+rest)
	}
	return l
}

func localDir(raw string) (location, error) {
	dir, err := filepath.Abs(raw)
	if err != nil {
		return location{}, &OptionError{Option: "URL", Reason: "names a directory that can not be found from here; write it from / on"}
	}
	if _, err := os.Stat(dir); err != nil { // as for git clone, the name may lack its end
		if _, err := os.Stat(dir + ".git"); err == nil {
			dir += ".git"
		}
	}
	return location{kind: onDisk, dir: dir, climb: true, text: visible.Text(raw)}, nil
}

// parseURL never quotes what it was given: it may hold a password.
func parseURL(raw string) (location, error) {
	refuse := func(reason string) (location, error) {
		return location{}, &OptionError{Option: "URL", Reason: reason}
	}
	u, err := url.Parse(raw)
	if err != nil && strings.Contains(err.Error(), "invalid port") {
		return refuse("has no number where a port belongs; write a / before the path, as in ssh://git@git.example/team/specs.git")
	}
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
		return httpLocation(u), nil
	case u.Scheme == "ssh" || u.Scheme == "git+ssh" || u.Scheme == "ssh+git":
		return sshLocation(u), nil
	case u.Scheme == "git":
		return refuse("is git://, which nothing protects on the way; use https:// or ssh://")
	}
	return refuse("has a scheme that is not known here; use https://, ssh://, git@host:path, file:/// or a directory")
}

// httpLocation leaves out slashes that only some servers overlook.
func httpLocation(u *url.URL) location {
	path := strings.TrimRight(u.EscapedPath(), "/")
	for strings.Contains(path, "//") {
		path = strings.ReplaceAll(path, "//", "/")
	}
	tidy := *u
	if plain, err := url.PathUnescape(path); err == nil {
		tidy.Path, tidy.RawPath = plain, path
	}
	return location{kind: overHTTP, url: &tidy, text: visible.Text(tidy.String())}
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
	path := strings.TrimRight(u.Path, "/")
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
