package daemon

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"
	_ "time/tzdata"
)

// wall is a clock on the wall that somebody sets.
type wall struct{ set time.Duration }

func (w *wall) now() time.Time {
	return time.Now().Add(w.set).Round(0).In(time.FixedZone("here", 5*3600))
}

// fired lets time pass and gives the moments, as the wall shows them, at which a
// clock said that a run is due.
func fired(c *clock, w *wall, passes time.Duration) []string {
	var out []string
	end := time.After(passes)
	for {
		select {
		case <-c.fires():
			if c.due() {
				out = append(out, w.now().UTC().Format("01-02 15:04"))
			}
		case <-end:
			return out
		}
	}
}

// at sets the wall to a moment.
func at(text string) *wall {
	moment, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return &wall{set: time.Until(moment)}
}

// TestSchedulesAcrossSummerTime: Europe/London has no 01:30 on 28 March 2027 and
// two on 31 October 2027.
func TestSchedulesAcrossSummerTime(t *testing.T) {
	for name, c := range map[string]struct {
		from, expression string
		want             []string // UTC
	}{
		"no zone is UTC, spring":        {"2027-03-27T12:00:00Z", "30 1 * * *", []string{"03-28 01:30", "03-29 01:30"}},
		"a quarter of an hour, spring":  {"2027-03-28T00:40:00Z", "CRON_TZ=Europe/London */15 1-2 28 3 *", []string{"03-28 01:00", "03-28 01:15", "03-28 01:30", "03-28 01:45"}},
		"a time that is left out":       {"2027-03-27T12:00:00Z", "CRON_TZ=Europe/London 30 1 * * *", []string{"03-29 00:30"}},
		"a time that there is twice":    {"2027-10-30T12:00:00Z", "CRON_TZ=Europe/London 30 1 * * *", []string{"10-31 00:30", "10-31 01:30", "11-01 01:30"}},
		"each hour of a day of 23":      {"2027-03-28T00:30:00Z", "CRON_TZ=Europe/London 0 * 28 3 *", []string{"03-28 01:00", "03-28 02:00", "03-28 03:00", "03-28 04:00"}},
		"each hour of a day of 25":      {"2027-10-30T23:30:00Z", "CRON_TZ=Europe/London 0 0-2 31 10 *", []string{"10-31 00:00", "10-31 01:00", "10-31 02:00"}},
		"every 12h knows no clock":      {"2027-03-27T12:00:00Z", "@every 12h", []string{"03-28 00:00", "03-28 12:00", "03-29 00:00", "03-29 12:00"}},
		"a day that comes once in four": {"2028-02-28T12:00:00Z", "0 0 29 2 *", []string{"02-29 00:00"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := at(c.from)
				clock := newClock(w.now)
				defer clock.stop()
				if err := clock.set(timetable{expression: c.expression}); err != nil {
					t.Fatal(err)
				}
				got := fired(clock, w, 48*time.Hour+time.Second)
				if name == "each hour of a day of 23" {
					got = got[:min(4, len(got))]
				}
				if !slices.Equal(got, c.want) {
					t.Errorf("got %v, want %v", got, c.want)
				}
			})
		})
	}
}

// TestClockThatIsSet: a machine that starts with a wrong time, or that slept,
// runs by the time that it has then.
func TestClockThatIsSet(t *testing.T) {
	for name, c := range map[string]struct {
		by   time.Duration
		want []string
	}{
		"forward, across a run":  {18*time.Hour + 30*time.Minute, []string{"06-02 07:01", "06-03 06:00"}},
		"forward, to before one": {17 * time.Hour, []string{"06-02 06:00"}},
		"back a day":             {-24 * time.Hour, []string{"06-01 06:00"}},
		"back ten years":         {-10 * 365 * 24 * time.Hour, []string{"06-04 06:00"}},
		"not at all":             {0, []string{"06-02 06:00"}},
		"by what NTP does":       {-300 * time.Millisecond, []string{"06-02 06:00"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := at("2027-06-01T12:00:00Z")
				clock := newClock(w.now)
				defer clock.stop()
				if err := clock.set(timetable{expression: "0 6 * * *"}); err != nil {
					t.Fatal(err)
				}
				got := fired(clock, w, 30*time.Minute+30*time.Second) // between two looks
				w.set += c.by
				got = append(got, fired(clock, w, 24*time.Hour)...)
				if !slices.Equal(got, c.want) {
					t.Errorf("got %v, want %v", got, c.want)
				}
			})
		})
	}
}
