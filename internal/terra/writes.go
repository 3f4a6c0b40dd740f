package terra

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/terra-reconcile/terra-reconcile/secrets"
)

// maxBatch is how many providers one batch call takes.
const maxBatch = 100

// Every write below takes the key of its one effect. Nothing is sent without one
// (ErrNoIdempotencyKey), nothing by a read-only client (*ReadOnlyError). An
// *AmbiguousError says that the effect is unknown; any other error says that the
// write did not happen.

// EnableSource enables a provider, or resumes it. It sets no credentials; one
// that was disabled comes back with those it had.
func (c *Client) EnableSource(ctx context.Context, devID, provider string, key IdempotencyKey) (Source, error) {
	k := call{devID: devID, provider: provider, key: key, op: operation{
		id: "enableSource", method: http.MethodPut, path: "/environments/{dev_id}/unified-api/sources/{provider}",
		does: "enable connection", scope: "providers:write", write: true,
	}}
	return change(ctx, c, k, func(s Source) string { return s.Provider })
}

// UpdateSource pauses or resumes a connection, or chooses whose app users meet.
func (c *Client) UpdateSource(ctx context.Context, devID, provider string, u SourceUpdate, key IdempotencyKey) (Source, error) {
	k := call{devID: devID, provider: provider, key: key, op: updateSource()}
	if u.Active == nil && u.AuthVariant == nil {
		return Source{}, k.refuse(errors.New("no field is given"))
	}
	k.body = plainBody(u)
	return change(ctx, c, k, func(s Source) string { return s.Provider })
}

func updateSource() operation {
	return operation{
		id: "updateSource", method: http.MethodPatch, path: "/environments/{dev_id}/unified-api/sources/{provider}",
		does: "change connection", scope: "providers:write", write: true,
	}
}

// DisableSource disables a provider. What is not collected while it is off is
// lost.
func (c *Client) DisableSource(ctx context.Context, devID, provider string, key IdempotencyKey) error {
	return remove(ctx, c, call{devID: devID, provider: provider, key: key, op: operation{
		id: "disableSource", method: http.MethodDelete, path: "/environments/{dev_id}/unified-api/sources/{provider}",
		does: "disable connection", scope: "providers:write", write: true,
	}})
}

// BatchEnable enables 1 to 100 different providers, all or none, and returns them
// in the order asked for.
func (c *Client) BatchEnable(ctx context.Context, devID string, providers []string, key IdempotencyKey) ([]Source, error) {
	k := call{devID: devID, key: key, op: operation{
		id: "batchEnableSources", method: http.MethodPost,
		path: "/environments/{dev_id}/unified-api/sources/batch-enable",
		does: "enable connections of", scope: "providers:write", write: true,
	}}
	type enabled struct {
		Data []Source `json:"data"`
	}
	k, err := k.batch(providers)
	if err != nil {
		return nil, err
	}
	a, err := c.do(ctx, k)
	if err != nil {
		return nil, err
	}
	answer, err := accept[enabled](k, a)
	if err == nil && len(answer.Data) != len(providers) {
		err = k.bad(a.status, fmt.Sprintf("%d connections, want %d", len(answer.Data), len(providers)))
	}
	for i := 0; err == nil && i < len(providers); i++ {
		if !strings.EqualFold(answer.Data[i].Provider, providers[i]) {
			err = k.bad(a.status, fmt.Sprintf("data[%d].provider: not the one that was asked for", i))
		}
	}
	if err != nil {
		return nil, k.finish(err, true)
	}
	return answer.Data, nil
}

// SetCredentials replaces the connection's own app fully: what w leaves out goes
// back to its default.
func (c *Client) SetCredentials(ctx context.Context, devID, provider string, w CredentialWrite, key IdempotencyKey) (Credentials, error) {
	k := call{devID: devID, provider: provider, key: key, op: operation{
		id: "setSourceCredentials", method: http.MethodPut,
		path: "/environments/{dev_id}/unified-api/sources/{provider}/credentials",
		does: "set credentials of", scope: "providers:write", write: true,
	}}
	if w.ClientSecret.IsZero() {
		return Credentials{}, k.refuse(errors.New("client_secret is empty"))
	}
	return c.writeCredentials(ctx, k, w.fields())
}

// UpdateCredentials changes the fields that p gives and keeps the rest. A
// connection without its own app is a problem with the code not_found.
func (c *Client) UpdateCredentials(ctx context.Context, devID, provider string, p CredentialPatch, key IdempotencyKey) (Credentials, error) {
	k := call{devID: devID, provider: provider, key: key, op: updateSourceCredentials()}
	return c.writeCredentials(ctx, k, p.fields())
}

func updateSourceCredentials() operation {
	return operation{
		id: "updateSourceCredentials", method: http.MethodPatch,
		path: "/environments/{dev_id}/unified-api/sources/{provider}/credentials",
		does: "update credentials of", scope: "providers:write", write: true,
	}
}

func (c *Client) writeCredentials(ctx context.Context, k call, f credentialFields) (Credentials, error) {
	body, err := f.body()
	if err != nil {
		return Credentials{}, k.refuse(err)
	}
	defer clear(body)
	k.body, k.secrets = body, f.secrets()
	return change(ctx, c, k, func(v Credentials) string { return v.Provider })
}

// SetScopes replaces the optional scopes; none asks for the required ones only.
func (c *Client) SetScopes(ctx context.Context, devID, provider string, scopes []string, key IdempotencyKey) (SourceScopes, error) {
	k := call{devID: devID, provider: provider, key: key, op: operation{
		id: "setSourceScopes", method: http.MethodPut,
		path: "/environments/{dev_id}/unified-api/sources/{provider}/scopes",
		does: "set scopes of", scope: "providers:write", write: true,
	}}
	body := struct {
		Scopes []string `json:"scopes"`
	}{append([]string{}, scopes...)}
	k.body = plainBody(body)
	return change(ctx, c, k, func(s SourceScopes) string { return s.Provider })
}

// ResetScopes drops the custom choice of scopes. It succeeds when there is none.
func (c *Client) ResetScopes(ctx context.Context, devID, provider string, key IdempotencyKey) error {
	return remove(ctx, c, call{devID: devID, provider: provider, key: key, op: operation{
		id: "resetSourceScopes", method: http.MethodDelete,
		path: "/environments/{dev_id}/unified-api/sources/{provider}/scopes",
		does: "reset scopes of", scope: "providers:write", write: true,
	}})
}

// SetDomain claims a hostname for the provider's redirect.
func (c *Client) SetDomain(ctx context.Context, devID, provider, hostname string, key IdempotencyKey) (SourceDomain, error) {
	k := call{devID: devID, provider: provider, key: key, op: operation{
		id: "setSourceDomain", method: http.MethodPut,
		path: "/environments/{dev_id}/unified-api/sources/{provider}/domain",
		does: "set domain of", scope: "providers:write", write: true,
	}}
	if hostname == "" {
		return SourceDomain{}, k.refuse(errors.New("hostname is empty"))
	}
	body := struct {
		Hostname string `json:"hostname"`
	}{hostname}
	k.body = plainBody(body)
	return change(ctx, c, k, func(d SourceDomain) string { return d.Provider })
}

// DeleteDomain releases the hostname and its certificate.
func (c *Client) DeleteDomain(ctx context.Context, devID, provider string, key IdempotencyKey) error {
	return remove(ctx, c, call{devID: devID, provider: provider, key: key, op: operation{
		id: "deleteSourceDomain", method: http.MethodDelete,
		path: "/environments/{dev_id}/unified-api/sources/{provider}/domain",
		does: "release domain of", scope: "providers:write", write: true,
	}})
}

// ApplyWebhookEndpoints points the Garmin apps' webhooks at the custom domain.
// It needs the fingerprint of a review. It can take a minute.
func (c *Client) ApplyWebhookEndpoints(ctx context.Context, devID, provider string, w WebhookApply, key IdempotencyKey) (AppliedWebhookEndpoints, error) {
	k := call{devID: devID, provider: provider, key: key, op: operation{
		id: "applySourceWebhookEndpoints", method: http.MethodPost,
		path: "/environments/{dev_id}/unified-api/sources/{provider}/webhook-endpoints/apply",
		does: "apply webhooks of", scope: "providers:write", write: true, slow: true,
	}}
	if w.Fingerprint == "" {
		return AppliedWebhookEndpoints{}, k.refuse(errors.New("no fingerprint of a review"))
	}
	k.body = plainBody(w)
	return change(ctx, c, k, func(w AppliedWebhookEndpoints) string { return w.Provider })
}

// change makes a write that answers with what it changed.
func change[T any](ctx context.Context, c *Client, k call, provider func(T) string) (T, error) {
	a, err := c.do(ctx, k)
	if err != nil {
		var none T
		return none, err
	}
	value, err := accept[T](k, a)
	if err == nil {
		err = k.about(a.status, provider(value))
	}
	if err != nil {
		err = k.finish(err, true)
	}
	return keep(value, err)
}

// remove makes a write that answers with 204.
func remove(ctx context.Context, c *Client, k call) error {
	a, err := c.do(ctx, k)
	switch {
	case err != nil:
		return err
	case a.dryRun(k):
		return k.finish(k.bad(a.status, tookForDryRun), true)
	case a.status != http.StatusNoContent:
		return k.finish(k.bad(a.status, "want 204"), true)
	}
	return nil
}

const tookForDryRun = "the server took the write for a dry run"

// accept decodes what a write answers with.
func accept[T any](k call, a answer) (T, error) {
	if a.dryRun(k) {
		var none T
		return none, k.bad(a.status, tookForDryRun)
	}
	return decode[T](k, a)
}

// refuse is the error of a write that cannot be sent as it was asked for.
func (k call) refuse(err error) error { return fmt.Errorf("%s: %w", k.action(), err) }

// batch returns the call with its body.
func (k call) batch(providers []string) (call, error) {
	if len(providers) == 0 || len(providers) > maxBatch {
		return k, k.refuse(fmt.Errorf("a batch takes 1 to %d providers, got %d", maxBatch, len(providers)))
	}
	seen := map[string]struct{}{}
	for _, p := range providers {
		if err := checkSegment("provider", p); err != nil {
			return k, k.refuse(err)
		}
		if _, twice := seen[strings.ToLower(p)]; twice {
			return k, k.refuse(fmt.Errorf("provider %s is named twice", p))
		}
		seen[strings.ToLower(p)] = struct{}{}
	}
	k.body = plainBody(struct {
		Providers []string `json:"providers"`
	}{providers})
	return k, nil
}

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

// secrets is what the server must not be able to make us print.
func (f credentialFields) secrets() []secrets.Value {
	return []secrets.Value{f.secret, f.verification.Value}
}

// secretFields are the fields of body that hold them.
func secretFields() []string { return []string{"client_secret", "verification_secret"} }

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
	defer clear(body)
	return secrets.NewValue(body)
}
