// Package gitsource fetches one commit of a git repository and hands out its
// files read-only.
//
// [Open] says where the repository is, [Source.Fetch] looks for the newest
// commit of a branch, [Source.FS] gives the files of a commit that was fetched,
// and [WorkTree] gives a folder as it stands. Over https and ssh a new commit
// travels without its history, an unchanged branch costs a question; a repository
// on this machine is read in place. What was fetched lives in memory: nothing is
// checked out and nothing is written.
//
// The package refuses what could surprise the person who runs it: it starts no
// other program (not even git), reads no ~/.gitconfig, ~/.ssh or ssh agent,
// sends a token only over https or to this machine, follows no redirect to
// another server, trusts no ssh host that a file does not pin, and follows no
// symbolic link inside a commit. Every failure is an error of its own type that
// names one next step and never holds a credential. A commit is complete or it
// is not there: a broken transfer leaves nothing behind.
//
// Callers: cmd/reconcile, which hands the files on to the spec package.
package gitsource
