package notify

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
	"github.com/terra-reconcile/terra-reconcile/secrets"
)

// Options of a Forge. All are required.
type Options struct {
	Kind    string                 // github, gitlab or gitea, whose API Forgejo speaks
	URL     string                 // of GitHub its API, of the others the forge; no / at the end
	Project string                 // OWNER/NAME; of GitLab also with groups, or its number
	Context string                 // a status is named so, with / and its environment
	Token   func() (string, error) // is asked before each request
	Version string                 // of this program
	// Transport carries the requests. It follows no redirect.
	Transport http.RoundTripper
}

// Forge is a project whose commits get statuses.
type Forge struct{ o Options }

// New makes a Forge. It does not touch the network and reads no token.
func New(o Options) (*Forge, error) {
	switch {
	case o.Kind != "github" && o.Kind != "gitlab" && o.Kind != "gitea":
		return nil, errors.New("post commit statuses: the forge must be github, gitlab or gitea")
	case o.URL == "" || o.Project == "" || o.Context == "" || o.Token == nil || o.Version == "" || o.Transport == nil:
		return nil, errors.New("post commit statuses: address, project, context, token, version and transport are required")
	}
	return &Forge{o}, nil
}

// String names the forge for people, without a secret.
func (f *Forge) String() string { return f.o.Kind + " " + f.o.URL + " " + f.o.Project }

// Name is what a forge shows beside the state: by it one status takes the place of another.
func (f *Forge) Name(s Status) string {
	if s.Environment == "" {
		return f.o.Context
	}
	return f.o.Context + "/" + s.Environment
}

// What a forge may take and say.
const (
	deadline   = 30 * time.Second // of one request, until its answer is read
	maxAnswer  = 64 << 10         // bytes that are read
	maxMessage = 200              // characters of an answer that are repeated
	maxPause   = 10 * time.Minute // between two tries
)

// RefusedError is a status that a forge did not take, or a message that a receiver did not.
type RefusedError struct {
	Reason  string        // without the token
	Passing bool          // the same may succeed later
	After   time.Duration // the forge asked to wait so long; at most maxPause
	Content bool          // it may be about what was sent, so that something else is taken
}

func (e *RefusedError) Error() string { return e.Reason }

// Post posts a status once. Its error is a *RefusedError.
func (f *Forge) Post(ctx context.Context, s Status) error {
	refused := func(passing bool, format string, args ...any) error {
		return &RefusedError{Reason: fmt.Sprintf("post commit status %s: ", f.Name(s)) + fmt.Sprintf(format, args...), Passing: passing}
	}
	if !IsCommit(s.Commit) {
		return refused(false, "%q is not the whole hash of a commit", report.Lines(s.Commit, maxMessage)[0])
	}
	token, err := f.o.Token()
	if err != nil {
		return refused(true, "%s", err)
	}
	secret := secrets.NewValue([]byte(token))
	if secrets.Repeats(s.Description, secret) {
		s.Description = "See the report." // by chance, or by who knows the token
	}
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	request, err := f.request(ctx, s, token)
	if err != nil {
		return refused(false, "the address is not valid")
	}
	client := http.Client{Transport: f.o.Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Do(request)
	if err != nil {
		return refused(true, "%s", unsaid(cause(err), secret))
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	switch {
	case err != nil:
		return refused(true, "%s", unsaid(cause(err), secret))
	case answer.StatusCode == http.StatusCreated || answer.StatusCode == http.StatusOK, f.hasIt(answer.StatusCode, s, body):
		return nil
	}
	refusal := &RefusedError{Passing: passing(answer.StatusCode), After: retryAfter(answer.Header.Get("Retry-After"))}
	refusal.Reason = fmt.Sprintf("post commit status %s: %s", f.Name(s), f.words(answer.StatusCode))
	if message := unsaid(message(body), secret); message != "" {
		refusal.Reason += ": " + message
	}
	return refusal
}

// PostPatiently posts a status, up to so many times and with growing pauses between, until
// the context ends.
func (f *Forge) PostPatiently(ctx context.Context, s Status, tries int) error {
	for pause := firstPause; ; pause *= 2 {
		err := f.Post(ctx, s)
		refusal := (*RefusedError)(nil)
		if tries--; tries <= 0 || !errors.As(err, &refusal) || !refusal.Passing {
			return err
		}
		timer := time.NewTimer(max(pause, refusal.After))
		select {
		case <-ctx.Done():
			timer.Stop()
			return err
		case <-timer.C:
		}
	}
}

// request is what each forge is sent.
//
// GitHub, https://docs.github.com/en/rest/commits/statuses#create-a-commit-status: states
// error, failure, pending, success; a description of at most 140 characters; 1000 statuses
// of one context and commit.
//
// GitLab, https://docs.gitlab.com/api/commits/#set-commit-pipeline-status: states pending,
// running, success, failed, canceled, skipped; the context is a name; a project is its
// number or its path, encoded.
//
// Gitea and Forgejo, repoCreateStatus of https://docs.gitea.com/api/: states pending,
// success, error, failure, warning.
func (f *Forge) request(ctx context.Context, s Status, token string) (*http.Request, error) {
	path, body := "/repos/"+f.o.Project, map[string]string{"state": string(s.State), "context": f.Name(s), "description": s.Description}
	header := map[string]string{"Authorization": "Bearer " + token, "Accept": "application/vnd.github+json", "X-Github-Api-Version": "2022-11-28"}
	switch f.o.Kind {
	case "gitlab":
		path = "/api/v4/projects/" + url.PathEscape(f.o.Project)
		body = map[string]string{"state": string(s.State), "name": f.Name(s), "description": s.Description}
		if s.State == Failure || s.State == Error {
			body["state"] = "failed"
		}
		header = map[string]string{"Private-Token": token}
	case "gitea":
		path = "/api/v1" + path
		header = map[string]string{"Authorization": "token " + token}
	}
	document, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, f.o.URL+path+"/statuses/"+s.Commit, bytes.NewReader(document))
	if err != nil {
		return nil, err
	}
	for name, value := range header {
		request.Header.Set(name, value)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "terra-reconcile/"+f.o.Version)
	return request, nil
}

// hasIt tells whether GitLab refuses a status because it says so already: it knows no way
// from pending to pending, and keeps the description of the first.
func (f *Forge) hasIt(code int, s Status, body []byte) bool {
	return f.o.Kind == "gitlab" && code == http.StatusBadRequest && s.State == Pending && strings.Contains(message(body), "Cannot transition status via :enqueue from :pending")
}

// words say what an answer means for whoever set the forge up.
func (f *Forge) words(code int) string {
	words := fmt.Sprintf("%s answered %d", f.o.Kind, code)
	switch {
	case code == http.StatusUnauthorized:
		words += ", the token is not valid"
	case code == http.StatusForbidden:
		words += ", the token may not post statuses, or posts too many"
	case code == http.StatusNotFound:
		words += ", it has no such project or commit, or the token may not see it"
	case code >= 300 && code < 400:
		words += ", a redirect, which is not followed; write the new address or project into the configuration"
	}
	return words
}

// passing tells whether the same request may succeed later.
func passing(code int) bool {
	switch code {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusRequestTimeout, http.StatusConflict, http.StatusTooEarly, http.StatusTooManyRequests:
		return true // a token that was replaced is read again
	}
	return code >= 500
}

// retryAfter is how long a forge asks to wait.
func retryAfter(header string) time.Duration {
	if seconds, err := strconv.ParseUint(header, 10, 31); err == nil {
		return min(time.Duration(seconds)*time.Second, maxPause)
	}
	if at, err := http.ParseTime(header); err == nil {
		return min(max(time.Until(at), 0), maxPause)
	}
	return 0
}

// message is what an answer says is wrong, "" where it says nothing that can be read.
func message(body []byte) string {
	var answer struct {
		Message json.RawMessage `json:"message"`
		Error   json.RawMessage `json:"error"`
		Errors  []struct {
			Message string `json:"message"`
		} `json:"errors"`
	}
	if json.Unmarshal(body, &answer) != nil {
		return ""
	}
	raw := cmp.Or(string(answer.Message), string(answer.Error))
	text := raw
	if plain := ""; json.Unmarshal([]byte(raw), &plain) == nil {
		text = plain
	}
	for _, e := range answer.Errors {
		text += "; " + e.Message
	}
	return text
}

// unsaid is a text of a forge on one line, and none of it where it gives away the token.
func unsaid(text string, token secrets.Value) string {
	if secrets.Repeats(text, token) {
		return "(its words are left out: they repeat the token)"
	}
	return report.Lines(text, maxMessage)[0]
}

// cause is what kept a request from being answered, without its address.
func cause(err error) string {
	if failed := (*url.Error)(nil); errors.As(err, &failed) {
		err = failed.Err
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("no answer within %s", deadline)
	case errors.Is(err, context.Canceled):
		return "canceled"
	}
	return err.Error()
}
