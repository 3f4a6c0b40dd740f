package emulator

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"github.com/terra-reconcile/terra-reconcile/internal/terra"
)

// credentialView is the client's CredentialView with the whole secret_ref.
type credentialView struct {
	terra.CredentialView
	SecretRef *SecretRef `json:"secret_ref"`
}

type credentials struct {
	terra.Credentials
	Credential *credentialView `json:"credential"`
}

// ownInUse reports whether users meet the environment's own app: where the choice
// exists, auth_variant standard goes back to Terra's.
func (s *Server) ownInUse(t SourceType, src *source) bool {
	switch {
	case src.Credential == nil:
		return false
	case !t.BYOSupported || src.Variant == byo:
		return true
	}
	return !s.config.VariantDecides && !src.StandardChosen
}

func ownAllowed(t SourceType) bool { return t.CustomCredentialsAllowed || t.BYOSupported }

func (s *Server) credentialsView(e *environment, provider string, t SourceType, src *source) credentials {
	out := credentials{Credentials: terra.Credentials{Provider: provider, HasCredentials: src.Credential != nil}}
	if !s.ownInUse(t, src) {
		out.TerraOwned = t.Setup != nil && *t.Setup == managed
		return out
	}
	c := src.Credential
	out.Credential = &credentialView{SecretRef: c.SecretRef, CredentialView: terra.CredentialView{
		ClientID: c.ClientID, Sandbox: c.Sandbox, OAuthVersion: oauthVersion(t), HasVerificationSecret: c.Verification != "",
	}}
	if redirect := s.redirectOf(e, provider, t, c); redirect != "" {
		out.Credential.RedirectURL = &redirect
	}
	if c.SecretRef == nil {
		mask := Mask(c.Secret)
		out.Credential.SecretMask = &mask
	}
	return out
}

func oauthVersion(t SourceType) *string {
	versions := map[string]string{"oauth1": "1", "oauth2": "2"}
	v, ok := versions[t.AuthType]
	if !ok {
		return nil
	}
	return &v
}

// Mask is how Terra shows a secret: `****` and its last four characters.
func Mask(secret string) string {
	runes := []rune(secret)
	return "****" + string(runes[max(0, len(runes)-4):])
}

func (s *Server) getCredentials(q *request) (answer, *refusal) {
	t, src, r := s.listed(q)
	if r != nil && s.config.ShowsDisabled && q.env.Sources[q.provider] != nil {
		src, r = q.env.Sources[q.provider], nil
	}
	if r != nil {
		return answer{}, r
	}
	return reply(http.StatusOK, s.credentialsView(q.env, q.provider, t, src)), nil
}

// ownable is listed for writing own credentials, with the fields of the body.
func (s *Server) ownable(q *request) (SourceType, *source, *fields, *refusal) {
	t, src, r := s.listed(q)
	if r == nil && !ownAllowed(t) {
		r = unsupported("The provider %s does not allow own credentials.", q.provider)
	}
	if r != nil {
		return t, nil, nil, r
	}
	f, r := readFields(q.http.Header, q.body,
		"client_id", "client_secret", "redirect_url", "verification_secret", "sandbox", "secret_ref")
	return t, src, f, r
}

// setCredentials replaces the whole document: what was not sent is gone.
func (s *Server) setCredentials(q *request) (change, *refusal) {
	t, src, f, r := s.ownable(q)
	if r != nil {
		return change{}, r
	}
	next := &Credential{}
	f.notOAuth1("verification_secret", t)
	f.into(next, t)
	switch {
	case f.refers() && f.has("client_secret"):
		f.fail("client_secret", "not together with secret_ref")
	case !f.refers() && !f.has("client_secret"):
		f.fail("client_secret", "is required")
	}
	readsID := next.SecretRef != nil && next.SecretRef.ClientIDField != nil
	if !f.has("client_id") && !readsID {
		f.fail("client_id", "is required")
	}
	if r := f.refusal(); r != nil {
		return change{}, r
	}
	return s.store(q, f, t, src, next, "replace")
}

// updateCredentials changes the fields sent and keeps the rest.
func (s *Server) updateCredentials(q *request) (change, *refusal) {
	t, src, f, r := s.ownable(q)
	if r != nil {
		return change{}, r
	}
	if len(f.raw) == 0 {
		return change{}, invalid("body: at least one field is needed")
	}
	if src.Credential == nil {
		r := refuse(http.StatusNotFound, "not_found", "No own credentials are set for %s.", q.provider)
		r.remediation = "Set them with PUT first."
		return change{}, r
	}
	next := src.Credential.clone()
	f.notOAuth1("verification_secret", t)
	if f.null("redirect_url") {
		delete(f.raw, "redirect_url")
		next.RedirectURL = ""
	}
	if f.null("verification_secret") {
		delete(f.raw, "verification_secret")
		next.Verification = ""
	}
	f.into(next, t)
	switch {
	case f.has("client_secret") && f.refers():
		f.fail("client_secret", "not together with secret_ref")
	case f.has("client_secret"):
		next.SecretRef = nil
	case f.null("secret_ref"):
		f.fail("client_secret", "is required to take the place of secret_ref")
	}
	if r := f.refusal(); r != nil {
		return change{}, r
	}
	return s.store(q, f, t, src, next, "update")
}

// into writes the fields that were sent over c.
func (f *fields) into(c *Credential, t SourceType) {
	if v := f.filled("client_id"); v != nil {
		c.ClientID = *v
	}
	if v := f.filled("client_secret"); v != nil {
		c.Secret = *v
	}
	if v := f.filled("redirect_url"); v != nil {
		c.RedirectURL = *v
	}
	if v := f.filled("verification_secret"); v != nil {
		c.Verification = *v
	}
	if v := f.flag("sandbox"); v != nil {
		c.Sandbox = *v
	}
	f.notOAuth1("sandbox", t)
	if f.refers() {
		c.SecretRef, c.Secret = f.secretRef(), ""
	}
}

// refers reports whether a secret_ref was sent that is not null.
func (f *fields) refers() bool { return f.has("secret_ref") && !f.null("secret_ref") }

func (f *fields) notOAuth1(name string, t SourceType) {
	if f.has(name) && t.AuthType == "oauth1" {
		f.fail(name, "not for an OAuth 1.0 app")
	}
}

// store makes the change from the source's credential to next, after the checks
// that need more than the body. What was not sent is not checked again.
func (s *Server) store(q *request, f *fields, t SourceType, src *source, next *Credential, verb string) (change, *refusal) {
	if ref := next.SecretRef; ref != nil && ref.ClientIDField != nil && f.has("client_id") {
		return change{}, invalid("client_id: is read by secret_ref")
	}
	if f.has("redirect_url") {
		if r := s.checkRedirect(q, next.RedirectURL); r != nil {
			return change{}, r
		}
	}
	if f.has("secret_ref") {
		if r := s.readSecretRef(t, next); r != nil {
			return change{}, r
		}
	}
	// The merged pair is checked whatever was sent, in a preview too.
	if r := s.checkPair(q.provider, next.ClientID, s.secretOf(next)); r != nil {
		return change{}, r
	}
	after := src.clone()
	after.Credential, after.StandardChosen = next, src.StandardChosen && s.config.StandardStays
	c := change{would: noop, status: http.StatusOK, result: s.credentialsView(q.env, q.provider, t, after)}
	if reflect.DeepEqual(src.Credential, next) && src.StandardChosen == after.StandardChosen {
		if s.config.SilentPreviews {
			c.would = verb
		}
		return c, nil
	}
	c.would, c.commit = verb, q.put(after)
	if src.Credential == nil {
		c.would = "set"
	}
	return c, nil
}

// secretStore is a store of the customer that Terra reads secrets from.
type secretStore struct {
	Fields      map[string]string `json:"fields"`
	Unreachable bool              `json:"unreachable"`
}

// checkRedirect wants an https address on a Terra host or on a custom domain
// for this provider that serves, of an environment that the token may touch.
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
	d, ok := s.account.Domains[host]
	if !ok || d.Provider != q.provider || !q.within(d) {
		return invalid("redirect_url: the host is neither Terra's nor a custom domain of this provider")
	}
	if s.account.DomainsDown {
		return refuse(http.StatusServiceUnavailable, "dependency_failed", "The custom domain could not be checked.")
	}
	if !s.live(d) && !s.config.RedirectsAhead {
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
	if ref.Store == "aws" && config != nil {
		for _, name := range slices.Sorted(maps.Keys(config)) {
			if name != "role_arn" && name != "secret_arn" {
				inner.fail("config."+name, "unknown field")
			}
		}
		for _, name := range []string{"role_arn", "secret_arn"} {
			if config[name] == "" {
				inner.fail("config."+name, "is required")
			}
		}
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
