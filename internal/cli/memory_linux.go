package cli

import "syscall"

// The file systems that keep their files in memory, as statfs(2) names them.
const (
	tmpfs = 0x01021994
	ramfs = 0x858458f6
)

// isMemory tells whether what is written into a folder stays in memory.
func isMemory(dir string) bool {
	var at syscall.Statfs_t
	return syscall.Statfs(dir, &at) == nil && (at.Type == tmpfs || at.Type == ramfs)
}
