// Package report holds what was planned and done as data, and renders it: text
// for a person, JSON for machines, Markdown for a pull request, HTML for a page.
//
// Exit codes and every rendering are functions of a Report, so they cannot
// disagree. It refuses to print anything that is not in the Report, escapes what
// comes from a repository or a server, and holds no secret.
//
// Callers: reconcile fills a Report; internal/cli and internal/web render it, and
// internal/notify and internal/metrics make messages and numbers of it.
package report
