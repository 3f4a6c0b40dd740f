package cli

import (
	"bufio"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// restProgram lets the system take back the pages of the program's own code: a run reads
// half of it, and a daemon that waits needs little. What is needed again is read from the
// file again, mostly out of the system's cache. Only code counts, which nothing ever writes.
// Where that cannot be done nothing is lost.
func restProgram() {
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return
	}
	defer maps.Close()
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		fields := strings.Fields(lines.Text()) // 00400000-010dd000 r-xp 00000000 fe:00 1234 /reconcile
		if len(fields) != 6 || fields[1] != "r-xp" || fields[5] != program {
			continue
		}
		from, to, _ := strings.Cut(fields[0], "-")
		begins, wrong := strconv.ParseUint(from, 16, 64)
		ends, err := strconv.ParseUint(to, 16, 64)
		if wrong == nil && err == nil && begins < ends {
			_, _, _ = unix.Syscall(unix.SYS_MADVISE, uintptr(begins), uintptr(ends-begins), unix.MADV_DONTNEED) // at worst it stays
		}
	}
}
