package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"time"
)

const (
	maxRequest   = 64 << 10
	answerWithin = 30 * time.Second
)

// Keeper is the process that holds the state, a daemon or a run. Its errors say
// what the person who asks has to change.
type Keeper interface {
	Pause(PauseRequest) (Pause, error)
	Resume(ResumeRequest) (Resumed, error)
	Pauses() ([]Pause, error)
	// Remember keeps the answer of a provider and repeats it.
	Remember(ProbeAnswer) (ProbeAnswer, error)
	// Backup writes a consistent copy of the state.
	Backup(w io.Writer) error
}

// Boss is what only a daemon can be asked for.
type Boss interface {
	Status() (Status, error)
	// RunNow starts runs soon and names their environments.
	RunNow(NowRequest) ([]string, error)
	Approve(Approval) (Approved, error)
}

// controls answers the protocol.
type controls struct {
	keeper Keeper
	boss   Boss // nil: a run, which ends by itself
	uid    int  // who may ask, beside root
}

// Serve answers on the socket of the state folder dir, 0600, until stop, and makes it
// again when somebody has removed it. Only the process that holds the state there may
// call it: a socket that another one has left behind is replaced. boss is nil for a
// run that is no daemon.
func Serve(ctx context.Context, dir string, keeper Keeper, boss Boss, log *slog.Logger) (stop func(), err error) {
	s := newSocket(dir, keeper, boss, log)
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

func newSocket(dir string, keeper Keeper, boss Boss, log *slog.Logger) *socket {
	c := &controls{keeper: keeper, boss: boss, uid: os.Getuid()}
	return &socket{path: SocketPath(dir), log: log, server: &http.Server{
		Handler: c.handler(), ReadTimeout: answerWithin, WriteTimeout: answerWithin, IdleTimeout: answerWithin,
		MaxHeaderBytes: 1 << 14, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}}
}

func (c *controls) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+pathPause, answered(func(r PauseRequest, owner string) (Pause, error) {
		r.Owner = owner
		return c.keeper.Pause(r)
	}))
	mux.HandleFunc("POST "+pathResume, answered(func(r ResumeRequest, owner string) (Resumed, error) {
		r.Owner = owner
		return c.keeper.Resume(r)
	}))
	mux.HandleFunc("POST "+pathAnswer, answered(func(r ProbeAnswer, _ string) (ProbeAnswer, error) { return c.keeper.Remember(r) }))
	mux.HandleFunc("GET "+pathState, c.state)
	mux.HandleFunc("GET "+pathStatus, answered(func(struct{}, string) (Status, error) {
		if c.boss == nil {
			return Status{}, errRunOnly
		}
		return c.boss.Status()
	}))
	mux.HandleFunc("POST "+pathNow, answered(func(r NowRequest, _ string) ([]string, error) {
		if c.boss == nil {
			return nil, errRunOnly
		}
		return c.boss.RunNow(r)
	}))
	mux.HandleFunc("POST "+pathApprove, answered(func(r Approval, owner string) (Approved, error) {
		if c.boss == nil {
			return Approved{}, errRunOnly
		}
		r.Owner = owner
		return c.boss.Approve(r)
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
	if err := c.keeper.Backup(&copied); err != nil {
		refuse(w, http.StatusConflict, err)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", fmt.Sprint(copied.Len()))
	_, _ = copied.WriteTo(w) // a client that is gone needs no answer
}
