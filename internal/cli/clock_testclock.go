//go:build testclock

package cli

import (
	"os"
	"strings"
	"time"
)

// now is the time that a test has written into the file that it names, so that a
// process can be killed, and started again, months later.
func now() time.Time {
	name := os.Getenv("RECONCILE_TEST_CLOCK")
	if name == "" {
		return time.Now()
	}
	text, err := os.ReadFile(name)
	if err != nil {
		panic(err)
	}
	at, err := time.Parse(time.RFC3339, strings.TrimSpace(string(text)))
	if err != nil {
		panic(err)
	}
	return at
}
