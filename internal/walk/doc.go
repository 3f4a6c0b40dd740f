// Package walk chooses the points that a walk tries: some of all, with a seed that
// chooses them again, or each one.
//
// Its callers are tests that disturb the program at every point they can name. It
// reads the variables WALK and WALK_SEED, and nothing else; it knows nothing of
// what a point is.
package walk
