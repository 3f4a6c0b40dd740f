//go:build !linux

package cli

// restProgram does nothing here.
func restProgram() {}
