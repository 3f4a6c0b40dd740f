// Package reconcile is the one loop: resolve what a commit asks for, observe
// Terra with the least calls, plan, guard, apply, read back, remember.
//
// A dry run is the same loop without its last steps, on a client and a store
// that refuse to write; there is no flag that a step could forget. A failed,
// empty or partial read is never taken for "nothing is there": the environment
// or connection it belongs to is left alone and reported.
//
// Secrets are opened when their digest is not remembered, when Terra shows what no file
// holds, when it has to be asked about them and when they are sent: once in a run, at
// whose end they are wiped.
//
// The package writes no log and asks no person. Callers: internal/cli.
//
// # Files
//
// Start at [Engine.Run], then environment.run, which tells the loop. Each file calls
// only what stands below it.
//
//	engine       a run: which environments, side by side
//	moment       when time alone changes something next
//	environment  the loop over one environment; recall; its report
//	promotion    what is known of an environment that changes wait for
//	resolve      what the files ask for at this time; check: what the catalogue says
//	observe      what Terra shows, in one wave of reads
//	measure      end users and the answers of providers, on which a class depends
//	guard        what holds the plan, and what a person consented to
//	apply        a write: journal, send, read back, settle
//	write        the calls that a change is made of, and when it is in force
//	remember     memory, journal, history
//	review       the keys of a connection: rejected, soaking, rolled back
//	plan         the plan of an environment, made, judged and shared out
//	questions    asking a provider about a pair, at most once an hour
//	keys         the keys of a connection for package keys, and in the report
//	account      whose memory it is: address, customer, dev_id
//	token        what the token may do
//	compare      how live secrets compare with those of the file
//	shown        what Terra shows and is a secret of the files
//	read         Terra's answers as package plan has them
//	secrets      opened once a run, remembered by digest
//	connection   what is known of one connection; what all stages use
//	fault        a panic ends one environment, not the process
package reconcile
