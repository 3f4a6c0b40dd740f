//go:build linux && !amd64

package cli

import (
	"runtime"
	"testing"
)

func cut(t *testing.T, _ string, _ []*walked) {
	cannotTrace(t, "the tracer knows amd64 only, this is "+runtime.GOARCH)
}
