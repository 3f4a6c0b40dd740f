package preview

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"sync"
	"time"
)

// maxSkew is how far the clock of who asks may be from that of the daemon.
const maxSkew = 5 * time.Minute

// signature is what stands under Authorization.
type signature struct {
	stamp string // seconds since 1970
	nonce string // serves once
	mac   string // hexadecimal
}

var authorization = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^Reconcile-HMAC-SHA256 time=([1-9][0-9]{0,11}),nonce=([A-Za-z0-9_-]{22,64}),signature=([0-9a-f]{64})$`)
})

func parseSignature(header string) (signature, bool) {
	m := authorization().FindStringSubmatch(header)
	if m == nil {
		return signature{}, false
	}
	return signature{stamp: m[1], nonce: m[2], mac: m[3]}, true
}

func (s signature) String() string {
	return "Reconcile-HMAC-SHA256 time=" + s.stamp + ",nonce=" + s.nonce + ",signature=" + s.mac
}

// sign signs a request. nonce serves once.
func sign(key, method string, at time.Time, nonce string, body []byte) signature {
	s := signature{stamp: strconv.FormatInt(at.Unix(), 10), nonce: nonce}
	s.mac = hex.EncodeToString(s.of(key, method, body))
	return s
}

func (s signature) of(key, method string, body []byte) []byte {
	digest := sha256.Sum256(body)
	mac := hmac.New(sha256.New, []byte(key))
	// Write of a hash never fails.
	_, _ = fmt.Fprintf(mac, "%s\n%s\n%s\n%s\n%s\n%x", Schema, method, Path, s.stamp, s.nonce, digest)
	return mac.Sum(nil)
}

// isOf tells whether who signed knows the key.
func (s signature) isOf(key, method string, body []byte) bool {
	given, err := hex.DecodeString(s.mac)
	return err == nil && hmac.Equal(given, s.of(key, method, body))
}

// at is when it was made, by the clock of who signed.
func (s signature) at() time.Time {
	seconds, _ := strconv.ParseInt(s.stamp, 10, 64) // it was matched
	return time.Unix(seconds, 0).UTC()
}

// errReplay refuses a request that was made before.
var errReplay = errors.New("this request was answered before; each is signed anew")

// skewed says how far the clocks are apart, nil where that is near enough.
func skewed(made, now time.Time) error {
	if off := made.Sub(now).Abs(); off <= maxSkew {
		return nil
	}
	const form = "2006-01-02 15:04:05 MST"
	return fmt.Errorf("the clocks are too far apart: the request is of %s, and the daemon's clock shows %s; at most %s are let pass, so set the one that is wrong",
		made.UTC().Format(form), now.UTC().Format(form), "5 minutes")
}
