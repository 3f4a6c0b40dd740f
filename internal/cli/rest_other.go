//go:build !linux

package cli

// programCode is nothing here.
type programCode struct{}

// findProgram finds nothing here.
func findProgram() programCode { return programCode{} }

// rest does nothing here.
func (programCode) rest() {}
