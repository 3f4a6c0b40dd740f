// Package gitsource reads one commit of a git repository and hands out its files
// read-only.
//
// A remote (https, ssh) is fetched in process: [Open] says where it is, [Source.Fetch]
// looks for the newest commit of a branch, [Source.FS] gives the files of a commit that
// was fetched. A new commit travels without its history, an unchanged branch costs a
// question, and what arrives is bounded: see [Options]. A repository on this machine belongs to the git
// of its user, which is asked: by the same Source, by [WorkTree] for a folder of which a
// person wants to see what stands there, and by [PrepareCommit] for a commit of theirs.
// What is wanted of a commit lives in memory: nothing is checked out and, but for that
// commit and a temporary file while a large pack is read, nothing is written.
//
// How a remote is reached over https, by which CA and proxy, is a [Way]; an [App] gives tokens
// of a GitHub App.
//
// The package refuses what could surprise the person who runs it: looking starts no
// program that a repository names, a token is sent only over https or to this machine, no
// redirect to another server is followed, no ssh host is trusted that a file does not
// pin, and no symbolic link inside a commit is followed. It reads no ~/.ssh and no ssh
// agent. Every failure is an error of its own type that names one next step and never
// holds a credential. A commit is complete or it is not there: a broken transfer leaves
// nothing behind.
//
// Callers: internal/cli, which hands the files on to the spec package, and
// internal/doctor.
package gitsource
