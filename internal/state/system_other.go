//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package state

import "os"

// abandon closes a file in whose opening bbolt has panicked. Its lock may last
// as long as this process.
func abandon(file *os.File) {
	_ = file.Close()
}

// removed cannot be told here.
func removed(*os.File) bool { return false }

// unusable has nothing to add here.
func unusable(_ string, err error) error { return err }
