package daemon

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// answers is a ControlServer and a Reconciler that repeats what it was asked.
type answers struct {
	pause PauseRequest
	key   AcceptedKey
	err   error
}

func (a *answers) Pause(r PauseRequest) (Pause, error) {
	a.pause = r
	return Pause{Target: r.Target, Reason: r.Reason, Owner: r.Owner}, a.err
}
func (a *answers) Resume(r ResumeRequest) (Resumed, error) {
	return Resumed{Pause: Pause{Target: r.Target, Owner: r.Owner}, Still: []Pause{{Target: ""}}}, a.err
}
func (a *answers) Pauses() ([]Pause, error) { return nil, a.err }
func (a *answers) KeyAccepted(r AcceptedKey) (AcceptedKey, error) {
	a.key = r
	return r, a.err
}
func (a *answers) Forget(r ForgetRequest) (string, error) {
	return r.Connection + " by " + r.Owner, a.err
}
func (a *answers) Backup(w io.Writer) error {
	_, err := w.Write([]byte("the whole state"))
	return errors.Join(err, a.err)
}
func (a *answers) Status() (Status, error)               { return Status{Version: "test"}, a.err }
func (a *answers) RunNow(r NowRequest) ([]string, error) { return []string{r.Environment}, a.err }
func (a *answers) Approve(r Approval) (Approved, error) {
	return Approved{Hash: r.Hash, By: []string{r.Owner}}, a.err
}

func (a *answers) LogLevel(r LogLevelRequest) (LogLevel, error) {
	return LogLevel{Level: r.Level, Configured: r.Owner}, a.err
}

func (a *answers) Approvable(r Approval) (Approved, error) {
	return Approved{Hash: r.Hash, By: []string{}, Covers: []string{r.Environment}}, a.err
}

func serve(t *testing.T, server ControlServer, reconciler Reconciler) (dir string, client *Client) {
	t.Helper()
	dir = t.TempDir()
	stop, err := Serve(t.Context(), dir, server, reconciler, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return dir, NewClient(dir)
}

func TestProtocol(t *testing.T) {
	a := &answers{}
	dir, client := serve(t, a, a)
	me := UserName(os.Getuid())
	pause, err := client.Pause(t.Context(), PauseRequest{Target: "production", Reason: "why", Seconds: 60, Owner: "somebody else"})
	if want := (Pause{Target: "production", Reason: "why", Owner: me}); err != nil || pause != want {
		t.Errorf("pause: got %+v, %v, want %+v: the owner is who asks", pause, err, want)
	}
	if a.pause.Seconds != 60 {
		t.Errorf("pause: got %+v", a.pause)
	}
	resumed, err := client.Resume(t.Context(), ResumeRequest{Target: "production"})
	if err != nil || resumed.Target != "production" || resumed.Owner != me || len(resumed.Still) != 1 {
		t.Errorf("resume: got %+v, %v", resumed, err)
	}
	status, err := client.Status(t.Context())
	if err != nil || status.Version != "test" {
		t.Errorf("status: got %+v, %v", status, err)
	}
	now, err := client.RunNow(t.Context(), NowRequest{Environment: "production"})
	if diff := cmp.Diff([]string{"production"}, now); err != nil || diff != "" {
		t.Errorf("now: %v %s", err, diff)
	}
	approved, err := client.Approve(t.Context(), Approval{Environment: "production", Hash: "sha256:1"})
	if err != nil || !reflect.DeepEqual(approved, Approved{Hash: "sha256:1", By: []string{me}}) {
		t.Errorf("approve: got %+v, %v", approved, err)
	}
	approvable, err := client.Approvable(t.Context(), Approval{Environment: "production", Hash: "sha256:1"})
	if err != nil || !reflect.DeepEqual(approved.Covers, []string(nil)) || !reflect.DeepEqual(approvable.Covers, []string{"production"}) {
		t.Errorf("approvable: got %+v, %v", approvable, err)
	}
	key := AcceptedKey{DevID: "prod-x", Provider: "strava", Entry: "sha256:1 for 123456"}
	if err := client.KeyAccepted(t.Context(), key); err != nil || a.key != key {
		t.Errorf("accepted key: got %+v, %v", a.key, err)
	}
	state, err := client.State(t.Context())
	if err != nil || string(state) != "the whole state" {
		t.Errorf("state: got %q, %v", state, err)
	}
	info, err := os.Stat(SocketPath(dir))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode of the socket: got %v, %v", info.Mode(), err)
	}
}

// TestSocketIsMadeAgain where its file is gone, is another one, or is not there to be
// made until its folder is; each trouble is told once.
func TestSocketIsMadeAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	var log bytes.Buffer
	s := newSocket(dir, &answers{}, &answers{}, slog.New(slog.NewTextHandler(&log, nil)))
	if err := errors.Join(os.Mkdir(dir, 0o700), s.listen()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.stop(t.Context()) })
	for name, disturb := range map[string]func() error{
		"removed":  func() error { return os.Remove(s.path) },
		"replaced": func() error { return errors.Join(os.Remove(s.path), os.WriteFile(s.path, nil, 0o644)) },
		"moved": func() error {
			if err := os.Rename(dir, dir+".away"); err != nil {
				return err
			}
			s.look()
			s.look()
			return os.Rename(dir+".away", dir)
		},
		"nothing": func() error { return nil },
	} {
		log.Reset()
		if err := disturb(); err != nil {
			t.Fatal(err)
		}
		s.look()
		if _, err := NewClient(dir).Status(t.Context()); err != nil {
			t.Errorf("%s: nobody answers: %v", name, err)
		}
		if file, err := os.Lstat(s.path); err != nil || file.Mode() != os.ModeSocket|0o600 {
			t.Errorf("%s: the file is %v, %v", name, file, err)
		}
		again, failed := strings.Count(log.String(), "it is made again"), strings.Count(log.String(), "cannot be made again")
		want := map[string][2]int{"removed": {1, 0}, "replaced": {1, 0}, "moved": {0, 1}, "nothing": {0, 0}}[name]
		if [2]int{again, failed} != want {
			t.Errorf("%s: told %d times that it is made again and %d that it cannot, want %v\n%s", name, again, failed, want, &log)
		}
	}
}

// TestWhatIsRefused comes back as the reason that the other end gives.
func TestWhatIsRefused(t *testing.T) {
	broken := &answers{err: errors.New("the state is damaged")}
	_, client := serve(t, broken, broken)
	_, run := serve(t, &answers{}, nil)
	for name, c := range map[string]struct {
		client *Client
		want   string
	}{"a daemon": {client, "the state is damaged"}, "a run": {run, "not a daemon"}} {
		_, status := c.client.Status(t.Context())
		_, now := c.client.RunNow(t.Context(), NowRequest{})
		_, approve := c.client.Approve(t.Context(), Approval{})
		for _, err := range []error{status, now, approve} {
			var refused *RefusedError
			if !errors.As(err, &refused) || !strings.Contains(refused.Reason, c.want) {
				t.Errorf("%s: got %v, want it refused: %s", name, err, c.want)
			}
		}
	}
	if _, err := client.State(t.Context()); err == nil {
		t.Error("a state that cannot be copied is handed out")
	}
}

// TestOnlyOursMayAsk: another user gets nothing, whatever the mode of the socket.
func TestOnlyOursMayAsk(t *testing.T) {
	a := &answers{}
	h := (&controls{server: a, reconciler: a, uid: 1000}).handler()
	for from, want := range map[string]int{"1000": 200, "0": 200, "1001": 403, "-1": 403, "@": 403, "": 403} {
		for _, path := range []string{pathStatus, pathState, pathPause} {
			r := httptest.NewRequest(http.MethodGet, path, nil)
			if path == pathPause {
				r = httptest.NewRequest(http.MethodPost, path, strings.NewReader(`{"target": "production"}`))
			}
			r.RemoteAddr = from
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != want {
				t.Errorf("%s from %q: got %d, want %d", path, from, w.Code, want)
			}
			if want == 403 && (strings.Contains(w.Body.String(), "state is") || a.pause.Target != "" && from != "1000" && from != "0") {
				t.Errorf("%s from %q: something was done or told: %s", path, from, w.Body)
			}
			a.pause = PauseRequest{}
		}
	}
}

func TestOddRequests(t *testing.T) {
	a := &answers{}
	h := (&controls{server: a, reconciler: a, uid: os.Getuid()}).handler()
	for name, c := range map[string]struct {
		method, path, body string
		want               int
	}{
		"no JSON":           {"POST", pathPause, "x", 400},
		"too long":          {"POST", pathPause, `{"reason": "` + strings.Repeat("x", maxRequest) + `"}`, 400},
		"another version":   {"GET", "/v2/status", "", 404},
		"a read that sets":  {"GET", pathPause, "", 405},
		"a set that reads":  {"POST", pathState, "{}", 405},
		"nothing it knows":  {"GET", "/", "", 404},
		"an empty document": {"POST", pathNow, "{}", 200},
	} {
		r := httptest.NewRequest(c.method, c.path, strings.NewReader(c.body))
		r.RemoteAddr = strconv.Itoa(os.Getuid())
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != c.want {
			t.Errorf("%s: got %d, want %d", name, w.Code, c.want)
		}
	}
}

// TestSocketThatWasLeftBehind is taken over, and one without a process is known
// for what it is.
func TestSocketThatWasLeftBehind(t *testing.T) {
	a := &answers{}
	dir, client := serve(t, a, a)
	absent := NewClient(filepath.Join(dir, "elsewhere"))
	path := SocketPath(filepath.Join(dir, "dead"))
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	listener.SetUnlinkOnClose(false)
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	dead := NewClient(filepath.Dir(path))
	for name, c := range map[string]*Client{"no socket": absent, "a dead socket": dead} {
		_, err := c.Status(t.Context())
		var nobody *AbsentError
		if !errors.As(err, &nobody) {
			t.Errorf("%s: got %v, want an AbsentError", name, err)
		}
	}
	stop, err := Serve(t.Context(), filepath.Dir(path), a, a, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dead.Status(t.Context()); err != nil {
		t.Errorf("after a new start: %v", err)
	}
	stop()
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after the stop: %v, want no socket", err)
	}
	if _, err := client.Status(t.Context()); err != nil {
		t.Errorf("the other one: %v", err)
	}
	long := filepath.Join(dir, strings.Repeat("x", 100))
	if _, err := Serve(t.Context(), long, a, a, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "107 bytes") {
		t.Errorf("a path that is too long: got %v", err)
	}
}

// TestHalfAnAnswerIsNone: a server that dies in the middle hands out no state.
func TestHalfAnAnswerIsNone(t *testing.T) {
	dir := t.TempDir()
	listener, err := net.Listen("unix", SocketPath(dir))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	for name, text := range map[string]string{
		"half":           "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf",
		"another server": "HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\noops",
		"a redirect":     "HTTP/1.1 302 Found\r\nLocation: http://elsewhere/\r\nContent-Length: 0\r\n\r\n",
		"no HTTP":        "hello\r\n\r\n",
	} {
		go func() {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 4096))
			_, _ = io.Copy(conn, bytes.NewReader([]byte(text)))
			_ = conn.Close()
		}()
		if got, err := NewClient(dir).State(t.Context()); err == nil {
			t.Errorf("%s: got %q and no error", name, got)
		}
	}
}

// TestStatusDocument pins the field names, which scripts depend on.
func TestStatusDocument(t *testing.T) {
	at := time.Date(2026, 11, 26, 15, 0, 0, 0, time.UTC)
	text, err := json.Marshal(Pause{Target: "production", Reason: "why", Owner: "jo", Since: at, Until: at.Add(time.Hour)})
	want := `{"target":"production","reason":"why","owner":"jo","since":"2026-11-26T15:00:00Z","until":"2026-11-26T16:00:00Z"}`
	if err != nil || string(text) != want {
		t.Errorf("got %s, %v", text, err)
	}
}
