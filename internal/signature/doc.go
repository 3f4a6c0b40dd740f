// Package signature judges by the runner's trust whether somebody who may has signed a commit.
//
// The trust is two files of the runner: ssh keys in the form of ssh-keygen's allowed signers,
// and a keyring of OpenPGP public keys. Whoever is in one of them may sign any commit, an ssh
// key only what its line says. A signature is judged over bytes that are given: no program is
// started, nothing is fetched, no clock is read. What cannot be judged in full is refused: an
// unknown option or kind of key in the files is an error at file and line, a signature that
// is none, two at once or by a weak hash is no signature.
//
// Callers: internal/cli.
package signature
