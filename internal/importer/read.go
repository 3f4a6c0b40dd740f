package importer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/terra-reconcile/terra-reconcile/internal/terra"
	"github.com/terra-reconcile/terra-reconcile/providers"
)

// readsAtOnce is how many connections are read at a time; the client paces the calls.
const readsAtOnce = 16

// Connection is what Terra shows of one connection.
type Connection struct {
	Provider    string // its slug, lower case
	Source      terra.Source
	Type        terra.SourceType // the zero value where Terra does not offer it any more
	Offered     bool
	Credentials terra.Credentials
	Scopes      terra.SourceScopes   // read where Terra lets one choose
	Domain      *terra.SourceDomain  // nil: none
	Webhooks    []terra.WebhookEntry // nil: not reviewed, or none
}

// client is the part of Terra's API that an import reads.
type client interface {
	ListSources(ctx context.Context, devID string) ([]terra.Source, error)
	ListSourceTypes(ctx context.Context, devID string) ([]terra.SourceType, error)
	GetCredentials(ctx context.Context, devID, provider string) (terra.Credentials, error)
	GetScopes(ctx context.Context, devID, provider string) (terra.SourceScopes, error)
	GetDomain(ctx context.Context, devID, provider string) (terra.SourceDomain, bool, error)
	GetWebhookEndpoints(ctx context.Context, devID, provider string) (terra.WebhookEndpoints, error)
}

// Read asks Terra for every connection of an environment that skip does not name, in
// the order of their slugs. One answer that fails is an error of the whole: half an
// account would be taken for all of it. progress hears how many are read of how many.
func Read(ctx context.Context, c client, devID string, skip func(provider string) bool, progress func(done, total int)) ([]Connection, error) {
	sources, err := c.ListSources(ctx, devID)
	if err != nil {
		return nil, err
	}
	offered, err := c.ListSourceTypes(ctx, devID)
	if err != nil {
		return nil, err
	}
	var all []Connection
	for _, s := range sources {
		found := Connection{Provider: strings.ToLower(s.Provider), Source: s}
		if !isSlug(found.Provider) {
			return nil, fmt.Errorf("import connections of %s: Terra shows one with the name %q, which no file can have", devID, s.Provider)
		}
		if skip(found.Provider) {
			continue
		}
		for _, t := range offered {
			if strings.EqualFold(t.Provider, s.Provider) {
				found.Type, found.Offered = t, true
			}
		}
		all = append(all, found)
	}
	slices.SortFunc(all, func(a, b Connection) int { return strings.Compare(a.Provider, b.Provider) })
	var done atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(readsAtOnce)
	for i := range all {
		group.Go(func() error {
			err := all[i].read(ctx, c, devID)
			progress(int(done.Add(1)), len(all))
			return err
		})
	}
	return all, group.Wait()
}

// isSlug tells whether a name can be that of a provider and of its file: the names of
// the repository's own files cannot.
func isSlug(name string) bool {
	return name != "" && name != "environment" && name != "terra" && len(name) <= 64 && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == "" && name[0] != '_'
}

// read completes a connection with what Terra shows of it beside the list.
func (f *Connection) read(ctx context.Context, c client, devID string) error {
	if !f.Offered { // Terra answers no question about it
		return nil
	}
	var err error
	if f.Credentials, err = c.GetCredentials(ctx, devID, f.Provider); err != nil {
		return err
	}
	if f.Type.CustomScopesSupported {
		if f.Scopes, err = c.GetScopes(ctx, devID, f.Provider); err != nil {
			return err
		}
	}
	p, _ := providers.Lookup(f.Provider)
	if p.CustomDomain {
		domain, found, err := c.GetDomain(ctx, devID, f.Provider)
		if err != nil {
			return err
		}
		if found {
			f.Domain = &domain
		}
	}
	if p.Webhooks && f.Domain != nil {
		review, err := c.GetWebhookEndpoints(ctx, devID, f.Provider)
		var problem *terra.Problem
		switch {
		case errors.As(err, &problem) && (problem.Status == 404 || problem.Status == 422): // no keys or domain yet
		case err != nil:
			return err
		case !review.Locked:
			f.Webhooks = review.Entries
		}
	}
	return nil
}
