package plan

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// ownApp says how the own app of a connection is compared.
type ownApp int

const (
	appUnnamed ownApp = iota // the file has no credentials
	appRefused               // Terra accepts none of one's own: set-credentials, which a guard blocks
	appUnclear               // it is not known whether users can meet Terra's app beside an own one
	appIdle                  // users meet Terra's app: own keys have no effect, and are left alone
	appUnread                // the live credentials could not be read, or are not shown
	appMissing               // Terra has none: set-credentials with all that is managed
	appByRef                 // Terra reads the secret from the customer's store: update-credentials, held
	appLive                  // rotate-secret for the secret of the same client_id, update-credentials for the rest
)

func ownAppOf(k Connection) ownApp {
	want, live := k.want(), k.live().Credentials
	isTerras := want.App.Mode != Unmanaged && variantOf(want.App) == "standard"
	switch {
	case !want.Credentials:
		return appUnnamed
	case k.offered() && !k.Type.BYO && !k.Type.CustomCredentials:
		return appRefused
	case isTerras && !k.offered():
		return appUnclear
	case isTerras && k.Type.BYO:
		return appIdle
	case k.Observed != nil && (live == nil || live.Hidden):
		return appUnread
	case k.Observed == nil || !live.Set:
		return appMissing
	case live.SecretRef:
		return appByRef
	default:
		return appLive
	}
}

// KeysVanished tells whether Terra shows no keys of a live connection for which some were
// agreed.
func KeysVanished(k Connection) bool {
	m := k.memory()
	return k.Observed != nil && k.known() && ownAppOf(k) == appMissing && m.Fields[FieldState] != string(Disabled) &&
		(m.Fields[FieldClientID] != "" || m.Fields[FieldClientSecret] != "")
}

// diffCredentials compares the connection's own app. A redirect_url on a custom domain
// that does not serve yet is a change of its own.
func (d *diff) diffCredentials() {
	switch ownAppOf(d.k) {
	case appUnnamed:
	case appRefused:
		if fields := managedFields(d.k); len(fields) > 0 {
			d.add(SetCredentials, d.want.ClientID.Origin, fields...)
		}
	case appUnclear:
		d.skip("credentials", "it is not known whether users can meet Terra's app beside an own one of "+d.k.Provider)
	case appIdle:
		d.warn("users meet Terra's app, so its credentials have no effect and are left as they are")
	case appUnread:
		why := "the credentials could not be read"
		if d.live.Credentials != nil {
			why = "Terra has keys of an own app and does not show them while users meet its app"
		}
		d.skip("credentials", why)
	case appMissing:
		d.setCredentials()
	case appByRef:
		d.replaceSecretRef()
	case appLive:
		d.updateCredentials()
	}
}

// managedFields are the credentials that a file has a value for.
func managedFields(k Connection) []FieldChange {
	want := k.want()
	var fields []FieldChange
	add := func(field string, mode Mode, to FieldValue) {
		if mode == Given && !k.ignores(field) {
			fields = append(fields, FieldChange{Field: field, To: to})
		}
	}
	add(FieldClientID, want.ClientID.Mode, text(want.ClientID.Value))
	add(FieldClientSecret, want.Secret.Mode, sealed(want.Secret.Value))
	add(FieldRedirectURL, want.RedirectURL.Mode, text(want.RedirectURL.Value))
	add(FieldVerificationSecret, want.VerificationSecret.Mode, sealed(want.VerificationSecret.Value))
	add(FieldSandbox, want.Sandbox.Mode, text(strconv.FormatBool(want.Sandbox.Value)))
	return fields
}

// isShut tells whether Terra has no keys and those of the file cannot be opened here:
// users would meet an app that cannot sign them in. It gives the field and why.
func isShut(k Connection) (field, why string, shut bool) {
	secret, verification := k.want().Secret, k.want().VerificationSecret
	switch {
	case ownAppOf(k) != appMissing || len(managedFields(k)) == 0 || ignoresPair(k):
		return "", "", false
	case secret.Mode == Given && secret.Value.Closed != "":
		return FieldClientSecret, secret.Value.Closed, true
	case verification.Mode == Given && verification.Value.Closed != "" && !k.ignores(FieldVerificationSecret):
		return FieldVerificationSecret, verification.Value.Closed, true
	}
	return "", "", false
}

func ignoresPair(k Connection) bool {
	return k.want().ClientID.Mode == Given && k.ignores(FieldClientID) || k.ignores(FieldClientSecret)
}

func (d *diff) setCredentials() {
	fields := managedFields(d.k)
	if len(fields) == 0 {
		return
	}
	if ignoresPair(d.k) {
		d.skip("credentials", "Terra has none yet and policy.ignore leaves the pair alone, without which nothing can be set")
		return
	}
	if field, why, shut := isShut(d.k); shut {
		d.skip(field, why)
		return
	}
	isWhole := d.want.ClientID.Mode == Given && d.want.Secret.Mode == Given
	later := isWhole && has(fields, FieldRedirectURL) && redirectWaits(d.k)
	if later {
		fields = without(fields, FieldRedirectURL)
	}
	d.add(SetCredentials, d.want.ClientID.Origin, fields...)
	if later {
		d.addRedirect()
	}
}

// replaceSecretRef covers a live secret that Terra reads from the customer's own
// store. The pair is a change of its own; the fields beside it are compared as
// they always are.
func (d *diff) replaceSecretRef() {
	live, id, secret := d.live.Credentials, d.want.ClientID, d.want.Secret
	newID := id.Mode == Given && id.Value != live.ClientID && !d.k.ignores(FieldClientID)
	switch managed := secret.Mode == Given && !d.k.ignores(FieldClientSecret); {
	case managed && secret.Value.Closed != "":
		d.skip(FieldClientSecret, secret.Value.Closed)
	case managed:
		fields := []FieldChange{{Field: FieldSecretRef, From: text("set"), To: FieldValue{}}, {Field: FieldClientSecret, To: sealed(secret.Value)}}
		if newID {
			fields = append(fields, FieldChange{Field: FieldClientID, From: text(live.ClientID), To: text(id.Value)})
		}
		d.add(UpdateCredentials, secret.Origin, fields...).ID += ":" + FieldSecretRef
	case newID:
		d.skip(FieldClientID, "Terra reads the secret from a store of yours, so client_id is not changed on its own")
	}
	d.updateBeside(nil)
}

// updateCredentials compares a live pair. A new client_id and its secret travel
// together; what is without one is planned whole, and a guard says what is missing.
func (d *diff) updateCredentials() {
	live, id, secret := d.live.Credentials, d.want.ClientID, d.want.Secret
	if id.Mode != Given || id.Value == live.ClientID || d.k.ignores(FieldClientID) {
		d.showRejected()
		d.diffSecret()
		d.updateBeside(nil)
		return
	}
	pair := []FieldChange{{Field: FieldClientID, From: text(live.ClientID), To: text(id.Value)}}
	switch {
	case d.want.Rejected != nil || secret.Mode != Given || d.k.ignores(FieldClientSecret):
		d.add(UpdateCredentials, id.Origin, append(pair, d.fieldsBeside()...)...)
	case secret.Value.Closed != "":
		d.skip("credentials", "client_id changes, its client_secret travels with it and is not open: "+secret.Value.Closed)
	case sameSecret(d.k): // it travels with the client_id, and does not change
		d.updateBeside(pair)
	default:
		d.updateBeside(append(pair, FieldChange{Field: FieldClientSecret, From: FieldValue{Mask: live.Mask, Compared: Differs}, To: sealed(secret.Value)}))
	}
}

// sameSecret tells whether the live secret is the one of the file, whatever its
// client_id is.
func sameSecret(k Connection) bool {
	return k.want().Rejected == nil && k.live().Secret.Result == Equal && k.want().Secret.Mode == Given && !k.ignores(FieldClientSecret)
}

// showRejected shows a rejected key: one that is not used as the rotation that it would
// be, one that is live and has no successor as what must be replaced. A guard holds it.
func (d *diff) showRejected() {
	refused, live := d.want.Rejected, d.live.Secret.LiveKey
	if refused == nil || d.k.ignores(FieldClientSecret) || rejectedIsLive(d.k) && d.want.Secret.Mode == Given {
		return // of a live one the key before it is wanted
	}
	change := FieldChange{
		Field: FieldClientSecret, From: FieldValue{Mask: d.live.Credentials.Mask, Key: live, Compared: Differs},
		To: FieldValue{Key: refused.Key, Sealed: refused.Sealed},
	}
	if rejectedIsLive(d.k) {
		change.From.Compared, change.To = Equal, FieldValue{}
	}
	c := d.add(RotateSecret, refused.Origin, change)
	c.ID += ":" + GuardRejected
	c.Cause, c.Reason = Rotation, number(refused.Key)+" is due"
}

// diffSecret compares the secret of an unchanged client_id.
func (d *diff) diffSecret() {
	want, seen := d.want.Secret, d.live.Secret
	if d.want.UnknownKey && !d.k.ignores(FieldClientSecret) {
		d.diffUnknown()
	}
	if want.Mode != Given || d.k.ignores(FieldClientSecret) {
		return
	}
	switch {
	case want.Value.Closed != "":
		d.skip(FieldClientSecret, want.Value.Closed)
	case seen.Result == Equal:
	case seen.Result == Differs && seen.LiveKey > want.Value.Key && !rejectedIsLive(d.k):
		d.warnEarly()
	case seen.Result == Differs:
		from := FieldValue{Mask: d.live.Credentials.Mask, Key: seen.LiveKey, Compared: Differs}
		d.add(RotateSecret, want.Origin, FieldChange{Field: FieldClientSecret, From: from, To: sealed(want.Value)})
	default:
		d.skip(FieldClientSecret, seen.Reason)
	}
}

// warnEarly says that a later key of the file is live already, which somebody set by hand.
func (d *diff) warnEarly() {
	d.warn(fmt.Sprintf("key %d of %d is live before its time; accepted as rotated early by hand", d.live.Secret.LiveKey, d.want.Keys))
}

// diffUnknown compares a live key that is to stay unknown. Nothing is ever written for
// it: another one is for a person to seal, or to accept as unknown once more.
func (d *diff) diffUnknown() {
	switch seen := d.live.Secret; {
	case seen.OutOfBand:
		d.skip(FieldClientSecret, "the unknown live key was replaced out of band by one that ends like "+d.live.Credentials.Mask)
	case seen.Result == Uncertain:
		d.skip(FieldClientSecret, seen.Reason)
	case seen.LiveKey > 0 && !rejectedIsLive(d.k):
		d.warnEarly()
	}
}

// updateBeside adds what differs beside the pair, and the pair when it differs.
// What was changed out of band is a change of its own beside what the repository asks
// for, so that neither hides behind the other's cause.
func (d *diff) updateBeside(pair []FieldChange) {
	beside := d.fieldsBeside()
	later := has(beside, FieldRedirectURL) && redirectWaits(d.k)
	if later {
		beside = without(beside, FieldRedirectURL)
	}
	var fields, drifted []FieldChange
	sort := func(together ...FieldChange) {
		if len(together) > 0 && causeOf(d.k, UpdateCredentials, together) == Drift {
			drifted = append(drifted, together...)
		} else {
			fields = append(fields, together...)
		}
	}
	sort(pair...)
	for _, f := range beside {
		sort(f)
	}
	if len(fields) == 0 {
		fields, drifted = drifted, nil
	}
	if len(fields) > 0 {
		d.add(UpdateCredentials, d.originOf(fields[0].Field), fields...)
	}
	if len(drifted) > 0 {
		d.add(UpdateCredentials, d.originOf(drifted[0].Field), drifted...).ID += ":" + string(Drift)
	}
	if later {
		d.addRedirect()
	}
}

// fieldsBeside compares redirect_url, verification_secret and sandbox.
func (d *diff) fieldsBeside() []FieldChange {
	var fields []FieldChange
	live := d.live.Credentials
	if want := d.want.RedirectURL; !d.k.ignores(FieldRedirectURL) {
		from := FieldValue{Default: true}
		if live.RedirectURL != nil {
			from = text(*live.RedirectURL)
		}
		switch {
		case want.Mode == Given && (live.RedirectURL == nil || *live.RedirectURL != want.Value):
			fields = append(fields, FieldChange{Field: FieldRedirectURL, From: from, To: text(want.Value)})
		case want.Mode == Default && live.RedirectURL != nil && !live.IsDefault:
			fields = append(fields, FieldChange{Field: FieldRedirectURL, From: from, To: FieldValue{Default: true}})
		}
	}
	if want, seen := d.want.VerificationSecret, d.live.Verification; !d.k.ignores(FieldVerificationSecret) {
		switch {
		case want.Mode == Default && live.HasVerification:
			fields = append(fields, FieldChange{Field: FieldVerificationSecret, From: FieldValue{Mask: "****"}, To: FieldValue{Default: true}})
		case want.Mode != Given:
		case want.Value.Closed != "":
			d.skip(FieldVerificationSecret, want.Value.Closed)
		case !live.HasVerification:
			fields = append(fields, FieldChange{Field: FieldVerificationSecret, To: sealed(want.Value)})
		case seen.Result == Differs:
			fields = append(fields, FieldChange{Field: FieldVerificationSecret, From: FieldValue{Mask: "****", Compared: Differs}, To: sealed(want.Value)})
		case seen.Result != Equal:
			d.skip(FieldVerificationSecret, seen.Reason)
		}
	}
	if want := d.want.Sandbox; want.Mode != Unmanaged && !d.k.ignores(FieldSandbox) && live.Sandbox != want.Value {
		fields = append(fields, FieldChange{Field: FieldSandbox, From: text(strconv.FormatBool(live.Sandbox)), To: text(strconv.FormatBool(want.Value))})
	}
	return fields
}

// redirectWaits tells whether the file's redirect_url is on its custom domain, and that
// does not serve yet.
func redirectWaits(k Connection) bool {
	redirect, domain, live := k.want().RedirectURL, k.want().Domain, k.domain()
	u, err := url.Parse(redirect.Value)
	if redirect.Mode != Given || domain.Mode != Given || err != nil || !strings.EqualFold(u.Hostname(), domain.Value) {
		return false
	}
	return live == nil || !live.Live || !strings.EqualFold(live.Hostname, u.Hostname())
}

// addRedirect moves the redirect_url on its own.
func (d *diff) addRedirect() {
	from := FieldValue{}
	if live := d.live.Credentials; live != nil && live.RedirectURL != nil {
		from = text(*live.RedirectURL)
	}
	c := d.add(UpdateCredentials, d.want.RedirectURL.Origin, FieldChange{Field: FieldRedirectURL, From: from, To: text(d.want.RedirectURL.Value)})
	c.ID += ":" + FieldRedirectURL
}

func (d *diff) originOf(field string) string {
	return map[string]string{
		FieldClientID: d.want.ClientID.Origin, FieldClientSecret: d.want.Secret.Origin, FieldRedirectURL: d.want.RedirectURL.Origin,
		FieldVerificationSecret: d.want.VerificationSecret.Origin, FieldSandbox: d.want.Sandbox.Origin,
	}[field]
}
