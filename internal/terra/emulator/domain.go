package emulator

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/terra"
)

// States of a custom domain.
const (
	provisioning = "PROVISIONING"
	live         = "ACTIVE"
	failed       = "FAILED"
)

const terraIP = "203.0.113.10"

var hostname = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}$`)

// domain is a hostname of the account. Environments share it for one provider.
type domain struct {
	Provider string    `json:"provider"`
	State    string    `json:"state"`
	Reason   string    `json:"reason"`
	Resolved string    `json:"resolved_ip"`
	Serving  bool      `json:"serving"`
	Claimed  time.Time `json:"claimed_at"`
	Expires  time.Time `json:"expires_at,omitzero"`
}

func (s *Server) live(d *domain) bool {
	s.ripen(d)
	return d.State == live && d.Serving
}

// ripen lets time do what Serve would do, when the Config says so.
func (s *Server) ripen(d *domain) {
	delay := s.config.DomainDelay
	if delay > 0 && d.State == provisioning && s.now().Sub(d.Claimed) >= delay {
		s.serve(d)
		s.revision++
	}
}

func (s *Server) serve(d *domain) {
	d.State, d.Reason, d.Resolved, d.Serving = live, "", terraIP, true
	d.Expires = s.now().Add(90 * 24 * time.Hour).Truncate(time.Second)
}

func (s *Server) domainView(host string, d *domain, users int) terra.SourceDomain {
	out := terra.SourceDomain{
		Provider: d.Provider, Hostname: host, State: d.State, Serving: d.Serving,
		DNSRecord:   terra.DNSRecord{Type: "A", Name: host, Value: terraIP},
		ResolvedIPs: []string{}, ExpiresAt: moment(d.Expires),
		Shared: users > 1, RedirectServed: d.State == live && d.Serving,
	}
	switch d.State {
	case provisioning:
		reason, detail := "dns_pending", "The A record is not there yet."
		if d.Resolved != "" {
			reason, detail = "certificate_pending", "The certificate is being issued."
		}
		out.Reason, out.Detail = &reason, &detail
	case failed:
		reason, detail := "provisioning_failed", d.Reason
		out.Reason, out.Detail = &reason, &detail
	}
	if d.Resolved != "" {
		out.ResolvedIP, out.ResolvedIPs = &d.Resolved, []string{d.Resolved}
	}
	return out
}

// domainable is listed for the providers that know custom domains.
func (s *Server) domainable(q *request) (*source, *refusal) {
	known := []string{"whoop", "dexcom", "dexcom_eu", "strava", "garmin"}
	if _, r := s.target(q); r != nil {
		return nil, r
	}
	if !slices.Contains(known, q.provider) {
		return nil, unsupported("The provider %s uses no custom domain.", q.provider)
	}
	_, src, r := s.listed(q)
	return src, r
}

func (s *Server) getDomain(q *request) (answer, *refusal) {
	src, r := s.domainable(q)
	if r != nil {
		return answer{}, r
	}
	if src.Domain == "" {
		return answer{}, refuse(http.StatusNotFound, "not_found", "No custom domain is set for %s.", q.provider)
	}
	d := s.account.Domains[src.Domain]
	s.ripen(d)
	return reply(http.StatusOK, s.domainView(src.Domain, d, s.account.uses[src.Domain])), nil
}

// inUse reports whether the redirect of any source's credentials is on a domain,
// in whichever environment. Garmin's webhooks follow the same host.
func (a *account) inUse(host string) bool {
	for _, e := range a.Environments {
		for _, src := range e.Sources {
			if src.Domain == host && src.Credential != nil && redirectHost(src.Credential.RedirectURL) == host {
				return true
			}
		}
	}
	return false
}

func (s *Server) setDomain(q *request) (change, *refusal) {
	src, r := s.domainable(q)
	if r != nil {
		return change{}, r
	}
	f, r := readFields(q.http.Header, q.body, "hostname")
	if r != nil {
		return change{}, r
	}
	host, r := f.hostname()
	if r != nil {
		return change{}, r
	}
	d, known := s.account.Domains[host]
	switch {
	case slices.Contains(s.account.Foreign, host):
		return change{}, refuse(http.StatusConflict, "conflict", "The hostname belongs to another account.")
	case known && d.Provider != q.provider:
		return change{}, refuse(http.StatusConflict, "conflict", "The hostname is used for the provider %s.", d.Provider)
	case src.Domain != "" && src.Domain != host && s.account.inUse(src.Domain):
		return change{}, refuse(http.StatusConflict, "conflict", "The hostname %s is still in use.", src.Domain)
	}
	if src.Domain == host {
		s.ripen(d)
		return change{would: noop, status: http.StatusOK, result: s.domainView(host, d, s.account.uses[host])}, nil
	}
	c := change{would: "claim", status: http.StatusOK}
	if src.Domain != "" {
		c.would = "replace"
	}
	if !known {
		c.status = http.StatusCreated
		d = &domain{Provider: q.provider, State: provisioning, Claimed: s.now()}
	}
	next := src.clone()
	next.Domain = host
	old, put := src.Domain, q.put(next)
	c.result = s.domainView(host, d, s.account.uses[host]+1)
	c.commit = func() {
		s.account.Domains[host] = d
		put()
		s.account.use(old, host)
	}
	return c, nil
}

func (f *fields) hostname() (string, *refusal) {
	if !f.has("hostname") {
		return "", invalid("hostname: is required")
	}
	v := f.filled("hostname")
	if r := f.refusal(); r != nil {
		return "", r
	}
	if !hostname.MatchString(*v) || len(*v) > 253 {
		return "", invalid("hostname: must be a full hostname in lower case")
	}
	if *v == "tryterra.co" || strings.HasSuffix(*v, ".tryterra.co") {
		return "", invalid("hostname: is Terra's own")
	}
	return *v, nil
}

// use notes that a source has the hostname next in place of old; empty is none.
// A hostname that no source has any more is forgotten.
func (a *account) use(old, next string) {
	if next != "" {
		a.uses[next]++
	}
	if old == "" {
		return
	}
	if a.uses[old]--; a.uses[old] <= 0 {
		delete(a.uses, old)
		delete(a.Domains, old)
	}
}

func (s *Server) deleteDomain(q *request) (change, *refusal) {
	src, r := s.domainable(q)
	if r != nil {
		return change{}, r
	}
	c := change{would: noop, status: http.StatusNoContent, result: named{q.provider}}
	if src.Domain == "" {
		return c, nil
	}
	if s.account.inUse(src.Domain) {
		return change{}, refuse(http.StatusConflict, "conflict", "The hostname %s is still in use.", src.Domain)
	}
	next := src.clone()
	next.Domain = ""
	old, put := src.Domain, q.put(next)
	c.would = "release"
	c.commit = func() {
		put()
		s.account.use(old, "")
	}
	return c, nil
}
