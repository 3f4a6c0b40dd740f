package notify

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"net/smtp"
	"net/textproto"
	"strings"
	"time"

	"github.com/terra-reconcile/terra-reconcile/secrets"
)

const sendText = "send the text"

// mail sends a message as one mail to all who get it.
func (r Receiver) mail(ctx context.Context, m Message) error {
	password := ""
	if r.Secret != nil {
		var err error
		if password, err = r.Secret(); err != nil {
			return r.refused(true, "%s", err)
		}
	}
	text, err := r.mailText(m, time.Now())
	if err != nil {
		return r.refused(false, "%s", err)
	}
	client, err := r.dial(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	refused := func(what string, err error) error {
		passing := true
		answer := (*textproto.Error)(nil)
		if errors.As(err, &answer) {
			passing = answer.Code < 500 || what == "sign in" // a password that was replaced is read again
		}
		refusal := r.refused(passing, "%s: %s", what, unsaidLine(cause(err), secrets.NewValue([]byte(password))))
		refusal.Content = answer != nil && what == sendText
		return refusal
	}
	host, _, _ := net.SplitHostPort(r.Mail.Server)
	if r.Mail.Username != "" {
		if err := client.Auth(smtp.PlainAuth("", r.Mail.Username, password, host)); err != nil {
			return refused("sign in", err)
		}
	}
	if err := client.Mail(bare(r.Mail.From)); err != nil {
		return refused("name the sender", err)
	}
	var gone error // of recipients that there are no more; the others get it all the same
	unknown := 0
	for _, to := range r.Mail.To {
		err := client.Rcpt(bare(to))
		if answer := (*textproto.Error)(nil); err == nil {
			continue
		} else if errors.As(err, &answer) && answer.Code >= 500 {
			gone = refused("name a recipient, "+bare(to), err)
			unknown++
			continue
		}
		return refused("name a recipient", err)
	}
	if unknown == len(r.Mail.To) {
		return gone
	}
	body, err := client.Data()
	if err == nil {
		_, err = body.Write(text)
	}
	if err == nil {
		err = body.Close()
	}
	if err != nil {
		return refused(sendText, err)
	}
	_ = client.Quit() // the server has taken it
	return gone
}

// dial connects to the mail server, and goes no further where what follows could be read on
// the way there.
func (r Receiver) dial(ctx context.Context) (*smtp.Client, error) {
	host, port, err := net.SplitHostPort(r.Mail.Server)
	if err != nil {
		return nil, r.refused(false, "the mail server is no HOST:PORT")
	}
	plain, err := (&net.Dialer{}).DialContext(ctx, "tcp", r.Mail.Server)
	if err != nil {
		return nil, r.refused(true, "%s", cause(err))
	}
	context.AfterFunc(ctx, func() { _ = plain.Close() }) // the deadline, or the end of the daemon
	settings := &tls.Config{MinVersion: tls.VersionTLS12}
	if r.TLS != nil {
		settings = r.TLS.Clone()
	}
	settings.ServerName, settings.NextProtos = host, nil
	conn := net.Conn(&boundedConn{Conn: plain, left: maxAnswer, ended: ctx.Err})
	if port == "465" {
		conn = tls.Client(conn, settings)
	}
	client, err := smtp.NewClient(conn, host)
	if err != nil {
		_ = conn.Close()
		return nil, r.refused(true, "%s", unsaidLine(cause(err)))
	}
	fail := func(passing bool, reason string) error {
		_ = client.Close()
		return r.refused(passing, "%s", reason)
	}
	if _, isTLS := conn.(*tls.Conn); isTLS {
		return client, nil
	}
	if offered, _ := client.Extension("STARTTLS"); offered {
		if err := client.StartTLS(settings); err != nil {
			return nil, fail(true, "STARTTLS: "+unsaidLine(cause(err)))
		}
	} else if !isLoopback(host) {
		return nil, fail(true, "it offers no STARTTLS, and nothing is sent unprotected but to this machine")
	}
	return client, nil
}

// boundedConn reads so much of a server and no more, and says why it was closed.
type boundedConn struct {
	net.Conn
	left  int
	ended func() error // not nil: it is closed for this
}

func (c *boundedConn) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, errors.New("it says too much")
	}
	n, err := c.Conn.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, c.why(err)
}

func (c *boundedConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	return n, c.why(err)
}

func (c *boundedConn) why(err error) error {
	if ended := c.ended(); err != nil && ended != nil {
		return ended
	}
	return err
}

// bare is the address of a name and an address.
func bare(text string) string {
	if a, err := mail.ParseAddress(text); err == nil {
		return a.Address
	}
	return text
}

// mailText is the whole mail. What stands in a header is encoded, so that no text of anybody
// begins another one.
func (r Receiver) mailText(m Message, at time.Time) ([]byte, error) {
	from, err := mail.ParseAddress(r.Mail.From)
	if err != nil {
		return nil, errors.New("the sender is no mail address")
	}
	var to []string
	for _, text := range r.Mail.To {
		a, err := mail.ParseAddress(text)
		if err != nil {
			return nil, errors.New("a recipient is no mail address")
		}
		to = append(to, a.String())
	}
	_, domain, _ := strings.Cut(from.Address, "@")
	var out bytes.Buffer
	for _, h := range [][2]string{
		{"From", from.String()}, {"To", strings.Join(to, ",\r\n ")}, {"Subject", mime.QEncoding.Encode("utf-8", "["+string(m.Severity)+"] "+m.Title)},
		{"Date", at.Format(time.RFC1123Z)}, {"Message-ID", fmt.Sprintf("<%x@%s>", sha256.Sum256([]byte(m.ID)), domain)}, {"Auto-Submitted", "auto-generated"},
		{"X-Terra-Reconcile-Id", mime.QEncoding.Encode("utf-8", m.ID)}, {"MIME-Version", "1.0"}, {"Content-Type", "text/plain; charset=utf-8"}, {"Content-Transfer-Encoding", "quoted-printable"},
	} {
		fmt.Fprintf(&out, "%s: %s\r\n", h[0], h[1])
	}
	out.WriteString("\r\n")
	body := quotedprintable.NewWriter(&out)
	if _, err = io.WriteString(body, strings.Join(lines(m), "\r\n")+"\r\n"); err == nil {
		err = body.Close()
	}
	return out.Bytes(), err
}
