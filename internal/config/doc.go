// Package config reads the runner's own configuration: what the person who runs
// reconcile decides and a committer to the config repository can not change.
//
// It comes from daemon.yaml ([Load], [Parse]) or, for a run of one command, from
// the environment ([FromEnvironment]). Both build the same [Config].
//
// The package refuses unknown and repeated fields, empty values, aliases, a
// second document, URLs that carry credentials, and base URLs that would send a
// token in the clear. It never holds a token: a [Secret] says where one is kept
// and reads it again each time it is asked. It refuses a daemon.yaml, and files named
// there, that another user of the machine could change. It opens no connection and
// writes no file.
//
// Callers: internal/cli and the packages it hands the values to.
package config
