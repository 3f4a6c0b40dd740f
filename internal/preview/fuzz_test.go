package preview

import (
	"strings"
	"testing"
	"time"
)

// FuzzRequests: whatever is sent is refused or is a request that names one ref, in the
// letters that were signed.
func FuzzRequests(f *testing.F) {
	f.Add(`{"ref":"refs/heads/topic","format":"text"}`, sign(testKey, "POST", at(), nonce(1), nil).String())
	f.Add(`{"ref":"refs/pull/7/head","commit":"`+strings.Repeat("a", 40)+`","environments":["production"],"format":"html"}`, "")
	f.Add(`{"ref":"refs/heads/a\u202eb","format":"text"}`, "Reconcile-HMAC-SHA256 time=1,nonce=,signature=")
	f.Fuzz(func(t *testing.T, body, header string) {
		if s, ok := parseSignature(header); ok && (s.String() != header || s.isOf(testKey, "POST", []byte(body)) && header != sign(testKey, "POST", s.at(), s.nonce, []byte(body)).String()) {
			t.Errorf("%q is read as %q", header, s)
		}
		r, err := decode([]byte(body))
		if err != nil {
			return
		}
		full, err := FullRef(r.Ref)
		if err != nil || full != r.Ref || strings.ContainsAny(r.Ref, " ~^:?*[\\\x00\n") || !strings.HasPrefix(r.Ref, branches) && !r.isFork() {
			t.Errorf("%q asks for %q", body, r.Ref)
		}
	})
}

func at() time.Time { return time.Unix(1_800_000_000, 0) }
