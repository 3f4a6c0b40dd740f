// Command terra-emulator serves Terra's Admin API for one account in memory, so
// that examples, demonstrations and other people's CI run without an account.
//
// It listens on loopback only unless told otherwise, and it judges every call by
// the contract. It is not for real keys: its state file holds them in plain text.
package main
