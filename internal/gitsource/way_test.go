package gitsource

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// authority is a CA of our own.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	file string // its certificate as PEM
}

func newAuthority(t testing.TB) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Acme CA"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return authority{key, cert, file}
}

// serve serves by TLS with a certificate of the authority.
func (a authority) serve(t testing.TB, h http.Handler) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "git"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(h)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.URL
}

func TestIssuersOfOurOwn(t *testing.T) {
	r := newRepository(t)
	head := r.commit("first", "a.yaml", "a")
	ours, others := newAuthority(t), newAuthority(t)
	o := Options{URL: ours.serve(t, gitHTTP(t, r.dir)) + "/.git", Timeout: time.Minute}
	_, err := open(t, o).Fetch(t.Context())
	wantError[*UnreachableError](t, err, "an issuer that this machine does not trust", "let SSL_CERT_FILE, or repo.tls.ca_file of daemon.yaml, name its certificate")

	file := filepath.Join(t.TempDir(), "issuers.pem")
	replace := func(from string) {
		t.Helper()
		data, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(file, data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	o.Way = Way{CAFile: file, Settings: WaySettings{CAFile: "repo.tls.ca_file"}}
	replace(others.file)
	s := open(t, o)
	_, err = s.Fetch(t.Context())
	wantError[*UnreachableError](t, err, "an issuer that this machine does not trust", "add its certificate to "+file+" (repo.tls.ca_file)")
	replace(ours.file)
	fetch(t, s, head) // read anew
	replace(others.file)
	_, err = s.Fetch(t.Context())
	wantError[*UnreachableError](t, err, "does not trust")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	_, err = s.Fetch(t.Context())
	wantError[*OptionError](t, err, "read CA certificates", "no such file")
}

// TestIssuersBesideTheSystems: what is added takes nothing away.
func TestIssuersBesideTheSystems(t *testing.T) {
	system, err := x509.SystemCertPool()
	if err != nil {
		system = x509.NewCertPool() // this machine trusts nobody
	}
	own := newAuthority(t)
	transport, err := newRoad(Way{CAFile: own.file}).now()
	if err != nil {
		t.Fatal(err)
	}
	system.AddCert(own.cert)
	if !transport.TLSClientConfig.RootCAs.Equal(system) {
		t.Error("it trusts others than the system does and our own")
	}
}

func TestFilesThatAreNoIssuers(t *testing.T) {
	key := newSSHKey(t).file
	for text, want := range map[string]string{"": "it holds none as PEM", "hello": "it holds none as PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n": "number 1 of them can not be read"} {
		file := filepath.Join(t.TempDir(), "ca.pem")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Issuers(file); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), file) {
			t.Errorf("%q gave %v", text, err)
		}
	}
	if _, err := Issuers(key); err == nil || !strings.Contains(err.Error(), "it holds more than certificates: OPENSSH PRIVATE KEY; keep only certificates there") {
		t.Errorf("a key gave %v", err)
	}
}

// proxyServer is a proxy that notes where it led, and asks for a user where it has one.
type proxyServer struct {
	user, password string

	mu  sync.Mutex
	led []string
}

func (p *proxyServer) note(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.led = append(p.led, what)
}

func (p *proxyServer) noted() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Compact(slices.Clone(p.led))
}

func (p *proxyServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if want := "Basic " + base64.StdEncoding.EncodeToString([]byte(p.user+":"+p.password)); p.user != "" && r.Header.Get("Proxy-Authorization") != want {
		w.WriteHeader(http.StatusProxyAuthRequired)
		return
	}
	p.note(r.Method + " " + r.Host)
	if r.Method != http.MethodConnect {
		r.RequestURI = ""
		res, err := newTransport().RoundTrip(r)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer func() { _ = res.Body.Close() }()
		for name, values := range res.Header {
			w.Header()[name] = values
		}
		w.WriteHeader(res.StatusCode)
		_, _ = io.Copy(w, res.Body)
		return
	}
	there, err := net.Dial("tcp", r.Host)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	here, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	_, _ = io.WriteString(here, "HTTP/1.1 200 OK\r\n\r\n")
	pipe(here, there)
}

func pipe(a, b net.Conn) {
	go func() { _, _ = io.Copy(a, b); _ = a.Close() }()
	go func() { _, _ = io.Copy(b, a); _ = b.Close() }()
}

// serveSOCKS is a proxy that speaks SOCKS 5 and asks for nobody.
func serveSOCKS(t testing.TB, p *proxyServer) string {
	t.Helper()
	return accept(t, func(conn net.Conn) {
		in := bufio.NewReader(conn)
		head := make([]byte, 2)
		_, _ = io.ReadFull(in, head)
		_, _ = in.Discard(int(head[1]))
		_, _ = conn.Write([]byte{5, 0})
		ask := make([]byte, 10) // an address of IPv4
		if _, err := io.ReadFull(in, ask); err != nil || ask[3] != 1 {
			_ = conn.Close()
			return
		}
		host := (&net.TCPAddr{IP: ask[4:8], Port: int(ask[8])<<8 | int(ask[9])}).String()
		p.note("SOCKS " + host)
		there, err := net.Dial("tcp", host)
		if err != nil {
			_ = conn.Close()
			return
		}
		_, _ = conn.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
		pipe(conn, there)
	})
}

// TestProxyOfOneRemote: all goes through the proxy that is named, also to this machine.
func TestProxyOfOneRemote(t *testing.T) {
	r := newRepository(t)
	head := r.commit("first", "a.yaml", "a")
	own := newAuthority(t)
	plain, secure := serve(t, gitHTTP(t, r.dir)), own.serve(t, gitHTTP(t, r.dir))
	host := func(url string) string { _, host, _ := strings.Cut(url, "://"); return host }
	for name, c := range map[string]struct {
		proxy func(t *testing.T, p *proxyServer) string
		url   string
		want  string
	}{
		"http to https":  {func(t *testing.T, p *proxyServer) string { t.Helper(); return serve(t, p) }, secure, "CONNECT " + host(secure)},
		"http to http":   {func(t *testing.T, p *proxyServer) string { t.Helper(); return serve(t, p) }, plain, "GET " + host(plain) + ",POST " + host(plain)},
		"https to https": {func(t *testing.T, p *proxyServer) string { t.Helper(); return own.serve(t, p) }, secure, "CONNECT " + host(secure)},
		"socks5":         {func(t *testing.T, p *proxyServer) string { t.Helper(); return "socks5://" + serveSOCKS(t, p) }, secure, "SOCKS " + host(secure)},
	} {
		t.Run(name, func(t *testing.T) {
			p := &proxyServer{}
			at, err := url.Parse(c.proxy(t, p))
			if err != nil {
				t.Fatal(err)
			}
			fetch(t, open(t, Options{URL: c.url + "/.git", Timeout: time.Minute, Way: Way{CAFile: own.file, Proxy: func() (*url.URL, error) { return at, nil }}}), head)
			if got := strings.Join(p.noted(), ","); got != c.want {
				t.Errorf("it led to %s, want %s", got, c.want)
			}
		})
	}
}

// TestProxyThatAsksWho: the password is read for each fetch, and told to nobody.
func TestProxyThatAsksWho(t *testing.T) {
	r := newRepository(t)
	head := r.commit("first", "a.yaml", "a")
	own := newAuthority(t)
	p := &proxyServer{user: "reconcile", password: "correct-horse"}
	at, err := url.Parse(serve(t, p))
	if err != nil {
		t.Fatal(err)
	}
	password := ""
	way := Way{CAFile: own.file, Settings: WaySettings{Proxy: "repo.proxy"}, Proxy: func() (*url.URL, error) {
		u := *at
		if password != "" {
			u.User = url.UserPassword("reconcile", password)
		}
		return &u, nil
	}}
	s := open(t, Options{URL: own.serve(t, gitHTTP(t, r.dir)) + "/.git", Timeout: time.Minute, Way: way})
	for _, password = range []string{"", "battery-staple"} {
		_, err = s.Fetch(t.Context())
		want := []string{"the proxy " + at.Host + " refused the connection with status 407; put its user and password into repo.proxy"}
		if password != "" {
			want = []string{"the proxy " + at.Host + " refused the user and password that were given, with status 407; correct them in repo.proxy"}
		}
		wantError[*UnreachableError](t, err, want...)
		if strings.Contains(err.Error(), "battery") || strings.Contains(err.Error(), "NO_PROXY") {
			t.Errorf("got %v", err)
		}
	}
	password = "correct-horse"
	fetch(t, s, head)
	way.Proxy = func() (*url.URL, error) { return url.Parse("http://127.0.0.1:1") }
	_, err = open(t, Options{URL: s.location.url.String(), Way: way}).Fetch(t.Context())
	wantError[*UnreachableError](t, err, "the proxy 127.0.0.1:1 can not be used", "check repo.proxy")
}

func TestWayOfSSH(t *testing.T) {
	t.Parallel()
	auth := Auth{SSHKeyFile: "/k", KnownHostsFile: "/h"}
	_, err := Open(Options{URL: "ssh://git@git.example/x", Auth: auth, Way: Way{Proxy: func() (*url.URL, error) { return nil, nil }}})
	wantError[*OptionError](t, err, "ssh, which takes no proxy here; use the https:// URL")
	_, err = Open(Options{URL: "git@git.example:x", Auth: auth, Way: Way{CAFile: "/ca"}})
	wantError[*OptionError](t, err, "the known hosts file says whom to trust")
}
