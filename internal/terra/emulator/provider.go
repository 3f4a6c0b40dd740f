package emulator

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// secretStore is a store of the customer that Terra reads secrets from.
type secretStore struct {
	Fields      map[string]string `json:"fields"`
	Unreachable bool              `json:"unreachable"`
}

// checkRedirect wants an https address on a Terra host or on a custom domain
// that this environment set up for this provider and that serves.
func (s *Server) checkRedirect(q *request, redirect string) *refusal {
	if redirect == "" {
		return nil
	}
	u, err := url.Parse(redirect)
	if err != nil || u.Scheme != "https" || u.User != nil || u.Port() != "" || u.Fragment != "" || u.Hostname() == "" {
		return invalid("redirect_url: must be an https address without port, user or fragment")
	}
	host := strings.ToLower(u.Hostname())
	if host == "access.tryterra.co" || host == "api.tryterra.co" {
		return nil
	}
	src := q.env.Sources[q.provider]
	d, ok := s.account.Domains[host]
	if !ok || src.Domain != host || d.Provider != q.provider {
		return invalid("redirect_url: the host is neither Terra's nor a custom domain of this provider")
	}
	if s.account.DomainsDown {
		return refuse(http.StatusServiceUnavailable, "dependency_failed", "The custom domain could not be checked.")
	}
	if !s.live(d) {
		return invalid("redirect_url: the custom domain does not serve yet")
	}
	return nil
}

// secretRef reads the reference of a body; nil with an error noted when it is
// not well formed.
func (f *fields) secretRef() *SecretRef {
	raw, problem := object(f.raw["secret_ref"])
	if problem != "" {
		f.fail("secret_ref", "must be an object")
		return nil
	}
	inner := &fields{raw: raw}
	for name := range raw {
		if !slices.Contains([]string{"store", "config", "client_secret_field", "client_id_field"}, name) {
			inner.fail(name, "unknown field")
		}
	}
	ref := &SecretRef{
		ClientSecretField: inner.filled("client_secret_field"),
		ClientIDField:     inner.filled("client_id_field"),
	}
	if v := inner.filled("store"); v != nil {
		ref.Store = *v
	} else if !inner.has("store") {
		inner.fail("store", "is required")
	}
	var config map[string]string
	if err := json.Unmarshal(raw["config"], &config); err != nil || config == nil {
		inner.fail("config", "must be an object of strings")
	}
	ref.Config = config
	slices.Sort(inner.errs)
	for _, e := range inner.errs {
		f.errs = append(f.errs, "secret_ref."+e)
	}
	return ref
}

// readSecretRef reads the secret as a test, before anything is saved. A client
// id that the store holds takes the place of the one in c.
func (s *Server) readSecretRef(t SourceType, c *Credential) *refusal {
	ref := c.SecretRef
	if ref == nil {
		return nil
	}
	if t.AuthType != "oauth2" {
		return unsupported("secret_ref works for OAuth 2.0 apps only.")
	}
	store, ok := s.account.Stores[ref.Store]
	if !ok {
		return invalid("secret_ref.store: unknown store")
	}
	if store.Unreachable {
		return refuse(http.StatusServiceUnavailable, "dependency_failed", "The secret store could not be reached.")
	}
	if s.secretOf(c) == "" {
		return invalid("secret_ref.client_secret_field: the store holds no such field")
	}
	if ref.ClientIDField != nil {
		if store.Fields[*ref.ClientIDField] == "" {
			return invalid("secret_ref.client_id_field: the store holds no such field")
		}
		c.ClientID = store.Fields[*ref.ClientIDField]
	}
	return nil
}

// secretOf is the secret in plain text, wherever it is kept.
func (s *Server) secretOf(c *Credential) string {
	if c.SecretRef == nil {
		return c.Secret
	}
	store, ok := s.account.Stores[c.SecretRef.Store]
	if !ok {
		return ""
	}
	if field := c.SecretRef.ClientSecretField; field != nil {
		return store.Fields[*field]
	}
	return store.Fields["client_secret"]
}
