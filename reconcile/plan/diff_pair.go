package plan

import "fmt"

// replaceSecretRef covers a live secret that Terra reads from the customer's own
// store. The pair is a change of its own; the fields beside it are compared as
// they always are.
func (d *diff) replaceSecretRef() {
	live, id, secret := d.live.Credentials, d.want.ClientID, d.want.Secret
	newID := id.Mode == Given && id.Value != live.ClientID && !d.ignored(FieldClientID)
	switch {
	case secret.Mode == Given && !d.ignored(FieldClientSecret) && secret.Value.Closed != "":
		d.skip(FieldClientSecret, secret.Value.Closed)
	case secret.Mode == Given && !d.ignored(FieldClientSecret):
		fields := []FieldChange{{Field: FieldSecretRef, From: text("set"), To: FieldValue{}}, {Field: FieldClientSecret, To: sealed(secret.Value)}}
		if newID {
			fields = append(fields, FieldChange{Field: FieldClientID, From: text(live.ClientID), To: text(id.Value)})
		}
		c := d.add(UpdateCredentials, secret.Origin, fields)
		c.ID += ":" + FieldSecretRef
		if !findAllow(d.in, *c, FieldSecretRef, "") {
			c.block("secret-ref", "Terra reads this secret from a store of yours; to replace that, commit allow: [{change: secret_ref, …}]")
		}
	case newID:
		d.skip(FieldClientID, "Terra reads the secret from a store of yours, so client_id is not changed on its own")
	}
	d.updatePlain(nil)
}

func (d *diff) updateCredentials() {
	live, id := d.live.Credentials, d.want.ClientID
	if id.Mode != Given || id.Value == live.ClientID || d.ignored(FieldClientID) {
		d.diffSecret()
		d.updatePlain(nil)
		return
	}
	secret := d.want.Secret
	pair := []FieldChange{{Field: FieldClientID, From: text(live.ClientID), To: text(id.Value)}}
	why := ""
	switch {
	case d.want.Refused != nil:
		why = "client_id changes and its key is kept out: " + number(d.want.Refused.Key) + ": " + d.want.Refused.words() + "; seal another one: `reconcile rotate add " + d.id + "`"
	case secret.Mode != Given:
		why = "client_id changes but no key of the file is due; the new app's secret must come with it"
	case d.ignored(FieldClientSecret):
		why = "client_id changes but policy.ignore leaves client_secret alone; the new app's secret must come with it"
	case secret.Value.Closed != "":
		d.skip("credentials", "client_id changes, its client_secret travels with it and is not open: "+secret.Value.Closed)
		return
	default:
		pair = append(pair, FieldChange{Field: FieldClientSecret, From: FieldValue{Mask: live.Mask, Compared: Differs}, To: sealed(secret.Value)})
	}
	if why != "" {
		d.add(UpdateCredentials, id.Origin, append(pair, d.diffPlainCredentials()...)).block("credentials", why)
		return
	}
	d.updatePlain(pair)
}

// updatePlain adds what differs beside the pair, and the pair when it differs.
// What somebody changed by hand is a change of its own beside what the
// repository asks for anew, so that neither hides behind the other's cause.
func (d *diff) updatePlain(pair []FieldChange) {
	plain := d.diffPlainCredentials()
	redirect, waits := d.redirectWaits(plain)
	if waits {
		plain = without(plain, FieldRedirectURL)
	}
	var fields, drifted []FieldChange
	sort := func(together ...FieldChange) {
		if len(together) > 0 && d.causeOf(UpdateCredentials, together) == Drift {
			drifted = append(drifted, together...)
		} else {
			fields = append(fields, together...)
		}
	}
	sort(pair...)
	for _, f := range plain {
		sort(f)
	}
	if len(fields) == 0 {
		fields, drifted = drifted, nil
	}
	if len(fields) > 0 {
		d.add(UpdateCredentials, d.originOf(fields[0].Field), fields)
	}
	if len(drifted) > 0 {
		d.add(UpdateCredentials, d.originOf(drifted[0].Field), drifted).ID += ":" + string(Drift)
	}
	if waits {
		d.waitForDomain(redirect)
	}
}

// diffSecret compares the secret of an unchanged client_id.
func (d *diff) diffSecret() {
	d.diffRefused()
	want, seen := d.want.Secret, d.live.Secret
	if want.Mode != Given || d.ignored(FieldClientSecret) {
		return
	}
	switch {
	case want.Value.Closed != "":
		d.skip(FieldClientSecret, want.Value.Closed)
	case seen.Result == Equal:
	case seen.Result == Differs && seen.LiveKey > want.Value.Key && !d.refusedIsLive():
		d.warnings = append(d.warnings, Warn(d.id, fmt.Sprintf("key %d of %d is live before its time; accepted as rotated early by hand", seen.LiveKey, d.want.Keys)))
	case seen.Result == Differs:
		from := FieldValue{Mask: d.live.Credentials.Mask, Key: seen.LiveKey, Compared: Differs}
		d.add(RotateSecret, want.Origin, []FieldChange{{Field: FieldClientSecret, From: from, To: sealed(want.Value)}})
	default:
		d.skip(FieldClientSecret, seen.Reason)
	}
}
