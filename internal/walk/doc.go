// Package walk says how much the tests try: of the points that a walk could disturb some,
// with a seed that chooses them again, or each one. [Quick] runs what a person waits for
// side by side, in memory.
//
// It reads the variables WALK, WALK_SEED and TMPDIR, and knows nothing of what a point is.
package walk
