// Package notify tells a forge what became of a commit: one commit status for each
// environment, at GitHub, GitLab, Gitea or Forgejo.
//
// It refuses to follow a redirect, to read more than 64 KiB of an answer, and to repeat what a
// forge says where that gives away the token. A status says nothing but counts and names of
// environments, so that it can stand where more people read than may see a report. No run
// waits for a forge: statuses queue up, the newest of an environment and commit takes the
// place of the one before it, and a goroutine of the caller's posts them.
//
// Callers: internal/cli.
package notify
