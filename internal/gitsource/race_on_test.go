//go:build race

package gitsource

// raceEnabled: memory says nothing about the program under the race detector.
const raceEnabled = true
