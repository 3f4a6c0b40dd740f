package emulator

import (
	"net/http"
	"reflect"

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

// ownInUse reports whether users meet the environment's own app. Where the
// choice exists, credentials alone do not make it: auth_variant does.
func ownInUse(t SourceType, src *source) bool {
	return src.Credential != nil && (!t.BYOSupported || src.Variant == byo)
}

func ownAllowed(t SourceType) bool { return t.CustomCredentialsAllowed || t.BYOSupported }

func credentialsView(provider string, t SourceType, src *source) credentials {
	out := credentials{Credentials: terra.Credentials{Provider: provider}}
	if !ownInUse(t, src) {
		out.TerraOwned = t.Setup != nil && *t.Setup == managed
		out.HasCredentials = out.TerraOwned
		return out
	}
	c := src.Credential
	out.HasCredentials = true
	out.Credential = &credentialView{SecretRef: c.SecretRef, CredentialView: terra.CredentialView{
		ClientID: c.ClientID, Sandbox: c.Sandbox, OAuthVersion: oauthVersion(t), HasVerificationSecret: c.Verification != "",
	}}
	if c.RedirectURL != "" {
		out.Credential.RedirectURL = &c.RedirectURL
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
	if r != nil {
		return answer{}, r
	}
	return reply(http.StatusOK, credentialsView(q.provider, t, src)), nil
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
	case f.null("secret_ref") && src.Credential.SecretRef != nil:
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
	after := src.clone()
	after.Credential = next
	c := change{would: noop, status: http.StatusOK, result: credentialsView(q.provider, t, after)}
	if reflect.DeepEqual(src.Credential, next) {
		return c, nil
	}
	if r := s.checkPair(q.provider, next.ClientID, s.secretOf(next)); r != nil {
		return change{}, r
	}
	c.would, c.commit = verb, q.put(after)
	if src.Credential == nil {
		c.would = "set"
	}
	return c, nil
}
