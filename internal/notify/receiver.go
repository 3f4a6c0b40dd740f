package notify

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
	"github.com/terra-reconcile/terra-reconcile/secrets"
)

// Form is how a receiver wants its messages.
type Form string

// The forms.
const (
	Webhook Form = "webhook" // the document itself, signed
	Slack   Form = "slack"   // an incoming webhook of Slack, or of what speaks like it
	Teams   Form = "teams"   // a webhook of Microsoft Teams (a workflow), as an adaptive card
	Ntfy    Form = "ntfy"    // a topic of ntfy
	Email   Form = "email"
)

// Receiver is somebody who is told. Secrets are asked for before each message, so one that
// was replaced counts from the next on.
type Receiver struct {
	Name string
	Form Form
	At   string // file:line:column, for messages about it
	// Address is where messages go by HTTP. It can be a secret itself.
	Address func() (string, error)
	// Secret signs a webhook, or signs in to ntfy or the mail server; nil: nothing does.
	Secret func() (string, error)
	Mail   Mail
	// Transport carries HTTP. It follows no redirect.
	Transport http.RoundTripper
	TLS       *tls.Config // of mail; nil is the roots of this machine
	Version   string      // of this program
}

// Mail says how a message goes by mail.
type Mail struct {
	Server   string // host:port; at port 465 TLS comes first, else STARTTLS, which only loopback may lack
	Username string // "" signs in nowhere
	From     string
	To       []string
}

// Send sends a message once. Its error is a *RefusedError and gives away no secret.
func (r Receiver) Send(ctx context.Context, m Message) error {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	if r.Form == Email {
		return r.mail(ctx, m)
	}
	address, err := r.address()
	if err != nil {
		return r.refused(true, "%s", err)
	}
	secret := ""
	if r.Secret != nil {
		if secret, err = r.Secret(); err != nil {
			return r.refused(true, "%s", err)
		}
	}
	request, err := r.request(ctx, address, secret, m)
	if err != nil {
		return r.refused(false, "%s", err)
	}
	return r.post(request, secretOf(address), secrets.NewValue([]byte(secret)))
}

// Reach tells whether a receiver can be reached at all, and sends it no message.
func (r Receiver) Reach(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	if r.Form == Email {
		client, err := r.dial(ctx)
		if err != nil {
			return err
		}
		return client.Close()
	}
	address, err := r.address()
	if err != nil {
		return r.refused(true, "%s", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodHead, address.String(), nil)
	if err != nil {
		return r.refused(false, "the address is not valid")
	}
	answer, err := r.client().Do(request)
	if err != nil {
		return r.refused(true, "%s", unsaidLine(cause(err), secretOf(address)))
	}
	return answer.Body.Close()
}

func (r Receiver) refused(passing bool, format string, args ...any) *RefusedError {
	return &RefusedError{Reason: fmt.Sprintf("send message to %s: ", r.Name) + fmt.Sprintf(format, args...), Passing: passing}
}

// address reads where messages go. It is https, or http on this machine.
func (r Receiver) address() (*url.URL, error) {
	text, err := r.Address()
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "" || u.Fragment != "":
		return nil, errors.New("its address is not one; it should look like https://hooks.example/…")
	case u.User != nil:
		return nil, errors.New("its address holds a user or password; take it out")
	case u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())):
		return nil, errors.New("its address would carry messages unprotected; use https:// (http:// only on this machine)")
	}
	return u, nil
}

// secretOf is what of an address may be a secret: all behind the host.
func secretOf(u *url.URL) secrets.Value {
	return secrets.NewValue([]byte(strings.TrimPrefix(u.RequestURI(), "/")))
}

func (r Receiver) client() *http.Client {
	return &http.Client{Transport: r.Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// request is what each form is sent.
func (r Receiver) request(ctx context.Context, address *url.URL, secret string, m Message) (*http.Request, error) {
	var body []byte
	var err error
	to := *address
	switch r.Form {
	case Webhook:
		body, err = document(m)
	case Slack:
		body, err = slackBody(m)
	case Teams:
		body, err = teamsBody(m)
	case Ntfy:
		at := strings.LastIndexByte(to.Path, '/')
		body, err = ntfyBody(to.Path[at+1:], m)
		to.Path, to.RawPath = to.Path[:at+1], ""
	case Email:
	}
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, to.String(), bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("the address is not valid")
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "terra-reconcile/"+r.Version)
	switch {
	case r.Form == Webhook:
		return request, sign(request.Header, m.ID, time.Now(), body, secret)
	case secret != "":
		request.Header.Set("Authorization", "Bearer "+secret)
	}
	return request, nil
}

func (r Receiver) post(request *http.Request, known ...secrets.Value) error {
	answer, err := r.client().Do(request) //nolint:gosec // the address is the runner's own
	if err != nil {
		return r.refused(true, "%s", unsaidLine(cause(err), known...))
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	switch code := answer.StatusCode; {
	case err != nil:
		return r.refused(true, "%s", unsaidLine(cause(err), known...))
	case code >= 200 && code < 300:
		return nil
	case code >= 300 && code < 400:
		return r.refused(true, "it answered %d, a redirect, which is not followed; write the new address into the configuration", code)
	default:
		refusal := r.refused(passing(code), "it answered %d", code)
		refusal.After = retryAfter(answer.Header.Get("Retry-After"))
		refusal.Content = code == http.StatusForbidden || code == http.StatusInternalServerError
		if said := unsaidLine(string(body), known...); said != "" {
			refusal.Reason += ": " + said
		}
		return refusal
	}
}

// unsaidLine is a text of a receiver on one line, and none of it where it gives away a
// secret.
func unsaidLine(text string, known ...secrets.Value) string {
	if secrets.Repeats(text, known...) {
		return "(its words are left out: they repeat a secret)"
	}
	return report.Lines(text, maxMessage)[0]
}
