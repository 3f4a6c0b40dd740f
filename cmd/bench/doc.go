// Command bench measures the speed and memory of terra-reconcile against what is
// possible, prints one line a number, and exits with 1 when a limit is missed.
//
// It plays several parts, each a process of its own so that none pays for
// another: the emulated Terra, the config repository's author, and the engine.
// The command line of the parts is nobody's business but its own.
//
// It refuses arguments, and it needs no account, no network beyond loopback and
// no key but those it makes and removes. `make bench` calls it; nothing that
// people run imports or ships it.
package main
