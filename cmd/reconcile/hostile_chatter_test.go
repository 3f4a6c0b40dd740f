//go:build linux

package main

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// TestHostileChatter: what a server says that nobody asked for is not shown: Go's library
// writes it to the standard logger, as it is.
func TestHostileChatter(t *testing.T) {
	const token = "terra_at_CanaryTokenQ7xw9Zk2Lm"
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ attack, answer string }{
		{attack: "the token after an answer", answer: "HTTP/1.1 401 Unauthorized\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nno%s"},
		{attack: "the token as the body of an answer that has none", answer: "HTTP/1.1 204 No Content\r\n\r\n%s"},
		{attack: "a second answer that holds the token", answer: "HTTP/1.1 403 F\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\nX: %s\r\n\r\n"},
		{attack: "a command of a pipeline after an answer", answer: "HTTP/1.1 204 No Content\r\n\r\n##vso[task.setvariable variable=PATH]%s"},
	} {
		t.Run(c.attack, func(t *testing.T) {
			t.Parallel()
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = listener.Close() }()
			go func() {
				for {
					conn, err := listener.Accept()
					if err != nil {
						return
					}
					go func() {
						defer func() { _ = conn.Close() }()
						in := bufio.NewReader(conn)
						for {
							request, err := http.ReadRequest(in)
							if err != nil {
								return
							}
							_, _ = fmt.Fprintf(conn, c.answer, request.Header.Get("Authorization"))
						}
					}()
				}
			}()
			child := exec.CommandContext(t.Context(), self)
			child.Env = append(os.Environ(), "HARDENED=main token status", "TERRA_ADMIN_TOKEN="+token, "TERRA_BASE_URL=http://"+listener.Addr().String()+"/api/v3/admin")
			child.Dir = t.TempDir()
			out, err := child.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "account default") {
				t.Errorf("got %v:\n%s", err, out)
			}
			if shown := regexp.MustCompile(`CanaryToken|##vso\[`).FindString(string(out)); shown != "" {
				t.Errorf("%q is shown:\n%s", shown, out)
			}
		})
	}
}
