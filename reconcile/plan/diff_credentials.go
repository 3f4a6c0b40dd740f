package plan

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// diffCredentials compares the connection's own app.
//
//	live credentials   -> change
//	none               -> set-credentials with all that is managed
//	through secret_ref -> update-credentials, blocked unless a commit allows secret_ref
//	another client_id  -> update-credentials, id and secret in one call
//	same client_id     -> rotate-secret for the secret, update-credentials for the rest
//
// A redirect_url on a custom domain that does not serve yet waits on its own.
func (d *diff) diffCredentials() {
	if !d.want.Credentials {
		return
	}
	live := d.live.Credentials
	switch {
	case d.in.Types != nil && d.isOffered && !d.offer.BYO && !d.offer.CustomCredentials:
		d.add(SetCredentials, d.want.ClientID.Origin, d.managedFields()).block("provider",
			"Terra accepts no credentials of your own for "+d.want.Provider+"; drop `credentials`")
	case d.want.App.Value == "terra" && d.offer.BYO:
		d.warnings = append(d.warnings, d.id+": with `app: terra` its credentials have no effect and are left as they are")
	case d.isLive && live == nil:
		d.skip("credentials", "the credentials could not be read")
	case !d.isLive || !live.Set:
		d.setCredentials()
	case live.SecretRef:
		d.replaceSecretRef()
	default:
		d.updateCredentials()
	}
}

func (d *diff) setCredentials() {
	secret, verification := d.want.Secret, d.want.VerificationSecret
	switch {
	case d.want.ClientID.Mode == Given && d.ignored(FieldClientID), d.ignored(FieldClientSecret):
		return
	case secret.Mode == Given && secret.Value.Closed != "":
		d.skip(FieldClientSecret, secret.Value.Closed)
		return
	case verification.Mode == Given && verification.Value.Closed != "":
		d.skip(FieldVerificationSecret, verification.Value.Closed)
		return
	}
	fields := d.managedFields()
	redirect, waits := d.redirectWaits()
	if waits {
		fields = without(fields, FieldRedirectURL)
	}
	c := d.add(SetCredentials, d.want.ClientID.Origin, fields)
	switch {
	case d.want.ClientID.Mode != Given:
		c.block("credentials", "Terra has no credentials yet, so client_id is needed beside the secret")
	case secret.Mode != Given:
		c.block("credentials", "Terra has no credentials yet and no key of the file is due; add one with `reconcile rotate add "+d.id+"`")
	}
	if waits {
		d.waitForDomain(redirect)
	}
}

func (d *diff) managedFields() []FieldChange {
	var fields []FieldChange
	add := func(field string, mode Mode, to FieldValue) {
		if mode == Given && !d.ignored(field) {
			fields = append(fields, FieldChange{Field: field, To: to})
		}
	}
	add(FieldClientID, d.want.ClientID.Mode, text(d.want.ClientID.Value))
	add(FieldClientSecret, d.want.Secret.Mode, sealed(d.want.Secret.Value))
	add(FieldRedirectURL, d.want.RedirectURL.Mode, text(d.want.RedirectURL.Value))
	add(FieldVerificationSecret, d.want.VerificationSecret.Mode, sealed(d.want.VerificationSecret.Value))
	add(FieldSandbox, d.want.Sandbox.Mode, text(strconv.FormatBool(d.want.Sandbox.Value)))
	return fields
}

// replaceSecretRef covers a live secret that Terra reads from the customer's own store.
func (d *diff) replaceSecretRef() {
	if d.want.Secret.Mode != Given || d.ignored(FieldClientSecret) {
		return
	}
	if d.want.Secret.Value.Closed != "" {
		d.skip(FieldClientSecret, d.want.Secret.Value.Closed)
		return
	}
	fields := []FieldChange{{Field: "secret_ref", From: text("set"), To: FieldValue{}},
		{Field: FieldClientSecret, To: sealed(d.want.Secret.Value)}}
	if id := d.want.ClientID; id.Mode == Given && id.Value != d.live.Credentials.ClientID {
		fields = append(fields, FieldChange{Field: FieldClientID, From: text(d.live.Credentials.ClientID), To: text(id.Value)})
	}
	c := d.add(UpdateCredentials, d.want.Secret.Origin, fields)
	if _, ok := findAllow(d.in, *c, "secret_ref", ""); !ok {
		c.block("secret-ref", "Terra reads this secret from a store of yours; to replace that, commit allow: [{change: secret_ref, …}]")
	}
}

func (d *diff) updateCredentials() {
	live := d.live.Credentials
	var fields []FieldChange
	id := d.want.ClientID
	newID := id.Mode == Given && id.Value != live.ClientID && !d.ignored(FieldClientID)
	if newID {
		if !d.newPair(&fields) {
			return
		}
	} else {
		d.diffSecret()
	}
	fields = append(fields, d.diffPlainCredentials()...)
	redirect, waits := d.redirectWaits()
	waits = waits && has(fields, FieldRedirectURL)
	if waits {
		fields = without(fields, FieldRedirectURL)
	}
	if len(fields) > 0 {
		d.add(UpdateCredentials, d.originOf(fields[0].Field), fields)
	}
	if waits {
		d.waitForDomain(redirect)
	}
}

// newPair adds client_id and secret, which travel in one call. It reports false
// when the secret of the new client_id cannot be sent.
func (d *diff) newPair(fields *[]FieldChange) bool {
	live, id, secret := d.live.Credentials, d.want.ClientID, d.want.Secret
	*fields = append(*fields, FieldChange{Field: FieldClientID, From: text(live.ClientID), To: text(id.Value)})
	switch {
	case secret.Mode == Given && secret.Value.Closed != "":
		d.skip(FieldClientID, "client_id and client_secret travel together and the secret is not open: "+secret.Value.Closed)
		return false
	case secret.Mode != Given:
		d.add(UpdateCredentials, id.Origin, *fields).block("credentials",
			"client_id changes but no key of the file is due; the new app's secret must come with it")
		return false
	}
	from := FieldValue{Mask: live.Mask, Compared: Differs}
	*fields = append(*fields, FieldChange{Field: FieldClientSecret, From: from, To: sealed(secret.Value)})
	return true
}

// diffSecret compares the secret of an unchanged client_id.
func (d *diff) diffSecret() {
	want, seen := d.want.Secret, d.live.Secret
	if want.Mode != Given || d.ignored(FieldClientSecret) {
		return
	}
	switch {
	case want.Value.Closed != "":
		d.skip(FieldClientSecret, want.Value.Closed)
	case seen.Result == Equal:
	case seen.Result == Differs && seen.LiveKey > want.Value.Key:
		d.warnings = append(d.warnings, fmt.Sprintf("%s: key %d of %d is live before its time; accepted as rotated early by hand",
			d.id, seen.LiveKey, d.want.Keys))
	case seen.Result == Differs:
		from := FieldValue{Mask: d.live.Credentials.Mask, Key: seen.LiveKey, Compared: Differs}
		d.add(RotateSecret, want.Origin, []FieldChange{{Field: FieldClientSecret, From: from, To: sealed(want.Value)}})
	default:
		d.skip(FieldClientSecret, seen.Reason)
	}
}

// diffPlainCredentials compares redirect_url, verification_secret and sandbox.
func (d *diff) diffPlainCredentials() []FieldChange {
	var fields []FieldChange
	live := d.live.Credentials
	if want := d.want.RedirectURL; !d.ignored(FieldRedirectURL) {
		from := FieldValue{Default: true}
		if live.RedirectURL != nil {
			from = text(*live.RedirectURL)
		}
		switch {
		case want.Mode == Given && (live.RedirectURL == nil || *live.RedirectURL != want.Value):
			fields = append(fields, FieldChange{Field: FieldRedirectURL, From: from, To: text(want.Value)})
		case want.Mode == Default && live.RedirectURL != nil:
			fields = append(fields, FieldChange{Field: FieldRedirectURL, From: from, To: FieldValue{Default: true}})
		}
	}
	if want := d.want.VerificationSecret; !d.ignored(FieldVerificationSecret) {
		fields = append(fields, d.diffVerification(want)...)
	}
	if want := d.want.Sandbox; want.Mode != Unmanaged && !d.ignored(FieldSandbox) && live.Sandbox != want.Value {
		fields = append(fields, FieldChange{Field: FieldSandbox, From: text(strconv.FormatBool(live.Sandbox)), To: text(strconv.FormatBool(want.Value))})
	}
	return fields
}

func (d *diff) diffVerification(want Setting[Secret]) []FieldChange {
	isSet := d.live.Credentials.HasVerification
	seen := d.live.Verification
	from := FieldValue{}
	if isSet {
		from = FieldValue{Mask: "****", Compared: Differs}
	}
	switch {
	case want.Mode == Default && isSet:
		return []FieldChange{{Field: FieldVerificationSecret, From: FieldValue{Mask: "****"}, To: FieldValue{Default: true}}}
	case want.Mode != Given:
		return nil
	case want.Value.Closed != "":
		d.skip(FieldVerificationSecret, want.Value.Closed)
		return nil
	case isSet && seen.Result == Equal:
		return nil
	case isSet && seen.Result != Differs:
		d.skip(FieldVerificationSecret, seen.Reason)
		return nil
	}
	return []FieldChange{{Field: FieldVerificationSecret, From: from, To: sealed(want.Value)}}
}

// redirectWaits tells whether the wanted redirect_url is on a custom domain
// that does not serve yet.
func (d *diff) redirectWaits() (FieldChange, bool) {
	want := d.want.RedirectURL
	u, err := url.Parse(want.Value)
	if want.Mode != Given || err != nil {
		return FieldChange{}, false
	}
	from := FieldValue{}
	if live := d.live.Credentials; live != nil && live.RedirectURL != nil {
		from = text(*live.RedirectURL)
	}
	onDomain := d.want.Domain.Mode == Given && strings.EqualFold(u.Hostname(), d.want.Domain.Value)
	serves := d.live.Domain != nil && d.live.Domain.Live && strings.EqualFold(d.live.Domain.Hostname, u.Hostname())
	return FieldChange{Field: FieldRedirectURL, From: from, To: text(want.Value)}, onDomain && !serves
}

func (d *diff) waitForDomain(redirect FieldChange) {
	c := d.add(UpdateCredentials, d.want.RedirectURL.Origin, []FieldChange{redirect})
	c.ID += ":" + FieldRedirectURL
	c.Gate, c.Guard = Waiting, "domain"
	c.GateReason = d.want.Domain.Value + " does not serve yet"
	if live := d.live.Domain; live != nil && live.Publish != "" {
		c.GateReason += "; publish " + live.Publish
	}
}

func (d *diff) originOf(field string) string {
	return map[string]string{
		FieldClientID: d.want.ClientID.Origin, FieldClientSecret: d.want.Secret.Origin, FieldRedirectURL: d.want.RedirectURL.Origin,
		FieldVerificationSecret: d.want.VerificationSecret.Origin, FieldSandbox: d.want.Sandbox.Origin,
	}[field]
}

func sealed(s Secret) FieldValue { return FieldValue{Key: s.Key, Sealed: s.Sealed} }

func has(fields []FieldChange, field string) bool { return len(without(fields, field)) < len(fields) }

func without(fields []FieldChange, field string) []FieldChange {
	var out []FieldChange
	for _, f := range fields {
		if f.Field != field {
			out = append(out, f)
		}
	}
	return out
}
