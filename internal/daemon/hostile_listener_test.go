package daemon

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// TestHostileCallers: whatever others do to the listener, a health check is answered, and
// no more than so many connections are open.
func TestHostileCallers(t *testing.T) {
	const request = "GET /healthz HTTP/1.1\r\nHost: x\r\n"
	for _, c := range []struct {
		attack string
		calls  int
		sends  string
		closed int // at least so many calls are ended by us
	}{
		{attack: "callers who say nothing", calls: 4 * maxConnections, closed: 3 * maxConnections},
		{attack: "callers who begin a header and stop", calls: 4 * maxConnections, sends: request + "X-Slow: ", closed: 3 * maxConnections},
		{attack: "callers who stay after their answer", calls: 4 * maxConnections, sends: request + "Connection: keep-alive\r\n\r\n", closed: 4 * maxConnections},
		{attack: "callers who send a body that does not end", calls: 4 * maxConnections, sends: request + "Content-Length: 1000000\r\n\r\nx", closed: 3 * maxConnections},
		{attack: "callers who ask a thousand times at once", calls: 4, sends: strings.Repeat(request+"\r\n", 1000), closed: 4},
		{attack: "a header that does not end", calls: 2, sends: request + "X-Long: " + strings.Repeat("x", 1<<20), closed: 2},
		{attack: "headers without number", calls: 2, sends: request + strings.Repeat("X: y\r\n", 100_000), closed: 2},
		{attack: "callers who speak TLS", calls: 2, sends: "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", closed: 0},
		{attack: "callers who speak HTTP/2", calls: 2, sends: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", closed: 2},
	} {
		t.Run(c.attack, func(t *testing.T) {
			handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintln(w, "ok") })
			at, stop, err := Listen(t.Context(), "127.0.0.1:0", nil, handler, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			defer stop()
			closed := make(chan bool, c.calls)
			for range c.calls {
				conn, err := net.Dial("tcp", at.String())
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = conn.Close() }()
				go func() {
					_, _ = io.WriteString(conn, c.sends) // the server may have ended it
				}()
				go func() {
					_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
					_, err := io.Copy(io.Discard, bufio.NewReader(conn))
					timeout, ok := errors.AsType[net.Error](err)
					closed <- !ok || !timeout.Timeout()
				}()
			}
			for range c.closed {
				if !<-closed {
					t.Fatal("a call was left open")
				}
			}
			client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{}}
			for range 3 {
				answer, err := client.Get("http://" + at.String() + "/healthz")
				if err != nil {
					t.Fatal(err)
				}
				_ = answer.Body.Close()
				if answer.StatusCode != http.StatusOK || !answer.Close {
					t.Errorf("the health check got %d, closed: %v", answer.StatusCode, answer.Close)
				}
			}
		})
	}
}

// TestCrowd ends the oldest connection for one more, without any time.
func TestCrowd(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	c := &crowd{Listener: listener, most: 3}
	var callers []net.Conn
	var guests []net.Conn
	for range 8 {
		caller, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = caller.Close() }()
		guest, err := c.Accept()
		if err != nil {
			t.Fatal(err)
		}
		callers, guests = append(callers, caller), append(guests, guest)
	}
	for i, caller := range callers[:5] {
		if n, err := caller.Read(make([]byte, 1)); n > 0 || err == nil {
			t.Errorf("caller %d was not ended: %v", i, err)
		}
	}
	c.stay(guests[5].RemoteAddr().String())
	for range 3 {
		caller, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = caller.Close() }()
		guest, err := c.Accept()
		if err != nil {
			t.Fatal(err)
		}
		guests = append(guests, guest)
	}
	if len(c.open) != 3 || c.open[0] != guests[5] || c.open[2] != guests[10] {
		t.Errorf("%d are open, and who stays: %v", len(c.open), c.open[0] == guests[5])
	}
	_ = guests[9].Close()
	if len(c.open) != 2 || c.open[0] != guests[5] || c.open[1] != guests[10] {
		t.Errorf("%d are open", len(c.open))
	}
}

// TestFiguresOfTheSecurityPage: what the page says is what the constants are.
func TestFiguresOfTheSecurityPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("%d connections, of which one more ends the oldest; a header of %d KiB | %d MiB of headers | %.0f seconds for a header, %.0f for a question |",
		maxConnections, maxHeader>>10, maxConnections*maxHeader>>20, headerWithin.Seconds(), pageWithin.Seconds())
	if !strings.Contains(string(page), want) {
		t.Errorf("docs/security.md lacks %q", want)
	}
}
