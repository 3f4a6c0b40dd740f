package daemon

import (
	"errors"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"
)

// TestHostileAnswers: who may answer on a control socket, whoever made it.
func TestHostileAnswers(t *testing.T) {
	for _, c := range []struct {
		attack          string
		uid, me, folder int
		may             bool
	}{
		{attack: "a socket of another user", uid: 1001, me: 1000, folder: 1000},
		{attack: "a socket of another user in a folder of theirs", uid: 1001, me: 1000, folder: 1001},
		{attack: "a socket for root that a third user made", uid: 1001, me: 0, folder: 1000},
		{attack: "a socket of which nobody knows who answers", uid: nobody, me: 1000, folder: 1000},
	} {
		t.Run(c.attack, func(t *testing.T) {
			if mayAnswer(c.uid, c.me, c.folder) {
				t.Error("it is believed")
			}
		})
	}
	for _, fine := range [][3]int{{1000, 1000, 1000}, {0, 1000, 1000}, {0, 0, 0}, {1000, 0, 1000}} {
		if !mayAnswer(fine[0], fine[1], fine[2]) {
			t.Errorf("%v is not believed", fine)
		}
	}
}

// TestHostileSockets: what stands where the socket belongs is not asked for ever.
func TestHostileSockets(t *testing.T) {
	for _, c := range []struct {
		attack string
		make   func(path string) error
		absent bool
	}{
		{attack: "a file in the place of the socket", make: func(path string) error { return os.WriteFile(path, nil, 0o600) }, absent: true},
		{attack: "a link to nothing in the place of the socket", make: func(path string) error { return os.Symlink("/none", path) }, absent: true},
		{attack: "a folder in the place of the socket", make: func(path string) error { return os.Mkdir(path, 0o700) }, absent: true},
		{attack: "a socket whose answer is another protocol", make: func(path string) error {
			listener, err := net.Listen("unix", path)
			if err != nil {
				return err
			}
			go func() {
				conn, err := listener.Accept()
				if err == nil {
					_, _ = conn.Write([]byte(strings.Repeat("220 mail\r\n", 1000)))
					_ = conn.Close()
				}
				_ = listener.Close()
			}()
			return nil
		}},
	} {
		t.Run(c.attack, func(t *testing.T) {
			dir := t.TempDir()
			if err := c.make(SocketPath(dir)); err != nil {
				t.Fatal(err)
			}
			_, err := NewClient(dir).Status(t.Context())
			var absent *AbsentError
			if err == nil || errors.As(err, &absent) != c.absent {
				t.Errorf("got %v", err)
			}
			stop, err := Serve(t.Context(), dir, &answers{}, nil, slog.New(slog.DiscardHandler))
			if err != nil && c.attack != "a folder in the place of the socket" {
				t.Errorf("it cannot be served: %v", err)
			}
			if err == nil {
				stop()
			}
		})
	}
}
