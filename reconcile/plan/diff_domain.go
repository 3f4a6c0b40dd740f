package plan

import (
	"fmt"
	"strings"
)

// diffDomain compares the custom domain of the redirect. Replacing one is never
// automatic, because every registered address at the provider points at it.
func (d *diff) diffDomain() {
	want := d.want.Domain
	if want.Mode == Unmanaged || d.ignored(FieldDomain) {
		return
	}
	live := Domain{}
	if d.isLive {
		if d.live.Domain == nil {
			d.skip(FieldDomain, "the custom domain could not be read")
			return
		}
		live = *d.live.Domain
	}
	switch {
	case want.Mode == Default && live.Hostname != "":
		d.add(ReleaseDomain, want.Origin, []FieldChange{{Field: FieldDomain, From: text(live.Hostname), To: FieldValue{Default: true}}})
	case want.Mode == Default:
	case live.Hostname == "":
		d.add(SetDomain, want.Origin, []FieldChange{{Field: FieldDomain, To: text(want.Value)}})
	case !strings.EqualFold(live.Hostname, want.Value):
		d.add(SetDomain, want.Origin, []FieldChange{{Field: FieldDomain, From: text(live.Hostname), To: text(want.Value)}}).block("domain",
			fmt.Sprintf("replacing %s is never automatic: move the redirect_url away, commit `domain: null`, then name %s", live.Hostname, want.Value))
	case !live.Live:
		d.warnings = append(d.warnings, Warn(d.id, fmt.Sprintf("%s is %s and does not serve yet; publish %s", live.Hostname, live.State, live.Publish)))
	}
}

// diffWebhooks compares Garmin's webhook rows with the custom domain.
func (d *diff) diffWebhooks() {
	want := d.want.Webhooks
	if want.Mode != Given || !want.Value || d.ignored(FieldWebhooks) {
		return
	}
	change := []FieldChange{{Field: FieldWebhooks, To: text("managed")}}
	live := d.live.Webhooks
	switch {
	case !d.isLive:
		d.wait(change, "the rows are reviewed once the keys are set and the custom domain serves")
	case live == nil:
		d.skip(FieldWebhooks, "the webhook rows could not be read")
	case live.Reason != "":
		d.wait(change, live.Reason)
	case live.Pending == 0:
	case live.Locked:
		d.wait(change, "the provider locks the rows for a few minutes after a change")
	default:
		change[0].From = text(fmt.Sprintf("%d rows to set (review %s)", live.Pending, live.Fingerprint))
		d.add(ApplyWebhooks, want.Origin, change)
	}
}

func (d *diff) wait(fields []FieldChange, reason string) {
	c := d.add(ApplyWebhooks, d.want.Webhooks.Origin, fields)
	c.Gate, c.Guard, c.GateReason = Waiting, "order", reason
}
