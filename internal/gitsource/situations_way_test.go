package gitsource

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	sshserver "github.com/gliderlabs/ssh"
	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
	xknownhosts "golang.org/x/crypto/ssh/knownhosts"
)

// urlSituations are ways to write where a repository is.
func urlSituations() []situation {
	strict := func(t *testing.T, name string) (base, head string) {
		t.Helper()
		r, head := plain(t)
		root := t.TempDir()
		if err := os.Rename(r.dir, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
		git := gitHTTP(t, root)
		return serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, "//") {
				http.NotFound(w, r)
				return
			}
			git.ServeHTTP(w, r)
		})), head
	}
	var all []situation
	for name, at := range map[string]struct{ repository, path string }{
		"a slash at the end":            {"x.git", "/x.git/.git/"},
		"slashes at the end":            {"x.git", "/x.git/.git///"},
		"a slash too many":              {"x.git", "//x.git//.git"},
		"a space as %20":                {"a b", "/a%20b/.git"},
		"a percent sign as %25":         {"100%", "/100%25/.git"},
		"%20 in the name":               {"a%20b", "/a%2520b/.git"},
		"other letters":                 {"größe", "/größe/.git"},
		"other letters, as bytes":       {"größe", "/gr%C3%B6%C3%9Fe/.git"},
		"a plus, an at, a tilde":        {"a+b@c~d", "/a+b@c~d/.git"},
		"a question mark as %3F":        {"a?b", "/a%3Fb/.git"},
		"the host in capitals, no .git": {"x", "/x/.git"},
	} {
		all = append(all, situation{name, func(t *testing.T) {
			base, head := strict(t, at.repository)
			s := open(t, Options{URL: base + at.path})
			fetch(t, s, head)
			fetch(t, s, head)
		}})
	}
	for name, want := range map[string]struct{ url, host, user, path string }{
		"scp-like":                         {"git@h.example:a/b.git", "h.example:22", "git", "a/b.git"},
		"scp-like, a slash at the end":     {"git@h.example:a/b.git/", "h.example:22", "git", "a/b.git"},
		"scp-like, absolute":               {"git@h.example:/srv/b.git", "h.example:22", "git", "/srv/b.git"},
		"scp-like, home":                   {"git@h.example:~ada/b.git", "h.example:22", "git", "~ada/b.git"},
		"scp-like, a port in brackets":     {"git@[h.example:2222]:a/b.git", "h.example:2222", "git", "a/b.git"},
		"scp-like, all of it in brackets":  {"[git@h.example:2222]:a/b.git", "h.example:2222", "git", "a/b.git"},
		"scp-like, IPv6":                   {"git@[2001:db8::1]:a/b.git", "[2001:db8::1]:22", "git", "a/b.git"},
		"scp-like, a user with dashes":     {"org-123@h.example:a/b.git", "h.example:22", "org-123", "a/b.git"},
		"ssh, a port":                      {"ssh://git@h.example:2222/a/b.git", "h.example:2222", "git", "/a/b.git"},
		"ssh, IPv6 and a port":             {"ssh://git@[2001:db8::1]:2222/a", "[2001:db8::1]:2222", "git", "/a"},
		"ssh, slashes at the end":          {"ssh://git@h.example/a/b.git//", "h.example:22", "git", "/a/b.git"},
		"ssh, percent":                     {"ssh://git@h.example/a%20b", "h.example:22", "git", "/a b"},
		"ssh, a user that is an id":        {"ssh://APKAEXAMPLE@h.example/v1/repos/x", "h.example:22", "APKAEXAMPLE", "/v1/repos/x"},
		"git+ssh":                          {"git+ssh://git@h.example/a", "h.example:22", "git", "/a"},
		"SSH in capitals":                  {"SSH://git@h.example/a", "h.example:22", "git", "/a"},
		"Azure DevOps over ssh":            {"git@ssh.dev.azure.com:v3/org/project/repo", "ssh.dev.azure.com:22", "git", "v3/org/project/repo"},
		"a folder of digits (or is it 22)": {"git@h.example:2222/b.git", "h.example:22", "git", "2222/b.git"},
	} {
		all = append(all, situation{name, func(t *testing.T) {
			s := open(t, Options{URL: want.url, Auth: Auth{SSHKeyFile: "/k", KnownHostsFile: "/h"}})
			if l := s.location; l.host != want.host || l.user != want.user || l.path != want.path {
				t.Errorf("got host %q user %q path %q", l.host, l.user, l.path)
			}
		}})
	}
	for name, c := range map[string]struct{ url, says string }{
		"a colon where a slash belongs": {"ssh://git@h.example:org/repo.git", "no number where a port belongs; write a / before the path"},
		"a user in https":               {"https://org@dev.azure.com/org/p/_git/r", "holds a user; take it out"},
		"a host alone":                  {"https://h.example//", "names no host or no repository"},
	} {
		all = append(all, situation{name, func(t *testing.T) {
			_, err := Open(Options{URL: c.url})
			wantError[*OptionError](t, err, c.says)
		}})
	}
	return append(all,
		situation{"a port in the short form is hinted at", func(t *testing.T) {
			key := newSSHKey(t)
			s := open(t, Options{URL: "git@127.0.0.1:2222/b.git", Auth: Auth{SSHKeyFile: key.file, KnownHostsFile: pin(t, "h:1", key.signer.PublicKey())}})
			s.location.host = "127.0.0.1:1"
			_, err := s.Fetch(t.Context())
			wantError[*UnreachableError](t, err, "if 2222 is a port, write ssh://git@127.0.0.1:2222/b.git")
		}},
		situation{"the server redirects to the name with .git", func(t *testing.T) {
			r, head := plain(t)
			git := gitHTTP(t, r.dir)
			base := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if rest, found := strings.CutPrefix(r.URL.Path, "/x/"); found {
					http.Redirect(w, r, "/.git/"+rest+"?"+r.URL.RawQuery, http.StatusMovedPermanently)
					return
				}
				git.ServeHTTP(w, r)
			}))
			fetch(t, open(t, Options{URL: base + "/x/"}), head)
		}},
		situation{"a bare folder by its name without .git", func(t *testing.T) {
			r, head := plain(t)
			dir := cloned(t, r, []string{"--bare"})
			if err := os.Rename(dir, dir+".git"); err != nil {
				t.Fatal(err)
			}
			fetch(t, open(t, Options{URL: dir}), head)
		}},
		situation{"file:// with percent signs", func(t *testing.T) {
			r, head := plain(t)
			dir := filepath.Join(t.TempDir(), "a b%")
			if err := os.Rename(r.dir, dir); err != nil {
				t.Fatal(err)
			}
			fetch(t, open(t, Options{URL: "file://" + strings.NewReplacer("%", "%25", " ", "%20").Replace(dir) + "/"}), head)
		}},
	)
}

// certificate is a server's, signed by itself.
func certificate(t *testing.T, change func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "git.internal"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	change(c)
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// serveTLS serves h over https; trusting makes a source take its issuer.
func serveTLS(t *testing.T, h http.Handler, c tls.Certificate, config *tls.Config) (base string, trusting func(*Source)) {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	config.Certificates = []tls.Certificate{c}
	server.TLS = config
	server.StartTLS()
	t.Cleanup(server.Close)
	pool := x509.NewCertPool()
	parsed, err := x509.ParseCertificate(c.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	pool.AddCert(parsed)
	return server.URL, func(s *Source) {
		s.road.transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
}

// answering is a server that sends text whatever it is asked.
func answering(t *testing.T, text string) string {
	t.Helper()
	return accept(t, func(conn net.Conn) {
		_, _ = conn.Read(make([]byte, 4096))
		_, _ = io.WriteString(conn, text)
		_ = conn.Close()
	})
}

// waySituations are troubles between us and a server. None is told as a damaged
// repository, and none shows a password.
func waySituations() []situation {
	tell := func(t *testing.T, s *Source, says ...string) {
		t.Helper()
		_, err := s.Fetch(t.Context())
		wantError[*UnreachableError](t, err, says...)
		if strings.Contains(err.Error(), "fsck") || strings.Contains(err.Error(), "hunter2") || strings.Count(err.Error(), "; ") != 1 {
			t.Errorf("the error is %q", err)
		}
	}
	overTLS := func(name string, change func(*x509.Certificate), config *tls.Config, trust bool, says ...string) situation {
		return situation{name, func(t *testing.T) {
			r, head := plain(t)
			base, trusting := serveTLS(t, gitHTTP(t, r.dir), certificate(t, change), config.Clone())
			s := open(t, Options{URL: base + "/.git"})
			if trust {
				trusting(s)
			}
			if len(says) == 0 {
				fetch(t, s, head)
				return
			}
			tell(t, s, says...)
		}}
	}
	same := func(*x509.Certificate) {}
	throughProxy := func(name, target, answer string, says ...string) situation {
		return situation{name, func(t *testing.T) {
			s := open(t, Options{URL: target, AllowHTTP: true})
			proxy := &url.URL{Scheme: "http", Host: answering(t, answer), User: url.UserPassword("me", "hunter2")}
			s.road.transport.Proxy = proxyOf(http.ProxyURL(proxy))
			tell(t, s, append(says, "the proxy "+proxy.Host)...)
		}}
	}
	const secure, open1 = "https://git.example.test/x.git", "http://git.example.test/x.git"
	all := []situation{
		overTLS("TLS as it should be", same, &tls.Config{MinVersion: tls.VersionTLS12}, true),
		overTLS("an issuer that nobody knows", same, &tls.Config{MinVersion: tls.VersionTLS12}, false, "an issuer that this machine does not trust; if the issuer is known to you, let SSL_CERT_FILE, or repo.tls.ca_file of daemon.yaml, name its certificate"),
		overTLS("a certificate that expired", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }, &tls.Config{MinVersion: tls.VersionTLS12}, true, "expired at 20", "ask the server's owner for a new one"),
		overTLS("a certificate of tomorrow", func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().Add(time.Hour), time.Now().Add(2*time.Hour)
		}, &tls.Config{MinVersion: tls.VersionTLS12}, true, "is valid from 20", "check this machine's clock"),
		overTLS("a certificate of another name", func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, []string{"git.internal"} }, &tls.Config{MinVersion: tls.VersionTLS12}, true, "use a name that the certificate holds"),
		overTLS("a certificate of no name", func(c *x509.Certificate) { c.IPAddresses = nil }, &tls.Config{MinVersion: tls.VersionTLS12}, true, "use a name that the certificate holds"),
		overTLS("a certificate for something else", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection} }, &tls.Config{MinVersion: tls.VersionTLS12}, true, "no protected connection to 127.0.0.1: "),
		overTLS("a server of TLS 1.1", same, &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, true, "no protected connection to 127.0.0.1: "),
		overTLS("a server that wants our certificate", same, &tls.Config{MinVersion: tls.VersionTLS12, ClientAuth: tls.RequireAnyClientCert}, true, "no protected connection to 127.0.0.1: "),
		{"http where https is asked for", func(t *testing.T) {
			r, _ := plain(t)
			base := serve(t, gitHTTP(t, r.dir))
			tell(t, open(t, Options{URL: strings.Replace(base, "http://", "https://", 1) + "/.git"}), "does not speak TLS at that port; check the port of the URL")
		}},
		{"something else than a web server", func(t *testing.T) {
			tell(t, open(t, Options{URL: "https://" + answering(t, "SSH-2.0-OpenSSH_9.2\r\n") + "/x"}), "does not speak TLS at that port")
		}},
		{"https where http is asked for", func(t *testing.T) {
			r, _ := plain(t)
			base, _ := serveTLS(t, gitHTTP(t, r.dir), certificate(t, same), &tls.Config{MinVersion: tls.VersionTLS12})
			tell(t, open(t, Options{URL: strings.Replace(base, "https://", "http://", 1) + "/.git"}), "wants https at that port; write https:// in the URL")
		}},
		{"something else where http is asked for", func(t *testing.T) {
			tell(t, open(t, Options{URL: "http://" + answering(t, "SSH-2.0-OpenSSH_9.2\r\n") + "/x"}), "does not speak http at that port")
		}},
		{"a host that does not exist", func(t *testing.T) {
			tell(t, open(t, Options{URL: "https://nowhere.invalid/x"}), "nowhere.invalid", "check the network and the server")
		}},
		{"a port where nobody listens", func(t *testing.T) { tell(t, open(t, Options{URL: "https://127.0.0.1:1/x"}), "connection refused") }},
		throughProxy("a proxy wants to know who", secure, "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n", "refused the user and password that were given, with status 407; correct them in HTTPS_PROXY"),
		throughProxy("a proxy refuses", secure, "HTTP/1.1 403 Forbidden\r\nContent-Length: 7\r\n\r\nhunter2", "with status 403; ask the proxy's owner to let git.example.test through, or list it in NO_PROXY"),
		throughProxy("a proxy finds no way", secure, "HTTP/1.1 502 Bad Gateway\r\n\r\n", "with status 502"),
		throughProxy("a proxy waits too long", secure, "HTTP/1.1 504 Gateway Timeout\r\n\r\n", "with status 504"),
		throughProxy("a proxy that speaks TLS itself", secure, "\x15\x03\x01\x00\x02\x02\x46", "no answer through"),
		throughProxy("a proxy that hangs up", secure, "", "no answer through", "check HTTPS_PROXY"),
		throughProxy("a proxy of http wants to know who", open1, "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "refused the user and password that were given, with status 407; correct them in HTTP_PROXY"),
		throughProxy("a proxy of http, or the server", open1, "HTTP/1.1 503 Busy\r\n\r\nhunter2", "or the server behind it, answered with status 503"),
		{"a proxy where nobody listens", func(t *testing.T) {
			s := open(t, Options{URL: secure})
			s.road.transport.Proxy = proxyOf(http.ProxyURL(&url.URL{Scheme: "http", Host: "127.0.0.1:1", User: url.UserPassword("me", "hunter2")}))
			tell(t, s, "the proxy 127.0.0.1:1 can not be used", "connection refused", "check HTTPS_PROXY, or list the host in NO_PROXY")
		}},
		{"a proxy of SOCKS where nobody listens", func(t *testing.T) {
			s := open(t, Options{URL: secure})
			s.road.transport.Proxy = proxyOf(http.ProxyURL(&url.URL{Scheme: "socks5", Host: "127.0.0.1:1", User: url.UserPassword("me", "hunter2")}))
			tell(t, s, "the proxy 127.0.0.1:1 can not be used")
		}},
		{"a proxy whose address can not be read", func(t *testing.T) {
			s := open(t, Options{URL: secure})
			s.road.transport.Proxy = proxyOf(func(*http.Request) (*url.URL, error) {
				return url.Parse("http://me:hunter2@[::1") //nolint:staticcheck // meant to be wrong
			})
			tell(t, s, "the address of the proxy in HTTPS_PROXY can not be read; write it like http://proxy.example:3128")
		}},
		{"a proxy that works", func(t *testing.T) {
			r, head := plain(t)
			git := gitHTTP(t, r.dir)
			seen := ""
			proxy := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				seen = r.Header.Get("Proxy-Authorization")
				git.ServeHTTP(w, r)
			}))
			at, err := url.Parse(proxy)
			if err != nil {
				t.Fatal(err)
			}
			at.User = url.UserPassword("me", "hunter2")
			s := open(t, Options{URL: "http://git.example.test/.git", AllowHTTP: true})
			s.road.transport.Proxy = proxyOf(http.ProxyURL(at))
			fetch(t, s, head)
			if !strings.HasPrefix(seen, "Basic ") {
				t.Errorf("the proxy was shown %q", seen)
			}
		}},
	}
	for _, way := range []string{"http", "ssh"} {
		all = append(all, situation{"a server that wants multi_ack, " + way, func(t *testing.T) {
			r, head := plain(t)
			if way == "http" {
				git := gitHTTP(t, r.dir)
				fetch(t, open(t, Options{URL: serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					body, _ := io.ReadAll(r.Body)
					if r.Method == http.MethodPost && !bytes.Contains(body, []byte("multi_ack")) {
						http.Error(w, "Clients must support multi-ack.", http.StatusBadRequest)
						return
					}
					r.Body = io.NopCloser(bytes.NewReader(body))
					git.ServeHTTP(w, r)
				})) + "/.git"}), head)
				return
			}
			host, user := newSSHKey(t), newSSHKey(t)
			address := serveSSHBy(t, host, user, nil, func(s sshserver.Session) {
				cmd := exec.CommandContext(s.Context(), "git", "-c", "safe.directory=*", "upload-pack", filepath.Join(r.dir, ".git"))
				cmd.Env, cmd.Stdout, cmd.Stderr = gitEnv(), s, s.Stderr()
				stdin, err := cmd.StdinPipe()
				if err != nil || cmd.Start() != nil {
					return
				}
				size, line := make([]byte, 4), 0
				_, _ = io.ReadFull(s, size)
				_, _ = fmt.Sscanf(string(size), "%x", &line)
				first := make([]byte, max(line-4, 0))
				_, _ = io.ReadFull(s, first)
				if line > 0 && !bytes.Contains(first, []byte("multi_ack")) {
					_ = cmd.Process.Kill()
					return
				}
				_, _ = stdin.Write(slices.Concat(size, first))
				go func() { _, _ = io.Copy(stdin, s); _ = stdin.Close() }()
				_ = cmd.Wait()
			})
			fetch(t, open(t, Options{URL: "ssh://git@" + address + "/x", Auth: Auth{SSHKeyFile: user.file, KnownHostsFile: pin(t, address, host.signer.PublicKey())}}), head)
		}})
	}
	for status, c := range map[int]struct{ says string }{
		http.StatusTooManyRequests: {"status 429"}, http.StatusInternalServerError: {"status 500"}, http.StatusBadGateway: {"status 502"},
		http.StatusServiceUnavailable: {"status 503"}, http.StatusBadRequest: {"status 400"}, http.StatusTeapot: {"status 418"},
	} {
		all = append(all, situation{c.says, func(t *testing.T) {
			base := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "hunter2", status) }))
			tell(t, open(t, Options{URL: base + "/x.git"}), c.says)
		}})
	}
	return all
}

// serveSSHBy runs an ssh server that lets user git with the key in, if its signature is
// of an algorithm that is taken (nil: any), and answers by run.
func serveSSHBy(t *testing.T, host sshKey, user sshKey, algorithms []string, run func(sshserver.Session)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &sshserver.Server{
		Handler: run,
		PublicKeyHandler: func(_ sshserver.Context, key sshserver.PublicKey) bool {
			return sshserver.KeysEqual(key, user.signer.PublicKey())
		},
		ServerConfigCallback: func(sshserver.Context) *ssh.ServerConfig {
			if algorithms == nil {
				return &ssh.ServerConfig{}
			}
			return &ssh.ServerConfig{ // says that it takes more, as OpenSSH does
				VerifiedPublicKeyCallback: func(_ ssh.ConnMetadata, _ ssh.PublicKey, p *ssh.Permissions, algorithm string) (*ssh.Permissions, error) {
					if !slices.Contains(algorithms, algorithm) {
						return nil, errors.New("not taken")
					}
					return p, nil
				},
			}
		},
	}
	server.AddHostKey(host.signer)
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close(); _ = listener.Close(); <-done })
	return listener.Addr().String()
}

// sshSituations are keys, servers and files of ssh.
func sshSituations() []situation {
	var all []situation
	withKey := func(name string, key any, form func(*pem.Block) []byte) situation {
		return situation{name, func(t *testing.T) {
			r, head := plain(t)
			signer, err := ssh.NewSignerFromKey(key)
			if err != nil {
				t.Fatal(err)
			}
			block, err := ssh.MarshalPrivateKey(key, "")
			if strings.Contains(name, "PKCS#8") {
				var der []byte
				der, err = x509.MarshalPKCS8PrivateKey(key)
				block = &pem.Block{Type: "PRIVATE KEY", Bytes: der}
			}
			if err != nil {
				t.Fatal(err)
			}
			user := sshKey{signer: signer, file: filepath.Join(t.TempDir(), "id")}
			if err := os.WriteFile(user.file, form(block), 0o600); err != nil {
				t.Fatal(err)
			}
			host := newSSHKey(t)
			address := serveSSH(t, r.dir, host, user)
			fetch(t, open(t, Options{URL: "ssh://git@" + address + "/.git", Auth: Auth{SSHKeyFile: user.file, KnownHostsFile: pin(t, address, host.signer.PublicKey())}}), head)
		}}
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		panic(err)
	}
	wide := func(b *pem.Block) []byte {
		out := []byte("\xff\xfe")
		for _, c := range pem.EncodeToMemory(b) {
			out = append(out, c, 0)
		}
		return out
	}
	all = append(all,
		withKey("an RSA key", rsaKey, pem.EncodeToMemory),
		withKey("an ECDSA key", ecKey, pem.EncodeToMemory),
		withKey("an RSA key in PKCS#8", rsaKey, pem.EncodeToMemory),
		withKey("an ECDSA key in PKCS#8", ecKey, pem.EncodeToMemory),
		withKey("a key with CRLF", ecKey, func(b *pem.Block) []byte {
			return bytes.ReplaceAll(pem.EncodeToMemory(b), []byte("\n"), []byte("\r\n"))
		}),
		withKey("a key with a BOM", ecKey, func(b *pem.Block) []byte { return append([]byte("\xef\xbb\xbf"), pem.EncodeToMemory(b)...) }),
		withKey("a key in UTF-16", ecKey, wide),
		withKey("a key without its last end of line", ecKey, func(b *pem.Block) []byte { return bytes.TrimSpace(pem.EncodeToMemory(b)) }),
	)
	for _, algorithm := range []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256} {
		all = append(all, situation{"only " + algorithm, func(t *testing.T) {
			r, head := plain(t)
			signer, err := ssh.NewSignerFromKey(rsaKey)
			if err != nil {
				t.Fatal(err)
			}
			block, err := ssh.MarshalPrivateKey(rsaKey, "")
			if err != nil {
				t.Fatal(err)
			}
			user := sshKey{signer: signer, file: filepath.Join(t.TempDir(), "id")}
			if err := os.WriteFile(user.file, pem.EncodeToMemory(block), 0o600); err != nil {
				t.Fatal(err)
			}
			host := newSSHKey(t)
			address := serveSSHBy(t, host, user, []string{algorithm}, func(s sshserver.Session) {
				cmd := exec.CommandContext(s.Context(), "git", "-c", "safe.directory=*", "upload-pack", filepath.Join(r.dir, ".git"))
				cmd.Env, cmd.Stdout, cmd.Stderr = gitEnv(), s, s.Stderr()
				stdin, err := cmd.StdinPipe()
				if err != nil {
					return
				}
				go func() { _, _ = io.Copy(stdin, s); _ = stdin.Close() }()
				_ = cmd.Run()
			})
			fetch(t, open(t, Options{URL: "ssh://git@" + address + "/x", Auth: Auth{SSHKeyFile: user.file, KnownHostsFile: pin(t, address, host.signer.PublicKey())}}), head)
		}})
	}
	for name, c := range map[string]struct{ text, says string }{
		"a public key":         {"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIC0 me\n", "it is a public key; name the file of the private one"},
		"a key of PuTTY":       {"PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n", "convert it: puttygen"},
		"an empty key file":    {"", "read ssh key"},
		"a key that is cut":    {"-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEA\n", "read ssh key"},
		"a certificate of TLS": {"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", "read ssh key"},
	} {
		all = append(all, situation{name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "id")
			if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := open(t, Options{URL: "ssh://127.0.0.1:1/x", Auth: Auth{SSHKeyFile: file, KnownHostsFile: file}}).Fetch(t.Context())
			wantError[*AuthError](t, err, c.says, file)
		}})
	}
	foreign := map[string]string{
		"a line of SSH 1":                      "old.example 1024 35 1432722500493221697379335475133233069247665771237207\n",
		"a key of a kind of the future":        "new.example ssh-mldsa65 AAAAC3NzaC1tbGRzYTY1AAAAAQ==\n",
		"a line that is cut":                   "cut.example ssh-ed25519 AAAAC3NzaC1lZDI1\n",
		"two hosts in a line":                  "a.example ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIC+/mL3=b.example ssh-ed25519 AAAA\n",
		"a BOM before a comment":               "\xef\xbb\xbf# pinned\n",
		"a hash that is none":                  "|1|nonsense ssh-ed25519 AAAA\n",
		"a host alone":                         "alone.example\n",
		"what ssh-keyscan says":                "# 127.0.0.1:22 SSH-2.0-OpenSSH_9.2\n\n   \n",
		"an authority of others":               "@cert-authority *.example ssh-ed25519 AAAA\n",
		"a marker of the future":               "@future *.example ssh-ed25519 AAAA\n",
		"many that can not be read":            strings.Repeat("bad.example ssh-ed25519 AAAA\n", 40),
		"an unreadable line of this very host": "127.0.0.1 ssh-ed25519 AAAA\n",
	}
	forms := map[string]func(foreign, right string) string{
		"before":            func(foreign, right string) string { return foreign + right },
		"behind":            func(foreign, right string) string { return right + foreign },
		"before, with CRLF": func(foreign, right string) string { return strings.ReplaceAll(foreign+right, "\n", "\r\n") },
		"before, in UTF-16": func(foreign, right string) string {
			return "\xff\xfe" + strings.Join(strings.Split(strings.TrimPrefix(foreign, "\xef\xbb\xbf")+right, ""), "\x00") + "\x00"
		},
		"before, and hashed": nil,
	}
	for name, text := range foreign {
		for place, form := range forms {
			all = append(all, situation{"known_hosts: " + name + ", " + place, func(t *testing.T) {
				host := newSSHKey(t)
				const address = "127.0.0.1:2222"
				right := knownhosts.Line([]string{knownhosts.Normalize(address)}, host.signer.PublicKey()) + "\n"
				if form == nil {
					form = func(foreign, _ string) string {
						return foreign + knownhosts.Line([]string{xknownhosts.HashHostname(knownhosts.Normalize(address))}, host.signer.PublicKey()) + "\n"
					}
				}
				file := filepath.Join(t.TempDir(), "known_hosts")
				if err := os.WriteFile(file, []byte(form(text, right)), 0o600); err != nil {
					t.Fatal(err)
				}
				db, err := pinnedHosts(file)
				if err != nil {
					t.Fatal(err)
				}
				at := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 2222}
				if err := db.HostKeyCallback()(address, at, host.signer.PublicKey()); err != nil {
					t.Errorf("the pinned key is refused: %v", err)
				}
				if err := db.HostKeyCallback()(address, at, newSSHKey(t).signer.PublicKey()); err == nil {
					t.Error("another key is taken")
				}
			}})
		}
	}
	return append(all,
		situation{"known_hosts: a revocation that can not be read", func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "known_hosts")
			if err := os.WriteFile(file, slices.Concat([]byte("git.example "), ssh.MarshalAuthorizedKey(newSSHKey(t).signer.PublicKey()), []byte(" @revoked * ssh-ed25519 AAAA\n")), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := pinnedHosts(file); err == nil || !strings.Contains(err.Error(), "line 2 revokes a key and can not be read") {
				t.Errorf("got %v", err)
			}
		}},
		situation{"no agent and no HOME", func(t *testing.T) {
			host, user := newSSHKey(t), newSSHKey(t)
			_, err := dialSSH(t.Context(), location{host: "127.0.0.1:1"}, Auth{SSHKeyFile: user.file, KnownHostsFile: pin(t, "127.0.0.1:1", host.signer.PublicKey())}, &budget{left: 1})
			wantError[*UnreachableError](t, err, "connection refused")
		}},
	)
}
