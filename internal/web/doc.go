// Package web is the page and the API of a daemon: how environments and connections stand,
// what is planned and why it waits, the ages of keys, what comes next and what has been,
// and the forms by which a person approves, pauses and lets run.
//
// It knows nothing of git, Terra or the files of the state: a Source answers it. It serves
// no script and nothing from elsewhere, shows text from outside through internal/visible,
// and holds no secret: tokens are compared by those who give them to it. It refuses a
// request that was made for another host, that comes too often, that may not read, and one
// that changes something without the token of somebody who may, typed for that very thing.
//
// Callers: internal/cli.
package web
