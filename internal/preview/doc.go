// Package preview lets a program elsewhere have a branch planned by the daemon: the
// request and who may make it, the daemon's door and the client.
//
// A token that both ends know signs each request and never travels. The door takes one once
// only, while it is fresh, so many a minute, and plans one after the other; to whoever cannot
// sign it says nothing. It knows no git and no Terra: what plans is given to it. The client
// speaks https, or http to this machine, follows no redirect and reads no more than it must.
//
// Callers: internal/cli.
package preview
