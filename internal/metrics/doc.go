// Package metrics says in the words of Prometheus how a daemon stands: a handler for
// /metrics, made when it is asked from what the daemon knows, and counters that are told of
// what happens.
//
// It keeps no value that could be old: what a run found stands there as long as that run is
// the last one of its environment, and goes with the environment. What is not known is
// absent, never 0. Labels hold names, never a secret, a mask, a client id or a digest of one;
// names that committers chose are made visible, cut, and bounded in number, and what is left
// out for that is a metric itself. It has no registry but its own, does not push, and decides
// nothing.
//
// Callers: internal/cli.
package metrics
