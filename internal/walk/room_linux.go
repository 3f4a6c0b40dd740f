package walk

import (
	"errors"

	"golang.org/x/sys/unix"
)

// room is how many bytes are free where dir is.
func room(dir string) uint64 {
	var s unix.Statfs_t
	if unix.Statfs(dir, &s) != nil {
		return 0
	}
	return s.Bavail * uint64(s.Bsize) //nolint:gosec // a size
}

// runs tells whether a process is there.
func runs(pid int) bool { return !errors.Is(unix.Kill(pid, 0), unix.ESRCH) }
