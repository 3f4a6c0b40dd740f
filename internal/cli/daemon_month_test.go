package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/terra-reconcile/terra-reconcile/internal/daemon"
	"github.com/terra-reconcile/terra-reconcile/internal/terra/terratest"
	"github.com/terra-reconcile/terra-reconcile/internal/walk"
)

// month is a daemon of two accounts, one environment each, over a month of virtual time.
type month struct {
	*timed
	token string // of production, by its id
	wake  chan struct{}
	runs  map[string][]string // by environment: when, and the exit code where it is not 0
}

// until lets time pass, and keeps when what ran.
func (m *month) until(text string) {
	m.t.Helper()
	m.timed.until(text)
	m.read()
}

// read takes the log. Its times are those of the bubble.
func (m *month) read() {
	m.t.Helper()
	ahead := time.Until(m.now())
	for line := range strings.Lines(m.log.take()) {
		var l struct {
			Time             time.Time
			Msg, Environment string
			EndedEarly       string `json:"ended_early"`
			ExitCode         int    `json:"exit_code"`
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			m.t.Fatal(err)
		}
		if l.Msg != "run" {
			continue
		}
		how := l.Time.Add(ahead).UTC().Format("01-02 15:04")
		if l.ExitCode != 0 {
			how += fmt.Sprint(" exit ", l.ExitCode, " ", l.EndedEarly)
		}
		m.runs[l.Environment] = append(m.runs[l.Environment], how)
	}
}

// commits commits a file, which wakes the daemon as the watch of a folder does.
func (m *month) commits(name, text string) {
	m.t.Helper()
	m.writes(name, text)
	m.commit("Change " + name)
	m.wake <- struct{}{}
	synctest.Wait()
}

// effects takes what has changed at Terra since it was asked last.
func (m *month) effects(want ...string) {
	m.t.Helper()
	var got []string
	for _, c := range m.terra.Effects() {
		got = append(got, c.Operation+" "+c.DevID+" "+c.Provider)
	}
	m.terra.ResetLog()
	slices.Sort(got)
	slices.Sort(want)
	if d := cmp.Diff(want, got); d != "" {
		m.t.Errorf("%s: what changed at Terra (-want +got):\n%s", m.now().Format(time.RFC3339), d)
	}
}

// unready wants exactly these to have failed for too long.
func (m *month) unready(want ...string) {
	m.t.Helper()
	got := []string{}
	for _, u := range m.daemon.Status().Unready {
		got = append(got, u.String())
	}
	if !slices.Equal(got, append([]string{}, want...)) {
		m.t.Errorf("%s: not ready: %q, want %q", m.now().Format(time.RFC3339), got, want)
	}
}

// simulatedMonth runs a daemon from the first of October, at noon.
func simulatedMonth(t *testing.T, do func(*month)) {
	t.Helper()
	e, old, young := stravaAlone(t)
	strava, err := os.ReadFile(filepath.Join(e.repository(), "production", "strava.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	e.writes("production/strava.yaml", strings.Replace(string(strava), "2026-08-08T02:00:00Z", "2026-10-10T02:00:00Z", 1))
	e.writes("production/environment.yaml", "dev_id: "+exampleProduction+"\nprune: never\nschedule: \"CRON_TZ=Europe/London 30 1,13 * * *\"\n"+
		"windows:\n  - {days: [sat, sun], from: \"04:00\", to: \"06:00\", tz: Europe/London}\n")
	e.writes("production/withings.yaml", "provider: withings\n")
	e.writes("staging/environment.yaml", "dev_id: "+exampleStaging+"\naccount: other\nprune: never\nschedule: \"CRON_TZ=Australia/Sydney 30 2 * * *\"\n")
	e.writes("staging/withings.yaml", "provider: withings\n")
	e.commit("Two accounts")
	e.writes("../daemon.yaml", fmt.Sprintf(`repo: {url: %s, poll: 6h}
accounts:
  default: {token_file: token, base_url: %[2]q, dev_ids: [%[3]s]}
  other: {token_env: OTHER_TOKEN, base_url: %[2]q, dev_ids: [%[4]s]}
apply: true
`, e.repository(), terratest.BaseURL, exampleProduction, exampleStaging))
	synctest.Test(t, func(t *testing.T) {
		e.t = t
		began, first := time.Now(), time.Date(2026, 10, 1, 12, 0, 0, 0, time.UTC)
		now := func() time.Time { return first.Add(time.Since(began)) }
		e.terra = terratest.New(terratest.Config{Clock: now})
		e.terra.AddEnvironment(exampleProduction, terratest.EnvironmentOptions{})
		e.terra.AddEnvironment(exampleStaging, terratest.EnvironmentOptions{})
		token := e.terra.AddToken(terratest.Token{DevIDs: []string{exampleProduction}, ExpiresAt: time.Date(2026, 10, 16, 12, 0, 0, 0, time.UTC)})
		e.writes("../token", token.Bearer)
		e.vars["OTHER_TOKEN"] = e.terra.AddToken(terratest.Token{DevIDs: []string{exampleStaging}}).Bearer
		log := &lines{}
		f := e.followFrom(filepath.Join(e.dir, "daemon.yaml"), now, log)
		m := &month{token: token.TokenID, wake: make(chan struct{}), runs: map[string][]string{}}
		d, err := daemon.New(daemon.Options{Sources: []daemon.Source{{Poller: f, Runner: f, Poll: f.config.Repo.Poll, Wake: m.wake}}, Log: f.log, Deadline: f.config.CycleDeadline, AtOnce: 1,
			UnreadyAfter: f.config.UnreadyAfter, Now: now, Paused: f.paused, Check: f.store.Check})
		if err != nil {
			t.Fatal(err)
		}
		m.timed = &timed{example: e, daemon: d, control: daemonControl{sources{f}.controlServer(), d, sources{f}}, reconciler: reconciler{d, sources{f}, nil}, now: now, log: log}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- d.Run(ctx) }()
		m.until("2026-10-01T12:01:00Z")
		m.expectLive(old)
		do(m)
		m.expectLive(young)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}) // which fails where a goroutine is left
}

// expectCadence wants staging to have run at each moment of its schedule and at the two
// commits that are its own, and at no other; and production at each moment of its schedule
// but for the outage. In Sydney there is no 02:30 on the fourth, in London there are two
// 01:30 on the twenty-fifth.
func (m *month) expectCadence() {
	m.t.Helper()
	staging := []string{"10-01 12:00", "10-01 16:30", "10-02 10:00", "10-02 16:30", "10-07 12:00", "10-20 10:00"}
	for day := 4; day <= 31; day++ {
		staging = append(staging, fmt.Sprintf("10-%02d 15:30", day))
	}
	slices.Sort(staging)
	if d := cmp.Diff(staging, m.runs["staging"]); d != "" {
		m.t.Errorf("runs of staging (-want +got):\n%s", d)
	}
	for day := 2; day <= 31; day++ {
		times := []string{"00:30", "12:30"}
		switch {
		case day == 7 || day == 8:
			continue
		case day == 25:
			times = []string{"00:30", "01:30", "13:30"}
		case day > 25:
			times = []string{"01:30", "13:30"}
		}
		for _, at := range times {
			if !slices.ContainsFunc(m.runs["production"], func(run string) bool { return strings.HasPrefix(run, fmt.Sprintf("10-%02d %s", day, at)) }) {
				m.t.Errorf("production did not run on the %d at %s: %q", day, at, m.runs["production"])
			}
		}
	}
	if n := strings.Count(strings.Join(m.runs["production"], "\n"), "commit"); n != 1 {
		m.t.Errorf("%d runs were overtaken by a commit, want the one that hung: %q", n, m.runs["production"])
	}
}

// TestSimulatedMonthWalk: an assembled daemon over a month in which what happens to a daemon
// happens to it. What is written is counted to the call, schedules are kept to the minute
// over both changes of the clock, one account's outage delays nothing of the other, and
// nothing grows. It is alone, because the memory that it measures is that of all tests.
func TestSimulatedMonthWalk(t *testing.T) {
	simulatedMonth(t, func(m *month) {
		const production, staging = " " + exampleProduction + " ", " " + exampleStaging + " "
		m.effects("enableSource"+production+"strava", "setSourceCredentials"+production+"strava", "setSourceScopes"+production+"strava", "enableSource"+production+"withings", "enableSource"+staging+"withings")
		m.unready()

		m.until("2026-10-02T10:00:00Z")
		before := m.footprint()
		m.commits("staging/oura.yaml", "provider: oura\n")
		m.effects("enableSource" + staging + "oura")

		m.until("2026-10-05T12:10:00Z") // somebody pauses what should not be
		m.terra.Pause(exampleProduction, "withings")
		m.until("2026-10-05T12:29:59Z")
		m.effects()
		m.until("2026-10-05T12:31:00Z") // the next run by the schedule
		m.effects("updateSource" + production + "withings")

		m.until("2026-10-07T00:00:00Z") // Terra takes the calls of one account and answers none
		m.terra.Fault(terratest.Fault{Kind: terratest.Hang, Times: terratest.Always, Match: func(c terratest.Call) bool {
			return c.DevID == exampleProduction || c.TokenID == m.token
		}})
		m.until("2026-10-07T11:59:50Z")
		m.unready("environment production")
		if _, err := m.daemon.RunNow("production"); err != nil {
			m.t.Fatal(err)
		}
		m.until("2026-10-07T12:00:00Z")
		m.commits("staging/oura.yaml", "provider: oura\nstate: paused\n") // also while production hangs
		m.effects("updateSource" + staging + "oura")
		m.until("2026-10-07T15:29:40Z") // it hangs while staging's run is due
		if _, err := m.daemon.RunNow("production"); err != nil {
			m.t.Fatal(err)
		}
		m.until("2026-10-08T06:00:00Z")
		m.terra.ClearFaults()
		m.until("2026-10-08T07:05:00Z") // tried again once an hour
		m.unready()
		m.effects()

		away := filepath.Join(m.dir, "away") // the repository is gone for ten hours
		m.until("2026-10-09T10:00:00Z")
		if err := os.Rename(m.repository(), away); err != nil {
			m.t.Fatal(err)
		}
		m.until("2026-10-09T19:00:00Z")
		m.unready("git")
		if err := os.Rename(away, m.repository()); err != nil {
			m.t.Fatal(err)
		}
		m.until("2026-10-10T01:59:59Z")
		m.unready()
		m.effects()
		m.until("2026-10-10T02:00:01Z") // a key is due, to the second
		m.effects("updateSourceCredentials" + production + "strava")
		m.until("2026-10-11T03:00:00Z") // and has soaked
		m.effects()

		m.until("2026-10-12T10:00:00Z") // a pause of two days, in which something drifts
		if _, err := m.control.Pause(daemon.PauseRequest{Target: "production", Reason: "incident 16", Seconds: 48 * 3600, Owner: "ops"}); err != nil {
			m.t.Fatal(err)
		}
		m.terra.Pause(exampleProduction, "withings")
		m.until("2026-10-14T09:59:59Z")
		m.effects()
		m.until("2026-10-14T10:00:01Z")
		m.effects("updateSource" + production + "withings")

		m.until("2026-10-16T12:44:00Z") // the token has ended, and is replaced hours later
		m.unready()
		m.until("2026-10-16T18:00:00Z")
		m.unready("environment production")
		m.writes("../token", m.terra.AddToken(terratest.Token{DevIDs: []string{exampleProduction}}).Bearer)
		m.until("2026-10-16T19:05:00Z")
		m.unready()
		m.effects()

		m.until("2026-10-20T10:00:00Z") // what some end users would notice waits for its window
		m.terra.SetUsers(exampleProduction, "withings", 40, 0)
		m.commits("production/withings.yaml", "provider: withings\nstate: paused\n")
		m.until("2026-10-24T02:59:59Z")
		m.effects()
		m.until("2026-10-24T03:00:01Z")
		m.effects("updateSource" + production + "withings")

		m.until("2026-11-01T12:00:00Z")
		m.effects()
		m.unready()
		after := m.footprint()
		m.t.Logf("COUNT simulated_month_runs=%d", len(m.runs["production"])+len(m.runs["staging"]))
		m.t.Logf("%+v -> %+v", before, after)
		if after.goroutines > before.goroutines || after.heap > before.heap+1<<20 || after.disk > before.disk+64<<10 {
			m.t.Errorf("it grows: %+v, then %+v", before, after)
		}
		m.expectCadence()
		if walk.Whole() { // the winter, and the other change of both clocks
			m.until("2027-04-10T12:00:00Z")
			m.effects()
			m.unready()
			for day, want := range map[string]bool{"03-27 01:30": true, "03-28 01:30": false, "03-28 00:30": false, "03-29 00:30": true, "03-28 12:30": true} {
				if slices.Contains(m.runs["production"], day) != want {
					m.t.Errorf("production ran at %s: %t, want %t", day, !want, want)
				}
			}
			if last := m.footprint(); last.goroutines > before.goroutines || last.heap > before.heap+1<<20 || last.disk > before.disk+256<<10 {
				m.t.Errorf("it grows: %+v, then %+v", before, last)
			}
		}
	})
}
