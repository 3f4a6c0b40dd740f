package terratest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/terra-reconcile/terra-reconcile/internal/terra/emulator"
)

// outcome is what a caller sees of a call.
type outcome struct {
	status int
	kind   string // Content-Type
	body   string
	sent   error // of the call
	read   error // of reading the body
	after  string
}

func try(t *testing.T, transport http.RoundTripper, base string, r sent) outcome {
	t.Helper()
	w, err := transport.RoundTrip(r.request(t, base))
	if err != nil {
		return outcome{sent: err}
	}
	defer w.Body.Close()
	b, err := io.ReadAll(w.Body)
	return outcome{
		status: w.StatusCode, kind: w.Header.Get("Content-Type"), body: string(b), read: err, after: w.Header.Get("Retry-After"),
	}
}

const enabledStrava = `{"provider":"strava","active":true,"auth_redirect_url":"https://access.tryterra.co/api/v2/auth/strava/oauth2","auth_variant":"standard"}`

// faultCase says what each fault looks like to a caller of enableSource.
type faultCase struct {
	fault  Fault
	effect bool
	check  func(*testing.T, outcome)
}

func faultCases() map[Kind]faultCase {
	status := func(want int, code, after string) func(*testing.T, outcome) {
		return func(t *testing.T, o outcome) {
			t.Helper()
			if o.status != want || o.after != after || !strings.Contains(o.body, `"code":"`+code+`"`) {
				t.Errorf("got %+v, want %d %s, Retry-After %q", o, want, code, after)
			}
		}
	}
	whole := func(t *testing.T, o outcome) {
		t.Helper()
		if o.status != 200 || o.body != enabledStrava {
			t.Errorf("got %+v, want the source", o)
		}
	}
	odd := func(want int, kind, body string) func(*testing.T, outcome) {
		return func(t *testing.T, o outcome) {
			t.Helper()
			if o.status != want || !strings.HasPrefix(o.kind, kind) || !strings.HasPrefix(o.body, body) || o.read != nil {
				t.Errorf("got %+v, want %d %s %s", o, want, kind, body)
			}
		}
	}
	dropped := func(t *testing.T, o outcome) {
		t.Helper()
		if o.sent == nil {
			t.Errorf("got %+v, want a dropped connection", o)
		}
	}
	return map[Kind]faultCase{
		Latency:   {Fault{Delay: time.Millisecond}, true, whole},
		Status429: {Fault{RetryAfter: 1500 * time.Millisecond}, false, status(429, "rate_limited", "2")},
		Status500: {Fault{}, false, status(500, "internal_error", "")},
		Status503: {Fault{RetryAfter: 7 * time.Second}, false, status(503, "service_unavailable", "7")},
		Problem: {
			Fault{Status: 422, Code: "provider_credentials_rejected", Detail: "no"}, false,
			status(422, "provider_credentials_rejected", ""),
		},
		PlainNotFound:   {Fault{}, false, odd(404, "text/plain", "Not Found")},
		Empty200:        {Fault{}, false, odd(200, "application/json", "")},
		HTMLPage:        {Fault{}, false, odd(200, "text/html", "<!doctype html>")},
		Redirect:        {Fault{}, false, odd(307, "", "")},
		ConnectionReset: {Fault{}, false, dropped},
		LostAnswer:      {Fault{}, true, dropped},
		BrokenJSON:      {Fault{}, true, odd(200, "application/json", enabledStrava[:len(enabledStrava)/2])},
		HalfPage: {Fault{}, true, func(t *testing.T, o outcome) {
			t.Helper()
			if !errors.Is(o.read, io.ErrUnexpectedEOF) || o.body != enabledStrava[:len(enabledStrava)/2] {
				t.Errorf("got %+v, want half a body and an unexpected end", o)
			}
		}},
		HasMoreWithoutCursor: {Fault{}, true, whole},
		MissingEntries:       {Fault{}, true, whole},
		IgnoreDryRun:         {Fault{}, true, whole},
	}
}

// TestFaults strikes a write once with each kind, in process and over sockets;
// the call after it is whole.
func TestFaults(t *testing.T) {
	cases := faultCases()
	for _, kind := range emulator.Kinds() {
		if kind == Hang {
			continue // TestHang: it has no end of its own
		}
		c, ok := cases[kind]
		if !ok {
			t.Errorf("no case for %s", kind)
			continue
		}
		for _, over := range []string{"process", "sockets"} {
			t.Run(string(kind)+"/"+over, func(t *testing.T) {
				s := scene(t, Config{})
				transport, base := s.RoundTripper(), BaseURL
				if over == "sockets" {
					own := &http.Transport{DisableKeepAlives: true}
					defer own.CloseIdleConnections()
					transport, base = own, s.Start(t)
				}
				c.fault.Kind = kind
				s.Fault(c.fault)
				c.check(t, try(t, transport, base, sent{method: "PUT", path: sources + "/strava"}))
				log := s.Log()
				if len(log) != 1 || log[0].Effect != c.effect || log[0].Fault != kind {
					t.Errorf("log: got %+v, want effect %v by %s", log, c.effect, kind)
				}
				if _, on := s.Live(devID).Sources["strava"]; on != c.effect {
					t.Errorf("source there: got %v, want %v", on, c.effect)
				}
				if o := try(t, transport, base, sent{method: "PUT", path: sources + "/strava"}); o.body != enabledStrava {
					t.Errorf("the call after: got %+v", o)
				}
			})
		}
	}
}

func TestConnectionResetIsOne(t *testing.T) {
	s := scene(t, Config{})
	s.Fault(Fault{Kind: ConnectionReset})
	if o := try(t, s.RoundTripper(), BaseURL, sent{path: "/me"}); !errors.Is(o.sent, syscall.ECONNRESET) {
		t.Errorf("got %v, want ECONNRESET", o.sent)
	}
}

func TestHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := scene(t, Config{})
		s.Fault(Fault{Kind: Hang})
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		start := time.Now()
		_, err := s.RoundTripper().RoundTrip(sent{method: "PUT", path: sources + "/strava"}.request(t, BaseURL).WithContext(ctx))
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Hour {
			t.Errorf("got %v after %v, want the deadline after an hour", err, time.Since(start))
		}
		if log := s.Log(); log[0].Status != 0 || log[0].Effect {
			t.Errorf("log: got %+v, want neither status nor effect", log[0])
		}
	})
}

// A test that ends while a call hangs must end.
func TestHangOverSocketsEndsWithTheServer(t *testing.T) {
	done := make(chan error, 1)
	t.Run("serve", func(t *testing.T) {
		s := scene(t, Config{})
		arrived := make(chan struct{}, 1)
		s.Fault(Fault{Kind: Hang, Match: func(Call) bool { arrived <- struct{}{}; return true }})
		r := sent{path: "/me"}.request(t, s.Start(t)).WithContext(context.WithoutCancel(t.Context()))
		go func() {
			_, err := (&http.Transport{}).RoundTrip(r)
			done <- err
		}()
		<-arrived
	})
	if err := <-done; err == nil {
		t.Error("got an answer, want the connection to end")
	}
}

func TestLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := scene(t, Config{Latency: 20 * time.Millisecond})
		s.Fault(Fault{Kind: Latency, Delay: time.Second, Nth: 2})
		took := func() time.Duration {
			start := time.Now()
			do(t, s, sent{path: "/me"})
			return time.Since(start)
		}
		want := []time.Duration{20 * time.Millisecond, 1020 * time.Millisecond, 20 * time.Millisecond}
		if d := cmp.Diff(want, []time.Duration{took(), took(), took()}); d != "" {
			t.Errorf("latency (-want +got):\n%s", d)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		defer cancel()
		_, err := s.RoundTripper().RoundTrip(sent{method: "PUT", path: sources + "/strava"}.request(t, BaseURL).WithContext(ctx))
		if !errors.Is(err, context.DeadlineExceeded) || len(s.Effects()) != 0 {
			t.Errorf("cancelled: got %v with effects %v", err, s.Effects())
		}
	})
}

func TestPartialLists(t *testing.T) {
	for kind, want := range map[Kind]struct {
		entries int
		hasMore bool
	}{
		HasMoreWithoutCursor: {2, true},
		MissingEntries:       {2, false},
	} {
		s := scene(t, Config{})
		for _, p := range []string{"strava", "whoop", "garmin", "polar"} {
			s.Enable(devID, p)
		}
		s.Fault(Fault{Kind: kind, Operation: "listSources"})
		g := do(t, s, sent{path: sources})
		if len(g.Data) != want.entries || g.HasMore != want.hasMore || g.Next != nil {
			t.Errorf("%s: got %s", kind, g.body)
		}
	}
}

func TestWhichCallsAFaultStrikes(t *testing.T) {
	byProvider := func(c Call) bool { return c.Provider == "whoop" && c.Write }
	for _, c := range []struct {
		name  string
		fault Fault
		want  string // per call: x struck, . whole
	}{
		{"the first", Fault{}, "x......."},
		{"the third", Fault{Nth: 3}, "..x....."},
		{"two from the second on", Fault{Nth: 2, Times: 2}, ".xx....."},
		{"all", Fault{Times: Always}, "xxxxxxxx"},
		{"all from the sixth on", Fault{Nth: 6, Times: Always}, ".....xxx"},
		{"an operation", Fault{Operation: "enableSource", Times: Always}, ".xx..xx."},
		{"the second of an operation", Fault{Operation: "enableSource", Nth: 2}, "..x....."},
		{"matching ones", Fault{Match: byProvider, Times: Always}, "..x...x."},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := scene(t, Config{})
			c.fault.Kind = Status500
			s.Fault(c.fault)
			have := ""
			for i := range 8 {
				path, method := []string{"", "/strava", "/whoop", "/strava/credentials"}[i%4], "PUT"
				if i%4 == 0 || i%4 == 3 {
					method = "GET"
				}
				if do(t, s, sent{method: method, path: sources + path}).status == 500 {
					have += "x"
				} else {
					have += "."
				}
			}
			if have != c.want {
				t.Errorf("got %s, want %s", have, c.want)
			}
		})
	}
	s := scene(t, Config{})
	s.Fault(Fault{Kind: Status500, Times: Always})
	s.ClearFaults()
	wantStatus(t, do(t, s, sent{path: "/me"}), 200, "")
}

// The lost answer of a write with a key is found again with the key.
func TestLostAnswerIsReplayed(t *testing.T) {
	s := scene(t, Config{})
	ownStrava(s)
	s.Fault(Fault{Kind: LostAnswer, Operation: "updateSourceCredentials"})
	r := sent{method: "PATCH", path: sources + "/strava/credentials", body: `{"client_secret":"second-secret"}`, key: "k"}
	if o := try(t, s.RoundTripper(), BaseURL, r); o.sent == nil {
		t.Fatalf("got %+v, want no answer", o)
	}
	g := do(t, s, r)
	wantStatus(t, g, 200, "")
	if !strings.Contains(g.body, "****cret") || len(s.Effects()) != 1 {
		t.Errorf("got %s with %d effects, want the stored answer and 1", g.body, len(s.Effects()))
	}
}

func TestIgnoredDryRun(t *testing.T) {
	s := scene(t, Config{})
	s.Enable(devID, "strava")
	s.Fault(Fault{Kind: IgnoreDryRun})
	g := do(t, s, sent{method: "PATCH", path: sources + "/strava?dry_run=true", body: `{"active":false}`})
	if g.DryRun || s.Live(devID).Sources["strava"].State != "paused" {
		t.Errorf("got %s, want it to be committed", g.body)
	}
	if c := s.Log()[0]; !c.DryRun || !c.Effect || len(s.Writes()) != 0 {
		t.Errorf("log: got %+v", c)
	}
}
