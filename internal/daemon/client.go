package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"syscall"
)

// AbsentError says that nobody answers on the socket.
type AbsentError struct{ Path string }

// Error names the socket; the caller knows the next step.
func (e *AbsentError) Error() string { return "nobody answers at " + e.Path }

// RefusedError is what the other end says against a request.
type RefusedError struct{ Reason string }

func (e *RefusedError) Error() string { return e.Reason }

// Client asks the process that holds the state in one folder. Its errors are an
// *AbsentError, a *RefusedError, or say what went wrong in between.
type Client struct {
	path string
	http http.Client
}

// NewClient makes a Client for the state folder dir. It connects to nothing yet.
func NewClient(dir string) *Client {
	path := SocketPath(dir)
	return &Client{path: path, http: http.Client{
		Timeout: answerWithin,
		Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "unix", path)
			},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Pause sets a kill switch.
func (c *Client) Pause(ctx context.Context, r PauseRequest) (Pause, error) {
	return ask[Pause](ctx, c, http.MethodPost, pathPause, r)
}

// Resume lifts one and says which, and what still holds.
func (c *Client) Resume(ctx context.Context, r ResumeRequest) (Resumed, error) {
	return ask[Resumed](ctx, c, http.MethodPost, pathResume, r)
}

// Status asks a daemon how it stands.
func (c *Client) Status(ctx context.Context) (Status, error) {
	return ask[Status](ctx, c, http.MethodGet, pathStatus, struct{}{})
}

// RunNow asks a daemon for runs, and names the environments they are of.
func (c *Client) RunNow(ctx context.Context, r NowRequest) ([]string, error) {
	return ask[[]string](ctx, c, http.MethodPost, pathNow, r)
}

// Approve leaves an approval with a daemon.
func (c *Client) Approve(ctx context.Context, a Approval) (Approved, error) {
	return ask[Approved](ctx, c, http.MethodPost, pathApprove, a)
}

// Remember leaves the answer of a provider with the holder of the state.
func (c *Client) Remember(ctx context.Context, a ProbeAnswer) error {
	_, err := ask[ProbeAnswer](ctx, c, http.MethodPost, pathAnswer, a)
	return err
}

// State gives a consistent copy of the state, whole or not at all.
func (c *Client) State(ctx context.Context) ([]byte, error) {
	return c.send(ctx, http.MethodGet, pathState, nil)
}

func ask[A, Q any](ctx context.Context, c *Client, method, path string, request Q) (A, error) {
	var answer A
	body, err := json.Marshal(request)
	if err != nil {
		return answer, fmt.Errorf("ask %s: %w", c.path, err)
	}
	text, err := c.send(ctx, method, path, body)
	if err != nil {
		return answer, err
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return answer, fmt.Errorf("ask %s: %w; is it a reconcile of another version?", c.path, err)
	}
	return answer, nil
}

func (c *Client) send(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://reconcile"+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", c.path, err)
	}
	answer, err := c.http.Do(request)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
			return nil, &AbsentError{c.path}
		}
		return nil, fmt.Errorf("ask %s: %w", c.path, bare(err))
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, fmt.Errorf("ask %s: the answer broke off: %w", c.path, err)
	}
	if answer.StatusCode == http.StatusOK {
		return text, nil
	}
	var p problem
	if err := json.Unmarshal(text, &p); err != nil || p.Error == "" {
		return nil, fmt.Errorf("ask %s: it answers %d; is it a reconcile of another version?", c.path, answer.StatusCode)
	}
	return nil, &RefusedError{p.Error}
}

// bare drops the URL that means nothing on a socket.
func bare(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}
