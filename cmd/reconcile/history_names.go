package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/providers"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

// heardOf are the names that a state folder has heard of.
type heardOf struct{ environments, devIDs, connections []string }

// checkNames refuses an environment or a connection that neither the memory nor the
// history has heard of: that nothing happened to it would be no answer. Where they
// have heard of none, any name may be right.
func (f *historyFlags) checkNames(ctx context.Context, dir string) error {
	if f.environment == "" && f.connection == "" {
		return nil
	}
	known, err := namesIn(ctx, dir)
	if err != nil || len(known.environments) == 0 {
		return err
	}
	unknown := func(what, name string, among []string, near string) error {
		hint := ""
		if near != "" {
			hint = fmt.Sprintf("did you mean %s? ", near)
		}
		return fmt.Errorf("read history: no %s %q is known in %s; %sthere is %s", what, name, dir, hint, listed(among))
	}
	if f.environment != "" && !oneOf(f.environment, known.environments...) && !oneOf(f.environment, known.devIDs...) {
		return unknown("environment", f.environment, known.environments, spec.Nearest(f.environment, known.environments))
	}
	if f.connection != "" && !known.connection(f.connection) {
		return unknown("connection", f.connection, known.connections, nearConnection(f.connection, known.connections))
	}
	return nil
}

// connection tells whether strava or production/strava may be meant: in an environment
// that is known, any provider of the catalogue may.
func (n heardOf) connection(name string) bool {
	slug := strings.ToLower(name)
	if at := strings.LastIndexByte(name, '/'); at >= 0 {
		slug = slug[at+1:]
		if !slices.ContainsFunc(n.environments, func(e string) bool { return strings.EqualFold(e, name[:at]) }) {
			return false
		}
	}
	_, listed := providers.Lookup(slug)
	return listed || slices.ContainsFunc(n.connections, func(c string) bool {
		return strings.EqualFold(c, name) || strings.HasSuffix(strings.ToLower(c), "/"+strings.ToLower(name))
	})
}

// nearConnection is the connection that a person most likely meant, or "": its provider
// or its environment is nearly what they wrote, and the other one is exactly that.
func nearConnection(name string, known []string) string {
	split := func(s string) (environment, provider string) {
		at := strings.LastIndexByte(s, '/')
		return s[:max(at, 0)], s[at+1:]
	}
	environment, provider := split(name)
	var slugs, environments []string
	for _, k := range known {
		e, p := split(k)
		if e == environment {
			slugs = append(slugs, p)
		}
		if p == provider {
			environments = append(environments, e)
		}
	}
	if near := spec.Nearest(provider, slugs); near != "" {
		return environment + "/" + near
	}
	if near := spec.Nearest(environment, environments); near != "" {
		return near + "/" + provider
	}
	return ""
}

func namesIn(ctx context.Context, dir string) (names heardOf, err error) {
	entries, _, err := state.History(dir, state.HistoryFilter{})
	if err != nil {
		return names, err
	}
	for _, e := range entries {
		names.hear(e.Environment, e.DevID, e.Provider)
	}
	store, _, err := memoryFor(ctx, dir)
	if err != nil {
		return names, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	known, err := store.Known()
	if err != nil {
		return names, err
	}
	for _, e := range known {
		memory, err := store.Memory(e.DevID)
		if err != nil {
			return names, err
		}
		names.hear(e.Environment, e.DevID, "")
		for slug := range memory.Connections {
			names.hear(e.Environment, e.DevID, slug)
		}
	}
	for _, list := range []*[]string{&names.environments, &names.devIDs, &names.connections} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	return names, nil
}

func (n *heardOf) hear(environment, devID, slug string) {
	if environment != "" {
		n.environments = append(n.environments, environment)
	}
	if devID != "" {
		n.devIDs = append(n.devIDs, devID)
	}
	if environment != "" && slug != "" {
		n.connections = append(n.connections, environment+"/"+slug)
	}
}

// listed names at most twenty.
func listed(names []string) string {
	const most = 20
	switch more := len(names) - most; {
	case len(names) == 0:
		return "none"
	case more > 0:
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", more)
	}
	return strings.Join(names, ", ")
}
