//go:build !testclock

package cli

import "time"

// now is the time by which everything is planned.
func now() time.Time { return time.Now() }
