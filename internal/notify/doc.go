// Package notify tells others what happens: a forge what became of a commit, one commit
// status for each environment at GitHub, GitLab, Gitea or Forgejo; and receivers, by signed
// webhook, Slack, Teams, ntfy or mail, what happened and what lasts.
//
// It refuses to follow a redirect, to read more than 64 KiB of an answer, to send a message
// unprotected to another machine, and to repeat what a forge or receiver says where that
// gives away a secret. No run waits for any of them. A commit status says nothing but counts
// and names of environments, so that it can stand where more people read than may see a
// report.
//
// Messages are made in one step with what was heard: a [Messenger] takes lines of the
// history by number, and what lasts from the reports of runs, and saves both with the
// messages that follow. Each is told when it begins and when it ends, not in each run. What
// waits for a receiver outlives the process; after a kill one may be sent twice, with the
// same id.
//
// Callers: internal/cli.
package notify
