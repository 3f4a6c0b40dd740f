// Package secrets seals, opens, compares and dates the client secrets of
// connections, and never prints one.
//
// # What it is for
//
// A secret is in one of two forms. [Sealed] is the armored age file that stands
// in a repository: it is safe to show. [Value] is the opened text: it cannot be
// formatted, logged, marshalled or found by reflection, and only
// [Value.Reveal] hands it out. Everything the rest of the program needs to know
// about a Value without seeing it is answered here: a keyed digest
// ([Digester]), Terra's mask of it ([MaskAgrees]), and whether two are equal.
//
// # The envelope
//
// A secret that this package seals is bound to one place. Inside the age file
// stand one header line and then the secret, to the last byte:
//
//	terra-reconcile/1 <dev_id>/<provider>/<field>
//	<the secret>
//
// Opening it for any other place is a [*MisboundError]. Binding stops a sealed
// secret from being copied to another place by mistake or by a committer who
// cannot open it. It does not prove who sealed it: whoever knows the public
// recipients can seal a secret of their own.
//
// An age file without the header line is a plain secret, as the age command
// makes it; one line ending at its end is dropped. It opens only where the
// caller allows that.
//
// # What it refuses
//
// Passphrases and questions, because a daemon cannot type: age files sealed
// with a passphrase, ssh keys protected by one, plugins that ask. Plugins whose
// name the runner did not allow. Recipient lists that mix classic and
// post-quantum keys. Secrets that are empty, that hold control or invisible
// characters, or that begin or end with white space. Armored files above 64 KiB
// and contents above 16 KiB.
//
// Errors never hold plaintext, key material or text found where a secret was
// expected. They do not name the user's file either, except for identity
// files: the caller knows file, line and field, and puts them first.
//
// # Who may call it
//
// Every package may hold a Value or a Sealed. [Value.Reveal] is for the few
// places where the text must leave the program: request bodies and the
// Authorization header, probes of a provider, and the secret commands.
//
// The package reads identity files when told to, runs allowed plugins, and has
// no other effect. It logs nothing, and no result depends on the clock, but for
// a plugin that does not answer for half a minute and is given up. All its types
// may be used by several goroutines at once, except [Lock].
package secrets
