package gitsource

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// saying is a server that answers each request with these bytes, whatever they are.
func saying(t testing.TB, answer func(r *http.Request, user, password string) string) string {
	t.Helper()
	return serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		_, _ = io.Copy(io.Discard, r.Body)
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = io.WriteString(conn, answer(r, user, password))
	}))
}

func line(text string) string { return fmt.Sprintf("%04x%s", len(text)+4, text) }

// TestHostileServerRepeatsTheToken: whatever a server makes of the token that it was sent,
// no message, author, subject or branch holds it.
func TestHostileServerRepeatsTheToken(t *testing.T) {
	const (
		token   = "glTok9Zx81LmQwRv7PbN"
		listing = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/x-git-upload-pack-advertisement\r\n\r\n"
		result  = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/x-git-upload-pack-result\r\n\r\n"
		begin   = "001e# service=git-upload-pack\n0000"
		hash    = "1111111111111111111111111111111111111111"
	)
	post := func(answer func(password string) string) func(*http.Request, string, string) string {
		return func(r *http.Request, _, password string) string {
			if r.Method == http.MethodPost {
				return result + answer(password)
			}
			return listing + begin + line(hash+" HEAD\x00symref=HEAD:refs/heads/main side-band-64k shallow agent=x\n") + line(hash+" refs/heads/main\n") + "0000"
		}
	}
	for _, c := range []struct {
		attack string
		answer func(r *http.Request, user, password string) string
	}{
		{attack: "in the path of another server", answer: func(_ *http.Request, _, p string) string {
			return "HTTP/1.1 302 F\r\nContent-Length: 0\r\nLocation: http://other.invalid/" + p + "/info/refs\r\n\r\n"
		}},
		{attack: "in a refusal of the listing", answer: func(_ *http.Request, _, p string) string {
			return listing + begin + line("ERR no such: "+p+"\n")
		}},
		{attack: "with its user, in base64", answer: func(_ *http.Request, u, p string) string {
			return listing + begin + line("ERR no such: "+base64.StdEncoding.EncodeToString([]byte(u+":"+p))+"\n")
		}},
		{attack: "as a header that is none", answer: func(_ *http.Request, _, p string) string {
			return "HTTP/1.1 200 OK\r\nfoo bar " + p + "\r\n\r\n"
		}},
		{attack: "as the name of a branch", answer: func(_ *http.Request, _, p string) string {
			return listing + begin + line(hash+" refs/heads/"+p+"\x00symref=HEAD:refs/heads/x agent=x\n") + "0000"
		}},
		{attack: "as a line of a listing", answer: func(_ *http.Request, _, p string) string { return listing + begin + line(p+"\n") + "0000" }},
		{attack: "in a refusal of the pack", answer: post(func(p string) string { return line("ERR " + p) })},
		{attack: "as an error beside the pack", answer: post(func(p string) string {
			return line("shallow "+hash) + "0000" + line("NAK\n") + line("\x03fatal: "+p+"\n") + "0000"
		})},
	} {
		t.Run(c.attack, func(t *testing.T) {
			url := saying(t, c.answer)
			auth := Auth{Token: func() (string, error) { return token, nil }, Repeats: func(text, secret string) bool {
				for _, word := range strings.Fields(text) {
					plain, _ := base64.StdEncoding.DecodeString(strings.Trim(word, `",;`))
					text += " " + string(plain)
				}
				return strings.Contains(text, secret)
			}}
			_, err := open(t, Options{URL: url + "/acme/terra", Auth: auth}).Fetch(t.Context())
			wantError[*UnreachableError](t, err, "fetch "+url+"/acme/terra: what the server said is withheld")
		})
	}
}

// A commit, too, may be made of the token; the branch is not followed by that name.
func TestHostileCommitHoldsTheToken(t *testing.T) {
	r := newRepository(t)
	const token = "glTok9Zx81LmQwRv7PbN"
	hash := r.commit("see "+token, "a", "1")
	r.git("checkout", "-q", "-b", token)
	url := serve(t, gitHTTP(t, r.dir)) + "/.git"
	s := open(t, Options{URL: url, Auth: Auth{Token: func() (string, error) { return token, nil }}})
	commit, err := s.Fetch(t.Context())
	if err != nil || commit.Hash != hash || commit.Subject != "[withheld: it repeats a secret]" || s.Head() != "" {
		t.Errorf("got %+v, head %q, %v", commit, s.Head(), err)
	}
}

// TestHostileSubjects: whether six characters that a committer chose stand in the token
// does not show.
func TestHostileSubjects(t *testing.T) {
	const token = "glTok9Zx81LmQwRv7PbN"
	six := func(text, secret string) bool {
		for i := 0; i+6 <= len(secret); i++ {
			if strings.Contains(text, secret[i:i+6]) {
				return true
			}
		}
		return false
	}
	for _, c := range []struct{ attack, subject string }{
		{attack: "a piece of the token", subject: "see " + token[4:10]},
		{attack: "no piece of it", subject: "see Zx81L0"},
	} {
		t.Run(c.attack, func(t *testing.T) {
			r := newRepository(t)
			r.commit(c.subject, "a", "1")
			s := open(t, Options{URL: serve(t, gitHTTP(t, r.dir)) + "/.git", Auth: Auth{Token: func() (string, error) { return token, nil }, Repeats: six}})
			if commit, err := s.Fetch(t.Context()); err != nil || commit.Subject != c.subject {
				t.Errorf("got %q, %v", commit.Subject, err)
			}
		})
	}
}

// TestHostileNames: nor does it show where an error lists names that a committer chose.
func TestHostileNames(t *testing.T) {
	const token, other = "glTok9Zx81LmQwRv7PbN", "Zx81L0"
	six := func(text, secret string) bool {
		for i := 0; i+6 <= len(secret); i++ {
			if strings.Contains(text, secret[i:i+6]) {
				return true
			}
		}
		return false
	}
	for _, c := range []struct {
		attack string
		commit func(r repository, name string)
		ref    string
		says   string
	}{
		{attack: "as a branch, where the one that is followed is not there", ref: "production", says: "there is: NAME", commit: func(r repository, name string) {
			r.commit("first", "a", "1")
			r.git("branch", "-q", "-m", name)
		}},
		{attack: "as a branch, where HEAD names none", says: "choose one: NAME", commit: func(r repository, name string) {
			r.commit("first", "a", "1")
			r.git("branch", "-q", "-m", name)
			r.git("symbolic-ref", "HEAD", "refs/heads/gone")
		}},
		{attack: "as a file whose name is refused", says: "a file of the commit is named \"NAME", commit: func(r repository, name string) {
			r.git("config", "core.protectNTFS", "false")
			r.commit("first", name+"\\x", "1")
		}},
	} {
		t.Run(c.attack, func(t *testing.T) {
			for _, name := range []string{token[4:10], other} {
				r := newRepository(t)
				c.commit(r, name)
				s := open(t, Options{URL: serve(t, gitHTTP(t, r.dir)) + "/.git", Ref: c.ref, Auth: Auth{Token: func() (string, error) { return token, nil }, Repeats: six}})
				_, err := s.Fetch(t.Context())
				if want := strings.ReplaceAll(c.says, "NAME", name); err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %q", err, want)
				}
			}
		})
	}
}

// A password of common words does not hide what this package says by itself.
func TestPasswordOfWordsHidesNoAdvice(t *testing.T) {
	url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	auth := Auth{Token: func() (string, error) { return "credentials", nil }}
	_, err := open(t, Options{URL: url + "/x", Auth: auth}).Fetch(t.Context())
	wantError[*AuthError](t, err, "the server refused the credentials")
}
