package daemon

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// HookPath is where a forge says that somebody pushed.
const HookPath = "/hooks/git"

// HookPathOf is where that is said of one of several repositories.
func HookPathOf(name string) string {
	if name == "" {
		return HookPath
	}
	return HookPath + "/" + name
}

// What requests of a forge may cost.
const (
	maxHookBody = 25 << 20        // bytes, which are not kept; no forge sends more
	hookGap     = 5 * time.Second // between two polls because of them
	hookSkew    = 5 * time.Minute // between our clock and that of who signs a time
	hooksKept   = 256             // that do nothing when they come again
)

// HookOptions say who may hint at a push. All but Name are required.
type HookOptions struct {
	Name   string                 // of the repository, which ends the path; "" where it is the only one
	Forge  string                 // github, gitlab, gitea, forgejo or bitbucket
	Secret func() (string, error) // shared with the forge; read for each request
	Wake   func()                 // look at the repository soon; returns at once
	Now    func() time.Time
}

// Hook takes POST requests of a forge as a hint to look at the repository, and as nothing
// else: what they say is never looked at. It answers 202 where the forge has signed the
// request by the secret, and 401 without a word otherwise. However many come, the repository is
// looked at every five seconds at most, and one that comes again does nothing. Call its stop
// when nobody is to be woken any more.
func Hook(o HookOptions) (handler http.Handler, stop func()) {
	h := &hook{HookOptions: o}
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+HookPathOf(o.Name), func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		digest, signed := h.signed(r)
		if !signed {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		h.hint(digest)
		w.WriteHeader(http.StatusAccepted)
	})
	return mux, h.stop
}

// HookElsewhere answers 404 to what is posted below HookPath at the path of no repository, and
// says in the log which paths there are, at most once an hour: the forge shows a bare 404.
func HookElsewhere(repositories []string, log *slog.Logger) http.Handler {
	var paths []string
	for _, name := range repositories {
		paths = append(paths, HookPathOf(name))
	}
	var mu sync.Mutex
	var said time.Time
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if now := time.Now(); r.Method == http.MethodPost && (said.IsZero() || now.Sub(said) >= sayAgain) {
			said = now
			log.Warn("a webhook was posted to the path of no repository; give the forge the right one", "next", "post to "+strings.Join(paths, ", "))
		}
		http.NotFound(w, r)
	})
}

type hook struct {
	HookOptions

	mu      sync.Mutex
	stopped bool
	woken   time.Time   // when somebody was woken last
	later   *time.Timer // until the next may be woken; nil: nobody waits
	seen    [][sha256.Size]byte
}

// signed tells whether the forge has sent a request, and gives what tells it from others.
func (h *hook) signed(r *http.Request) (digest [sha256.Size]byte, ok bool) {
	claims := h.claims(r.Header)
	if len(claims) == 0 { // nothing is read of who shows nothing
		return digest, false
	}
	secret, err := h.Secret()
	if err != nil || secret == "" {
		return digest, false
	}
	prefix, key := "", []byte(secret)
	if h.Forge == "gitlab" && r.Header.Get("Webhook-Signature") != "" {
		prefix = r.Header.Get("Webhook-Id") + "." + r.Header.Get("Webhook-Timestamp") + "."
		if encoded, found := strings.CutPrefix(secret, "whsec_"); found {
			if key, err = base64.StdEncoding.DecodeString(encoded); err != nil {
				return digest, false
			}
		}
		seconds, err := strconv.ParseInt(r.Header.Get("Webhook-Timestamp"), 10, 64)
		if away := h.Now().Sub(time.Unix(seconds, 0)); err != nil || away > hookSkew || away < -hookSkew {
			return digest, false
		}
	}
	mac := hmac.New(sha256.New, key)
	_, _ = io.WriteString(mac, prefix) // a hash takes everything
	if n, err := io.Copy(mac, io.LimitReader(r.Body, maxHookBody+1)); err != nil || n > maxHookBody {
		return digest, false
	}
	digest = [sha256.Size]byte(mac.Sum(nil))
	want := digest[:]
	if prefix == "" && h.Forge == "gitlab" { // it shows the secret itself
		sum := sha256.Sum256([]byte(secret))
		want = sum[:]
	}
	for _, claim := range claims {
		if hmac.Equal(claim, want) {
			return digest, true
		}
	}
	return digest, false
}

// claims are the signatures that a request shows, as bytes of one length.
func (h *hook) claims(head http.Header) (all [][]byte) {
	names := map[string][]string{
		"github": {"X-Hub-Signature-256"}, "bitbucket": {"X-Hub-Signature"},
		"gitea": {"X-Gitea-Signature", "X-Hub-Signature-256"}, "forgejo": {"X-Forgejo-Signature", "X-Gitea-Signature", "X-Hub-Signature-256"},
	}[h.Forge]
	for _, name := range names {
		text := head.Get(name)
		if strings.HasPrefix(name, "X-Hub-") {
			var found bool
			if text, found = strings.CutPrefix(text, "sha256="); !found {
				continue
			}
		}
		if sum, err := hex.DecodeString(text); err == nil && len(sum) == sha256.Size {
			return [][]byte{sum}
		}
	}
	if h.Forge != "gitlab" {
		return nil
	}
	signatures, token := head.Get("Webhook-Signature"), head.Get("X-Gitlab-Token")
	if signatures == "" && token != "" {
		sum := sha256.Sum256([]byte(token))
		return [][]byte{sum[:]}
	}
	for _, one := range strings.Fields(signatures) {
		text, found := strings.CutPrefix(one, "v1,")
		if sum, err := base64.StdEncoding.DecodeString(text); found && err == nil && len(sum) == sha256.Size && len(all) < 4 {
			all = append(all, sum)
		}
	}
	return all
}

// hint wakes at once, or when the gap is over, and never for what was here before.
func (h *hook) hint(digest [sha256.Size]byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, seen := range h.seen {
		if seen == digest {
			return
		}
	}
	if h.seen = append(h.seen, digest); len(h.seen) > hooksKept {
		h.seen = h.seen[1:]
	}
	if h.later != nil || h.stopped {
		return
	}
	wait := hookGap - time.Since(h.woken)
	if h.woken.IsZero() || wait <= 0 {
		h.woken = time.Now()
		h.Wake()
		return
	}
	h.later = time.AfterFunc(wait, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.later = nil; !h.stopped {
			h.woken = time.Now()
			h.Wake()
		}
	})
}

func (h *hook) stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stopped = true; h.later != nil {
		h.later.Stop()
	}
}
