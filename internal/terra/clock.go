package terra

import (
	"net/http"
	"sync"
	"time"
)

// ClockTrusted is how far the clock of this machine may be from Terra's before what time
// alone decides is not left to it.
const ClockTrusted = 5 * time.Minute

// Clock is a transport that notices how far this machine's clock is from the server's.
type Clock struct {
	next http.RoundTripper
	now  func() time.Time

	mu    sync.Mutex
	off   time.Duration
	known bool
}

// NewClock makes a Clock before another transport.
func NewClock(next http.RoundTripper, now func() time.Time) *Clock {
	return &Clock{next: next, now: now}
}

// RoundTrip compares the Date of each answer with the middle of its call.
func (c *Clock) RoundTrip(q *http.Request) (*http.Response, error) {
	sent := c.now()
	response, err := c.next.RoundTrip(q)
	if err != nil {
		return nil, err
	}
	if date, parseErr := http.ParseTime(response.Header.Get("Date")); parseErr == nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		middle := sent.Add(c.now().Sub(sent) / 2)
		c.off, c.known = middle.Sub(date.Add(time.Second/2)), true // a Date has whole seconds
	}
	return response, nil
}

// Skew is how far this machine's clock is ahead of the server's, behind where it is
// negative; known is false while no answer told the time.
func (c *Clock) Skew() (off time.Duration, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.off, c.known
}
