// Package terratest is the emulator for tests: each request and each answer is
// judged by the contract of package terra, and a test fails when one breaks it.
//
// It refuses to run unjudged; a benchmark that cannot pay 20 microseconds a call
// uses package emulator. What the emulator does, and what it chose where the
// contract is silent, stands there.
//
// Its callers are tests and the command terra-emulator. Programs that people run
// in production do not import it, nor the judge.
package terratest
