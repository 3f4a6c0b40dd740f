package daemon

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"
)

// certificateLooked is how often the files of a certificate are read again, at most.
const certificateLooked = 5 * time.Second

// maxCertificate bounds what is read of each file of a certificate, in bytes.
const maxCertificate = 1 << 20

// Certificate is what a server proves itself by, from two files that may be replaced while
// it serves.
type Certificate struct {
	certFile, keyFile string
	log               *slog.Logger

	mu     sync.Mutex
	pair   *tls.Certificate
	read   [sha256.Size]byte // what the files held that were read last, used or not
	looked time.Time
	said   string // why those are not used, as it was logged
}

// LoadCertificate reads a certificate with its issuers, and its private key, both PEM. log
// is told about later ones.
func LoadCertificate(certFile, keyFile string, log *slog.Logger) (*Certificate, error) {
	c := &Certificate{certFile: certFile, keyFile: keyFile, log: log, looked: time.Now()}
	pair, digest, err := c.load()
	if err != nil {
		return nil, err
	}
	c.pair, c.read = pair, digest
	return c, nil
}

// Config is how a server that proves itself by c speaks TLS: 1.2 or newer.
func (c *Certificate) Config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current(), nil }}
}

func isValid(pair *tls.Certificate, now time.Time) bool {
	return !now.Before(pair.Leaf.NotBefore) && !now.After(pair.Leaf.NotAfter)
}

// current looks whether the files are other ones, from time to time. What cannot be used, or
// is not valid now, is not: the former certificate goes on, while that is valid.
func (c *Certificate) current() *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if now.Sub(c.looked) < certificateLooked {
		return c.pair
	}
	c.looked = now
	pair, digest, err := c.load()
	if err == nil && !isValid(pair, now) && isValid(c.pair, now) {
		err = fmt.Errorf("load certificate %s: it is valid from %s until %s", c.certFile, pair.Leaf.NotBefore.UTC().Format(time.RFC3339), pair.Leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	switch {
	case err != nil && err.Error() != c.said:
		c.said = err.Error()
		c.log.Error("the changed certificate is not used; going on with the former", "error", c.said)
	case err == nil && digest != c.read:
		c.pair, c.said = pair, ""
		c.log.Info("the certificate is another one", "file", c.certFile, "valid_until", pair.Leaf.NotAfter.UTC())
	case err == nil:
		c.said = ""
	}
	if err == nil {
		c.read = digest
	}
	return c.pair
}

// load reads both files.
func (c *Certificate) load() (*tls.Certificate, [sha256.Size]byte, error) {
	var both [2][]byte
	for i, name := range []string{c.certFile, c.keyFile} {
		text, err := readBounded(name)
		if err != nil {
			return nil, [sha256.Size]byte{}, fmt.Errorf("load certificate: %w", err)
		}
		both[i] = text
	}
	pair, err := tls.X509KeyPair(both[0], both[1])
	if err != nil {
		return nil, [sha256.Size]byte{}, fmt.Errorf("load certificate %s with key %s: %w", c.certFile, c.keyFile, err)
	}
	return &pair, sha256.Sum256(bytes.Join(both[:], []byte{0})), nil
}

// readBounded reads a file. A pipe in its place could be waited for without an end, and with
// it every caller.
func readBounded(name string) ([]byte, error) {
	if info, err := os.Stat(name); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no file", name)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxCertificate+1))
	if err == nil && len(text) > maxCertificate {
		err = fmt.Errorf("%s is larger than 1 MiB; is it the right file?", name)
	}
	return text, err
}
