package reconcile

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
	"github.com/terra-reconcile/terra-reconcile/secrets"
)

// familiar is what the files of an environment show, and with what Terra's answers are
// compared that they do not explain.
type familiar struct {
	texts map[string]bool // that stand in a file: shown anyway
	names map[string]bool // of the providers: a part of many an address that Terra chooses
	ids   string          // the client ids of all files, a line each: what a secret shares with one is public
	cache *secretsCache
	open  func() []secrets.Value // for this environment, so far
}

func (env *environment) familiarise() familiar {
	f := familiar{texts: map[string]bool{}, names: map[string]bool{}, cache: env.cache}
	f.open = func() []secrets.Value { return env.cache.identities.OpenedFor(env.spec.Account, env.spec.DevID) }
	var ids []string
	for _, c := range env.spec.Connections {
		f.names[c.Provider] = true
		ids = append(ids, c.Credentials.ClientID.Value)
		for _, text := range append([]string{c.Provider, c.Credentials.ClientID.Value, c.Credentials.RedirectURL.Value, c.Domain.Value}, c.Scopes.Value...) {
			f.texts[text] = true
		}
	}
	f.ids = strings.Join(ids, "\n")
	return f
}

// unfamiliar are the texts that no file holds and that are more than words, apart from
// the names of providers between their slashes.
func (f familiar) unfamiliar(texts ...string) []string {
	return slices.DeleteFunc(texts, func(t string) bool {
		if _, notAddress := netip.ParseAddr(t); f.texts[t] || notAddress == nil {
			return true
		}
		parts := slices.DeleteFunc(strings.Split(t, "/"), func(part string) bool { return f.names[part] })
		return secrets.IsWords(strings.Join(parts, "/"))
	})
}

// repeats tells whether texts give away a secret that is open for the environment, or are
// one of which a digest is known.
func (f familiar) repeats(texts ...string) bool {
	texts = f.unfamiliar(texts...)
	return len(texts) > 0 && (slices.ContainsFunc(texts, f.cache.isSecret) || secrets.RepeatsInLines(strings.Join(texts, "\n"), func() string { return f.ids }, f.open()...))
}

// givesAway is repeats for what Terra shows of a connection.
func (f familiar) givesAway(live plan.Observed) bool { return f.repeats(textsOf(live)...) }

// textsOf are the texts of an answer that may be shown.
func textsOf(live plan.Observed) (texts []string) {
	if v := live.Credentials; v != nil {
		texts = append(texts, v.ClientID, v.OAuthVersion)
		if v.RedirectURL != nil {
			texts = append(texts, *v.RedirectURL)
		}
	}
	if live.Scopes != nil {
		texts = append(texts, live.Scopes.Offered...)
	}
	if live.Domain != nil {
		texts = append(texts, live.Domain.Hostname, live.Domain.State)
		texts = append(texts, strings.Fields(live.Domain.Publish)...)
	}
	return texts
}

// openUnfamiliar opens the secrets of a connection of which Terra shows what no file
// holds, so that it is compared with them.
func (env *environment) openUnfamiliar(c *Connection, live plan.Observed) {
	if len(env.familiar.unfamiliar(textsOf(live)...)) == 0 || env.cache.closed() != "" {
		return
	}
	for _, s := range append(slices.Clip(c.sealed), c.verification) {
		if !s.sealed.IsZero() {
			_, _, _ = env.cache.open(s) // one that does not open is reported where it is needed
		}
	}
}

// refuseShown refuses what Terra showed of one connection and is a secret of another:
// only now all are open that this stage opens. A name in the list of sources is of none.
func (env *environment) refuseShown() error {
	for _, s := range env.sources {
		if env.familiar.repeats(s.Provider, s.AuthVariant) {
			return fmt.Errorf("read sources of %s: unusable answer: it shows a secret of the files as the name of a connection, which Terra never does", env.spec.Name)
		}
	}
	for _, c := range env.connections {
		if c.answers != nil && c.Observed != nil && c.Observed.Failed == "" && env.familiar.givesAway(*c.answers) {
			c.Observed = &plan.Observed{Active: c.Observed.Active, Variant: c.Observed.Variant, Failed: showsSecret(c)}
		}
	}
	return nil
}

func showsSecret(c *Connection) string {
	return "read " + c.Name + ": unusable answer: it shows a secret of the files as another field, which Terra never does by itself; where somebody swapped them, set them right in Terra's dashboard"
}
