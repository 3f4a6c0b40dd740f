//go:build linux && amd64

package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// tracer runs a process and looks at each system call by which it changes a file
// below a folder or puts it on disk. At the one that it was told to it kills the
// process. It keeps what a power cut may still take away.
type tracer struct {
	dir    string
	death  death
	chance *rand.Rand // decides what a power cut takes
	plain  bool       // files are written from their beginning and get another name: no power cut is tried
	calls  []traced   // so far, of all processes that it ran

	process int
	inside  map[int]*traced // by thread: the call that it is in; nil is one that is no change
	disk    disk
	killed  bool
}

// traced is one system call that changes a file, or puts it on disk.
type traced struct {
	name     string // of the system call
	path     string
	writes   bool // contents
	unsynced bool // something that was done before is not on disk yet
	last     bool // the process dies when it has returned

	finish func(tr *tracer, result int64) error // once it has returned; may be nil
}

// The kinds of death that a tracer knows.
const (
	beforeWrite = "before a system call"
	inWrite     = "in the middle of a write"
	powerCut    = "by a power cut"
)

const (
	waitThreads   = syscall.WALL
	traceSysgood  = 1
	traceExitKill = 0x100000
	traceClones   = syscall.PTRACE_O_TRACECLONE // threads; git, which only reads, is not followed
)

// run starts a process by start, which starts cmd, and waits for its end. Only one
// thread may do all that to a process, so this one does nothing else any more.
func (tr *tracer) run(cmd *exec.Cmd, start func() error) (status syscall.WaitStatus, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		cmd.SysProcAttr.Ptrace = true
		if err = start(); err != nil {
			return
		}
		tr.process, tr.inside = cmd.Process.Pid, map[int]*traced{}
		status, err = tr.follow()
		_ = cmd.Wait() // for its output; its end is known already
		if err == nil && tr.killed {
			err = tr.disk.die(tr.death, tr.chance)
		}
	}()
	<-done
	return status, err
}

func (tr *tracer) follow() (status syscall.WaitStatus, err error) {
	if _, err := syscall.Wait4(tr.process, &status, waitThreads, nil); err != nil || !status.Stopped() {
		return status, fmt.Errorf("trace: it does not stop at its start (%#x): %w", status, err)
	}
	err = syscall.PtraceSetOptions(tr.process, traceSysgood|traceExitKill|traceClones)
	for thread, signal := tr.process, 0; ; {
		if err == nil {
			err = syscall.PtraceSyscall(thread, signal)
		}
		if err != nil && !errors.Is(err, syscall.ESRCH) { // killed meanwhile
			tr.kill()
			return status, fmt.Errorf("trace: %w", err)
		}
		if thread, err = tr.wait(&status); err != nil {
			return status, fmt.Errorf("trace: %w", err)
		}
		signal = 0
		switch stop := status.StopSignal(); {
		case !status.Stopped():
			if thread == tr.process {
				return status, nil
			}
			err = syscall.ESRCH
		case stop == syscall.SIGTRAP|0x80:
			err = tr.systemCall(thread)
		case stop == syscall.SIGTRAP && status.TrapCause() > 0:
		case stop == syscall.SIGSTOP: // a new thread
		default:
			signal = int(stop)
		}
	}
}

// wait gives the thread of the process that stopped or ended.
func (tr *tracer) wait(status *syscall.WaitStatus) (thread int, err error) {
	for {
		thread, err = syscall.Wait4(-tr.process, status, waitThreads, nil) // it leads a group
		if !errors.Is(err, syscall.EINTR) {
			return thread, err
		}
	}
}

func (tr *tracer) kill() {
	tr.killed = true
	_ = syscall.Kill(-tr.process, syscall.SIGKILL) // it may have ended already
}

// systemCall is called when a thread enters a system call and when it returns.
func (tr *tracer) systemCall(thread int) error {
	var regs syscall.PtraceRegs
	if err := syscall.PtraceGetRegs(thread, &regs); err != nil {
		return err
	}
	if call, isInside := tr.inside[thread]; isInside {
		delete(tr.inside, thread)
		return tr.left(call, int64(regs.Rax))
	}
	if int64(regs.Rax) != -int64(syscall.ENOSYS) {
		return nil // the end of one that it never entered
	}
	tr.inside[thread] = nil
	if tr.killed {
		return nil
	}
	call, err := tr.recognise(regs)
	if err != nil || call == nil {
		return err
	}
	tr.inside[thread] = call
	call.unsynced = tr.disk.unsynced()
	tr.calls = append(tr.calls, *call)
	if tr.death.n != len(tr.calls) {
		return nil
	}
	if tr.death.kind == inWrite {
		regs.Rdx, call.last = regs.Rdx/2, true
		return syscall.PtraceSetRegs(thread, &regs)
	}
	regs.Orig_rax = ^uint64(0) // no system call, should it still come to that
	tr.inside[thread] = nil
	err = syscall.PtraceSetRegs(thread, &regs)
	tr.kill()
	return err
}

func (tr *tracer) left(call *traced, result int64) error {
	if call == nil || result < 0 {
		return nil
	}
	if call.last {
		tr.kill()
	}
	if call.finish == nil {
		return nil
	}
	return call.finish(tr, result)
}

// recognise gives the call if it changes something below the folder, nil otherwise.
func (tr *tracer) recognise(regs syscall.PtraceRegs) (*traced, error) {
	if tr.plain {
		return tr.ofPlain(regs)
	}
	switch regs.Orig_rax {
	case syscall.SYS_PWRITE64, syscall.SYS_WRITE, syscall.SYS_FTRUNCATE, syscall.SYS_FSYNC, syscall.SYS_FDATASYNC:
		link := fmt.Sprintf("/proc/%d/fd/%d", tr.process, int32(regs.Rdi))
		path, err := os.Readlink(link)
		if err != nil || !tr.below(path) {
			return nil, nil //nolint:nilerr // what is open under no name is none of ours
		}
		return tr.ofFile(regs, link, path)
	case syscall.SYS_OPENAT:
		path, err := tr.text(regs.Rsi)
		if err != nil || !tr.below(path) || regs.Rdx&syscall.O_CREAT == 0 {
			return nil, err
		}
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		return &traced{name: "openat", path: path, finish: func(tr *tracer, _ int64) error { return tr.disk.named(path) }}, nil
	case syscall.SYS_LINKAT:
		path, err := tr.text(regs.R10)
		if err != nil || !tr.below(path) {
			return nil, err
		}
		return &traced{name: "linkat", path: path, finish: func(tr *tracer, _ int64) error { return tr.disk.named(path) }}, nil
	case syscall.SYS_UNLINKAT:
		path, err := tr.text(regs.Rsi)
		if err != nil || !tr.below(path) {
			return nil, err
		}
		return &traced{name: "unlinkat", path: path}, tr.disk.unnamed(path)
	case syscall.SYS_RENAMEAT:
		path, err := tr.text(regs.Rsi)
		if err == nil && tr.below(path) {
			err = fmt.Errorf("the tracer does not know renameat of %s", path)
		}
		return nil, err
	}
	return nil, nil
}

// ofFile is a call on a file that is open.
func (tr *tracer) ofFile(regs syscall.PtraceRegs, link, path string) (*traced, error) {
	switch regs.Orig_rax {
	case syscall.SYS_PWRITE64:
		undo, err := tr.disk.before(link, int64(regs.R10), int64(regs.Rdx))
		return &traced{name: "pwrite64", path: path, writes: true, finish: func(_ *tracer, n int64) error { return undo.done(n) }}, err
	case syscall.SYS_FTRUNCATE:
		undo, err := tr.disk.before(link, int64(regs.Rsi), 0)
		return &traced{name: "ftruncate", path: path, finish: func(*tracer, int64) error { return undo.done(0) }}, err
	case syscall.SYS_FSYNC, syscall.SYS_FDATASYNC:
		return &traced{name: "sync", path: path, finish: func(tr *tracer, _ int64) error { return tr.disk.synced(path) }}, nil
	}
	return nil, fmt.Errorf("the tracer does not know write to %s", path)
}

// ofPlain gives the call where nothing has to be put back as before a power cut.
func (tr *tracer) ofPlain(regs syscall.PtraceRegs) (call *traced, err error) {
	var path string
	switch name := plainCalls()[regs.Orig_rax]; name {
	case "":
		return nil, nil
	case "write", "sync":
		path, err = os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", tr.process, int32(regs.Rdi)))
		call = &traced{name: name, path: path, writes: name == "write"}
	case "linkat", "renameat":
		path, err = tr.text(regs.R10)
		call = &traced{name: name, path: path}
	default:
		path, err = tr.text(regs.Rsi)
		call = &traced{name: name, path: path}
	}
	if err != nil || !tr.below(path) || call.name == "openat" && regs.Rdx&syscall.O_CREAT == 0 {
		return nil, nil //nolint:nilerr // what is open under no name is none of ours
	}
	return call, nil
}

func plainCalls() map[uint64]string {
	return map[uint64]string{
		syscall.SYS_WRITE: "write", syscall.SYS_FSYNC: "sync", syscall.SYS_LINKAT: "linkat", syscall.SYS_RENAMEAT: "renameat",
		syscall.SYS_OPENAT: "openat", syscall.SYS_MKDIRAT: "mkdirat", syscall.SYS_UNLINKAT: "unlinkat",
	}
}

func (tr *tracer) below(path string) bool {
	return (path == tr.dir || strings.HasPrefix(path, tr.dir+"/")) && filepath.Base(path) != "control.sock"
}

// text reads a path from the process.
func (tr *tracer) text(address uint64) (string, error) {
	memory, err := os.Open(fmt.Sprintf("/proc/%d/mem", tr.process))
	if err != nil {
		return "", err
	}
	defer memory.Close()
	page := make([]byte, 4096)
	n, err := memory.ReadAt(page, int64(address))
	text, _, found := strings.Cut(string(page[:n]), "\x00")
	if !found {
		return "", fmt.Errorf("read a path at %#x: %w", address, err)
	}
	return text, nil
}
