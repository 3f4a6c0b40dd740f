package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/user"
	"strconv"
	"time"
)

const (
	maxRequest   = 64 << 10
	answerWithin = 30 * time.Second
)

// ControlServer is the process that holds the state, a daemon or a run. Its errors say
// what the person who asks has to change.
type ControlServer interface {
	Pause(PauseRequest) (Pause, error)
	Resume(ResumeRequest) (Resumed, error)
	Pauses() ([]Pause, error)
	// KeyAccepted lifts the rejection of a key, if there is one, and repeats what it was
	// told.
	KeyAccepted(AcceptedKey) (AcceptedKey, error)
	// Forget drops what is remembered of a connection, and gives its name.
	Forget(ForgetRequest) (string, error)
	// Backup writes a consistent copy of the state.
	Backup(w io.Writer) error
}

// Reconciler is what only a daemon can be asked for.
type Reconciler interface {
	Status() (Status, error)
	// RunNow starts runs soon and names their environments.
	RunNow(NowRequest) ([]string, error)
	// LogLevel sets from which level on it logs, and tells.
	LogLevel(LogLevelRequest) (LogLevel, error)
	Approve(Approval) (Approved, error)
	// Approvable tells what Approve would be of, and keeps nothing.
	Approvable(Approval) (Approved, error)
}

// controls answers the protocol.
type controls struct {
	server     ControlServer
	reconciler Reconciler // nil: a run, which ends by itself
	uid        int        // who may ask, beside root
}

// Serve answers on the socket of the state folder dir, 0600, until stop, and makes it
// again when somebody has removed it. Only the process that holds the state there may
// call it: a socket that another one has left behind is replaced. reconciler is nil for a
// run that is no daemon.
func Serve(ctx context.Context, dir string, server ControlServer, reconciler Reconciler, log *slog.Logger) (stop func(), err error) {
	s := newSocket(dir, server, reconciler, log)
	if err := s.listen(); err != nil {
		return nil, err
	}
	keeping, end := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.keep(keeping)
	}()
	return func() {
		end()
		<-ended
		s.stop(ctx)
	}, nil
}

func newSocket(dir string, server ControlServer, reconciler Reconciler, log *slog.Logger) *socket {
	c := &controls{server: server, reconciler: reconciler, uid: os.Getuid()}
	return &socket{path: SocketPath(dir), log: log, server: &http.Server{
		Handler: c.handler(), ReadHeaderTimeout: headerWithin, ReadTimeout: answerWithin, WriteTimeout: answerWithin, IdleTimeout: headerWithin,
		MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}}
}

func (c *controls) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+pathPause, answered(func(r PauseRequest, owner string) (Pause, error) {
		r.Owner = owner
		return c.server.Pause(r)
	}))
	mux.HandleFunc("POST "+pathResume, answered(func(r ResumeRequest, owner string) (Resumed, error) {
		r.Owner = owner
		return c.server.Resume(r)
	}))
	mux.HandleFunc("POST "+pathKey, answered(func(r AcceptedKey, _ string) (AcceptedKey, error) { return c.server.KeyAccepted(r) }))
	mux.HandleFunc("POST "+pathForget, answered(func(r ForgetRequest, owner string) (string, error) {
		r.Owner = owner
		return c.server.Forget(r)
	}))
	mux.HandleFunc("GET "+pathState, c.state)
	mux.HandleFunc("GET "+pathStatus, answered(func(struct{}, string) (Status, error) {
		if c.reconciler == nil {
			return Status{}, errRunOnly
		}
		return c.reconciler.Status()
	}))
	mux.HandleFunc("POST "+pathNow, answered(func(r NowRequest, _ string) ([]string, error) {
		if c.reconciler == nil {
			return nil, errRunOnly
		}
		return c.reconciler.RunNow(r)
	}))
	mux.HandleFunc("POST "+pathLog, answered(func(r LogLevelRequest, owner string) (LogLevel, error) {
		if c.reconciler == nil {
			return LogLevel{}, errRunOnly
		}
		r.Owner = owner
		return c.reconciler.LogLevel(r)
	}))
	mux.HandleFunc("POST "+pathApprove, answered(func(r Approval, owner string) (Approved, error) {
		if c.reconciler == nil {
			return Approved{}, errRunOnly
		}
		r.Owner = owner
		return c.reconciler.Approve(r)
	}))
	mux.HandleFunc("POST "+pathLook, answered(func(r Approval, owner string) (Approved, error) {
		if c.reconciler == nil {
			return Approved{}, errRunOnly
		}
		r.Owner = owner
		return c.reconciler.Approvable(r)
	}))
	return c.onlyOurs(mux)
}

var errRunOnly = errors.New("a run is under way here, not a daemon; it ends by itself")

// onlyOurs lets only the user of this process and root ask, whatever the mode of
// the socket has become.
func (c *controls) onlyOurs(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		uid, err := peerOf(r)
		if err != nil || uid != c.uid && uid != 0 {
			who := "root"
			if c.uid != 0 {
				who = UserName(c.uid) + " and root"
			}
			refuse(w, http.StatusForbidden, fmt.Errorf("only %s may ask this", who))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// answered reads one JSON document, if a body is sent, and answers with another.
func answered[Q, A any](do func(request Q, owner string) (A, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var request Q
		uid, err := peerOf(r)
		if err == nil && r.Method == http.MethodPost {
			err = json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest)).Decode(&request)
		}
		if err != nil {
			refuse(w, http.StatusBadRequest, fmt.Errorf("read request: %w", err))
			return
		}
		answer, err := do(request, UserName(uid))
		if err != nil {
			refuse(w, http.StatusConflict, err)
			return
		}
		write(w, http.StatusOK, answer)
	}
}

// problem is the answer to what was refused.
type problem struct {
	Error string `json:"error"`
}

func refuse(w http.ResponseWriter, status int, err error) {
	write(w, status, problem{err.Error()})
}

func write[A any](w http.ResponseWriter, status int, answer A) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer) // a client that is gone needs no answer
}

// state sends all of it with its length, so that half of it is known as such.
func (c *controls) state(w http.ResponseWriter, _ *http.Request) {
	var copied bytes.Buffer
	if err := c.server.Backup(&copied); err != nil {
		refuse(w, http.StatusConflict, err)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", fmt.Sprint(copied.Len()))
	_, _ = copied.WriteTo(w) // a client that is gone needs no answer
}

// socketLooked is how often the process that listens looks whether its socket is
// still there: without it nobody could pause what runs.
const socketLooked = 5 * time.Second

// socket is a server on a unix socket that is made again when its file is gone. It
// belongs to one goroutine at a time.
type socket struct {
	path     string
	server   *http.Server
	log      *slog.Logger
	listener *net.UnixListener
	file     os.FileInfo // as it was made
	trouble  string      // why it could not be made again, as it was logged
}

// listen makes the file, in the place of any other, and serves on it.
func (s *socket) listen() error {
	if err := os.Remove(s.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("listen on %s: %w", s.path, err)
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: s.path, Net: "unix"})
	var file os.FileInfo
	if err == nil {
		err = os.Chmod(s.path, 0o600)
	}
	if err == nil {
		file, err = os.Lstat(s.path)
	}
	if err != nil {
		if listener != nil {
			err = errors.Join(err, listener.Close())
		}
		return fmt.Errorf("listen on %s: %w; a socket's path has at most 107 bytes, and its folder must be ours", s.path, err)
	}
	s.listener, s.file = listener, file
	go func() {
		err := s.server.Serve(&crowd{Listener: peers{listener}, most: maxConnections})
		if !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			s.log.Error("control socket ended", "error", err.Error())
		}
	}()
	return nil
}

// look makes the file again where it is gone, or another one. A connection that was
// made through the old file is still answered.
func (s *socket) look() {
	if file, err := os.Lstat(s.path); err == nil && os.SameFile(file, s.file) {
		return
	}
	old := s.listener
	old.SetUnlinkOnClose(false) // what has its name now is not its file
	if err := s.listen(); err != nil {
		old.SetUnlinkOnClose(true)
		if s.trouble != err.Error() {
			s.trouble = err.Error()
			s.log.Error("the control socket is gone and cannot be made again: nobody can pause what runs here", "error", err.Error())
		}
		return
	}
	_ = old.Close() // nobody can reach it
	s.trouble = ""
	s.log.Warn("the control socket was gone; it is made again", "path", s.path)
}

// keep looks until ctx ends.
func (s *socket) keep(ctx context.Context) {
	looks := time.NewTicker(socketLooked)
	defer looks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-looks.C:
			s.look()
		}
	}
}

// stop answers what is under way and takes the file away.
func (s *socket) stop(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerStill)
	defer cancel()
	_ = s.server.Shutdown(ctx)
	_ = s.listener.Close() // removes the socket also where serving had not begun yet
}

// peers hands out connections whose remote address is the user at the other end.
type peers struct{ net.Listener }

func (p peers) Accept() (net.Conn, error) {
	conn, err := p.Listener.Accept()
	if err != nil {
		return nil, err
	}
	uid, err := peerUID(conn)
	if err != nil {
		uid = nobody // gets an answer, and that is a refusal
	}
	return peerConn{conn, peerAddress(uid)}, nil
}

// nobody is no user's number.
const nobody = -1

type peerConn struct {
	net.Conn
	from peerAddress
}

func (c peerConn) RemoteAddr() net.Addr { return c.from }

type peerAddress int

func (peerAddress) Network() string  { return "unix" }
func (a peerAddress) String() string { return strconv.Itoa(int(a)) }

// peerOf is the number of the user who sent a request.
func peerOf(r *http.Request) (int, error) {
	uid, err := strconv.Atoi(r.RemoteAddr)
	if err != nil || uid < 0 {
		return nobody, fmt.Errorf("it is not known who asks (%q)", r.RemoteAddr)
	}
	return uid, nil
}

// UserName names a user; where nobody has given the number a name, by it.
func UserName(uid int) string {
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil && u.Username != "" {
		return u.Username
	}
	return "uid " + strconv.Itoa(uid)
}
