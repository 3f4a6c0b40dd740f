// Package neighbour judges by owners and rights whether another user of the machine could
// change what a process relies on, or put something else in its place, and whether one could
// read a file that holds a secret.
//
// It only looks: it opens no file of its caller and changes no right. Where a system knows
// no owners as Unix does, it judges nothing. A process that is the first one of a container
// has nobody beside it.
//
// Callers: internal/state for its folder, internal/config for the runner's own files.
package neighbour
