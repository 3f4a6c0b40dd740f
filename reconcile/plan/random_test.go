package plan

import (
	"maps"
	"math/rand/v2"
	"slices"
	"time"
)

// dice makes random inputs that are as wild as the types allow, with few values,
// so that coincidences are frequent.
type dice struct{ *rand.Rand }

func (r dice) chance(percent int) bool { return r.IntN(100) < percent }

func pick[T any](r dice, from ...T) T { return from[r.IntN(len(from))] }

func set[T any](r dice, values ...T) Setting[T] {
	switch r.IntN(4) {
	case 0:
		return Setting[T]{}
	case 1:
		return Setting[T]{Mode: Default}
	default:
		return Setting[T]{Mode: Given, Value: pick(r, values...)}
	}
}

func given[T any](s Setting[T]) Setting[T] {
	if s.Mode == Default {
		s.Mode = Unmanaged
	}
	return s
}

func (r dice) subset(of ...string) []string {
	out := []string{}
	for _, s := range of {
		if r.chance(50) {
			out = append(out, s)
		}
	}
	r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

func (r dice) secret(names ...string) Setting[Secret] {
	name := pick(r, names...)
	s := Setting[Secret]{Mode: pick(r, Unmanaged, Given, Given), Value: Secret{Sealed: "sealed-" + name, Digest: digestMark + name, Key: 1 + r.IntN(3)}}
	if r.chance(8) {
		s.Value.Closed, s.Value.Digest = "no identity", ""
	}
	return s
}

const randomNow = "2026-11-22T12:00:00Z"

func (r dice) input() facts {
	now, _ := time.Parse(time.RFC3339, randomNow)
	in := facts{
		Now: now, Environment: r.environment(now), Observed: map[string]Observed{}, Users: map[string]Users{},
		Probes: map[string]Probe{}, ApprovedAll: r.chance(25), NowFlag: r.chance(20), Asks: r.chance(50),
		Memory: Memory{Known: r.chance(80), Suspended: r.chance(10), Connections: map[string]Remembered{}},
	}
	in.RedirectHosts = pick(r, []string{"a.example", "b.example", "other.example"}, []string{"*.example"}, []string{"a.example"}, nil)
	in.Rewound = pick(r, "", "", "", "", "", "", "", "", "the branch is rewound: commit a was attempted before commit b")
	if r.chance(12) {
		in.KillSwitches = append(in.KillSwitches, KillSwitch{Provider: pick(r, "", "strava", "whoop"), Target: "production", Reason: "r", Owner: "o",
			Until: now.Add(time.Duration(r.IntN(3)-1) * time.Hour)})
	}
	if r.chance(90) {
		in.Types = map[string]Type{}
	}
	in.After = map[string]After{}
	empty := r.chance(5)
	for _, provider := range []string{"dexcom", "garmin", "polar", "strava", "whoop"} {
		if in.Types != nil && r.chance(95) {
			in.Types[provider] = Type{BYO: r.chance(50), CustomCredentials: r.chance(90), CustomScopes: r.chance(90), CredentialsRequired: r.chance(20)}
		}
		d := r.desired(provider, now)
		if r.chance(75) && !empty {
			in.Desired = append(in.Desired, d)
		}
		if r.chance(70) {
			in.Observed[provider] = r.observed()
		}
		if r.chance(60) {
			in.Memory.Connections[provider] = r.remembered(d)
		}
		if r.chance(20) {
			in.After[provider] = r.after(d, now)
		}
		if r.chance(70) {
			in.Users[provider] = Users{Count: pick(r, 0, 0, 1, 50), Exact: r.chance(80)}
		}
		if r.chance(30) {
			probe := Probe{Verdict: pick(r, Good, Bad, ProbeUnknown), Reason: "why", At: now}
			if probe.Verdict == Bad && r.chance(50) {
				probe.Again = now.Add(time.Minute)
			}
			in.Probes[provider] = probe
		}
	}
	return in
}

func (r dice) environment(now time.Time) Environment {
	e := Environment{
		Name: "production", DevID: "d", Origin: "environment.yaml:1", Observe: r.chance(3), PruneDisable: r.chance(50),
		RevertDrift: r.chance(80), RevertSecretDrift: r.chance(40), CapCount: r.IntN(5), CapPercent: 1 + r.IntN(100), MaxRotations: r.IntN(3),
	}
	if r.chance(15) {
		e.Windows = []Window{{Days: []time.Weekday{time.Weekday(r.IntN(7))}, From: r.IntN(1440), To: r.IntN(1440), Location: time.UTC}}
	}
	if r.chance(8) {
		e.Suspend = r.suspend(now)
	}
	e.Protect = r.subset("strava", "whoop")
	if r.chance(70) {
		e.Protect = nil
	}
	for range r.IntN(3) {
		e.Allow = append(e.Allow, Allow{
			Provider: pick(r, "strava", "whoop", "polar"), Until: now.Add(time.Duration(r.IntN(3)-1) * time.Hour), Origin: "environment.yaml:9",
			Change: pick(r, "prune", "adopt", "client_id", "client_secret", "secret_ref", "sandbox", "state", "scopes", "update-credentials", "disable", "enable", "pause"), To: pick(r, "", "", "1", "2"),
		})
	}
	return e
}

func (r dice) after(d Desired, now time.Time) After {
	ago := func() time.Time { return now.Add(-time.Duration(r.IntN(4)) * time.Hour) }
	out := After{Environment: "staging", For: time.Duration(r.IntN(3)) * time.Hour, Origin: "environment.yaml:3"}
	if wants := d; r.chance(80) {
		if r.chance(10) {
			wants.Scopes = set(r, []string{"a"}, []string{"b"})
		}
		out.Wants = &wants
	}
	if r.chance(80) {
		m := r.remembered(d)
		m.Since = map[string]time.Time{}
		for field := range m.Fields {
			if r.chance(90) {
				m.Since[field] = ago()
			}
		}
		if r.chance(80) {
			m.Synced = ago()
		}
		out.There = &m
	}
	if r.chance(30) {
		out.Gone = ago()
	}
	out.Unknown = pick(r, "", "", "", "", "it is paused")
	return out
}

func (r dice) suspend(now time.Time) *Suspend {
	return &Suspend{Reason: "r", Owner: "o", Until: now.Add(time.Duration(r.IntN(3)-1) * time.Hour)}
}

func (r dice) desired(provider string, now time.Time) Desired {
	d := Desired{
		Provider: provider, Origin: provider + ".yaml:1", State: pick(r, Active, Active, Active, Paused, Disabled), App: set(r, "own", "terra"),
		Credentials: r.chance(70), Keys: 3, Scopes: set(r, r.subset("a", "b", "c"), []string{"a"}), Domain: set(r, "a.example", "b.example"),
	}
	d.Webhooks = given(set(r, true))
	if d.Credentials {
		d.ClientID, d.Secret = given(set(r, "1", "2")), r.secret("k1", "k2")
		d.RedirectURL = set(r, "https://a.example/x", "https://other.example/x")
		d.VerificationSecret, d.Sandbox = r.secret("v1", "v2"), set(r, true, false)
	}
	if d.Secret.Mode == Given {
		d.SecretReason = "due"
	}
	if r.chance(15) {
		d.Ignore = r.subset(FieldState, FieldClientID, FieldClientSecret, FieldRedirectURL, FieldSandbox, FieldScopes, FieldDomain, FieldApp, FieldWebhooks, FieldVerificationSecret)
	}
	if r.chance(15) {
		d.Protect = given(set(r, true, false))
	}
	if r.chance(5) {
		d.Suspend = r.suspend(now)
	}
	if r.chance(5) {
		d.Prerequisites = []Prerequisite{{Step: "s", Reason: "r"}}
	}
	if r.chance(3) {
		d.Unreadable = "does not open"
	}
	r.keys(&d, now)
	return d
}

// keys says what became of a newer key, and what is known of the one that is due.
func (r dice) keys(d *Desired, now time.Time) {
	if !d.Credentials || r.chance(75) {
		return
	}
	if r.chance(70) {
		d.Rejected = &RejectedKey{Key: min(3, d.Secret.Value.Key+1), Sealed: "sealed-refused", Origin: d.Origin, Reason: "it is rejected", At: now, ByUsers: r.chance(30), Accepted: r.chance(30)}
	}
	d.WasLive, d.LiveSince = r.chance(50), now.Add(time.Duration(r.IntN(3)-1)*time.Hour)
	if r.chance(30) {
		d.ProbeRequired = d.Origin
	}
}

func (r dice) observed() Observed {
	o := Observed{Active: r.chance(80), Variant: pick(r, "standard", "byo"), Secret: r.comparison(), Verification: r.comparison()}
	if r.chance(5) {
		return Observed{Active: o.Active, Variant: o.Variant, Failed: "503"}
	}
	if r.chance(95) {
		o.Credentials = &Credentials{Set: r.chance(85), TerraOwned: o.Variant == "standard" && r.chance(30), ClientID: pick(r, "1", "2"), Mask: "****1111", Sandbox: r.chance(50), HasVerification: r.chance(50), SecretRef: r.chance(8)}
		if r.chance(60) {
			url := pick(r, "https://a.example/x", "https://other.example/x")
			o.Credentials.RedirectURL = &url
		}
	}
	if o.Credentials != nil && !o.Credentials.Set {
		o.Credentials = &Credentials{}
	}
	if r.chance(95) {
		o.Scopes = &Scopes{Customised: r.chance(50), Enabled: r.subset("a", "b", "c"), Required: r.subset("a"), Offered: []string{"a", "b", "c"}}
		o.Scopes.Enabled = sorted(append(o.Scopes.Enabled, o.Scopes.Required...))
	}
	if r.chance(95) {
		o.Domain = &Domain{Hostname: pick(r, "", "a.example", "b.example"), Live: r.chance(60), State: "S", Publish: "A"}
	}
	if r.chance(95) {
		o.Webhooks = &Webhooks{Fingerprint: "f", Pending: r.IntN(3), HasExisting: r.chance(50), Locked: r.chance(10)}
	}
	return o
}

func (r dice) comparison() Comparison {
	c := Comparison{Result: pick(r, Equal, Equal, Differs, Differs, Uncertain, ""), LiveKey: r.IntN(4), Asked: r.chance(50)}
	if c.Result == Uncertain {
		c.Reason = "no dry run"
	}
	return c
}

func (r dice) remembered(d Desired) Remembered {
	m := Remembered{Enabled: r.chance(50), Protected: r.chance(10), Paused: r.chance(20), Suspended: r.chance(10), Fields: desiredTokens(d)}
	now, _ := time.Parse(time.RFC3339, randomNow)
	for _, field := range []string{FieldState, FieldRedirectURL, FieldScopes, FieldClientSecret} {
		if at := now.Add(-pick(r, time.Minute, 2*time.Hour, 8*24*time.Hour)); r.chance(8) {
			m.Reverted = map[string]Reverted{field: {Times: 1 + r.IntN(2), Since: at, At: at}}
		}
	}
	if d.RedirectURL.Mode == Given && r.chance(15) {
		m.Unshown = map[string]Unshown{FieldRedirectURL: {Sent: text(d.RedirectURL.Value).token(), Before: pick(r, "default", "none", "value:x"), At: now, Times: 1 + r.IntN(2)}}
	}
	if r.chance(50) {
		m.KeysGone = now.Add(-pick(r, time.Minute, time.Hour))
	}
	for _, field := range slices.Sorted(maps.Keys(m.Fields)) {
		switch r.IntN(5) {
		case 0:
			delete(m.Fields, field)
		case 1:
			m.Fields[field] = pick(r, "other", UnknownKey)
		}
	}
	return m
}

// friendly takes away most of what holds a change, so that whole plans run.
func (r dice) friendly(in facts) facts {
	in.Environment.CapCount, in.Environment.CapPercent, in.Environment.MaxRotations = 100, 100, 100
	in.Environment.Observe, in.Environment.Suspend, in.Environment.Windows, in.After = false, nil, nil, nil
	in.Environment.RevertDrift, in.ApprovedAll, in.ApprovedEach, in.Probes = true, true, true, nil
	in.Environment.Protect = nil
	for i := range in.Desired {
		in.Desired[i].Suspend, in.Desired[i].Prerequisites, in.Desired[i].Protect = nil, nil, Setting[bool]{Mode: Given}
		in.Desired[i].Rejected = nil
	}
	return in
}

// shuffled is the same input in another order.
func (r dice) shuffled(in facts) facts {
	in.Desired = slices.Clone(in.Desired)
	r.Shuffle(len(in.Desired), func(i, j int) { in.Desired[i], in.Desired[j] = in.Desired[j], in.Desired[i] })
	for i := range in.Desired {
		s := slices.Clone(in.Desired[i].Scopes.Value)
		r.Shuffle(len(s), func(i, j int) { s[i], s[j] = s[j], s[i] })
		in.Desired[i].Scopes.Value = s
	}
	return in
}
