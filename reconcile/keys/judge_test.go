package keys

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/terra-reconcile/terra-reconcile/internal/walk"
	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

func exact(n int) plan.Users { return plan.Users{Count: n, Exact: true} }

func TestFell(t *testing.T) {
	for _, row := range []struct {
		before, now plan.Users
		percent     int
		want        bool
	}{
		{exact(100), exact(90), 10, true},
		{exact(100), exact(91), 10, false},
		{exact(20), exact(15), 10, true},
		{exact(20), exact(16), 10, false}, // 20 %, but only four people
		{exact(4), exact(0), 10, false},
		{exact(5), exact(0), 100, true},
		{exact(100), exact(120), 10, false},
		{plan.Users{Count: 100}, exact(10), 10, false},
		{exact(100), plan.Users{Count: 10}, 10, false},
	} {
		if got := Fell(row.before, row.now, row.percent); got != row.want {
			t.Errorf("Fell(%v, %v, %d) = %t, want %t", row.before, row.now, row.percent, got, row.want)
		}
	}
}

// heard is one answer about a key, so long after the first, and what is said of
// another pair then.
type heard struct {
	after   time.Duration
	good    bool
	control Control
}

func TestRefusalCountsWhenItIsHeardAgain(t *testing.T) {
	const m = time.Minute
	for name, c := range map[string]struct {
		answers []heard
		counts  bool
	}{
		"once":                                     {[]heard{{0, false, ControlGood}}, false},
		"twice":                                    {[]heard{{0, false, ControlGood}, {10 * m, false, ControlGood}}, false},
		"three times":                              {[]heard{{0, false, ControlGood}, {m, false, ControlGood}, {5 * m, false, ControlGood}}, true},
		"three times too soon":                     {[]heard{{0, false, ControlGood}, {m, false, ControlGood}, {5*m - 1, false, ControlGood}}, false},
		"there is nobody else to ask about":        {[]heard{{0, false, NoControl}, {m, false, NoControl}, {5 * m, false, NoControl}}, true},
		"all are refused":                          {[]heard{{0, false, ControlBad}, {m, false, ControlBad}, {5 * m, false, ControlBad}, {60 * m, false, ControlBad}}, false},
		"nothing is clear of the other":            {[]heard{{0, false, ControlUnclear}, {m, false, ControlUnclear}, {5 * m, false, ControlUnclear}}, false},
		"an outage in between begins it again":     {[]heard{{0, false, ControlGood}, {m, false, ControlGood}, {5 * m, false, ControlBad}, {6 * m, false, ControlGood}, {20 * m, false, ControlGood}}, false},
		"and three after it count":                 {[]heard{{0, false, ControlBad}, {m, false, ControlGood}, {5 * m, false, ControlGood}, {6 * m, false, ControlGood}}, true},
		"it is accepted in between":                {[]heard{{0, false, ControlGood}, {m, true, 0}, {5 * m, false, ControlGood}, {9 * m, false, ControlGood}}, false},
		"accepted after it counted":                {[]heard{{0, false, ControlGood}, {m, false, ControlGood}, {5 * m, false, ControlGood}, {65 * m, true, 0}}, false},
		"an outage after it counted lifts nothing": {[]heard{{0, false, ControlGood}, {m, false, ControlGood}, {5 * m, false, ControlGood}, {65 * m, false, ControlBad}}, true},
	} {
		s := set(nil, Entry{}, Entry{NotBefore: begin()})
		said := 0
		for _, a := range c.answers {
			if a.good {
				s.History.Accept("sealed 2", begin().Add(a.after))
			} else if s.History.Refuse("sealed 2", Provider, "no", begin().Add(a.after), a.control) {
				said++
			}
		}
		now := begin().Add(2 * time.Hour)
		if got := s.IsRejected(2, now); got != c.counts || (s.Due(now) == 1) != c.counts || said > 1 || c.counts && said != 1 {
			t.Errorf("%s: rejected %t (said %d times), want %t: %+v", name, got, said, c.counts, s.History.Refused)
		}
	}
	var h History
	if h.Refuse("", Provider, "no", begin(), NoControl) || !h.IsZero() {
		t.Error("an unknown key was refused")
	}
	if h.Accept("", begin()); !h.IsZero() {
		t.Error("an unknown key was accepted")
	}
}

// The pauses grow, from a minute to a day.
func TestPausesGrow(t *testing.T) {
	var h History
	now, last := begin(), time.Duration(0)
	for range 20 {
		h.Refuse("e", Provider, "no", now, ControlGood)
		pause := h.Refused["e"].AskAt().Sub(now)
		if pause < last || pause < time.Minute || pause > 24*time.Hour {
			t.Errorf("after %d refusals it is asked again after %s, before that after %s", h.Refused["e"].Heard, pause, last)
		}
		now, last = now.Add(pause), pause
	}
	if r := h.Refused["e"]; !r.Rejected.Equal(begin().Add(5*time.Minute)) || last != 24*time.Hour {
		t.Errorf("rejected since %s, last pause %s", r.Rejected, last)
	}
}

func TestControls(t *testing.T) {
	s := set(nil, Entry{}, Entry{}, Entry{}, Entry{Unknown: true})
	s.History.Accepted = map[string]time.Time{"sealed 1": at(1), "sealed 2": at(2)}
	for _, c := range []struct {
		key, live int
		want      []int
	}{
		{3, 1, []int{1, 2}}, // the live one first, though another was accepted later
		{3, 4, []int{2, 1}}, // of an unknown one nothing is known
		{1, 3, []int{3, 2}},
		{1, 0, []int{2}},
		{2, 2, []int{1}},
	} {
		if got := s.Controls(c.key, c.live); !slices.Equal(got, c.want) {
			t.Errorf("beside key %d, while %d is live: keys %v, want %v", c.key, c.live, got, c.want)
		}
	}
	if s.History.Accepted = nil; !slices.Equal(s.Controls(3, 2), []int{2, 1}) || !slices.Equal(s.Controls(3, 3), []int{2, 1}) || len(s.Controls(1, 1)) != 0 {
		t.Error("without a history they are older ones")
	}
}

func TestFallCountsWhenItIsReadAgain(t *testing.T) {
	for name, c := range map[string]struct {
		counts []int // of 30, one each two minutes
		want   bool
	}{
		"one low count":           {[]int{22}, false},
		"one, and all are back":   {[]int{22, 30}, false},
		"two within minutes":      {[]int{22, 22}, false},
		"some minutes later":      {[]int{22, 22, 22, 22}, true},
		"then all are back":       {[]int{22, 22, 22, 22, 30}, false},
		"back in between":         {[]int{22, 22, 30, 22, 22}, false},
		"and for long after that": {[]int{22, 30, 22, 22, 22, 22}, true},
	} {
		s := set(nil, Entry{}, Entry{})
		s.History.Soak = &Soak{Entry: "sealed 2"}
		now := begin()
		for _, n := range c.counts {
			s.History.Count(exact(30), exact(n), 10, "rotation.max_user_drop", now)
			now = now.Add(2 * time.Minute)
		}
		if got := s.IsRejected(2, now); got != c.want {
			t.Errorf("%s: rejected %t, want %t", name, got, c.want)
		}
		if c.want && !strings.HasPrefix(s.History.Refused["sealed 2"].Reason, "8 of 30 active end users are gone since it was set, 10% may be (rotation.max_user_drop)") {
			t.Errorf("%s: %q", name, s.History.Refused["sealed 2"].Reason)
		}
	}
	s := set(nil, Entry{}, Entry{})
	s.History.Soak = &Soak{Entry: "sealed 2"}
	for range 3 {
		s.History.Count(exact(30), exact(20), 10, "", begin())
	}
	if got := s.History.Soak.Fall.Times; got != 1 {
		t.Errorf("one moment is %d readings", got)
	}
	var h History
	if h.Count(exact(30), exact(1), 10, "", begin()) || !h.IsZero() {
		t.Error("people were counted for a key that does not soak")
	}
}

// People who are gone are still gone when the provider accepts the pair; and where it
// refuses the pair as well, that lifts nothing.
func TestUsersAndProviderDisagree(t *testing.T) {
	s := set(nil, Entry{}, Entry{})
	s.History.Soak = &Soak{Entry: "sealed 2"}
	for _, after := range []time.Duration{0, 6 * time.Minute} {
		s.History.Count(exact(30), exact(20), 10, "", begin().Add(after))
	}
	s.History.Accept("sealed 2", begin().Add(7*time.Minute))
	if !s.IsRejected(2, begin().Add(8*time.Minute)) {
		t.Error("the fall ended with an acceptance")
	}
	s.History.Refuse("sealed 2", Provider, "no", begin().Add(8*time.Minute), ControlGood)
	s.History.Count(exact(30), exact(30), 10, "", begin().Add(9*time.Minute))
	if !s.IsRejected(2, begin().Add(10*time.Minute)) {
		t.Error("a refusal ended with a count")
	}
	s.History.Accept("sealed 2", begin().Add(11*time.Minute))
	if s.IsRejected(2, begin().Add(12*time.Minute)) {
		t.Error("a refusal did not end with an acceptance")
	}
}

func TestWake(t *testing.T) {
	s := set(map[int]Refusal{1: {By: Provider, At: at(3), Heard: 1}}, Entry{}, Entry{NotBefore: at(5)})
	s.History.Soak = &Soak{Entry: "sealed 1", Until: at(4), Fall: &Fall{Since: at(3).Add(-time.Minute), At: at(3), Times: 1}}
	now := at(3)
	for _, want := range []struct {
		at  time.Time
		why string
	}{
		{at(3).Add(time.Minute), "key 1 of production/strava, which was refused, is asked about again"},
		{at(3).Add(4 * time.Minute), "the end users of production/strava are counted again"},
		{at(4), "the soak of a key of production/strava ends"},
		{at(5), "key 2 of production/strava is due"},
		{},
	} {
		got, why := s.Wake(now, "production/strava")
		if !got.Equal(want.at) || why != want.why {
			t.Errorf("after %s it wakes at %s: %s; want %s: %s", now, got, why, want.at, want.why)
		}
		now = want.at
	}
	s.History.Soak, s.History.Former = nil, &Former{Entry: "sealed 1"}
	if got, why := s.Wake(at(5), "c"); !got.IsZero() {
		t.Errorf("a former key that was never asked about is asked in each run, and it wakes at %s: %s", got, why)
	}
	s.History.Former.Asked = at(5)
	if got, why := s.Wake(at(5), "c"); !got.Equal(at(6)) {
		t.Errorf("of one of which its provider did not say it wakes at %s: %s", got, why)
	}
	s.History.Former.Alive = at(5)
	if got, why := s.Wake(at(5), "c"); !got.Equal(at(12)) || why != "the key of c that was replaced is asked about again" {
		t.Errorf("it wakes at %s: %s", got, why)
	}
}

func TestHistory(t *testing.T) {
	var h History
	for _, id := range []string{"1", "2", "3", "1", "4", "5", "6"} {
		h.Saw(Pair{ClientID: id, Digest: "d"})
	}
	h.Saw(Pair{ClientID: "7"}) // no digest: nothing to recognise it by
	if len(h.Seen) != pairsKept || h.WasLive(Pair{ClientID: "2", Digest: "d"}) || !h.WasLive(Pair{ClientID: "1", Digest: "d"}) || h.WasLive(Pair{ClientID: "7"}) {
		t.Errorf("seen %v", h.Seen)
	}
	h.Soak, h.Former = &Soak{Entry: "e", Fall: &Fall{Times: 1}}, &Former{Entry: "g"}
	h.SawLive(Pair{ClientID: "6", Digest: "d"}, at(1))
	h.Refuse("e", Provider, "r", begin(), NoControl)
	h.Accept("g", begin())
	clone := h.Clone()
	if !clone.Equal(h) {
		t.Error("a clone differs")
	}
	want := h.Clone()
	clone.Soak.Entry, clone.Soak.Fall.Times, clone.Former.Entry, clone.Live.Digest = "f", 2, "f", "f"
	clone.Refuse("f", Provider, "r", begin(), NoControl)
	clone.Accept("f", begin())
	if d := cmp.Diff(want, h); d != "" || clone.Equal(h) {
		t.Errorf("a clone shares what it should not: %s", d)
	}
	if !(History{}).Equal(History{Refused: map[string]Refusal{}}) {
		t.Error("two empty ones differ")
	}
	if got := h.WithoutDigests(); got.Seen != nil || got.Soak != nil || got.Live != nil || len(got.Refused) != 1 || len(got.Accepted) != 1 {
		t.Errorf("without its digests there is %+v", got)
	}
}

// The moment at which the live key was first seen is that of its first sight only.
func TestSawLive(t *testing.T) {
	var h History
	a, b := Pair{ClientID: "1", Digest: "a"}, Pair{ClientID: "1", Digest: "b"}
	for _, c := range []struct {
		day, since int
		pair       Pair
	}{{1, 1, a}, {2, 1, a}, {3, 1, Pair{}}, {4, 4, b}, {5, 5, a}} {
		if h.SawLive(c.pair, at(c.day)); !h.LiveSince().Equal(at(c.since)) {
			t.Errorf("day %d: live since %s, want day %d", c.day, h.LiveSince(), c.since)
		}
	}
	// Of a pair that was not the live one so far nothing that was said before tells.
	for pair, since := range map[Pair]time.Time{h.Live.Pair: h.Live.Since, {ClientID: "another"}: at(40)} {
		if got := h.LiveSinceOf(pair, at(40)); !got.Equal(since) {
			t.Errorf("%v: live since %s, want %s", pair, got, since)
		}
	}
	if got := (History{}).LiveSinceOf(Pair{}, at(40)); !got.Equal(at(40)) {
		t.Errorf("nothing was seen: live since %s", got)
	}
	if !(History{}).LiveSince().IsZero() {
		t.Error("nobody has seen it")
	}
}

func TestSettle(t *testing.T) {
	pair := Pair{ClientID: "1", Digest: "d"}
	for name, c := range map[string]struct {
		edit  func(*Set)
		pair  Pair
		known bool
		now   time.Time
		soaks bool
	}{
		"under way":                    {func(*Set) {}, pair, true, at(2), true},
		"passed":                       {func(*Set) {}, pair, true, at(3), false},
		"another one is live":          {func(*Set) {}, Pair{ClientID: "1", Digest: "e"}, true, at(2), false},
		"what is live is not known":    {func(*Set) {}, Pair{}, false, at(2), true},
		"something is said against it": {func(s *Set) { s.History.Refuse("sealed 2", Provider, "no", at(2), NoControl) }, pair, true, at(9), true},
		"people are gone":              {func(s *Set) { s.History.Soak.Fall = &Fall{} }, pair, true, at(9), true},
	} {
		s := set(nil, Entry{}, Entry{})
		s.History.Soak = &Soak{Pair: pair, Entry: "sealed 2", Began: at(1), Until: at(3)}
		s.History.Refuse("gone", Provider, "no", at(1), NoControl)
		s.History.Accept("gone", at(1))
		s.History.Accept("sealed 1", at(1))
		s.History.Former = &Former{Entry: "gone"}
		c.edit(&s)
		s.Settle(c.pair, c.known, c.now)
		if got := s.History.Soak != nil; got != c.soaks {
			t.Errorf("%s: soaks %t, want %t", name, got, c.soaks)
		}
		_, refused := s.History.Refused["gone"]
		if _, accepted := s.History.Accepted["gone"]; refused || accepted || s.History.Former != nil || len(s.History.Accepted) != 1 {
			t.Errorf("%s: something is remembered of an entry that the file has no more", name)
		}
	}
}

// The key before the one that soaked is asked about once, and again each week while it
// is accepted.
func TestFormerKeyIsSeenToItsEnd(t *testing.T) {
	pair := Pair{ClientID: "1", Digest: "d"}
	soaked := func(former string, live Pair) Set {
		s := set(nil, Entry{}, Entry{})
		s.History.Soak = &Soak{Pair: pair, Entry: "sealed 2", Began: at(1), Until: at(2), Former: former}
		s.Settle(live, true, at(3))
		return s
	}
	if s := soaked("sealed 1", Pair{ClientID: "1", Digest: "e"}); s.FormerToAsk(at(3)) != 0 {
		t.Error("another key is live")
	}
	for _, former := range []string{"", "gone"} {
		if s := soaked(former, pair); s.FormerToAsk(at(3)) != 0 {
			t.Errorf("former %q: nobody can be asked about it", former)
		}
	}
	s := soaked("sealed 1", pair)
	if s.FormerToAsk(at(3)) != 1 {
		t.Fatal("nobody asks about key 1")
	}
	s.History.Accept("sealed 1", at(3))
	if s.FormerToAsk(at(9)) != 0 || s.FormerToAsk(at(10)) != 1 || s.History.Former.Alive.IsZero() {
		t.Error("it is asked about again at another time, or is not alive")
	}
	s.History.Soak = &Soak{}
	if s.FormerToAsk(at(10)) != 0 {
		t.Error("it is asked about while another key soaks")
	}
}

// A former key is dead once its refusals would count for any key; an outage begins it
// again, and one of which nobody knows is asked about a day later.
func TestFormerKeyIsDeadWhenItIsHeardAgain(t *testing.T) {
	const m = time.Minute
	for name, c := range map[string]struct {
		answers []heard
		dead    bool
		again   time.Duration // after the last answer
	}{
		"once":                        {[]heard{{0, false, ControlGood}}, false, m},
		"twice":                       {[]heard{{0, false, ControlGood}, {10 * m, false, ControlGood}}, false, 4 * m},
		"three times":                 {[]heard{{0, false, ControlGood}, {m, false, ControlGood}, {5 * m, false, ControlGood}}, true, 0},
		"three times too soon":        {[]heard{{0, false, ControlGood}, {m, false, ControlGood}, {5*m - 1, false, ControlGood}}, false, time.Hour},
		"all are refused":             {[]heard{{0, false, ControlBad}, {m, false, ControlBad}, {5 * m, false, ControlBad}}, false, day},
		"nobody else can be asked":    {[]heard{{0, false, NoControl}, {m, false, NoControl}, {5 * m, false, NoControl}}, false, day},
		"an outage begins it again":   {[]heard{{0, false, ControlGood}, {m, false, ControlGood}, {5 * m, false, ControlBad}, {9 * m, false, ControlGood}}, false, m},
		"it is accepted in between":   {[]heard{{0, false, ControlGood}, {m, false, ControlGood}, {5 * m, true, 0}, {9 * m, false, ControlGood}}, false, m},
		"it is accepted after a week": {[]heard{{7 * 24 * 60 * m, true, 0}}, false, 7 * day},
	} {
		s := set(nil, Entry{}, Entry{})
		s.History.Former = &Former{Entry: "sealed 1", Asked: begin().Add(-8 * day), Alive: begin().Add(-8 * day)}
		dead, last := false, begin()
		for _, a := range c.answers {
			if last = begin().Add(a.after); a.good {
				s.History.Accept("sealed 1", last)
			} else {
				dead = s.History.HearFormer(true, a.control, last)
			}
		}
		if dead != c.dead || dead != (s.History.Former == nil) {
			t.Errorf("%s: dead %t, want %t", name, dead, c.dead)
		}
		if !dead && (s.FormerToAsk(last.Add(c.again-1)) != 0 || s.FormerToAsk(last.Add(c.again)) != 1) {
			t.Errorf("%s: it is not asked about again after %s", name, c.again)
		}
	}
}

// TestAcceptedKeyIsNeverRejected lets anything be said in any order: the due key never
// gets older while the live one was accepted when its provider was asked last, or
// while nothing but an outage speaks against it.
func TestAcceptedKeyIsNeverRejected(t *testing.T) {
	const histories, steps = 2_000, 40
	t.Logf("COUNT key_random_answers=%d", histories*steps)
	random := rand.New(rand.NewPCG(uint64(walk.Seed(t)), 3))
	for range histories {
		s, now := set(nil, Entry{}, Entry{}, Entry{}), begin()
		accepted, plainly := true, 0 // of key 3: the last answer, and refusals since while another was accepted
		for range steps {
			now = now.Add(time.Duration(random.IntN(400)) * time.Second)
			switch control := Control(random.IntN(4)); random.IntN(3) {
			case 0:
				s.History.Accept("sealed 3", now)
				accepted, plainly = true, 0
			case 1:
				s.History.Refuse("sealed 3", Provider, "no", now, control)
				if accepted = false; control == NoControl || control == ControlGood {
					plainly++
				}
			case 2:
				s.History.Refuse("sealed 2", Terra, "no", now, control)
			}
			if s.IsRejected(3, now) && (accepted || plainly < refusalsThatCount) {
				t.Fatalf("%s: key 3 is rejected, accepted last: %t, refused %d times: %+v", now, accepted, plainly, s.History.Refused["sealed 3"])
			}
			if !s.IsRejected(3, now) && s.Due(now) != 3 {
				t.Fatalf("%s: key %d is due", now, s.Due(now))
			}
		}
	}
}
