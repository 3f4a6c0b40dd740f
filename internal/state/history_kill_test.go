package state

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A process that is killed after it has told the history and before the journal
// knows leaves a pending intent, whose line the next one does not write again. One
// that told "unknown" does not know, so the next one tells.
func TestLineOfAKilledProcessIsNotDoubled(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	unknown := line("b")
	unknown.Outcome = OutcomeUnknown
	must(t, s.Begin(intent("a", noon())))
	must(t, s.Begin(intent("b", noon())))
	must(t, s.Record(line("a"), unknown))
	closed(t, s)
	s = opened(t, dir)
	must(t, s.Record(line("a"), line("b")))
	must(t, s.End("a", "b"))
	if got := ids(read(t, dir, HistoryFilter{})); got != "a b b" {
		t.Errorf("got %q, want a b b", got)
	}
}

// A process that is killed after it has saved what lasts, and before it has told
// the history of all of it, is completed by the next one.
func TestOutboxOfAKilledProcessIsDelivered(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	must(t, s.Record(line("a")))
	path := filepath.Join(dir, historyName)
	must(t, os.Rename(path, path+".aside"))
	must(t, os.Symlink("/dev/full", path))
	held := Ongoing{Held: map[string]Hold{"x": {Since: noon()}, "y": {Since: noon()}}}
	if err := s.SaveOngoing(dev, held, []Entry{line("x"), line("y")}); err == nil {
		t.Fatal("a full disk takes it")
	}
	must(t, s.Close())
	must(t, os.Rename(path+".aside", path))
	s = opened(t, dir)
	ongoing, err := s.Ongoing(dev)
	must(t, err)
	if got := ids(read(t, dir, HistoryFilter{})); got != "a x y" || len(ongoing.Held) != 2 {
		t.Errorf("got %q, %d are held", got, len(ongoing.Held))
	}
	closed(t, s)
	closed(t, opened(t, dir))
	if got := ids(read(t, dir, HistoryFilter{})); got != "a x y" {
		t.Errorf("opened again: got %q", got)
	}
}

// A pause that was set or lifted is said to be so where the history cannot be told:
// who reads only of the history would take the one for off and the other for on.
func TestKillSwitchIsInEffectWithoutItsLine(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	must(t, s.Record(line("a")))
	path := filepath.Join(dir, historyName)
	must(t, os.Rename(path, path+".aside"))
	must(t, os.Symlink("/dev/full", path))
	const said = "it is in effect, and the history is told of it later"
	if err := s.SetKillSwitch(killSwitch("production", "")); err == nil || !strings.Contains(err.Error(), said) {
		t.Errorf("set: got %v", err)
	}
	if lifted, err := s.LiftKillSwitch("production", "sam", noon()); !lifted || err == nil || !strings.Contains(err.Error(), said) {
		t.Errorf("lifted: got %v, %v", lifted, err)
	}
	if all, err := s.KillSwitches(noon()); len(all) != 0 || err != nil {
		t.Errorf("got %+v, %v", all, err)
	}
	must(t, s.Close())
	must(t, os.Rename(path+".aside", path))
	s = opened(t, dir)
	if entries := read(t, dir, HistoryFilter{}); len(entries) != 3 || entries[1].Event != EventPause || entries[2].Event != EventResume {
		t.Errorf("got %+v", entries)
	}
	closed(t, s)
}
