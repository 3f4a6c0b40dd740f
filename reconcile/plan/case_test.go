package plan

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata"
)

// story is an facts as a person writes it in testdata: files as they stand in a
// repository, Terra in the words of Observed, memory as what differs from the
// files. Defaults: environment production, on_drift revert, caps that never trip.
type story struct {
	Now          time.Time
	Environment  storyEnvironment
	Files        map[string]storyFile
	Terra        map[string]Observed
	Types        map[string]Type
	Memory       *storyMemory
	Users        map[string]string // "12" is exact, "12+" is at least
	Probes       map[string]Probe
	Approved     bool
	IgnoreTime   bool // --now
	KillSwitches []KillSwitch
	After        map[string]After
	Asks         bool // this run asks the providers
	Hosts        []string
	Rewound      string `json:"rewound"`
}

type storyEnvironment struct {
	Environment
	Windows []storyWindow
}

type storyWindow struct {
	Days         []time.Weekday
	From, To, TZ string
}

type storyFile struct {
	State         State
	App           field[string]
	ClientID      field[string]      `json:"client_id"`
	Secret        field[storySecret] `json:"client_secret"`
	Keys          int
	RedirectURL   field[string]      `json:"redirect_url"`
	Verification  field[storySecret] `json:"verification_secret"`
	Sandbox       field[bool]
	Scopes        field[[]string]
	Domain        field[string]
	Webhooks      field[bool]
	Ignore        []string
	Protect       field[bool]
	Suspend       *Suspend
	Prerequisites []Prerequisite
	Warnings      []Warning
	Unreadable    string
	UnknownKey    bool `json:"unknown_key"`

	NextKey       int       `json:"next_key"`
	NextKeyAt     time.Time `json:"next_key_at"`
	Rejected      *RejectedKey
	WasLive       bool      `json:"was_live"`
	LiveSince     time.Time `json:"live_since"`
	ProbeRequired string    `json:"probe_required"`
}

type storySecret struct {
	Name, Closed string
	Key          int
}

type storyMemory struct {
	Suspended   bool
	Connections map[string]storyRemembered
}

type storyRemembered struct {
	Enabled, Protected, Paused, Suspended bool
	Agreed                                bool // all that the file asks for
	Fields                                map[string]string
	Forgotten                             []string
	Unshown                               map[string]Unshown
	Reverted                              map[string]Reverted
	KeysGone                              time.Time
}

// field tells omitted (not in the text), null and given apart.
type field[T any] struct{ Setting[T] }

func (f *field[T]) UnmarshalJSON(b []byte) error {
	f.Mode = Given
	if string(b) == "null" {
		f.Mode = Default
		return nil
	}
	return json.Unmarshal(b, &f.Value)
}

func readStory(text []byte) (facts, error) {
	hosts := []string{"a.example", "new.example", "*.acme.example"} // unless a story has its own
	s := story{Now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC), Hosts: hosts, Environment: storyEnvironment{Environment: Environment{
		Name: "production", DevID: "prod-1", Origin: "production/environment.yaml:1", RevertDrift: true,
		CapCount: 100, CapPercent: 100, CapOrigin: "production/environment.yaml:9", MaxRotations: 3,
		PruneOrigin: "production/environment.yaml:2", WindowsOrigin: "production/environment.yaml:5", ProtectOrigin: "production/environment.yaml:11",
	}}}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&s); err != nil {
		return facts{}, err
	}
	return s.input()
}

func (s story) input() (facts, error) {
	in := facts{Now: s.Now, Environment: s.Environment.Environment, Observed: s.Terra, Types: s.Types, Users: map[string]Users{},
		Probes: s.Probes, ApprovedAll: s.Approved, NowFlag: s.IgnoreTime, KillSwitches: s.KillSwitches, After: s.After, Asks: s.Asks,
		RedirectHosts: s.Hosts, Rewound: s.Rewound}
	for _, w := range s.Environment.Windows {
		window, err := w.window()
		if err != nil {
			return facts{}, err
		}
		in.Environment.Windows = append(in.Environment.Windows, window)
	}
	for provider, f := range s.Files {
		in.Desired = append(in.Desired, f.desired(provider))
	}
	slices.SortFunc(in.Desired, func(a, b Desired) int { return strings.Compare(a.Provider, b.Provider) })
	for provider, text := range s.Users {
		digits, more := strings.CutSuffix(text, "+")
		n, err := strconv.Atoi(digits)
		if err != nil {
			return facts{}, err
		}
		in.Users[provider] = Users{Count: n, Exact: !more}
	}
	if s.Memory == nil {
		return in, nil
	}
	in.Memory = Memory{Known: true, Suspended: s.Memory.Suspended, Connections: map[string]Remembered{}}
	for provider, m := range s.Memory.Connections {
		in.Memory.Connections[provider] = m.remembered(desiredOf(in, provider))
	}
	return in, nil
}

func (w storyWindow) window() (Window, error) {
	zones := []string{"", "UTC", "Europe/London", "America/New_York", "Australia/Lord_Howe"}
	if !slices.Contains(zones, w.TZ) {
		return Window{}, errors.New("another time zone")
	}
	zone, err := time.LoadLocation(w.TZ)
	if err != nil {
		return Window{}, err
	}
	from, to := 0, 0
	for text, into := range map[string]*int{w.From: &from, w.To: &to} {
		at, err := time.Parse("15:04", text)
		if err != nil {
			return Window{}, err
		}
		*into = at.Hour()*60 + at.Minute()
	}
	return Window{Days: w.Days, From: from, To: to, Location: zone}, nil
}

func (f storyFile) desired(provider string) Desired {
	file := "production/" + provider + ".yaml"
	if f.State == "" {
		f.State = Active
	}
	d := Desired{
		Provider: provider, Origin: file + ":1", State: f.State, App: f.App.Setting, ClientID: f.ClientID.Setting,
		Secret: f.Secret.secret(), Keys: f.Keys, RedirectURL: f.RedirectURL.Setting, VerificationSecret: f.Verification.secret(),
		Sandbox: f.Sandbox.Setting, Scopes: f.Scopes.Setting, Domain: f.Domain.Setting, Webhooks: f.Webhooks.Setting,
		Ignore: f.Ignore, Protect: f.Protect.Setting, Suspend: f.Suspend, Prerequisites: f.Prerequisites, Warnings: f.Warnings, Unreadable: f.Unreadable, UnknownKey: f.UnknownKey, NextKey: f.NextKey, NextKeyAt: f.NextKeyAt,
		Rejected: f.Rejected, WasLive: f.WasLive, LiveSince: f.LiveSince, ProbeRequired: f.ProbeRequired,
	}
	d.Credentials = d.ClientID.Mode != Unmanaged || d.Secret.Mode != Unmanaged || d.RedirectURL.Mode != Unmanaged ||
		d.VerificationSecret.Mode != Unmanaged || d.Sandbox.Mode != Unmanaged
	d.Protect.Origin = file + ":12"
	if d.Secret.Mode == Given {
		d.SecretReason = fmt.Sprintf("key %d of %d is due", d.Secret.Value.Key, d.Keys)
		d.Secret.Origin = file + ":7"
	}
	return d
}

// secret never fills a digest with what a person could mistake for one of a plan.
func (f field[T]) secret() Setting[Secret] {
	s, ok := any(f.Value).(storySecret)
	if !ok || f.Mode != Given {
		return Setting[Secret]{Mode: f.Mode}
	}
	out := Setting[Secret]{Mode: Given, Value: Secret{Sealed: "sealed-" + s.Name, Digest: digestMark + s.Name, Key: s.Key, Closed: s.Closed}}
	if s.Closed != "" {
		out.Value.Digest = ""
	}
	return out
}

const digestMark = "DIGEST-"

func (m storyRemembered) remembered(d Desired) Remembered {
	out := Remembered{Enabled: m.Enabled, Protected: m.Protected, Paused: m.Paused, Suspended: m.Suspended, Fields: map[string]string{},
		Unshown: m.Unshown, Reverted: m.Reverted, KeysGone: m.KeysGone}
	if m.Agreed {
		out.Fields = desiredTokens(d)
	}
	for name, token := range m.Fields {
		out.Fields[name] = token
	}
	for _, name := range m.Forgotten {
		delete(out.Fields, name)
	}
	return out
}
