package state

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/terra-reconcile/terra-reconcile/reconcile/plan"
)

func killSwitch(environment, provider string) KillSwitch {
	return KillSwitch{Environment: environment, Provider: provider, Reason: "incident 12", Owner: "jo", Since: noon(), Until: noon().Add(time.Hour)}
}

func inForce(t *testing.T, s *Store, now time.Time) []string {
	t.Helper()
	all, err := s.KillSwitches(now)
	must(t, err)
	targets := []string{}
	for _, k := range all {
		targets = append(targets, k.Target())
	}
	return targets
}

func TestKillSwitchesLastUntilTheirEnd(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	long := killSwitch("production", "strava")
	long.Until = noon().Add(2 * time.Hour).In(time.FixedZone("CET", 3600))
	must(t, errors.Join(s.SetKillSwitch(killSwitch("", "")), s.SetKillSwitch(killSwitch("production", "strava")), s.SetKillSwitch(long)))
	closed(t, s)

	s = opened(t, dir)
	for at, want := range map[time.Duration][]string{
		0: {"", "production/strava"}, time.Hour - 1: {"", "production/strava"},
		time.Hour: {"production/strava"}, 2 * time.Hour: {},
	} {
		if diff := cmp.Diff(want, inForce(t, s, noon().Add(at))); diff != "" {
			t.Errorf("after %s (-want +got):\n%s", at, diff)
		}
	}
	for target, want := range map[string]bool{"": true, "production": false, "production/strava": true} {
		if lifted, err := s.LiftKillSwitch(target, "sam", noon()); lifted != want || err != nil {
			t.Errorf("lift %q: got %v %v, want %v", target, lifted, err, want)
		}
	}
	if got := inForce(t, s, noon()); len(got) > 0 {
		t.Errorf("after lifting all: got %q", got)
	}
	if lifted, err := s.LiftKillSwitch("", "sam", noon()); lifted || err != nil {
		t.Errorf("lift twice: got %v %v", lifted, err)
	}
}

func TestKillSwitchesThatAreRefused(t *testing.T) {
	s := opened(t, t.TempDir())
	for name, edit := range map[string]func(*KillSwitch){
		"no reason":      func(k *KillSwitch) { k.Reason = "" },
		"no owner":       func(k *KillSwitch) { k.Owner = "" },
		"no end":         func(k *KillSwitch) { k.Until = time.Time{} },
		"an empty time":  func(k *KillSwitch) { k.Until = k.Since },
		"no environment": func(k *KillSwitch) { k.Environment, k.Provider = "", "strava" },
	} {
		k := killSwitch("production", "")
		edit(&k)
		if err := s.SetKillSwitch(k); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
	if got := inForce(t, s, noon()); len(got) > 0 {
		t.Errorf("got %q, want none", got)
	}
}

// TestWhatAKillSwitchHolds: another name, another letter case of a dev_id, and a folder
// with the name of a connection let nothing escape.
func TestWhatAKillSwitchHolds(t *testing.T) {
	environment, byID, connection := killSwitch("production", ""), killSwitch(strings.ToUpper(dev), ""), killSwitch("production", "strava")
	environment.DevIDs, connection.DevIDs, connection.Whole = []string{dev}, []string{dev}, []string{"decoy-1"}
	const nothing, all = "nothing", ""
	for _, c := range []struct {
		k                 KillSwitch
		name, devID, want string
	}{
		{killSwitch("", ""), "any", "thing", all},
		{environment, "production", "other", all},
		{environment, "renamed", dev, all},
		{environment, "renamed", strings.ToUpper(dev), all},
		{environment, "staging", "other", nothing},
		{environment, "production/strava", "other", nothing},
		{byID, "production", dev, all},
		{byID, "staging", "other", nothing},
		{connection, "production", dev, "strava"},
		{connection, "renamed", strings.ToUpper(dev), "strava"},
		{connection, "production/strava", "another", all},
		{connection, "renamed", "Decoy-1", all},
		{connection, "staging", "other", nothing},
	} {
		provider, holds := c.k.Holds(c.name, c.devID)
		if !holds {
			provider = nothing
		}
		if provider != c.want {
			t.Errorf("%q, of %s %s: holds %q, want %q", c.k.Target(), c.name, c.devID, provider, c.want)
		}
	}
}

// TestKillSwitchMarksWhatItHolds so that a pause without any run is not forgotten.
func TestKillSwitchMarksWhatItHolds(t *testing.T) {
	for _, c := range []struct {
		k             KillSwitch
		dev, staging  bool
		strava, other bool
	}{
		{killSwitch("", ""), true, true, false, false},
		{killSwitch("production", ""), true, false, false, false},
		{killSwitch("production", "strava"), false, false, true, false},
		{killSwitch("production", "whoop"), false, false, false, false},
		{killSwitch("elsewhere", ""), false, false, false, false},
	} {
		s := opened(t, t.TempDir())
		must(t, errors.Join(
			s.SaveMemory(here(), memoryOf("strava", "garmin")), s.SaveCommits(here(), Commits{Environment: "production"}),
			s.SaveMemory(of("staging-id"), memoryOf("strava")), s.SaveCommits(of("staging-id"), Commits{Environment: "staging"}),
			s.SetKillSwitch(c.k)))
		production, err := s.Memory(here())
		must(t, err)
		staging, err := s.Memory(of("staging-id"))
		must(t, err)
		got := []bool{production.Suspended, staging.Suspended, production.Connections["strava"].Suspended, production.Connections["garmin"].Suspended}
		if diff := cmp.Diff([]bool{c.dev, c.staging, c.strava, c.other}, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", c.k.Target(), diff)
		}
		if staging.Connections["strava"].Suspended {
			t.Errorf("%q: marks a connection of another environment", c.k.Target())
		}
		if want := memoryOf("strava").Connections["strava"].Fields[plan.FieldClientID]; production.Connections["strava"].Fields[plan.FieldClientID] != want {
			t.Errorf("%q: other memory is gone", c.k.Target())
		}
	}
}

func TestKnownEnvironments(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	rehearsal := Environment{API: "loopback", DevID: "b"}
	must(t, errors.Join(
		s.SaveCommits(of("b"), Commits{"staging", "c2", "c1"}), s.SaveCommits(of("old"), Commits{"", "c0", "c0"}),
		s.SaveCommits(rehearsal, Commits{"staging", "c3", "c3"}), s.SaveCommits(of("d"), Commits{"before", "c1", "c1"}),
		s.SaveRevisions(nil, []Revision{{"a", "production", "g1"}, {"b", "staging", "g1"}}),
		s.SaveRevisions([]Revision{{"a", "production", "g1"}, {"b", "staging", "g1"}}, []Revision{{"a", "production", "g2"}, {"d", "now", "g2"}}), s.SaveMemory(of("c"), memoryOf("strava"))))
	before := transactions(t, s)
	must(t, s.SaveRevisions(nil, []Revision{{"a", "production", "g2"}, {"d", "now", "g2"}}))
	if after := transactions(t, s); after != before {
		t.Error("the same again is written")
	}
	closed(t, s)
	s = opened(t, dir)
	got, err := s.Known()
	must(t, err)
	if diff := cmp.Diff([]Known{{"now", "d"}, {"production", "a"}, {"staging", "b"}}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	revisions, err := s.Revisions()
	must(t, err)
	if diff := cmp.Diff([]Revision{{"a", "production", "g2"}, {"d", "now", "g2"}}, revisions); diff != "" {
		t.Errorf("revisions (-want +got):\n%s", diff)
	}
	for _, g := range []Revision{{"", "production", "g"}, {"a", "", "g"}, {"a", "production", ""}} {
		if err := opened(t, t.TempDir()).SaveRevisions(nil, []Revision{g}); err == nil {
			t.Errorf("%+v: got no error", g)
		}
	}
}

// Who paused and who resumed stands in the history, once, also where the process
// ended between the kill switch and its line.
func TestKillSwitchesAreTold(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	must(t, s.SetKillSwitch(killSwitch("production", "strava")))
	if _, err := s.LiftKillSwitch("production/strava", "kim", noon().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	must(t, second(s.LiftKillSwitch("production/strava", "kim", noon().Add(time.Minute))))
	s.notes.dir = filepath.Join(dir, "gone") // nothing can be written
	if err := s.SetKillSwitch(killSwitch("", "")); err == nil {
		t.Error("a line that could not be written: got no error")
	}
	if diff := cmp.Diff([]string{""}, inForce(t, s, noon())); diff != "" {
		t.Errorf("it does not hold (-want +got):\n%s", diff)
	}
	closed(t, s)
	for range 2 { // the second process finds nothing left to tell
		closed(t, opened(t, dir))
	}
	entries, _, err := History(dir, HistoryFilter{})
	must(t, err)
	var got []string
	for _, e := range entries {
		got = append(got, strings.Join([]string{e.Event, e.Environment, e.Provider, e.Connection, e.Owner, e.Reason, e.Until.Format(time.TimeOnly), e.Since.Format(time.TimeOnly), fmt.Sprint(e.LastedMS)}, " "))
	}
	k := killSwitch("production", "strava")
	until := k.Until.UTC().Format(time.TimeOnly)
	want := []string{
		"pause production strava production/strava " + k.Owner + " " + k.Reason + " " + until + " 00:00:00 0",
		"resume production strava production/strava kim " + k.Reason + " " + until + " " + k.Since.UTC().Format(time.TimeOnly) + " 60000",
		"pause    " + k.Owner + " " + k.Reason + " " + until + " 00:00:00 0",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
}

// A kill switch is shown where it is about what is looked for, also where it is on
// more or on a part.
func TestHistoryFilterMeetsKillSwitches(t *testing.T) {
	everything, environment := killSwitch("", ""), killSwitch("production", "")
	connection := killSwitch("production", "strava")
	for _, c := range []struct {
		filter HistoryFilter
		want   []bool
	}{
		{HistoryFilter{}, []bool{true, true, true}},
		{HistoryFilter{Environment: "production"}, []bool{true, true, true}},
		{HistoryFilter{Environment: "staging"}, []bool{true, false, false}},
		{HistoryFilter{Connection: "strava"}, []bool{true, true, true}},
		{HistoryFilter{Connection: "whoop"}, []bool{true, true, false}},
		{HistoryFilter{Connection: "production/strava"}, []bool{true, true, true}},
		{HistoryFilter{Connection: "staging/strava"}, []bool{true, false, false}},
		{HistoryFilter{Since: noon().Add(time.Hour)}, []bool{false, false, false}},
	} {
		var got []bool
		for _, k := range []KillSwitch{everything, environment, connection} {
			got = append(got, c.filter.chooses(k.line(EventPause, noon(), "sam")))
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", c.filter, diff)
		}
	}
}
