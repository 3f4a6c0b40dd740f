package cli

import "golang.org/x/sys/unix"

// isMemory tells whether what is written into a folder stays in memory.
func isMemory(dir string) bool {
	var at unix.Statfs_t
	if unix.Statfs(dir, &at) != nil {
		return false
	}
	kind := uint32(at.Type) //nolint:gosec // a number of 32 bits, in a field that has another size or sign on each machine
	return kind == unix.TMPFS_MAGIC || kind == unix.RAMFS_MAGIC
}
