package terratest

import (
	"sync"

	"github.com/terra-reconcile/terra-reconcile/internal/terra"
	"github.com/terra-reconcile/terra-reconcile/internal/terra/emulator"
	"github.com/terra-reconcile/terra-reconcile/internal/terra/openapi"
)

// sharedContract parses the contract once in a process, when it is first needed.
var sharedContract = sync.OnceValue(newContract) //nolint:gochecknoglobals // a constant that takes time to make

type contract struct{ *openapi.Description }

// newContract panics on a contract that cannot be read: it is embedded.
func newContract() emulator.Contract {
	description, err := openapi.Parse(terra.Contract())
	if err != nil {
		panic("terratest: " + err.Error())
	}
	return contract{description}
}

// Check implements emulator.Contract.
func (c contract) Check(e emulator.Exchange) (request, answer []string) {
	return c.Description.Check(openapi.Exchange(e))
}
