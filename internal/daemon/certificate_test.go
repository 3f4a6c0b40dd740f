package daemon

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// writePair makes a certificate of this machine in dir and gives its number.
func writePair(t *testing.T, dir string, number int64) {
	t.Helper()
	writePairUntil(t, dir, number, time.Unix(1<<33, 0))
}

func writePairUntil(t *testing.T, dir string, number int64, until time.Time) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(number), NotBefore: time.Unix(0, 0), NotAfter: until, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"cert": {Type: "CERTIFICATE", Bytes: cert}, "key": {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCertificateIsRenewed: a replaced certificate is taken, and one that is wrong is not:
// the former goes on, and that is logged once.
func TestCertificateIsRenewed(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		var said bytes.Buffer
		writePair(t, dir, 1)
		c, err := LoadCertificate(filepath.Join(dir, "cert"), filepath.Join(dir, "key"), slog.New(slog.NewTextHandler(&said, nil)))
		if err != nil {
			t.Fatal(err)
		}
		is := func(want int64) {
			t.Helper()
			pair, err := c.Config().GetCertificate(nil)
			if err != nil || pair.Leaf.SerialNumber.Int64() != want {
				t.Errorf("certificate %v, %v, want %d", pair.Leaf.SerialNumber, err, want)
			}
		}
		is(1)
		writePair(t, dir, 2)
		is(1) // files are not read for every caller
		time.Sleep(certificateLooked)
		is(2)
		if err := os.WriteFile(filepath.Join(dir, "key"), []byte("no key"), 0o600); err != nil {
			t.Fatal(err)
		}
		for range 5 {
			time.Sleep(certificateLooked)
			is(2)
		}
		if n := strings.Count(said.String(), "is not used"); n != 1 {
			t.Errorf("logged %d times:\n%s", n, said.String())
		}
		writePair(t, dir, 3)
		time.Sleep(certificateLooked)
		is(3)
		if err := os.Remove(filepath.Join(dir, "cert")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(certificateLooked)
		is(3)
	})
	for name, text := range map[string]string{"cert": "no certificate", "key": strings.Repeat("x", maxCertificate+1)} {
		writePair(t, dir, 4)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadCertificate(filepath.Join(dir, "cert"), filepath.Join(dir, "key"), slog.New(slog.DiscardHandler)); err == nil {
			t.Errorf("a bad %s was loaded", name)
		}
	}
}

// TestCertificateThatEndedIsNotTaken: for one that is still valid. Where neither is, the
// newer one says best what is wrong.
func TestCertificateThatEndedIsNotTaken(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		var said bytes.Buffer
		writePairUntil(t, dir, 1, time.Now().Add(time.Hour))
		c, err := LoadCertificate(filepath.Join(dir, "cert"), filepath.Join(dir, "key"), slog.New(slog.NewTextHandler(&said, nil)))
		if err != nil {
			t.Fatal(err)
		}
		writePairUntil(t, dir, 2, time.Now().Add(-time.Hour))
		for _, want := range []int64{1, 1, 2} {
			time.Sleep(25 * time.Minute)
			if pair := c.current(); pair.Leaf.SerialNumber.Int64() != want {
				t.Errorf("after %v certificate %v, want %d", time.Since(c.looked), pair.Leaf.SerialNumber, want)
			}
		}
		if n := strings.Count(said.String(), "is not used"); n != 1 || !strings.Contains(said.String(), "it is valid from 1970-01-01T00:00:00Z until 1999-") {
			t.Errorf("logged %d times:\n%s", n, said.String())
		}
	})
}

// TestCertificateOfAPipe: a pipe where a file was keeps nobody waiting.
func TestCertificateOfAPipe(t *testing.T) {
	dir := t.TempDir()
	writePair(t, dir, 1)
	c, err := LoadCertificate(filepath.Join(dir, "cert"), filepath.Join(dir, "key"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(c.keyFile); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(c.keyFile, 0o600); err != nil {
		t.Fatal(err)
	}
	c.looked = time.Time{}
	if c.current().Leaf.SerialNumber.Int64() != 1 || !strings.Contains(c.said, "is no file") {
		t.Errorf("another certificate, or not said: %q", c.said)
	}
}

// TestHandshakesAreToldOnce: who does not get as far as a question fills no log.
func TestHandshakesAreToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said bytes.Buffer
		log := slog.New(&handshakes{Handler: slog.NewTextHandler(&said, nil)})
		for range 1000 {
			log.Warn("http: TLS handshake error from 127.0.0.1:1: EOF")
			time.Sleep(100 * time.Millisecond)
		}
		log.Warn("http: panic serving")
		if n := strings.Count(said.String(), "\n"); n != 3 || !strings.Contains(said.String(), "level=WARN") || !strings.Contains(said.String(), "panic serving") {
			t.Errorf("%d lines:\n%s", n, said.String())
		}
	})
}

// TestListenByTLS: plain HTTP and old versions get no page.
func TestListenByTLS(t *testing.T) {
	dir := t.TempDir()
	writePair(t, dir, 1)
	c, err := LoadCertificate(filepath.Join(dir, "cert"), filepath.Join(dir, "key"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 1 {
			w.WriteHeader(http.StatusTeapot)
		}
		Stay(w)
	})
	at, stop, err := Listen(t.Context(), "127.0.0.1:0", c, handler, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	trusted := x509.NewCertPool()
	text, err := os.ReadFile(filepath.Join(dir, "cert"))
	if err != nil || !trusted.AppendCertsFromPEM(text) {
		t.Fatal(err)
	}
	get := func(scheme string, most uint16) (int, error) {
		client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true, ForceAttemptHTTP2: true,
			TLSClientConfig: &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS10, MaxVersion: most}}}
		answer, err := client.Get(scheme + at.String() + "/healthz")
		if err != nil {
			return 0, err
		}
		return answer.StatusCode, answer.Body.Close()
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		if code, err := get("https://", version); code != http.StatusOK || err != nil {
			t.Errorf("TLS %x got %d, %v", version, code, err)
		}
	}
	if code, err := get("https://", tls.VersionTLS11); err == nil {
		t.Errorf("TLS 1.1 got %d", code)
	}
	if code, err := get("http://", 0); code == http.StatusOK {
		t.Errorf("plain HTTP got %d, %v", code, err)
	}
}

// TestHostileHandshakes: whatever others do before a handshake has ended, a health check by
// TLS is answered, and one who may stay is not ended for them.
func TestHostileHandshakes(t *testing.T) {
	dir := t.TempDir()
	writePair(t, dir, 1)
	certificate, err := LoadCertificate(filepath.Join(dir, "cert"), filepath.Join(dir, "key"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		attack string
		sends  string
	}{
		{attack: "callers who never begin a handshake", sends: ""},
		{attack: "callers who stop in a handshake", sends: "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"},
		{attack: "callers who speak plain HTTP", sends: "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"},
		{attack: "callers who send anything", sends: strings.Repeat("\x00\xff", 1<<16)},
	} {
		t.Run(c.attack, func(t *testing.T) {
			staying, ended := make(chan struct{}), make(chan struct{})
			handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/stays" {
					Stay(w)
					close(staying)
					<-ended
				}
			})
			at, stop, err := Listen(t.Context(), "127.0.0.1:0", certificate, handler, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			defer stop()
			client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true,
				TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true}}}
			get := func(path string) error {
				answer, err := client.Get("https://" + at.String() + path)
				if err != nil {
					return err
				}
				return answer.Body.Close()
			}
			stayed := make(chan error, 1)
			go func() { stayed <- get("/stays") }()
			<-staying
			for range 4 * maxConnections {
				conn, err := net.Dial("tcp", at.String())
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = conn.Close() }()
				go func() {
					_, _ = conn.Write([]byte(c.sends)) // the server may have ended it
				}()
			}
			for range 3 {
				if err := get("/healthz"); err != nil {
					t.Errorf("the health check got %v", err)
				}
			}
			close(ended)
			if err := <-stayed; err != nil {
				t.Errorf("who may stay got %v", err)
			}
		})
	}
}
