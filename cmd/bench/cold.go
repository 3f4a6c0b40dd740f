package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"
)

const (
	coldConnections = 100
	coldRuns        = 15
	coldLatency     = 20 * time.Millisecond
	chainOfCalls    = 2 // the list of sources, then each connection's credentials
	callsAtOnce     = 50
)

// usage is what one run of a process took.
type usage struct {
	wall, cpu time.Duration
	rss       int64 // bytes, the most at any time
}

// coldDryRun times `reconcile --dry-run` where nothing is to change, as a person
// or a CI job starts it: a new process, with the memory of a former apply.
func coldDryRun(ctx context.Context, dir string) (figures []figure, err error) {
	program := filepath.Join(dir, "reconcile")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program, "./cmd/reconcile") //nolint:gosec // its own sources
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build reconcile: %w\n%s", err, out)
	}
	if _, err := play(ctx, partAuthor, dir, "1", strconv.Itoa(coldConnections)); err != nil {
		return nil, err
	}
	base, stop, err := startTerra(ctx, coldLatency, 1, coldConnections)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	if _, err := reconcile(ctx, program, dir, base, "--yes"); err != nil {
		return nil, err
	}
	var best usage
	setUp := time.Duration(0)
	for i := range coldRuns {
		u, err := reconcile(ctx, program, dir, base, "--dry-run")
		if err != nil {
			return nil, err
		}
		connected, err := connect(ctx, base)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			best, setUp = u, connected
		}
		best = usage{wall: min(best.wall, u.wall), cpu: min(best.cpu, u.cpu), rss: min(best.rss, u.rss)}
		setUp = min(setUp, connected)
	}
	ideal := chainOfCalls*coldLatency + setUp
	return []figure{
		{name: "100 connections, cold dry run: time", measured: milliseconds(best.wall), ideal: milliseconds(ideal), unit: "ms", limit: 3},
		{name: "100 connections, cold dry run: CPU", measured: milliseconds(best.cpu), ideal: 300, unit: "ms"},
		{name: "100 connections, cold dry run: memory", measured: mebibytes(best.rss), ideal: 64, unit: "MiB"},
	}, nil
}

// reconcile runs the real command once and wants exit code 0: in sync.
func reconcile(ctx context.Context, program, dir, base string, flags ...string) (usage, error) {
	c := exec.CommandContext(ctx, program, append([]string{"--repo", repositoryFolder(dir)}, flags...)...) //nolint:gosec // built above
	c.Env = []string{
		"TERRA_ADMIN_TOKEN=" + bearer, "TERRA_BASE_URL=" + base,
		"RECONCILE_AGE_KEY_FILE=" + identityFile(dir), "RECONCILE_STATE_DIR=" + stateFolder(dir), "HOME=" + dir, "PATH=" + os.Getenv("PATH"),
	}
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	began := time.Now()
	err := c.Run()
	wall := time.Since(began)
	if err != nil {
		return usage{}, fmt.Errorf("run reconcile %v: %w\n%s", flags, err, out.Bytes())
	}
	u := usage{wall: wall, cpu: c.ProcessState.UserTime() + c.ProcessState.SystemTime()}
	if r, ok := c.ProcessState.SysUsage().(*syscall.Rusage); ok {
		u.rss = r.Maxrss << 10 // Linux counts in KiB
	}
	return u, nil
}

// connect times what a bare client needs to set up as many connections as the
// engine makes calls at a time.
func connect(ctx context.Context, base string) (time.Duration, error) {
	u, err := url.Parse(base)
	if err != nil {
		return 0, fmt.Errorf("connect to emulator: %w", err)
	}
	opened, failed := make([]net.Conn, callsAtOnce), make([]error, callsAtOnce)
	var group sync.WaitGroup
	began := time.Now()
	for i := range callsAtOnce {
		group.Go(func() { opened[i], failed[i] = new(net.Dialer).DialContext(ctx, "tcp", u.Host) })
	}
	group.Wait()
	took := time.Since(began)
	var closed []error
	for _, c := range opened {
		if c != nil {
			closed = append(closed, c.Close())
		}
	}
	if err := errors.Join(errors.Join(failed...), errors.Join(closed...)); err != nil {
		return 0, fmt.Errorf("connect to emulator: %w", err)
	}
	return took, nil
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
func mebibytes(n int64) float64            { return float64(n) / (1 << 20) }
