package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"
)

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
	trouble  string      // why it could not be made again, as it was told
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
		err := s.server.Serve(peers{listener})
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
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	_ = s.server.Shutdown(ctx)
	_ = s.listener.Close() // removes the socket also where serving had not begun yet
}
