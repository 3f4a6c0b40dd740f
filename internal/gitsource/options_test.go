package gitsource

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestOpenRefuses(t *testing.T) {
	token := func() (string, error) { return "t", nil }
	key := Auth{SSHKeyFile: "/k", KnownHostsFile: "/h"}
	for name, test := range map[string]struct {
		options Options
		says    string
	}{
		"nothing":             {Options{}, "is empty"},
		"password":            {Options{URL: "https://bot:hunter2@git.example/x"}, "holds a password"},
		"ssh password":        {Options{URL: "ssh://git:hunter2@git.example/x", Auth: key}, "holds a password"},
		"token as user":       {Options{URL: "https://hunter2@git.example/x"}, "holds a user"},
		"token in query":      {Options{URL: "https://git.example/x?private_token=hunter2"}, "ends in ?"},
		"token in fragment":   {Options{URL: "https://git.example/x#hunter2"}, "ends in ?"},
		"not a URL":           {Options{URL: "https://bot:hunter2@git.example/%zz"}, "can not be read"},
		"scp with password":   {Options{URL: "bot:hunter2@git.example:x"}, "neither a directory"},
		"host and path":       {Options{URL: "git.example:x"}, "ssh://user@host/path"},
		"git protocol":        {Options{URL: "git://git.example/x"}, "nothing protects"},
		"unknown scheme":      {Options{URL: "ftp://git.example/hunter2"}, "scheme"},
		"no host":             {Options{URL: "https:///x"}, "names no host"},
		"no path":             {Options{URL: "https://git.example/"}, "no repository"},
		"file with host":      {Options{URL: "file://server/x"}, "file:///"},
		"http elsewhere":      {Options{URL: "http://git.example/x"}, "use https://"},
		"http like loopback":  {Options{URL: "http://localhost.example/x"}, "use https://"},
		"token over http":     {Options{URL: "http://git.example/x", AllowHTTP: true, Auth: Auth{Token: token}}, "has a token"},
		"ssh without key":     {Options{URL: "ssh://git.example/x", Auth: Auth{KnownHostsFile: "/h"}}, "no ssh key"},
		"ssh without pins":    {Options{URL: "git@git.example:x", Auth: Auth{SSHKeyFile: "/k"}}, "known hosts"},
		"https with ssh key":  {Options{URL: "https://git.example/x", Auth: key}, "not ssh"},
		"path outside":        {Options{URL: "/srv/x", Path: "../y"}, "inside the repository"},
		"absolute path":       {Options{URL: "/srv/x", Path: "/y"}, "inside the repository"},
		"ref like a flag":     {Options{URL: "/srv/x", Ref: "--upload-pack=x"}, "name of a branch"},
		"ref with line break": {Options{URL: "/srv/x", Ref: "a\nb"}, "name of a branch"},
		"negative timeout":    {Options{URL: "/srv/x", Timeout: -time.Second}, "negative"},
		"negative size":       {Options{URL: "/srv/x", MaxPack: -1}, "negative"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Open(test.options)
			wantError[*OptionError](t, err, test.says)
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error repeats the secret: %v", err)
			}
		})
	}
}

func TestOpenUnderstands(t *testing.T) {
	key := Auth{SSHKeyFile: "/k", KnownHostsFile: "/h"}
	for url, want := range map[string]struct {
		auth             Auth
		user, host, path string
		text             string
	}{
		"ssh://git.example/a/b.git":            {key, "git", "git.example:22", "/a/b.git", "ssh://git.example/a/b.git"},
		"ssh://deploy@git.example:2222/~ada/b": {key, "deploy", "git.example:2222", "~ada/b", "ssh://git.example:2222/~ada/b"},
		"git@git.example:a/b.git":              {key, "git", "git.example:22", "a/b.git", "git.example:a/b.git"},
		"git@[::1]:a":                          {key, "git", "[::1]:22", "a", "[::1]:a"},
		"ssh://git@[::1]/a":                    {key, "git", "[::1]:22", "/a", "ssh://[::1]/a"},
		"https://git.example/a.git":            {Auth{}, "", "", "", "https://git.example/a.git"},
		"http://127.0.0.1:80/a":                {Auth{}, "", "", "", "http://127.0.0.1:80/a"},
		"http://[::1]/a":                       {Auth{}, "", "", "", "http://[::1]/a"},
		"file:///srv/a%20b":                    {Auth{}, "", "", "", "file:///srv/a b"},
		"./specs":                              {Auth{}, "", "", "", "./specs"},
	} {
		t.Run(url, func(t *testing.T) {
			s, err := Open(Options{URL: url, Auth: want.auth})
			if err != nil {
				t.Fatal(err)
			}
			l := s.location
			if l.user != want.user || l.host != want.host || l.path != want.path || s.String() != want.text {
				t.Errorf("got user %q host %q path %q text %q, want %+v", l.user, l.host, l.path, s, want)
			}
			if s.options.MaxPack != 256<<20 {
				t.Errorf("a pack of %d bytes is taken, want 256 MiB at most", s.options.MaxPack)
			}
		})
	}
	if _, err := Open(Options{URL: "http://git.example/x", AllowHTTP: true}); err != nil {
		t.Errorf("a public repository over allowed http: %v", err)
	}
}

func TestMessages(t *testing.T) {
	have := strings.Split("abcdefghijkl", "")
	for want, err := range map[string]error{
		`there is no branch "x"; there is: a, b, c, d, e, f, g, h, i, j and 2 more`: &MissingRefError{Ref: "x", Have: have},
		`there is no branch "x" and no other branch; push it`:                       &MissingRefError{Ref: "x"},
		`HEAD names no branch that exists; choose one: a, b`:                        &MissingRefError{Ref: "HEAD", Have: have[:2]},
	} {
		if err.Error() != want {
			t.Errorf("got %q, want %q", err, want)
		}
	}
	if got := clean(" a\x1b[31m\u202eb\xff\nsecond"); got != `a\u001B[31m\u202Eb\xFF` {
		t.Errorf("clean gave %q", got)
	}
	if got := clean(strings.Repeat("ä", 500)); len([]rune(got)) != 201 {
		t.Errorf("clean kept %d characters", len([]rune(got)))
	}
	if ours(errors.New("other")) || !ours(&TimeoutError{}) {
		t.Error("ours does not know our errors")
	}
}
