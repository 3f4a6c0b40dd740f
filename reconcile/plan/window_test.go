package plan

import (
	"testing"
	"time"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func at(t testing.TB, text string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestWindowByTheClock reads the wall clock on days on which it is moved: an hour
// that is repeated opens a window twice, one that is skipped not at all.
func TestWindowByTheClock(t *testing.T) {
	const sunday = time.Sunday
	for _, c := range []struct {
		name, zone string
		days       []time.Weekday
		from, to   int
		moment     string
		open       bool
		next       string
	}{
		{"plain day, before", "UTC", nil, 120, 300, "2026-11-22T01:59:59Z", false, "2026-11-22T02:00:00Z"},
		{"plain day, first moment", "UTC", nil, 120, 300, "2026-11-22T02:00:00Z", true, ""},
		{"plain day, last moment", "UTC", nil, 120, 300, "2026-11-22T04:59:59Z", true, ""},
		{"to is exclusive", "UTC", nil, 120, 300, "2026-11-22T05:00:00Z", false, "2026-11-23T02:00:00Z"},
		{"another day", "UTC", []time.Weekday{sunday}, 120, 300, "2026-11-23T03:00:00Z", false, "2026-11-29T02:00:00Z"},
		{"across midnight, before it", "UTC", []time.Weekday{sunday}, 1380, 60, "2026-11-22T23:30:00Z", true, ""},
		{"across midnight, after it", "UTC", []time.Weekday{sunday}, 1380, 60, "2026-11-23T00:59:59Z", true, ""},
		{"across midnight, over", "UTC", []time.Weekday{sunday}, 1380, 60, "2026-11-23T01:00:00Z", false, "2026-11-29T23:00:00Z"},
		{"across midnight, the morning of its own day", "UTC", []time.Weekday{sunday}, 1380, 60, "2026-11-22T00:30:00Z", false, "2026-11-22T23:00:00Z"},
		{"from equals to is the whole day", "UTC", []time.Weekday{sunday}, 120, 120, "2026-11-23T01:59:59Z", true, ""},
		{"until midnight", "UTC", nil, 1380, 1440, "2026-11-22T23:59:59Z", true, ""},

		{"London, spring: 01:15 to 01:45 is skipped", "Europe/London", []time.Weekday{sunday}, 75, 105, "2026-03-29T00:30:00Z", false, "2026-04-05T00:15:00Z"},
		{"London, spring: 01:30 to 03:00 opens at 02:00", "Europe/London", []time.Weekday{sunday}, 90, 180, "2026-03-29T00:59:59Z", false, "2026-03-29T01:00:00Z"},
		{"London, spring: after the jump", "Europe/London", []time.Weekday{sunday}, 90, 180, "2026-03-29T01:00:00Z", true, ""},
		{"London, autumn: 01:15 the first time", "Europe/London", []time.Weekday{sunday}, 60, 90, "2026-10-25T00:15:00Z", true, ""},
		{"London, autumn: between the two", "Europe/London", []time.Weekday{sunday}, 60, 90, "2026-10-25T00:45:00Z", false, "2026-10-25T01:00:00Z"},
		{"London, autumn: 01:15 the second time", "Europe/London", []time.Weekday{sunday}, 60, 90, "2026-10-25T01:15:00Z", true, ""},
		{"London, autumn: 01:45 opens again at 01:40", "Europe/London", []time.Weekday{sunday}, 100, 110, "2026-10-25T00:55:00Z", false, "2026-10-25T01:40:00Z"},

		{"New York, spring: 02:30 is skipped", "America/New_York", []time.Weekday{sunday}, 150, 240, "2026-03-08T06:59:59Z", false, "2026-03-08T07:00:00Z"},
		{"New York, autumn: 01:30 the second time", "America/New_York", []time.Weekday{sunday}, 90, 100, "2026-11-01T05:45:00Z", false, "2026-11-01T06:30:00Z"},
		{"New York, autumn: across midnight", "America/New_York", []time.Weekday{time.Saturday}, 1410, 90, "2026-11-01T06:15:00Z", true, ""},

		{"Lord Howe, spring: half an hour, 02:10 is skipped", "Australia/Lord_Howe", []time.Weekday{sunday}, 130, 145, "2026-10-03T15:00:00Z", false, "2026-10-10T15:10:00Z"},
		{"Lord Howe, spring: 02:10 to 03:00 opens at 02:30", "Australia/Lord_Howe", []time.Weekday{sunday}, 130, 180, "2026-10-03T15:00:00Z", false, "2026-10-03T15:30:00Z"},
		{"Lord Howe, autumn: 01:45 the second time", "Australia/Lord_Howe", []time.Weekday{sunday}, 95, 115, "2026-04-04T14:57:00Z", false, "2026-04-04T15:05:00Z"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := Window{Days: c.days, From: c.from, To: c.to, Location: zone(t, c.zone)}
			moment := at(t, c.moment)
			if got := w.open(moment); got != c.open {
				t.Fatalf("open at %s: got %t, want %t", moment.In(w.Location), got, c.open)
			}
			if c.open {
				return
			}
			got, ok := w.next(moment)
			if want := at(t, c.next); !ok || !got.Equal(want) {
				t.Errorf("next: got %s (%t), want %s", got, ok, want.In(w.Location))
			}
		})
	}
}

// TestNextOpeningOfSeveral takes the earliest, whatever the order and the zones.
func TestNextOpeningOfSeveral(t *testing.T) {
	windows := []Window{
		{Days: []time.Weekday{time.Friday}, From: 0, To: 60, Location: time.UTC},
		{From: 180, To: 240, Location: zone(t, "America/New_York")},
		{From: 600, To: 660, Location: zone(t, "Europe/London")},
	}
	now := at(t, "2026-11-22T12:00:00Z")
	got, ok := nextOpening(windows, now)
	if want := at(t, "2026-11-23T08:00:00Z"); !ok || !got.Equal(want) {
		t.Errorf("next: got %s (%t), want %s", got, ok, want)
	}
	if openNow(windows, now) {
		t.Error("open: got true, want false")
	}
	if !openNow(nil, now) {
		t.Error("no windows: got closed, want always open")
	}
	never := Window{Days: []time.Weekday{9}, From: 0, To: 60, Location: time.UTC}
	if at, ok := nextOpening([]Window{never}, now); ok {
		t.Errorf("a window on no day opens at %s", at)
	}
}

// FuzzWindow compares the next opening with a walk over every minute.
func FuzzWindow(f *testing.F) {
	f.Add(uint8(127), uint16(90), uint16(180), int64(1774745999), uint8(0))
	f.Add(uint8(1), uint16(95), uint16(115), int64(1775314620), uint8(2))
	f.Add(uint8(64), uint16(1410), uint16(90), int64(1793513700), uint8(1))
	f.Add(uint8(0), uint16(0), uint16(0), int64(0), uint8(3))
	f.Fuzz(func(t *testing.T, days uint8, from, to uint16, unix int64, place uint8) {
		names := []string{"Europe/London", "America/New_York", "Australia/Lord_Howe", "UTC", "Asia/Kathmandu", "Africa/Casablanca"}
		w := Window{From: int(from % 1440), To: int(to%1440) + 1, Location: zone(t, names[int(place)%len(names)])}
		for day := range 7 {
			if days&(1<<day) != 0 {
				w.Days = append(w.Days, time.Weekday(day))
			}
		}
		const years = 60 * 365 * 24 * 3600
		moment := time.Unix(500_000_000+(unix%years+years)%years, 0)
		got, ok := w.next(moment)
		if w.open(moment) {
			return
		}
		walk := moment.Truncate(time.Minute)
		for end := moment.AddDate(0, 0, 9); walk.Before(end); {
			if walk = walk.Add(time.Minute); !w.open(walk) {
				continue
			}
			if !ok || !got.Equal(walk) {
				t.Fatalf("%+v after %s: got %s (%t), want %s", w, moment.In(w.Location), got, ok, walk.In(w.Location))
			}
			return
		}
		if ok {
			t.Fatalf("%+v after %s: got %s, want never", w, moment.In(w.Location), got)
		}
	})
}
