package keys

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

// scene is a set and what a run knows beside it: key 1 was made on the first, is live
// and may be 90 days old; key 2 is due on the fifth.
func scene() (Set, Facts) {
	s := set(nil, Entry{Issued: at(1)}, Entry{NotBefore: at(5)})
	return s, Facts{
		Now: at(3), Environment: "production", Connection: "production/strava", Provider: "strava", Live: 1,
		Rules:  Rules{MaxAge: 90 * day, Warn: 14 * day, Soak: day, MaxUserDrop: 10, Origin: "production/strava.yaml:9"},
		Portal: Portal{Address: "https://portal.example", ResetFirst: true, Tokens: "6h"},
	}
}

func TestStatus(t *testing.T) {
	refuse := func(s *Set, key int, control Control) {
		for _, after := range []time.Duration{0, time.Minute, 5 * time.Minute} {
			s.History.Refuse(s.Entry(key).ID, Provider, "it says no", at(5).Add(after), control)
		}
	}
	change := func(f *Facts, gate plan.Gate) {
		f.Change = &plan.Change{Gate: gate, Guard: "adopt", GateReason: "nobody remembers it"}
	}
	const add = "reconcile rotate add production/strava"
	for name, c := range map[string]struct {
		edit  func(*Set, *Facts)
		state State
		text  string
		next  string // command of the first remediation
	}{
		"nothing to do":                          {func(*Set, *Facts) {}, OK, "", ""},
		"soaking":                                {func(s *Set, f *Facts) { s.History.Soak = &Soak{Entry: "sealed 1", Began: at(3), Until: at(4)} }, Soaking, "nothing to do; the soak ends 2026-11-04 02:00 UTC", ""},
		"another one soaks":                      {func(s *Set, f *Facts) { s.History.Soak = &Soak{Entry: "sealed 2", Until: at(4)} }, OK, "", ""},
		"due":                                    {func(s *Set, f *Facts) { f.Now = at(5); change(f, plan.Ready) }, Due, "the next run that applies sets key 2", ""},
		"due and waiting":                        {func(s *Set, f *Facts) { f.Now = at(5); change(f, plan.Waiting) }, Due, "key 2 is due and waits (guard adopt): nobody remembers it", ""},
		"held":                                   {func(s *Set, f *Facts) { f.Now = at(5); change(f, plan.Approval) }, Held, "key 2 is due, and guard adopt holds it: nobody remembers it", "reconcile --dry-run --env production"},
		"out of band":                            {func(s *Set, f *Facts) { f.Live, f.OutOfBand = 0, true }, OutOfBand, "a key that the file does not have, perhaps in an emergency", add},
		"out of band, and reverted":              {func(s *Set, f *Facts) { f.Live, f.OutOfBand = 0, true; change(f, plan.Ready) }, Due, "", ""},
		"expiring, and no successor":             {func(s *Set, f *Facts) { s.Entries = s.Entries[:1]; f.Now = at(80) }, Expiring, "key 1 reaches rotation.max_age in 11 days (production/strava.yaml:9)", add},
		"its successor comes in time":            {func(s *Set, f *Facts) { s.Entries[1].NotBefore = at(85); f.Now = at(80) }, OK, "", ""},
		"its successor comes too late":           {func(s *Set, f *Facts) { s.Entries[1].NotBefore = at(95); f.Now = at(80) }, Expiring, "key 1 reaches", add},
		"overdue":                                {func(s *Set, f *Facts) { s.Entries = s.Entries[:1]; f.Now = at(99) }, Overdue, "key 1 is 98 days old, rotation.max_age is 90 days", add},
		"unknown":                                {func(s *Set, f *Facts) { f.Live = 0 }, Unknown, "which key is live could not be found out in this run", ""},
		"sealed":                                 {func(s *Set, f *Facts) { f.Live, f.Closed = 0, "no identity" }, Unknown, "no identity", ""},
		"set before":                             {func(s *Set, f *Facts) { f.Live = 0; s.Entries[0] = Entry{Unknown: true} }, Unknown, "a key that was set out of band; key 2 replaces it", add},
		"the new one is rejected":                {func(s *Set, f *Facts) { f.Now = at(6); refuse(s, 2, ControlGood) }, Rejected, "key 2: it says no", add},
		"the live one is rejected":               {func(s *Set, f *Facts) { f.Now, f.Live = at(6), 2; refuse(s, 2, NoControl) }, LiveRejected, "key 2: it says no", add},
		"the new one is, and so is the live one": {func(s *Set, f *Facts) { f.Now = at(6); refuse(s, 2, NoControl); refuse(s, 1, NoControl) }, LiveRejected, "and key 1", add},
		"everything is refused":                  {func(s *Set, f *Facts) { f.Now = at(6); refuse(s, 2, ControlBad); refuse(s, 1, ControlBad) }, LiveRejected, "key 1, which is live, and every other pair are refused (it says no): the provider is out of order, or syncing stops within 6h", add},
		"refused once":                           {func(s *Set, f *Facts) { s.History.Refuse("sealed 2", Provider, "it says no", at(3), ControlGood) }, OK, "key 2 was refused once (it says no), which counts once it was heard for some minutes; it is asked about again from 2026-11-03 02:01 UTC", ""},
		"fewer users once": {func(s *Set, f *Facts) {
			s.History.Soak = &Soak{Entry: "sealed 1", Until: at(4), Fall: &Fall{Since: at(3), At: at(3), Times: 1}}
		}, Soaking, "fewer end users were active at the last count", ""},
		"the former one works": {func(s *Set, f *Facts) {
			f.Now, f.Live = at(7), 2
			s.History.Former = &Former{Entry: "sealed 1", Replaced: at(5)}
			s.History.Accept("sealed 1", at(6))
		}, OK, "key 1 is replaced and its provider still accepts it (2026-11-06)", ""},
		"Terra support makes keys": {func(s *Set, f *Facts) { s.Entries = s.Entries[:1]; f.Now = at(99); f.Portal = Portal{AskTerra: true} }, Overdue, "", "reconcile providers strava --ticket"},
	} {
		s, f := scene()
		c.edit(&s, &f)
		k := s.Status(f)
		if k.State != c.state || !strings.Contains(k.Text, c.text) || c.text == "" && k.State == OK && k.Text != "" {
			t.Errorf("%s: %s, %q; want %s, %q", name, k.State, k.Text, c.state, c.text)
		}
		next := ""
		if len(k.Remediations) > 0 {
			next = k.Remediations[0].Command.String()
		}
		if next != c.next {
			t.Errorf("%s: %q, want %q", name, next, c.next)
		}
		if k.Needs() != slices.Contains([]State{LiveRejected, OutOfBand, Overdue, Rejected, Held, Expiring}, c.state) {
			t.Errorf("%s: needs a person: %t", name, k.Needs())
		}
	}
}

func TestStatusNamesWhatToDoAtThePortal(t *testing.T) {
	s, f := scene()
	s.Entries, f.Now = s.Entries[:1], at(99)
	for want, portal := range map[string]Portal{
		"make a new key at https://portal.example, and within minutes":        f.Portal,
		"make a new key at https://portal.example (commit first, reset last)": {Address: "https://portal.example", CommitFirst: true, Order: "commit first, reset last"},
		"make a new key":                  {},
		"ask Terra support for a new key": {AskTerra: true},
	} {
		f.Portal = portal
		if got := s.Status(f).Remediations[0].Text; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	f.Portal = Portal{Address: "https://portal.example"}
	if got := f.revoke(1).Text; got != "revoke key 1 in the provider's portal at https://portal.example" {
		t.Errorf("got %q", got)
	}
}

// Of a key that nobody can read the live secret is sealed before a new one is made: it
// is the only way back.
func TestStatusOffersToSealTheLiveSecretFirst(t *testing.T) {
	s, f := scene()
	f.Live = 0
	for name, entries := range map[string][]Entry{"alone": {{Unknown: true}}, "with a successor": {{Unknown: true}, {NotBefore: at(5)}}} {
		s.Entries = entries
		next := s.Status(f).Remediations
		if len(next) == 0 || !strings.HasPrefix(next[0].Text, "seal the live secret first") || next[0].Command.String() != "reconcile rotate add production/strava" {
			t.Errorf("%s: %v", name, next)
		}
		if name == "alone" && (len(next) != 2 || !strings.HasPrefix(next[1].Text, "if nobody has it, make a new key at ")) {
			t.Errorf("%s: %v", name, next)
		}
	}
}

func TestStatusNamesPrunableKeys(t *testing.T) {
	s := set(map[int]Refusal{2: rejected()}, Entry{}, Entry{}, Entry{}, Entry{})
	_, f := scene()
	f.Now, f.Live = at(9), 4
	k := s.Status(f)
	if !slices.Equal(k.Prunable, []int{1, 2}) || k.Remediations[0].Text != "keys 1, 2 are no longer needed" || k.Remediations[0].Command.String() != "reconcile rotate prune production/strava --key 1 --key 2" {
		t.Errorf("%v %q %v", k.Prunable, k.Text, k.Remediations)
	}
	f.Live = 0
	if k := s.Status(f); len(k.Prunable) != 0 {
		t.Errorf("%v can go, and nobody knows what is live", k.Prunable)
	}
	f.NoneLive = true
	if k := s.Status(f); !slices.Equal(k.Prunable, []int{2}) {
		t.Errorf("%v can go, want the rejected one", k.Prunable)
	}
	if f.Unopened = []int{2}; len(s.Status(f).Prunable) != 0 {
		t.Error("one that does not open may be the live one")
	}
}

// An overdue key does not hide that what is to replace it is refused, held or due, nor a
// refused one that it is overdue.
func TestStatusSaysWhatHoldsBesideTheState(t *testing.T) {
	refuse := func(s *Set, key int) {
		for _, after := range []time.Duration{0, time.Minute, 5 * time.Minute} {
			s.History.Refuse(s.Entry(key).ID, Provider, "it says no", at(95).Add(after), NoControl)
		}
	}
	held := plan.Change{Gate: plan.Approval, Guard: "adopt", GateReason: "nobody remembers it"}
	const add, look = "reconcile rotate add production/strava", "reconcile --dry-run --env production"
	for name, c := range map[string]struct {
		edit func(*Set, *Facts)
		want string
		text []string
		next string
	}{
		"a refused successor": {func(s *Set, f *Facts) { refuse(s, 2) }, "overdue, rejected", []string{"key 1 is 98 days old", "key 2: it says no"}, add},
		"a held successor":    {func(s *Set, f *Facts) { f.Change = &held }, "overdue, held", []string{"key 1 is 98 days old", "key 2 is due, and guard adopt holds it"}, look},
		"a due successor": {func(s *Set, f *Facts) { f.Change = &plan.Change{Gate: plan.Ready} }, "overdue, due",
			[]string{"key 1 is 98 days old", "the next run that applies sets key 2"}, look},
		"the live one is refused": {func(s *Set, f *Facts) { refuse(s, 1) }, "live-rejected, overdue", []string{"key 1: it says no", "key 1 is 98 days old"}, add},
		"out of band":             {func(s *Set, f *Facts) { f.Live, f.OutOfBand = 0, true; refuse(s, 2) }, "out-of-band, rejected", []string{"does not have", "key 2: it says no"}, add},
		"no successor":            {func(s *Set, f *Facts) { s.Entries = s.Entries[:1] }, "overdue", []string{"key 1 is 98 days old"}, add},
	} {
		s, f := scene()
		f.Now = at(99)
		c.edit(&s, &f)
		k := s.Status(f)
		if k.Words() != c.want || len(k.Remediations) == 0 || k.Remediations[0].Command.String() != c.next {
			t.Errorf("%s: %q, to do %v; want %q, %q", name, k.Words(), k.Remediations, c.want, c.next)
		}
		for _, text := range c.text {
			if strings.Count(k.Text, text) != 1 {
				t.Errorf("%s: %q, want %q once", name, k.Text, text)
			}
		}
	}
}
