package web

import (
	"crypto/rand"
	"crypto/sha256"
	"net/http"
	"sync"
	"time"
)

const (
	sessionLasts = 12 * time.Hour
	maxSessions  = 100
)

// sessions are the browsers that may read. They are in memory alone: a start ends them, and
// so does another token.
type sessions struct {
	mu  sync.Mutex
	all map[[sha256.Size]byte]session // by the digest of what is in the cookie
}

type session struct {
	token [sha256.Size]byte // the digest of the token that it began with
	ends  time.Time
}

func newSessions() *sessions { return &sessions{all: map[[sha256.Size]byte]session{}} }

func (s *sessions) begin(token [sha256.Size]byte, now time.Time) (id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var oldest [sha256.Size]byte
	for key, one := range s.all {
		if !now.Before(one.ends) {
			delete(s.all, key)
		} else if first, ok := s.all[oldest]; !ok || one.ends.Before(first.ends) {
			oldest = key
		}
	}
	if len(s.all) >= maxSessions {
		delete(s.all, oldest)
	}
	id = rand.Text()
	s.all[sha256.Sum256([]byte(id))] = session{token, now.Add(sessionLasts)}
	return id
}

func (s *sessions) has(r *http.Request, token [sha256.Size]byte, now time.Time) bool {
	return s.some(r, func(one session) bool { return one.token == token && now.Before(one.ends) })
}

// signedIn tells whether there is a session to end, also one of a former token.
func (s *sessions) signedIn(r *http.Request, now time.Time) bool {
	return s.some(r, func(one session) bool { return now.Before(one.ends) })
}

func (s *sessions) some(r *http.Request, is func(session) bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range []string{cookieName(true), cookieName(false)} {
		if cookie, err := r.Cookie(name); err == nil {
			if one, ok := s.all[sha256.Sum256([]byte(cookie.Value))]; ok && is(one) {
				return true
			}
		}
	}
	return false
}

func (s *sessions) end(r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range []string{cookieName(true), cookieName(false)} {
		if cookie, err := r.Cookie(name); err == nil {
			delete(s.all, sha256.Sum256([]byte(cookie.Value)))
		}
	}
}

// cookieName keeps other hosts of a domain from setting it, where TLS allows that.
func cookieName(tls bool) string {
	if tls {
		return "__Host-reconcile"
	}
	return "reconcile"
}

func (s *Site) cookie(value string, lasts time.Duration) *http.Cookie {
	return &http.Cookie{ //nolint:gosec // without TLS it goes to this machine alone
		Name: cookieName(s.o.TLS), Value: value, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: s.o.TLS, MaxAge: int(lasts / time.Second),
	}
}

func (s *Site) loginPage(w http.ResponseWriter, r *http.Request) {
	if s.o.Reader == nil {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	s.showLogin(w, r, http.StatusOK, "")
}

func (s *Site) showLogin(w http.ResponseWriter, r *http.Request, status int, problem string) {
	s.pages.show(w, status, "login", loginPage{chrome: s.chrome(r, "Sign in"), Problem: problem})
}

type loginPage struct {
	chrome
	Problem string
}

func (s *Site) login(w http.ResponseWriter, r *http.Request) {
	switch {
	case s.o.Reader == nil:
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	case !s.sameOrigin(r):
		s.refuse(w, r, http.StatusForbidden, notOurForm)
		return
	}
	if err := formOf(r); err != nil {
		s.refuse(w, r, http.StatusBadRequest, err.Error())
		return
	}
	want, err := s.o.Reader()
	if s.trouble.note("the page is not served", err); err != nil {
		s.showLogin(w, r, http.StatusServiceUnavailable, errTokens.Error())
		return
	}
	ok, err := s.isToken(r, r.PostFormValue("token"), want)
	switch {
	case err != nil:
		s.showLogin(w, r, http.StatusTooManyRequests, err.Error())
	case !ok:
		s.showLogin(w, r, http.StatusForbidden, "this token does not read; it takes the one of web.read in daemon.yaml")
	default:
		http.SetCookie(w, s.cookie(s.sessions.begin(want, s.o.Now()), sessionLasts))
		http.Redirect(w, r, "/", http.StatusSeeOther)
	}
}

func (s *Site) logout(w http.ResponseWriter, r *http.Request) {
	if !s.sameOrigin(r) {
		s.refuse(w, r, http.StatusForbidden, notOurForm)
		return
	}
	s.sessions.end(r)
	http.SetCookie(w, s.cookie("", -time.Second))
	http.Redirect(w, r, "/login", http.StatusSeeOther)
}

// notOurForm is said of a form that another page has sent.
const notOurForm = "the browser does not say that this form is of this page; open it here and send it again"
