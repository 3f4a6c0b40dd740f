package plan

import (
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
	case d.isOffered && !d.offer.BYO && !d.offer.CustomCredentials:
		if len(d.managedFields()) == 0 {
			return
		}
		d.add(SetCredentials, d.want.ClientID.Origin, d.managedFields()).block("provider",
			"Terra accepts no credentials of your own for "+d.want.Provider+"; drop `credentials`")
	case d.want.App.Mode != Unmanaged && wantedVariant(d.want.App) == "standard" && !d.isOffered:
		d.skip("credentials", "it is not known whether users can meet Terra's app beside an own one of "+d.want.Provider)
	case leavesCredentials(d.in, d.want):
		d.warnings = append(d.warnings, Warn(d.id, "users meet Terra's app, so its credentials have no effect and are left as they are"))
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

// leavesCredentials tells whether users meet Terra's app where one can choose:
// then the own keys have no effect and are neither compared nor changed.
func leavesCredentials(in Input, want Desired) bool {
	return want.App.Mode != Unmanaged && wantedVariant(want.App) == "standard" && in.Types[want.Provider].BYO
}

func (d *diff) setCredentials() {
	secret, verification := d.want.Secret, d.want.VerificationSecret
	switch {
	case len(d.managedFields()) == 0:
		return
	case d.want.ClientID.Mode == Given && d.ignored(FieldClientID), d.ignored(FieldClientSecret):
		d.skip("credentials", "Terra has none yet and policy.ignore leaves the pair alone, without which nothing can be set")
		return
	case secret.Mode == Given && secret.Value.Closed != "":
		d.skip(FieldClientSecret, secret.Value.Closed)
		d.holdEnable()
		return
	case verification.Mode == Given && verification.Value.Closed != "" && !d.ignored(FieldVerificationSecret):
		d.skip(FieldVerificationSecret, verification.Value.Closed)
		d.holdEnable()
		return
	}
	fields := d.managedFields()
	why := ""
	switch {
	case d.want.ClientID.Mode != Given:
		why = "Terra has no credentials yet, so client_id is needed beside the secret"
	case secret.Mode != Given:
		why = "Terra has no credentials yet and no key of the file is due; add one: `reconcile rotate add " + d.id + "`"
		if d.want.Refused != nil {
			why = number(d.want.Refused.Key) + ": " + d.want.Refused.words() + "; seal another one: `reconcile rotate add " + d.id + "`"
		}
	}
	if why != "" {
		d.add(SetCredentials, d.want.ClientID.Origin, fields).block("credentials", why)
		return
	}
	redirect, waits := d.redirectWaits(fields)
	if waits {
		fields = without(fields, FieldRedirectURL)
	}
	d.add(SetCredentials, d.want.ClientID.Origin, fields)
	if waits {
		d.waitForDomain(redirect)
	}
}

// holdEnable keeps a source from being enabled without the keys that the file
// has for it: users would meet an app that cannot sign them in. For the same
// reason a live one stays on Terra's app.
func (d *diff) holdEnable() {
	d.isShut = true
	if !d.isLive && len(d.changes) > 0 && d.changes[0].Action == Enable && d.changes[0].Gate == Ready {
		d.changes[0].block("credentials", "its keys cannot be opened here, and it is not enabled without them")
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

// redirectWaits tells whether fields move the redirect_url to a custom domain
// that does not serve yet.
func (d *diff) redirectWaits(fields []FieldChange) (FieldChange, bool) {
	want := d.want.RedirectURL
	u, err := url.Parse(want.Value)
	if want.Mode != Given || err != nil || !has(fields, FieldRedirectURL) {
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
