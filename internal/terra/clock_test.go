package terra_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/terra"
)

// answerAt is a server whose clock stands.
type answerAt time.Time

func (a answerAt) RoundTrip(*http.Request) (*http.Response, error) {
	header := http.Header{"Date": {time.Time(a).UTC().Format(http.TimeFormat)}}
	return &http.Response{StatusCode: http.StatusOK, Header: header, Body: http.NoBody}, nil
}

// TestClock takes the middle of a call of two seconds for the moment of
// the Date, which has whole seconds.
func TestClock(t *testing.T) {
	t.Parallel()
	sent := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for date, want := range map[time.Time]time.Duration{
		sent:                    500 * time.Millisecond,
		sent.Add(-time.Hour):    time.Hour + 500*time.Millisecond,
		sent.Add(2 * time.Hour): -2*time.Hour + 500*time.Millisecond,
	} {
		now := sent.Add(-2 * time.Second)
		c := terra.NewClock(answerAt(date), func() time.Time { now = now.Add(2 * time.Second); return now })
		if _, known := c.Skew(); known {
			t.Error("a skew is known before anybody answered")
		}
		request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		response, err := c.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if got, known := c.Skew(); !known || got != want {
			t.Errorf("%v: %v %v, want %v", date, got, known, want)
		}
	}
}
