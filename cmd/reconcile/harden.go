package main

import (
	"io"
	"log"
	"runtime/debug"
)

// harden keeps what this process holds out of reach of others on its machine, as far
// as the operating system helps, and lets no fault of the program pass for an answer:
// an end by the Go runtime itself is an abort, because the runtime's own exit code 2
// would say that a dry run found changes. Nor is the standard logger heard, to which
// net/http writes what a server said, as it is, and nothing of ours.
func harden() {
	log.SetOutput(io.Discard) //nolint:forbidigo // silences it, and logs nothing
	debug.SetTraceback("crash")
	keepMemoryPrivate()
}
