package cli

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// prometheusCommand has a real Prometheus watch the daemon, with the configuration and the
// rules of examples/monitoring, but every second:
//
//	prometheus start                on loopback
//	prometheus says QUERY PATTERN   wait until the answer to a query, or to a path of its API, matches
//
// Where the program is missing it does nothing; REQUIRE_ALL makes that a failure.
func prometheusCommand(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 1, 3, "prometheus start | says QUERY PATTERN")
	program, err := exec.LookPath("prometheus")
	if err != nil {
		if os.Getenv("REQUIRE_ALL") != "" {
			ts.Fatalf("prometheus is missing: install Debian's prometheus")
		}
		ts.Logf("not looked at: prometheus is missing")
		return
	}
	s := sceneOf(ts)
	switch {
	case args[0] == "start" && s.daemon != nil:
		s.prometheus = startPrometheus(ts, program, s.daemon.address(ts))
	case args[0] == "says" && len(args) == 3 && s.prometheus != "":
		prometheusSays(ts, s.prometheus, args[1], args[2])
	default:
		ts.Fatalf("prometheus: start it beside a daemon, then ask it")
	}
}

func startPrometheus(ts *testscript.TestScript, program, target string) (address string) {
	dir := ts.MkAbs("prometheus")
	ts.Check(os.MkdirAll(dir, 0o700))
	examples := filepath.Join(repositoryRoot(ts), "examples", "monitoring")
	for _, name := range []string{"prometheus.yaml", "alerts.yaml"} {
		text, err := os.ReadFile(filepath.Join(examples, name))
		ts.Check(err)
		changed := strings.ReplaceAll(strings.ReplaceAll(string(text), "127.0.0.1:8080", target), "scrape_interval: 30s", "scrape_interval: 1s")
		if name == "prometheus.yaml" {
			if changed == string(text) {
				ts.Fatalf("%s names neither the default of listen nor an interval", name)
			}
			changed = "global: {evaluation_interval: 1s, scrape_timeout: 1s}\n" + changed
		}
		ts.Check(os.WriteFile(filepath.Join(dir, name), []byte(changed), 0o600))
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0") // it does not say which port it took of its own
	ts.Check(err)
	address = listener.Addr().String()
	ts.Check(listener.Close())
	cmd := exec.Command(program, "--config.file="+filepath.Join(dir, "prometheus.yaml"), "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+address, "--log.level=warn")
	log, err := os.Create(filepath.Join(dir, "log"))
	ts.Check(err)
	cmd.Stdout, cmd.Stderr = log, log
	ts.Check(cmd.Start())
	ts.Defer(func() {
		_ = cmd.Process.Kill() // it keeps nothing that anybody wants
		_ = cmd.Wait()
		text, _ := os.ReadFile(log.Name())
		ts.Logf("[prometheus]\n%s", text)
		_ = log.Close()
		_ = os.RemoveAll(filepath.Join(dir, "data"))
	})
	return address
}

func repositoryRoot(ts *testscript.TestScript) string {
	root, err := filepath.Abs(filepath.Join("..", ".."))
	ts.Check(err)
	return root
}

func prometheusSays(ts *testscript.TestScript, address, query, pattern string) {
	want := regexp.MustCompile(pattern)
	path := query
	if !strings.HasPrefix(query, "/") {
		path = "/api/v1/query?query=" + url.QueryEscape(query)
	}
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	last := ""
	for until := time.Now().Add(patience); !want.MatchString(last); <-again.C {
		if time.Now().After(until) {
			ts.Fatalf("prometheus says to %s: %s", query, last)
		}
		answer, err := (&http.Client{Timeout: patience}).Get("http://" + address + path)
		if err != nil {
			last = fmt.Sprint(err) // it starts
			continue
		}
		text, _ := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		last = string(text)
	}
}
