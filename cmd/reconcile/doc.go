// Command reconcile makes Terra match a git repository of connection files: it
// previews with --dry-run, applies, and keeps applying as a daemon.
//
// It holds the process: streams, signals and the exit code. The commands are in
// internal/cli.
package main
