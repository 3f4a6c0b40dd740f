package cli

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestRestGivesCodeBack: of the pages of its own code a process that rests has few. What runs
// meanwhile reads them again, so no other test does.
func TestRestGivesCodeBack(t *testing.T) { //nolint:paralleltest // it measures the process
	code := findProgram()
	if len(code) == 0 {
		t.Fatal("the code of this program is not found")
	}
	code.advise(unix.MADV_POPULATE_READ)
	before := residentCode(t, code)
	rest(&http.Transport{}, code)
	if after := residentCode(t, code); before == 0 || after > before/2 {
		t.Errorf("%d KiB of its code are resident before, and %d after", before, after)
	}
}

// residentCode is how much of the code is in memory, in KiB.
func residentCode(t *testing.T, code programCode) (total int) {
	t.Helper()
	smaps, err := os.Open("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	defer smaps.Close()
	counts := false
	for lines := bufio.NewScanner(smaps); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if strings.Contains(fields[0], "-") {
			counts = false
			for _, part := range code {
				counts = counts || fields[0] == fmt.Sprintf("%08x-%08x", part.from, part.to)
			}
		}
		if counts && fields[0] == "Rss:" {
			n, err := strconv.Atoi(fields[1])
			if err != nil {
				t.Fatal(err)
			}
			total += n
		}
	}
	return total
}
