package main

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestZoneDataIsInEveryBuild: also in one by go install, without any tag.
func TestZoneDataIsInEveryBuild(t *testing.T) {
	command := exec.CommandContext(t.Context(), "go", "list", "-deps", ".")
	command.Env = append(os.Environ(), "GOFLAGS=-buildvcs=false")
	out, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(strings.Fields(string(out)), "time/tzdata") {
		t.Error("the program does not hold the data of time zones")
	}
}
