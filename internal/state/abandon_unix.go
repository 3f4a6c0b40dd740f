//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package state

import (
	"os"
	"syscall"
)

// abandon frees the lock of a file in whose opening bbolt has panicked. Closing
// is not enough: the memory map that bbolt left behind keeps the lock alive.
func abandon(file *os.File) {
	_ = syscall.Flock(int(file.Fd()), syscall.LOCK_UN)
	_ = file.Close()
}
