// Package keys tells the life of a client secret: which key of a file is due, which
// one is live, which one soaks, is rejected or expires, and what a person does next.
// It is the one answer to each of these questions; the engine and every command ask it.
//
// Start at [Set]: the keys of one connection's file with the [History] that a state
// keeps of them. A key is named by its number in the file, 1 is the oldest, 0 is none.
//
// Everything is a function of its arguments: the time is one of them, and what a
// provider answered or how many end users there are is asked elsewhere and handed in.
//
//	             not_before is not reached
//	+-----------+    time     +-------+   the provider accepts it,    +---------+
//	| scheduled |------------>|  due  |   or cannot be asked          | soaking |
//	+-----------+             +-------+------------------------------>+---------+
//	                            |   ^                                    |    |
//	      refused three times,  |   | accepted after all,                |    | rotation.soak
//	      while another pair    |   | or another entry                   |    | has passed
//	      is accepted           v   |                                    |    v
//	                         +----------+    the same, or users are gone |  +------+
//	                         | rejected |<-------------------------------+  | live |
//	                         +----------+                                   +------+
//
// The package refuses to believe one answer: see [History.Refuse] and [History.Count].
package keys
