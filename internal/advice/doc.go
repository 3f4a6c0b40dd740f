// Package advice lets an error say what to do about it apart from what is wrong.
//
// A command to type is then data: whoever prints the error completes it with the flags
// of its own command line and quotes it for a shell, and no message has to be searched
// for one. Any package may attach advice to its errors; internal/cli prints it, and
// reconcile passes it on into reports.
package advice
