package emulator

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
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

var hostname = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}$`)
})

// domain is a hostname of the account. Environments share it for one provider.
type domain struct {
	Owner    string    `json:"owner"` // the dev-id that set it up
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

func (s *Server) domainView(q *request, src *source, host string, d *domain) terra.SourceDomain {
	out := terra.SourceDomain{
		Provider: d.Provider, Hostname: host, State: d.State, Serving: d.Serving,
		DNSRecord:   terra.DNSRecord{Type: "A", Name: host, Value: terraIP},
		ResolvedIPs: []string{}, ExpiresAt: moment(d.Expires),
		Shared:         d.Owner != q.env.DevID,
		RedirectServed: src.Credential != nil && redirectHost(src.Credential.RedirectURL) == host,
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

// domainable finds the source of a provider that knows custom domains; it need not be
// enabled.
func (s *Server) domainable(q *request) (*source, *refusal) {
	known := []string{"whoop", "dexcom", "dexcom_eu", "strava", "garmin"}
	if _, r := s.target(q); r != nil {
		return nil, r
	}
	if !slices.Contains(known, q.provider) {
		return nil, unsupported("The provider %s uses no custom domain.", q.provider)
	}
	if src, ok := q.env.Sources[q.provider]; ok {
		return src, nil
	}
	return &source{State: disabled, Variant: standard}, nil
}

// within reports whether a domain was set up in an environment that the token may touch.
func (q *request) within(d *domain) bool {
	return q.token.DevIDs == nil || slices.Contains(q.token.DevIDs, d.Owner)
}

func (s *Server) getDomain(q *request) (answer, *refusal) {
	src, r := s.domainable(q)
	if r != nil {
		return answer{}, r
	}
	host := src.Domain
	if host == "" && src.Credential != nil { // another environment may have set up what the redirect is on
		host = redirectHost(src.Credential.RedirectURL)
	}
	d, ok := s.account.Domains[host]
	if !ok || d.Provider != q.provider || !q.within(d) {
		return answer{}, refuse(http.StatusNotFound, "not_found", "No custom domain is set for %s.", q.provider)
	}
	s.ripen(d)
	return reply(http.StatusOK, s.domainView(q, src, host, d)), nil
}

// usedElsewhere refuses to take a domain away while another environment's redirect is
// on it, or Garmin's webhooks point at it. This environment's own redirect does not
// stop it.
func (s *Server) usedElsewhere(q *request, host string) *refusal {
	for _, e := range s.account.Environments {
		src, ok := e.Sources[q.provider]
		if ok && e != q.env && src.Credential != nil && redirectHost(src.Credential.RedirectURL) == host {
			return refuse(http.StatusConflict, "conflict", "The hostname %s is still in use.", host)
		}
	}
	if q.provider != "garmin" {
		return nil
	}
	if p := s.account.Pairs["garmin"]; p != nil && p.Unreachable {
		return refuse(http.StatusServiceUnavailable, "dependency_failed", "garmin could not be reached.")
	}
	for _, app := range s.account.Apps {
		for _, row := range app.Rows {
			if redirectHost(row.URL) == host {
				return refuse(http.StatusConflict, "conflict", "Garmin's webhooks point at %s.", host)
			}
		}
	}
	return nil
}

// forget takes a hostname from every source that has it.
func (a *account) forget(host string) {
	delete(a.Domains, host)
	for _, e := range a.Environments {
		for _, src := range e.Sources {
			if src.Domain == host {
				src.Domain = ""
			}
		}
	}
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
	case slices.Contains(s.account.Foreign, host), known && !q.within(d):
		return change{}, refuse(http.StatusConflict, "conflict", "The hostname belongs to another account.")
	case known && d.Provider != q.provider:
		return change{}, refuse(http.StatusConflict, "conflict", "The hostname is used for the provider %s.", d.Provider)
	}
	if src.Domain == host || known && d.Owner != q.env.DevID && s.config.SharedUnseen {
		s.ripen(d)
		return change{would: noop, status: http.StatusOK, result: s.domainView(q, src, host, d)}, nil
	}
	c := change{would: "claim", status: http.StatusOK}
	old := src.Domain
	if old != "" {
		c.would = "replace"
		if own := s.account.Domains[old]; own.Owner == q.env.DevID {
			if r := s.usedElsewhere(q, old); r != nil {
				return change{}, r
			}
		} else {
			old = "" // a shared one stays
		}
	}
	if !known {
		c.status = http.StatusCreated
		d = &domain{Owner: q.env.DevID, Provider: q.provider, State: provisioning, Claimed: s.now()}
	}
	next := src.clone()
	next.Domain = host
	put := q.put(next)
	c.result = s.domainView(q, next, host, d)
	c.commit = func() {
		if old != "" {
			s.account.forget(old)
		}
		s.account.Domains[host] = d
		put()
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
	if !hostname().MatchString(*v) || len(*v) > 253 {
		return "", invalid("hostname: must be a full hostname in lower case")
	}
	if *v == "tryterra.co" || strings.HasSuffix(*v, ".tryterra.co") {
		return "", invalid("hostname: is Terra's own")
	}
	return *v, nil
}

func (s *Server) deleteDomain(q *request) (change, *refusal) {
	src, r := s.domainable(q)
	if r != nil {
		return change{}, r
	}
	c := change{would: noop, status: http.StatusNoContent, result: named{q.provider}}
	host := src.Domain
	if d := s.account.Domains[host]; d == nil || d.Owner != q.env.DevID {
		return c, nil // none, or a shared one
	}
	if r := s.usedElsewhere(q, host); r != nil {
		return change{}, r
	}
	c.would, c.commit = "release", func() { s.account.forget(host) }
	return c, nil
}
