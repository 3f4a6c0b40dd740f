package cli

import (
	"cmp"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/config"
	"github.com/terra-reconcile/terra-reconcile/internal/state"
	"github.com/terra-reconcile/terra-reconcile/internal/web"
	"github.com/terra-reconcile/terra-reconcile/reconcile"
	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
	"github.com/terra-reconcile/terra-reconcile/spec"
)

// newSite is the page and the API of a daemon; nil, and a line of the log that says why,
// where others than this machine would reach it unprotected.
func newSite(c config.Config, source web.Source, metrics http.Handler, now func() time.Time, log *slog.Logger) (*web.Site, error) {
	if !c.ShowsPage() {
		at := "daemon.yaml"
		if c.ListenAt.File != "" {
			at = c.ListenAt.String()
		}
		log.Warn("the page and the API are not served, because other machines reach listen; set tls and web.read, or listen on 127.0.0.1", "at", at, "listen", c.Listen)
		return nil, nil
	}
	o := web.Options{Source: source, Metrics: metrics, Loopback: c.ListensHere(), TLS: c.TLS.IsSet(), Now: now, Log: log}
	if c.Web != nil && c.Web.Read.IsSet() {
		o.Reader = func() ([sha256.Size]byte, error) {
			token, err := config.WebToken(c.Web.Read)
			return sha256.Sum256([]byte(token)), err
		}
	}
	if len(c.Approvers()) > 0 {
		o.Approver = func(token string) (string, error) { return approverOf(c, token) }
	}
	return web.New(o)
}

// approverOf names whose token it is that approves on the page, "" for nobody's. A token
// that also reads is nobody's, and so is one that two have.
func approverOf(c config.Config, given string) (string, error) {
	digest := sha256.Sum256([]byte(given))
	is := func(s config.Secret) (bool, error) {
		token, err := config.WebToken(s)
		known := sha256.Sum256([]byte(token))
		return err == nil && subtle.ConstantTimeCompare(known[:], digest[:]) == 1, err
	}
	all := c.Approvers()
	var found []string
	var failed error
	for _, name := range slices.Sorted(maps.Keys(all)) {
		same, err := is(all[name])
		if err != nil && failed == nil {
			failed = fmt.Errorf("tell who approves: %s: %w", name, err)
		}
		if same {
			found = append(found, name)
		}
	}
	if c.Web != nil && c.Web.Read.IsSet() {
		if reads, err := is(c.Web.Read); reads || err != nil {
			return "", err
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return "", fmt.Errorf("%s have one token; give each their own", strings.Join(found, " and "))
	}
	return "", failed
}

// webSource is what the page shows of a daemon.
type webSource struct {
	reconciler
	daemonControl
}

// Report is what the last run of an environment said.
func (s webSource) Report(name string) (report.Report, bool) {
	return s.reconciler.sources.report(name)
}

// Left is what that run has left to do.
func (s webSource) Left(name string) (report.Environment, bool) {
	return s.reconciler.sources.left(name)
}

// History reads lines of the history.
func (s webSource) History(f state.HistoryFilter) ([]state.Entry, []string, error) {
	return state.History(s.reconciler.sources.common().config.StateDir, f)
}

// Files are what the files say that the runs of an environment use.
func (s webSource) Files(name string) []web.File {
	g, known := s.reconciler.sources.revision(name)
	i := slices.IndexFunc(g.set.Environments, func(e spec.Environment) bool { return e.Name == name })
	if !known || i < 0 {
		return nil
	}
	var out []web.File
	for _, c := range g.set.Environments[i].Connections {
		out = append(out, fileOf(name, c, s.reconciler.sources.common().proc.Now()))
	}
	return out
}

// fileOf is a connection's file in words, without a secret.
func fileOf(environment string, c spec.Connection, now time.Time) web.File {
	out := web.File{Connection: environment + "/" + c.Provider, Provider: c.Provider, Origin: c.File}
	add := func(name, value string) { out.Fields = append(out.Fields, web.Field{Name: name, Value: value}) }
	add("state", c.State.String())
	addField(add, "app", c.App, func(v string) string { return v })
	addField(add, "client_id", c.Credentials.ClientID, func(v string) string { return v })
	if n := len(c.Credentials.Keys); n > 0 {
		secret := fmt.Sprintf("%d keys, none due yet", n)
		if due := reconcile.KeysOf(c).Due(now); due > 0 {
			secret = fmt.Sprintf("key %d of %d, sealed", due, n)
		}
		add("client_secret", secret)
	}
	addField(add, "redirect_url", c.Credentials.RedirectURL, func(v string) string { return v })
	addField(add, "verification_secret", c.Credentials.VerificationSecret, func(spec.Secret) string { return "sealed" })
	addField(add, "sandbox", c.Credentials.Sandbox, strconv.FormatBool)
	addField(add, "scopes", c.Scopes, func(v []string) string { return strings.Join(v, ", ") })
	addField(add, "domain", c.Domain, func(v string) string { return v })
	if c.Webhooks {
		add("webhooks", "managed")
	}
	for _, name := range slices.Sorted(maps.Keys(c.Options)) {
		add("options."+name, strings.Join(c.Options[name].Values, ", "))
	}
	if s := c.Suspend; s != nil {
		add("suspend", fmt.Sprintf("until %s, by %s: %s", s.Until.Format("2006-01-02 15:04 UTC"), s.Owner, s.Reason))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Setup)) {
		step := c.Setup[name]
		var parts []string
		for _, part := range []string{step.Value, step.State} {
			if part != "" {
				parts = append(parts, part)
			}
		}
		for _, field := range slices.Sorted(maps.Keys(step.Fields)) {
			parts = append(parts, field+" "+step.Fields[field])
		}
		if !step.Done.IsZero() {
			parts = append(parts, "done "+step.Done.Format("2006-01-02"))
		}
		out.Evidence = append(out.Evidence, web.Field{Name: "setup " + name, Value: cmp.Or(strings.Join(parts, ", "), "nothing is recorded")})
	}
	return out
}

// addField adds a field that the file gives, or sets back to Terra's default.
func addField[T any](add func(name, value string), name string, f spec.Field[T], words func(T) string) {
	switch {
	case f.Given():
		add(name, words(f.Value))
	case f.Presence != spec.Omitted:
		add(name, "Terra's default")
	}
}
