// Package daemon runs environments when it is time: on a new commit and by their
// schedules, one run at a time for each environment, until it is told to stop.
//
// It knows nothing of Terra or of connections: it is given something that polls
// and something that runs. It refuses to start a second run of an environment
// before the first has ended, and it never takes a failed poll for an empty
// repository: the environments stay as they were.
//
// Goroutines: one polls; each environment has one that waits for its schedule
// and runs; the HTTP server has its own. Callers: internal/cli and internal/doctor.
package daemon
