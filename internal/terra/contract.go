package terra

import (
	_ "embed"
	"slices"
)

//go:embed openapi.yaml
var contract []byte

// Contract returns the OpenAPI 3.1 description of the API that this package
// speaks. The client and the emulator are both tested against it.
func Contract() []byte { return slices.Clone(contract) }
