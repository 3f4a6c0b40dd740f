//go:build !linux || testclock

package main

// keepMemoryPrivate does nothing where it is not known how, and in a binary for tests,
// whose system calls are traced.
func keepMemoryPrivate() {}
