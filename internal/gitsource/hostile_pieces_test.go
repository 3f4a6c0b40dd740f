package gitsource

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/terra-reconcile/terra-reconcile/secrets"
)

// judging is how the commands judge text of a server, with a token that is sent.
func judging(token string) Auth {
	value := func(secret string) secrets.Value { return secrets.NewValue([]byte(secret)) }
	var heard secrets.Heard
	return Auth{
		Token:       func() (string, error) { return token, nil },
		Repeats:     func(text, secret string) bool { return secrets.Repeats(text, value(secret)) },
		RepeatsLong: func(text, secret string) bool { return secrets.RepeatsLong(text, value(secret)) },
		Tells:       func(texts []string, secret string) bool { return heard.Tells(texts, value(secret)) },
	}
}

// TestHostilePieces: no server gives the token away in pieces, none of which is one.
func TestHostilePieces(t *testing.T) {
	const token = "glTok9Zx81LmQwRv7PbN"
	const listing = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/x-git-upload-pack-advertisement\r\n\r\n001e# service=git-upload-pack\n0000"
	const hash = "1111111111111111111111111111111111111111"
	pieces := []string{"glTok", "9Zx81", "LmQwR", "v7PbN"}
	branches := func(name string) func(int) string {
		return func(int) string {
			all := listing
			for i, p := range pieces {
				text := hash + " refs/heads/" + fmt.Sprintf(name, i, p)
				if i == 0 {
					text += "\x00symref=HEAD:refs/heads/gone agent=x"
				}
				all += line(text + "\n")
			}
			return all + "0000"
		}
	}
	for _, c := range []struct {
		attack string
		ref    string
		answer func(n int) string
	}{
		{attack: "as branches", ref: "production", answer: branches("%[2]s-%[1]d")},
		{attack: "as branches with a number before", ref: "production", answer: branches("%d-%s")},
		{attack: "as branches where HEAD names none", answer: branches("%[2]s-%[1]d")},
		{attack: "over the refusals of several fetches", answer: func(n int) string { return listing + line("ERR no such: "+pieces[n%4]+"\n") }},
		{attack: "over answers of several fetches that make no sense", answer: func(n int) string { return listing + line(pieces[n%4]+"\n") + "0000" }},
		{attack: "over the addresses of several fetches", answer: func(n int) string {
			return "HTTP/1.1 302 F\r\nContent-Length: 0\r\nLocation: http://other.invalid/" + pieces[n%4] + "/info/refs\r\n\r\n"
		}},
	} {
		t.Run(c.attack, func(t *testing.T) {
			n := 0
			url := saying(t, func(*http.Request, string, string) string { n++; return c.answer(n - 1) })
			s := open(t, Options{URL: url + "/acme/terra", Ref: c.ref, Auth: judging(token)})
			var said strings.Builder
			for range pieces {
				_, err := s.Fetch(t.Context())
				fmt.Fprintln(&said, err)
			}
			shown := 0
			for _, p := range pieces {
				if strings.Contains(said.String(), p) {
					shown += len(p)
				}
			}
			if shown > 10 || !strings.Contains(said.String(), "what the server said is withheld") {
				t.Errorf("%d of %d characters are shown:\n%s", shown, len(token), said.String())
			}
		})
	}
	commits := []struct{ attack, branch, author, subject string }{
		{attack: "as author and subject", author: "glTok9Zx81", subject: "LmQwRv7PbN"},
		{attack: "as branch and subject", branch: "glTok9Zx81", subject: "LmQwRv7PbN"},
		{attack: "as branch, author and subject, mixed", branch: "v7PbN", author: "glTok x LmQwR", subject: "see 9Zx81"},
	}
	for _, c := range commits {
		t.Run(c.attack, func(t *testing.T) {
			r := newRepository(t)
			r.commit(c.subject, "a", "1")
			if c.author != "" {
				r.git("commit", "-q", "--amend", "--no-edit", "--author", c.author+" <ada@acme.example>")
			}
			if c.branch != "" {
				r.git("branch", "-q", "-m", c.branch)
			}
			s := open(t, Options{URL: serve(t, gitHTTP(t, r.dir)) + "/.git", Auth: judging(token)})
			commit, err := s.Fetch(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			shown, all := 0, strings.Join([]string{commit.Author, commit.Subject, s.Head()}, "\n")
			for _, p := range pieces {
				if strings.Contains(all, p) {
					shown += len(p)
				}
			}
			if shown > 10 {
				t.Errorf("%d of %d characters are shown: %s", shown, len(token), all)
			}
		})
	}
}
