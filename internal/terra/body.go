package terra

import (
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/terra-reconcile/terra-reconcile/secrets"
)

// Canonical returns the exact body that UpdateCredentials would send, still
// secret, so that a caller can keep a keyed digest of it. The zero Value means
// that the patch would be refused.
func (p CredentialPatch) Canonical() secrets.Value { return canonical(p.fields()) }

// Canonical returns the exact body that SetCredentials would send, still secret,
// so that a caller can keep a keyed digest of it. The zero Value means that the
// write would be refused.
func (w CredentialWrite) Canonical() secrets.Value { return canonical(w.fields()) }

// credentialFields is what both credential calls can send. A secret that is not
// Set is not sent.
type credentialFields struct {
	clientID     *string
	secret       secrets.Value
	redirect     Nullable[string]
	verification Nullable[secrets.Value]
	sandbox      *bool
}

func (p CredentialPatch) fields() credentialFields {
	return credentialFields{
		clientID: p.ClientID, secret: p.ClientSecret, redirect: p.RedirectURL,
		verification: p.VerificationSecret, sandbox: p.Sandbox,
	}
}

func (w CredentialWrite) fields() credentialFields {
	f := credentialFields{clientID: &w.ClientID, secret: w.ClientSecret, sandbox: w.Sandbox}
	if w.RedirectURL != nil {
		f.redirect = To(*w.RedirectURL)
	}
	if !w.VerificationSecret.IsZero() {
		f.verification = To(w.VerificationSecret)
	}
	return f
}

// names lists the fields that are sent, in the contract's words.
func (f credentialFields) names() []string {
	var names []string
	if f.clientID != nil {
		names = append(names, "client_id")
	}
	if !f.secret.IsZero() {
		names = append(names, "client_secret")
	}
	if f.redirect.Set {
		names = append(names, "redirect_url")
	}
	if f.verification.Set {
		names = append(names, "verification_secret")
	}
	if f.sandbox != nil {
		names = append(names, "sandbox")
	}
	return names
}

// hide is what the server must not be able to make us print.
func (f credentialFields) hide() scrubber {
	return scrubber{hidden: []secrets.Value{f.secret, f.verification.Value}}
}

// body is the JSON document of the fields, keys sorted, so equal fields give
// equal bytes. It is the one place where a secret leaves its Value for the wire.
// A text that JSON would alter on its way is refused: Terra would store another
// secret than the one that was sealed.
func (f credentialFields) body() ([]byte, error) {
	document := map[string]json.RawMessage{}
	var errs []error
	text := func(field, value string) {
		switch {
		case value == "":
			errs = append(errs, fmt.Errorf("%s is empty", field))
		case !utf8.ValidString(value):
			errs = append(errs, fmt.Errorf("%s is not valid UTF-8", field))
		default:
			document[field], _ = json.Marshal(value)
		}
	}
	if f.clientID != nil {
		text("client_id", *f.clientID)
	}
	if !f.secret.IsZero() {
		text("client_secret", f.secret.Reveal())
	}
	switch {
	case f.redirect.Set && f.redirect.Null:
		document["redirect_url"] = json.RawMessage("null")
	case f.redirect.Set:
		text("redirect_url", f.redirect.Value)
	}
	switch {
	case f.verification.Set && f.verification.Null:
		document["verification_secret"] = json.RawMessage("null")
	case f.verification.Set:
		text("verification_secret", f.verification.Value.Reveal())
	}
	if f.sandbox != nil {
		document["sandbox"], _ = json.Marshal(*f.sandbox)
	}
	if len(document)+len(errs) == 0 {
		errs = append(errs, errors.New("no field is given"))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return json.Marshal(document)
}

// plainBody is the JSON of a document of texts and booleans, which cannot fail.
// Secrets never pass here.
func plainBody[T any](document T) []byte {
	body, _ := json.Marshal(document)
	return body
}

func canonical(f credentialFields) secrets.Value {
	body, err := f.body()
	if err != nil {
		return secrets.Value{}
	}
	return secrets.NewValue(body)
}
