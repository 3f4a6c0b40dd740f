package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/terra/emulator"
	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
	"github.com/terra-reconcile/terra-reconcile/providers"
)

// logLimit keeps the memory of a long run bounded.
const logLimit = 10_000

// serve runs the emulator until ctx ends.
func serve(ctx context.Context, o options, stdout, stderr io.Writer) error {
	s, token, err := prepare(ctx, o)
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.listen)
	if err != nil {
		return err
	}
	if o.state != "" {
		if err := save(s.Server, o.state); err != nil {
			return errors.Join(err, listener.Close())
		}
	}
	origin := "http://" + reachable(listener.Addr())
	base := origin + emulator.BasePath
	ready := fmt.Sprintf("export TERRA_BASE_URL='%s'\nexport TERRA_ADMIN_TOKEN='%s'\n", base, token)
	for _, id := range s.Environments() {
		ready += "# environment " + id + "\n"
	}
	for _, p := range providers.All() {
		if p.Probe == nil {
			continue
		}
		if address, ok := emulator.ProviderAddress(origin, p.Probe.URL); ok {
			ready += "# probe " + p.Slug + ": " + address + "\n"
		}
	}
	if _, err := fmt.Fprintf(stdout, "%sREADY %s\n", ready, base); err != nil {
		return errors.Join(fmt.Errorf("print address: %w", err), listener.Close())
	}
	return answer(ctx, s, listener, o, stderr)
}

// reachable is an address that a client on this machine can use: where the
// emulator listens on every interface, loopback, which reconcile trusts with http.
func reachable(a net.Addr) string {
	if tcp, ok := a.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		return net.JoinHostPort("127.0.0.1", strconv.Itoa(tcp.Port))
	}
	return a.String()
}

// prepare makes the account: the state file's, with what the flags add.
func prepare(ctx context.Context, o options) (*terratest.Server, string, error) {
	if err := checkListen(ctx, o.listen, o.allowRemote); err != nil {
		return nil, "", err
	}
	rate, err := parseRate(o.rate)
	if err != nil {
		return nil, "", err
	}
	reading, err := parseReadings(o.readings)
	if err != nil {
		return nil, "", err
	}
	s := terratest.New(terratest.Config{
		Reading: reading, Latency: o.latency, RateLimit: rate, Seed: o.seed, DomainDelay: o.domainDelay, LogLimit: logLimit,
	})
	for _, text := range o.faults {
		f, err := parseFault(text)
		if err != nil {
			return nil, "", err
		}
		s.Fault(f)
	}
	if o.state != "" {
		if err := load(s.Server, o.state); err != nil {
			return nil, "", err
		}
	}
	if err := declare(s.Server, o); err != nil {
		return nil, "", err
	}
	known := s.Environments()
	if len(o.devIDs) == 0 && len(known) == 0 {
		o.devIDs = []string{"demo"}
	}
	for _, id := range o.devIDs {
		if id == "" || strings.ContainsAny(id, "/\r\n\t ") {
			return nil, "", usage{fmt.Errorf("--dev-id %q: want a name without spaces and slashes", id)}
		}
		if !slices.Contains(known, id) {
			s.AddEnvironment(id, emulator.EnvironmentOptions{Name: id})
		}
	}
	token, err := chooseToken(s.Server, o.token)
	return s, token, err
}

// chooseToken returns the token to print: the one asked for, else a usable one
// of the account, else a new one.
func chooseToken(s *emulator.Server, asked string) (string, error) {
	if asked != "" {
		if err := checkToken(asked); err != nil {
			return "", err
		}
	}
	var usable []string
	for _, t := range s.Tokens() {
		if t.Bearer == asked {
			return asked, nil
		}
		alive := !t.Revoked && (t.ExpiresAt.IsZero() || time.Now().Before(t.ExpiresAt))
		if t.Kind == "admin" && alive && t.DevIDs == nil {
			usable = append(usable, t.Bearer)
		}
	}
	switch {
	case asked != "":
	case len(usable) > 0:
		return slices.Min(usable), nil
	default:
		asked = "terra_at_" + rand.Text()
	}
	return s.AddToken(emulator.Token{Bearer: asked, Name: "terra-emulator"}).Bearer, nil
}

// answer serves calls until ctx ends, then closes in good order.
func answer(ctx context.Context, s *terratest.Server, listener net.Listener, o options, stderr io.Writer) error {
	report := &reporter{server: s, out: stderr}
	after := []func(){report.violations}
	finish := func() error { return nil }
	if o.state != "" {
		keep := startSaver(s.Server, o.state, report.problem)
		after = append(after, keep.note)
		finish = keep.finish
	}
	calls, endCalls := context.WithCancel(context.WithoutCancel(ctx))
	defer endCalls()
	server := &http.Server{
		ReadHeaderTimeout: 10 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return calls },
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer func() {
				for _, f := range after {
					f()
				}
			}()
			s.ServeHTTP(w, r)
		}),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	endCalls()
	wait, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	err = errors.Join(err, server.Shutdown(wait), finish())
	if broken := len(s.Violations()); o.strict && broken > 0 {
		err = errors.Join(err, fmt.Errorf("calls or answers that broke the contract: %d", broken))
	}
	return err
}

// reporter prints problems, and each violation once, when they happen.
type reporter struct {
	server *terratest.Server

	mu      sync.Mutex
	out     io.Writer
	printed int
}

func (r *reporter) problem(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, _ = fmt.Fprintf(r.out, "terra-emulator: %v\n", err)
}

func (r *reporter) violations() {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.server.Violations()
	for _, text := range all[r.printed:] {
		_, _ = fmt.Fprintf(r.out, "terra-emulator: contract broken: %s\n", text)
	}
	r.printed = len(all)
}

// load reads the state file. A file that is not there is an empty account.
func load(s *emulator.Server, path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open state: %w", err)
	}
	defer f.Close()
	if err := s.Load(f); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// save writes the state so that a reader finds the old file or the new one,
// never half of one. Its mode is 0600: it holds tokens and secrets.
func save(s *emulator.Server, path string) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return fmt.Errorf("save state: %w", err)
	}
	defer func() { _ = os.Remove(f.Name()) }() // it is gone once it was renamed
	err = errors.Join(s.Save(f), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("save state: %w", err)
	}
	return nil
}

// saver saves the state after changes, in the background; changes that come
// while it writes are saved together.
type saver struct {
	server  *emulator.Server
	path    string
	changed chan struct{} // holds at most one: there is something to save
	quit    chan struct{} // closed by finish
	done    chan struct{} // closed when no save runs any more
	failed  func(error)   // called for each save that failed
}

// startSaver begins after a save: what is there now is not saved again.
func startSaver(s *emulator.Server, path string, failed func(error)) *saver {
	v := &saver{server: s, path: path, failed: failed,
		changed: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{}),
	}
	go v.loop(s.Revision())
	return v
}

func (v *saver) loop(saved uint64) {
	defer close(v.done)
	for {
		select {
		case <-v.changed:
		case <-v.quit:
			return
		}
		revision := v.server.Revision()
		if revision == saved {
			continue
		}
		if err := save(v.server, v.path); err != nil {
			v.failed(err)
			continue
		}
		saved = revision
	}
}

// note says that something may have changed.
func (v *saver) note() {
	select {
	case v.changed <- struct{}{}:
	default:
	}
}

// finish ends the saving in the background and saves a last time.
func (v *saver) finish() error {
	close(v.quit)
	<-v.done
	return save(v.server, v.path)
}
