//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package state

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/terra-reconcile/terra-reconcile/internal/advice"
)

// abandon frees the lock of a file in whose opening bbolt has panicked. Closing
// is not enough: the memory map that bbolt left behind keeps the lock alive.
func abandon(file *os.File) {
	_ = syscall.Flock(int(file.Fd()), syscall.LOCK_UN)
	_ = file.Close()
}

// removed tells whether an open file has no name any more, anywhere.
func removed(file *os.File) bool {
	info, err := file.Stat()
	if err != nil {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && stat.Nlink == 0
}

// unusable says what to do where the state folder cannot be used.
func unusable(dir string, err error) error {
	is := func(all ...syscall.Errno) bool {
		for _, errno := range all {
			if errors.Is(err, errno) {
				return true
			}
		}
		return false
	}
	switch {
	case is(syscall.EACCES, syscall.EPERM):
		return advice.With(fmt.Errorf("%w (this process runs as user %d%s)", err, os.Geteuid(), ownerOf(dir)),
			"give the folder to that user, or name another one with --state or state_dir")
	case is(syscall.EROFS):
		return advice.With(err, "its file system is read-only: mount it writable, or name another folder with --state or state_dir")
	case is(syscall.ENOLCK, syscall.ENOTSUP, syscall.EOPNOTSUPP, syscall.ENOSYS):
		return advice.With(err, "its file system has no locks, without which two processes could write at once: use a local disk, or a network file system with locks")
	case is(syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG):
		return advice.With(err, "make room there, and start again: nothing was lost")
	}
	return err
}

func ownerOf(dir string) string {
	info, err := os.Stat(dir)
	if err != nil {
		return ""
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	return fmt.Sprintf("; the folder belongs to user %d, mode %o", stat.Uid, info.Mode().Perm())
}
