package keys

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/terra-reconcile/terra-reconcile/internal/walk"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

func begin() time.Time { return time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC) }

func at(day int) time.Time { return begin().AddDate(0, 0, day-1).Add(2 * time.Hour) }

// rejected is what is said of a key that was refused for good, two days long.
func rejected() Refusal {
	return Refusal{By: Provider, Reason: "no", Since: begin(), At: begin().Add(48 * time.Hour), Heard: 9, Firm: 9, FirmSince: begin(), FirmAt: begin().Add(48 * time.Hour), Rejected: begin().Add(5 * time.Minute)}
}

// set gives keys their IDs, and those of bad what was said against them.
func set(bad map[int]Refusal, entries ...Entry) Set {
	s := Set{Entries: entries, History: History{Refused: map[string]Refusal{}}}
	for i := range entries {
		if !entries[i].Unknown {
			entries[i].ID = "sealed " + strconv.Itoa(i+1)
		}
		if r, is := bad[i+1]; is {
			s.History.Refused[entries[i].ID] = r
		}
	}
	return s
}

func TestDue(t *testing.T) {
	always, five, nine, unknown := Entry{}, Entry{NotBefore: at(5)}, Entry{NotBefore: at(9)}, Entry{Unknown: true}
	two := map[int]Refusal{2: rejected()}
	for _, c := range []struct {
		name      string
		now       time.Time
		set       Set
		due       int
		next      int
		nextAtDay int
	}{
		{"no keys", at(1), set(nil), 0, 0, 0},
		{"always", at(1), set(nil, always), 1, 0, 0},
		{"one instant early", at(5).Add(-1), set(nil, always, five), 1, 2, 5},
		{"at its moment", at(5), set(nil, always, five), 2, 0, 0},
		{"other time zone", at(5).In(time.FixedZone("", 3600)), set(nil, always, five), 2, 0, 0},
		{"none yet", at(1), set(nil, five, nine), 0, 1, 5},
		{"unknown first", at(1), set(nil, unknown, five), 1, 2, 5},
		{"rejected", at(6), set(two, always, five), 1, 0, 0},
		{"refused, which does not count yet", at(6), set(map[int]Refusal{2: {By: Provider, At: at(6), Heard: 2}}, always, five), 2, 0, 0},
		{"rejected, then a good one", at(6), set(two, always, five, nine), 1, 3, 9},
		{"all rejected", at(6), set(map[int]Refusal{1: rejected()}, five), 0, 0, 0},
		{"the last one is earlier than the one before", at(1), set(nil, always, nine, five), 1, 3, 5},
		{"and hides it for good", at(6), set(nil, always, nine, five), 3, 0, 0},
	} {
		if got := c.set.Due(c.now); got != c.due {
			t.Errorf("%s: key %d is due, want %d", c.name, got, c.due)
		}
		next, when := c.set.Next(c.now)
		if next != c.next || next > 0 && !when.Equal(at(c.nextAtDay)) {
			t.Errorf("%s: got next %d at %s, want %d on day %d", c.name, next, when, c.next, c.nextAtDay)
		}
	}
	s := set(two, always, five)
	if s.Scheduled(at(6)) != 2 || s.Find("sealed 2") != 2 || s.Find("") != 0 || s.Find("sealed 3") != 0 || s.Entry(3).ID != "" || s.Entry(0).ID != "" {
		t.Error("the scheduled key, or one by its ID, is another")
	}
}

// A key that Terra would not take can only be asked about by sending it, so it gets
// another chance at its time; one that can be asked about does not.
func TestTerraRefusalGetsAnotherChance(t *testing.T) {
	r := rejected()
	r.By = Terra
	s := set(map[int]Refusal{2: r}, Entry{}, Entry{NotBefore: begin()})
	if s.Due(r.AskAt().Add(-1)) != 1 || s.Due(r.AskAt()) != 2 {
		t.Error("it is not due when it may be sent again, or sooner")
	}
	s = set(map[int]Refusal{2: rejected()}, Entry{}, Entry{NotBefore: begin()})
	if s.Due(r.AskAt()) != 1 {
		t.Error("a key that the provider itself rejects is due")
	}
}

func TestPrunable(t *testing.T) {
	key, unknown := Entry{}, Entry{Unknown: true}
	bad := func(keys ...int) map[int]Refusal {
		out := map[int]Refusal{}
		for _, k := range keys {
			out[k] = rejected()
		}
		return out
	}
	fresh := rejected()
	fresh.FirmAt = fresh.Rejected.Add(proofOfBad - 1)
	outage := rejected()
	outage.FirmAt, outage.Alone = outage.Rejected, true
	byUsers := rejected()
	byUsers.By = Users
	for _, c := range []struct {
		name      string
		set       Set
		live, due int
		want      []int
	}{
		{"no keys", set(nil), 0, 0, nil},
		{"nothing live", set(nil, key, key, key), 0, 3, nil},
		{"live is beyond the list", set(bad(3), key, key, key), 4, 1, nil},
		{"due is beyond the list", set(bad(3), key, key, key), 1, 4, nil},
		{"the oldest is live", set(nil, key, key), 1, 1, nil},
		{"the one before is kept", set(nil, key, key), 2, 2, nil},
		{"older ones are not", set(nil, key, key, key, key), 4, 4, []int{1, 2}},
		{"later ones are", set(nil, key, key, key, key, key), 3, 3, []int{1}},
		{"nobody goes back to an unknown one", set(nil, unknown, key, key), 2, 2, []int{1}},
		{"nor to a rejected one", set(bad(3), key, key, key, key), 4, 4, []int{1, 3}},
		{"all older ones are bad", set(bad(2), unknown, key, key), 3, 3, []int{1, 2}},
		{"a rejected one that is newer", set(bad(4), key, key, key, key, key), 3, 3, []int{1, 4}},
		{"one that was rejected just now may be good", set(map[int]Refusal{4: fresh}, key, key, key, key), 3, 3, []int{1}},
		{"one that was refused in an outage may be good", set(map[int]Refusal{4: outage}, key, key, key, key), 3, 3, []int{1}},
		{"one that users fell away from may be good", set(map[int]Refusal{4: byUsers}, key, key, key, key), 3, 3, []int{1}},
		{"which does not keep an old one", set(map[int]Refusal{1: byUsers}, key, key, key), 3, 3, []int{1}},
		{"one that was refused once may be good", set(map[int]Refusal{1: {By: Provider}}, key, key, key), 3, 3, nil},
		{"nothing while the live one is rejected", set(bad(3), key, key, key), 3, 2, nil},
		{"nothing while the live one is doubted", set(map[int]Refusal{3: {By: Provider}}, key, key, key), 3, 3, nil},
		{"none is live, and one was rejected", set(bad(2), unknown, key, key), 0, 1, []int{2}},
		{"an older one is still live", set(nil, key, key, key, key), 2, 4, nil},
		{"a later one is live before its time", set(nil, key, key, key, key), 4, 2, nil},
		{"none is due", set(bad(2), key, key, key), 1, 0, []int{2}},
		{"what should be live, whatever is said of it", set(bad(3), key, key, key), 2, 3, nil},
	} {
		if got := c.set.Prunable(c.live, c.due); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
		c.set.History.Soak = &Soak{}
		if got := c.set.Prunable(c.live, c.due); got != nil {
			t.Errorf("%s: got %v while a key soaks", c.name, got)
		}
	}
}

// TestDueNeverFalls walks random schedules through time: the number never falls,
// changes exactly at the moments Next names, and does not depend on the walk.
func TestDueNeverFalls(t *testing.T) {
	const schedules = 10_000
	t.Logf("COUNT due_random_schedules=%d", schedules)
	random := rand.New(rand.NewPCG(uint64(walk.Seed(t)), 2))
	for range schedules {
		entries, bad := make([]Entry, random.IntN(6)), map[int]Refusal{}
		for i := range entries {
			entries[i].Unknown = random.IntN(4) == 0
			if random.IntN(5) > 0 {
				entries[i].NotBefore = begin().Add(time.Duration(random.IntN(40)) * time.Hour)
			}
			if random.IntN(4) == 0 {
				bad[i+1] = rejected()
			}
		}
		s := set(bad, entries...)
		before := slices.Clone(s.Entries)
		last, promised := -1, begin()
		for hour := -1; hour < 45; hour++ {
			now := begin().Add(time.Duration(hour) * time.Hour)
			due := s.Due(now)
			if due < last {
				t.Fatalf("at %s the due key fell from %d to %d: %+v", now, last, due, s)
			}
			if hour >= 0 && due != last && !promised.Equal(now) {
				t.Fatalf("at %s the due key became %d, but Next promised %s: %+v", now, due, promised, s)
			}
			next, when := s.Next(now)
			if next > 0 && (!when.After(now) || next <= due) {
				t.Fatalf("at %s Next says %s and %d while %d is due: %+v", now, when, next, due, s)
			}
			last, promised = due, when
		}
		if !slices.Equal(before, s.Entries) {
			t.Fatal("the keys were changed")
		}
	}
}

func TestLive(t *testing.T) {
	for _, c := range []struct {
		seen plan.Comparison
		want int
	}{
		{plan.Comparison{Result: plan.Equal}, 3},
		{plan.Comparison{Result: plan.Differs, LiveKey: 1}, 1},
		{plan.Comparison{Result: plan.Differs}, 0},
		{plan.Comparison{Result: plan.Uncertain, LiveKey: 2}, 0},
		{plan.Comparison{}, 0},
	} {
		if got := Live(c.seen, 3); got != c.want {
			t.Errorf("%+v: key %d is live, want %d", c.seen, got, c.want)
		}
	}
}

// TestEntryIsWhatAPersonCanChange: each part of an entry that a person can change makes
// it another one, so that a rejected key is tried again.
func TestEntryIsWhatAPersonCanChange(t *testing.T) {
	id := EntryID("sha256:1", "123456", at(5))
	for name, other := range map[string]string{
		"time": EntryID("sha256:1", "123456", at(5).Add(time.Second)), "client id": EntryID("sha256:1", "654321", at(5)),
		"seal": EntryID("sha256:2", "123456", at(5)), "no time": EntryID("sha256:1", "123456", time.Time{}),
	} {
		if other == id {
			t.Errorf("another %s is the same entry", name)
		}
		if same := SameButSealed(id, other); same != (name == "seal") {
			t.Errorf("another %s: only sealed again: %t", name, same)
		}
	}
	if SameButSealed("", "") {
		t.Error("two unknown keys are one")
	}
}

func TestRecall(t *testing.T) {
	agreed := func(token string) plan.Remembered {
		return plan.Remembered{Fields: map[string]string{plan.FieldClientSecret: token}, VerifiedAt: at(2)}
	}
	held := agreed("b")
	held.Held = map[string]plan.Cause{plan.FieldClientSecret: plan.Drift}
	noted := agreed("b")
	noted.Noted = true
	s := Set{Entries: []Entry{{Unknown: true}, {ID: "A", Digest: "a"}, {ID: "B", Digest: "b"}}}
	unseen := Set{Entries: []Entry{{ID: "A"}, {ID: "B", Digest: "b"}}}
	for name, c := range map[string]struct {
		set     Set
		memory  plan.Remembered
		held    bool
		live    int
		unclear string
	}{
		"the agreed one":            {s, agreed("b"), false, 3, ""},
		"the unknown one":           {s, agreed(plan.UnknownKey), false, 1, ""},
		"none of the file":          {s, agreed("z"), false, 0, ""},
		"nothing agreed":            {s, plan.Remembered{}, false, 0, "no run has agreed on a live key yet"},
		"only noted":                {s, noted, false, 0, "no run has agreed on a live key yet"},
		"a field is held":           {s, held, false, 0, "a change of its keys is held, and until it is settled what is live may be another"},
		"a change is held":          {s, agreed("b"), true, 0, "a change of its keys is held, and until it is settled what is live may be another"},
		"one was never seen":        {unseen, agreed("z"), false, 0, "no run has seen all keys as they are sealed now"},
		"which is not the one":      {unseen, agreed("b"), false, 2, ""},
		"an empty digest is nobody": {unseen, agreed(""), false, 0, "no run has agreed on a live key yet"},
	} {
		got := c.set.Recall(c.memory, c.held)
		if got.Live != c.live || got.Unclear != c.unclear {
			t.Errorf("%s: got %+v, want key %d, %q", name, got, c.live, c.unclear)
		}
	}
	if got := s.Recall(agreed("b"), false); !got.At.Equal(at(2)) {
		t.Errorf("as of %s", got.At)
	}
}

func TestAssume(t *testing.T) {
	for name, c := range map[string]struct {
		entry Entry
		soaks time.Time
	}{
		"no time":             {Entry{}, time.Time{}},
		"long ago":            {Entry{NotBefore: at(1)}, time.Time{}},
		"due for an hour":     {Entry{NotBefore: at(9)}, at(10)},
		"made an hour ago":    {Entry{NotBefore: at(1), Issued: at(9)}, at(10)},
		"its soak ends now":   {Entry{NotBefore: at(8).Add(time.Hour)}, time.Time{}},
		"it is due next week": {Entry{NotBefore: at(16)}, time.Time{}},
	} {
		s := set(nil, Entry{}, c.entry)
		live, soaks := s.Assume(at(9).Add(time.Hour), 24*time.Hour)
		want := 2
		if c.entry.NotBefore.After(at(10)) {
			want = 1
		}
		if live != want || !soaks.Equal(c.soaks) {
			t.Errorf("%s: key %d, soaks until %s, want %d, %s", name, live, soaks, want, c.soaks)
		}
	}
}

// The soak of a key that nobody remembers goes on from what the file says.
func TestResume(t *testing.T) {
	pair := Pair{ClientID: "1", Digest: "d"}
	s := set(nil, Entry{Issued: at(3)}, Entry{NotBefore: at(5), Issued: at(3)}, Entry{Unknown: true})
	for key, until := range map[int]time.Time{1: at(4), 2: at(6)} {
		if got := s.Resume(key, pair, 24*time.Hour, at(9)); got == nil || !got.Until.Equal(until) || got.Pair != pair || got.Entry != s.Entry(key).ID || got.Users != nil {
			t.Errorf("key %d: %+v, want until %s", key, got, until)
		}
	}
	if s.Resume(3, pair, time.Hour, at(9)) != nil || s.Resume(0, pair, time.Hour, at(9)) != nil || s.Resume(1, Pair{}, time.Hour, at(9)) != nil {
		t.Error("a soak of a key that cannot be recognised")
	}
}
