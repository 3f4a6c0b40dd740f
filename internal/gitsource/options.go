package gitsource

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"
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
	// Path is the folder inside the repository that becomes the root of
	// [Source.FS], with "/" between names. Empty means all of it.
	Path string
	// Auth signs in.
	Auth Auth
	// Timeout bounds a whole Fetch. Zero means two minutes.
	Timeout time.Duration
	// MaxPack bounds what one Fetch receives, in bytes; what it unpacks to may
	// be four times as much. Zero means 256 MiB.
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
	case l.kind != overSSH && (o.Auth.SSHKeyFile != "" || o.Auth.KnownHostsFile != "") && l.kind != onDisk:
		return refuse("auth", "has an ssh key or known hosts, but the URL is not ssh; use ssh:// or a token")
	case l.kind == overSSH && o.Auth.SSHKeyFile == "":
		return refuse("auth", "ssh needs a private key file without a passphrase and a known hosts file, and there is no ssh key")
	case l.kind == overSSH && o.Auth.KnownHostsFile == "":
		return refuse("auth", "ssh needs a known hosts file, which pins the server (ssh-keyscan prints its lines), and there is none")
	case l.kind == overHTTP && l.url.Scheme == "http" && !isLoopback(l.url.Hostname()):
		if !o.AllowHTTP {
			return refuse("URL", "is http:// to another machine, where anybody on the way can change the answer; use https://")
		}
		if o.Auth.Token != nil {
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
