package gitsource

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestHTTPToken(t *testing.T) {
	r := newRepository(t)
	first := r.commit("first", "a", "1")
	var password atomic.Pointer[string]
	set := func(text string) { password.Store(&text) }
	set("hunter2")
	url := serve(t, withPassword(gitHTTP(t, r.dir), &password)) + "/.git"

	_, err := open(t, Options{URL: url, Auth: Auth{Settings: Settings{Token: "THE_TOKEN"}}}).Fetch(t.Context())
	wantError[*AuthError](t, err, "asks for credentials", "; the token is set by THE_TOKEN")

	token := "hunter2"
	s := open(t, Options{URL: url, Auth: Auth{Username: "bot", Token: func() (string, error) { return token, nil }}})
	fetch(t, s, first)
	set("hunter3")
	_, err = s.Fetch(t.Context())
	wantError[*AuthError](t, err, "refused the credentials")
	if strings.Contains(err.Error(), "hunter") {
		t.Errorf("the error holds the token: %v", err)
	}
	token = "hunter3"
	fetch(t, s, first)

	broken := open(t, Options{URL: url, Auth: Auth{Token: func() (string, error) { return "", errors.New("read secret: file /t is empty") }}})
	_, err = broken.Fetch(t.Context())
	wantError[*AuthError](t, err, "file /t is empty")
}

func TestHTTPDefaultUser(t *testing.T) {
	var user string
	url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, _, _ = r.BasicAuth()
		w.WriteHeader(http.StatusForbidden)
	}))
	_, err := open(t, Options{URL: url + "/x", Auth: Auth{Token: func() (string, error) { return "t", nil }}}).Fetch(t.Context())
	wantError[*AuthError](t, err)
	if user != "x-access-token" {
		t.Errorf("user is %q", user)
	}
}

func TestHTTPRedirects(t *testing.T) {
	r := newRepository(t)
	head := r.commit("first", "a", "1")
	var password atomic.Pointer[string]
	password.Store(new(string))
	*password.Load() = "hunter2"
	var visits atomic.Int32
	home := gitHTTP(t, r.dir)
	elsewhere := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		visits.Add(1)
		home.ServeHTTP(w, r)
	}))
	mux := http.NewServeMux()
	mux.Handle("/.git/", home)
	mux.HandleFunc("/renamed/", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/.git"+strings.TrimPrefix(r.URL.RequestURI(), "/renamed"), http.StatusMovedPermanently)
	})
	mux.HandleFunc("/away/", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere+"/.git"+strings.TrimPrefix(r.URL.RequestURI(), "/away"), http.StatusFound)
	})
	url := serve(t, withPassword(mux, &password))
	auth := Auth{Username: "bot", Token: func() (string, error) { return "hunter2", nil }}
	fetch(t, open(t, Options{URL: url + "/renamed", Auth: auth}), head)
	_, err := open(t, Options{URL: url + "/away", Auth: auth}).Fetch(t.Context())
	wantError[*MovedError](t, err, elsewhere+"/.git;")
	if visits.Load() != 0 {
		t.Errorf("the other server was asked %d times", visits.Load())
	}
}

func TestHTTPStrangeAnswers(t *testing.T) {
	const listing = "application/x-git-upload-pack-advertisement"
	long := strings.Repeat("x", 1<<20)
	for name, test := range map[string]struct {
		status  int
		media   string
		body    string
		check   func(testing.TB, error)
		maxPack int64
	}{
		"login page": {200, "text/html", "<html>hunter2</html>", func(t testing.TB, err error) {
			t.Helper()
			wantError[*NotFoundError](t, err, "login page")
		}, 0},
		"no type": {200, "", "", func(t testing.TB, err error) { t.Helper(); wantError[*NotFoundError](t, err) }, 0},
		"nonsense": {200, listing, "hello\x1b[31m", func(t testing.TB, err error) {
			t.Helper()
			wantError[*CorruptError](t, err)
		}, 0},
		"nothing": {200, listing, "", func(t testing.TB, err error) { t.Helper(); wantError[*UnreachableError](t, err) }, 0},
		"cut":     {200, listing, "001e# service=git-upload-pack\n00000155", func(t testing.TB, err error) { t.Helper(); wantError[*UnreachableError](t, err) }, 0},
		"busy":    {503, "", "hunter2", func(t testing.TB, err error) { t.Helper(); wantError[*UnreachableError](t, err, "503") }, 0},
		"limited": {429, "", long, func(t testing.TB, err error) { t.Helper(); wantError[*UnreachableError](t, err, "429") }, 0},
		"gone":    {404, "", long, func(t testing.TB, err error) { t.Helper(); wantError[*NotFoundError](t, err, "or give a token") }, 0},
		"endless": {200, listing, endless(), func(t testing.TB, err error) {
			t.Helper()
			if !errors.Is(err, ErrTooLarge) {
				t.Errorf("got %v", err)
			}
		}, 500},
	} {
		t.Run(name, func(t *testing.T) {
			url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", test.media)
				w.WriteHeader(test.status)
				_, _ = w.Write([]byte(test.body))
			}))
			_, err := open(t, Options{URL: url + "/x.git", MaxPack: test.maxPack}).Fetch(t.Context())
			test.check(t, err)
			if err == nil || strings.ContainsAny(err.Error(), "\x1b\n") || strings.Contains(err.Error(), "hunter2") || len(err.Error()) > 500 {
				t.Errorf("the error is %q", err)
			}
		})
	}
}

func TestUnreachable(t *testing.T) {

	dead := "http://127.0.0.1:1/x.git"
	_, err := open(t, Options{URL: dead}).Fetch(t.Context())
	wantError[*UnreachableError](t, err, "fetch "+dead, "connection refused")

	hang := make(chan struct{})
	silent := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-hang:
		case <-r.Context().Done():
		}
	}))
	defer close(hang)
	_, err = open(t, Options{URL: silent + "/x.git", Timeout: 100 * time.Millisecond}).Fetch(t.Context())
	wantError[*TimeoutError](t, err, "100ms")

	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = open(t, Options{URL: silent + "/x.git"}).Fetch(short)
	wantError[*TimeoutError](t, err, "no complete answer within ")
	var late *TimeoutError
	if errors.As(err, &late) && (late.After == DefaultTimeout) {
		t.Errorf("it tells of %s, which is not the time that the caller gave", late.After)
	}

	stopped, stop := context.WithCancel(t.Context())
	stop()
	if _, err = open(t, Options{URL: silent + "/x.git"}).Fetch(stopped); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the caller's own", err)
	}
}

// A few kilobytes may unpack to gigabytes; they are refused before they do.
func TestTooLarge(t *testing.T) {
	eachTransport(t, func(t *testing.T, r repository, o Options) {
		t.Helper()
		var zeros []string
		for i := range 8 {
			zeros = append(zeros, fmt.Sprint("zeros", i), fmt.Sprint(i, strings.Repeat("\x00", 1<<20-1)))
		}
		bomb := r.commit("bomb", zeros...)
		o.MaxPack = 1 << 20
		s := open(t, o)
		_, err := s.Fetch(t.Context())
		if !errors.Is(err, ErrTooLarge) {
			t.Fatalf("got %v", err)
		}
		if _, err := s.FS(bomb); !is[*UnknownCommitError](err) {
			t.Errorf("the commit is held: %v", err)
		}
	})
}

func TestPackAboveTheLimit(t *testing.T) {
	r := newRepository(t)
	r.commit("large", "noise", noise(300<<10))
	url := serve(t, gitHTTP(t, r.dir)) + "/.git"
	_, err := open(t, Options{URL: url, MaxPack: 100 << 10}).Fetch(t.Context())
	if !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v", err)
	}
}

// endless is a listing of very many branches.
func endless() string {
	var list strings.Builder
	list.WriteString("001e# service=git-upload-pack\n0000")
	for i := range 1000 {
		line := fmt.Sprintf("%040x refs/heads/b%d\n", i+1, i)
		if i == 0 {
			line = fmt.Sprintf("%040x refs/heads/b0\x00shallow\n", 1)
		}
		fmt.Fprintf(&list, "%04x%s", len(line)+4, line)
	}
	return list.String()
}
