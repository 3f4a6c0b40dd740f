// Package statetest holds the suite that any backend of the state has to pass: what
// the contract of state.Backend says, as tests.
//
// A backend's own tests call Run. What a suite from outside cannot do stays with the
// backend: to kill its process at any moment, to cut its power, to damage its files and
// to fill its disk. It is for tests alone: no program imports it.
package statetest
