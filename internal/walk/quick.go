package walk

import (
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
)

const (
	// sharedMemory is where Linux keeps files in memory.
	sharedMemory = "/dev/shm"
	// roomNeeded is how much of it has to be free, in bytes: the tests of a package take
	// less than a fifth at a time.
	roomNeeded = 1 << 30
	// sideBySide is how many tests go at once for each processor. They wait for processes
	// and for time more than they count.
	sideBySide = 4
	// garbage is by how many percent memory may grow before it is collected: tests make much
	// and keep little, and with Go's own 100 a third of their time went there.
	garbage = 400
)

// Runner runs the tests of a package.
type Runner interface{ Run() int }

// Quick prepares m for a package whose tests wait for processes and disks: more of them go
// side by side than there are processors, unless -parallel says how many, memory is
// collected less often, unless GOGC says how often or benchmarks measure it, and where nothing more was asked for than a person waits for, temporary folders lie in memory from
// here on. The walks of CI, and whole ones, write to a disk.
func Quick(m *testing.M) Runner {
	flag.Parse()
	given := map[string]bool{}
	flag.Visit(func(f *flag.Flag) { given[f.Name] = true })
	if !given["test.parallel"] {
		_ = flag.Set("test.parallel", strconv.Itoa(sideBySide*runtime.GOMAXPROCS(0))) // at worst it stays as it was
	}
	if os.Getenv("GOGC") == "" && !given["test.bench"] {
		debug.SetGCPercent(garbage)
	}
	q := quick{m: m}
	if Large() || os.Getenv("TMPDIR") != "" || room(sharedMemory) < roomNeeded {
		return q
	}
	removeLeft(sharedMemory)
	// Its name is short: the path of a socket has a limit.
	dir := filepath.Join(sharedMemory, prefix+strconv.FormatInt(int64(os.Getpid()), 36))
	if os.Mkdir(dir, 0o700) != nil {
		return q
	}
	if q.made = dir; runsPrograms(dir) {
		_ = os.Setenv("TMPDIR", dir) // at worst they lie on the disk
	}
	return q
}

type quick struct {
	m    *testing.M
	made string // the folder in memory, "" for none
}

// Run runs the tests and leaves nothing of them behind.
func (q quick) Run() int {
	code := q.m.Run()
	if q.made != "" {
		_ = os.RemoveAll(q.made)
	}
	return code
}

// prefix begins the name of each folder in memory; the number of its process follows.
const prefix = "gt"

// removeLeft removes the folders of processes that ended without doing so.
func removeLeft(dir string) {
	left, _ := filepath.Glob(filepath.Join(dir, prefix+"*")) // at worst they stay
	for _, path := range left {
		pid, err := strconv.ParseInt(strings.TrimPrefix(filepath.Base(path), prefix), 36, 32)
		if err == nil && !runs(int(pid)) {
			_ = os.RemoveAll(path)
		}
	}
}

// runsPrograms tells whether programs may be started from a folder.
func runsPrograms(dir string) bool {
	program := filepath.Join(dir, "program")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"), 0o700); err != nil {
		return false
	}
	return exec.CommandContext(context.Background(), program).Run() == nil //nolint:gosec // made right here
}
