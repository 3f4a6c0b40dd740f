package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/terra/emulator"
)

// The parts that this program plays as a child of itself.
const (
	partEmulator = "part-emulator" // LATENCY ENVIRONMENTS CONNECTIONS
	partAuthor   = "part-author"   // DIR ENVIRONMENTS CONNECTIONS
	partEngine   = "part-engine"   // DIR BASE-URL
)

func wholeNumbers(args []string) (a, b int, err error) {
	if len(args) != 2 {
		return 0, 0, fmt.Errorf("got %d numbers, want 2", len(args))
	}
	a, err = strconv.Atoi(args[0])
	if err == nil {
		b, err = strconv.Atoi(args[1])
	}
	return a, b, err
}

// serve is the part of Terra. It prints its base URL and ends with its standard
// input, so that it never outlives who started it.
func serve(ctx context.Context, args []string, stdin io.Reader, stdout io.Writer) error {
	if len(args) == 0 {
		return errors.New("serve emulator: no latency")
	}
	latency, err := time.ParseDuration(args[0])
	if err != nil {
		return fmt.Errorf("serve emulator: %w", err)
	}
	environments, connections, err := wholeNumbers(args[1:])
	if err != nil {
		return fmt.Errorf("serve emulator: %w", err)
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("serve emulator: %w", err)
	}
	server := &http.Server{Handler: account(latency, environments, connections), ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	if _, err := fmt.Fprintf(stdout, "http://%s%s\n", listener.Addr(), emulator.BasePath); err != nil {
		return errors.Join(fmt.Errorf("print address: %w", err), server.Close())
	}
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, stdin) // how it ends does not matter
		close(ended)
	}()
	select {
	case <-ended:
	case <-ctx.Done():
	case err := <-failed:
		return fmt.Errorf("serve emulator: %w", err)
	}
	return server.Close()
}

// author is the part of who wrote the config repository.
func author(args []string) error {
	if len(args) == 0 {
		return errors.New("write repository: no folder")
	}
	environments, connections, err := wholeNumbers(args[1:])
	if err != nil {
		return fmt.Errorf("write repository: %w", err)
	}
	return writeRepository(args[0], environments, connections)
}

// play runs one part to its end and returns what it printed.
func play(ctx context.Context, args ...string) ([]byte, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find bench: %w", err)
	}
	var out, complaints bytes.Buffer
	c := exec.CommandContext(ctx, self, args...) //nolint:gosec // it is this program
	c.Stdout, c.Stderr = &out, &complaints
	if err := c.Run(); err != nil {
		return nil, fmt.Errorf("play %s: %w\n%s", args[0], err, complaints.Bytes())
	}
	return out.Bytes(), nil
}

// startTerra starts an emulated Terra and returns its base URL. stop waits for
// its end.
func startTerra(ctx context.Context, latency time.Duration, environments, connections int) (base string, stop func() error, err error) {
	self, err := os.Executable()
	if err != nil {
		return "", nil, fmt.Errorf("find bench: %w", err)
	}
	c := exec.CommandContext(ctx, self, partEmulator, latency.String(), //nolint:gosec // it is this program
		strconv.Itoa(environments), strconv.Itoa(connections))
	c.Stderr = os.Stderr
	input, err := c.StdinPipe()
	if err != nil {
		return "", nil, fmt.Errorf("start emulator: %w", err)
	}
	output, err := c.StdoutPipe()
	if err != nil {
		return "", nil, fmt.Errorf("start emulator: %w", err)
	}
	if err := c.Start(); err != nil {
		return "", nil, fmt.Errorf("start emulator: %w", err)
	}
	line, err := bufio.NewReader(output).ReadString('\n')
	stop = func() error { return errors.Join(input.Close(), c.Wait()) }
	if err != nil {
		return "", nil, errors.Join(fmt.Errorf("start emulator: %w", err), stop())
	}
	return strings.TrimSpace(line), stop, nil
}
