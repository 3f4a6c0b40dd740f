//go:build testclock

package state

import (
	"io"
	"os"
	"strconv"
)

// point is a moment before or after something is put on disk. Each one appends a
// byte to the file that a test names. The one that the test chose ends this
// process as kill -9 does.
func point() {
	name := os.Getenv("RECONCILE_TEST_POINTS")
	if name == "" {
		return
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	if _, err = f.Write([]byte{'.'}); err != nil {
		panic(err)
	}
	reached, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		panic(err)
	}
	if err := f.Close(); err != nil {
		panic(err)
	}
	if strconv.FormatInt(reached, 10) != os.Getenv("RECONCILE_TEST_KILL_AT") {
		return
	}
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		panic(err)
	}
	if err := self.Kill(); err != nil {
		panic(err)
	}
	select {}
}
