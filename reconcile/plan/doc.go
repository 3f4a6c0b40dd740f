// Package plan compares what a repository asks of one environment with what Terra
// shows, and says what would have to change, how much each change can harm and what
// holds it. Start at [Make]; a run goes on with [Classify], [Guard], [Approve] and, once
// it has applied what is ready, [Remember].
//
// # Rows
//
// A [Connection] is joined from the file that names it, from what Terra lists, and from
// what was agreed when they were compared last. Its state decides first; what else a
// file manages of a connection that is there, or is enabled, is compared field by field.
//
//	file      Terra       memory    changes        cause   beside them
//	--------  ----------  --------  -------------  ------  ------------
//	active    -           -         enable         create
//	active    -           active    enable         drift
//	active    active      -         -              -
//	active    paused      -         resume         adopt
//	active    paused      active    resume         drift
//	active    paused      paused    resume         commit
//	paused    -           -         enable, pause  create
//	paused    active      -         pause          adopt
//	paused    active      active    pause          commit
//	paused    active      paused    pause          drift
//	disabled  -           active    -              -
//	disabled  active      -         disable        adopt
//	disabled  active      active    disable        commit
//	disabled  active      disabled  disable        drift
//	active    unreadable  active    -              -       not compared
//	-         active      -         -              -       unmanaged
//	-         active      found     -              -       a warning
//	-         active      enabled   disable        prune
//	-         -           enabled   -              -
//
// The last but one needs `prune: disable`. Memory of a connection that no file names is
// whether we enabled or only found it.
//
// # What it refuses
//
// It is pure: no clock, no log, no input or output, the standard library only. The same
// [Input] gives the same [Plan], byte for byte. A Plan is plain data with no plaintext
// secret in it: a secret appears as Terra's own mask, as the number of its key and as
// the SHA-256 of its sealed form.
//
// It does not guess: what could not be read or compared becomes a [NotCompared] entry,
// never a [Change] and never "in sync". A change that no guard has seen is not [Ready].
//
// # Files
//
// In the order in which they are read; each calls only what stands above it. A new guard
// is a row of [Guards] and a function.
//
//	plan         the nouns: a plan, a change, its action, class, cause and gate
//	remediation  what lifts a hold, as data
//	input        what a plan is made from
//	memory       what was agreed when a connection was compared last
//	limits       kill switches, windows, caps
//	diff         one connection's comparison, and why a change is there
//	credentials  client_id, keys and what is sent with them
//	proof        how a new secret is proved and watched
//	make         compare all connections
//	classify     what a change may do to end users
//	hosts        whose host end users are sent to
//	allow        approvals by commit
//	promotion    what has to be in sync elsewhere first
//	guards       each guard: what it holds, what lifts it
//	gate         guard a plan, approve a plan
//	hash         the name of a plan; what differs between two
//	remember     what is agreed once a plan was applied
package plan
