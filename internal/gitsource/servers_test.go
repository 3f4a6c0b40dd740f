package gitsource

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	sshserver "github.com/gliderlabs/ssh"
	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
)

// gitHTTP serves root over http, as git itself does.
func gitHTTP(t testing.TB, root string) http.Handler {
	t.Helper()
	needGit(t)
	out, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		t.Fatal(err)
	}
	return &cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(out)), "git-http-backend"),
		Env: append(gitEnv(), "GIT_PROJECT_ROOT="+root, "GIT_HTTP_EXPORT_ALL=1",
			"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*"),
		Stderr: io.Discard,
	}
}

func serve(t testing.TB, h http.Handler) string {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

// withPassword asks for user bot and the password that want holds.
func withPassword(h http.Handler, want *atomic.Pointer[string]) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		if user != "bot" || password != *want.Load() {
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			http.Error(w, "no: "+password, http.StatusUnauthorized)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// sshKey is a private key, its signer and the file it is in.
type sshKey struct {
	signer ssh.Signer
	file   string
}

func newSSHKey(t testing.TB) sshKey {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "id")
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	return sshKey{signer: signer, file: file}
}

// serveSSH runs an ssh server that lets user git with the key in, and runs
// git-upload-pack below root. more are further host keys. It returns host:port.
func serveSSH(t testing.TB, root string, host, user sshKey, more ...ssh.Signer) string {
	t.Helper()
	needGit(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &sshserver.Server{
		Handler: func(s sshserver.Session) {
			command := s.Command()
			if len(command) != 2 || command[0] != "git-upload-pack" {
				fmt.Fprintln(s.Stderr(), "only git-upload-pack is allowed")
				_ = s.Exit(1)
				return
			}
			cmd := exec.CommandContext(s.Context(), "git", "-c", "safe.directory=*", "upload-pack", filepath.Join(root, command[1]))
			cmd.Env = gitEnv()
			cmd.Stdout, cmd.Stderr = s, s.Stderr()
			// Run would wait for the client to end its side when given s itself.
			stdin, err := cmd.StdinPipe()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(stdin, s); _ = stdin.Close() }()
			if err := cmd.Run(); err != nil {
				_ = s.Exit(128)
			}
		},
		PublicKeyHandler: func(ctx sshserver.Context, key sshserver.PublicKey) bool {
			return ctx.User() == "git" && sshserver.KeysEqual(key, user.signer.PublicKey())
		},
	}
	server.AddHostKey(host.signer)
	for _, signer := range more {
		server.AddHostKey(signer)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	t.Cleanup(func() {
		_ = server.Close()
		_ = listener.Close() // where Serve had not begun
		<-done
	})
	return listener.Addr().String()
}

// pin writes a known_hosts file with one line.
func pin(t testing.TB, address string, key ssh.PublicKey) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "known_hosts")
	line := knownhosts.Line([]string{knownhosts.Normalize(address)}, key) + "\n"
	if err := os.WriteFile(file, []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// accept answers each connection by a goroutine of its own, until the test ends, and gives
// the address.
func accept(t testing.TB, answer func(net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go answer(conn)
		}
	}()
	return listener.Addr().String()
}
