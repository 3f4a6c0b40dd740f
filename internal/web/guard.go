package web

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// The policy of every page: its own style sheet, its own forms, and nothing else.
const policy = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// guarded says with each answer what a browser may do with it, and refuses requests that
// come too often or were made for another host.
func (s *Site) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range map[string]string{
			"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "X-Frame-Options": "DENY",
			// With no-referrer a browser calls the origin of our own forms null.
			"Referrer-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
		} {
			w.Header().Set(name, value)
		}
		// Whatever reads it: net/http reads the form of a GET, too, and its files to the disk.
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		if !s.asked.own(address(r), s.cost(r), s.o.Now()) {
			s.tooOften(w, r)
			return
		}
		if s.o.Loopback {
			if !isHere(r.Host) {
				s.refuse(w, r, http.StatusMisdirectedRequest, "this is served to this machine, under 127.0.0.1, [::1] or localhost, and under no other name")
				return
			}
			if s.o.Reader == nil && slices.ContainsFunc([]string{"Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip"}, func(name string) bool { return r.Header.Get(name) != "" }) {
				s.refuse(w, r, http.StatusForbidden, "it came through a proxy, so others than this machine may read; set web.read in daemon.yaml")
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// cost is what a request takes, in documents of the API.
func (s *Site) cost(r *http.Request) int {
	if isAPI(r) || r.URL.Path == s.pages.stylePath {
		return 1
	}
	return costOfPage
}

func (s *Site) tooOften(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Retry-After", "2")
	s.refuse(w, r, http.StatusTooManyRequests, "this is asked for too often; try again in some seconds")
}

// isHere tells whether a host is a name of this machine that no server of names gives away.
func isHere(host string) bool {
	u, err := url.Parse("http://" + host)
	if err != nil || u.Host != host {
		return false
	}
	if strings.EqualFold(u.Hostname(), "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(u.Hostname())
	return err == nil && addr.IsLoopback()
}

// address is where a request comes from, as far as one who asks can be told from another.
func address(r *http.Request) string {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	if addr := at.Addr().Unmap(); addr.Is6() && !addr.IsLoopback() {
		network, _ := addr.WithZone("").Prefix(64) // who has one address has all of these
		return network.String()
	}
	return at.Addr().Unmap().String()
}

// reading lets those pass who may read: by the token, or by a session that began with it.
// Only they draw on what all may ask together, or strangers could use it up.
func (s *Site) reading(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		allowed, err := s.mayRead(r)
		switch {
		case errors.Is(err, errTooOften):
			w.Header().Set("Retry-After", "10")
			s.refuse(w, r, http.StatusTooManyRequests, err.Error())
		case err != nil:
			s.refuse(w, r, http.StatusServiceUnavailable, err.Error())
		case allowed && !s.asked.shared(s.cost(r), s.o.Now()):
			s.tooOften(w, r)
		case allowed:
			next(w, r)
		case isAPI(r):
			w.Header().Set("WWW-Authenticate", `Bearer realm="terra-reconcile"`)
			s.refuse(w, r, http.StatusUnauthorized, "reading takes the token of web.read, as Authorization: Bearer TOKEN")
		default:
			http.Redirect(w, r, "/login", http.StatusSeeOther)
		}
	})
}

var (
	errTooOften = errors.New("wrong tokens came too often; try again in some seconds")
	errTokens   = errors.New("the daemon cannot read its tokens; its log says why")
)

func (s *Site) mayRead(r *http.Request) (bool, error) {
	if s.o.Reader == nil {
		return true, nil
	}
	want, err := s.o.Reader()
	if s.trouble.note("the page is not served", err); err != nil {
		return false, errTokens
	}
	if s.sessions.has(r, want, s.o.Now()) {
		return true, nil
	}
	given, ok := bearer(r)
	if !ok || r.Method != http.MethodGet && r.Method != http.MethodHead { // a token that reads changes nothing
		return false, nil
	}
	return s.isToken(r, given, want)
}

// isToken compares a token with a digest, and refuses guesses that come too often.
func (s *Site) isToken(r *http.Request, given string, want [sha256.Size]byte) (bool, error) {
	if !s.failed.left(address(r), s.o.Now()) {
		return false, errTooOften
	}
	digest := sha256.Sum256([]byte(given))
	if subtle.ConstantTimeCompare(digest[:], want[:]) == 1 {
		return true, nil
	}
	s.failed.count(address(r), s.o.Now())
	return false, nil
}

// approver names who may change something, by the token that was given for it.
func (s *Site) approver(r *http.Request, token string) (string, error) {
	switch {
	case s.o.Approver == nil:
		return "", errNobodyApproves
	case !s.failed.left(address(r), s.o.Now()):
		return "", errTooOften
	}
	who, err := s.o.Approver(token)
	if s.trouble.note("nobody can approve on the page", err); err != nil {
		return "", errTokens
	}
	if who == "" {
		s.failed.count(address(r), s.o.Now())
		return "", errNotApprover
	}
	return who, nil
}

var (
	errNobodyApproves = errors.New("nobody approves here: daemon.yaml names neither web.approve nor approvals.people")
	errNotApprover    = errors.New("this token approves nothing; it takes that of a person in approvals.people, or else of web.approve")
)

func bearer(r *http.Request) (string, bool) {
	kind, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.TrimSpace(token), ok && strings.EqualFold(kind, "Bearer")
}

// sameOrigin tells whether a browser says that a form was one of this page. Where it says
// nothing, it is not known.
func (s *Site) sameOrigin(r *http.Request) bool {
	site, origin := r.Header.Get("Sec-Fetch-Site"), r.Header.Get("Origin")
	scheme := "http"
	if s.o.TLS {
		scheme = "https"
	}
	switch {
	case site == "" && origin == "", site != "" && site != "same-origin":
		return false
	}
	return origin == "" || origin == scheme+"://"+r.Host
}

func isAPI(r *http.Request) bool {
	return strings.HasPrefix(r.URL.Path, apiPath) || r.URL.Path == "/metrics"
}

// onceLogged logs what is wrong when that begins or changes.
type onceLogged struct {
	log *slog.Logger

	mu   sync.Mutex
	said map[string]string
}

func (o *onceLogged) note(what string, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	text := ""
	if err != nil {
		text = err.Error()
	}
	if o.said == nil {
		o.said = map[string]string{}
	}
	if text != "" && text != o.said[what] {
		o.log.Error(what, "error", text)
	}
	o.said[what] = text
}

// formOf reads the form of a request.
func formOf(r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return fmt.Errorf("read form: %w", err)
	}
	return nil
}
