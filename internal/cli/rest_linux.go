package cli

import (
	"bufio"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// programCode is where the code of this program stands in memory.
type programCode []struct{ from, to uintptr }

// findProgram finds the program's own code, which stays where it is. Where that cannot be
// told it finds nothing.
func findProgram() (code programCode) {
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return nil
	}
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return nil
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
			code = append(code, struct{ from, to uintptr }{uintptr(begins), uintptr(ends)})
		}
	}
	return code
}

// rest lets the system take back the pages of the code: a run reads half of it, and a daemon
// that waits needs little. What is needed again is read from the file again, mostly out of
// the system's cache. Only code counts, which nothing ever writes. Where that cannot be done
// nothing is lost.
func (c programCode) rest() { c.advise(unix.MADV_DONTNEED) }

func (c programCode) advise(advice uintptr) {
	for _, part := range c {
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, part.from, part.to-part.from, advice) // at worst it stays
	}
}
