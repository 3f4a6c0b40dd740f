package notify

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

// hostile is a message in which every text that others choose does its worst.
func hostile() Message {
	worst := "<!channel> *bold* [link](https://evil.example) <https://evil.example|x>\r\nBcc: all@evil.example\r\n.\r\n\x1b[2J\u202e @here"
	out := together([]piece{{event: report.EventFailed, phase: Happened, environment: worst, devID: worst, owner: worst, commit: worst, run: worst,
		Item: Item{Connection: worst, Text: worst, Command: worst, Since: start()}}}, start())
	m := out[0].Message
	m.ID = "MSGID1"
	return m
}

func at127(form Form, address string) Receiver {
	return Receiver{Name: "ops", Form: form, At: "daemon.yaml:9:5", Address: func() (string, error) { return address, nil }, Secret: func() (string, error) { return planted, nil },
		Transport: &http.Transport{DisableKeepAlives: true}, Version: "v0.0.0"}
}

// taken is what a server was sent.
type taken struct {
	path, authorization string
	header              http.Header
	body                []byte
}

func serve(t *testing.T, code int, say string) (address string, got func() []taken) {
	t.Helper()
	var mu sync.Mutex
	var all []taken
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		all = append(all, taken{r.URL.Path, r.Header.Get("Authorization"), r.Header.Clone(), body})
		mu.Unlock()
		w.Header().Set("Retry-After", "7")
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(code)
		_, _ = io.WriteString(w, say)
	}))
	t.Cleanup(s.Close)
	return s.URL, func() []taken { mu.Lock(); defer mu.Unlock(); return all }
}

// TestFormsAreEscaped: what others wrote is text in every form: no mention, link, markup,
// header or control character of theirs acts.
func TestFormsAreEscaped(t *testing.T) {
	t.Parallel()
	m := hostile()
	for _, text := range append(lines(m), m.Title) {
		if strings.ContainsAny(text, "\r\n\x1b\u202e") {
			t.Errorf("it acts: %q", text)
		}
	}
	address, got := serve(t, 200, "ok")
	for _, form := range []Form{Slack, Teams, Ntfy, Webhook} {
		if err := at127(form, address+"/a/topic").Send(t.Context(), m); err != nil {
			t.Fatalf("%s: %v", form, err)
		}
	}
	all := got()
	slack := struct {
		Text      string `json:"text"`
		LinkNames bool   `json:"link_names"`
		Blocks    []struct {
			Text struct{ Type, Text string }
		}
	}{LinkNames: true}
	decode(t, all[0].body, &slack)
	if strings.ContainsAny(slack.Text, "<>") || slack.LinkNames || len(slack.Blocks) != 2 {
		t.Errorf("slack: %s", all[0].body)
	}
	for _, b := range slack.Blocks {
		if b.Text.Type != "plain_text" {
			t.Errorf("slack reads %s: %s", b.Text.Type, b.Text.Text)
		}
	}
	var teams struct {
		Attachments []struct {
			ContentType string
			Content     struct {
				Body []struct {
					Type    string
					Inlines []struct{ Type, Text string }
				}
			}
		}
	}
	decode(t, all[1].body, &teams)
	if len(teams.Attachments) != 1 || teams.Attachments[0].ContentType != "application/vnd.microsoft.card.adaptive" || len(teams.Attachments[0].Content.Body) < 3 {
		t.Fatalf("teams: %s", all[1].body)
	}
	for _, b := range teams.Attachments[0].Content.Body {
		if b.Type != "RichTextBlock" || b.Inlines[0].Type != "TextRun" {
			t.Errorf("teams reads Markdown in %s", b.Type)
		}
	}
	var ntfy struct {
		Topic, Title, Message string
		Priority              int
	}
	decode(t, all[2].body, &ntfy)
	if all[2].path != "/a/" || ntfy.Topic != "topic" || ntfy.Title != m.Title || ntfy.Priority != 5 || all[2].authorization != "Bearer "+planted {
		t.Errorf("ntfy at %s: %s", all[2].path, all[2].body)
	}
	var same Message
	decode(t, all[3].body, &same)
	if diff := cmp.Diff(m, same); diff != "" {
		t.Errorf("webhook (-want +got):\n%s", diff)
	}
}

// TestEndsAreQuiet: what is over rings at nobody's bed, whatever it was.
func TestEndsAreQuiet(t *testing.T) {
	t.Parallel()
	for phase, want := range map[Phase]int{Happened: 5, Began: 5, Reminder: 5, Ended: 2, Gone: 2} {
		m := hostile()
		m.Phase = phase
		body, err := ntfyBody("topic", m)
		var got struct{ Priority int }
		decode(t, body, &got)
		if got.Priority != want || err != nil {
			t.Errorf("%s: priority %d, %v, want %d", phase, got.Priority, err, want)
		}
	}
}

func decode(t *testing.T, body []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(body, into); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
}

// TestSignature: a webhook is signed as the specification's own example is.
func TestSignature(t *testing.T) {
	t.Parallel()
	header := http.Header{}
	// https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
	err := sign(header, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; header.Get(headerSignature) != want || err != nil {
		t.Errorf("got %s, %v, want %s", header.Get(headerSignature), err, want)
	}
	address, got := serve(t, 204, "")
	if err := at127(Webhook, address).Send(t.Context(), hostile()); err != nil {
		t.Fatal(err)
	}
	one := got()[0]
	again := http.Header{}
	var seconds int64
	if _, err := fmt.Sscan(one.header.Get(headerTimestamp), &seconds); err != nil {
		t.Fatal(err)
	}
	if err := sign(again, "MSGID1", time.Unix(seconds, 0), one.body, planted); err != nil || again.Get(headerSignature) != one.header.Get(headerSignature) || one.header.Get(headerID) != "MSGID1" {
		t.Errorf("got %v", one.header)
	}
	if err := sign(again, "x", start(), nil, "whsec_!"); err == nil || !strings.Contains(err.Error(), "is not base64") {
		t.Errorf("a secret that is none: %v", err)
	}
	if err := sign(again, "x", start(), nil, "whsec_"+base64.StdEncoding.EncodeToString([]byte("k"))); err != nil {
		t.Error(err)
	}
}

// TestReceiversRefuse: what an answer means, and that neither it nor the address gives away
// a secret.
func TestReceiversRefuse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		code    int
		say     string
		passing bool
		want    string
	}{
		{500, "busy", true, "it answered 500: busy"},
		{429, "slow down", true, "it answered 429: slow down"},
		{408, "", true, "it answered 408"},
		{403, "", true, "it answered 403"},
		{400, "no\x1b[2J\nsuch", false, "it answered 400: no"},
		{404, "", false, "it answered 404"},
		{301, "", true, "it answered 301, a redirect, which is not followed"},
		{401, "the token " + planted + " is wrong", true, "(its words are left out: they repeat a secret)"},
		{410, "no_hook T000AAA111/B222CCC333", false, "(its words are left out: they repeat a secret)"},
	} {
		address, got := serve(t, c.code, c.say)
		err := at127(Webhook, address+"/services/T000AAA111/B222CCC333").Send(t.Context(), hostile())
		refusal := (*RefusedError)(nil)
		if !errors.As(err, &refusal) || refusal.Passing != c.passing || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "send message to ops: ") {
			t.Errorf("%d: got %+v, want %q", c.code, err, c.want)
			continue
		}
		if strings.Contains(err.Error(), "B222") || strings.Contains(err.Error(), planted) || strings.ContainsAny(err.Error(), "\x1b\n") {
			t.Errorf("%d tells too much: %q", c.code, err)
		}
		if c.code == 429 && refusal.After != 7*time.Second {
			t.Errorf("after: %s", refusal.After)
		}
		if n := len(got()); n != 1 {
			t.Errorf("%d: %d requests", c.code, n)
		}
	}
	for address, want := range map[string]string{
		"http://hooks.example/x":        "unprotected",
		"https://me:pw@hooks.example/x": "holds a user or password",
		"hooks.example/x":               "its address is not one",
		"https://hooks.example/x#B222":  "its address is not one", // what stands behind # is never sent
		"http://127.0.0.1:1/B222CCC333": "connection refused",
	} {
		err := at127(Slack, address).Send(t.Context(), hostile())
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "B222") || strings.Contains(err.Error(), "pw@") {
			t.Errorf("%s: got %v, want %q", address, err, want)
		}
		if err := at127(Slack, address).Reach(t.Context()); err == nil || strings.Contains(err.Error(), "B222") {
			t.Errorf("%s is reached: %v", address, err)
		}
	}
}

// greeting is where a server falls silent that does not even greet.
const greeting = "greeting"

// mailServer is an SMTP server of which a test says how it behaves.
type mailServer struct {
	net.Listener
	certificate *tls.Certificate  // nil: it offers no STARTTLS
	at          map[string]string // by command or whole line: what it answers in the place of 250
	hang        string            // the command at which it falls silent, and after a while goes away

	outlasted atomic.Bool // nobody hung up while it was silent

	mu    sync.Mutex
	texts []string
	auth  string
	isTLS bool
}

func newMailServer(t *testing.T, s *mailServer) *mailServer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.Listener = listener
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go s.talk(conn)
		}
	}()
	return s
}

func (s *mailServer) talk(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	lines := bufio.NewReader(conn)
	say := func(text string) { _, _ = io.WriteString(conn, text+"\r\n") }
	silent := func() {
		_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		_, err := io.Copy(io.Discard, lines)
		s.outlasted.Store(errors.Is(err, os.ErrDeadlineExceeded))
	}
	if s.hang == greeting {
		silent()
		return
	}
	say("220 mail.example")
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		word := strings.ToUpper(strings.Fields(line + " x")[0])
		if word == s.hang {
			silent()
			return
		}
		answer, set := s.at[strings.TrimSpace(line)]
		if !set {
			answer, set = s.at[word]
		}
		switch {
		case set:
			say(answer)
		case word == "EHLO" && s.certificate != nil && !s.isTLS:
			say("250-mail.example\r\n250-AUTH PLAIN\r\n250 STARTTLS")
		case word == "EHLO":
			say("250-mail.example\r\n250 AUTH PLAIN")
		case word == "STARTTLS":
			say("220 go on")
			conn = tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{*s.certificate}, MinVersion: tls.VersionTLS12})
			lines = bufio.NewReader(conn)
			s.isTLS = true
		case word == "AUTH":
			s.auth = strings.TrimSpace(line)
			say("235 welcome")
		case word == "DATA":
			say("354 go on")
			text := ""
			for !strings.HasSuffix(text, "\r\n.\r\n") {
				more, err := lines.ReadString('\n')
				if err != nil {
					return
				}
				text += more
			}
			s.mu.Lock()
			s.texts = append(s.texts, text)
			s.mu.Unlock()
			say("250 taken")
		default:
			say("250 ok")
		}
	}
}

func byMail(s *mailServer) Receiver {
	r := at127(Email, "")
	r.Mail = Mail{Server: s.Addr().String(), From: "Reconcile <reconcile@acme.example>", To: []string{"ops@acme.example", "Ada <ada@acme.example>"}}
	r.Secret = nil
	return r
}

// TestMail: a mail has the message and nothing that others chose as a header; it goes by
// STARTTLS where that is offered, and signs in.
func TestMail(t *testing.T) {
	t.Parallel()
	for _, protected := range []bool{false, true} {
		s := &mailServer{}
		var settings *tls.Config
		if protected {
			server := httptest.NewUnstartedServer(nil)
			server.StartTLS()
			settings = server.Client().Transport.(*http.Transport).TLSClientConfig
			s.certificate = &server.TLS.Certificates[0]
			server.Close()
		}
		newMailServer(t, s)
		r := byMail(s)
		r.TLS, r.Mail.Username, r.Secret = settings, "reconcile", func() (string, error) { return planted, nil }
		if err := r.Reach(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.isTLS = false
		if err := r.Send(t.Context(), hostile()); err != nil {
			t.Fatal(err)
		}
		if s.isTLS != protected || s.auth != "AUTH PLAIN "+base64.StdEncoding.EncodeToString([]byte("\x00reconcile\x00"+planted)) {
			t.Errorf("TLS %v, %s", s.isTLS, s.auth)
		}
		m, err := mail.ReadMessage(strings.NewReader(s.texts[0]))
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Header["Bcc"]) > 0 || m.Header.Get("Auto-Submitted") != "auto-generated" || m.Header.Get("X-Terra-Reconcile-Id") != "MSGID1" {
			t.Errorf("headers: %v", m.Header)
		}
		subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
		if want := "[critical] " + hostile().Title; subject != want || err != nil {
			t.Errorf("subject: %q, %v, want %q", subject, err, want)
		}
		body, err := io.ReadAll(quotedprintable.NewReader(m.Body))
		if err != nil || !strings.Contains(string(body), lines(hostile())[0]) || strings.Contains(s.texts[0], planted) {
			t.Errorf("%v\n%s", err, body)
		}
	}
}

// TestMailHeads: what stands in a head is ASCII on its line, whatever a message holds.
func TestMailHeads(t *testing.T) {
	t.Parallel()
	m := hostile()
	m.Title, m.ID = "zürich/strava: failed\r\nBcc: all@evil.example", "ä\r\nBcc: all@evil.example"
	text, err := byMail(newMailServer(t, &mailServer{})).mailText(m, start())
	if err != nil {
		t.Fatal(err)
	}
	head, _, _ := strings.Cut(string(text), "\r\n\r\n")
	parsed, err := mail.ReadMessage(strings.NewReader(string(text)))
	if err != nil || len(parsed.Header["Bcc"]) > 0 || strings.ContainsFunc(head, func(r rune) bool { return r > '~' }) {
		t.Errorf("%v in\n%q", err, head)
	}
	for name, want := range map[string]string{"Subject": "[critical] " + m.Title, "X-Terra-Reconcile-Id": m.ID} {
		if got, err := new(mime.WordDecoder).DecodeHeader(parsed.Header.Get(name)); got != want || err != nil {
			t.Errorf("%s: %q, %v, want %q", name, got, err, want)
		}
	}
}

// TestDocumentIsEscaped: also what a message was not made clean of does not act where its
// document is shown, and is there.
func TestDocumentIsEscaped(t *testing.T) {
	t.Parallel()
	m := Message{Schema: Schema, Title: "a\u202eb\u200b", Items: []Item{}}
	body, err := document(m)
	if err != nil || strings.ContainsAny(string(body), "\u202e\u200b") {
		t.Errorf("%q, %v", body, err)
	}
	var same Message
	decode(t, body, &same)
	if diff := cmp.Diff(m, same); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestMailRefuses: what a server refuses for good, and what passes; nothing goes to another
// machine unprotected.
func TestMailRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		s       *mailServer
		passing bool
		want    string
	}{
		{&mailServer{at: map[string]string{"MAIL": "451 later"}}, true, "name the sender: 451"},
		{&mailServer{at: map[string]string{"RCPT": "550 nobody"}}, false, "ada@acme.example: 550"},
		{&mailServer{at: map[string]string{"AUTH": "535 wrong " + planted}}, true, "sign in: (its words are left out"},
		{&mailServer{at: map[string]string{"MAIL": "250-" + strings.Repeat("x", maxAnswer)}}, true, "it says too much"},
	} {
		r := byMail(newMailServer(t, c.s))
		r.Mail.Username, r.Secret = "reconcile", func() (string, error) { return planted, nil }
		err := r.Send(t.Context(), hostile())
		refusal := (*RefusedError)(nil)
		if !errors.As(err, &refusal) || refusal.Passing != c.passing || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), planted) {
			t.Errorf("got %+v, want %q", err, c.want)
		}
		if len(c.s.texts) > 0 {
			t.Errorf("%s: it was sent", c.want)
		}
	}
	one := newMailServer(t, &mailServer{at: map[string]string{"RCPT TO:<gone@acme.example>": "550 nobody"}})
	toTwo := byMail(one)
	toTwo.Mail.To = []string{"gone@acme.example", "ops@acme.example"}
	refusal := (*RefusedError)(nil)
	if err := toTwo.Send(t.Context(), hostile()); !errors.As(err, &refusal) || refusal.Passing || !strings.Contains(err.Error(), "gone@acme.example: 550") || len(one.texts) != 1 {
		t.Errorf("one of two recipients is gone: %v, %d sent, want one and an error that names the other", err, len(one.texts))
	}
	s := newMailServer(t, &mailServer{})
	_, port, err := net.SplitHostPort(s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := byMail(s)
	elsewhere.Mail.Server = "0.0.0.0:" + port // this machine by a name that does not say so
	if err := elsewhere.Send(t.Context(), hostile()); err == nil || !strings.Contains(err.Error(), "it offers no STARTTLS") || len(s.texts) > 0 {
		t.Errorf("unprotected: %v, %d sent", err, len(s.texts))
	}
}

// TestMailIsNotWaitedForForEver: a server that falls silent, as it greets or later, keeps
// nobody longer than the deadline, nor the end of the daemon.
func TestMailIsNotWaitedForForEver(t *testing.T) {
	t.Parallel()
	for _, at := range []string{greeting, "EHLO", "MAIL"} {
		s := newMailServer(t, &mailServer{hang: at})
		silent := byMail(s)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(20*time.Millisecond, cancel)
		if err := silent.Send(ctx, hostile()); err == nil || !strings.HasSuffix(err.Error(), "canceled") || s.outlasted.Load() {
			t.Errorf("%s: the end of the daemon: %v", at, err)
		}
		ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
		refusal := (*RefusedError)(nil)
		if err := silent.Send(ctx, hostile()); !errors.As(err, &refusal) || !refusal.Passing || !strings.HasSuffix(err.Error(), "no answer within 30s") || s.outlasted.Load() {
			t.Errorf("%s: the deadline: %v", at, err)
		}
		cancel()
	}
}

// counted is an answer that never ends, and counts what of it was read.
type counted struct{ read int }

func (c *counted) Read(p []byte) (int, error) {
	if c.read += len(p); c.read > 1<<24 {
		return 0, io.EOF // for who reads on and on
	}
	return len(p), nil
}

func (c *counted) Close() error { return nil }

type saying struct {
	code int
	body io.ReadCloser
}

func (s saying) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: s.code, Header: http.Header{}, Body: s.body}, nil
}

// TestEndlessAnswersOfReceivers: of what a receiver says no more is read than 64 KiB, whether it takes
// the message or not.
func TestEndlessAnswersOfReceivers(t *testing.T) {
	t.Parallel()
	for _, code := range []int{200, 302, 400, 500} {
		body := &counted{}
		r := at127(Webhook, "https://hooks.example/x")
		r.Transport = saying{code, body}
		if err := r.Send(t.Context(), TestMessage("id", start())); (err == nil) != (code == 200) {
			t.Errorf("%d: %v", code, err)
		}
		if body.read > 2*maxAnswer {
			t.Errorf("%d: %d bytes were read", code, body.read)
		}
	}
}

// TestLongTextsAndPauses: neither a text of anybody nor a receiver that asks for patience is
// without a bound.
func TestLongTextsAndPauses(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("<", 1<<20)
	out := together([]piece{{event: report.EventFailed, environment: long, devID: long, owner: long, commit: long, run: long, Item: Item{Connection: long, Text: long, Command: long}}}, start())
	body, err := json.Marshal(out[0].Message)
	if most := 10 * longestText * len(`\u003c`); err != nil || len(body) > most {
		t.Errorf("a message has %d bytes, want at most %d; %v", len(body), most, err)
	}
	for _, header := range []string{"2147483647", "Fri, 31 Dec 9999 23:59:59 GMT"} {
		if got := retryAfter(header); got != maxPause {
			t.Errorf("Retry-After: %s is waited for %s, want %s", header, got, maxPause)
		}
	}
}
