package plan

import (
	"maps"
	"slices"
	"strconv"
	"time"
)

// Memory is what was last agreed between the repository and one dev_id.
type Memory struct {
	Known     bool `json:"known"`     // a run has finished here before
	Suspended bool `json:"suspended"` // the environment was suspended or paused in the last run
	// Gone is, by provider, since when no file names a connection that was remembered, and
	// Terra does not list it.
	Gone        map[string]time.Time  `json:"gone,omitempty"`
	Connections map[string]Remembered `json:"-"` // by provider
}

// Of gives what is remembered of a connection, nil when that is nothing. Where no run
// has finished only its protection counts.
func (m Memory) Of(provider string) *Remembered {
	r, had := m.Connections[provider]
	switch {
	case !had:
		return nil
	case !m.Known:
		return &Remembered{Noted: true, Protected: r.Protected}
	}
	return &r
}

// Remembered is one connection as it was last agreed.
type Remembered struct {
	Noted     bool              `json:"noted,omitempty"` // known of, but not adopted: nothing is agreed, only what holds it is remembered
	Enabled   bool              `json:"enabled"`         // we enabled it; false: found and adopted
	Protected bool              `json:"protected"`       // stays protected when its file goes
	Paused    bool              `json:"paused"`          // we paused it
	Suspended bool              `json:"suspended"`       // it was suspended or paused, and not all that this held has been settled since
	Fields    map[string]string `json:"fields"`          // field -> token of the desired value last agreed; secrets as keyed digests
	Held      map[string]Cause  `json:"held,omitempty"`  // field -> create, adopt, or drift of the keys, while a change of it was held for that
	// UnknownMask is the keyed digest of the mask of the live key, where that was agreed
	// to be unknown: all there is to tell it from another.
	UnknownMask string `json:"unknown_mask,omitempty"`
	// Unshown is, by field, a value that Terra accepted and did not show.
	Unshown map[string]Unshown `json:"unshown,omitempty"`
	// Reverted is, by field, drift that we have written over, as long as it may come back.
	Reverted map[string]Reverted `json:"reverted,omitempty"`
	// DefaultRedirect is what Terra shows for a redirect_url of null, as its answer to a
	// reset said; "" where none was made, and for a host known as Terra's.
	DefaultRedirect string `json:"default_redirect,omitempty"`
	// SharedDomain is the domain of the file, where Terra answered to its claim that
	// another environment set it up and that it serves; it need not show it before the
	// redirect is on it.
	SharedDomain string `json:"shared_domain,omitempty"`
	// KeysGone is since when Terra shows no keys although some were agreed; zero while it
	// shows them.
	KeysGone time.Time `json:"keys_gone,omitzero"`
	// Since is, by field, since when Terra has been seen with what is agreed, without a run
	// that saw it differ. Synced is that of the whole connection; zero where the last run
	// did not see it in sync.
	Since      map[string]time.Time `json:"since,omitempty"`
	Synced     time.Time            `json:"synced,omitzero"`
	VerifiedAt time.Time            `json:"verified_at"`
	UpdatedAt  time.Time            `json:"updated_at"`
}

// Unshown is a write that Terra accepted and did not show. Both sides are tokens.
type Unshown struct {
	Sent   string    `json:"sent"`
	Before string    `json:"before"` // what Terra showed when it was sent
	At     time.Time `json:"at"`     // when it was sent last
	Times  int       `json:"times"`
}

// Reverted is drift that we have written over.
type Reverted struct {
	Times int       `json:"times"`
	Since time.Time `json:"since"` // the first time
	At    time.Time `json:"at"`    // the last time
}

// revertedFor is how long drift that comes back counts as the same.
const revertedFor = 7 * 24 * time.Hour

// again gives what is remembered once more of it is written over.
func (r Reverted) again(now time.Time) Reverted {
	if r.Times == 0 || r.isOver(now) {
		r = Reverted{Since: now}
	}
	r.Times, r.At = r.Times+1, now
	return r
}

func (r Reverted) isOver(now time.Time) bool { return now.Sub(r.At) > revertedFor }

// Clone gives a copy that shares nothing with m.
func (m Remembered) Clone() Remembered {
	m.Fields, m.Held = maps.Clone(m.Fields), maps.Clone(m.Held)
	m.Unshown, m.Reverted, m.Since = maps.Clone(m.Unshown), maps.Clone(m.Reverted), maps.Clone(m.Since)
	return m
}

// heldFirst gives the cause for which a change of any of the fields was held as part of
// the first set-up, "" for none.
func (m Remembered) heldFirst(fields []FieldChange) Cause {
	for _, f := range fields {
		if cause := m.Held[f.Field]; cause.IsFirst() {
			return cause
		}
	}
	return ""
}

// heldDrift tells whether a change of any of the fields was held as drift.
func (m Remembered) heldDrift(fields []FieldChange) bool {
	return slices.ContainsFunc(fields, func(f FieldChange) bool { return m.Held[f.Field] == Drift })
}

func (m *Remembered) hold(field string, cause Cause) {
	if m.Held == nil {
		m.Held = map[string]Cause{}
	}
	m.Held[field] = cause
}

// UnknownKey is the token of a key that was set before this repository
// was, and that the file says so of: it is known of, so that the first real key
// replaces it as a rotation and not as an adoption.
const UnknownKey = "unknown"

// desiredTokens gives the token of each field that a file manages: the value
// itself, "default", or the keyed digest of a secret.
func desiredTokens(d Desired) map[string]string {
	t := map[string]string{FieldState: string(d.State)}
	put := func(field string, mode Mode, value string) {
		switch mode {
		case Given:
			t[field] = value
		case Default:
			t[field] = "default"
		case Unmanaged:
		}
	}
	put(FieldApp, d.App.Mode, d.App.Value)
	put(FieldClientID, d.ClientID.Mode, d.ClientID.Value)
	put(FieldClientSecret, d.Secret.Mode, d.Secret.Value.Digest)
	if d.UnknownKey {
		t[FieldClientSecret] = UnknownKey
	}
	put(FieldRedirectURL, d.RedirectURL.Mode, d.RedirectURL.Value)
	put(FieldVerificationSecret, d.VerificationSecret.Mode, d.VerificationSecret.Value.Digest)
	put(FieldSandbox, d.Sandbox.Mode, strconv.FormatBool(d.Sandbox.Value))
	if put(FieldScopes, d.Scopes.Mode, ""); d.Scopes.Mode == Given {
		t[FieldScopes] = listToken(sorted(d.Scopes.Value))
	}
	put(FieldDomain, d.Domain.Mode, d.Domain.Value)
	put(FieldWebhooks, d.Webhooks.Mode, "managed")
	return t
}
