// Command reconcile makes Terra match a git repository of connection files: it
// previews with --dry-run, applies, and keeps applying as a daemon.
//
// This package turns arguments into calls, prints reports and chooses exit
// codes; it decides nothing about connections. One file a command.
package main
